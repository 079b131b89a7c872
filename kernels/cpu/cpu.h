/* cpu.h - private to kernels/cpu: threads, scratch memory, one product, one exponential.
 *
 * Loops over rows run in parallel when there is enough to do; every row is computed by one
 * thread in a fixed order, so results depend on the number of threads only through the
 * blocking of the product library. Products of any kind go through cpu_gemm().
 */
#ifndef TABES_KERNELS_CPU_H
#define TABES_KERNELS_CPU_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/kernels.h"

/* A parallel for loop, taken when `cond` holds; a plain loop in builds without OpenMP. */
#ifdef _OPENMP
#define CPU_PRAGMA(x) _Pragma(#x)
#define PARALLEL_FOR(cond) CPU_PRAGMA(omp parallel for schedule(static) num_threads(kernels_threads()) if (cond))
#else
#define PARALLEL_FOR(cond)
#endif

/* Elements (exponentials, mostly) and multiply-adds that are worth waking a second thread for:
 * some 100 us of work. A small model meets hundreds of such loops per pass, and on a busy
 * machine each barrier can cost more than its loop (N=90, d=128, two loaded cores: 12 ms
 * against 5 ms in one thread). */
enum { PARALLEL_MIN = 1 << 17, PARALLEL_MIN_MADDS = 1 << 23 };

/* Element loops are compiled for wider vectors too and chosen at load time. Without contraction
 * and reassociation every version gives the same bits. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) &&     \
    !defined(__SANITIZE_THREAD__)
#define CPU_CLONES __attribute__((target_clones("default", "avx2", "avx512f")))
#else
#define CPU_CLONES
#endif

/* Thread-local buffers that only grow; each use has its own, so that nesting is safe. */
typedef enum cpu_slot {
    SLOT_TILE,   /* widened weights */
    SLOT_SCORES, /* attention scores, soft-write probabilities */
    SLOT_GRADS,  /* gradients of scores */
    SLOT_COLS,   /* columns of scores at active rows */
    SLOT_ROPE,   /* cos/sin table */
    N_SLOTS
} cpu_slot;

/* At least n floats, 64-byte aligned, contents undefined. Aborts when memory is short. */
float *cpu_scratch(cpu_slot slot, size_t n);

/* c[m][n] = alpha·op(a)op(b) + beta·c, row-major, op = transpose when ta/tb. c is not read when beta is 0. */
typedef struct cpu_product {
    bool ta, tb;
    int m, n, k;
    float alpha;
    const float *a;
    int lda;
    const float *b;
    int ldb;
    float beta;
    float *c;
    int ldc;
} cpu_product;
void cpu_gemm(const cpu_product *p);

/* Rows [first, first+n) of w as float32: a pointer into w itself, or SLOT_TILE filled. */
const float *cpu_rows(const k_matrix *w, int first, int n);

/* Rows that cpu_rows should be asked for at once. */
int cpu_tile_rows(const k_matrix *w);

static inline size_t at(int row, int width) {
    return (size_t)row * (size_t)width;
}

/* e^x within 2 ulp for |x| < 87, without branches so that loops vectorise. Saturates at both
 * ends (about 1e-38 and 2.4e38); NaN stays NaN. Cody-Waite reduction, Cephes polynomial. */
static inline float cpu_expf(float x) {
    x = x > 88.0f ? 88.0f : x;
    x = x < -87.0f ? -87.0f : x;
    const float magic = 12582912.0f; /* 1.5·2^23: adding it rounds to an integer */
    float t = x * 1.44269504088896341f + magic;
    float n = t - magic;
    float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    uint32_t bits, scale_bits;
    memcpy(&bits, &t, sizeof bits);
    scale_bits = (bits << 23) + 0x3f800000u; /* 2^n: the low bits of t hold n */
    float scale;
    memcpy(&scale, &scale_bits, sizeof scale);
    return p * scale;
}

void cpu_linear(float *y, const float *x, int n, const k_matrix *w, const float *bias);
void cpu_linear_back(float *dx, const float *dy, int n, const k_matrix *w, bool add, k_counts *c);
void cpu_embed(float *y, const int32_t *ids, int n, const k_matrix *w);
void cpu_rmsnorm(float *y, const float *x, const float *w, int n, int d, float eps);
void cpu_rmsnorm_back(float *dx, const float *dy, const float *x, const float *w, int n, int d, float eps);
void cpu_rope(float *x, const int *pos, int n, int heads, int hd, double theta, bool inverse);
void cpu_attention(const k_attn *a);
void cpu_attention_back(const k_attn_back *a, k_counts *c);
void cpu_swiglu(float *h, const float *gate, const float *up, int n, int f);
void cpu_swiglu_back(float *dgate, float *dup, const float *dh, const float *gate, const float *up, int n,
                     int f);
void cpu_head_stats(k_row_stats *out, const float *logits, int n, int V, int mask);
void cpu_entropy_back(float *dz, const float *logits, const k_row_stats *stats, const float *weight, int n,
                      int V, int mask, k_counts *c);
void cpu_soft_write(float *out, const float *logits, const k_row_stats *stats, int n, int V, int mask,
                    const k_matrix *E);

#endif
