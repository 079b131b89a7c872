/* transformer.c - rows through one layer, and the workspace of a request. */
#include "engine/transformer.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"

float *tf_take(tf_carve *c, size_t rows, int width) {
    size_t at = c->used;
    c->used += (rows * (size_t)width + 15) & ~(size_t)15;
    return c->base ? c->base + at : NULL;
}

tf_acts tf_take_acts(tf_carve *c, const transformer *t, int n) {
    size_t rows = (size_t)n;
    tf_acts a;
    a.x = tf_take(c, rows, t->d);
    a.q = tf_take(c, rows, t->H * t->hd);
    a.k = tf_take(c, rows, t->KV * t->hd);
    a.v = tf_take(c, rows, t->KV * t->hd);
    a.o = tf_take(c, rows, t->H * t->hd);
    a.lse = tf_take(c, rows, t->H);
    a.x2 = tf_take(c, rows, t->d);
    return a;
}

tf_temp tf_take_temp(tf_carve *c, const transformer *t, int n) {
    size_t rows = (size_t)n;
    tf_temp tmp;
    tmp.h = tf_take(c, rows, t->d);
    tmp.y = tf_take(c, rows, t->d);
    tmp.gate = tf_take(c, rows, t->f);
    tmp.up = tf_take(c, rows, t->f);
    return tmp;
}

int tf_reserve_work(transformer *t, size_t floats, err *e) {
    if (floats <= t->cap_work) return 0;
    free(t->work);
    t->work = NULL;
    t->cap_work = 0;
    if (mem_grow((void **)&t->work, &t->cap_work, floats, sizeof *t->work)) return 0;
    return err_set(e, ERR_NO_MEMORY, "out of memory for activations (%zu MB)", floats * sizeof(float) >> 20);
}

static void add(float *y, const float *a, const float *b, size_t n) {
    for (size_t i = 0; i < n; i++) y[i] = a[i] + b[i];
}

void tf_qkv(const transformer *t, const tf_layer *l, const tf_acts *a, const tf_temp *tmp, const int *pos,
            int n) {
    const kernels *k = t->base.k;
    k->rmsnorm(tmp->h, a->x, l->attn_norm, n, t->d, t->eps);
    k->linear(a->q, tmp->h, n, &l->wq, l->bq);
    k->linear(a->k, tmp->h, n, &l->wk, l->bk);
    k->linear(a->v, tmp->h, n, &l->wv, l->bv);
    k->rope(a->q, pos, n, t->H, t->hd, t->theta, false);
    k->rope(a->k, pos, n, t->KV, t->hd, t->theta, false);
}

void tf_gate_up(const transformer *t, const tf_layer *l, const float *x2, const tf_temp *tmp, int n) {
    const kernels *k = t->base.k;
    k->rmsnorm(tmp->h, x2, l->mlp_norm, n, t->d, t->eps);
    k->linear(tmp->gate, tmp->h, n, &l->wg, NULL);
    k->linear(tmp->up, tmp->h, n, &l->wu, NULL);
}

void tf_finish_layer(const transformer *t, const tf_layer *l, const tf_acts *a, const tf_temp *tmp,
                     float *x_out, int n) {
    const kernels *k = t->base.k;
    size_t size = (size_t)n * (size_t)t->d;
    k->linear(tmp->y, a->o, n, &l->wo, NULL);
    add(a->x2, a->x, tmp->y, size);
    tf_gate_up(t, l, a->x2, tmp, n);
    k->swiglu(tmp->gate, tmp->gate, tmp->up, n, t->f);
    k->linear(tmp->y, tmp->gate, n, &l->wd, NULL);
    add(x_out, a->x2, tmp->y, size);
}

void tf_logits(const transformer *t, const float *x, float *h, float *logits, int n) {
    t->base.k->rmsnorm(h, x, t->norm, n, t->d, t->eps);
    t->base.k->linear(logits, h, n, &t->head, NULL);
    tf_scale(logits, (size_t)n * (size_t)t->V, t->logit_scale);
}

void tf_gather(float *y, const float *x, int first, const int *rows, int n, int width) {
    size_t w = (size_t)width;
    for (int i = 0; i < n; i++) memcpy(y + (size_t)i * w, x + (size_t)(first + rows[i]) * w, w * sizeof *y);
}

void tf_scale(float *x, size_t n, float by) {
    if (!(by < 1.0f || by > 1.0f)) return;
    for (size_t i = 0; i < n; i++) x[i] *= by;
}

bool tf_finite(const float *x, size_t n) {
    uint32_t worst = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t u;
        memcpy(&u, x + i, sizeof u);
        u &= 0x7fffffffu;
        worst = u > worst ? u : worst;
    }
    return worst < 0x7f800000u;
}

int tf_check_cancel(const atomic_bool *cancel, err *e) {
    return cancel && atomic_load(cancel) ? err_set(e, ERR_CANCELLED, "cancelled") : 0;
}

void tf_embedding(const denoiser *d, int32_t token, float *out) {
    const transformer *t = (const transformer *)d;
    assert(token >= 0 && token < t->V);
    d->k->embed(out, &token, 1, &t->embed);
}

enum { SOFT_FLOATS = 1 << 22 };

int tf_soft_write(denoiser *d, const pass *p, const int *rows, int n, float *out, err *e) {
    transformer *t = (transformer *)d;
    int most = SOFT_FLOATS / t->V < 1 ? 1 : SOFT_FLOATS / t->V;
    if (most > n) most = n;
    float *logits = mem_new((size_t)most * (size_t)t->V, sizeof *logits);
    k_row_stats *stats = mem_new((size_t)most, sizeof *stats);
    int rc = logits && stats ? 0 : err_set(e, ERR_NO_MEMORY, "out of memory for %d soft writes", n);
    for (int i = 0; !rc && i < n; i += most) {
        int m = n - i < most ? n - i : most;
        tf_gather(logits, p->logits, 0, rows + i, m, t->V);
        for (int r = 0; r < m; r++) stats[r] = p->stats[rows[i + r]];
        d->k->soft_write(out + (size_t)i * (size_t)t->d, logits, stats, m, t->V, d->info.mask_id, &t->embed);
    }
    free(logits);
    free(stats);
    return rc;
}
