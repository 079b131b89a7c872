/* head.c - what rows of logits say: statistics, the entropy's gradient, soft writes.
 *
 * All in double per element. With m the maximum, S = Σ exp(z-m) and T = Σ (z-m)exp(z-m),
 * H = log S - T/S, which is exactly 0 when all but one π underflow. */
#include "kernels/cpu/cpu.h"

#include <assert.h>
#include <math.h>

static void clear(k_top *t) {
    for (int i = 0; i < K_TOP; i++) t->id[i] = -1, t->z[i] = -INFINITY;
}

/* Puts id v among the `most` highest; it comes after its equals. */
static void insert(k_top *t, int most, int v, float z) {
    int i = most - 1;
    for (; i > 0 && z > t->z[i - 1]; i--) t->id[i] = t->id[i - 1], t->z[i] = t->z[i - 1];
    t->id[i] = v, t->z[i] = z;
}

/* The `most` highest logits; false if a NaN or +inf is met or nothing is finite. */
static bool highest(k_top *t, int most, const float *z, int V, int mask) {
    clear(t);
    for (int v = 0; v < V; v++) {
        if (v == mask || z[v] <= t->z[most - 1]) continue;
        if (isnan(z[v]) || isinf(z[v])) return false;
        insert(t, most, v, z[v]);
    }
    return t->id[0] >= 0;
}

/* `t` has at least the two highest. */
static k_row_stats row_stats(const k_top *t, const float *z, int V, int mask) {
    double m = (double)t->z[0], S = 0, T = 0;
    for (int v = 0; v < V; v++) {
        if (v == mask || isinf(z[v])) continue;
        double x = (double)z[v] - m, p = exp(x);
        S += p;
        T += x * p;
    }
    double H = log(S) - T / S;
    return (k_row_stats){.lse = m + log(S),
                         .entropy = H > 0 ? H : 0,
                         .confidence = 1 / S,
                         .margin = (1 - exp((double)t->z[1] - m)) / S,
                         .argmax = t->id[0]};
}

void cpu_head_stats(kernels *k, k_row_stats *stats, k_top *top, const float *logits, int n, int V, int mask) {
    (void)k;
    if (cpu_failed()) return;
    PARALLEL_FOR(at(n, V) >= PARALLEL_MIN)
    for (int i = 0; i < n; i++) {
        const float *z = logits + at(i, V);
        k_top two, *t = top ? top + i : &two;
        bool good = highest(t, top ? K_TOP : 2, z, V, mask);
        stats[i] = good ? row_stats(t, z, V, mask) : (k_row_stats){.bad = true};
        if (!good) clear(t);
    }
}

static void entropy_back_row(float *dz, const float *z, const k_row_stats *s, double scale, int V, int mask) {
    for (int v = 0; v < V; v++) {
        double lp = (double)z[v] - s->lse;
        bool none = v == mask || isinf(z[v]);
        dz[v] = none ? 0.0f : (float)(-scale * exp(lp) * (lp + s->entropy));
    }
}

void cpu_entropy_back(kernels *k, k_act *dz, const float *logits, const k_row_stats *stats, const int *rows,
                      int n, int V, int mask, float scale, k_counts *c) {
    (void)k;
    if (c) c->head_calls++, c->head_rows += n;
    if (cpu_failed()) return;
    PARALLEL_FOR(at(n, V) >= PARALLEL_MIN)
    for (int i = 0; i < n; i++) {
        int row = rows ? rows[i] : i;
        entropy_back_row(cpu_floats(dz) + at(i, V), logits + at(row, V), stats + row, (double)scale, V, mask);
    }
}

/* p[v - first] = π_v, for ids [first, first+count). */
static void probabilities(float *p, const float *z, double lse, int mask, int first, int count) {
    for (int v = 0; v < count; v++) p[v] = (float)exp((double)z[first + v] - lse);
    if (mask >= first && mask < first + count) p[mask - first] = 0;
}

void cpu_soft_write(kernels *k, float *out, const float *logits, const k_row_stats *stats, const int *rows,
                    int n, int V, int mask, const k_weight *E) {
    (void)k;
    enum { TILE_IDS = 8192 };
    assert(V <= E->rows);
    if (n <= 0 || cpu_failed()) return;
    for (cpu_tile t = {0}; cpu_next_tile(E, V, TILE_IDS, &t);) {
        float *p = cpu_scratch(SLOT_SCORES, at(n, t.n));
        PARALLEL_FOR(at(n, t.n) >= PARALLEL_MIN)
        for (int i = 0; i < n; i++) {
            int row = rows ? rows[i] : i;
            probabilities(p + at(i, t.n), logits + at(row, V), stats[row].lse, mask, t.first, t.n);
        }
        cpu_gemm(&(cpu_product){.m = n,
                                .n = E->cols,
                                .k = t.n,
                                .alpha = 1,
                                .a = p,
                                .lda = t.n,
                                .b = t.data,
                                .ldb = E->cols,
                                .beta = t.first ? 1.0f : 0.0f,
                                .c = out,
                                .ldc = E->cols});
    }
}
