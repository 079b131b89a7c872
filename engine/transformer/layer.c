/* layer.c - rows through one layer, and the workspace of a request. */
#include "engine/transformer/transformer.h"

#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "kernels/blocks.h"

/* ---- workspace ---- */

static void *take(tf_carve *c, size_t bytes) {
    size_t at = c->used;
    c->used += (bytes + 255) & ~(size_t)255;
    return c->base ? c->base + at : NULL;
}

float *tf_take_floats(tf_carve *c, size_t rows, int width) {
    return take(c, rows * (size_t)width * sizeof(float));
}

k_act *tf_take_act(tf_carve *c, const transformer *t, size_t rows, int width) {
    return take(c, rows * (size_t)width * (size_t)t->base.k->act_bytes);
}

tf_acts tf_take_acts(tf_carve *c, const transformer *t, int n, unsigned keep) {
    size_t rows = (size_t)n;
    tf_acts a = {0};
    a.x = tf_take_floats(c, rows, t->d);
    a.x2 = tf_take_floats(c, rows, t->d);
    a.lse = tf_take_floats(c, rows, t->H);
    a.qkv = tf_take_act(c, t, rows, tf_qkv_width(t));
    a.o = tf_take_act(c, t, rows, tf_q_width(t));
    bool raw = keep & TF_KEEP_RAW && t->head_norms;
    if (raw) a.raw = tf_take_act(c, t, rows, tf_q_width(t) + tf_kv_width(t));
    if (keep & TF_KEEP_GU) a.gu = tf_take_act(c, t, rows, tf_gu_width(t));
    return a;
}

tf_temp tf_take_temp(tf_carve *c, const transformer *t, int n) {
    size_t rows = (size_t)n;
    tf_temp tmp;
    tmp.h = tf_take_act(c, t, rows, t->d);
    tmp.y = tf_take_act(c, t, rows, t->d);
    tmp.m = tf_take_act(c, t, rows, t->f);
    tmp.gu = tf_take_act(c, t, rows, tf_gu_width(t));
    return tmp;
}

int tf_reserve_work(transformer *t, size_t bytes, tf_carve *out, err *e) {
    char what[48];
    snprintf(what, sizeof what, "activations (%zu MB)", bytes >> 20);
    int rc = buffer_reserve(&t->work, t->base.k, bytes ? bytes : 1, what, e);
    *out = (tf_carve){.base = t->work.data};
    return rc;
}

bool tf_keeps_gu(const transformer *t, int n) {
    double bytes = (double)tf_gu_width(t) * t->L * t->base.k->act_bytes * n;
    return bytes <= (double)t->gu_limit;
}

size_t tf_chunk_floats(const transformer *t) {
    return (size_t)1 << (t->base.k->host ? 24 : 27);
}

/* Logits of half the rows of a kept pass, or what enters the head where they are not stored. */
static size_t logits_bytes(const transformer *t, int n) {
    size_t rows = (size_t)n / 2 + 1, all = rows * (size_t)t->V * sizeof(float);
    bool stored = !t->base.k->head || denoiser_keeps_logits(t->V, all);
    return stored ? all : rows * (size_t)t->d * (size_t)t->base.k->act_bytes;
}

/* Kept activations, the room of a layer twice over (forward and backward), and the logits. */
size_t tf_pass_bytes(const transformer *t, int n) {
    tf_carve layer = {0}, temp = {0};
    tf_take_acts(&layer, t, n, TF_KEEP_RAW | (tf_keeps_gu(t, n) ? TF_KEEP_GU : 0));
    tf_take_temp(&temp, t, n);
    size_t first = t->base.k->host ? (size_t)n * (size_t)tf_qkv_width(t) * sizeof(float) : 0;
    return layer.used * (size_t)t->L + 2 * temp.used + logits_bytes(t, n) + first;
}

/* ---- index arrays ---- */

size_t tf_index_add(tf_index *x, const int32_t *values, size_t n) {
    size_t at = x->n;
    if (x->failed || !mem_grow((void **)&x->data, &x->cap, at + n + 1, sizeof *x->data)) {
        x->failed = true;
        return 0;
    }
    if (values && n) memcpy(x->data + at, values, n * sizeof *values);
    if (!values && n) memset(x->data + at, 0, n * sizeof *values);
    x->n += n;
    return at;
}

int tf_index_send(tf_index *x, transformer *t, err *e) {
    if (x->failed) return err_set(e, ERR_NO_MEMORY, "out of memory for the rows of a request");
    kernels *k = t->base.k;
    int rc = buffer_reserve(&t->index, k, (x->n + 1) * sizeof *x->data, "the rows of a request", e);
    if (!rc && x->n) k->put(k, t->index.data, x->data, x->n * sizeof *x->data);
    return rc;
}

void tf_index_release(tf_index *x) {
    free(x->data);
    *x = (tf_index){0};
}

/* ---- rotary table ---- */

/* Angles in double: at position 4096 a float32 angle would be off by 2e-4. */
static void fill_rope(float *table, int n, int hd, double theta) {
    int half = hd / 2;
    for (int i = 0; i < half; i++) {
        double speed = pow(theta, -2.0 * i / hd);
        for (int p = 0; p < n; p++) {
            float *row = table + (size_t)p * (size_t)hd;
            row[i] = (float)cos(p * speed);
            row[half + i] = (float)sin(p * speed);
        }
    }
}

int tf_reserve_rope(transformer *t, int n, err *e) {
    if (n <= t->rope_rows) return 0;
    int rows = (n + 255) / 256 * 256;
    size_t floats = (size_t)rows * (size_t)t->hd;
    float *table = mem_new(floats, sizeof *table);
    if (!table) return err_set(e, ERR_NO_MEMORY, "out of memory for a table of %d positions", rows);
    t->rope_rows = 0;
    int rc = buffer_reserve(&t->rope, t->base.k, floats * sizeof *table, "a table of positions", e);
    if (!rc) {
        fill_rope(table, rows, t->hd, t->theta);
        t->base.k->put(t->base.k, t->rope.data, table, floats * sizeof *table);
        t->rope_rows = rows;
    }
    free(table);
    return rc;
}

/* ---- rows through a layer ---- */

static void attend(transformer *t, const tf_rows *r, const tf_acts *a, const k_act *keys) {
    kernels *k = t->base.k;
    k->attention(k, &(k_attn){.H = t->H,
                              .KV = t->KV,
                              .hd = t->hd,
                              .qkv = a->qkv,
                              .keys = keys ? keys : a->qkv,
                              .overlay = r->overlay,
                              .spans = r->spans,
                              .n_spans = r->n_spans,
                              .max_q = r->max_q,
                              .max_k = r->max_k,
                              .o = a->o,
                              .lse = a->lse});
}

static void norm_heads(transformer *t, const tf_layer *w, int n, const tf_acts *a) {
    t->base.k->head_norm(t->base.k, &(k_head_norm){.n = n,
                                                   .ld = tf_qkv_width(t),
                                                   .heads = t->H + t->KV,
                                                   .hd = t->hd,
                                                   .eps = t->eps,
                                                   .w = w->head_norm,
                                                   .x = a->qkv,
                                                   .raw = a->raw});
}

k_norm tf_norm(const transformer *t, int n, tf_affine a) {
    return (k_norm){.n = n, .d = t->d, .eps = t->eps, .center = t->center, .w = a.w, .b = a.b};
}

void tf_project(transformer *t, int l, int n, const int *rows, const int *pos, const tf_acts *a,
                const tf_temp *tmp, const float *x, const k_act *y) {
    kernels *k = t->base.k;
    const tf_layer *w = &t->layers[l];
    k_norm norm = tf_norm(t, n, tf_attn_affine(t, l));
    norm.x = x, norm.y = y, norm.sum = y ? a->x : NULL, norm.h = tmp->h, norm.rows = rows;
    norm.gate = l ? tf_mlp_affine(t, l - 1).gate : NULL, norm.bad = t->bad, norm.stage = l;
    k->norm(k, &norm);
    k->linear(k, a->qkv, tmp->h, n, &w->qkv);
    if (w->head_norm) norm_heads(t, w, n, a);
    k->rope(k, a->qkv, tf_qkv_width(t), pos, n, t->H + t->KV, t->hd, t->rope.data, t->rope_how);
}

void tf_run_layer(transformer *t, int l, const tf_rows *r, const tf_acts *a, const tf_temp *tmp,
                  const float *x, const k_act *y, const k_act *keys) {
    kernels *k = t->base.k;
    const tf_layer *w = &t->layers[l];
    k_act *gu = a->gu ? a->gu : tmp->gu;
    k_norm norm;
    if (l || !r->projected) tf_project(t, l, r->n, NULL, r->pos, a, tmp, x, y);
    attend(t, r, a, keys);
    int n = r->to - r->from;
    size_t from = (size_t)r->from, d = (size_t)t->d;
    k_act *out = k_act_at(k, tmp->y, from * d);
    k->linear(k, out, k_act_at(k, a->o, from * (size_t)tf_q_width(t)), n, &w->o);
    norm = tf_norm(t, n, tf_mlp_affine(t, l));
    norm.x = a->x + from * d, norm.y = out, norm.sum = a->x2 + from * d, norm.h = tmp->h;
    norm.gate = tf_attn_affine(t, l).gate;
    k->norm(k, &norm);
    gu = k_act_at(k, gu, from * (size_t)tf_gu_width(t));
    k->linear(k, gu, tmp->h, n, &w->gu);
    if (t->gelu)
        k->gelu(k, tmp->m, gu, n, t->f);
    else
        k->swiglu(k, tmp->m, gu, n, t->f);
    k->linear(k, out, tmp->m, n, &w->down);
}

int tf_check_cancel(const atomic_bool *cancel, err *e) {
    return cancel && atomic_load(cancel) ? err_set(e, ERR_CANCELLED, "cancelled") : 0;
}

int tf_check_bad(transformer *t, const int *first, int n_seqs, err *e) {
    kernels *k = t->base.k;
    uint64_t bad;
    k->get(k, &bad, t->bad, sizeof bad);
    int rc = device_check(k, e);
    if (rc || bad == UINT64_MAX) return rc;
    int stage = (int)(bad >> 32), row = (int)(bad & 0xffffffffu), s = 0;
    while (s + 1 < n_seqs && row >= first[s + 1]) s++;
    char what[32];
    snprintf(what, sizeof what, "layer %d", stage - 1);
    return err_set(e, ERR_BAD_FORMAT, "NaN in the output of %s, row %d (sequence %d)",
                   stage ? what : "the embedding", row - first[s], s);
}

/* ---- embeddings ---- */

/* The row as the device has it: rounded where its weights are. */
void tf_embedding(const denoiser *d, int32_t token, float *out) {
    const transformer *t = (const transformer *)d;
    assert(token >= 0 && token < t->V);
    kernels *cpu = kernels_cpu();
    k_weight host = k_stack(t->embed.part, 1);
    cpu->embed(cpu, out, &token, 1, &host, 1);
    bool rounded = d->k->act_bytes == 2 && !k_is_block(host.part[0].dtype);
    for (int j = 0; j < t->d && rounded; j++) {
        uint32_t u;
        memcpy(&u, out + j, sizeof u);
        u = (u + 0x7fffu + (u >> 16 & 1)) & 0xffff0000u;
        memcpy(out + j, &u, sizeof u);
    }
}
