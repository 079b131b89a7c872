/* norm.c - a residual sum with its norm, the norm of heads, and their backwards.
 *
 * With s the row (less its mean when centred), r = 1/sqrt(mean(s²)+eps) and h = w ⊙ s·r + b. With g = w ⊙ dy,
 * ds = r·g - s·r³·mean(g ⊙ s), less mean(r·g) when centred (the other term's mean is zero then). Sums are
 * accumulated in double, in lanes; a sum of squares of floats cannot overflow a double, so it is
 * finite exactly when the row is. */
#include "kernels/cpu/cpu.h"

#include <math.h>

CPU_CLONES static double mean_of(const float *x, int d) {
    double s[CPU_LANES] = {0};
    int whole = d - d % CPU_LANES;
    for (int j = 0; j < whole; j += CPU_LANES) {
        for (int i = 0; i < CPU_LANES; i++) s[i] += (double)x[j + i];
    }
    for (int j = whole; j < d; j++) s[j % CPU_LANES] += (double)x[j];
    return cpu_add_lanes(s) / d;
}

static inline double square(double x) {
    return x * x;
}

CPU_CLONES static double square_sum(const float *x, int d, double mean) {
    double s[CPU_LANES] = {0};
    int whole = d - d % CPU_LANES;
    for (int j = 0; j < whole; j += CPU_LANES) {
        for (int i = 0; i < CPU_LANES; i++) s[i] += square((double)x[j + i] - mean);
    }
    for (int j = whole; j < d; j++) s[j % CPU_LANES] += square((double)x[j] - mean);
    return cpu_add_lanes(s);
}

static double inverse_rms(double squares, int d, float eps) {
    return 1.0 / sqrt(squares / d + (double)eps);
}

/* x + gate ⊙ y in `sum`, or in scratch where that is not wanted. */
static const float *residual(const k_norm *a, int i, size_t from) {
    const float *x = a->x + from, *y = a->y ? cpu_const_floats(a->y) + from : NULL;
    if (!y && !a->sum) return x;
    float *sum = a->sum ? a->sum + at(i, a->d) : cpu_scratch(SLOT_ROW, (size_t)a->d);
    if (y && a->gate) {
        for (int j = 0; j < a->d; j++) sum[j] = x[j] + a->gate[j] * y[j];
    } else {
        for (int j = 0; j < a->d; j++) sum[j] = y ? x[j] + y[j] : x[j];
    }
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
    double mean = a->center ? mean_of(s, a->d) : 0, squares = square_sum(s, a->d, mean);
    if (a->bad && !isfinite(squares)) lower(a->bad, ((uint64_t)a->stage << 32) + (uint64_t)row);
    if (!a->h) return;
    float r = (float)inverse_rms(squares, a->d, a->eps), m = (float)mean, *h = cpu_floats(a->h) + at(i, a->d);
    for (int j = 0; j < a->d; j++) h[j] = (s[j] - m) * r * a->w[j];
    for (int j = 0; j < a->d && a->b; j++) h[j] += a->b[j];
}

void cpu_norm(kernels *k, const k_norm *a) {
    (void)k;
    if (cpu_failed()) return;
    PARALLEL_FOR(at(a->n, a->d) >= PARALLEL_MIN)
    for (int i = 0; i < a->n; i++) norm_row(a, i);
}

/* Σ g ⊙ (x - mean), g = w ⊙ dy; without x: Σ g. */
CPU_CLONES static double gradient_sum(const float *dy, const float *w, const float *x, int d, double mean) {
    double s[CPU_LANES] = {0};
    int whole = d - d % CPU_LANES;
    for (int j = 0; j < whole; j += CPU_LANES) {
        for (int i = 0; i < CPU_LANES; i++)
            s[i] += (double)dy[j + i] * w[j + i] * (x ? (double)x[j + i] - mean : 1.0);
    }
    for (int j = whole; j < d; j++)
        s[j % CPU_LANES] += (double)dy[j] * w[j] * (x ? (double)x[j] - mean : 1.0);
    return cpu_add_lanes(s);
}

static void norm_back_row(const k_norm_back *a, int i) {
    const float *x = a->x + at(a->rows ? a->rows[i] : i, a->d), *w = a->w;
    const float *dy = cpu_const_floats(a->dy) + at(i, a->d);
    float *dx = a->dx + at(i, a->d);
    double mean = a->center ? mean_of(x, a->d) : 0;
    double r = inverse_rms(square_sum(x, a->d, mean), a->d, a->eps);
    double dot = gradient_sum(dy, w, x, a->d, mean);
    float p = (float)r, q = (float)(r * r * r * dot / a->d), m = (float)mean;
    float less = a->center ? (float)(r * gradient_sum(dy, w, NULL, a->d, 0) / a->d) : 0.0f;
    for (int j = 0; j < a->d; j++)
        dx[j] = (a->add ? dx[j] : 0.0f) + (p * dy[j] * w[j] - q * (x[j] - m) - less);
}

void cpu_norm_back(kernels *k, const k_norm_back *a) {
    (void)k;
    if (cpu_failed()) return;
    PARALLEL_FOR(at(a->n, a->d) >= PARALLEL_MIN)
    for (int i = 0; i < a->n; i++) norm_back_row(a, i);
}

/* ---- heads ---- */

void cpu_head_norm(kernels *k, const k_head_norm *a) {
    (void)k;
    if (cpu_failed()) return;
    int width = a->heads * a->hd;
    PARALLEL_FOR(at(a->n, width) >= PARALLEL_MIN)
    for (int i = 0; i < a->n; i++) {
        float *row = cpu_floats(a->x) + at(i, a->ld);
        if (a->raw) memcpy(cpu_floats(a->raw) + at(i, width), row, (size_t)width * sizeof *row);
        for (int h = 0; h < a->heads; h++) {
            float *x = row + at(h, a->hd), r = (float)inverse_rms(square_sum(x, a->hd, 0), a->hd, a->eps);
            for (int j = 0; j < a->hd; j++) x[j] = x[j] * r * a->w[at(h, a->hd) + (size_t)j];
        }
    }
}

static void head_back(float *dx, const float *x, const float *w, int hd, float eps) {
    double r = inverse_rms(square_sum(x, hd, 0), hd, eps), dot = 0;
    for (int j = 0; j < hd; j++) dot += (double)dx[j] * w[j] * x[j];
    float p = (float)r, q = (float)(r * r * r * dot / hd);
    for (int j = 0; j < hd; j++) dx[j] = p * dx[j] * w[j] - q * x[j];
}

void cpu_head_norm_back(kernels *k, const k_head_norm_back *a) {
    (void)k;
    if (cpu_failed()) return;
    int width = a->heads * a->hd;
    PARALLEL_FOR(at(a->n, width) >= PARALLEL_MIN)
    for (int i = 0; i < a->n; i++) {
        float *dx = cpu_floats(a->dx) + at(i, a->ld);
        const float *x = cpu_const_floats(a->raw) + at(a->rows ? a->rows[i] : i, width);
        for (int h = 0; h < a->heads; h++) {
            size_t o = at(h, a->hd);
            head_back(dx + o, x + o, a->w + o, a->hd, a->eps);
        }
    }
}
