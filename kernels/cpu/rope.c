/* rope.c - rotary positions from a table of cosines and sines: pairs (i, i+hd/2) or (2i, 2i+1). */
#include "kernels/cpu/cpu.h"

#include <assert.h>

/* `first` and `second` are the halves of a head. */
static inline void rotate_halves(float *restrict first, float *restrict second, const float *restrict cs,
                                 int half, float sign) {
    for (int i = 0; i < half; i++) {
        float u = first[i], v = second[i], c = cs[i], s = sign * cs[half + i];
        first[i] = u * c - v * s;
        second[i] = u * s + v * c;
    }
}

static inline void rotate_pairs(float *restrict x, const float *restrict cs, int half, float sign) {
    for (int i = 0; i < half; i++) {
        float u = x[2 * i], v = x[2 * i + 1], c = cs[i], s = sign * cs[half + i];
        x[2 * i] = u * c - v * s;
        x[2 * i + 1] = u * s + v * c;
    }
}

CPU_CLONES static void rotate_row(float *row, const float *cs, int heads, int hd, unsigned how) {
    float sign = how & K_ROPE_INVERSE ? -1.0f : 1.0f;
    for (int h = 0; h < heads; h++, row += hd) {
        if (how & K_ROPE_PAIRS)
            rotate_pairs(row, cs, hd / 2, sign);
        else
            rotate_halves(row, row + hd / 2, cs, hd / 2, sign);
    }
}

void cpu_rope(kernels *k, k_act *x, int ld, const int *pos, int n, int heads, int hd, const float *table,
              unsigned how) {
    (void)k;
    assert(hd % 2 == 0 && ld >= heads * hd);
    if (cpu_failed()) return;
    PARALLEL_FOR(at(n, heads * hd) >= PARALLEL_MIN)
    for (int i = 0; i < n; i++) rotate_row(cpu_floats(x) + at(i, ld), table + at(pos[i], hd), heads, hd, how);
}
