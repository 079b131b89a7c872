/* mlp.c - SwiGLU, forward and backward: h = silu(g) ⊙ u, silu(g) = g·σ(g),
 * silu'(g) = σ(g)(1 + g(1 - σ(g))). Gate and up lie side by side in a row. */
#include "kernels/cpu/cpu.h"

static inline float sigmoid(float x) {
    return 1.0f / (1.0f + cpu_expf(-x));
}

CPU_CLONES static void row(float *restrict h, const float *restrict g, const float *restrict u, int f) {
    for (int j = 0; j < f; j++) h[j] = g[j] * sigmoid(g[j]) * u[j];
}

void cpu_swiglu(kernels *k, k_act *h, const k_act *gu, int n, int f) {
    (void)k;
    if (cpu_failed()) return;
    PARALLEL_FOR(at(n, f) >= PARALLEL_MIN)
    for (int i = 0; i < n; i++) {
        const float *g = cpu_const_floats(gu) + at(i, 2 * f);
        row(cpu_floats(h) + at(i, f), g, g + f, f);
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

void cpu_swiglu_back(kernels *k, k_act *dgu, const k_act *dh, const k_act *gu, const int *rows, int n,
                     int f) {
    (void)k;
    if (cpu_failed()) return;
    PARALLEL_FOR(at(n, f) >= PARALLEL_MIN)
    for (int i = 0; i < n; i++) {
        const float *g = cpu_const_floats(gu) + at(rows ? rows[i] : i, 2 * f);
        float *dg = cpu_floats(dgu) + at(i, 2 * f);
        back_row(dg, dg + f, cpu_const_floats(dh) + at(i, f), g, g + f, f);
    }
}
