/* mlp.c - what stands between an MLP's products, forward and backward.
 *
 * SwiGLU: h = silu(g) ⊙ u, silu(g) = g·σ(g), silu'(g) = σ(g)(1 + g(1 - σ(g))); gate and up lie side by side
 * in a row. GELU, the tanh form: h = x·σ(2s) with s = sqrt(2/π)(x + 0.044715x³), because
 * (1 + tanh s)/2 = σ(2s); its slope is σ + 2x·σ(1-σ)·s'. */
#include "kernels/cpu/cpu.h"

enum { PIECE = 256 }; /* elements at a time */

static int piece_after(int first, int n) {
    return n - first < PIECE ? n - first : PIECE;
}

/* s[n] becomes σ(s). */
static inline void sigmoids(float *s, int n) {
    for (int j = 0; j < n; j++) s[j] = -s[j];
    cpu_exp_floats(s, n);
    for (int j = 0; j < n; j++) s[j] = 1.0f / (1.0f + s[j]);
}

CPU_CLONES static void row(float *restrict h, const float *restrict g, const float *restrict u, int f) {
    for (int first = 0, n; first < f; first += n, h += n, g += n, u += n) {
        float s[PIECE];
        n = piece_after(first, f);
        for (int j = 0; j < n; j++) s[j] = g[j];
        sigmoids(s, n);
        for (int j = 0; j < n; j++) h[j] = g[j] * s[j] * u[j];
    }
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
    for (int first = 0, n; first < f; first += n, dg += n, du += n, dh += n, g += n, u += n) {
        float s[PIECE];
        n = piece_after(first, f);
        for (int j = 0; j < n; j++) s[j] = g[j];
        sigmoids(s, n);
        for (int j = 0; j < n; j++) dg[j] = dh[j] * u[j] * s[j] * (1.0f + g[j] * (1.0f - s[j]));
        for (int j = 0; j < n; j++) du[j] = dh[j] * g[j] * s[j];
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

/* σ(2s) of n elements. */
static inline void gelu_sigmoids(float *restrict s, const float *restrict x, int n) {
    for (int j = 0; j < n; j++) s[j] = GELU_SCALE * (x[j] + GELU_CUBIC * x[j] * x[j] * x[j]);
    sigmoids(s, n);
}

CPU_CLONES static void gelu_row(float *restrict h, const float *restrict x, int f) {
    for (int first = 0, n; first < f; first += n, h += n, x += n) {
        float s[PIECE];
        n = piece_after(first, f);
        gelu_sigmoids(s, x, n);
        for (int j = 0; j < n; j++) h[j] = x[j] * s[j];
    }
}

void cpu_gelu(kernels *k, k_act *h, const k_act *x, int n, int f) {
    (void)k;
    if (cpu_failed()) return;
    PARALLEL_FOR(at(n, f) >= PARALLEL_MIN)
    for (int i = 0; i < n; i++) gelu_row(cpu_floats(h) + at(i, f), cpu_const_floats(x) + at(i, f), f);
}

CPU_CLONES static void gelu_back_row(float *restrict dx, const float *restrict dh, const float *restrict x,
                                     int f) {
    for (int first = 0, n; first < f; first += n, dx += n, dh += n, x += n) {
        float s[PIECE];
        n = piece_after(first, f);
        gelu_sigmoids(s, x, n);
        for (int j = 0; j < n; j++) {
            float slope = GELU_SCALE * (1.0f + 3.0f * GELU_CUBIC * x[j] * x[j]);
            dx[j] = dh[j] * (s[j] + x[j] * s[j] * (1.0f - s[j]) * slope);
        }
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
