/* transformer.h - private to the engine's transformer: weights, saved activations, layer pieces.
 *
 * A pre-norm transformer with SwiGLU, half-split RoPE, grouped keys and no attention mask.
 * Sequences of a batch are packed into one matrix of rows; only attention knows where one ends.
 * "Row" here is a network row; denoiser_emit() maps positions to the rows that predict them.
 *
 *   transformer.c             rows through a layer, workspace; shared by the passes below
 *   transformer_load.c        checkpoint to weights, by a table of layouts
 *   transformer_forward.c     logits, and what a kept pass saves
 *   transformer_backward.c    gradients on the active rows alone
 *   transformer_restricted.c  row-restricted lookahead
 */
#ifndef TABES_TRANSFORMER_H
#define TABES_TRANSFORMER_H

#include <stdatomic.h>

#include "engine/base/arena.h"
#include "engine/denoiser_impl.h"
#include "engine/formats/shards.h"

typedef struct tf_layer {
    k_matrix wq, wk, wv, wo, wg, wu, wd;
    const float *attn_norm, *mlp_norm;
    const float *bq, *bk, *bv; /* NULL where the checkpoint has none */
} tf_layer;

typedef struct transformer {
    denoiser base; /* first */
    arena mem;
    shards *files; /* NULL once all weights have been copied */
    int d, L, H, KV, hd, f, V;
    float eps, embed_scale, logit_scale; /* scales are 1 unless the checkpoint asks */
    double theta;
    k_matrix embed, head;
    const float *norm;
    tf_layer *layers;
    float *work; /* scratch of the request being served */
    size_t cap_work;
} transformer;

/* A layer's activations for some rows: x input, q and k after RoPE, o attention output before
 * its projection, lse [H] per row, x2 after attention's residual. */
typedef struct tf_acts {
    float *x, *q, *k, *v, *o, *lse, *x2;
} tf_acts;

/* Room for the inside of a layer. */
typedef struct tf_temp {
    float *h, *y;     /* [n][d] */
    float *gate, *up; /* [n][f] */
} tf_temp;

/* What a kept pass holds: sequence s has rows [first[s], first[s+1]). x_final is the last layer's output. */
typedef struct tf_saved {
    int n_seqs, n_rows;
    int *first;
    tf_acts *layers;
    float *x_final;
    float *floats; /* all of the above lie here */
    size_t cap_first, cap_layers, cap_floats;
} tf_saved;

/* Hands out pieces of a float buffer; with base NULL it only counts. */
typedef struct tf_carve {
    float *base;
    size_t used;
} tf_carve;

int transformer_open(denoiser **out, const char *path, err *e) MUST_CHECK;
void transformer_close(denoiser *d);

int tf_forward(denoiser *d, const forward_req *q, pass *p, err *e) MUST_CHECK;
int tf_backward(denoiser *d, const pass *p, const backward_req *q, float *grads, k_counts *c,
                err *e) MUST_CHECK;
int tf_restricted(denoiser *d, const pass *p, const restricted_req *q, double *entropies, err *e) MUST_CHECK;
void tf_embedding(const denoiser *d, int32_t token, float *out);
int tf_soft_write(denoiser *d, const pass *p, const int *rows, int n, float *out, err *e) MUST_CHECK;
void tf_free_saved(void *saved);

float *tf_take(tf_carve *c, size_t rows, int width);
tf_acts tf_take_acts(tf_carve *c, const transformer *t, int n);
tf_temp tf_take_temp(tf_carve *c, const transformer *t, int n);

/* Make room for `floats` in t->work. */
int tf_reserve_work(transformer *t, size_t floats, err *e) MUST_CHECK;

/* a->q, a->k, a->v from a->x: norm, projections, rotation. */
void tf_qkv(const transformer *t, const tf_layer *l, const tf_acts *a, const tf_temp *tmp, const int *pos,
            int n);

/* a->x2 from a->x and a->o; then the layer's output into x_out (which may be a->x). */
void tf_finish_layer(const transformer *t, const tf_layer *l, const tf_acts *a, const tf_temp *tmp,
                     float *x_out, int n);

/* gate and up of the layer's MLP for inputs x2, before the nonlinearity; h receives the norm. */
void tf_gate_up(const transformer *t, const tf_layer *l, const float *x2, const tf_temp *tmp, int n);

/* Logits of n rows of final activations x; h is scratch [n][d]. */
void tf_logits(const transformer *t, const float *x, float *h, float *logits, int n);

/* y[i] = x[first + rows[i]], rows of `width` floats. */
void tf_gather(float *y, const float *x, int first, const int *rows, int n, int width);

void tf_scale(float *x, size_t n, float by);
bool tf_finite(const float *x, size_t n);

/* ERR_CANCELLED when the flag is set. */
int tf_check_cancel(const atomic_bool *cancel, err *e) MUST_CHECK;

#endif
