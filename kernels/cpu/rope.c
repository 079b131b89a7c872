/* rope.c - rotary positions, half-split pairs (i, i+hd/2), from a table of cosines and sines. */
#include "kernels/cpu/cpu.h"

#include <assert.h>

static void rotate(float *x, const float *cs, int hd, float sign) {
    int half = hd / 2;
    for (int i = 0; i < half; i++) {
        float u = x[i], v = x[half + i], c = cs[i], s = sign * cs[half + i];
        x[i] = u * c - v * s;
        x[half + i] = u * s + v * c;
    }
}

void cpu_rope(kernels *k, k_act *x, int ld, const int *pos, int n, int heads, int hd, const float *table,
              bool inverse) {
    (void)k;
    assert(hd % 2 == 0 && ld >= heads * hd);
    if (cpu_failed()) return;
    float sign = inverse ? -1.0f : 1.0f;
    PARALLEL_FOR(at(n, heads * hd) >= PARALLEL_MIN)
    for (int i = 0; i < n; i++) {
        float *row = cpu_floats(x) + at(i, ld);
        for (int h = 0; h < heads; h++) rotate(row + at(h, hd), table + at(pos[i], hd), hd, sign);
    }
}
