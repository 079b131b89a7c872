/* avx512.h - the instructions of AVX-512 that kernels/cpu uses, in plain C: SIMDe's, and here those that its
 * version in Debian 12 lacks.
 *
 * With it (CPU_INTRINSICS of kernels/cpu/product.h) the kernels for vectors of 512 bits, products of bfloat16
 * among them, run on any processor, under the tests that the real ones pass. They are slow, and what they
 * round is what the processor's would: a dot product of two bfloat16 treats values below the normal ones as
 * zero. */
#ifndef TABES_TESTS_WIDE_AVX512_H
#define TABES_TESTS_WIDE_AVX512_H

#include <stdint.h>
#include <string.h>

#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx2.h>
#include <simde/x86/avx512.h>
#include <simde/x86/f16c.h>
#include <simde/x86/fma.h>

typedef uint16_t wide_mask16;
typedef uint32_t wide_mask32;
#define __mmask16 wide_mask16
#define __mmask32 wide_mask32

/* Vectors to and from arrays: of `size` bytes an element, those that the mask has. */
static inline void wide_load(void *to, const void *from, uint32_t mask, int size, int n) {
    for (int i = 0; i < n; i++) {
        if (mask >> i & 1)
            memcpy((char *)to + i * size, (const char *)from + i * size, (size_t)size);
        else
            memset((char *)to + i * size, 0, (size_t)size);
    }
}

static inline void wide_store(void *to, const void *from, uint32_t mask, int size, int n) {
    for (int i = 0; i < n; i++) {
        if (mask >> i & 1) memcpy((char *)to + i * size, (const char *)from + i * size, (size_t)size);
    }
}

#define WIDE_LOAD(name, type, size, n)                                                                       \
    static inline type name(uint32_t mask, const void *from) {                                               \
        type v;                                                                                              \
        wide_load(&v, from, mask, size, n);                                                                  \
        return v;                                                                                            \
    }
#define WIDE_STORE(name, type, size, n)                                                                      \
    static inline void name(void *to, uint32_t mask, type v) {                                               \
        wide_store(to, &v, mask, size, n);                                                                   \
    }

WIDE_LOAD(wide_load_ps, __m512, 4, 16)
WIDE_LOAD(wide_load_32, __m512i, 4, 16)
WIDE_LOAD(wide_load_16, __m512i, 2, 32)
WIDE_LOAD(wide_load_half, __m256i, 2, 16)
WIDE_STORE(wide_store_ps, __m512, 4, 16)
WIDE_STORE(wide_store_32, __m512i, 4, 16)
WIDE_STORE(wide_store_16, __m512i, 2, 32)

static inline __m512 wide_of_ints(__m512i v) {
    int32_t in[16];
    float out[16];
    __m512 r;
    memcpy(in, &v, sizeof in);
    for (int i = 0; i < 16; i++) out[i] = (float)in[i];
    memcpy(&r, out, sizeof r);
    return r;
}

static inline __m512i wide_of_bytes(__m128i v) {
    int8_t in[16];
    int32_t out[16];
    __m512i r;
    memcpy(in, &v, sizeof in);
    for (int i = 0; i < 16; i++) out[i] = in[i];
    memcpy(&r, out, sizeof r);
    return r;
}

static inline __m512 wide_of_halves(__m256i v) {
    __m256 low = simde_mm256_cvtph_ps(simde_mm256_extracti128_si256(v, 0));
    __m256 high = simde_mm256_cvtph_ps(simde_mm256_extracti128_si256(v, 1));
    __m512 r;
    memcpy(&r, &low, sizeof low);
    memcpy((char *)&r + sizeof low, &high, sizeof high);
    return r;
}

/* To nearest even, below the normal numbers to zero, NaN stays one. */
static inline uint16_t wide_rounded(float x) {
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    if ((u & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(u >> 16 | 0x40u);
    if (!(u & 0x7f800000u)) return (uint16_t)(u >> 16 & 0x8000u);
    return (uint16_t)((u + 0x7fffu + (u >> 16 & 1u)) >> 16);
}

static inline __m512bh wide_round(__m512 high, __m512 low) {
    float in[32];
    uint16_t out[32];
    __m512bh r;
    memcpy(in, &low, sizeof low);
    memcpy(in + 16, &high, sizeof high);
    for (int i = 0; i < 32; i++) out[i] = wide_rounded(in[i]);
    memcpy(&r, out, sizeof r);
    return r;
}

#undef _mm256_maskz_loadu_epi16
#define _mm256_maskz_loadu_epi16 wide_load_half
#define _mm512_maskz_loadu_ps    wide_load_ps
#define _mm512_maskz_loadu_epi32 wide_load_32
#define _mm512_maskz_loadu_epi16 wide_load_16
#define _mm512_mask_storeu_ps    wide_store_ps
#define _mm512_mask_storeu_epi32 wide_store_32
#define _mm512_mask_storeu_epi16 wide_store_16
#define _mm512_cvtepi32_ps       wide_of_ints
#define _mm512_cvtepi8_epi32     wide_of_bytes
#define _mm512_cvtph_ps          wide_of_halves
#define _mm512_cvtne2ps_pbh      wide_round

#endif
