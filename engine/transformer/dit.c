/* dit.c - scale, shift and gate of a DiT's norms (adaLN), from the noise level (models.md, MDLM).
 *
 * t(σ) = [cos(σ w_k)] ++ [sin(σ w_k)], w_k = 10000^(-k/half); c = silu(W2 silu(W1 t + b1) + b2); a layer's
 * W c + b is shift, scale and gate of the attention, then of the MLP; the head has shift and scale. What the
 * kernels get is folded: norm·(1 + scale), shift, gate. A few million products, done on the host whenever
 * the level changes: once for good in models that are always told zero.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/transformer/dit.h"

static const double MAX_PERIOD = 10000, LEAST_CLEAN = 1e-3;

/* ---- the level ---- */

double tf_noise(const transformer *t, const forward_req *q) {
    if (!t->dit || !t->dit->timed || !q->n_seqs || !q->seqs[0].n) return 0;
    int masks = 0;
    for (int i = 0; i < q->seqs[0].n; i++) masks += q->seqs[0].tokens[i] == t->base.info.mask_id;
    return -log1p(-(1 - LEAST_CLEAN) * masks / q->seqs[0].n);
}

static void silu(float *x, int n) {
    for (int i = 0; i < n; i++) x[i] = x[i] / (1 + expf(-x[i]));
}

static void multiply(float *y, const float *x, const k_weight *w) {
    kernels *cpu = kernels_cpu();
    cpu->linear(cpu, (k_act *)y, (const k_act *)x, 1, w);
}

/* c(σ) -> out[cond]; `room` holds freq + cond floats. */
static void condition(const tf_dit *a, double sigma, float *room, float *out) {
    int half = a->map1.cols / 2;
    float *inner = room + a->map1.cols;
    for (int k = 0; k < half; k++) {
        double angle = sigma * exp(-log(MAX_PERIOD) * k / half);
        room[k] = (float)cos(angle);
        room[half + k] = (float)sin(angle);
    }
    multiply(inner, room, &a->map1);
    silu(inner, a->map1.rows);
    multiply(out, inner, &a->map2);
    silu(out, a->map2.rows);
}

/* ---- the affines ---- */

/* Floats of a layer's two affines: w, b and gate of the attention, then of the MLP. */
static size_t layer_floats(const transformer *t) {
    return (size_t)6 * (size_t)t->d;
}

static size_t all_floats(const transformer *t) {
    return (size_t)t->L * layer_floats(t) + 2 * (size_t)t->d;
}

/* out[0] = norm·(1 + scale), out[1] = shift, out[2] = gate where there is one, of chunks (shift, scale,
 * gate). */
static void fold(float *out, const float *chunks, const float *norm, int d, bool gated) {
    size_t width = (size_t)d;
    for (size_t j = 0; j < width; j++) out[j] = norm[j] * (1 + chunks[width + j]);
    memcpy(out + width, chunks, width * sizeof *out);
    if (gated) memcpy(out + 2 * width, chunks + 2 * width, width * sizeof *out);
}

static void compute(const transformer *t, double sigma, float *room, float *out) {
    const tf_dit *a = t->dit;
    float *c = room, *chunks = c + a->map2.rows, *rest = chunks + layer_floats(t);
    size_t half = layer_floats(t) / 2;
    condition(a, sigma, rest, c);
    for (int l = 0; l < t->L; l++, out += 2 * half) {
        multiply(chunks, c, &a->layers[l]);
        fold(out, chunks, a->norms[2 * (size_t)l], t->d, true);
        fold(out + half, chunks + half, a->norms[2 * (size_t)l + 1], t->d, true);
    }
    multiply(chunks, c, &a->head);
    fold(out, chunks, a->norms[2 * (size_t)t->L], t->d, false);
}

int tf_set_noise(transformer *t, double sigma, err *e) {
    if (!t->dit || (t->affine.data && !(sigma < t->sigma) && !(sigma > t->sigma))) return 0;
    kernels *k = t->base.k;
    const tf_dit *a = t->dit;
    size_t n = all_floats(t), most = layer_floats(t);
    size_t room_floats = (size_t)a->map2.rows + most + (size_t)a->map1.cols + (size_t)a->map1.rows;
    float *host = mem_new(n + room_floats, sizeof *host);
    if (!host) return err_set(e, ERR_NO_MEMORY, "out of memory for a DiT's modulation");
    int rc = buffer_reserve(&t->affine, k, n * sizeof *host, "a DiT's modulation", e);
    if (!rc) {
        compute(t, sigma, host + n, host);
        k->put(k, t->affine.data, host, n * sizeof *host);
        t->sigma = sigma;
    }
    free(host);
    return rc;
}

/* ---- where they lie ---- */

static tf_affine affine_at(const transformer *t, size_t floats, bool gated) {
    const float *at = (const float *)t->affine.data + floats;
    size_t d = (size_t)t->d;
    return (tf_affine){at, at + d, gated ? at + 2 * d : NULL};
}

tf_affine tf_attn_affine(const transformer *t, int layer) {
    if (!t->dit) return (tf_affine){t->layers[layer].attn_norm, NULL, NULL};
    return affine_at(t, (size_t)layer * layer_floats(t), true);
}

tf_affine tf_mlp_affine(const transformer *t, int layer) {
    if (!t->dit) return (tf_affine){t->layers[layer].mlp_norm, NULL, NULL};
    return affine_at(t, (size_t)layer * layer_floats(t) + layer_floats(t) / 2, true);
}

tf_affine tf_head_affine(const transformer *t) {
    if (!t->dit) return (tf_affine){t->norm, NULL, NULL};
    return affine_at(t, (size_t)t->L * layer_floats(t), false);
}
