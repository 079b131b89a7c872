/* stats.h - how sure counts are: intervals and paired tests. */
#ifndef TABES_EVAL_STATS_H
#define TABES_EVAL_STATS_H

#include <stdint.h>

typedef struct interval {
    double low, high;
} interval;

/* 95 % Wilson score interval of k successes in n trials; 0..1 when n is 0. */
interval stats_wilson(int k, int n);

/* Exact McNemar test: two-sided p of `a` and `b` discordant pairs under equal chances, 1 when there are none.
 * p = min(1, 2·P(X <= min(a, b))), X ~ Binomial(a + b, 1/2). */
double stats_mcnemar(int a, int b);

/* 95 % percentile interval of the mean of d[n], over `draws` resamples of whole items. The same input gives
 * the same interval. */
enum { STATS_DRAWS = 2000 };
interval stats_bootstrap(const double *d, int n, int draws, uint64_t seed);

#endif
