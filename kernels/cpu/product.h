/* product.h - private to kernels/cpu: products with a weight by our own kernels, on wide vectors.
 *
 * There are two kinds. In float32 operands are taken as they are. Of the other kind both operands are rounded
 * to bfloat16, to nearest even, and pairs of products are summed in float32 by the processor's dot product
 * (AVX512-BF16), where elements too small for a normal bfloat16 count as zero; on AVX2 rounded operands are
 * multiplied as float32. The number of threads never changes the order of a sum; forward it depends on the
 * weight's shape alone, so not on the other rows either, backward on the number of rows as well.
 *
 * What is packed for the inner loops comes in units of 32 bits: a float32, or a pair of bfloat16 that are
 * neighbours in the sum. Weights may lie packed as backward products want them (packed.c); results of forward
 * products are the same bits either way.
 *
 * Where the processor lacks the instructions, operands, rounded if need be, go through oneDNN's float32
 * product (linear.c). */
#ifndef TABES_KERNELS_CPU_PRODUCT_H
#define TABES_KERNELS_CPU_PRODUCT_H

#include "kernels/blocks.h"
#include "kernels/cpu/cpu.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define CPU_X86        1
#define CPU_TARGET_256 __attribute__((target("avx2,fma,f16c")))
#ifdef CPU_INTRINSICS /* tests: AVX-512 in plain C, on any processor (tests/wide/avx512.h) */
#define CPU_TARGET_512
#define CPU_TARGET_BF16
#define CPU_SUPPORTS_512(feature) true
#else
#define CPU_INTRINSICS            <immintrin.h>
#define CPU_TARGET_512            __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl")))
#define CPU_TARGET_BF16           __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")))
#define CPU_SUPPORTS_512(feature) __builtin_cpu_supports(feature)
#endif
#endif

typedef uint16_t bf16; /* its bits */

/* Whether the processor has the instructions and nobody asked to do without (kernels_limit_vectors): AVX2
 * with FMA, AVX-512, and that with products of bfloat16. */
bool cpu_has_256(void);
bool cpu_has_512(void);
bool cpu_has_bf16(void);

/* out = x rounded, n elements. */
void cpu_round_bf16(bf16 *out, const float *x, size_t n);
void cpu_round_floats(float *x, size_t n); /* in place */

/* Elements [first, first+n) of a row of a weight's part, rounded; both are multiples of its block's size. */
void cpu_narrow_weight(bf16 *out, const k_matrix *w, int row, int first, int n);

/* out = n blocks of a type (of 1 element where it has none) as float32, where there are vectors for it. */
bool cpu_widen_fast(float *out, k_dtype type, const void *blocks, size_t n);

/* ---- tokens ---- */

typedef struct cpu_rows_of {
    const float *x;
    int ld, n, cols;
} cpu_rows_of;

/* Columns [c, c+32) of up to 16 tokens as 16 units, or as many as there are: unit p of all tokens, of `lanes`
 * tokens with zeros behind the last, is at out + p·ld. */
void cpu_pack_pairs(uint32_t *out, int ld, const cpu_rows_of *t, int c, int lanes);

/* ---- pairs of rows, interleaved ---- */

enum { CPU_GROUP = 32, CPU_PACKED_ROWS = 32 };

/* Rows of a weight as bfloat16, an even number: a row of zeros comes after an odd one. */
typedef struct cpu_block {
    const bf16 *w;
    size_t ld;
    int rows;
} cpu_block;

/* Columns [c, c+cols) of rows [row, row+rows): where they lie, if they can be read there, else brought into
 * room[rows+1][ld]. */
cpu_block cpu_block_at(const k_weight *w, bf16 *room, size_t ld, int row, int rows, int c, int cols);

/* out[rows/2][32] = columns [c, c+32) of a block of `cols` columns, of pairs of its rows: the elements of an
 * even and an odd row make a unit. Zeros stand behind the last column. */
void cpu_pack_group(uint32_t *out, const cpu_block *b, int c, int cols);

/* And back: out[rows], 32 columns each, `ld` units apart; an odd last row has the zeros that came after it.
 */
void cpu_unpack_group(uint32_t *out, size_t ld, const uint32_t *units, int rows);

/* The same as float32: 32 of them a row, `ld` apart. */
void cpu_unpack_floats(float *out, size_t ld, const uint32_t *units, int rows);

/* A packed weight (`device` of k_weight) is groups of 32 columns, each [(rows+1)/2][32] units: */
static inline size_t cpu_packed_group(const k_weight *w) {
    return at((w->rows + 1) / 2, CPU_GROUP);
}

/* The units of a pair of rows in the group of a column. */
static inline const uint32_t *cpu_packed_at(const k_weight *w, int row, int col) {
    return (const uint32_t *)w->device + (size_t)(col / CPU_GROUP) * cpu_packed_group(w) +
           at(row / 2, CPU_GROUP);
}

/* Packs a weight, for operands in float32 or rounded ones, if its type and the memory allow it and there are
 * products that want it; and lets go of that. */
void cpu_pack(k_weight *w, bool rounded);
void cpu_unpack(k_weight *w);

/* Where element `col` of row `row` lies, an even row of a packed weight, if the `rows` rows from there on are
 * in one part and nothing is behind the end; else NULL. *ld: bytes from row to row, *step: of 32 elements.
 * For prefetching. */
static inline const char *cpu_weight_at(const k_weight *w, int row, int rows, int col, size_t *ld,
                                        size_t *step) {
    if (row >= w->rows || col >= w->cols) return NULL;
    if (w->device) {
        *ld = CPU_GROUP * sizeof(bf16), *step = cpu_packed_group(w) * sizeof(uint32_t);
        return (const char *)cpu_packed_at(w, row, col);
    }
    const k_matrix *m = cpu_find_part(w, &row);
    if (row + rows > m->rows) return NULL;
    int block = k_block_size(m->dtype);
    *ld = k_row_bytes(m->dtype, m->cols);
    *step = k_row_bytes(m->dtype, block < 32 ? 32 : block) / (size_t)(block < 32 ? 1 : block / 32);
    return (const char *)m->data + (size_t)row * *ld + (size_t)(col / 32) * *step;
}

typedef struct cpu_kind cpu_kind;           /* product_kind.h */
typedef struct cpu_back_kind cpu_back_kind; /* likewise */

/* What this processor has for operands in float32, or for rounded ones, forward and for n rows backward;
 * NULL: nothing, or nothing that is faster than oneDNN. */
const cpu_kind *cpu_kind_of(bool rounded);
const cpu_back_kind *cpu_back_kind_of(bool rounded, const k_weight *w, int n);

/* y[n][w.rows] = scale·x Wᵀ + bias. */
void cpu_wide_product(float *y, const float *x, int n, const k_weight *w, float scale, const cpu_kind *kind);

/* dx[n][w.cols] = dy W over rows [first, first+rows) of W, added to dx unless first is 0; rows of dy are ldy
 * apart. */
void cpu_wide_back(float *dx, const float *dy, int ldy, int n, const k_weight *w, int first, int rows,
                   const cpu_back_kind *kind);

#ifdef CPU_X86
void cpu_gemm_256(const cpu_product *p);
void cpu_gemm_512(const cpu_product *p);

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
