/* product_512.c - y = x Wᵀ on vectors of 512 bits: of float32, and of pairs of bfloat16 (product_kind.h).
 *
 * 12 rows of W times a panel of 32 tokens are 24 sums in registers: a unit of W is broadcast to 16 tokens at
 * once. */
#include "kernels/cpu/product_kind.h"

#ifdef CPU_X86
#include CPU_INTRINSICS

#include "kernels/cpu/transpose.h"

enum {
    SUB = 12,
    SLICE = 1024, /* long enough that memory is read in runs of pages */
    STRIDE = SLICE + 16
};

static void pack_pairs(uint32_t *out, int ld, const float *x, int tokens, int cols, int c) {
    cpu_pack_pairs(out, ld, &(cpu_rows_of){x, cols, tokens, cols}, c, 16);
}

CPU_TARGET_512 static void pack_floats(uint32_t *out, int ld, const float *x, int tokens, int cols, int c) {
    __mmask16 m = cpu_lanes(cols - c);
    __m512i r[16];
    for (int t = 0; t < 16; t++)
        r[t] = _mm512_maskz_loadu_epi32(t < tokens ? m : 0, x + at(t < tokens ? t : 0, cols) + c);
    cpu_transpose_16(r);
    for (int p = 0; p < 16 && c + p < cols; p++) _mm512_storeu_si512(out + at(p, ld), r[p]);
}

/* For every kind of units and width of a panel there is one such function; `ADD` adds a product to a sum. */
#define MULTIPLY(name, target, vectors, VALUE, ADD)                                                          \
    target static void name(float *sum, const uint32_t *w, const uint32_t *x, int units, bool add,           \
                            cpu_ahead next) {                                                                \
        __m512 c[SUB * (vectors)]; /* in registers, as long as every loop over it is unrolled */             \
        _Pragma("GCC unroll 24") for (int i = 0; i < SUB * (vectors); i++) c[i] = _mm512_setzero_ps();       \
        for (int p = 0; p < units; p++) {                                                                    \
            if (next.p && !(p & next.within)) {                                                              \
                for (int i = 0; i < SUB; i++) __builtin_prefetch(next.p + (size_t)i * next.ld, 0, 2);        \
                next.p += next.step;                                                                         \
            }                                                                                                \
            __m512i t[vectors];                                                                              \
            for (int v = 0; v < (vectors); v++) t[v] = _mm512_loadu_si512(x + (p * (vectors) + v) * 16);     \
            _Pragma("GCC unroll 12") for (int i = 0; i < SUB; i++) {                                         \
                __m512i a = _mm512_set1_epi32((int)w[i * STRIDE + p]);                                       \
                for (int v = 0; v < (vectors); v++)                                                          \
                    c[i * (vectors) + v] = ADD(c[i * (vectors) + v], VALUE(a), VALUE(t[v]));                 \
            }                                                                                                \
        }                                                                                                    \
        _Pragma("GCC unroll 24") for (int i = 0; i < SUB * (vectors); i++) {                                 \
            __m512 before = add ? _mm512_loadu_ps(sum + 16 * i) : _mm512_setzero_ps();                       \
            _mm512_storeu_ps(sum + 16 * i, _mm512_add_ps(before, c[i]));                                     \
        }                                                                                                    \
    }

#define PAIRS(v)            ((__m512bh)(v))
#define FLOATS(v)           _mm512_castsi512_ps(v)
#define ADD_FLOATS(c, a, b) _mm512_fmadd_ps(a, b, c)
MULTIPLY(multiply_pairs_16, CPU_TARGET_BF16, 1, PAIRS, _mm512_dpbf16_ps)
MULTIPLY(multiply_pairs_32, CPU_TARGET_BF16, 2, PAIRS, _mm512_dpbf16_ps)
MULTIPLY(multiply_floats_16, CPU_TARGET_512, 1, FLOATS, ADD_FLOATS)
MULTIPLY(multiply_floats_32, CPU_TARGET_512, 2, FLOATS, ADD_FLOATS)

CPU_TARGET_512 static void store(const float *sum, int ld, const cpu_store *to) {
    __mmask16 mask = cpu_lanes(to->rows);
    __m512 scale = _mm512_set1_ps(to->scale);
    __m512 bias = to->bias ? _mm512_maskz_loadu_ps(mask, to->bias + to->row) : _mm512_setzero_ps();
    __m512i r[16];
    for (int i = 0; i < 16; i++) r[i] = _mm512_loadu_si512(sum + at(i, ld));
    cpu_transpose_16(r);
    for (int t = 0; t < 16 && t < to->tokens; t++) {
        __m512 v = _mm512_add_ps(_mm512_mul_ps(_mm512_castsi512_ps(r[t]), scale), bias);
        _mm512_mask_storeu_ps(to->y + at(t, to->ld) + to->row, mask, v);
    }
}

const cpu_kind cpu_pairs_512 = {.pairs = true,
                                .rounded = true,
                                .lanes = 16,
                                .sub = SUB,
                                .slice = SLICE,
                                .stride = STRIDE,
                                .step = 32,
                                .pack = pack_pairs,
                                .multiply = {multiply_pairs_16, multiply_pairs_32},
                                .store = store};

const cpu_kind cpu_floats_512 = {.lanes = 16,
                                 .sub = SUB,
                                 .slice = SLICE,
                                 .stride = STRIDE,
                                 .step = 16,
                                 .pack = pack_floats,
                                 .multiply = {multiply_floats_16, multiply_floats_32},
                                 .store = store};
#endif
