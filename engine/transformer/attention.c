/* attention.c - attention probabilities of one row of a kept pass.
 *
 * A kept pass has every layer's queries and keys as the attention read them: with biases, and rotated. One
 * row needs little of them, so they are brought to the host, some rows at a time, and the softmax is taken
 * there in double. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/transformer/transformer.h"

enum { CHUNK_FLOATS = 1 << 18 };

typedef struct attention {
    transformer *t;
    const k_act *qkv; /* of the layer, at the sequence's first row; device memory */
    int n, most;      /* keys; rows that are brought at once */
    float *q;         /* [H][hd] the row's queries */
    float *rows;      /* keys of `most` rows, qkv width apart */
    double *s;        /* [H][n] scores */
} attention;

/* ---- to the host ---- */

/* The narrow elements come into the upper half of `out`, so that widening from the front overtakes none. */
static void read_acts(kernels *k, float *out, const k_act *from, size_t n) {
    if (k->act_bytes == sizeof *out) {
        k->get(k, out, from, n * sizeof *out);
        return;
    }
    const char *narrow = (const char *)out + n * 2;
    k->get(k, (char *)out + n * 2, from, n * 2);
    for (size_t i = 0; i < n; i++) {
        uint16_t half;
        memcpy(&half, narrow + 2 * i, sizeof half);
        uint32_t wide = (uint32_t)half << 16;
        memcpy(out + i, &wide, sizeof wide);
    }
}

/* Keys of rows [first, first+n). */
static void read_keys(attention *a, int first, int n) {
    kernels *k = a->t->base.k;
    size_t width = (size_t)tf_qkv_width(a->t), from = (size_t)first * width + (size_t)tf_q_width(a->t);
    read_acts(k, a->rows, k_act_at(k, a->qkv, from), (size_t)(n - 1) * width + (size_t)tf_kv_width(a->t));
}

/* ---- scores and softmax ---- */

/* Query head h reads key head h / (H/KV). */
static double score(const attention *a, int h, int row) {
    const transformer *t = a->t;
    size_t hd = (size_t)t->hd, head = (size_t)(h / (t->H / t->KV));
    const float *q = a->q + (size_t)h * hd, *k = a->rows + (size_t)row * (size_t)tf_qkv_width(t) + head * hd;
    double sum = 0;
    for (size_t i = 0; i < hd; i++) sum += (double)q[i] * (double)k[i];
    return sum / sqrt((double)hd);
}

static int read_scores(attention *a, int row, err *e) {
    kernels *k = a->t->base.k;
    size_t width = (size_t)tf_qkv_width(a->t);
    read_acts(k, a->q, k_act_at(k, a->qkv, (size_t)row * width), (size_t)tf_q_width(a->t));
    for (int first = 0; first < a->n; first += a->most) {
        int n = a->n - first < a->most ? a->n - first : a->most;
        read_keys(a, first, n);
        int rc = device_check(k, e);
        if (rc) return rc;
        for (int h = 0; h < a->t->H; h++) {
            for (int j = 0; j < n; j++) a->s[(size_t)h * (size_t)a->n + (size_t)(first + j)] = score(a, h, j);
        }
    }
    return 0;
}

/* False when the scores are not numbers. */
static bool softmax(double *s, int n, float *out) {
    double top = -INFINITY, sum = 0;
    for (int j = 0; j < n; j++) top = fmax(top, s[j]);
    for (int j = 0; j < n; j++) sum += s[j] = exp(s[j] - top);
    for (int j = 0; j < n; j++) out[j] = (float)(s[j] / sum);
    return isfinite(sum);
}

/* ---- the request ---- */

static bool reserve(attention *a) {
    const transformer *t = a->t;
    int width = tf_qkv_width(t), fit = CHUNK_FLOATS / width;
    size_t n_scores;
    a->most = fit < 1 ? 1 : fit < a->n ? fit : a->n;
    a->q = mem_new((size_t)tf_q_width(t), sizeof *a->q);
    a->rows = mem_new((size_t)a->most * (size_t)width, sizeof *a->rows);
    if (size_mul((size_t)t->H, (size_t)a->n, &n_scores)) a->s = mem_new(n_scores, sizeof *a->s);
    return a->q && a->rows && a->s;
}

int tf_attention(denoiser *d, const pass *p, int seq, int pos, int layer, float *out, err *e) {
    const tf_saved *saved = p->saved;
    attention a = {.t = (transformer *)d, .n = saved->first[seq + 1] - saved->first[seq]};
    int row = denoiser_emit(d, pos), rc = 0;
    size_t at = (size_t)saved->first[seq] * (size_t)tf_qkv_width(a.t);
    a.qkv = k_act_at(d->k, saved->layers[layer].qkv, at);
    if (!reserve(&a)) rc = err_set(e, ERR_NO_MEMORY, "out of memory for the attention of %d rows", a.n);
    if (!rc) rc = read_scores(&a, row, e);
    for (int h = 0; h < a.t->H && !rc; h++) {
        size_t head = (size_t)h * (size_t)a.n;
        if (softmax(a.s + head, a.n, out + head)) continue;
        rc = err_set(e, ERR_BAD_FORMAT, "NaN in the attention of layer %d, head %d, row %d", layer, h, row);
    }
    free(a.q);
    free(a.rows);
    free(a.s);
    return rc;
}
