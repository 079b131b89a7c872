/* correlation.c - rank correlations. Kendall compares all pairs: lists here are candidates of one step. */
#include "engine/correlation.h"

#include <math.h>
#include <stdlib.h>

#include "engine/base/mem.h"
#include "engine/rank.h"

static double value_of(const void *ctx, int i) {
    return ((const double *)ctx)[i];
}

/* Ranks from 1, equal values sharing their mean. order is scratch. */
static void average_ranks(const double *x, int n, int *order, double *rank) {
    rank_order(value_of, x, n, order);
    for (int i = 0; i < n;) {
        int j = i;
        while (j < n && x[order[j]] >= x[order[i]]) j++; /* sorted downwards: >= is equal */
        for (int k = i; k < j; k++) rank[order[k]] = 0.5 * (i + 1 + j);
        i = j;
    }
}

static double pearson(const double *x, const double *y, int n) {
    double mx = 0, my = 0, xx = 0, yy = 0, xy = 0;
    for (int i = 0; i < n; i++) mx += x[i] / n, my += y[i] / n;
    for (int i = 0; i < n; i++) {
        xx += (x[i] - mx) * (x[i] - mx);
        yy += (y[i] - my) * (y[i] - my);
        xy += (x[i] - mx) * (y[i] - my);
    }
    return xx > 0 && yy > 0 ? xy / sqrt(xx * yy) : (double)NAN;
}

/* A value that is no number has no rank. */
static bool all_numbers(const double *x, int n) {
    for (int i = 0; i < n; i++) {
        if (isnan(x[i])) return false;
    }
    return true;
}

double correlation_spearman(const double *x, const double *y, int n) {
    if (n < 2 || !all_numbers(x, n) || !all_numbers(y, n)) return (double)NAN;
    double *ranks = mem_new(2 * (size_t)n, sizeof *ranks), out = (double)NAN;
    int *order = mem_new((size_t)n, sizeof *order);
    if (ranks && order) {
        average_ranks(x, n, order, ranks);
        average_ranks(y, n, order, ranks + n);
        out = pearson(ranks, ranks + n, n);
    }
    free(ranks);
    free(order);
    return out;
}

static int sign(double a, double b) {
    return (a > b) - (a < b);
}

double correlation_kendall(const double *x, const double *y, int n) {
    double agree = 0, apart_x = 0, apart_y = 0;
    if (!all_numbers(x, n) || !all_numbers(y, n)) return (double)NAN;
    for (int i = 0; i < n; i++) {
        for (int j = i + 1; j < n; j++) {
            int a = sign(x[i], x[j]), b = sign(y[i], y[j]);
            agree += a * b;
            apart_x += a != 0;
            apart_y += b != 0;
        }
    }
    return apart_x > 0 && apart_y > 0 ? agree / sqrt(apart_x * apart_y) : (double)NAN;
}
