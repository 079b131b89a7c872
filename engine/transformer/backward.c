/* backward.c - gradients of entropies through the active rows alone (boe.md, "What AQA
 * really saves").
 *
 * A row whose attention output is detached passes gradient only down its own residual path to
 * its own embedding, which nobody asks for; so every product here runs on the rows of A. The
 * head and the final norm run once per objective row, with weight 1: seeds are linear in their
 * weights, so they are combined after it. Seeds then go down the layers together, one block of
 * |A| rows each, in chunks bounded by memory. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/transformer/transformer.h"

typedef struct backward {
    transformer *t;
    const pass *p;
    const tf_saved *s;
    const backward_req *q;
    k_counts *c;
    int first, n_seq; /* rows of the sequence in the batch */
    int *active, n;   /* A, ascending */
    int *place;       /* position -> index in A, or -1 */
    int *head_rows;   /* for each objective row: its logits row ... */
    int *head_place;  /* ... and its index in A */
    int *unit_of;     /* for each row of the pass: its objective row, or -1 */
    int n_head;
    int seeds;     /* most seeds in a chunk */
    int head_most; /* most objective rows at once */
    /* index arrays, offsets: */
    tf_index index;
    size_t rows, pos;            /* [seeds·n] network rows and positions of A, repeated */
    size_t heads;                /* [n_head] logits rows */
    size_t plant_dst, plant_src; /* [seeds·n_head] */
    size_t wrt;                  /* [seeds·n_wrt] rows of dx */
    /* device memory: */
    float *unit;                          /* [n_head][d] gradient of one entropy at the last layer's output */
    float *coef;                          /* [seeds·n_head] */
    float *dx, *out;                      /* [seeds·n][d], [seeds·n_wrt][d] */
    k_act *dz, *dh;                       /* [head_most][V] or NULL (head in tiles), [head_most][d] */
    k_act *dx_act, *dn, *dm, *dgu, *dqkv; /* [seeds·n] rows */
    tf_temp tmp;                          /* [n] rows; only without saved gate and up */
} backward;

static size_t size(int rows, int width) {
    return (size_t)rows * (size_t)width;
}

static void release(backward *b) {
    free(b->active);
    free(b->place);
    free(b->head_rows);
    free(b->head_place);
    free(b->unit_of);
    tf_index_release(&b->index);
}

static int no_memory(err *e) {
    return err_set(e, ERR_NO_MEMORY, "out of memory for a backward pass");
}

/* ---- the request ---- */

/* Copy A and invert it; check that it is ascending and holds every position of `wrt`. */
static int take_active(backward *b, err *e) {
    const backward_req *q = b->q;
    b->n = q->active ? q->n_active : b->n_seq;
    b->place = mem_new((size_t)b->n_seq, sizeof *b->place);
    b->active = mem_new((size_t)(b->n > 0 ? b->n : 0), sizeof *b->active);
    if (!b->place || !b->active) return no_memory(e);
    for (int i = 0; i < b->n_seq; i++) b->place[i] = -1;
    for (int i = 0; i < b->n; i++) {
        int p = q->active ? q->active[i] : i;
        if (p < 0 || p >= b->n_seq || (i && p <= b->active[i - 1])) {
            return err_set(e, ERR_BAD_ARGUMENT, "active row %d: expected ascending rows below %d", p,
                           b->n_seq);
        }
        if (b->first + p < b->s->from || b->first + p >= b->s->to)
            return err_set(e, ERR_BAD_ARGUMENT, "active row %d was not kept", p);
        b->active[i] = p;
        b->place[p] = i;
    }
    for (int w = 0; w < q->n_wrt; w++) {
        int p = q->wrt[w];
        if (p >= 0 && p < b->n_seq && b->place[p] >= 0) continue;
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
    b->head_place = mem_new((size_t)b->n + 1, sizeof *b->head_place);
    b->unit_of = mem_new((size_t)n_rows, sizeof *b->unit_of);
    int *unit_at = mem_new((size_t)b->n + 1, sizeof *unit_at); /* 1 + objective row of an active row */
    if (!b->head_rows || !b->head_place || !b->unit_of || !unit_at) {
        free(unit_at);
        return no_memory(e);
    }
    for (int r = 0; r < n_rows; r++) {
        b->unit_of[r] = -1;
        row_ref ref = b->p->rows[r];
        if (ref.seq != b->q->seq) continue;
        int a = b->place[denoiser_emit(&b->t->base, ref.pos)];
        if (a < 0 || !has_weight(b, r)) continue;
        if (!unit_at[a]) {
            b->head_rows[b->n_head] = b->p->unique[r];
            b->head_place[b->n_head++] = a;
            unit_at[a] = b->n_head;
        }
        b->unit_of[r] = unit_at[a] - 1;
    }
    free(unit_at);
    return 0;
}

/* ---- rooms ---- */

static void choose_chunks(backward *b) {
    const transformer *t = b->t;
    size_t chunk = tf_chunk_floats(t), per_seed = size(b->n, 3 * t->f + 5 * t->d);
    size_t fit = per_seed ? chunk / per_seed : 1;
    b->seeds = fit < 1 ? 1 : fit < (size_t)b->q->n_seeds ? (int)fit : b->q->n_seeds;
    size_t rows = chunk / 4 / (size_t)(t->base.k->head_back ? t->d : t->V);
    b->head_most = rows < 1 ? 1 : rows < (size_t)b->n_head ? (int)rows : b->n_head;
}

/* Index arrays of one chunk; all chunks but the last are alike, and the last uses a part. */
static int index_chunk(backward *b, err *e) {
    tf_index *x = &b->index;
    b->rows = x->n;
    for (int i = 0; i < b->seeds * b->n; i++) {
        int row = b->first + b->active[i % b->n];
        tf_index_add(x, &row, 1);
    }
    b->pos = x->n;
    for (int i = 0; i < b->seeds * b->n; i++) tf_index_add(x, &b->active[i % b->n], 1);
    b->heads = tf_index_add(x, b->head_rows, (size_t)b->n_head);
    b->plant_dst = x->n;
    for (int i = 0; i < b->seeds * b->n_head; i++) {
        int row = i / b->n_head * b->n + b->head_place[i % b->n_head];
        tf_index_add(x, &row, 1);
    }
    b->plant_src = x->n;
    for (int i = 0; i < b->seeds * b->n_head; i++) tf_index_add(x, &(int){i % b->n_head}, 1);
    b->wrt = x->n;
    for (int i = 0; i < b->seeds * b->q->n_wrt; i++) {
        int row = i / b->q->n_wrt * b->n + b->place[b->q->wrt[i % b->q->n_wrt]];
        tf_index_add(x, &row, 1);
    }
    return tf_index_send(x, b->t, e);
}

static void carve(backward *b, tf_carve *c) {
    const transformer *t = b->t;
    size_t rows = size(b->n, b->seeds), heads = (size_t)b->n_head, most = (size_t)b->head_most;
    int qw = tf_q_width(t);
    b->unit = tf_take_floats(c, heads, t->d);
    b->coef = tf_take_floats(c, (size_t)b->seeds, b->n_head);
    if (!t->base.k->head_back) b->dz = tf_take_act(c, t, most, t->V);
    b->dh = tf_take_act(c, t, most, t->d);
    b->dx = tf_take_floats(c, rows, t->d);
    b->out = tf_take_floats(c, (size_t)b->seeds, b->q->n_wrt * t->d);
    if (t->base.k->act_bytes == 4 && !t->dit) {
        b->dx_act = (k_act *)b->dx; /* float32 activations are dx itself */
    } else {
        b->dx_act = tf_take_act(c, t, rows, t->d);
    }
    b->dn = tf_take_act(c, t, rows, t->d > qw ? t->d : qw);
    b->dm = tf_take_act(c, t, rows, t->f);
    b->dgu = tf_take_act(c, t, rows, tf_gu_width(t));
    b->dqkv = tf_take_act(c, t, rows, tf_qkv_width(t));
    if (!b->s->layers[0].gu) b->tmp = tf_take_temp(c, t, b->n);
}

static int reserve(backward *b, err *e) {
    choose_chunks(b);
    int rc = index_chunk(b, e);
    tf_carve c = {0};
    carve(b, &c);
    if (!rc) rc = tf_reserve_work(b->t, c.used, &c, e);
    if (!rc) carve(b, &c);
    return rc;
}

/* ---- head ---- */

/* dh of n objective rows. */
static void logits_back(backward *b, const int *rows, int n) {
    transformer *t = b->t;
    kernels *k = t->base.k;
    const pass *p = b->p;
    k_head h = tf_head_of(t, p->head_x, p->logits);
    if (k->head_back) {
        k->head_back(k, b->dh, &h, p->stats, rows, n, b->c);
        return;
    }
    k->entropy_back(k, b->dz, p->logits, p->stats, rows, n, t->V, h.mask, h.scale, b->c);
    k->linear_back(k, b->dh, b->dz, n, &t->head, b->c);
}

/* unit[i] for `n` objective rows from i on. */
static void head_rows_back(backward *b, int i, int n) {
    transformer *t = b->t;
    kernels *k = t->base.k;
    const int *rows = tf_index_at(t, b->heads + (size_t)i);
    logits_back(b, rows, n);
    k->norm_back(k, &(k_norm_back){.n = n,
                                   .d = t->d,
                                   .eps = t->eps,
                                   .center = t->center,
                                   .x = b->s->x_final,
                                   .rows = rows,
                                   .w = tf_head_affine(t).w,
                                   .dy = b->dh,
                                   .dx = b->unit + size(i, t->d)});
}

static int head_back(backward *b, err *e) {
    int rc = 0;
    for (int i = 0; !rc && i < b->n_head; i += b->head_most) {
        int n = b->n_head - i < b->head_most ? b->n_head - i : b->head_most;
        rc = tf_check_cancel(b->q->cancel, e);
        if (!rc) head_rows_back(b, i, n);
    }
    return rc;
}

/* ---- layers ---- */

/* dx += gradient through a norm of the rows x, for every seed; dn is the gradient of its output. */
static void norm_back(backward *b, int n, const float *x, const float *w) {
    const transformer *t = b->t;
    t->base.k->norm_back(t->base.k, &(k_norm_back){.n = n,
                                                   .d = t->d,
                                                   .eps = t->eps,
                                                   .center = t->center,
                                                   .x = x,
                                                   .rows = tf_index_at(t, b->rows),
                                                   .w = w,
                                                   .dy = b->dn,
                                                   .dx = b->dx,
                                                   .add = true,
                                                   .dx_act = b->dx_act});
}

/* Gate and up of A's rows when the pass did not keep them, and which of their rows belongs to which of dm's.
 */
static const k_act *gate_and_up(backward *b, int l, const int **rows) {
    transformer *t = b->t;
    kernels *k = t->base.k;
    const tf_acts *saved = &b->s->layers[l];
    *rows = tf_index_at(t, b->rows);
    if (saved->gu) return saved->gu;
    k_norm norm = tf_norm(t, b->n, tf_mlp_affine(t, l));
    norm.x = saved->x2, norm.rows = *rows, norm.h = b->tmp.h;
    k->norm(k, &norm);
    k->linear(k, b->tmp.gu, b->tmp.h, b->n, &t->layers[l].gu);
    *rows = NULL;
    return b->tmp.gu;
}

/* The gradient of a branch's output: dx as activations, gated where branches are. */
static const k_act *branch(backward *b, const float *gate, int n) {
    kernels *k = b->t->base.k;
    if (gate) k->gate(k, b->dx_act, b->dx, gate, n, b->t->d);
    return b->dx_act;
}

/* Through what stands between the MLP's products. Without rows, A's rows of `gu` stand once for all seeds. */
static void middle_back(backward *b, const k_act *gu, const int *rows, int seeds) {
    const transformer *t = b->t;
    kernels *k = t->base.k;
    void (*back)(kernels *, k_act *, const k_act *, const k_act *, const int *, int, int) =
        t->gelu ? k->gelu_back : k->swiglu_back;
    for (int s = 0; s < (rows ? 1 : seeds); s++) {
        k_act *to = k_act_at(k, b->dgu, size(s * b->n, tf_gu_width(t)));
        back(k, to, k_act_at(k, b->dm, size(s * b->n, t->f)), gu, rows, rows ? seeds * b->n : b->n, t->f);
    }
}

/* dx: from the gradient of the layer's output to that of x2. */
static void mlp_back(backward *b, int l, int seeds) {
    transformer *t = b->t;
    kernels *k = t->base.k;
    const tf_layer *w = &t->layers[l];
    tf_affine affine = tf_mlp_affine(t, l);
    int n = seeds * b->n;
    const int *rows;
    const k_act *gu = gate_and_up(b, l, &rows);
    k->linear_back(k, b->dm, branch(b, affine.gate, n), n, &w->down, b->c);
    middle_back(b, gu, rows, seeds);
    k->linear_back(k, b->dn, b->dgu, n, &w->gu, b->c);
    norm_back(b, n, b->s->layers[l].x2, affine.w);
}

/* dqkv: from the gradient of the attention's input to that of the product before it. */
static void heads_back(backward *b, int l, int n) {
    transformer *t = b->t;
    kernels *k = t->base.k;
    k->rope(k, b->dqkv, tf_qkv_width(t), tf_index_at(t, b->pos), n, t->H + t->KV, t->hd, t->rope.data,
            t->rope_how | K_ROPE_INVERSE);
    if (!t->layers[l].head_norm) return;
    k->head_norm_back(k, &(k_head_norm_back){.n = n,
                                             .ld = tf_qkv_width(t),
                                             .heads = t->H + t->KV,
                                             .hd = t->hd,
                                             .eps = t->eps,
                                             .w = t->layers[l].head_norm,
                                             .dx = b->dqkv,
                                             .raw = b->s->layers[l].raw,
                                             .rows = tf_index_at(t, b->rows)});
}

/* dx: from the gradient of x2 to that of the layer's input. */
static void attn_back(backward *b, int l, int seeds) {
    transformer *t = b->t;
    kernels *k = t->base.k;
    const tf_acts *saved = &b->s->layers[l];
    const tf_layer *w = &t->layers[l];
    tf_affine affine = tf_attn_affine(t, l);
    int n = seeds * b->n;
    k->linear_back(k, b->dn, branch(b, affine.gate, n), n, &w->o, b->c); /* now the gradient of o */
    k->attention_back(k,
                      &(k_attn_back){.n = b->n,
                                     .seeds = seeds,
                                     .k0 = b->first,
                                     .n_k = b->n_seq,
                                     .H = t->H,
                                     .KV = t->KV,
                                     .hd = t->hd,
                                     .local = b->q->local,
                                     .rows = tf_index_at(t, b->rows),
                                     .qkv = saved->qkv,
                                     .o = saved->o,
                                     .lse = saved->lse,
                                     .do_ = b->dn,
                                     .dqkv = b->dqkv},
                      b->c);
    heads_back(b, l, n);
    k->linear_back(k, b->dn, b->dqkv, n, &w->qkv, b->c);
    norm_back(b, n, saved->x, affine.w);
}

/* ---- seeds ---- */

/* dx of the chunk from its seeds' weights: rows of the pass that share an objective row add up. */
static int plant(backward *b, int seed, int seeds, err *e) {
    transformer *t = b->t;
    kernels *k = t->base.k;
    size_t n = size(seeds, b->n_head), n_rows = (size_t)b->p->n_rows;
    float *coef = mem_new(n, sizeof *coef);
    if (!coef) return no_memory(e);
    for (size_t s = 0; s < (size_t)seeds; s++) {
        const float *weights = b->q->weights + ((size_t)seed + s) * n_rows;
        for (size_t r = 0; r < n_rows; r++) {
            if (b->unit_of[r] >= 0) coef[s * (size_t)b->n_head + (size_t)b->unit_of[r]] += weights[r];
        }
    }
    k->put(k, b->coef, coef, n * sizeof *coef);
    free(coef);
    size_t floats = size(seeds * b->n, t->d);
    k->zero(k, b->dx, floats * sizeof(float));
    k->rows(k, b->dx, tf_index_at(t, b->plant_dst), b->unit, tf_index_at(t, b->plant_src), b->coef, (int)n,
            t->d);
    if (k->act_bytes != 4) k->narrow(k, b->dx_act, b->dx, floats);
    return 0;
}

static int harvest(backward *b, int seed, int seeds, float *grads, err *e) {
    transformer *t = b->t;
    kernels *k = t->base.k;
    int n = seeds * b->q->n_wrt;
    if (n <= 0) return device_check(k, e);
    float *g = grads + size(seed * b->q->n_wrt, t->d);
    k->rows(k, b->out, NULL, b->dx, tf_index_at(t, b->wrt), NULL, n, t->d);
    k->get(k, g, b->out, size(n, t->d) * sizeof *g);
    for (size_t i = 0; (t->embed_scale < 1 || t->embed_scale > 1) && i < size(n, t->d); i++) {
        g[i] *= t->embed_scale;
    }
    return device_check(k, e);
}

static int run_chunk(backward *b, int seed, int seeds, float *grads, err *e) {
    const transformer *t = b->t;
    int rc = plant(b, seed, seeds, e);
    for (int l = t->L - 1; l >= 0 && !rc; l--) {
        if ((rc = tf_check_cancel(b->q->cancel, e))) break;
        mlp_back(b, l, seeds);
        attn_back(b, l, seeds);
    }
    return rc ? rc : harvest(b, seed, seeds, grads, e);
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
    if (!rc) rc = tf_set_noise(b.t, b.s->sigma, e);
    if (!rc) rc = head_back(&b, e);
    for (int s = 0; !rc && s < q->n_seeds; s += b.seeds) {
        int left = q->n_seeds - s;
        rc = run_chunk(&b, s, left < b.seeds ? left : b.seeds, grads, e);
    }
    release(&b);
    return rc;
}
