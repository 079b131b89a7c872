/* stats.c - closed forms where there are some, and resampling with the project's counter-based draws. */
#include "eval/stats.h"

#include <math.h>
#include <stdlib.h>

#include "engine/base/mem.h"
#include "engine/base/rng.h"

static const double Z = 1.959963984540054; /* 97.5 % point of the normal distribution */

interval stats_wilson(int k, int n) {
    if (n <= 0) return (interval){0, 1};
    double p = (double)k / n, d = 1 + Z * Z / n;
    double mid = (p + Z * Z / (2.0 * n)) / d, half = Z * sqrt(p * (1 - p) / n + Z * Z / (4.0 * n * n)) / d;
    /* At the ends the bound is exact, but for rounding. */
    return (interval){k == 0 ? 0 : fmax(0, mid - half), k == n ? 1 : fmin(1, mid + half)};
}

double stats_mcnemar(int a, int b) {
    int n = a + b, low = a < b ? a : b;
    if (n == 0) return 1;
    double sum = 0;
    for (int i = 0; i <= low; i++)
        sum += exp(lgamma(n + 1.0) - lgamma(i + 1.0) - lgamma(n - i + 1.0) - n * log(2));
    return fmin(1, 2 * sum);
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double resampled_mean(const double *d, int n, uint64_t seed, int draw) {
    double sum = 0;
    for (int i = 0; i < n; i++) {
        double u = rng_uniform(seed, (uint64_t)draw, (uint64_t)i, 0, RNG_TRUTH);
        sum += d[(int)(u * n)];
    }
    return sum / n;
}

interval stats_bootstrap(const double *d, int n, int draws, uint64_t seed) {
    double *means = mem_new((size_t)draws, sizeof *means);
    if (!means || n <= 0 || draws <= 0) {
        free(means);
        return (interval){NAN, NAN};
    }
    for (int k = 0; k < draws; k++) means[k] = resampled_mean(d, n, seed, k);
    qsort(means, (size_t)draws, sizeof *means, by_value);
    int low = (int)floor(0.025 * (draws - 1)), high = (int)ceil(0.975 * (draws - 1));
    interval out = {means[low], means[high]};
    free(means);
    return out;
}
