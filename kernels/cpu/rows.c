/* rows.c - moving rows between float arrays, and floats into activations. */
#include "kernels/cpu/cpu.h"

#include <math.h>

static void scale_row(float *y, const float *x, float c, int d) {
    for (int j = 0; j < d; j++) y[j] = c * x[j];
}

void cpu_rows(kernels *k, float *y, const int *dst, const float *x, const int *src, const float *coef, int n,
              int d) {
    (void)k;
    if (cpu_failed()) return;
    PARALLEL_FOR(at(n, d) >= PARALLEL_MIN && !dst)
    for (int i = 0; i < n; i++) {
        float *to = y + at(dst ? dst[i] : i, d);
        const float *from = x + at(src ? src[i] : i, d);
        if (coef)
            scale_row(to, from, coef[i], d);
        else
            memcpy(to, from, (size_t)d * sizeof *to);
    }
}

void cpu_narrow(kernels *k, k_act *y, const float *x, size_t n) {
    (void)k;
    if (n && !cpu_failed()) memcpy(y, x, n * sizeof *x);
}

void cpu_gate(kernels *k, k_act *y, const float *x, const float *w, int n, int d) {
    (void)k;
    if (cpu_failed()) return;
    float *to = cpu_floats(y);
    PARALLEL_FOR(at(n, d) >= PARALLEL_MIN)
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < d; j++) to[at(i, d) + (size_t)j] = x[at(i, d) + (size_t)j] * w[j];
    }
}

void cpu_blend(kernels *k, float *z, const float *u, float s, size_t n) {
    (void)k;
    if (cpu_failed()) return;
    PARALLEL_FOR(n >= PARALLEL_MIN)
    for (size_t i = 0; i < n; i++) z[i] = isinf(z[i]) || isinf(u[i]) ? -INFINITY : u[i] + s * (z[i] - u[i]);
}
