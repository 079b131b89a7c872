/* forward.c - the forward pass of a packed batch, and what a kept pass saves.
 *
 * Everything that varies from step to step in a decode (ids, rows asked for) is in arrays that are sent
 * first, so that the layers are the same work at the same addresses and a device may replay them as a graph.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/transformer/transformer.h"

typedef struct range {
    int from, to;
} range;

/* One forward in progress. */
typedef struct forward {
    transformer *t;
    const forward_req *q;
    pass *p;
    int n;      /* rows of the batch */
    int *first; /* [n_seqs + 1] */
    tf_index index;
    size_t ids, pos, spans, last_spans, inject, wanted; /* offsets in the index */
    int max_len;
    range *range; /* [n_seqs] positions of which the last layer's output is wanted */
    int from, to; /* rows from the first such position to the last */
    int n_last;   /* spans of the last layer */
    bool part; /* a kept pass keeps these only: other layers work in `acts`, too, and are copied from there */
    tf_acts acts; /* one layer's activations, reused; with keep only for `part` */
    tf_temp tmp;
    tf_rows rows, last; /* of all layers but the last, and of that */
    float *vectors;     /* [n_inject][d] */
    float *x_final;     /* [n_unique][d] */
    k_act *head_x;      /* [n_unique][d] */
} forward;

void tf_free_saved(void *saved) {
    tf_saved *s = saved;
    if (!s) return;
    free(s->first);
    free(s->layers);
    buffer_release(&s->room);
    free(s);
}

static int no_memory(const forward *f, err *e) {
    return err_set(e, ERR_NO_MEMORY, "out of memory for %d rows", f->n);
}

/* ---- laying out ---- */

/* Lay the sequences one after the other. */
static int pack(forward *f, err *e) {
    const forward_req *q = f->q;
    int64_t total = 0;
    for (int s = 0; s < q->n_seqs; s++) total += q->seqs[s].n;
    if (total > INT32_MAX / 2) return err_set(e, ERR_BAD_ARGUMENT, "a batch of %lld rows", (long long)total);
    f->n = (int)total;
    f->first = mem_new((size_t)q->n_seqs + 1, sizeof *f->first);
    f->range = mem_new((size_t)q->n_seqs, sizeof *f->range);
    if (!f->first || !f->range) return no_memory(f, e);
    for (int s = 0; s < q->n_seqs; s++) {
        f->first[s + 1] = f->first[s] + q->seqs[s].n;
        if (q->seqs[s].n > f->max_len) f->max_len = q->seqs[s].n;
    }
    return 0;
}

static void index_sequences(forward *f) {
    const forward_req *q = f->q;
    f->ids = tf_index_add(&f->index, NULL, 0);
    for (int s = 0; s < q->n_seqs; s++) tf_index_add(&f->index, q->seqs[s].tokens, (size_t)q->seqs[s].n);
    f->pos = f->index.n;
    for (int s = 0; s < q->n_seqs; s++) {
        for (int i = 0; i < q->seqs[s].n; i++) tf_index_add(&f->index, &i, 1);
    }
    f->spans = f->index.n;
    for (int s = 0; s < q->n_seqs; s++) {
        k_span span = {f->first[s], q->seqs[s].n, f->first[s], q->seqs[s].n, -1};
        tf_index_add(&f->index, (const int32_t *)&span, sizeof span / sizeof(int32_t));
    }
}

/* Of each sequence the positions from the first to the last that logits are asked for, or all. Bounds are
 * rounded outwards so that they do not change at every step of a decode: a device that replays graphs would
 * have to make a new one. */
static void find_ranges(forward *f, bool all) {
    enum { STEP = 16 };
    const forward_req *q = f->q;
    for (int s = 0; s < q->n_seqs; s++) f->range[s] = (range){all ? 0 : q->seqs[s].n, all ? q->seqs[s].n : 0};
    for (int r = 0; r < q->n_rows; r++) {
        range *at = &f->range[q->rows[r].seq];
        int pos = q->rows[r].pos, row = denoiser_emit(&f->t->base, pos);
        if (row < at->from) at->from = row;
        if (pos >= at->to)
            at->to = pos + 1; /* a shifted model reads the row before, but the mask's own may be active */
    }
    for (int s = 0; s < q->n_seqs; s++) {
        int n = q->seqs[s].n, from = f->range[s].from / STEP * STEP;
        int to = (f->range[s].to + STEP - 1) / STEP * STEP;
        f->range[s] = from < to ? (range){from, to < n ? to : n} : (range){0, n};
    }
}

/* Only rows that logits are asked for have to go through all of the last layer, and only those are there for
 * a backward, unless the request is to keep all. Of several sequences those between go as well. */
static void find_span(forward *f) {
    const forward_req *q = f->q;
    find_ranges(f, !q->n_rows || (q->keep && !q->keep_asked));
    f->from = f->range[0].from;
    f->to = f->first[q->n_seqs - 1] + f->range[q->n_seqs - 1].to;
    f->part = q->keep && f->to - f->from < f->n;
}

static void add_last_span(forward *f, int s, int from, int to) {
    int first = f->first[s];
    if (from >= to || first + from < f->from || first + to > f->to) return;
    k_span span = {first + from, to - from, first, f->q->seqs[s].n, -1};
    tf_index_add(&f->index, (const int32_t *)&span, sizeof span / sizeof(int32_t));
    f->n_last++;
}

/* The positions wanted of a sequence are a span of their own, so that attention does the same work for them
 * whatever other sequences are there. */
static void index_last_spans(forward *f) {
    f->last_spans = f->index.n;
    for (int s = 0; s < f->q->n_seqs; s++) {
        range at = f->range[s];
        add_last_span(f, s, 0, at.from);
        add_last_span(f, s, at.from, at.to);
        add_last_span(f, s, at.to, f->q->seqs[s].n);
    }
}

/* Positions that read the same network row (0 and 1 of a shifted model) share its logits. */
static int index_wanted(forward *f, err *e) {
    int *slot = mem_new((size_t)f->n, sizeof *slot); /* 1 + index in wanted */
    if (!slot) return no_memory(f, e);
    f->wanted = f->index.n;
    f->p->n_unique = 0;
    for (int r = 0; r < f->q->n_rows; r++) {
        row_ref ref = f->q->rows[r];
        int row = f->first[ref.seq] + denoiser_emit(&f->t->base, ref.pos);
        if (!slot[row]) {
            tf_index_add(&f->index, &row, 1);
            slot[row] = ++f->p->n_unique;
        }
        f->p->unique[r] = slot[row] - 1;
    }
    free(slot);
    return 0;
}

static int index_all(forward *f, err *e) {
    index_sequences(f);
    find_span(f);
    index_last_spans(f);
    f->inject = f->index.n;
    for (int i = 0; i < f->q->n_inject; i++) {
        const injection *in = &f->q->inject[i];
        int row = f->first[in->seq] + in->pos;
        tf_index_add(&f->index, &row, 1);
    }
    int rc = index_wanted(f, e);
    return rc ? rc : tf_index_send(&f->index, f->t, e);
}

/* ---- rooms ---- */

/* An array of rows [from, to), as if it began with row 0. */
static void *before(const void *p, int from, size_t row_bytes) {
    return p ? (void *)((uintptr_t)p - (size_t)from * row_bytes) : NULL;
}

static tf_acts take_kept(const tf_saved *s, const transformer *t, int l, tf_carve *c) {
    int n = s->to - s->from;
    size_t rows = (size_t)n, act = (size_t)t->base.k->act_bytes, d = (size_t)t->d * sizeof(float);
    int raw_width = tf_q_width(t) + tf_kv_width(t);
    tf_acts a = {.qkv = tf_take_act(c, t, (size_t)s->n_rows, tf_qkv_width(t))};
    if (tf_keeps_gu(t, s->n_rows)) a.gu = tf_take_act(c, t, (size_t)s->n_rows, tf_gu_width(t));
    a.x = l ? before(tf_take_floats(c, rows, t->d), s->from, d) : tf_take_floats(c, (size_t)s->n_rows, t->d);
    a.x2 = before(tf_take_floats(c, rows, t->d), s->from, d);
    a.lse = before(tf_take_floats(c, rows, t->H), s->from, (size_t)t->H * sizeof(float));
    a.o = before(tf_take_act(c, t, rows, tf_q_width(t)), s->from, (size_t)tf_q_width(t) * act);
    if (t->head_norms) a.raw = before(tf_take_act(c, t, rows, raw_width), s->from, (size_t)raw_width * act);
    return a;
}

static void carve_saved(tf_saved *s, const transformer *t, int n_unique, tf_carve *c) {
    for (int l = 0; l < t->L; l++) s->layers[l] = take_kept(s, t, l, c);
    s->x_final = tf_take_floats(c, (size_t)n_unique, t->d);
}

static int reserve_saved(forward *f, err *e) {
    const transformer *t = f->t;
    if (!f->p->saved) {
        f->p->saved = mem_new(1, sizeof(tf_saved));
        f->p->free_saved = tf_free_saved;
    }
    tf_saved *s = f->p->saved;
    size_t n_first = (size_t)f->q->n_seqs + 1;
    if (!s || !mem_grow((void **)&s->first, &s->cap_first, n_first, sizeof *s->first) ||
        !mem_grow((void **)&s->layers, &s->cap_layers, (size_t)t->L, sizeof *s->layers)) {
        return no_memory(f, e);
    }
    s->n_seqs = f->q->n_seqs;
    s->n_rows = f->n;
    s->from = f->from, s->to = f->to;
    s->sigma = tf_noise(t, f->q);
    memcpy(s->first, f->first, n_first * sizeof *s->first);
    tf_carve count = {0};
    carve_saved(s, t, f->p->n_unique, &count);
    char what[48];
    snprintf(what, sizeof what, "a kept pass of %d rows", f->n);
    int rc = buffer_reserve(&s->room, t->base.k, count.used, what, e);
    if (!rc) carve_saved(s, t, f->p->n_unique, &(tf_carve){.base = s->room.data});
    return rc;
}

static void carve_work(forward *f, tf_carve *c) {
    const transformer *t = f->t;
    size_t unique = (size_t)f->p->n_unique;
    f->tmp = tf_take_temp(c, t, f->n);
    if (!f->q->keep || f->part) f->acts = tf_take_acts(c, t, f->n, f->part ? TF_KEEP_RAW : 0);
    f->vectors = tf_take_floats(c, (size_t)f->q->n_inject, t->d);
    f->x_final = f->q->keep ? ((tf_saved *)f->p->saved)->x_final : tf_take_floats(c, unique, t->d);
    f->head_x = tf_take_head_x(c, t, f->p);
}

static int reserve_bad(transformer *t, err *e) {
    int rc = buffer_reserve(&t->bad_room, t->base.k, sizeof *t->bad, "a flag", e);
    t->bad = t->bad_room.data;
    return rc;
}

static int prepare(forward *f, err *e) {
    transformer *t = f->t;
    int rc = pack(f, e);
    if (!rc) rc = index_all(f, e);
    if (!rc) rc = tf_reserve_rope(t, f->max_len, e);
    if (!rc) rc = reserve_bad(t, e);
    if (!rc && f->q->keep) rc = reserve_saved(f, e);
    if (!rc) rc = tf_reserve_head_x(t, f->p, e);
    if (rc) return rc;
    tf_carve c = {0};
    carve_work(f, &c);
    rc = tf_reserve_work(t, c.used, &c, e);
    if (rc) return rc;
    carve_work(f, &c);
    f->rows = (tf_rows){.n = f->n,
                        .pos = tf_index_at(t, f->pos),
                        .spans = (const k_span *)tf_index_at(t, f->spans),
                        .n_spans = f->q->n_seqs,
                        .max_q = f->max_len,
                        .max_k = f->max_len,
                        .to = f->n};
    f->last = f->rows;
    f->last.from = f->from, f->last.to = f->to;
    f->last.spans = (const k_span *)tf_index_at(t, f->last_spans), f->last.n_spans = f->n_last;
    return 0;
}

/* ---- running ---- */

static tf_saved *saved_of(const forward *f) {
    return f->p->saved;
}

/* What layer l works on: its kept arrays, or the ones that all share, except what is kept of every row. */
static tf_acts layer_acts(const forward *f, int l) {
    if (f->q->keep && !f->part) return saved_of(f)->layers[l];
    tf_acts a = f->acts;
    if (!f->part) return a;
    const tf_acts *kept = &saved_of(f)->layers[l];
    a.qkv = kept->qkv, a.gu = kept->gu;
    if (!l) a.x = kept->x;
    return a;
}

static void copy(const forward *f, void *to, const void *from, size_t row_bytes) {
    kernels *k = f->t->base.k;
    size_t skip = (size_t)f->from * row_bytes;
    float *y = (float *)((uintptr_t)to + skip);
    k->rows(k, y, NULL, (const float *)((uintptr_t)from + skip), NULL, NULL, f->to - f->from,
            (int)(row_bytes / sizeof *y));
}

/* What is kept of a layer, from where it worked. */
static void keep_rows(const forward *f, int l) {
    const transformer *t = f->t;
    tf_acts a = layer_acts(f, l), kept = saved_of(f)->layers[l];
    size_t act = (size_t)t->base.k->act_bytes, d = (size_t)t->d * sizeof(float);
    if (l) copy(f, kept.x, a.x, d);
    copy(f, kept.x2, a.x2, d);
    copy(f, kept.lse, a.lse, (size_t)t->H * sizeof(float));
    copy(f, kept.o, a.o, (size_t)tf_q_width(t) * act);
    if (a.raw) copy(f, kept.raw, a.raw, (size_t)(tf_q_width(t) + tf_kv_width(t)) * act);
}

static int inject(forward *f, err *e) {
    transformer *t = f->t;
    kernels *k = t->base.k;
    size_t n = (size_t)f->q->n_inject, d = (size_t)t->d;
    if (!n) return 0;
    float *host = mem_new(n * d, sizeof *host);
    if (!host) return no_memory(f, e);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < d; j++) host[i * d + j] = t->embed_scale * f->q->inject[i].vector[j];
    }
    k->put(k, f->vectors, host, n * d * sizeof *host);
    free(host);
    k->rows(k, layer_acts(f, 0).x, tf_index_at(t, f->inject), f->vectors, NULL, NULL, (int)n, t->d);
    return 0;
}

static int embed(forward *f, err *e) {
    transformer *t = f->t;
    kernels *k = t->base.k;
    static const uint64_t none = UINT64_MAX;
    k->put(k, t->bad, &none, sizeof none);
    k->embed(k, layer_acts(f, 0).x, tf_index_at(t, f->ids), f->n, &t->embed, t->embed_scale);
    return inject(f, e);
}

/* What decides the work of the layers besides contents: a graph's key. */
typedef struct layers_key {
    const void *work, *index, *saved, *rope;
    int n, n_spans, n_last, max_len, keep, from, to;
} layers_key;

static layers_key key_of(const forward *f) {
    layers_key key;
    memset(&key, 0, sizeof key); /* padding takes part in comparisons */
    key.work = f->tmp.h, key.index = f->t->index.data, key.rope = f->t->rope.data;
    key.saved = f->q->keep ? saved_of(f)->room.data : NULL;
    key.n = f->n, key.n_spans = f->q->n_seqs, key.max_len = f->max_len, key.keep = f->q->keep;
    key.from = f->from, key.to = f->to, key.n_last = f->n_last;
    return key;
}

static int queue_layers(forward *f, err *e) {
    transformer *t = f->t;
    tf_acts first = layer_acts(f, 0);
    int rc = tf_run_first(t, f->q, &first, &f->tmp, &f->rows.projected, e);
    f->last.projected = f->rows.projected;
    for (int l = 0; l < t->L && !rc; l++) {
        tf_acts a = layer_acts(f, l);
        const float *x = l ? layer_acts(f, l - 1).x2 : a.x;
        tf_run_layer(t, l, l == t->L - 1 ? &f->last : &f->rows, &a, &f->tmp, x, l ? f->tmp.y : NULL, NULL);
        if (f->part) keep_rows(f, l);
        if (t->base.k->host) rc = tf_check_cancel(f->q->cancel, e); /* elsewhere it is queued by now */
    }
    return rc;
}

static int run_layers(forward *f, err *e) {
    kernels *k = f->t->base.k;
    layers_key key = key_of(f);
    int rc = tf_check_cancel(f->q->cancel, e);
    if (rc || k->graph_begin(k, &key, sizeof key)) return rc;
    do {
        rc = queue_layers(f, e);
    } while (k->graph_end(k) && !rc);
    return rc;
}

static void run_head(forward *f) {
    transformer *t = f->t;
    kernels *k = t->base.k;
    k_norm norm = tf_norm(t, f->p->n_unique, tf_head_affine(t));
    norm.x = layer_acts(f, t->L - 1).x2, norm.y = f->tmp.y, norm.gate = tf_mlp_affine(t, t->L - 1).gate;
    norm.rows = tf_index_at(t, f->wanted), norm.sum = f->x_final, norm.h = f->head_x;
    norm.bad = t->bad, norm.stage = t->L;
    k->norm(k, &norm);
    tf_run_head(t, f->p, f->head_x);
}

int tf_forward(denoiser *d, const forward_req *q, pass *p, err *e) {
    forward f = {.t = (transformer *)d, .q = q, .p = p};
    int rc = prepare(&f, e);
    if (!rc) rc = tf_set_noise(f.t, tf_noise(f.t, q), e);
    if (!rc) rc = embed(&f, e);
    if (!rc) rc = run_layers(&f, e);
    if (!rc) run_head(&f);
    if (!rc) rc = tf_check_bad(f.t, f.first, q->n_seqs, e);
    if (rc) tf_forget_first(f.t);
    if (!rc) rc = tf_check_cancel(q->cancel, e);
    free(f.first);
    free(f.range);
    tf_index_release(&f.index);
    return rc;
}

/* Rows of a product must not see each other; a DiT has one noise level for all sequences of a forward. */
bool tf_batches(const denoiser *d, const sequence *a, const sequence *b) {
    const transformer *t = (const transformer *)d;
    double x = tf_noise(t, &(forward_req){.seqs = a, .n_seqs = 1});
    double y = tf_noise(t, &(forward_req){.seqs = b, .n_seqs = 1});
    return kernels_exact_rows(d->k) && !(x < y) && !(x > y);
}
