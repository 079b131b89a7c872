/* session_batch.h - sessions that are about to propose run their passes of the network together.
 *
 *     session *s[2] = {a, b};                  open with one `shared`, in one thread
 *     sessions_prepare(s, 2);
 *     session_propose(a, &x, &e);  session_propose(b, &y, &e);
 *
 * What they propose does not depend on it: a pass that is part of a batch is the same to the bit as one by
 * itself, or there is no batch.
 */
#ifndef TABES_SESSION_BATCH_H
#define TABES_SESSION_BATCH_H

#include "engine/session.h"

/* Runs the passes that the next proposals of these n sessions, all open on one denoiser with one `shared`
 * pass, would ask for as one forward of several sequences, where they start from one prompt and that is exact
 * and worth it. A session that is done, guided, approximate or must go through earlier steps again is left
 * out. Changes no session. Says nothing: what could not be prepared each proposal runs by itself, and meets
 * its own faults and its own cancelling there. The flag of the first session cancels it. */
void sessions_prepare(session *const *s, int n);

#endif
