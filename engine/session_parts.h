/* session_parts.h - private to session.c and session_cache.c: what a session is made of, and the parts of a
 * step that both need.
 */
#ifndef TABES_SESSION_PARTS_H
#define TABES_SESSION_PARTS_H

#include "engine/session.h"
#include "engine/session_blocks.h"
#include "engine/session_cache.h"

struct session {
    denoiser *d;
    const denoiser_info *info;
    session_opts o; /* as opened; prompt is not kept */
    int32_t *start, *tokens;
    int n, m0;      /* tokens; masks at the start */
    int origin;     /* where the generation begins, for blocks */
    int k, decoded; /* records so far, decode steps among them */
    /* What holds now. */
    const policy *policy;
    param_set params;
    int T;
    step_ban *bans;
    int n_bans;
    bool *pinned;     /* [n] */
    double *revealed; /* [n] probability with which the token there was written */
    policy_memory memory;
    int32_t *past; /* [SESSION_PAST][n] the states before the last decode steps, newest first */
    int n_past;
    int *masked; /* scratch, [n] each */
    bool *scope, *late;
    int *clean, *clean_row;
    int n_masked, n_scope, n_clean;
    row_ref *rows; /* [2n]: a guided pass asks for twice as many */
    int32_t *bare; /* [n] the tokens with everything given masked, for guidance */
    pass *p;
    session_cache cache;
};

/* The block that the next step is in. */
block session_block(const session *s);
/* A pass of all rows into p: of the sequence and, guided, of the same with everything given masked. After
 * session_decide. */
int session_forward(session *s, pass *p, bool keep, err *e) MUST_CHECK;

#endif
