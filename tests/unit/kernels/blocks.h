/* blocks.h - random weights in blocks, and a plain reading of docs/formats.md to hold the kernels against. */
#ifndef TABES_TEST_BLOCKS_H
#define TABES_TEST_BLOCKS_H

#include "kernels/blocks.h"
#include "tests/unit/kernels/rig.h"

/* Bytes of a block are any; its scales, which are halves, must be numbers of a sensible size. */
static inline void put_half(unsigned char *p) {
    uint16_t h = (uint16_t)(pick(0, 1) << 15 | pick(8, 14) << 10 | pick(0, 1023)); /* 2^-7 to 1 */
    memcpy(p, &h, sizeof h);
}

static inline void random_block(unsigned char *b, k_dtype t) {
    static const int scales[K_DTYPES][2] = {
        [K_Q8_0] = {0, -1}, [K_Q4_0] = {0, -1},  [K_Q4_1] = {0, 2},    [K_Q5_0] = {0, -1},
        [K_Q5_1] = {0, 2},  [K_Q2_K] = {80, 82}, [K_Q3_K] = {108, -1}, [K_Q4_K] = {0, 2},
        [K_Q5_K] = {0, 2},  [K_Q6_K] = {208, -1}};
    for (int i = 0; i < k_block_of(t).bytes; i++) b[i] = (unsigned char)pick(0, 255);
    for (int i = 0; i < 2; i++) {
        if (scales[t][i] >= 0) put_half(b + scales[t][i]);
    }
}

static inline double half_of(const unsigned char *p) {
    int h = p[0] | p[1] << 8, e = h >> 10 & 31, m = h & 1023;
    double v = e ? ldexp(1024 + m, e - 25) : ldexp(m, -24);
    return h >> 15 ? -v : v;
}

/* Element i of a block of 32, or of 256, as the table of docs/formats.md writes it. */
static inline double plain_32(const unsigned char *b, k_dtype t, int i) {
    double d = half_of(b);
    int qs = t == K_Q4_0 ? 2 : t == K_Q4_1 ? 4 : t == K_Q5_0 ? 6 : 8, qh = t == K_Q5_0 ? 2 : 4;
    if (t == K_Q8_0) return d * (b[2 + i] < 128 ? b[2 + i] : b[2 + i] - 256);
    int n = b[qs + i % 16] >> 4 * (i / 16) & 15;
    if (t == K_Q4_0) return d * (n - 8);
    if (t == K_Q4_1) return d * n + half_of(b + 2);
    uint32_t high =
        (uint32_t)b[qh] | (uint32_t)b[qh + 1] << 8 | (uint32_t)b[qh + 2] << 16 | (uint32_t)b[qh + 3] << 24;
    n |= 16 * (int)(high >> i & 1);
    return t == K_Q5_0 ? d * (n - 16) : d * n + half_of(b + 2);
}

static inline double plain_45_k(const unsigned char *b, k_dtype t, int i) {
    const unsigned char *sc = b + 4, *qs = b + (t == K_Q4_K ? 16 : 48);
    int j = i / 32, S, M;
    if (j < 4) {
        S = sc[j] & 63, M = sc[j + 4] & 63;
    } else {
        S = (sc[j + 4] & 15) | (sc[j - 4] >> 6) << 4, M = sc[j + 4] >> 4 | (sc[j] >> 6) << 4;
    }
    int n = qs[32 * (i / 64) + i % 32] >> 4 * (i / 32 % 2) & 15;
    if (t == K_Q5_K) n += 16 * (b[16 + i % 32] >> j & 1);
    return half_of(b) * S * n - half_of(b + 2) * M;
}

static inline double plain_256(const unsigned char *b, k_dtype t, int i) {
    if (t == K_Q4_K || t == K_Q5_K) return plain_45_k(b, t, i);
    if (t == K_Q6_K) {
        int u = i / 128, k = i % 128, g = k / 32, l = k % 32, sc = b[192 + i / 16];
        int lo = b[64 * u + 32 * (g % 2) + l] >> 4 * (g / 2) & 15, hi = b[128 + 32 * u + l] >> 2 * g & 3;
        return half_of(b + 208) * (sc < 128 ? sc : sc - 256) * ((lo | hi << 4) - 32);
    }
    int at = 32 * (i / 128) + i % 32, shift = 2 * (i % 128 / 32);
    if (t == K_Q2_K) {
        int s = b[i / 16];
        return half_of(b + 80) * (s & 15) * (b[16 + at] >> shift & 3) - half_of(b + 82) * (s >> 4);
    }
    int j = i / 16, lo = j < 8 ? b[96 + j] & 15 : b[96 + j - 8] >> 4, hi = b[104 + j % 4] >> 2 * (j / 4) & 3;
    int bit = b[i % 32] >> i / 32 & 1;
    return half_of(b + 108) * ((lo | hi << 4) - 32) * ((b[32 + at] >> shift & 3) - (bit ? 0 : 4));
}

/* A matrix of random blocks with its values -> v. */
static inline k_matrix random_blocks(double *v, int rows, int cols, k_dtype t) {
    k_block_type type = k_block_of(t);
    size_t n = size(rows, cols) / (size_t)type.elements;
    unsigned char *bytes = lend(n, (size_t)type.bytes);
    for (size_t b = 0; b < n; b++) {
        unsigned char *at = bytes + b * (size_t)type.bytes;
        random_block(at, t);
        for (int i = 0; i < type.elements; i++)
            *v++ = type.elements == 32 ? plain_32(at, t, i) : plain_256(at, t, i);
    }
    return (k_matrix){bytes, t, rows, cols};
}

#endif
