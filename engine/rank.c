/* rank.c - sorting with a rule for ties, so that equal keys give the same order everywhere. */
#include "engine/rank.h"

#include <math.h>
#include <stdlib.h>

typedef struct order {
    rank_key *key;
    const void *ctx;
} order;

static int by_key(const void *a, const void *b, void *ctx) {
    const order *o = ctx;
    int i = *(const int *)a, j = *(const int *)b;
    double x = o->key(o->ctx, i), y = o->key(o->ctx, j);
    if (x > y) return -1;
    if (x < y) return 1;
    if (isnan(x) != isnan(y)) return isnan(x) ? 1 : -1;
    return i < j ? -1 : i > j;
}

static int by_value(const void *a, const void *b) {
    int x = *(const int *)a, y = *(const int *)b;
    return x < y ? -1 : x > y;
}

void rank_order(rank_key *key, const void *ctx, int n, int *out) {
    order o = {key, ctx};
    for (int i = 0; i < n; i++) out[i] = i;
    if (n > 1) qsort_r(out, (size_t)n, sizeof *out, by_key, &o);
}

void rank_ascending(int *a, int n) {
    if (n > 1) qsort(a, (size_t)n, sizeof *a, by_value);
}
