/* decode_time.h - private: steps and decodes of one length. */
#ifndef TABES_DECODE_TIME_H
#define TABES_DECODE_TIME_H

#include "bench/bench.h"

enum { MOST_REPEATS = 15 };

extern const double bench_rhos[BENCH_KINDS]; /* in the order of measuring; 0: greedy */

double bench_median(double *v, int n); /* sorts */

/* A decode from n/2 random tokens and masks behind them. */
typedef struct decode_time {
    session *s;
    int32_t *tokens; /* [n] */
    int *order;      /* positions in the order in which they are written to come to a state */
    int n, masks;
    const denoiser_info *info;
    step_setting settings[BENCH_KINDS];
    int points[BENCH_POINTS], n_points; /* numbers of masks: all, one, and between */
    double ms[BENCH_KINDS][BENCH_POINTS][MOST_REPEATS];
    int repeats[BENCH_KINDS][BENCH_POINTS];
    double whole[BENCH_KINDS][MOST_REPEATS]; /* seconds of decodes that were run */
    int wholes;
    double point_seconds; /* what one point took, last */
} decode_time;

int decode_time_open(decode_time *t, denoiser *d, const model_tuning *tuning, int n,
                     const atomic_bool *cancel, err *e) MUST_CHECK;
void decode_time_close(decode_time *t);

/* Milliseconds of one step with `masked` masks left. */
int decode_time_step(decode_time *t, int kind, int masked, double *ms, err *e) MUST_CHECK;

/* One more step of every kind at as many points as fit before `deadline`, the least measured first; at both
 * ends once at least. */
int decode_time_round(decode_time *t, double deadline, err *e) MUST_CHECK;

/* A whole decode of every kind. */
int decode_time_whole(decode_time *t, err *e) MUST_CHECK;

/* Seconds of a whole decode by what was measured; and of all kinds. */
double decode_time_estimate(const decode_time *t, int kind);
double decode_time_estimate_all(const decode_time *t);

/* Adds its steps and decodes. */
void decode_time_report(const decode_time *t, bench_result *r);

#endif
