/* rope.c - rotary positions, half-split pairs (i, i+hd/2).
 *
 * Angles, cosines and sines are computed in double and kept as a float32 table per thread,
 * one row per position, for the last (theta, hd) used: every layer of a pass shares it. */
#include "kernels/cpu/cpu.h"

#include <assert.h>
#include <math.h>

/* Which table SLOT_ROPE holds: rows [0, n), each hd/2 cosines then hd/2 sines. */
static _Thread_local struct {
    double theta;
    int hd, n;
} held;

static void fill_row(float *row, int pos, int hd, double theta) {
    int half = hd / 2;
    for (int i = 0; i < half; i++) {
        double a = pos * pow(theta, -2.0 * i / hd);
        row[i] = (float)cos(a);
        row[half + i] = (float)sin(a);
    }
}

/* Table covering positions [0, n). */
static const float *table(int n, int hd, double theta) {
    if (held.n >= n && held.hd == hd && !(held.theta < theta || held.theta > theta))
        return cpu_scratch(SLOT_ROPE, 0);
    int rows = (n + 63) / 64 * 64;
    float *t = cpu_scratch(SLOT_ROPE, at(rows, hd));
    for (int p = 0; p < rows; p++) fill_row(t + at(p, hd), p, hd, theta);
    held.theta = theta, held.hd = hd, held.n = rows;
    return t;
}

static void rotate(float *x, const float *cs, int hd, float sign) {
    int half = hd / 2;
    for (int i = 0; i < half; i++) {
        float u = x[i], v = x[half + i], c = cs[i], s = sign * cs[half + i];
        x[i] = u * c - v * s;
        x[half + i] = u * s + v * c;
    }
}

void cpu_rope(float *x, const int *pos, int n, int heads, int hd, double theta, bool inverse) {
    assert(hd % 2 == 0);
    int last = -1;
    for (int i = 0; i < n; i++) {
        assert(pos[i] >= 0);
        if (pos[i] > last) last = pos[i];
    }
    if (n <= 0) return;
    const float *t = table(last + 1, hd, theta);
    float sign = inverse ? -1.0f : 1.0f;
    PARALLEL_FOR(at(n, heads * hd) >= PARALLEL_MIN)
    for (int i = 0; i < n; i++) {
        for (int h = 0; h < heads; h++) rotate(x + at(i * heads + h, hd), t + at(pos[i], hd), hd, sign);
    }
}
