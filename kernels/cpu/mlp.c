/* mlp.c - what stands between an MLP's products, forward and backward.
 *
 * SwiGLU: h = silu(g) ⊙ u, silu(g) = g·σ(g), silu'(g) = σ(g)(1 + g(1 - σ(g))); gate and up lie side by side
 * in a row. GELU, the tanh form: h = x·σ(2s) with s = sqrt(2/π)(x + 0.044715x³), because
 * (1 + tanh s)/2 = σ(2s); its slope is σ + 2x·σ(1-σ)·s'. */
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

/* 2·sqrt(2/π), and the cubic's share. */
static const float GELU_SCALE = 1.5957691216057308f, GELU_CUBIC = 0.044715f;

CPU_CLONES static void gelu_row(float *restrict h, const float *restrict x, int f) {
    for (int j = 0; j < f; j++) h[j] = x[j] * sigmoid(GELU_SCALE * (x[j] + GELU_CUBIC * x[j] * x[j] * x[j]));
}

void cpu_gelu(kernels *k, k_act *h, const k_act *x, int n, int f) {
    (void)k;
    if (cpu_failed()) return;
    PARALLEL_FOR(at(n, f) >= PARALLEL_MIN)
    for (int i = 0; i < n; i++) gelu_row(cpu_floats(h) + at(i, f), cpu_const_floats(x) + at(i, f), f);
}

CPU_CLONES static void gelu_back_row(float *restrict dx, const float *restrict dh, const float *restrict x,
                                     int f) {
    for (int j = 0; j < f; j++) {
        float s = sigmoid(GELU_SCALE * (x[j] + GELU_CUBIC * x[j] * x[j] * x[j]));
        float slope = GELU_SCALE * (1.0f + 3.0f * GELU_CUBIC * x[j] * x[j]);
        dx[j] = dh[j] * (s + x[j] * s * (1.0f - s) * slope);
    }
}

void cpu_gelu_back(kernels *k, k_act *dx, const k_act *dh, const k_act *x, const int *rows, int n, int f) {
    (void)k;
    if (cpu_failed()) return;
    PARALLEL_FOR(at(n, f) >= PARALLEL_MIN)
    for (int i = 0; i < n; i++) {
        const float *from = cpu_const_floats(x) + at(rows ? rows[i] : i, f);
        gelu_back_row(cpu_floats(dx) + at(i, f), cpu_const_floats(dh) + at(i, f), from, f);
    }
}
