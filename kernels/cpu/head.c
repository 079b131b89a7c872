/* head.c - what rows of logits say: statistics, the entropy's gradient, soft writes.
 *
 * All in double per element. With m the maximum, S = Σ exp(z-m) and T = Σ (z-m)exp(z-m),
 * H = log S - T/S, which is exactly 0 when all but one π underflow. */
#include "kernels/cpu/cpu.h"

#include <assert.h>
#include <math.h>

/* The two highest logits; false if a NaN or +inf is met or nothing is finite. */
static bool top_two(const float *z, int V, int mask, int *best, float *second) {
    *best = -1;
    *second = -INFINITY;
    for (int v = 0; v < V; v++) {
        if (v == mask) continue;
        if (isnan(z[v]) || (isinf(z[v]) && z[v] > 0)) return false;
        if (isinf(z[v])) continue;
        if (*best < 0) {
            *best = v;
        } else if (z[v] > z[*best]) {
            *second = z[*best];
            *best = v;
        } else if (z[v] > *second) {
            *second = z[v];
        }
    }
    return *best >= 0;
}

static k_row_stats row_stats(const float *z, int V, int mask) {
    int best;
    float second;
    if (!top_two(z, V, mask, &best, &second)) return (k_row_stats){.bad = true};
    double m = (double)z[best], S = 0, T = 0;
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
                         .margin = (1 - exp((double)second - m)) / S,
                         .argmax = best};
}

void cpu_head_stats(k_row_stats *out, const float *logits, int n, int V, int mask) {
    PARALLEL_FOR(at(n, V) >= PARALLEL_MIN)
    for (int i = 0; i < n; i++) out[i] = row_stats(logits + at(i, V), V, mask);
}

static void entropy_back_row(float *dz, const float *z, const k_row_stats *s, double weight, int V,
                             int mask) {
    for (int v = 0; v < V; v++) {
        double lp = (double)z[v] - s->lse;
        bool none = v == mask || isinf(z[v]);
        dz[v] = none ? 0.0f : (float)(-weight * exp(lp) * (lp + s->entropy));
    }
}

void cpu_entropy_back(float *dz, const float *logits, const k_row_stats *stats, const float *weight, int n,
                      int V, int mask, k_counts *c) {
    if (c) c->head_calls++, c->head_rows += n;
    PARALLEL_FOR(at(n, V) >= PARALLEL_MIN)
    for (int i = 0; i < n; i++) {
        entropy_back_row(dz + at(i, V), logits + at(i, V), stats + i, (double)weight[i], V, mask);
    }
}

/* p[i][v - first] = π_v of row i, for ids [first, first+count). */
static void probability_tile(float *p, const float *logits, const k_row_stats *stats, int n, int V, int mask,
                             int first, int count) {
    PARALLEL_FOR(at(n, count) >= PARALLEL_MIN)
    for (int i = 0; i < n; i++) {
        const float *z = logits + at(i, V) + first;
        float *row = p + at(i, count);
        for (int v = 0; v < count; v++) row[v] = (float)exp((double)z[v] - stats[i].lse);
        if (mask >= first && mask < first + count) row[mask - first] = 0;
    }
}

void cpu_soft_write(float *out, const float *logits, const k_row_stats *stats, int n, int V, int mask,
                    const k_matrix *E) {
    assert(V <= E->rows);
    int step = cpu_tile_rows(E);
    if (step > 8192) step = 8192;
    for (int first = 0; first < V && n > 0; first += step) {
        int count = V - first < step ? V - first : step;
        float *p = cpu_scratch(SLOT_SCORES, at(n, count));
        probability_tile(p, logits, stats, n, V, mask, first, count);
        cpu_gemm(&(cpu_product){.m = n,
                                .n = E->cols,
                                .k = count,
                                .alpha = 1,
                                .a = p,
                                .lda = count,
                                .b = cpu_rows(E, first, count),
                                .ldb = E->cols,
                                .beta = first ? 1.0f : 0.0f,
                                .c = out,
                                .ldc = E->cols});
    }
}
