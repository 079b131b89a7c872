/* product_back_256.c - dx = dy W in float32 on vectors of 256 bits (product_kind.h): up to 6 tokens times 16
 * columns, or up to 3 times 32. Pairs of bfloat16 are taken apart on the way: a float32's upper half is one.
 */
#include "kernels/cpu/product_kind.h"

#ifdef CPU_X86
#include <immintrin.h>

enum { GROUP = CPU_GROUP, TOKENS = 6, LANES = 8, MOST_VECTORS = GROUP / LANES };

/* 8 columns of both rows of a pair. */
CPU_TARGET_256 static inline __attribute__((always_inline)) void take_pair(const cpu_share *s, int p, int c,
                                                                           __m256 *even, __m256 *odd) {
    if (s->w) {
        __m256i u = _mm256_loadu_si256((const __m256i *)(const void *)(s->w + (size_t)p * GROUP + c));
        *even = _mm256_castsi256_ps(_mm256_slli_epi32(u, 16));
        *odd = _mm256_castsi256_ps(_mm256_and_si256(u, _mm256_set1_epi32((int)0xffff0000)));
    } else {
        const float *row = s->floats + 2 * (size_t)p * s->ld + c;
        *even = _mm256_loadu_ps(row);
        *odd = _mm256_loadu_ps(row + s->ld);
    }
}

/* `vectors` of 8 columns from column c on. */
CPU_TARGET_256 static inline __attribute__((always_inline)) void columns(const cpu_share *s, int c,
                                                                         int tokens, int vectors) {
    __m256 sum[2 * TOKENS]; /* in registers, as long as every loop over it is unrolled */
    const float *dy = (const float *)(const void *)s->dy;
    const char *next = s->next ? s->next + (c ? s->half : 0) : NULL;
    int left = next ? s->every : s->pairs + 1;
#pragma GCC unroll 12
    for (int i = 0; i < tokens * vectors; i++) sum[i] = _mm256_setzero_ps();
    for (int p = 0; p < s->pairs; p++, dy += 2 * tokens) {
        if (!--left) {
            __builtin_prefetch(next, 0, 2);
            if (vectors == MOST_VECTORS) __builtin_prefetch(next + s->half, 0, 2);
            next += s->step, left = s->every;
        }
        __m256 even[MOST_VECTORS], odd[MOST_VECTORS];
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) take_pair(s, p, c + v * LANES, &even[v], &odd[v]);
#pragma GCC unroll 6
        for (int i = 0; i < tokens; i++) {
            __m256 a = _mm256_broadcast_ss(dy + i), b = _mm256_broadcast_ss(dy + tokens + i);
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++) {
                __m256 *to = &sum[i * vectors + v];
                *to = _mm256_fmadd_ps(b, odd[v], _mm256_fmadd_ps(a, even[v], *to));
            }
        }
    }
#pragma GCC unroll 12
    for (int i = 0; i < tokens * vectors; i++) {
        float *out = s->out + i / vectors * GROUP + c + i % vectors * LANES;
        __m256 before = s->add ? _mm256_loadu_ps(out) : _mm256_setzero_ps();
        _mm256_storeu_ps(out, _mm256_add_ps(before, sum[i]));
    }
}

#define OF_TOKENS(n, vectors)                                                                                \
    CPU_TARGET_256 static void multiply_##n(const cpu_share *s) {                                            \
        for (int c = 0; c < GROUP; c += LANES * (vectors)) columns(s, c, n, vectors);                        \
    }
OF_TOKENS(1, 4)
OF_TOKENS(2, 4)
OF_TOKENS(3, 4)
OF_TOKENS(4, 2)
OF_TOKENS(5, 2)
OF_TOKENS(6, 2)

static void multiply(const cpu_share *s, int tokens) {
    static void (*const of[TOKENS])(const cpu_share *) = {multiply_1, multiply_2, multiply_3,
                                                          multiply_4, multiply_5, multiply_6};
    of[tokens - 1](s);
}

/* A row of zeros comes after an odd last one. */
static void pack(uint32_t *to, const cpu_rows_of *dy, int row) {
    float *out = (float *)(void *)to;
    int n = dy->cols - row < 32 ? dy->cols - row : 32;
    for (int r = 0; r < n + n % 2; r++, out += dy->n) {
        for (int i = 0; i < dy->n; i++) out[i] = r < n ? dy->x[at(i, dy->ld) + (size_t)(row + r)] : 0.0f;
    }
}

static void pack_rounded(uint32_t *to, const cpu_rows_of *dy, int row) {
    int n = dy->cols - row < 32 ? dy->cols - row : 32;
    pack(to, dy, row);
    cpu_round_floats((float *)(void *)to, at(n, dy->n));
}

const cpu_back_kind cpu_back_floats_256 = {.tokens = TOKENS, .units = 2, .pack = pack, .multiply = multiply};
const cpu_back_kind cpu_back_rounded_256 = {
    .rounded = true, .tokens = TOKENS, .units = 2, .pack = pack_rounded, .multiply = multiply};
#endif
