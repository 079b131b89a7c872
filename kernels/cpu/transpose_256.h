/* transpose_256.h - 8 vectors of 8 floats, transposed in registers. */
#ifndef TABES_KERNELS_CPU_TRANSPOSE_256_H
#define TABES_KERNELS_CPU_TRANSPOSE_256_H

#include <immintrin.h>

#include "kernels/cpu/product.h"

/* A mask of the first n of 8 lanes; n may be any. */
CPU_TARGET_256 static inline __m256i cpu_first_8(int n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0));
}

/* Row i's element j becomes row j's element i: pairs of rows by elements, then by twos, then halves. */
CPU_TARGET_256 static inline __attribute__((always_inline)) void cpu_transpose_8(__m256 r[8]) {
    __m256 a[8], b[8];
    for (int i = 0; i < 8; i += 2) {
        a[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        a[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    for (int i = 0; i < 8; i += 4) {
        b[i] = _mm256_shuffle_ps(a[i], a[i + 2], 0x44);
        b[i + 1] = _mm256_shuffle_ps(a[i], a[i + 2], 0xee);
        b[i + 2] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0x44);
        b[i + 3] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0xee);
    }
    for (int i = 0; i < 4; i++) {
        r[i] = _mm256_permute2f128_ps(b[i], b[i + 4], 0x20);
        r[i + 4] = _mm256_permute2f128_ps(b[i], b[i + 4], 0x31);
    }
}

#endif
