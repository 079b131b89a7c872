/* inspect_impl.h - private to inspect*.c: one look in the making.
 */
#ifndef TABES_INSPECT_IMPL_H
#define TABES_INSPECT_IMPL_H

#include "engine/inspect.h"
#include "engine/session_impl.h"

typedef struct inspecting {
    session *s;
    const inspect_req *q;
    inspection *out;
    step_record *known; /* of the state, once inspect_know has run; scratch */
    decision dec;
    score_cost cost;
} inspecting;

/* Zeroed memory of the inspection; writes the error when there is none. */
void *inspect_new(inspecting *x, size_t n, size_t size, err *e);

/* The forward pass of the state, kept, and the decision over it. Nothing is computed when there are no masks.
 */
int inspect_know(inspecting *x, err *e) MUST_CHECK;

int inspect_influence(inspecting *x, err *e) MUST_CHECK;
int inspect_truth(inspecting *x, err *e) MUST_CHECK;
int inspect_ranks(inspecting *x, err *e) MUST_CHECK;
int inspect_attention(inspecting *x, err *e) MUST_CHECK;
int inspect_lock_in(inspecting *x, err *e) MUST_CHECK;

#endif
