/* shared_pass.h - the last pass of the sessions that share it, which must have one denoiser and one thread.
 *
 * Panes that stand before the same canvas ask the network the same question one after the other. The second
 * one reads the first one's pass: the same numbers to the bit, since the pass that it would have run is the
 * same work on the same data. Only equal requests are answered so; what differs runs by itself and takes the
 * place of what was there.
 *
 *     shared_pass *m = shared_pass_new();
 *     session_open(&a, d, &(session_opts){..., .shared = m}, &e);
 *     session_open(&b, d, &(session_opts){..., .shared = m}, &e);
 *     session_close(a), session_close(b);  shared_pass_free(m);
 *
 * Whoever shares must be done with the pass before another session proposes: a session is, between its calls.
 */
#ifndef TABES_SHARED_PASS_H
#define TABES_SHARED_PASS_H

#include "engine/session.h"

shared_pass *shared_pass_new(void); /* NULL: out of memory */
void shared_pass_free(shared_pass *m);
pass *shared_pass_of(shared_pass *m);

/* Leaves the pass of this request in shared_pass_of, guided when `guidance` is above 0: the one that is there
 * if it is of the same request, and then *ms is what that took; else a new one, and *ms is 0. */
int shared_pass_run(shared_pass *m, denoiser *d, const forward_req *q, double guidance, double *ms,
                    err *e) MUST_CHECK;

/* The pass is about to hold something else. */
void shared_pass_forget(shared_pass *m);

/* Passes that were read again instead of being run. */
int64_t shared_pass_hits(const shared_pass *m);

#endif
