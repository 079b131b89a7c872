/* rope.c - rotary positions from a table of cosines and sines: pairs (i, i+hd/2) or (2i, 2i+1). */
#include "kernels/cpu/cpu.h"

#include <assert.h>

static void rotate_halves(float *x, const float *cs, int hd, float sign) {
    int half = hd / 2;
    for (int i = 0; i < half; i++) {
        float u = x[i], v = x[half + i], c = cs[i], s = sign * cs[half + i];
        x[i] = u * c - v * s;
        x[half + i] = u * s + v * c;
    }
}

static void rotate_pairs(float *x, const float *cs, int hd, float sign) {
    int half = hd / 2;
    for (int i = 0; i < half; i++) {
        float u = x[2 * i], v = x[2 * i + 1], c = cs[i], s = sign * cs[half + i];
        x[2 * i] = u * c - v * s;
        x[2 * i + 1] = u * s + v * c;
    }
}

void cpu_rope(kernels *k, k_act *x, int ld, const int *pos, int n, int heads, int hd, const float *table,
              unsigned how) {
    (void)k;
    assert(hd % 2 == 0 && ld >= heads * hd);
    if (cpu_failed()) return;
    float sign = how & K_ROPE_INVERSE ? -1.0f : 1.0f;
    PARALLEL_FOR(at(n, heads * hd) >= PARALLEL_MIN)
    for (int i = 0; i < n; i++) {
        float *row = cpu_floats(x) + at(i, ld);
        const float *cs = table + at(pos[i], hd);
        for (int h = 0; h < heads; h++) {
            if (how & K_ROPE_PAIRS)
                rotate_pairs(row + at(h, hd), cs, hd, sign);
            else
                rotate_halves(row + at(h, hd), cs, hd, sign);
        }
    }
}
