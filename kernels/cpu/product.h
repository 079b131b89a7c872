/* product.h - private to kernels/cpu: products with a weight by our own kernels, on wide vectors.
 *
 * There are two kinds. In float32 operands are taken as they are. Of the other kind both operands are rounded
 * to bfloat16, to nearest even, and pairs of products are summed in float32 by the processor's dot product
 * (AVX512-BF16), where elements too small for a normal bfloat16 count as zero. The number of threads never
 * changes the order of a sum; forward it depends on the weight's shape alone, so not on the other rows
 * either, backward on the number of rows as well.
 *
 * What is packed for the inner loops comes in units of 32 bits: a float32, or a pair of bfloat16 that are
 * neighbours in the sum.
 *
 * Where the processor lacks the instructions, operands, rounded if need be, go through oneDNN's float32
 * product (linear.c). */
#ifndef TABES_KERNELS_CPU_PRODUCT_H
#define TABES_KERNELS_CPU_PRODUCT_H

#include "kernels/blocks.h"
#include "kernels/cpu/cpu.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define CPU_X86         1
#define CPU_TARGET_512  __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl")))
#define CPU_TARGET_BF16 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")))
#endif

typedef uint16_t bf16; /* its bits */

/* Whether the processor has the instructions and nobody asked to do without (kernels_allow_wide): AVX-512,
 * and that with products of bfloat16. */
bool cpu_has_512(void);
bool cpu_has_bf16(void);

/* out = x rounded, n elements. */
void cpu_round_bf16(bf16 *out, const float *x, size_t n);

/* Elements [first, first+n) of a row of a weight's part, rounded; both are multiples of its block's size. */
void cpu_narrow_weight(bf16 *out, const k_matrix *w, int row, int first, int n);

/* Where element `col` of row `row` lies, if the `rows` rows from there on are in one part and nothing is
 * behind the end; else NULL. *ld: bytes from row to row, *step: of 32 elements. For prefetching. */
static inline const char *cpu_weight_at(const k_weight *w, int row, int rows, int col, size_t *ld,
                                        size_t *step) {
    if (row >= w->rows || col >= w->cols) return NULL;
    const k_matrix *m = cpu_find_part(w, &row);
    if (row + rows > m->rows) return NULL;
    int block = k_block_size(m->dtype);
    *ld = k_row_bytes(m->dtype, m->cols);
    *step = k_row_bytes(m->dtype, block < 32 ? 32 : block) / (size_t)(block < 32 ? 1 : block / 32);
    return (const char *)m->data + (size_t)row * *ld + (size_t)(col / 32) * *step;
}

/* y[n][w.rows] = scale·x Wᵀ + bias. */
void cpu_wide_product(float *y, const float *x, int n, const k_weight *w, float scale, bool rounded);

/* dx[n][w.cols] = dy W over rows [first, first+rows) of W, added to dx unless first is 0; rows of dy are ldy
 * apart. Of rounded operands only. */
void cpu_wide_back(float *dx, const float *dy, int ldy, int n, const k_weight *w, int first, int rows);

#ifdef CPU_X86
/* Reading a weight takes about as long as multiplying it by 16 tokens. */
static inline bool cpu_worth_threads(int n, int rows, int cols) {
    return ((double)n + 16) * rows * cols >= PARALLEL_MIN_MADDS;
}

/* A mask of the first n of 16 lanes; n may be any. */
static inline uint16_t cpu_lanes(int n) {
    return (uint16_t)(n <= 0 ? 0 : n >= 16 ? 0xffff : (1 << n) - 1);
}
#endif

#endif
