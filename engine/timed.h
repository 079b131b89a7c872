/* timed.h - a denoiser that notes where its time goes.
 *
 * It is a fork whose device forwards every operation to the real one and waits for it, so on a GPU
 * operations run one after the other (and graphs are not replayed): a step takes longer than an untimed
 * one there. Time outside operations, on the host, is in no phase.
 *
 *     phase_times t = {0};
 *     denoiser_fork_timed(&timed, d, &t, &e);
 *     ... steps with `timed`; t.at[PHASE_QKV].seconds ...
 *     denoiser_close(timed);
 */
#ifndef TABES_TIMED_H
#define TABES_TIMED_H

#include "engine/denoiser.h"

typedef enum phase {
    PHASE_EMBEDDING,
    PHASE_NORMS,     /* and what is added and gated on the way */
    PHASE_QKV,       /* product, norms of heads, rotation */
    PHASE_ATTENTION, /* scores, softmax, mixing of values */
    PHASE_OUTPUT,    /* attention's output product */
    PHASE_MLP,
    PHASE_HEAD,      /* logits */
    PHASE_SELECTION, /* statistics of rows and their highest logits */
    PHASE_SOFT,      /* soft writes */
    PHASE_BACK_HEAD,
    PHASE_BACK_MLP, /* with gate and up once more where the pass did not keep them */
    PHASE_BACK_OUTPUT,
    PHASE_BACK_ATTENTION,
    PHASE_BACK_QKV,
    PHASE_BACK_NORMS,
    N_PHASES
} phase;

const char *phase_name(phase p); /* "embedding", "backward mlp" */

/* Arithmetic: a multiplication and an addition are two; only products and attention count. Bytes: weights as
 * they lie in memory, and what an operation reads and writes, each once. */
typedef struct phase_time {
    double seconds, flops, bytes;
    int64_t calls;
} phase_time;

typedef struct phase_times {
    phase_time at[N_PHASES];
} phase_times;

/* Adds to *t from now on; t must outlive the fork. Close it before the denoiser it came from. */
int denoiser_fork_timed(denoiser **out, denoiser *d, phase_times *t, err *e) MUST_CHECK;

#endif
