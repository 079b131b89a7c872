/* kernels.h - arithmetic on plain arrays; knows floats and shapes, never a model.
 *
 * A `kernels` is a device with one ordered queue of work: a table of operations, and memory that
 * only those operations read and write. kernels_open() finds one by name; kernels_cpu() is always
 * there, and its device memory is ordinary memory.
 *
 *     kernels *k;  k_fault f;
 *     if (kernels_open(&k, &(k_open){.device = "cuda:0"}, &f)) return report(f.text);
 *     float *x = k->alloc(k, bytes);
 *     k->put(k, x, host, bytes);  ...operations...  k->get(k, host, x, bytes);
 *     if (k->fault(k, &f)) return report(f.text);
 *     k->free(k, x);  k->close(k);
 *
 * Two element types. `float` arrays hold what is summed up over a network: the residual stream,
 * its gradient, log-sum-exps, logits. `k_act` arrays hold what enters and leaves products; their
 * element is float32 (act_bytes 4) or bfloat16 (act_bytes 2), whichever the device was opened
 * with. Products accumulate in float32; sums over a norm or a softmax are at least as careful as
 * float32 trees, in double on the CPU. Weights are [out][in] as checkpoints store them.
 *
 * Every array argument lives in device memory (index arrays too); structs and counts on the host.
 * Arrays are row-major, rows contiguous unless a leading dimension is named. Outputs must not
 * alias inputs unless said otherwise. No operation fails: the first thing that goes wrong is kept
 * as the fault, and from then on operations do nothing. Work is queued in order and may still run
 * when a call returns; put() has copied its source by then, get() and fault() wait.
 *
 * A `kernels` belongs to one thread at a time. fork() gives another queue over the same weights.
 *
 * Letters: n rows, d width, H query heads, KV key/value heads, hd head size, f MLP width,
 * V vocabulary rows. Equation numbers: Saini et al. 2026 (TABES).
 */
#ifndef TABES_KERNELS_H
#define TABES_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How a matrix is stored. From K_Q8_0 on a row is a run of blocks, each with scales of its own, as GGUF files
 * have them (kernels/blocks.h): a row's length is then a multiple of the block's. */
typedef enum k_dtype {
    K_F32,
    K_F16,
    K_BF16,
    K_Q8_0,
    K_Q4_0,
    K_Q4_1,
    K_Q5_0,
    K_Q5_1,
    K_Q2_K,
    K_Q3_K,
    K_Q4_K,
    K_Q5_K,
    K_Q6_K,
    K_DTYPES
} k_dtype;

/* An element of an activation array; only the device knows its size (see k_act_at). */
typedef struct k_act k_act;

/* A borrowed matrix in host memory [rows][cols], row-major, possibly memory-mapped and unaligned. */
typedef struct k_matrix {
    const void *data;
    k_dtype dtype;
    int rows, cols;
} k_matrix;

enum { K_PARTS = 3 };

/* A weight: up to three matrices of equal width, one below the other, and a bias over all rows.
 * load() makes it usable by operations: on the CPU it stays as it is, narrow types being widened
 * tile by tile inside products, and `device` may be a copy for products of bfloat16. Elsewhere parts are
 * copied to the device, joined and converted to the activation type, and `device` is set; but if a part is of
 * a block type, `blocks` has every part on its own, block types as they are, the others converted, and
 * products widen a tile at a time. */
typedef struct k_weight {
    k_matrix part[K_PARTS];
    int n_parts, rows, cols; /* rows: of all parts */
    const float *bias;       /* [rows] in device memory, or NULL */
    const void *device;      /* [rows][cols]; on the CPU a copy in another order, or NULL */
    const void *blocks[K_PARTS];
} k_weight;

/* What one row's logits say. `argmax`: highest logit, lowest id on ties, never the mask. */
typedef struct k_row_stats {
    double lse;        /* log Σ exp z over all ids but the mask */
    double entropy;    /* H = -Σ π log π, nats; exactly 0 for a one-hot row */
    double confidence; /* max π */
    double margin;     /* top1 - top2 of π */
    int32_t argmax;
    int32_t bad; /* a NaN or +inf logit was met; the other fields are then 0 */
} k_row_stats;

/* The highest logits of a row, best first, lower id on ties, without the mask and -inf ones.
 * Unused places hold id -1. */
enum { K_TOP = 16 };
typedef struct k_top {
    int32_t id[K_TOP];
    float z[K_TOP];
} k_top;

/* sum = x + gate ⊙ y and h = norm(sum) ⊙ w + b, of n rows of width d, where norm(s) = s/sqrt(mean(s²)+eps),
 * or with `center` (s - mean(s))/sqrt(var(s)+eps). Output row i comes from row rows[i] of x and y. A row
 * whose sum is not finite lowers *bad to stage·2^32 + (row of x). */
typedef struct k_norm {
    int n, d;
    float eps;
    bool center;
    const float *x;
    const k_act *y;    /* NULL: nothing is added */
    const float *gate; /* [d]; NULL: ones */
    const int *rows;   /* NULL: row i from row i */
    const float *w;
    const float *b; /* [d]; NULL: zeros */
    float *sum;     /* [n][d]; NULL: not wanted. May be x when rows is NULL */
    k_act *h;       /* [n][d]; NULL: not wanted */
    uint64_t *bad;  /* NULL: not wanted */
    int stage;
} k_norm;

/* dx (+)= (∂h/∂x)ᵀ dy where row i of dy belongs to row rows[i] of x. */
typedef struct k_norm_back {
    int n, d;
    float eps;
    bool center;
    const float *x;
    const int *rows; /* NULL: row i to row i */
    const float *w;
    const k_act *dy; /* [n][d] */
    float *dx;       /* [n][d] */
    bool add;        /* to what dx holds; otherwise overwrite it */
    k_act *dx_act;   /* [n][d] the new dx as activations; untouched when those are float32 */
} k_norm_back;

/* RMS norm of each of the first `heads` heads of every row of x (rows are ld apart), in place:
 * head h becomes x/sqrt(mean(x²)+eps) ⊙ w[h]. */
typedef struct k_head_norm {
    int n, ld, heads, hd;
    float eps;
    const float *w; /* [heads][hd] */
    k_act *x;
    k_act *raw; /* [n][heads·hd] the heads as they were; NULL: not wanted */
} k_head_norm;

/* Its backward, in place: dx holds the gradient of the output and becomes that of the input. Row i of dx
 * belongs to row rows[i] of raw (NULL: i). */
typedef struct k_head_norm_back {
    int n, ld, heads, hd;
    float eps;
    const float *w;
    k_act *dx;
    const k_act *raw;
    const int *rows;
} k_head_norm_back;

/* Attention, bidirectional (no mask of any kind), scale 1/sqrt(hd), query head h reading kv head
 * h / (H/KV). Rows of `qkv` and `keys` are [H·hd queries][KV·hd keys][KV·hd values], rotated.
 *
 * Span s: query rows [q0, q0+n_q) of qkv attend to n_k keys. Key j is row k0+j of `keys`, unless
 * over >= 0 and overlay[over+j] >= 0: then it is row overlay[over+j] of qkv (rows recomputed on
 * top of a kept pass). In a plain forward keys == qkv and over is -1. */
typedef struct k_span {
    int32_t q0, n_q, k0, n_k, over;
} k_span;

typedef struct k_attn {
    int H, KV, hd;
    const k_act *qkv, *keys;
    const int *overlay;  /* NULL when no span uses it */
    const k_span *spans; /* in device memory */
    int n_spans, max_q, max_k;
    k_act *o;   /* [rows][H·hd], written at the spans' query rows */
    float *lse; /* [rows][H] log-sum-exp of the scaled scores, likewise */
} k_attn;

/* Backward of attention for the n rows of A of one sequence, for `seeds` gradients at once.
 * Network row of A's row i is rows[i] (ascending); keys are rows [k0, k0+n_k) of qkv. P is
 * recomputed from qkv and lse (flash-attention style). With dS = P ⊙ (dP - do·o)/sqrt(hd):
 * dq of A's rows over all keys; dk and dv for keys that are rows of A only, summed over A's
 * queries. With `local`, dk and dv receive only a row's contribution to itself (boe.md,
 * "row-local self term"). Sums are taken in a fixed order: no atomics. */
typedef struct k_attn_back {
    int n, seeds, k0, n_k, H, KV, hd;
    bool local;
    const int *rows;  /* [n] */
    const k_act *qkv; /* [network rows][(H+2KV)·hd] */
    const k_act *o;   /* [network rows][H·hd] */
    const float *lse; /* [network rows][H] */
    const k_act *do_; /* [seeds·n][H·hd] */
    k_act *dqkv;      /* [seeds·n][(H+2KV)·hd], overwritten */
} k_attn_back;

/* The head's product with what belongs to it: logits z = scale·x Wᵀ + bias of rows of x [rows][d], d being
 * W's columns and V its rows; column `mask` (or -1) is taken as -inf. z has the same rows [rows][V], or is
 * NULL: then logits are computed in tiles of the vocabulary wherever they are needed, and never stored. */
typedef struct k_head {
    const k_act *x; /* may be NULL where z is there already */
    float *z;
    const k_weight *w;
    float scale;
    int mask;
} k_head;

/* Rows that passed through each kind of backward product since the caller zeroed it.
 * The operations add to it; it is how `backward_rows` is measured rather than asserted. */
typedef struct k_counts {
    int64_t linear_calls, linear_rows; /* linear_back */
    int64_t attn_calls, attn_rows;     /* attention_back: seeds·n */
    int64_t head_calls, head_rows;     /* entropy_back, head_back */
} k_counts;

/* K_NO_DEVICE: there is none; K_UNUSABLE: there seems to be one, but it cannot be used as things are. */
typedef enum k_fault_kind { K_OK, K_NO_DEVICE, K_UNUSABLE, K_NO_MEMORY, K_LOST } k_fault_kind;

/* One line: what failed, on which device, what was needed and what is free. */
typedef struct k_fault {
    k_fault_kind kind;
    char text[256];
} k_fault;

typedef struct k_memory {
    size_t free_bytes, total_bytes; /* of the whole device; 0 where that means nothing */
    size_t used_bytes;              /* allocated through this device and its forks */
} k_memory;

/* How rope pairs elements and which way it turns. */
enum { K_ROPE_INVERSE = 1, K_ROPE_PAIRS = 2 };

typedef struct kernels kernels;
struct kernels {
    const char *name;  /* "cpu", "cuda:0": as kernels_open takes it */
    char title[80];    /* "NVIDIA H200", or the processor: for people */
    int act_bytes;     /* 4: float32, 2: bfloat16 */
    int product_bytes; /* 2: products with weights round both operands to bfloat16; 4: they do not */
    bool host;         /* device memory is host memory */

    void (*close)(kernels *k);                          /* NULL is fine; frees the queue and its memory */
    int (*fork)(kernels *k, kernels **out, k_fault *f); /* 0, or *out NULL and *f set; close forks first */

    /* ---- memory ---- */
    /* 256-byte aligned, contents undefined. NULL when it cannot be had; fault() then says why. */
    void *(*alloc)(kernels *k, size_t bytes);
    void (*free)(kernels *k, void *p);                                 /* waits; NULL is fine */
    void (*put)(kernels *k, void *dst, const void *src, size_t bytes); /* from host memory */
    void (*get)(kernels *k, void *dst, const void *src, size_t bytes); /* to host memory, waits */
    void (*zero)(kernels *k, void *p, size_t bytes);
    void (*memory)(kernels *k, k_memory *out);
    /* True, and *f set, when something failed; waits for the queue. K_NO_MEMORY is forgotten by being
     * asked for; a lost device stays lost. */
    bool (*fault)(kernels *k, k_fault *f);
    /* Makes w usable here (above); false on a fault. Its memory is freed with the last of the forks.
     * `bias` is then host memory [rows] or NULL, and becomes device memory. */
    bool (*load)(kernels *k, k_weight *w);
    /* Lets go of what load made on the CPU, once no fork uses it; nothing elsewhere. */
    void (*unload)(kernels *k, k_weight *w);
    /* The same for n floats that are read as they are (norm weights): device memory, or NULL. */
    const float *(*load_floats)(kernels *k, const float *host, int n);

    /* ---- graphs ---- */
    /* Work between begin and end is a function of `key` alone (shapes and addresses; contents of
     * arrays may differ). True: it was replayed and the caller skips it. False: the caller queues
     * it, then calls graph_end. No alloc, free, put or get in between. graph_end is true when
     * nothing has run, because it could not be recorded: the caller queues it once more and calls
     * graph_end again. */
    bool (*graph_begin)(kernels *k, const void *key, size_t key_bytes);
    bool (*graph_end)(kernels *k);

    /* ---- operations ---- (engine/timed.c has a counterpart of each) */
    /* x[i] = scale·W[ids[i]] */
    void (*embed)(kernels *k, float *x, const int32_t *ids, int n, const k_weight *w, float scale);
    /* y[dst[i]] = coef[i]·x[src[i]]; dst or src NULL: i; coef NULL: 1. y != x. */
    void (*rows)(kernels *k, float *y, const int *dst, const float *x, const int *src, const float *coef,
                 int n, int d);
    /* y = x as activations. */
    void (*narrow)(kernels *k, k_act *y, const float *x, size_t n);
    /* y[n][d] = x ⊙ w[d] as activations; y may be x where those are float32. */
    void (*gate)(kernels *k, k_act *y, const float *x, const float *w, int n, int d);
    void (*norm)(kernels *k, const k_norm *a);
    void (*norm_back)(kernels *k, const k_norm_back *a);
    void (*head_norm)(kernels *k, const k_head_norm *a);
    void (*head_norm_back)(kernels *k, const k_head_norm_back *a);
    /* y[n][w.rows] = x[n][w.cols] Wᵀ + bias */
    void (*linear)(kernels *k, k_act *y, const k_act *x, int n, const k_weight *w);
    /* z[n][w.rows] = scale · x Wᵀ + bias in float32 */
    void (*logits)(kernels *k, float *z, const k_act *x, int n, const k_weight *w, float scale);
    /* dx[n][w.cols] = dy[n][w.rows] W */
    void (*linear_back)(kernels *k, k_act *dx, const k_act *dy, int n, const k_weight *w, k_counts *c);
    /* Rotates the first `heads` heads of each row of x (rows are ld apart) in place, half-split pairs
     * (i, i+hd/2), or with K_ROPE_PAIRS neighbours (2i, 2i+1): table row pos[i] holds hd/2 cosines, then
     * hd/2 sines; K_ROPE_INVERSE rotates back (which is also the backward). `how` is 0 or of these. */
    void (*rope)(kernels *k, k_act *x, int ld, const int *pos, int n, int heads, int hd, const float *table,
                 unsigned how);
    void (*attention)(kernels *k, const k_attn *a);
    void (*attention_back)(kernels *k, const k_attn_back *a, k_counts *c);
    /* h[n][f] = silu(gate) ⊙ up; gu: [n][gate f, up f] */
    void (*swiglu)(kernels *k, k_act *h, const k_act *gu, int n, int f);
    /* dgu[n][2f] from dh[n][f]; row i of dh belongs to row rows[i] of gu (NULL: i). */
    void (*swiglu_back)(kernels *k, k_act *dgu, const k_act *dh, const k_act *gu, const int *rows, int n,
                        int f);
    /* h = gelu(x), the tanh form: x/2·(1 + tanh(sqrt(2/π)(x + 0.044715x³))); x, h: [n][f]. */
    void (*gelu)(kernels *k, k_act *h, const k_act *x, int n, int f);
    /* dx[n][f] from dh[n][f]; row i of dh belongs to row rows[i] of x (NULL: i). */
    void (*gelu_back)(kernels *k, k_act *dx, const k_act *dh, const k_act *x, const int *rows, int n, int f);
    /* z = u + s·(z - u), n floats; where z or u is -inf it stays or becomes that. */
    void (*blend)(kernels *k, float *z, const float *u, float s, size_t n);
    /* Statistics and highest logits of n rows [n][V]; column `mask` (or -1) is taken as -inf, whatever it
     * holds. top may be NULL. */
    void (*head_stats)(kernels *k, k_row_stats *stats, k_top *top, const float *logits, int n, int V,
                       int mask);
    /* Entropy backward, boe.md: dz_iv = -scale·π_v(log π_v + H) of logits row rows[i] (NULL: i), mask column
     * 0. dz: [n][V]. */
    void (*entropy_back)(kernels *k, k_act *dz, const float *logits, const k_row_stats *stats,
                         const int *rows, int n, int V, int mask, float scale, k_counts *c);
    /* Soft write (Eq. 10): out[i] = Eᵀ π of logits row rows[i] (NULL: i), [n][d]; E has at least V rows. */
    void (*soft_write)(kernels *k, float *out, const float *logits, const k_row_stats *stats, const int *rows,
                       int n, int V, int mask, const k_weight *E);

    /* ---- the head in tiles of the vocabulary ---- NULL on devices without them, all three or none */
    /* logits and head_stats of rows [0, n) in one: the same statistics and highest logits. Fills h->z, if not
     * NULL, but for what the mask's column holds. top may be NULL. A row's results depend on neither the
     * other rows nor the number of threads as long as a product's do not (kernels_exact_rows). */
    void (*head)(kernels *k, k_row_stats *stats, k_top *top, const k_head *h, int n);
    /* entropy_back and linear_back in one, with gradients as entropy_back has them at h->scale:
     * dx[i] = scale·Σ_v -π_v(log π_v + H) W_v of row rows[i] (NULL: i), [n][d]. */
    void (*head_back)(kernels *k, k_act *dx, const k_head *h, const k_row_stats *stats, const int *rows,
                      int n, k_counts *c);
    /* soft_write of rows[i] (NULL: i) of the head: out[i] = Eᵀ π, [n][cols of E]; E has at least V rows. */
    void (*head_soft)(kernels *k, float *out, const k_head *h, const k_row_stats *stats, const int *rows,
                      int n, const k_weight *E);
};

typedef enum k_precision { K_PRECISION_AUTO, K_PRECISION_F32, K_PRECISION_BF16 } k_precision;

typedef struct k_open {
    const char *device;    /* "cpu", "cuda", "cuda:N"; NULL: cpu */
    k_precision precision; /* BF16: of activations on a GPU, of products on the CPU; AUTO: float32 */
    int turn;              /* which GPU "cuda" is; set by kernels_open (kernels_set_turn) */
} k_open;

/* 0, or *out NULL and *f says what is missing. Devices other than the CPU live in a module
 * (libtabes_cuda.so) that is looked for beside the program and then where it was installed, or
 * exactly at $TABES_CUDA_MODULE. */
int kernels_open(kernels **out, const k_open *o, k_fault *f);

/* What a device module exports under the name "kernels_module_open". */
typedef int kernels_module_fn(kernels **out, const k_open *o, k_fault *f);

/* The CPU: OpenMP loops, products in float32. Never NULL, valid for the whole run; close does nothing. */
kernels *kernels_cpu(void);

/* Likewise, but products with weights (linear, logits, linear_back, soft_write) round both operands to
 * bfloat16 and sum in float32; activations stay float32 in memory. Fast where the processor has the
 * instructions for it (kernels_have_bf16), and the same but for the order of sums, though slower than
 * float32, where it has not. */
kernels *kernels_cpu_bf16(void);
bool kernels_have_bf16(void);
/* Whether a row of k's linear and logits is the same bits whatever other rows are with it. */
bool kernels_exact_rows(const kernels *k);
/* For tests: makes this processor one whose vectors have at most so many bits: 512, 256, or 0 for one that
 * leaves products to oneDNN. */
void kernels_limit_vectors(int bits);

/* So many processes on this machine hold weights of their own: each keeps to its share of memory for copies
 * of them (load). 1 unless said. */
void kernels_share_memory(int processes);

/* "cuda" is the GPU of this number, or where there are fewer, of the rest of a division by how many there
 * are; 0 unless said. So processes on one machine spread over its GPUs. */
void kernels_set_turn(int turn);

/* Number of threads that CPU kernels use; n <= 0 restores the default (all cores). */
void kernels_set_threads(int n);
int kernels_threads(void);

/* Element i of an activation array. */
static inline k_act *k_act_at(const kernels *k, const k_act *p, size_t i) {
    return (k_act *)((uintptr_t)p + i * (size_t)k->act_bytes);
}

/* A weight of `n_parts` matrices of host memory, not yet loaded. */
static inline k_weight k_stack(const k_matrix *parts, int n_parts) {
    k_weight w;
    w.n_parts = n_parts;
    w.rows = 0;
    w.cols = parts[0].cols;
    w.bias = NULL;
    w.device = NULL;
    for (int i = 0; i < K_PARTS; i++) {
        w.blocks[i] = NULL;
        w.part[i] = parts[i < n_parts ? i : 0];
        w.rows += i < n_parts ? parts[i].rows : 0;
    }
    return w;
}

#ifdef __cplusplus
}
#endif

#endif
