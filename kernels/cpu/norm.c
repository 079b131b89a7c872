/* norm.c - RMS norm, forward and backward.
 *
 * y = w ⊙ x·r with r = 1/sqrt(mean(x²)+eps). With g = w ⊙ dy,
 * dx = r·g - x·r³·mean(g ⊙ x). Both sums are accumulated in double, left to right. */
#include "kernels/cpu/cpu.h"

#include <math.h>

static double inverse_rms(const float *x, int d, float eps) {
    double s = 0;
    for (int j = 0; j < d; j++) s += (double)x[j] * x[j];
    return 1.0 / sqrt(s / d + (double)eps);
}

static void norm_row(float *y, const float *x, const float *w, int d, float eps) {
    float r = (float)inverse_rms(x, d, eps);
    for (int j = 0; j < d; j++) y[j] = x[j] * r * w[j];
}

void cpu_rmsnorm(float *y, const float *x, const float *w, int n, int d, float eps) {
    PARALLEL_FOR(at(n, d) >= PARALLEL_MIN)
    for (int i = 0; i < n; i++) norm_row(y + at(i, d), x + at(i, d), w, d, eps);
}

static void norm_back_row(float *dx, const float *dy, const float *x, const float *w, int d, float eps) {
    double r = inverse_rms(x, d, eps), dot = 0;
    for (int j = 0; j < d; j++) dot += (double)dy[j] * w[j] * x[j];
    float a = (float)r, b = (float)(r * r * r * dot / d);
    for (int j = 0; j < d; j++) dx[j] += a * dy[j] * w[j] - b * x[j];
}

void cpu_rmsnorm_back(float *dx, const float *dy, const float *x, const float *w, int n, int d, float eps) {
    PARALLEL_FOR(at(n, d) >= PARALLEL_MIN)
    for (int i = 0; i < n; i++) norm_back_row(dx + at(i, d), dy + at(i, d), x + at(i, d), w, d, eps);
}
