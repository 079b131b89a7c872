/* cpu.h - private to kernels/cpu: threads, scratch memory, one product, one exponential.
 *
 * Device memory is ordinary memory and activations are float32 (cpu_floats reads a k_act array as
 * what it is). Operations run at once in the calling thread; a fault belongs to the thread that
 * met it, so that the one table serves every thread.
 *
 * Loops over rows run in parallel when there is enough to do; every row is computed by one
 * thread in a fixed order, so results depend on the number of threads only through the
 * blocking of the product library.
 */
#ifndef TABES_KERNELS_CPU_H
#define TABES_KERNELS_CPU_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/kernels.h"

/* A parallel for loop, taken when `cond` holds; a plain loop in builds without OpenMP. In a function called
 * by PARALLEL, SHARE_FOR shares out a loop to the threads that are there and waits until it is done, and
 * WAIT_FOR_ALL waits for all of them. */
#ifdef _OPENMP
#define CPU_PRAGMA(x) _Pragma(#x)
#define PARALLEL_FOR(cond) CPU_PRAGMA(omp parallel for schedule(static) num_threads(kernels_threads()) if (cond))
#define PARALLEL(cond) CPU_PRAGMA(omp parallel num_threads(kernels_threads()) if (cond))
#define SHARE_FOR      CPU_PRAGMA(omp for schedule(static))
#define WAIT_FOR_ALL CPU_PRAGMA(omp barrier)
#else
#define PARALLEL_FOR(cond) (void)(cond);
#define PARALLEL(cond)     (void)(cond);
#define SHARE_FOR
#define WAIT_FOR_ALL
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
    SLOT_SCORES, /* attention scores; a tile of logits, probabilities or their gradients */
    SLOT_GRADS,  /* gradients of scores */
    SLOT_COLS,   /* columns of scores at active rows */
    SLOT_KEYS,   /* overlaid keys and values; queries of active rows */
    SLOT_ROW,    /* one row of a norm */
    SLOT_ACTS,   /* packed or rounded activations of a product */
    SLOT_SUMS,   /* sums of a product that are not in their place yet */
    SLOT_PANEL,  /* columns of a small product's second matrix */
    SLOT_HEAD,   /* rows that enter the head's product, or what is known of their logits */
    N_SLOTS
} cpu_slot;

/* At least n floats, 64-byte aligned, contents undefined. Ends the process, with a line on standard
 * error, when memory is short. */
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

/* The same in the calling thread, for matrices as attention has them. Where there are vectors for it every
 * element of c is summed over k in order, so it does not depend on m and n. */
void cpu_gemm_small(const cpu_product *p);

/* dx[n][w.cols] = dy W over rows [first, first+rows) of W, added to dx unless first is 0; rows of dy are ldy
 * apart. As k's products are: from operands rounded to bfloat16, or in float32. */
void cpu_back(const kernels *k, float *dx, const float *dy, int ldy, int n, const k_weight *w, int first,
              int rows);

/* z[n][rows] = scale·x Wᵀ + bias of rows [first, first+rows) of W, as k's products are. Never of a weight's
 * copy: its part of the file is read, which gives the same bits. */
void cpu_logits_of(const kernels *k, float *z, const float *x, int n, const k_weight *w, float scale,
                   int first, int rows);

/* Row `row` of a matrix as float32 -> out[cols]; and its elements [first, first+n), whole blocks. */
void cpu_widen(float *out, const k_matrix *w, int row);
void cpu_widen_part(float *out, const k_matrix *w, int row, int first, int n);

/* Scale and minimum of sub-block j of Q4_K and Q5_K from the block's scales, six bits each. */
static inline void cpu_scale_k(const unsigned char *sc, int j, float d, float low, float *scale,
                               float *minimum) {
    int s = j < 4 ? sc[j] & 63 : (sc[j + 4] & 15) | (sc[j - 4] >> 6) << 4;
    int m = j < 4 ? sc[j + 4] & 63 : (sc[j + 4] >> 4) | (sc[j] >> 6) << 4;
    *scale = d * (float)s;
    *minimum = low * (float)m;
}

/* The part that holds row *row of a weight, which becomes a row of that part. */
static inline const k_matrix *cpu_find_part(const k_weight *w, int *row) {
    const k_matrix *m = w->part;
    for (; *row >= m->rows; m++) *row -= m->rows;
    return m;
}

/* True while this thread has an unread fault: operations then do nothing. */
bool cpu_failed(void);

/* Activations are float32 here. */
static inline float *cpu_floats(k_act *p) {
    return (float *)(void *)p;
}
static inline const float *cpu_const_floats(const k_act *p) {
    return (const float *)(const void *)p;
}

static inline size_t at(int row, int width) {
    return (size_t)row * (size_t)width;
}

/* e^x within 2 ulp for x from -87 to 88, without branches so that loops vectorise; NaN stays NaN. Cody-Waite
 * reduction, Cephes polynomial. */
static inline float cpu_expf_within(float x) {
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

/* x[n] becomes e^x, saturating at both ends (about 1e-38 and 2.4e38). Bounds are a loop of their own, or
 * compilers branch around the exponential. */
static inline void cpu_exp_floats(float *x, int n) {
    for (int i = 0; i < n; i++) {
        float low = x[i] < -87.0f ? -87.0f : x[i];
        x[i] = low > 88.0f ? 88.0f : low;
    }
    for (int i = 0; i < n; i++) x[i] = cpu_expf_within(x[i]);
}

/* e^y to 1e-15 of itself, in double and without branches as above, for y from -708 to 0. */
static inline double cpu_exp_within(double y) {
    const double magic = 6755399441055744.0; /* 1.5·2^52 */
    double t = y * 1.4426950408889634 + magic, n = t - magic;
    double r = (y - n * 6.93147180369123816490e-01) - n * 1.90821492927058770002e-10;
    double p = 1.6059043836821613e-10; /* 1/13!, 1/12!, ... */
    p = p * r + 2.08767569878681e-09;
    p = p * r + 2.505210838544172e-08;
    p = p * r + 2.755731922398589e-07;
    p = p * r + 2.7557319223985893e-06;
    p = p * r + 2.48015873015873e-05;
    p = p * r + 1.984126984126984e-04;
    p = p * r + 1.388888888888889e-03;
    p = p * r + 8.333333333333333e-03;
    p = p * r + 4.1666666666666664e-02;
    p = p * r + 1.6666666666666666e-01;
    p = p * r + 0.5;
    p = p * r * r + r + 1.0;
    uint64_t bits, scale_bits;
    memcpy(&bits, &t, sizeof bits);
    scale_bits = (bits << 52) + 0x3ff0000000000000u;
    double scale;
    memcpy(&scale, &scale_bits, sizeof scale);
    return p * scale;
}

/* For x up to 0; 0 below -700. */
static inline double cpu_exp(double x) {
    double p = cpu_exp_within(x < -700.0 ? -700.0 : x);
    return x < -700.0 ? 0.0 : p;
}

/* Sums of n terms are taken in so many lanes, which wide vectors hold and every version adds alike. */
enum { CPU_LANES = 16 };
static inline double cpu_add_lanes(double s[CPU_LANES]) {
    for (int w = CPU_LANES / 2; w; w /= 2) {
        for (int i = 0; i < w; i++) s[i] += s[i + w];
    }
    return s[0];
}

/* What copies of weights may take in all: a quarter of the machine's memory, shared between processes. */
size_t cpu_copy_bytes(void);

/* Memory for free(); on large pages where it is large, for arrays whose rows lie far apart. NULL: none. */
void *cpu_pages(size_t bytes, size_t alignment);

void *cpu_alloc(kernels *k, size_t bytes);
void cpu_free(kernels *k, void *p);
void cpu_put(kernels *k, void *dst, const void *src, size_t bytes);
void cpu_get(kernels *k, void *dst, const void *src, size_t bytes);
void cpu_zero(kernels *k, void *p, size_t bytes);
void cpu_memory(kernels *k, k_memory *out);
bool cpu_fault(kernels *k, k_fault *f);
bool cpu_load(kernels *k, k_weight *w);
void cpu_unload(kernels *k, k_weight *w);
const float *cpu_load_floats(kernels *k, const float *host, int n);

void cpu_embed(kernels *k, float *x, const int32_t *ids, int n, const k_weight *w, float scale);
void cpu_rows(kernels *k, float *y, const int *dst, const float *x, const int *src, const float *coef, int n,
              int d);
void cpu_narrow(kernels *k, k_act *y, const float *x, size_t n);
void cpu_gate(kernels *k, k_act *y, const float *x, const float *w, int n, int d);
void cpu_norm(kernels *k, const k_norm *a);
void cpu_norm_back(kernels *k, const k_norm_back *a);
void cpu_head_norm(kernels *k, const k_head_norm *a);
void cpu_head_norm_back(kernels *k, const k_head_norm_back *a);
void cpu_linear(kernels *k, k_act *y, const k_act *x, int n, const k_weight *w);
void cpu_logits(kernels *k, float *z, const k_act *x, int n, const k_weight *w, float scale);
void cpu_linear_back(kernels *k, k_act *dx, const k_act *dy, int n, const k_weight *w, k_counts *c);
void cpu_rope(kernels *k, k_act *x, int ld, const int *pos, int n, int heads, int hd, const float *table,
              unsigned how);
void cpu_attention(kernels *k, const k_attn *a);
void cpu_attention_back(kernels *k, const k_attn_back *a, k_counts *c);
void cpu_swiglu(kernels *k, k_act *h, const k_act *gu, int n, int f);
void cpu_swiglu_back(kernels *k, k_act *dgu, const k_act *dh, const k_act *gu, const int *rows, int n, int f);
void cpu_gelu(kernels *k, k_act *h, const k_act *x, int n, int f);
void cpu_gelu_back(kernels *k, k_act *dx, const k_act *dh, const k_act *x, const int *rows, int n, int f);
void cpu_blend(kernels *k, float *z, const float *u, float s, size_t n);
void cpu_head_stats(kernels *k, k_row_stats *stats, k_top *top, const float *logits, int n, int V, int mask);
void cpu_entropy_back(kernels *k, k_act *dz, const float *logits, const k_row_stats *stats, const int *rows,
                      int n, int V, int mask, float scale, k_counts *c);
void cpu_soft_write(kernels *k, float *out, const float *logits, const k_row_stats *stats, const int *rows,
                    int n, int V, int mask, const k_weight *E);
void cpu_head(kernels *k, k_row_stats *stats, k_top *top, const k_head *h, int n);
void cpu_head_back(kernels *k, k_act *dx, const k_head *h, const k_row_stats *stats, const int *rows, int n,
                   k_counts *c);
void cpu_head_soft(kernels *k, float *out, const k_head *h, const k_row_stats *stats, const int *rows, int n,
                   const k_weight *E);

#endif
