/* transpose.h - 16 vectors of 16 elements of 32 bits, transposed in registers. */
#ifndef TABES_KERNELS_CPU_TRANSPOSE_H
#define TABES_KERNELS_CPU_TRANSPOSE_H

#include "kernels/cpu/product.h"

#include CPU_INTRINSICS

/* Row i's element j becomes row j's element i: pairs of rows by elements, then pairs of those by twos, then
 * quarters of vectors, twice. */
CPU_TARGET_512 static inline __attribute__((always_inline)) void cpu_transpose_16(__m512i r[16]) {
    __m512i a[16], b[16];
    for (int i = 0; i < 16; i += 2) {
        a[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
        a[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    }
    for (int i = 0; i < 16; i += 4) {
        b[i] = _mm512_unpacklo_epi64(a[i], a[i + 2]);
        b[i + 1] = _mm512_unpackhi_epi64(a[i], a[i + 2]);
        b[i + 2] = _mm512_unpacklo_epi64(a[i + 1], a[i + 3]);
        b[i + 3] = _mm512_unpackhi_epi64(a[i + 1], a[i + 3]);
    }
    for (int i = 0; i < 4; i++) { /* element i of every quarter, of rows 0-3, 4-7, 8-11, 12-15 */
        __m512i low = _mm512_shuffle_i32x4(b[i], b[4 + i], 0x88),
                low2 = _mm512_shuffle_i32x4(b[8 + i], b[12 + i], 0x88);
        __m512i high = _mm512_shuffle_i32x4(b[i], b[4 + i], 0xdd),
                high2 = _mm512_shuffle_i32x4(b[8 + i], b[12 + i], 0xdd);
        r[i] = _mm512_shuffle_i32x4(low, low2, 0x88);
        r[8 + i] = _mm512_shuffle_i32x4(low, low2, 0xdd);
        r[4 + i] = _mm512_shuffle_i32x4(high, high2, 0x88);
        r[12 + i] = _mm512_shuffle_i32x4(high, high2, 0xdd);
    }
}

#endif
