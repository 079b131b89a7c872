/* mlp.c - SwiGLU, forward and backward: h = silu(g) ⊙ u, silu(g) = g·σ(g),
 * silu'(g) = σ(g)(1 + g(1 - σ(g))). */
#include "kernels/cpu/cpu.h"

static inline float sigmoid(float x) {
    return 1.0f / (1.0f + cpu_expf(-x));
}

/* y may be g. */
CPU_CLONES static void row(float *y, const float *g, const float *u, int f) {
    for (int j = 0; j < f; j++) y[j] = g[j] * sigmoid(g[j]) * u[j];
}

void cpu_swiglu(float *h, const float *gate, const float *up, int n, int f) {
    PARALLEL_FOR(at(n, f) >= PARALLEL_MIN)
    for (int i = 0; i < n; i++) {
        size_t o = at(i, f);
        row(h + o, gate + o, up + o, f);
    }
}

CPU_CLONES static void back_row(float *restrict dg, float *restrict du, const float *restrict dh,
                                const float *restrict g, const float *restrict u, int f) {
    for (int j = 0; j < f; j++) {
        float s = sigmoid(g[j]);
        dg[j] = dh[j] * u[j] * s * (1.0f + g[j] * (1.0f - s));
        du[j] = dh[j] * g[j] * s;
    }
}

void cpu_swiglu_back(float *dgate, float *dup, const float *dh, const float *gate, const float *up, int n,
                     int f) {
    PARALLEL_FOR(at(n, f) >= PARALLEL_MIN)
    for (int i = 0; i < n; i++) {
        size_t o = at(i, f);
        back_row(dgate + o, dup + o, dh + o, gate + o, up + o, f);
    }
}
