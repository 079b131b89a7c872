/* norm.c - a residual sum with its RMS norm, and the norm backward.
 *
 * h = w ⊙ s·r with s = x + y and r = 1/sqrt(mean(s²)+eps). With g = w ⊙ dy,
 * dx = r·g - x·r³·mean(g ⊙ x). Both sums are accumulated in double, left to right; a sum of
 * squares of floats cannot overflow a double, so it is finite exactly when the row is. */
#include "kernels/cpu/cpu.h"

#include <math.h>

static double square_sum(const float *x, int d) {
    double s = 0;
    for (int j = 0; j < d; j++) s += (double)x[j] * x[j];
    return s;
}

static double inverse_rms(double squares, int d, float eps) {
    return 1.0 / sqrt(squares / d + (double)eps);
}

/* x + y in `sum`, or in scratch where that is not wanted. */
static const float *residual(const k_norm *a, int i, size_t from) {
    const float *x = a->x + from, *y = a->y ? cpu_const_floats(a->y) + from : NULL;
    if (!y && !a->sum) return x;
    float *sum = a->sum ? a->sum + at(i, a->d) : cpu_scratch(SLOT_ROW, (size_t)a->d);
    for (int j = 0; j < a->d; j++) sum[j] = y ? x[j] + y[j] : x[j];
    return sum;
}

/* Rows run in parallel and may all be bad. */
static void lower(uint64_t *least, uint64_t to) {
    uint64_t held = __atomic_load_n(least, __ATOMIC_RELAXED);
    while (to < held &&
           !__atomic_compare_exchange_n(least, &held, to, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {}
}

static void norm_row(const k_norm *a, int i) {
    int row = a->rows ? a->rows[i] : i;
    const float *s = residual(a, i, at(row, a->d));
    double squares = square_sum(s, a->d);
    if (a->bad && !isfinite(squares)) lower(a->bad, ((uint64_t)a->stage << 32) + (uint64_t)row);
    if (!a->h) return;
    float r = (float)inverse_rms(squares, a->d, a->eps), *h = cpu_floats(a->h) + at(i, a->d);
    for (int j = 0; j < a->d; j++) h[j] = s[j] * r * a->w[j];
}

void cpu_norm(kernels *k, const k_norm *a) {
    (void)k;
    if (cpu_failed()) return;
    PARALLEL_FOR(at(a->n, a->d) >= PARALLEL_MIN)
    for (int i = 0; i < a->n; i++) norm_row(a, i);
}

static void norm_back_row(const k_norm_back *a, int i) {
    const float *x = a->x + at(a->rows ? a->rows[i] : i, a->d), *w = a->w;
    const float *dy = cpu_const_floats(a->dy) + at(i, a->d);
    float *dx = a->dx + at(i, a->d);
    double r = inverse_rms(square_sum(x, a->d), a->d, a->eps), dot = 0;
    for (int j = 0; j < a->d; j++) dot += (double)dy[j] * w[j] * x[j];
    float p = (float)r, q = (float)(r * r * r * dot / a->d);
    for (int j = 0; j < a->d; j++) dx[j] = (a->add ? dx[j] : 0.0f) + (p * dy[j] * w[j] - q * x[j]);
}

void cpu_norm_back(kernels *k, const k_norm_back *a) {
    (void)k;
    if (cpu_failed()) return;
    PARALLEL_FOR(at(a->n, a->d) >= PARALLEL_MIN)
    for (int i = 0; i < a->n; i++) norm_back_row(a, i);
}
