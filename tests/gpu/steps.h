/* steps.h - the steps that are measured: a state of N positions, the first half random tokens (the prompt),
 * the second half masks, and what a greedy or a BoE step does with it through the engine's public interface.
 *
 * Every call ends with its results on the host, so a wall clock around it measures all of it. */
#ifndef TABES_TEST_STEPS_H
#define TABES_TEST_STEPS_H

#include "engine/engine.h"

typedef struct state {
    denoiser *d;
    const denoiser_info *info;
    pass *p;
    int n, n_masked;
    int32_t *tokens;
    int *masked;
    row_ref *rows;
    /* of the step: */
    double rho;
    active_rows act;
    int n_cand, n_active, n_head; /* n_head: objective rows that are active */
    int *cand, *active;
    float *soft;
    double *tis;
} state;

/* Milliseconds: the whole step, then its parts. PART_BACKWARD is denoiser_backward once more, by itself,
 * after the step: PART_TIS without the sums on the host. */
enum { PART_STEP, PART_FORWARD, PART_SOFT, PART_TIS, PART_BACKWARD, N_PARTS };

int state_open(state *s, denoiser *d, int n, err *e) MUST_CHECK;
void state_close(state *s);

/* Median milliseconds of `repeat` greedy steps: a forward whose activations are not kept, and statistics. */
int step_greedy(state *s, int repeat, double ms[N_PARTS], err *e) MUST_CHECK;

/* The same of a BoE step: a kept forward, candidates, soft writes, and TIS mask/masked/`act`. With
 * ACTIVE_DENSE rho is 1. Leaves n_cand, n_active and n_head. */
int step_boe(state *s, active_rows act, double rho, int repeat, double ms[N_PARTS], err *e) MUST_CHECK;

#endif
