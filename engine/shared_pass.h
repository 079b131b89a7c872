/* shared_pass.h - the last passes of the sessions that share them, which must have one denoiser and one
 * thread.
 *
 * Panes that stand before the same canvas ask the network the same question one after the other. The second
 * one reads the first one's pass: the same numbers to the bit, since the pass that it would have run is the
 * same work on the same data. Only equal requests are answered so; what differs runs by itself and takes the
 * place of what was there.
 *
 * Requests that are known before they are made can run as one forward of several sequences
 * (shared_pass_batch); each is then answered by its part of it, to the bit what it would have got by itself.
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

enum { SHARED_PASS_MOST = 4 }; /* requests that run together */

shared_pass *shared_pass_new(void); /* NULL: out of memory */
void shared_pass_free(shared_pass *m);
/* The pass that requests by themselves are run in; for a session to run in, after shared_pass_forget. */
pass *shared_pass_of(shared_pass *m);

/* *out is the pass of this request, guided when `guidance` is above 0: one that is there if it is of the same
 * request, and then *ms is what that took; else a new one, and *ms is 0. Of a pass that was part of a batch
 * *ms is the batch's time over the number of its sequences. Borrowed until the next run or batch. */
int shared_pass_run(shared_pass *m, denoiser *d, const forward_req *q, double guidance, pass **out,
                    double *ms, err *e) MUST_CHECK;

/* Runs those of n requests of one sequence each, all without guidance, that may run together
 * (denoiser_batches, the same of their activations kept) as one forward, which shared_pass_run then answers
 * them from. Runs nothing where that would be fewer than two: equal requests count once, and what is answered
 * already does not count. The flag of the first one cancels it. On failure no part is there; any of the
 * sequences may be at fault, so each had better be run by itself. */
int shared_pass_batch(shared_pass *m, denoiser *d, const forward_req *q, int n, err *e) MUST_CHECK;

/* The pass of shared_pass_of is about to hold something else. */
void shared_pass_forget(shared_pass *m);

/* Passes that were read again instead of being run. */
int64_t shared_pass_hits(const shared_pass *m);
/* Forwards of several requests. */
int64_t shared_pass_batches(const shared_pass *m);

#endif
