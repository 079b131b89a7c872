/* product_back_512.c - dx = dy W from pairs of bfloat16 on vectors of 512 bits (product_kind.h): up to 12
 * tokens times 32 columns of both rows of a pair. */
#include "kernels/cpu/product_kind.h"

#ifdef CPU_X86
#include CPU_INTRINSICS

enum { GROUP = CPU_GROUP, TOKENS = 12 };

/* One such function for every number of tokens. */
CPU_TARGET_BF16 static inline __attribute__((always_inline)) void multiply(const cpu_share *s, int tokens) {
    __m512 c[2 * TOKENS]; /* in registers, as long as every loop over it is unrolled */
    const uint32_t *w = s->w, *dy = s->dy;
    const char *next = s->next;
    size_t step = s->step, half = s->half;
    int left = next ? s->every : s->pairs + 1;
    float *out = s->out;
    bool add = s->add;
#pragma GCC unroll 24
    for (int i = 0; i < 2 * tokens; i++) c[i] = _mm512_setzero_ps();
    for (int p = 0; p < s->pairs; p++, dy += tokens) {
        if (!--left) {
            __builtin_prefetch(next, 0, 2);
            __builtin_prefetch(next + half, 0, 2);
            next += step, left = s->every;
        }
        __m512bh w0 = (__m512bh)_mm512_loadu_si512(w + p * GROUP);
        __m512bh w1 = (__m512bh)_mm512_loadu_si512(w + p * GROUP + 16);
#pragma GCC unroll 12
        for (int i = 0; i < tokens; i++) {
            __m512bh a = (__m512bh)_mm512_set1_epi32((int)dy[i]);
            c[2 * i] = _mm512_dpbf16_ps(c[2 * i], a, w0);
            c[2 * i + 1] = _mm512_dpbf16_ps(c[2 * i + 1], a, w1);
        }
    }
#pragma GCC unroll 24
    for (int i = 0; i < 2 * tokens; i++) {
        __m512 before = add ? _mm512_loadu_ps(out + 16 * i) : _mm512_setzero_ps();
        _mm512_storeu_ps(out + 16 * i, _mm512_add_ps(before, c[i]));
    }
}

#define OF_TOKENS(n)                                                                                         \
    CPU_TARGET_BF16 static void multiply_##n(const cpu_share *s) {                                           \
        multiply(s, n);                                                                                      \
    }
OF_TOKENS(1)
OF_TOKENS(2)
OF_TOKENS(3)
OF_TOKENS(4)
OF_TOKENS(5)
OF_TOKENS(6)
OF_TOKENS(7)
OF_TOKENS(8)
OF_TOKENS(9)
OF_TOKENS(10)
OF_TOKENS(11)
OF_TOKENS(12)

static void multiply_some(const cpu_share *s, int tokens) {
    static void (*const of[TOKENS])(const cpu_share *) = {multiply_1, multiply_2,  multiply_3,  multiply_4,
                                                          multiply_5, multiply_6,  multiply_7,  multiply_8,
                                                          multiply_9, multiply_10, multiply_11, multiply_12};
    of[tokens - 1](s);
}

static void pack(uint32_t *out, const cpu_rows_of *dy, int row) {
    cpu_pack_pairs(out, dy->n, dy, row, dy->n);
}

const cpu_back_kind cpu_back_pairs_512 = {
    .rounded = true, .tokens = TOKENS, .units = 1, .pack = pack, .multiply = multiply_some};
#endif
