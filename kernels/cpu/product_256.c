/* product_256.c - y = x Wᵀ on vectors of 256 bits, in float32 (product_kind.h), for processors with AVX2 and
 * FMA but without AVX-512.
 *
 * 6 rows of W times a panel of 16 tokens are 12 sums in registers: an element of W is broadcast to 8 tokens
 * at once. Operands that are to be rounded to bfloat16 are, and multiplied as the float32 they then are. */
#include "kernels/cpu/product_kind.h"

#ifdef CPU_X86
#include <immintrin.h>

#include "kernels/cpu/transpose_256.h"

enum {
    LANES = 8,
    SUB = 6,
    SLICE = 256, /* a panel of them stays in the first-level cache while a tile's rows go by */
    STRIDE = SLICE + 12,
    FEW = 4,
    LOW = 4,
    LOW_ROWS = 24 /* whole SUBs and LANES */
};

CPU_TARGET_256 static void pack_floats(uint32_t *out, int ld, const float *x, int tokens, int cols, int c) {
    __m256i m = cpu_first_8(cols - c);
    __m256 r[LANES];
    for (int t = 0; t < LANES; t++)
        r[t] = t < tokens ? _mm256_maskload_ps(x + at(t, cols) + c, m) : _mm256_setzero_ps();
    cpu_transpose_8(r);
    for (int p = 0; p < LANES && c + p < cols; p++)
        _mm256_storeu_ps((float *)(void *)(out + at(p, ld)), r[p]);
}

static void pack_rounded(uint32_t *out, int ld, const float *x, int tokens, int cols, int c) {
    float rows[LANES * LANES] = {0};
    int n = cols - c < LANES ? cols - c : LANES;
    for (int t = 0; t < tokens && t < LANES; t++) {
        memcpy(rows + LANES * t, x + at(t, cols) + c, (size_t)n * sizeof *rows);
        cpu_round_floats(rows + LANES * t, LANES);
    }
    for (int p = 0; p < n; p++) {
        for (int t = 0; t < LANES; t++) memcpy(out + at(p, ld) + t, rows + LANES * t + p, sizeof *out);
    }
}

/* For one and for two vectors of tokens. */
CPU_TARGET_256 static inline __attribute__((always_inline)) void
multiply(float *sum, const float *w, const float *x, int units, bool add, cpu_ahead next, int vectors) {
    __m256 c[SUB * 2]; /* in registers, as long as every loop over it is unrolled */
#pragma GCC unroll 12
    for (int i = 0; i < SUB * vectors; i++) c[i] = _mm256_setzero_ps();
    for (int p = 0; p < units; p++) {
        if (next.p && !(p & next.within)) {
            for (int i = 0; i < SUB; i++) __builtin_prefetch(next.p + (size_t)i * next.ld, 0, 2);
            next.p += next.step;
        }
        __m256 t[2];
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++) t[v] = _mm256_loadu_ps(x + (p * vectors + v) * LANES);
#pragma GCC unroll 6
        for (int i = 0; i < SUB; i++) {
            __m256 a = _mm256_broadcast_ss(w + i * STRIDE + p);
#pragma GCC unroll 2
            for (int v = 0; v < vectors; v++)
                c[i * vectors + v] = _mm256_fmadd_ps(a, t[v], c[i * vectors + v]);
        }
    }
#pragma GCC unroll 12
    for (int i = 0; i < SUB * vectors; i++) {
        __m256 before = add ? _mm256_loadu_ps(sum + LANES * i) : _mm256_setzero_ps();
        _mm256_storeu_ps(sum + LANES * i, _mm256_add_ps(before, c[i]));
    }
}

CPU_TARGET_256 static void multiply_8(float *sum, const uint32_t *w, const uint32_t *x, int units, bool add,
                                      cpu_ahead next) {
    multiply(sum, (const float *)(const void *)w, (const float *)(const void *)x, units, add, next, 1);
}

CPU_TARGET_256 static void multiply_16(float *sum, const uint32_t *w, const uint32_t *x, int units, bool add,
                                       cpu_ahead next) {
    multiply(sum, (const float *)(const void *)w, (const float *)(const void *)x, units, add, next, 2);
}

/* Elements [p, p+n), at most 8, of 8 rows times some tokens: columns of W are the vectors. */
CPU_TARGET_256 static inline __attribute__((always_inline)) void
add_columns(__m256 c[FEW], const float *w, const float *x, int n, int tokens) {
    __m256 r[LANES];
    for (int i = 0; i < LANES; i++) r[i] = _mm256_loadu_ps(w + i * STRIDE);
    cpu_transpose_8(r);
#pragma GCC unroll 8
    for (int j = 0; j < n; j++) {
#pragma GCC unroll 4
        for (int i = 0; i < tokens; i++)
            c[i] = _mm256_fmadd_ps(r[j], _mm256_broadcast_ss(x + j * LANES + i), c[i]);
    }
}

/* 8 rows times up to 4 tokens. An element's sum is taken as above. */
CPU_TARGET_256 static inline __attribute__((always_inline)) void
multiply_rows(float *sum, const float *w, const float *x, int units, bool add, cpu_ahead next, int tokens) {
    __m256 c[FEW];
#pragma GCC unroll 4
    for (int i = 0; i < tokens; i++) c[i] = _mm256_setzero_ps();
    int p = 0;
    for (; p + LANES <= units; p += LANES) {
        if (next.p && !(p & next.within)) {
            for (int i = 0; i < LANES; i++) __builtin_prefetch(next.p + (size_t)i * next.ld, 0, 2);
            next.p += next.step;
        }
        add_columns(c, w + p, x + p * LANES, LANES, tokens);
    }
    if (p < units) add_columns(c, w + p, x + p * LANES, units - p, tokens);
    float row[LANES];
#pragma GCC unroll 4
    for (int i = 0; i < tokens; i++) {
        _mm256_storeu_ps(row, c[i]);
        for (int r = 0; r < LANES; r++) sum[r * LANES + i] = (add ? sum[r * LANES + i] : 0.0f) + row[r];
    }
}

#define OF_TOKENS(n)                                                                                         \
    CPU_TARGET_256 static void rows_##n(float *sum, const float *w, const float *x, int units, bool add,     \
                                        cpu_ahead next) {                                                    \
        multiply_rows(sum, w, x, units, add, next, n);                                                       \
    }
OF_TOKENS(1)
OF_TOKENS(2)
OF_TOKENS(3)
OF_TOKENS(4)

static void multiply_few(float *sum, const uint32_t *w, const uint32_t *x, int units, bool add,
                         cpu_ahead next, int tokens) {
    static void (*const of[FEW])(float *, const float *, const float *, int, bool,
                                 cpu_ahead) = {rows_1, rows_2, rows_3, rows_4};
    of[tokens - 1](sum, (const float *)(const void *)w, (const float *)(const void *)x, units, add, next);
}

CPU_TARGET_256 static void store(const float *sum, int ld, const cpu_store *to) {
    __m256i mask = cpu_first_8(to->rows);
    __m256 scale = _mm256_set1_ps(to->scale);
    __m256 bias = to->bias ? _mm256_maskload_ps(to->bias + to->row, mask) : _mm256_setzero_ps();
    __m256 r[LANES];
    for (int i = 0; i < LANES; i++) r[i] = _mm256_loadu_ps(sum + at(i, ld));
    cpu_transpose_8(r);
    for (int t = 0; t < LANES && t < to->tokens; t++) {
        float *y = to->y + at(t, to->ld) + to->row;
        __m256 v = _mm256_add_ps(_mm256_mul_ps(r[t], scale), bias);
        if (to->rows >= LANES)
            _mm256_storeu_ps(y, v);
        else
            _mm256_maskstore_ps(y, mask, v);
    }
}

const cpu_kind cpu_floats_256 = {.lanes = LANES,
                                 .sub = SUB,
                                 .slice = SLICE,
                                 .stride = STRIDE,
                                 .step = LANES,
                                 .pack = pack_floats,
                                 .multiply = {multiply_8, multiply_16},
                                 .few = FEW,
                                 .few_sub = LANES,
                                 .multiply_few = multiply_few,
                                 .low = LOW,
                                 .low_rows = LOW_ROWS,
                                 .store = store};

const cpu_kind cpu_rounded_256 = {.rounded = true,
                                  .lanes = LANES,
                                  .sub = SUB,
                                  .slice = SLICE,
                                  .stride = STRIDE,
                                  .step = LANES,
                                  .pack = pack_rounded,
                                  .multiply = {multiply_8, multiply_16},
                                  .few = FEW,
                                  .few_sub = LANES,
                                  .multiply_few = multiply_few,
                                  .low = LOW,
                                  .low_rows = LOW_ROWS,
                                  .store = store};
#endif
