/* bench.h - the room's public header: how fast a model decodes here, and where its steps spend their time.
 *
 *     bench_result r;
 *     if (bench_run(&r, &m, &(bench_opts){.seconds = 30}, &e)) return report(&e);
 *     r.decodes[i].ratio ...
 *
 * Every decode starts with half of n random tokens and half masks and writes one token a step. Steps are
 * timed at several numbers of masks, policies in turn, so that a machine that slows down slows all of them;
 * each time is the median of its repeats. A decode's time is the sum over its steps, with straight lines
 * between the numbers of masks that were measured; where there is time for it, whole decodes are run.
 */
#ifndef TABES_BENCH_H
#define TABES_BENCH_H

#include "bench/ceilings.h"
#include "engine/engine.h"
#include "engine/timed.h"

enum {
    BENCH_LENGTHS = 3,
    BENCH_KINDS = 4,  /* greedy, and BoE at three rho */
    BENCH_POINTS = 5, /* numbers of masks */
    BENCH_STEPS = BENCH_LENGTHS * BENCH_KINDS * BENCH_POINTS,
    BENCH_DECODES = BENCH_LENGTHS * BENCH_KINDS
};

typedef struct bench_opts {
    double seconds; /* aimed at; a large model takes longer, since a few steps are always measured */
    const atomic_bool *cancel;
} bench_opts;

/* A phase of one BoE step, in the step that was the median of `repeats`. */
typedef struct bench_phase {
    const char *name;
    phase_time time;
    double share;      /* of the step */
    double of_ceiling; /* the larger of its arithmetic and its bytes a second, over the ceiling's */
} bench_phase;

typedef struct bench_step {
    int n, masked;
    double rho; /* 0: greedy */
    double ms;
    int repeats;
} bench_step;

typedef struct bench_decode {
    int n;
    double rho;            /* 0: greedy */
    double seconds, ratio; /* ratio: over greedy's */
    bool extrapolated;
    int sampled_steps; /* different steps measured: all of them when it is not extrapolated */
    int steps;         /* of the decode */
} bench_decode;

typedef struct bench_result {
    ceilings top;
    bench_phase phases[N_PHASES];
    int phases_n, phases_masked, phases_repeats;
    double phases_rho, phases_seconds;
    bool serialised; /* the phases' operations were waited for, one by one */
    bench_step steps[BENCH_STEPS];
    int n_steps;
    bench_decode decodes[BENCH_DECODES];
    int n_decodes;
    int rounds; /* how often every step was measured, about */
    double seconds;
    /* Bytes: of the process now and at its peak, of weights and a session of `rows` positions (as
     * denoiser_needs), of a device that is not the CPU. */
    size_t resident, peak, weights, session, device;
    int rows;
} bench_result;

int bench_run(bench_result *out, model *m, const bench_opts *o, err *e) MUST_CHECK;

#endif
