/* session_cache.h - private to session*.c: decode steps that compute few rows (parameter kv-cache), as
 * Fast-dLLM (Wu et al. 2025) does. Approximate.
 *
 * A full pass is taken at the first step of a block and, with kv-refresh, at every n-th of its steps; the
 * steps between read its keys and values for the rows that they do not compute. Which canvas that was follows
 * from the history alone, so that a jump loses the pass but not the trajectory: it is computed again,
 * unbilled.
 */
#ifndef TABES_SESSION_CACHE_H
#define TABES_SESSION_CACHE_H

#include "engine/policy.h"
#include "engine/session.h"

enum { SESSION_PAST = 8 }; /* decode steps that are looked back to */

/* The parameter's choices. Prefix: rows from the block on are computed. Dual: the block's; without blocks the
 * masks and what was written since the full pass. */
typedef enum cache_kind { CACHE_NONE, CACHE_PREFIX, CACHE_DUAL } cache_kind;

typedef struct session_cache {
    pass *kept;    /* a full pass */
    int32_t *held; /* [n] its canvas */
    bool holds;
    /* The full pass that the next step reads: its canvas, and the decode step that took it. `first` is the
     * first decode step of the block that begins at position `block`. */
    int32_t *base;
    int block, first, made;
    bool known;
    /* The same of the last decode steps, newest first. */
    int32_t *past; /* [SESSION_PAST][n] */
    int past_made[SESSION_PAST];
    int32_t *canvas; /* scratch [n], and below */
    bool *computed;
    int *rows;
} session_cache;

int cache_open(session_cache *c, int n, err *e) MUST_CHECK;
void cache_close(session_cache *c);

/* The pass of the next step, after session_decide; dec->state.p and the proposer's are then it. */
int cache_forward(session *s, decision *dec, err *e) MUST_CHECK;
/* The pass of the decode step `back` steps before the last one, while the session is brought to its state. */
int cache_recall(session *s, decision *dec, int back, err *e) MUST_CHECK;

/* Before a decode step changes the state. */
void cache_push(session *s);
/* After a change by hand: the next step computes everything. */
void cache_forget(session *s);
/* After a jump, with the session at the state. */
void cache_seek(session *s, const session_state *to);

#endif
