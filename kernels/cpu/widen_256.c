/* widen_256.c - weights as float32 on vectors of 256 bits, of the types whose loops in widen.c compilers do
 * not turn into vectors. The same bits. */
#include "kernels/cpu/product.h"

#ifdef CPU_X86
#include <immintrin.h>

typedef unsigned char byte;

CPU_TARGET_256 static void widen_f16(float *out, const byte *in, size_t n) {
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m128i h = _mm_loadu_si128((const __m128i *)(const void *)(in + 2 * i));
        _mm256_storeu_ps(out + i, _mm256_cvtph_ps(h));
    }
    for (; i < n; i++) {
        uint16_t h;
        memcpy(&h, in + 2 * i, sizeof h);
        out[i] = _cvtsh_ss(h);
    }
}

/* 8 small integers times s. */
CPU_TARGET_256 static inline void store_8(float *out, __m128i q, __m256 s) {
    _mm256_storeu_ps(out, _mm256_mul_ps(s, _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(q))));
}

/* 16 weights of Q6_K before their scale: four bits from here, two from there. */
CPU_TARGET_256 static inline __m128i six_bits(const byte *low, int low_shift, const byte *high,
                                              int high_shift) {
    __m128i four = _mm_loadu_si128((const __m128i *)(const void *)low);
    __m128i two = _mm_loadu_si128((const __m128i *)(const void *)high);
    four = _mm_and_si128(_mm_srli_epi16(four, low_shift), _mm_set1_epi8(15));
    two = _mm_and_si128(_mm_srli_epi16(two, high_shift), _mm_set1_epi8(3));
    return _mm_sub_epi8(_mm_or_si128(four, _mm_slli_epi16(two, 4)), _mm_set1_epi8(32));
}

CPU_TARGET_256 static void widen_q6_k(float *out, const byte *in, size_t n) {
    for (size_t b = 0; b < n; b++, in += 210) {
        uint16_t h;
        memcpy(&h, in + 208, sizeof h);
        float d = _cvtsh_ss(h);
        for (int part = 0; part < 16; part++, out += 16) { /* half u, quarter g of it, half of that */
            int u = part / 8, g = part / 2 % 4, at_16 = part % 2 * 16;
            const byte *low = in + 64 * u + 32 * (g % 2) + at_16, *high = in + 128 + 32 * u + at_16;
            __m256 s = _mm256_set1_ps(d * (float)(int8_t)in[192 + part]);
            __m128i q = six_bits(low, g / 2 * 4, high, 2 * g);
            store_8(out, q, s);
            store_8(out + 8, _mm_srli_si128(q, 8), s);
        }
    }
}

bool cpu_widen_fast(float *out, k_dtype type, const void *blocks, size_t n) {
    static void (*const types[K_DTYPES])(float *, const byte *,
                                         size_t) = {[K_F16] = widen_f16, [K_Q6_K] = widen_q6_k};
    if (!types[type] || !cpu_has_256()) return false;
    types[type](out, blocks, n);
    return true;
}
#endif
