/* session_struct.h - private to session*.c: what a session is, and the parts of a step that several need. */
#ifndef TABES_SESSION_STRUCT_H
#define TABES_SESSION_STRUCT_H

#include "engine/session_blocks.h"
#include "engine/session_cache.h"
#include "engine/session_impl.h"

enum { N_STOPS = 2 };

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
    int *taken;       /* [n] decode steps so far before which this was the first mask that could be written */
    policy_memory memory;
    int32_t *past; /* [SESSION_PAST][n] the states before the last decode steps, newest first */
    int n_past;
    int *masked; /* scratch, [n] each */
    bool *scope, *late;
    int *clean, *clean_row;
    int n_masked, n_scope, n_clean;
    row_ref *rows;  /* [2n]: a guided pass asks for twice as many */
    int32_t *bare;  /* [n] the tokens with everything given masked, for guidance */
    pass *p;        /* its own, or the one of o.shared */
    double pass_ms; /* of a pass that another session ran: what it took there */
    session_cache cache;
};

/* What the policy remembers is gone; settings are those of the start, and nothing is pinned or banned. */
void session_forget(session *s);
void session_as_opened(session *s);

/* The policy puts tokens back with these settings; is there a position that such a one may write or mask? */
bool session_puts_back(const session *s);
bool session_can_go_on(const session *s);
int session_no_memory(const session *s, err *e);

/* The block that the next step is in. */
block session_block(const session *s);
/* Whether whole rows of a step's logits are looked at, as a rule. */
bool session_reads_logits(const session *s);
/* A pass of all rows into p: of the sequence and, guided, of the same with everything given masked. After
 * session_decide; dec's pass is then it, or in place of s->p one that sessions share. */
int session_forward(session *s, decision *dec, pass *p, kept_rows kept, err *e) MUST_CHECK;

/* After session_decide: rows that it asks for; is anything left to propose? */
int session_asks(const session *s);
bool session_goes_on(const session *s, const decision *dec);
/* What a step's pass saves for the policy and for looking on. */
kept_rows session_keeps(const session *s);
/* Earlier steps that the policy must go through again before the next one. */
int session_lost(const session *s);

#endif
