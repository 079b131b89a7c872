/* transformer.h - private to the engine's transformer: weights, saved activations, layer pieces.
 *
 * A pre-norm transformer with RoPE, grouped keys and no attention mask. The Llama family (LLaDA, Dream, Qwen)
 * has RMS norms and SwiGLU, perhaps with norms of query and key heads; the DiT family (MDLM) has layer norms
 * whose scale, shift and gate depend on the noise level, and GELU. Sequences of a batch are packed into one
 * matrix of rows; only attention knows where one ends. "Row" here is a network row; denoiser_emit() maps
 * positions to the rows that predict them.
 *
 * All arithmetic goes through the operations of `kernels`, and all arrays they touch are device
 * memory, so that one text serves every device. The residual stream and its gradient are float32;
 * what enters and leaves products are activations (k_act).
 *
 *   load.c, loader.h  a checkpoint becomes a transformer:
 *   layouts.c           how each kind names its settings and tensors
 *   sizes.c             config.json or metadata into sizes
 *   bind.c              tensors into weights, checked
 *   synthetic.c       random weights in place of a checkpoint's
 *   device.c          which device, whether it fits, weights onto it
 *   layer.c           rows through a layer, workspace; shared by the passes below
 *   head.c            rows through the head: statistics, logits, soft writes
 *   dit.c             scale, shift and gate of a DiT's norms
 *   forward.c         logits, and what a kept pass saves
 *   first.c           what the first layer made of rows that did not change
 *   cached.c          logits from few rows over a kept pass (approximate)
 *   backward.c        gradients on the active rows alone
 *   restricted.c      row-restricted lookahead
 *   attention.c       attention probabilities of one row
 */
#ifndef TABES_TRANSFORMER_H
#define TABES_TRANSFORMER_H

#include <stdatomic.h>

#include "engine/base/arena.h"
#include "engine/denoiser_impl.h"
#include "engine/formats/shards.h"

typedef struct tf_layer {
    k_weight qkv, o, gu, down; /* gu: gate above up, or of a DiT the one product before GELU */
    const float *attn_norm, *mlp_norm;
    const float *head_norm; /* [H+KV][hd] of query and key heads, or NULL */
} tf_layer;

typedef struct tf_dit tf_dit; /* dit.c */

/* What a norm's result is multiplied with, what is added, and what multiplies the branch that it leads. */
typedef struct tf_affine {
    const float *w, *b, *gate; /* device memory; b and gate may be NULL */
} tf_affine;

/* What the first layer made of the tokens that it saw last at each position (first.c). */
typedef struct tf_first {
    int32_t *tokens; /* [room], then twice [room] for positions to compute and their rows */
    buffer qkv;      /* [room][qkv width], after rotation */
    int known, room;
    size_t cap;
} tf_first;

typedef struct transformer {
    denoiser base; /* first */
    bool forked;   /* weights belong to another transformer */
    arena mem;
    shards *files;       /* NULL once all weights have been copied, or when there is no file */
    size_t n_elements;   /* of weights that become activations' type on a device */
    size_t block_bytes;  /* of those that stay in blocks */
    size_t copied_bytes; /* of weights in another order, on the CPU */
    int d, L, H, KV, hd, f, V;
    float eps, embed_scale, logit_scale; /* scales are 1 unless the checkpoint asks */
    double theta;
    k_weight embed, head; /* embed keeps its host part, for tf_embedding */
    const float *norm;
    tf_layer *layers;
    bool center, gelu; /* layer norms rather than RMS; GELU rather than SwiGLU */
    bool head_norms;   /* layers have a head_norm */
    unsigned rope_how; /* K_ROPE_PAIRS or 0 */
    tf_dit *dit;       /* or NULL */
    /* of the request being served: */
    buffer work;
    buffer index;  /* int32 arrays of the request, see tf_index */
    uint64_t *bad; /* device memory: the first row that went wrong, see k_norm */
    buffer bad_room;
    buffer rope; /* table of positions [0, rope_rows) */
    int rope_rows;
    buffer affine; /* a DiT's scales, shifts and gates at noise level `sigma` */
    double sigma;
    tf_first first;
    size_t gu_limit; /* bytes of gate and up that a kept pass may keep */
} transformer;

/* A layer's activations for some rows: x input, qkv after rotation, raw queries and keys before their norm
 * (or NULL), o attention output before its projection, lse [H] per row, x2 after attention's residual, gu the
 * MLP's gate and up (or NULL: then the backward computes them again). */
typedef struct tf_acts {
    float *x, *x2, *lse;
    k_act *qkv, *raw, *o, *gu;
} tf_acts;

/* Room for the inside of a layer: h a norm's output [n][d], y a product's [n][d], m the MLP's [n][f]. */
typedef struct tf_temp {
    k_act *h, *y, *m, *gu;
} tf_temp;

/* What a kept pass holds: sequence s has rows [first[s], first[s+1]). Of every row: qkv, the first layer's x,
 * and gu where it is kept; the rest, and in the last layer what follows attention, of rows [from, to) alone.
 * Pointers are to where row 0 would be. */
typedef struct tf_saved {
    int n_seqs, n_rows;
    int from, to;
    int *first;
    tf_acts *layers;
    float *x_final; /* [unique rows of the pass][d] the last layer's output */
    double sigma;   /* noise level of the pass */
    buffer room;    /* all of the above lie here */
    size_t cap_first, cap_layers;
} tf_saved;

/* Hands out pieces of a buffer; with base NULL it only counts. */
typedef struct tf_carve {
    char *base;
    size_t used;
} tf_carve;

extern const denoiser_ops tf_ops;

int transformer_open(denoiser **out, const char *path, const denoiser_opts *o, err *e) MUST_CHECK;
void transformer_close(denoiser *d);

/* Open the device that o asks for, as far as the transformer's sizes and n_elements let it;
 * t->base.k is then set. What the weights are (mostly F32; small) decides the precision that nobody chose. */
int tf_open_device(transformer *t, const denoiser_opts *o, bool float_weights, bool small, err *e) MUST_CHECK;
/* Give the bound weights to the device. */
int tf_load_weights(transformer *t, const denoiser_opts *o, err *e) MUST_CHECK;
denoiser_room tf_needs(const denoiser *d, int rows);
weight_part tf_part(const denoiser *d, const k_weight *w);
bool tf_batches(const denoiser *d, const sequence *a, const sequence *b);
int tf_fork(denoiser **out, denoiser *d, err *e) MUST_CHECK;

int tf_forward(denoiser *d, const forward_req *q, pass *p, err *e) MUST_CHECK;
int tf_cached(denoiser *d, const forward_req *q, pass *p, err *e) MUST_CHECK;
int tf_backward(denoiser *d, const pass *p, const backward_req *q, float *grads, k_counts *c,
                err *e) MUST_CHECK;
int tf_restricted(denoiser *d, const pass *p, const restricted_req *q, double *entropies, err *e) MUST_CHECK;
int tf_attention(denoiser *d, const pass *p, int seq, int pos, int layer, float *out, err *e) MUST_CHECK;
void tf_embedding(const denoiser *d, int32_t token, float *out);
int tf_soft_write(denoiser *d, const pass *p, const int *rows, int n, float *out, err *e) MUST_CHECK;
int tf_row_logits(denoiser *d, const pass *p, const int *unique, int n, float *out, err *e) MUST_CHECK;
void tf_free_saved(void *saved);

/* Widths of a row: queries, keys (or values), all three. */
static inline int tf_q_width(const transformer *t) {
    return t->H * t->hd;
}
static inline int tf_kv_width(const transformer *t) {
    return t->KV * t->hd;
}
static inline int tf_qkv_width(const transformer *t) {
    return tf_q_width(t) + 2 * tf_kv_width(t);
}

/* What the MLP's first product gives for a row. */
static inline int tf_gu_width(const transformer *t) {
    return t->gelu ? t->f : 2 * t->f;
}

/* ---- norms ---- */

tf_affine tf_attn_affine(const transformer *t, int layer);
tf_affine tf_mlp_affine(const transformer *t, int layer);
tf_affine tf_head_affine(const transformer *t);

/* A norm of n rows with what the model says of norms filled in. */
k_norm tf_norm(const transformer *t, int n, tf_affine a);

/* The noise level that a request is at: 0 for models that take no time, and for all that are not told; else
 * -ln(1 - (1-1e-3)·m/N) for m masks of the N tokens of the first sequence (MDLM, log-linear noise). */
double tf_noise(const transformer *t, const forward_req *q);
/* Makes the affines those of that level; nothing to do for a model without a DiT's. */
int tf_set_noise(transformer *t, double sigma, err *e) MUST_CHECK;

float *tf_take_floats(tf_carve *c, size_t rows, int width);
k_act *tf_take_act(tf_carve *c, const transformer *t, size_t rows, int width);
/* What of a layer is kept besides what the layers after it need. */
enum { TF_KEEP_RAW = 1, TF_KEEP_GU = 2 };
tf_acts tf_take_acts(tf_carve *c, const transformer *t, int n, unsigned keep);
tf_temp tf_take_temp(tf_carve *c, const transformer *t, int n);

/* Whether a kept pass of n rows also keeps gate and up: a third of the backward's products, for 2f
 * activations a row and layer. */
bool tf_keeps_gu(const transformer *t, int n);

/* Bytes that a kept pass of n rows takes, logits of n rows and the workspace of a step included. */
size_t tf_pass_bytes(const transformer *t, int n);

/* Make room for `bytes` in t->work; the carve to fill it. */
int tf_reserve_work(transformer *t, size_t bytes, tf_carve *out, err *e) MUST_CHECK;

/* Int arrays of a request: gathered on the host with tf_index_add, which returns an offset, then sent at
 * once. Zeroed storage is empty. */
typedef struct tf_index {
    int32_t *data;
    size_t n, cap;
    bool failed;
} tf_index;
size_t tf_index_add(tf_index *x, const int32_t *values, size_t n); /* NULL: n zeros */
int tf_index_send(tf_index *x, transformer *t, err *e) MUST_CHECK;
void tf_index_release(tf_index *x);
static inline int *tf_index_at(const transformer *t, size_t offset) {
    return (int *)t->index.data + offset;
}

/* Cosines and sines of positions [0, n) in t->rope. */
int tf_reserve_rope(transformer *t, int n, err *e) MUST_CHECK;

/* ---- rows through a layer ---- */

/* The rows of a pass below the head: x or x + y enters a layer. */
typedef struct tf_rows {
    int n;
    const int *pos;      /* device memory */
    const k_span *spans; /* device memory */
    int n_spans, max_q, max_k;
    const int *overlay; /* device memory, or NULL */
    int from, to;       /* rows that go on after the attention; spans have no other queries */
    bool projected;     /* qkv of the first layer is there already (tf_run_first) */
} tf_rows;

/* What comes before layer l's attention, for n rows: a->x from `x` + `y` (y NULL: not written) and a->qkv.
 * Row i comes from row rows[i] of x (NULL: i) and is at pos[i]; both in device memory. */
void tf_project(transformer *t, int l, int n, const int *rows, const int *pos, const tf_acts *a,
                const tf_temp *tmp, const float *x, const k_act *y);

/* The same of the first layer for a forward whose a->x is filled, computing only rows that changed since the
 * forward before. *done is false, and nothing is done, where that is not to be had. */
int tf_run_first(transformer *t, const forward_req *q, const tf_acts *a, const tf_temp *tmp, bool *done,
                 err *e) MUST_CHECK;
void tf_forget_first(transformer *t); /* after a forward that failed */
void tf_release_first(transformer *t);

/* Layer l: a->x from `x` + `y` (y NULL: a->x is filled already), then a->qkv, a->o, a->lse, a->x2 (the last
 * three of rows [r->from, r->to)); the MLP's output, not yet added to x2, lands in tmp->y. Keys and values
 * come from `keys`, NULL: the rows themselves. Writes gate and up to a->gu, or tmp->gu when that is NULL. */
void tf_run_layer(transformer *t, int l, const tf_rows *r, const tf_acts *a, const tf_temp *tmp,
                  const float *x, const k_act *y, const k_act *keys);

/* Logits of n normed rows. */
void tf_logits(transformer *t, const k_act *h, float *logits, int n);

/* The head over rows x [n][d], with their logits where those are stored. */
k_head tf_head_of(const transformer *t, const k_act *x, float *logits);
/* Where the head's input of a pass goes, n_unique rows: into the pass if its logits are not stored, else from
 * the carve. */
k_act *tf_take_head_x(tf_carve *c, const transformer *t, const pass *p);
/* Makes room in the pass for that. */
int tf_reserve_head_x(transformer *t, pass *p, err *e) MUST_CHECK;
/* What the head says of these rows: logits if stored, and statistics where the device has both in one. */
void tf_run_head(transformer *t, pass *p, const k_act *x);

/* ERR_CANCELLED when the flag is set. */
int tf_check_cancel(const atomic_bool *cancel, err *e) MUST_CHECK;

/* 0, or the layer and row where *t->bad says that numbers went wrong. `what` names the row in the message
 * through first[n_seqs + 1] (rows of sequences) and pos. */
int tf_check_bad(transformer *t, const int *first, int n_seqs, err *e) MUST_CHECK;

/* Floats of scratch that a chunk of a backward or a lookahead may take. */
size_t tf_chunk_floats(const transformer *t);

#endif
