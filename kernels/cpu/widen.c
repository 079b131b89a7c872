/* widen.c - a row of a weight as float32, whatever it is stored as.
 *
 * Block formulas are those of docs/formats.md, run over whole blocks so that compilers vectorise them. */
#include "kernels/cpu/product.h"

#include <assert.h>

typedef unsigned char byte;

/* BF16 is the upper half of a float32. */
CPU_CLONES static void widen_bf16(float *restrict out, const byte *restrict in, size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint16_t h;
        memcpy(&h, in + 2 * i, sizeof h);
        uint32_t u = (uint32_t)h << 16;
        memcpy(out + i, &u, sizeof u);
    }
}

CPU_CLONES static void widen_f16(float *restrict out, const byte *restrict in, size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint16_t h;
        memcpy(&h, in + 2 * i, sizeof h);
        out[i] = k_half_value(h);
    }
}

static float half_at(const byte *p) {
    uint16_t h;
    memcpy(&h, p, sizeof h);
    return k_half_value(h);
}

/* ---- blocks of 32 ---- */

CPU_CLONES static void widen_q8_0(float *restrict out, const byte *restrict in, size_t n) {
    for (size_t b = 0; b < n; b++, in += 34, out += 32) {
        float d = half_at(in);
        for (int i = 0; i < 32; i++) out[i] = d * (float)(int8_t)in[2 + i];
    }
}

/* out = d·nibble + m: low nibbles are the first 16 elements. */
static inline void nibbles(float *restrict out, const byte *restrict q, float d, float m) {
    for (int i = 0; i < 16; i++) {
        out[i] = d * (float)(q[i] & 15) + m;
        out[16 + i] = d * (float)(q[i] >> 4) + m;
    }
}

CPU_CLONES static void widen_q4_0(float *restrict out, const byte *restrict in, size_t n) {
    for (size_t b = 0; b < n; b++, in += 18, out += 32) {
        float d = half_at(in);
        for (int i = 0; i < 16; i++) {
            out[i] = d * (float)((in[2 + i] & 15) - 8);
            out[16 + i] = d * (float)((in[2 + i] >> 4) - 8);
        }
    }
}

CPU_CLONES static void widen_q4_1(float *restrict out, const byte *restrict in, size_t n) {
    for (size_t b = 0; b < n; b++, in += 20, out += 32) nibbles(out, in + 4, half_at(in), half_at(in + 2));
}

static inline void fifth_bits(float *restrict out, const byte *restrict q, const byte *restrict high, float d,
                              float m, int less) {
    uint32_t bits;
    memcpy(&bits, high, sizeof bits);
    for (int i = 0; i < 32; i++) {
        int v = (q[i % 16] >> (i / 16 * 4) & 15) | (int)(bits >> i & 1) << 4;
        out[i] = d * (float)(v - less) + m;
    }
}

static void widen_q5_0(float *restrict out, const byte *restrict in, size_t n) {
    for (size_t b = 0; b < n; b++, in += 22, out += 32)
        fifth_bits(out, in + 6, in + 2, half_at(in), 0.0f, 16);
}

static void widen_q5_1(float *restrict out, const byte *restrict in, size_t n) {
    for (size_t b = 0; b < n; b++, in += 24, out += 32)
        fifth_bits(out, in + 8, in + 4, half_at(in), half_at(in + 2), 0);
}

/* ---- blocks of 256 ---- */

static void widen_q2_k(float *restrict out, const byte *restrict in, size_t n) {
    for (size_t b = 0; b < n; b++, in += 84, out += 256) {
        float d = half_at(in + 80), low = half_at(in + 82);
        for (int i = 0; i < 256; i++) {
            int q = in[16 + 32 * (i / 128) + i % 32] >> (i % 128 / 32 * 2) & 3, s = in[i / 16];
            out[i] = d * (float)(s & 15) * (float)q - low * (float)(s >> 4);
        }
    }
}

/* The sixteen scales of a Q3_K block, each six bits. */
static void scales_q3_k(int out[16], const byte *sc) {
    for (int j = 0; j < 16; j++) {
        int low = j < 8 ? sc[j] & 15 : sc[j - 8] >> 4, high = sc[8 + j % 4] >> (2 * (j / 4)) & 3;
        out[j] = (low | high << 4) - 32;
    }
}

static void widen_q3_k(float *restrict out, const byte *restrict in, size_t n) {
    for (size_t b = 0; b < n; b++, in += 110, out += 256) {
        int scale[16];
        scales_q3_k(scale, in + 96);
        float d = half_at(in + 108);
        for (int i = 0; i < 256; i++) {
            int q = in[32 + 32 * (i / 128) + i % 32] >> (i % 128 / 32 * 2) & 3;
            int less = in[i % 32] >> (i / 32) & 1 ? 0 : 4;
            out[i] = d * (float)scale[i / 16] * (float)(q - less);
        }
    }
}

CPU_CLONES static void widen_q4_k(float *restrict out, const byte *restrict in, size_t n) {
    for (size_t b = 0; b < n; b++, in += 144) {
        float d = half_at(in), low = half_at(in + 2), s[2], m[2];
        for (int pair = 0; pair < 4; pair++, out += 64) {
            const byte *q = in + 16 + 32 * pair;
            cpu_scale_k(in + 4, 2 * pair, d, low, &s[0], &m[0]);
            cpu_scale_k(in + 4, 2 * pair + 1, d, low, &s[1], &m[1]);
            for (int i = 0; i < 32; i++) out[i] = s[0] * (float)(q[i] & 15) - m[0];
            for (int i = 0; i < 32; i++) out[32 + i] = s[1] * (float)(q[i] >> 4) - m[1];
        }
    }
}

CPU_CLONES static void widen_q5_k(float *restrict out, const byte *restrict in, size_t n) {
    for (size_t b = 0; b < n; b++, in += 176) {
        float d = half_at(in), low = half_at(in + 2), s, m;
        for (int j = 0; j < 8; j++, out += 32) {
            const byte *q = in + 48 + 32 * (j / 2), *high = in + 16;
            cpu_scale_k(in + 4, j, d, low, &s, &m);
            for (int i = 0; i < 32; i++)
                out[i] = s * (float)((q[i] >> (j % 2 * 4) & 15) + (high[i] >> j & 1) * 16) - m;
        }
    }
}

CPU_CLONES static void widen_q6_k(float *restrict out, const byte *restrict in, size_t n) {
    for (size_t b = 0; b < n; b++, in += 210) {
        float d = half_at(in + 208);
        for (int part = 0; part < 8; part++, out += 32) { /* 32 elements: half u, quarter g of it */
            int u = part / 4, g = part % 4;
            const byte *low = in + 64 * u + 32 * (g % 2), *high = in + 128 + 32 * u;
            const byte *sc = in + 192 + 2 * part;
            for (int i = 0; i < 32; i++) {
                int v = (low[i] >> (g / 2 * 4) & 15) | (high[i] >> (2 * g) & 3) << 4;
                out[i] = d * (float)(int8_t)sc[i / 16] * (float)(v - 32);
            }
        }
    }
}

void cpu_widen_part(float *out, const k_matrix *w, int row, int first, int n) {
    static void (*const blocks[])(float *, const byte *, size_t) = {
        [K_F16] = widen_f16,   [K_BF16] = widen_bf16, [K_Q8_0] = widen_q8_0, [K_Q4_0] = widen_q4_0,
        [K_Q4_1] = widen_q4_1, [K_Q5_0] = widen_q5_0, [K_Q5_1] = widen_q5_1, [K_Q2_K] = widen_q2_k,
        [K_Q3_K] = widen_q3_k, [K_Q4_K] = widen_q4_k, [K_Q5_K] = widen_q5_k, [K_Q6_K] = widen_q6_k};
    int block = k_block_size(w->dtype);
    const byte *src = (const byte *)w->data + (size_t)row * k_row_bytes(w->dtype, w->cols);
    assert(w->cols % block == 0 && first % block == 0 && n % block == 0);
    src += k_row_bytes(w->dtype, first);
#ifdef CPU_X86
    if (cpu_widen_fast(out, w->dtype, src, (size_t)(n / block))) return;
#endif
    if (w->dtype == K_F32)
        memcpy(out, src, (size_t)n * sizeof *out);
    else
        blocks[w->dtype](out, src, (size_t)(n / block));
}

void cpu_widen(float *out, const k_matrix *w, int row) {
    cpu_widen_part(out, w, row, 0, w->cols);
}
