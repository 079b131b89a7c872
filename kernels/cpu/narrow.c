/* narrow.c - weights as bfloat16: what widening (widen.c) and then rounding gives, bit for bit.
 *
 * The types that checkpoints mostly have are decoded with the wide vectors at once; the others take the two
 * steps. Products and differences are rounded one by one, as there. */
#include "kernels/cpu/product.h"

#ifdef CPU_X86
#include CPU_INTRINSICS

typedef unsigned char byte;

CPU_TARGET_BF16 static inline float half_at(const byte *p) {
    uint16_t h;
    memcpy(&h, p, sizeof h);
    return k_half_value(h);
}

/* 16 small integers as floats. */
CPU_TARGET_BF16 static inline __m512 floats(__m128i q) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(q));
}

CPU_TARGET_BF16 static inline void store_32(bf16 *out, __m512 low, __m512 high) {
    _mm512_storeu_si512(out, (__m512i)_mm512_cvtne2ps_pbh(high, low));
}

CPU_TARGET_BF16 static void narrow_f16(bf16 *out, const byte *in, size_t n) {
    for (size_t i = 0; i < n; i += 32) {
        __mmask16 l = cpu_lanes((int)(n - i)), h = cpu_lanes((int)(n - i) - 16);
        __m512 low = _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(l, in + 2 * i));
        __m512 high = _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(h, in + 2 * i + 32));
        __mmask32 both = (__mmask32)l | (__mmask32)h << 16;
        _mm512_mask_storeu_epi16(out + i, both, (__m512i)_mm512_cvtne2ps_pbh(high, low));
    }
}

CPU_TARGET_BF16 static void narrow_q8_0(bf16 *out, const byte *in, size_t n) {
    for (size_t b = 0; b < n; b++, in += 34, out += 32) {
        __m512 d = _mm512_set1_ps(half_at(in));
        __m512 low = floats(_mm_loadu_si128((const __m128i *)(const void *)(in + 2)));
        __m512 high = floats(_mm_loadu_si128((const __m128i *)(const void *)(in + 18)));
        store_32(out, _mm512_mul_ps(d, low), _mm512_mul_ps(d, high));
    }
}

/* The low or (shift 4) high nibbles of 16 bytes. */
CPU_TARGET_BF16 static inline __m128i nibbles(const byte *q, int shift) {
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)q);
    return _mm_and_si128(_mm_srli_epi16(v, shift), _mm_set1_epi8(15));
}

CPU_TARGET_BF16 static void narrow_q4_0(bf16 *out, const byte *in, size_t n) {
    __m128i eight = _mm_set1_epi8(8);
    for (size_t b = 0; b < n; b++, in += 18, out += 32) {
        __m512 d = _mm512_set1_ps(half_at(in));
        __m512 low = floats(_mm_sub_epi8(nibbles(in + 2, 0), eight));
        __m512 high = floats(_mm_sub_epi8(nibbles(in + 2, 4), eight));
        store_32(out, _mm512_mul_ps(d, low), _mm512_mul_ps(d, high));
    }
}

CPU_TARGET_BF16 static void narrow_q4_k(bf16 *out, const byte *in, size_t n) {
    for (size_t b = 0; b < n; b++, in += 144) {
        float d = half_at(in), least = half_at(in + 2), scale, minimum;
        for (int j = 0; j < 8; j++, out += 32) {
            const byte *q = in + 16 + 32 * (j / 2);
            cpu_scale_k(in + 4, j, d, least, &scale, &minimum);
            __m512 s = _mm512_set1_ps(scale), m = _mm512_set1_ps(minimum);
            __m512 low = floats(nibbles(q, j % 2 * 4)), high = floats(nibbles(q + 16, j % 2 * 4));
            store_32(out, _mm512_sub_ps(_mm512_mul_ps(s, low), m), _mm512_sub_ps(_mm512_mul_ps(s, high), m));
        }
    }
}

/* 16 weights of Q6_K before their scale: four bits from here, two from there. */
CPU_TARGET_BF16 static inline __m512 six_bits(const byte *low, int low_shift, const byte *high,
                                              int high_shift) {
    __m128i two = _mm_loadu_si128((const __m128i *)(const void *)high);
    two = _mm_and_si128(_mm_srli_epi16(two, high_shift), _mm_set1_epi8(3));
    __m128i v = _mm_or_si128(nibbles(low, low_shift), _mm_slli_epi16(two, 4));
    return floats(_mm_sub_epi8(v, _mm_set1_epi8(32)));
}

CPU_TARGET_BF16 static void narrow_q6_k(bf16 *out, const byte *in, size_t n) {
    for (size_t b = 0; b < n; b++, in += 210) {
        float d = half_at(in + 208);
        for (int part = 0; part < 8; part++, out += 32) { /* half u, quarter g of it */
            int u = part / 4, g = part % 4;
            const byte *low = in + 64 * u + 32 * (g % 2), *high = in + 128 + 32 * u;
            const byte *sc = in + 192 + 2 * part;
            __m512 s0 = _mm512_set1_ps(d * (float)(int8_t)sc[0]),
                   s1 = _mm512_set1_ps(d * (float)(int8_t)sc[1]);
            __m512 v0 = six_bits(low, g / 2 * 4, high, 2 * g);
            __m512 v1 = six_bits(low + 16, g / 2 * 4, high + 16, 2 * g);
            store_32(out, _mm512_mul_ps(s0, v0), _mm512_mul_ps(s1, v1));
        }
    }
}

static bool narrow_fast(bf16 *out, const k_matrix *w, const byte *src, int n) {
    static void (*const types[K_DTYPES])(bf16 *, const byte *, size_t) = {[K_F16] = narrow_f16,
                                                                          [K_Q8_0] = narrow_q8_0,
                                                                          [K_Q4_0] = narrow_q4_0,
                                                                          [K_Q4_K] = narrow_q4_k,
                                                                          [K_Q6_K] = narrow_q6_k};
    if (!types[w->dtype] || !cpu_has_bf16()) return false;
    types[w->dtype](out, src, (size_t)(n / k_block_size(w->dtype)));
    return true;
}
#endif

static void narrow_in_two_steps(bf16 *out, const k_matrix *w, int row, int first, int n) {
    enum { PIECE = 256 };
    float wide[PIECE];
    for (int i = 0; i < n; i += PIECE) {
        int m = n - i < PIECE ? n - i : PIECE;
        cpu_widen_part(wide, w, row, first + i, m);
        cpu_round_bf16(out + i, wide, (size_t)m);
    }
}

void cpu_narrow_weight(bf16 *out, const k_matrix *w, int row, int first, int n) {
    const unsigned char *src = (const unsigned char *)w->data + (size_t)row * k_row_bytes(w->dtype, w->cols);
    src += k_row_bytes(w->dtype, first);
    if (w->dtype == K_BF16) {
        memcpy(out, src, (size_t)n * sizeof *out);
        return;
    }
#ifdef CPU_X86
    if (narrow_fast(out, w, src, n)) return;
#endif
    narrow_in_two_steps(out, w, row, first, n);
}
