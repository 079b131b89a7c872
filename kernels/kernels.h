/* kernels.h - arithmetic on plain arrays; knows floats and shapes, never a model.
 *
 * One table of function pointers, filled for a device. Activations are float32, row-major,
 * rows contiguous. Weights are [out][in] as checkpoints store them (y = x Wᵀ + b) and may be
 * F32, F16 or BF16; narrower types are widened tile by tile inside the product, never whole.
 * Sums over a softmax, a norm or an entropy are accumulated in double; products accumulate in
 * float32. No function allocates per call beyond its own thread-local scratch; none fails.
 * Unless said otherwise outputs must not alias inputs.
 *
 * Letters: n rows, d width, H query heads, KV key/value heads, hd head size, f MLP width,
 * V vocabulary rows. Equation numbers: Saini et al. 2026 (TABES).
 */
#ifndef TABES_KERNELS_H
#define TABES_KERNELS_H

#include <stdbool.h>
#include <stdint.h>

typedef enum k_dtype { K_F32, K_F16, K_BF16 } k_dtype;

/* A borrowed weight matrix [rows][cols], row-major, possibly memory-mapped. */
typedef struct k_matrix {
    const void *data;
    k_dtype dtype;
    int rows, cols;
} k_matrix;

/* What one row's logits say. `argmax`: highest logit, lowest id on ties, never the mask. */
typedef struct k_row_stats {
    double lse;        /* log Σ exp z over all ids but the mask */
    double entropy;    /* H = -Σ π log π, nats; exactly 0 for a one-hot row */
    double confidence; /* max π */
    double margin;     /* top1 - top2 of π */
    int32_t argmax;
    bool bad; /* a NaN or +inf logit was met; the other fields are then 0 */
} k_row_stats;

/* Attention of n_q query rows over n_k key rows, bidirectional (no mask of any kind).
 * q, o: [n_q][H*hd]; k, v: [n_k][KV*hd]; lse: [n_q][H] (log-sum-exp of scaled scores).
 * Query head h reads kv head h / (H/KV). Scale 1/sqrt(hd). */
typedef struct k_attn {
    int n_q, n_k, H, KV, hd;
    const float *q, *k, *v;
    float *o, *lse;
} k_attn;

/* Backward of k_attn for the n_q given (active) rows, flash-attention style: P is recomputed
 * from q, k and lse. do_: gradient of o [n_q][H*hd]. dq: [n_q][H*hd], overwritten.
 * q_pos[i] = key index of query row i (each query row is also a key row).
 * dk, dv: [n_q][KV*hd], overwritten: gradients of the keys/values *of the same n_q rows*
 * (keys of inactive rows need none). With `local`, dk and dv receive only the contribution
 * of a row to itself (boe.md "row-local self term"). */
typedef struct k_attn_back {
    int n_q, n_k, H, KV, hd;
    bool local;
    const int *q_pos;
    const float *q, *k, *v, *o, *lse, *do_;
    float *dq, *dk, *dv;
} k_attn_back;

/* Rows that passed through each kind of backward product since the caller zeroed it.
 * The kernels add to it; it is how `backward_rows` is measured rather than asserted. */
typedef struct k_counts {
    int64_t linear_calls, linear_rows; /* linear_back */
    int64_t attn_calls, attn_rows;     /* attention_back: query rows */
    int64_t head_calls, head_rows;     /* entropy_back */
} k_counts;

typedef struct kernels {
    const char *name; /* "cpu" */

    /* y[n][w.rows] = x[n][w.cols] Wᵀ + bias; bias may be NULL. */
    void (*linear)(float *y, const float *x, int n, const k_matrix *w, const float *bias);
    /* dx[n][w.cols] (+)= dy[n][w.rows] W; added to dx when `add`. Counts linear rows. */
    void (*linear_back)(float *dx, const float *dy, int n, const k_matrix *w, bool add, k_counts *c);
    /* y[i] = W[ids[i]] widened to float32. */
    void (*embed)(float *y, const int32_t *ids, int n, const k_matrix *w);
    /* y = x / sqrt(mean(x²)+eps) ⊙ w */
    void (*rmsnorm)(float *y, const float *x, const float *w, int n, int d, float eps);
    /* dx += (d rmsnorm / dx)ᵀ dy. dx must hold the residual's gradient already. */
    void (*rmsnorm_back)(float *dx, const float *dy, const float *x, const float *w, int n, int d, float eps);
    /* Rotates x[n][heads*hd] in place, half-split pairs (i, i+hd/2); pos[i] is row i's position;
     * inverse rotates back (which is also the backward). */
    void (*rope)(float *x, const int *pos, int n, int heads, int hd, double theta, bool inverse);
    void (*attention)(const k_attn *a);
    void (*attention_back)(const k_attn_back *a, k_counts *c);
    /* h = silu(gate) ⊙ up, [n][f]; h may alias gate. */
    void (*swiglu)(float *h, const float *gate, const float *up, int n, int f);
    /* dgate, dup from dh; may alias dh with neither. */
    void (*swiglu_back)(float *dgate, float *dup, const float *dh, const float *gate, const float *up, int n,
                        int f);
    /* Statistics of n logit rows [n][V]; column `mask` (or -1) is treated as -inf. */
    void (*head_stats)(k_row_stats *out, const float *logits, int n, int V, int mask);
    /* Entropy backward, boe.md: dz_v = -weight·π_v(log π_v + H), mask column 0. dz: [n][V]. */
    void (*entropy_back)(float *dz, const float *logits, const k_row_stats *stats, const float *weight, int n,
                         int V, int mask, k_counts *c);
    /* Soft write (Eq. 10): out[i] = Eᵀ π_i, [n][d]; E is [V][d]. */
    void (*soft_write)(float *out, const float *logits, const k_row_stats *stats, int n, int V, int mask,
                       const k_matrix *E);
} kernels;

/* The CPU table: OpenMP loops, products from oneDNN. Never NULL, valid for the whole run. */
const kernels *kernels_cpu(void);

/* Number of threads that kernels use; n <= 0 restores the default (all cores). */
void kernels_set_threads(int n);
int kernels_threads(void);

#endif
