/* session_impl.h - private to session*.c and inspect*.c: the parts of a step, for those who look at a state
 * without taking it. None changes the session's state; the pass that they leave is valid until the next call.
 */
#ifndef TABES_SESSION_IMPL_H
#define TABES_SESSION_IMPL_H

#include "engine/session.h"

denoiser *session_denoiser(session *s);
const atomic_bool *session_cancel(const session *s);
const policy *session_policy(const session *s);
/* The token that position `pos` had at the start. */
int32_t session_start_token(const session *s, int pos);

/* Masks and the decision over them, nothing computed yet: dec->state.n_masked and dec->budget may be 0. */
void session_decide(session *s, step_record *r, decision *dec);
/* What of a pass's activations is saved: those that a backward through rows of masks needs, or all. */
typedef enum kept_rows { KEPT_NONE, KEPT_ASKED, KEPT_ALL } kept_rows;
/* One forward pass over the masks; what it knows goes into dec->rec. It is of all rows, also where the
 * decode's own steps read a kv-cache. */
int session_know(session *s, decision *dec, kept_rows kept, err *e) MUST_CHECK;
/* The policy's scores and writes; after session_know, and with a budget. */
int session_choose(session *s, decision *dec, err *e) MUST_CHECK;
/* TIS of the default triple at the default candidates into rec->observed; after a kept session_know. */
int session_observe(const decision *dec, err *e) MUST_CHECK;

#endif
