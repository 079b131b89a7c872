/* transformer_backward.c - gradients of entropies through the active rows alone (boe.md, "What AQA
 * really saves").
 *
 * A row whose attention output is detached passes gradient only down its own residual path to
 * its own embedding, which nobody asks for; so every product here runs on the rows of A. The
 * head and the final norm run once per objective row, with weight 1: seeds are linear in their
 * weights, so they are combined after it. Seeds then go down the layers together, one block of
 * |A| rows each, in chunks bounded by memory. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/transformer.h"

enum { CHUNK_FLOATS = 1 << 24, HEAD_FLOATS = 1 << 22 };

typedef struct backward {
    transformer *t;
    const pass *p;
    const tf_saved *s;
    const backward_req *q;
    k_counts *c;
    int first, n_seq; /* rows of the sequence in the batch */
    int *active, n;   /* A, ascending */
    int *index;       /* position -> index in A, or -1 */
    int *head_rows;   /* for each objective row: a row of the pass that has its logits */
    int *head_index;  /* ... and its index in A */
    int *unit_of;     /* for each row of the pass: its objective row, or -1 */
    int *pos;         /* positions of the chunk's rows: A repeated */
    int n_head;
    float *unit; /* [n_head][d] gradient of one entropy at the last layer's output */
    int seeds;   /* most seeds in a chunk */
    /* gathered for A, shared by the seeds: */
    float *x, *x2, *q_a, *o_a, *lse_a;
    tf_temp tmp;
    /* [seeds·n] rows: */
    float *dx, *dn, *dh, *dgate, *dup, *dq, *dk, *dv;
} backward;

static size_t size(int rows, int width) {
    return (size_t)rows * (size_t)width;
}

static void release(backward *b) {
    free(b->active);
    free(b->index);
    free(b->head_rows);
    free(b->head_index);
    free(b->unit_of);
    free(b->pos);
    free(b->unit);
}

static int no_memory(err *e) {
    return err_set(e, ERR_NO_MEMORY, "out of memory for a backward pass");
}

/* Copy A and invert it; check that it is ascending and holds every position of `wrt`. */
static int take_active(backward *b, err *e) {
    const backward_req *q = b->q;
    b->n = q->active ? q->n_active : b->n_seq;
    b->index = mem_new((size_t)b->n_seq, sizeof *b->index);
    b->active = mem_new((size_t)(b->n > 0 ? b->n : 0), sizeof *b->active);
    if (!b->index || !b->active) return no_memory(e);
    for (int i = 0; i < b->n_seq; i++) b->index[i] = -1;
    for (int i = 0; i < b->n; i++) {
        int p = q->active ? q->active[i] : i;
        if (p < 0 || p >= b->n_seq || (i && p <= b->active[i - 1])) {
            return err_set(e, ERR_BAD_ARGUMENT, "active row %d: expected ascending rows below %d", p,
                           b->n_seq);
        }
        b->active[i] = p;
        b->index[p] = i;
    }
    for (int w = 0; w < q->n_wrt; w++) {
        int p = q->wrt[w];
        if (p >= 0 && p < b->n_seq && b->index[p] >= 0) continue;
        return err_set(e, ERR_BAD_ARGUMENT, "gradient asked for position %d, which is not an active row", p);
    }
    return 0;
}

static bool has_weight(const backward *b, int row) {
    for (int s = 0; s < b->q->n_seeds; s++) {
        float w = b->q->weights[size(s, b->p->n_rows) + (size_t)row];
        if (w < 0 || w > 0) return true;
    }
    return false;
}

/* Objective rows: emit rows in A that some seed weighs, each once. */
static int find_objective(backward *b, err *e) {
    int n_rows = b->p->n_rows;
    b->head_rows = mem_new((size_t)b->n + 1, sizeof *b->head_rows);
    b->head_index = mem_new((size_t)b->n + 1, sizeof *b->head_index);
    b->unit_of = mem_new((size_t)n_rows, sizeof *b->unit_of);
    int *unit_at = mem_new((size_t)b->n + 1, sizeof *unit_at); /* 1 + objective row of an active row */
    if (!b->head_rows || !b->head_index || !b->unit_of || !unit_at) {
        free(unit_at);
        return no_memory(e);
    }
    for (int r = 0; r < n_rows; r++) {
        b->unit_of[r] = -1;
        row_ref ref = b->p->rows[r];
        if (ref.seq != b->q->seq) continue;
        int a = b->index[denoiser_emit(&b->t->base, ref.pos)];
        if (a < 0 || !has_weight(b, r)) continue;
        if (!unit_at[a]) {
            b->head_rows[b->n_head] = r;
            b->head_index[b->n_head++] = a;
            unit_at[a] = b->n_head;
        }
        b->unit_of[r] = unit_at[a] - 1;
    }
    free(unit_at);
    return 0;
}

/* ---- head ---- */

/* unit[i] for `n` objective rows from i on. */
static void head_rows_back(backward *b, int i, int n, float *logits, float *dz, float *dh, k_row_stats *stats,
                           float *ones) {
    const transformer *t = b->t;
    const kernels *k = t->base.k;
    for (int r = 0; r < n; r++) {
        int row = b->head_rows[i + r], at = b->active[b->head_index[i + r]];
        memcpy(logits + size(r, t->V), pass_logits(b->p, row), (size_t)t->V * sizeof *logits);
        stats[r] = *pass_stats(b->p, row);
        ones[r] = 1;
        tf_gather(b->dn + size(r, t->d), b->s->x_final, b->first, &at, 1, t->d);
    }
    k->entropy_back(dz, logits, stats, ones, n, t->V, t->base.info.mask_id, b->c);
    tf_scale(dz, size(n, t->V), t->logit_scale);
    k->linear_back(dh, dz, n, &t->head, false, b->c);
    k->rmsnorm_back(b->unit + size(i, t->d), dh, b->dn, t->norm, n, t->d, t->eps);
}

static int head_back(backward *b, err *e) {
    const transformer *t = b->t;
    int most = HEAD_FLOATS / t->V < 1 ? 1 : HEAD_FLOATS / t->V;
    if (most > b->n_head) most = b->n_head;
    if (most > b->n) most = b->n; /* dn has at least that many rows */
    b->unit = mem_new(size(b->n_head, t->d), sizeof *b->unit);
    float *logits = mem_new(size(most, t->V), sizeof *logits), *dz = mem_new(size(most, t->V), sizeof *dz);
    float *dh = mem_new(size(most, t->d + 1), sizeof *dh);
    k_row_stats *stats = mem_new((size_t)most, sizeof *stats);
    int rc = b->unit && logits && dz && dh && stats ? 0 : no_memory(e);
    for (int i = 0; !rc && i < b->n_head; i += most) {
        int n = b->n_head - i < most ? b->n_head - i : most;
        rc = tf_check_cancel(b->q->cancel, e);
        if (!rc) head_rows_back(b, i, n, logits, dz, dh, stats, dh + size(most, t->d));
    }
    free(logits);
    free(dz);
    free(dh);
    free(stats);
    return rc;
}

/* ---- layers ---- */

static void carve(backward *b, tf_carve *c) {
    const transformer *t = b->t;
    int qw = t->H * t->hd, kw = t->KV * t->hd;
    size_t n = (size_t)b->n, rows = n * (size_t)b->seeds;
    b->x = tf_take(c, n, t->d);
    b->x2 = tf_take(c, n, t->d);
    b->q_a = tf_take(c, n, qw);
    b->o_a = tf_take(c, n, qw);
    b->lse_a = tf_take(c, n, t->H);
    b->tmp = tf_take_temp(c, t, b->n);
    b->dx = tf_take(c, rows, t->d);
    b->dn = tf_take(c, rows, t->d > qw ? t->d : qw);
    b->dh = tf_take(c, rows, t->f);
    b->dgate = tf_take(c, rows, t->f);
    b->dup = tf_take(c, rows, t->f);
    b->dq = tf_take(c, rows, qw);
    b->dk = tf_take(c, rows, kw);
    b->dv = tf_take(c, rows, kw);
}

static int reserve(backward *b, err *e) {
    const transformer *t = b->t;
    size_t per_seed = (size_t)b->n * (size_t)(3 * t->f + 5 * t->d);
    size_t fit = per_seed ? CHUNK_FLOATS / per_seed : 1;
    b->seeds = fit < 1 ? 1 : fit < (size_t)b->q->n_seeds ? (int)fit : b->q->n_seeds;
    tf_carve count = {0};
    carve(b, &count);
    int rc = tf_reserve_work(b->t, count.used, e);
    b->pos = mem_new(size(b->seeds, b->n), sizeof *b->pos);
    if (!rc && !b->pos) rc = no_memory(e);
    if (rc) return rc;
    for (int i = 0; i < b->seeds * b->n; i++) b->pos[i] = b->active[i % b->n];
    carve(b, &(tf_carve){.base = b->t->work});
    return 0;
}

static void gather_layer(backward *b, int l) {
    const transformer *t = b->t;
    const tf_acts *a = &b->s->layers[l];
    tf_gather(b->x, a->x, b->first, b->active, b->n, t->d);
    tf_gather(b->x2, a->x2, b->first, b->active, b->n, t->d);
    tf_gather(b->q_a, a->q, b->first, b->active, b->n, t->H * t->hd);
    tf_gather(b->o_a, a->o, b->first, b->active, b->n, t->H * t->hd);
    tf_gather(b->lse_a, a->lse, b->first, b->active, b->n, t->H);
}

/* dx += gradient through a norm of the rows x, for every seed. */
static void norm_back(backward *b, int seeds, const float *x, const float *w) {
    const transformer *t = b->t;
    for (int s = 0; s < seeds; s++) {
        size_t o = size(s * b->n, t->d);
        t->base.k->rmsnorm_back(b->dx + o, b->dn + o, x, w, b->n, t->d, t->eps);
    }
}

/* dx: from the gradient of the layer's output to that of x2. */
static void mlp_back(backward *b, const tf_layer *l, int seeds) {
    const transformer *t = b->t;
    const kernels *k = t->base.k;
    int rows = seeds * b->n;
    tf_gate_up(t, l, b->x2, &b->tmp, b->n);
    k->linear_back(b->dh, b->dx, rows, &l->wd, false, b->c);
    for (int s = 0; s < seeds; s++) {
        size_t o = size(s * b->n, t->f);
        k->swiglu_back(b->dgate + o, b->dup + o, b->dh + o, b->tmp.gate, b->tmp.up, b->n, t->f);
    }
    k->linear_back(b->dn, b->dgate, rows, &l->wg, false, b->c);
    k->linear_back(b->dn, b->dup, rows, &l->wu, true, b->c);
    norm_back(b, seeds, b->x2, l->mlp_norm);
}

/* dx: from the gradient of x2 to that of the layer's input. */
static void attn_back(backward *b, const tf_layer *l, const tf_acts *saved, int seeds) {
    const transformer *t = b->t;
    const kernels *k = t->base.k;
    int rows = seeds * b->n, qw = t->H * t->hd, kw = t->KV * t->hd;
    k->linear_back(b->dn, b->dx, rows, &l->wo, false, b->c); /* now the gradient of o */
    for (int s = 0; s < seeds; s++) {
        size_t qo = size(s * b->n, qw), ko = size(s * b->n, kw);
        k_attn_back a = {
            .n_q = b->n, .n_k = b->n_seq, .H = t->H, .KV = t->KV, .hd = t->hd, .local = b->q->local};
        a.q_pos = b->active, a.q = b->q_a, a.o = b->o_a, a.lse = b->lse_a, a.do_ = b->dn + qo;
        a.k = saved->k + size(b->first, kw), a.v = saved->v + size(b->first, kw);
        a.dq = b->dq + qo, a.dk = b->dk + ko, a.dv = b->dv + ko;
        k->attention_back(&a, b->c);
    }
    k->rope(b->dq, b->pos, rows, t->H, t->hd, t->theta, true);
    k->rope(b->dk, b->pos, rows, t->KV, t->hd, t->theta, true);
    k->linear_back(b->dn, b->dq, rows, &l->wq, false, b->c);
    k->linear_back(b->dn, b->dk, rows, &l->wk, true, b->c);
    k->linear_back(b->dn, b->dv, rows, &l->wv, true, b->c);
    norm_back(b, seeds, b->x, l->attn_norm);
}

/* dx of the chunk from its seeds' weights. */
static void plant(backward *b, int seed, int seeds) {
    int d = b->t->d, n_rows = b->p->n_rows;
    memset(b->dx, 0, size(seeds * b->n, d) * sizeof *b->dx);
    for (int s = 0; s < seeds; s++) {
        for (int r = 0; r < n_rows; r++) {
            int u = b->unit_of[r];
            if (u < 0) continue;
            float w = b->q->weights[size(seed + s, n_rows) + (size_t)r];
            float *dst = b->dx + size(s * b->n + b->head_index[u], d);
            const float *src = b->unit + size(u, d);
            for (int j = 0; j < d; j++) dst[j] += w * src[j];
        }
    }
}

static void harvest(const backward *b, int seed, int seeds, float *grads) {
    int d = b->t->d, n_wrt = b->q->n_wrt;
    for (int s = 0; s < seeds; s++) {
        for (int w = 0; w < n_wrt; w++) {
            float *g = grads + size((seed + s) * n_wrt + w, d);
            memcpy(g, b->dx + size(s * b->n + b->index[b->q->wrt[w]], d), (size_t)d * sizeof *g);
            tf_scale(g, (size_t)d, b->t->embed_scale);
        }
    }
}

static int run_chunk(backward *b, int seed, int seeds, float *grads, err *e) {
    const transformer *t = b->t;
    plant(b, seed, seeds);
    for (int l = t->L - 1; l >= 0; l--) {
        int rc = tf_check_cancel(b->q->cancel, e);
        if (rc) return rc;
        gather_layer(b, l);
        mlp_back(b, &t->layers[l], seeds);
        attn_back(b, &t->layers[l], &b->s->layers[l], seeds);
    }
    harvest(b, seed, seeds, grads);
    return 0;
}

static int prepare(backward *b, err *e) {
    const backward_req *q = b->q;
    if (q->seq < 0 || q->seq >= b->s->n_seqs) {
        return err_set(e, ERR_BAD_ARGUMENT, "sequence %d of a pass of %d", q->seq, b->s->n_seqs);
    }
    if (q->n_seeds < 0 || q->n_wrt < 0)
        return err_set(e, ERR_BAD_ARGUMENT, "a negative count of seeds or positions");
    b->first = b->s->first[q->seq];
    b->n_seq = b->s->first[q->seq + 1] - b->first;
    int rc = take_active(b, e);
    if (!rc) rc = find_objective(b, e);
    return rc;
}

int tf_backward(denoiser *d, const pass *p, const backward_req *q, float *grads, k_counts *c, err *e) {
    backward b = {.t = (transformer *)d, .p = p, .s = p->saved, .q = q, .c = c};
    int rc = prepare(&b, e);
    if (!rc && b.n_head == 0) { /* no objective row lets anything through */
        size_t n = (size_t)q->n_seeds * (size_t)q->n_wrt * (size_t)b.t->d;
        if (n) memset(grads, 0, n * sizeof *grads);
        release(&b);
        return 0;
    }
    if (!rc) rc = reserve(&b, e);
    if (!rc) rc = head_back(&b, e);
    for (int s = 0; !rc && s < q->n_seeds; s += b.seeds) {
        int left = q->n_seeds - s;
        rc = run_chunk(&b, s, left < b.seeds ? left : b.seeds, grads, e);
    }
    release(&b);
    return rc;
}
