/* head.c - rows through the head, and what a pass says of their logits.
 *
 * Where the device has the head in tiles of the vocabulary (kernels.h), statistics come from there, and a
 * pass whose logits are not stored keeps the rows that enter the head: logits of some, soft writes and
 * gradients are computed from those again. Elsewhere logits are always stored. */
#include <assert.h>

#include "engine/transformer/transformer.h"

void tf_logits(transformer *t, const k_act *h, float *logits, int n) {
    t->base.k->logits(t->base.k, logits, h, n, &t->head, t->logit_scale);
}

k_head tf_head_of(const transformer *t, const k_act *x, float *logits) {
    return (k_head){
        .x = x, .z = logits, .w = &t->head, .scale = t->logit_scale, .mask = t->base.info.mask_id};
}

k_act *tf_take_head_x(tf_carve *c, const transformer *t, const pass *p) {
    return p->logits ? tf_take_act(c, t, (size_t)p->n_unique, t->d) : p->head_x;
}

int tf_reserve_head_x(transformer *t, pass *p, err *e) {
    kernels *k = t->base.k;
    size_t bytes = (size_t)(p->n_unique + 1) * (size_t)t->d * (size_t)k->act_bytes;
    int rc = p->logits ? 0 : buffer_reserve(&p->head_room, k, bytes, "the rows of the head", e);
    p->head_x = p->logits ? NULL : p->head_room.data;
    return rc;
}

void tf_run_head(transformer *t, pass *p, const k_act *x) {
    kernels *k = t->base.k;
    k_head h = tf_head_of(t, x, p->logits);
    if (k->head)
        k->head(k, p->stats, p->top, &h, p->n_unique);
    else
        tf_logits(t, x, p->logits, p->n_unique);
    p->said = k->head != NULL;
}

/* Rows lie apart in the pass and are brought together first. */
int tf_row_logits(denoiser *d, const pass *p, const int *unique, int n, float *out, err *e) {
    transformer *t = (transformer *)d;
    kernels *k = d->k;
    tf_index index = {0};
    tf_index_add(&index, unique, (size_t)n);
    size_t row_bytes = (size_t)t->d * (size_t)k->act_bytes;
    assert(k->host && row_bytes % sizeof(float) == 0);
    tf_carve c;
    int rc = tf_index_send(&index, t, e);
    if (!rc) rc = tf_reserve_work(t, (size_t)n * row_bytes, &c, e);
    if (!rc) {
        k_act *x = tf_take_act(&c, t, (size_t)n, t->d);
        k->rows(k, (float *)(void *)x, NULL, (const float *)(const void *)p->head_x, tf_index_at(t, 0), NULL,
                n, (int)(row_bytes / sizeof(float)));
        tf_logits(t, x, out, n);
        rc = device_check(k, e);
    }
    tf_index_release(&index);
    return rc;
}

/* Of the rows at the start of the index. */
static void soft_writes(transformer *t, const pass *p, float *soft, int n) {
    kernels *k = t->base.k;
    const int *rows = tf_index_at(t, 0);
    k_head h = tf_head_of(t, p->head_x, p->logits);
    if (k->head_soft)
        k->head_soft(k, soft, &h, p->stats, rows, n, &t->embed);
    else
        k->soft_write(k, soft, p->logits, p->stats, rows, n, t->V, h.mask, &t->embed);
}

int tf_soft_write(denoiser *d, const pass *p, const int *rows, int n, float *out, err *e) {
    transformer *t = (transformer *)d;
    kernels *k = d->k;
    tf_index index = {0};
    for (int i = 0; i < n; i++) tf_index_add(&index, &p->unique[rows[i]], 1);
    size_t bytes = (size_t)n * (size_t)t->d * sizeof(float);
    tf_carve c;
    int rc = tf_index_send(&index, t, e);
    if (!rc) rc = tf_reserve_work(t, bytes, &c, e);
    if (!rc && n > 0) {
        float *soft = tf_take_floats(&c, (size_t)n, t->d);
        soft_writes(t, p, soft, n);
        k->get(k, out, soft, bytes);
        rc = device_check(k, e);
    }
    tf_index_release(&index);
    return rc;
}
