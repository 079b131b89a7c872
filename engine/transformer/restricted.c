/* restricted.c - row-restricted lookahead: the rows of each case are recomputed with an
 * embedding injected, all other rows keep the keys and values of the kept pass.
 *
 * The cases' rows are stacked, so that linear layers see one tall matrix. In attention each case is a span
 * whose keys are those of the kept pass, overlaid by the case's own rows. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/transformer/transformer.h"

typedef struct restricted {
    transformer *t;
    const pass *p;
    const tf_saved *s;
    const restricted_req *q;
    int first, n_seq;
    /* the chunk: cases [from, to), their rows stacked */
    int from, to, rows, most_rows;
    int n_want, head_most;
    tf_index index;
    size_t pos, src, spans, overlay, inject, want; /* offsets in the index */
    tf_acts acts;
    tf_temp tmp;
    float *vectors, *logits; /* [cases][d], [head_most][V] or NULL where the head goes in tiles */
    k_act *head_x;           /* [head_most][d] */
    k_row_stats *stats;      /* [head_most], device memory */
} restricted;

/* ---- the request ---- */

static int bad_case(int i, const char *what, int pos, err *e) {
    return err_set(e, ERR_BAD_ARGUMENT, "lookahead case %d: %s %d", i, what, pos);
}

static int find_row(const restricted_case *c, int pos) {
    int low = 0, high = c->n_recompute;
    while (low < high) {
        int mid = low + (high - low) / 2;
        if (c->recompute[mid] < pos)
            low = mid + 1;
        else
            high = mid;
    }
    return low < c->n_recompute && c->recompute[low] == pos ? low : -1;
}

static int check_case(const restricted *r, int i, err *e) {
    const restricted_case *c = &r->q->cases[i];
    for (int j = 0; j < c->n_recompute; j++) {
        int p = c->recompute[j];
        if (p < 0 || p >= r->n_seq || (j && p <= c->recompute[j - 1])) {
            return bad_case(i, "rows are not ascending positions of the sequence at", p, e);
        }
    }
    if (find_row(c, c->pos) < 0) return bad_case(i, "does not recompute its own position", c->pos, e);
    for (int j = 0; j < c->n_want; j++) {
        if (c->want[j] < 0 || find_row(c, denoiser_emit(&r->t->base, c->want[j])) < 0) {
            return bad_case(i, "does not recompute the row that predicts position", c->want[j], e);
        }
    }
    return 0;
}

static int check(restricted *r, err *e) {
    if (r->q->seq < 0 || r->q->seq >= r->s->n_seqs) {
        return err_set(e, ERR_BAD_ARGUMENT, "sequence %d of a pass of %d", r->q->seq, r->s->n_seqs);
    }
    r->first = r->s->first[r->q->seq];
    r->n_seq = r->s->first[r->q->seq + 1] - r->first;
    for (int i = 0; i < r->q->n_cases; i++) {
        int rc = check_case(r, i, e);
        if (rc) return rc;
    }
    return 0;
}

/* ---- laying out ---- */

/* Take as many cases as fit a chunk, at least one. */
static void next_chunk(restricted *r) {
    const transformer *t = r->t;
    size_t most = tf_chunk_floats(t) / (size_t)(3 * t->f + 10 * t->d);
    r->from = r->to;
    r->rows = r->n_want = r->most_rows = 0;
    while (r->to < r->q->n_cases) {
        const restricted_case *c = &r->q->cases[r->to];
        if (r->to > r->from && (size_t)r->rows + (size_t)c->n_recompute > most) break;
        r->rows += c->n_recompute;
        r->n_want += c->n_want;
        if (c->n_recompute > r->most_rows) r->most_rows = c->n_recompute;
        r->to++;
    }
    size_t heads = tf_chunk_floats(t) / 4 / (size_t)(t->base.k->head ? t->d : t->V);
    r->head_most = heads < 1 ? 1 : heads < (size_t)r->n_want ? (int)heads : r->n_want;
}

/* Positions of the stacked rows, and the rows of the kept pass that they start from. */
static void index_rows(restricted *r) {
    tf_index *x = &r->index;
    r->pos = x->n;
    for (int i = r->from; i < r->to; i++)
        tf_index_add(x, r->q->cases[i].recompute, (size_t)r->q->cases[i].n_recompute);
    r->src = x->n;
    for (size_t j = r->pos; j < r->src; j++) tf_index_add(x, &(int){r->first + x->data[j]}, 1);
}

/* Span of each case, and which of its rows lies over which key. */
static void index_spans(restricted *r) {
    tf_index *x = &r->index;
    r->spans = x->n;
    for (int i = r->from, row = 0; i < r->to; row += r->q->cases[i++].n_recompute) {
        k_span span = {row, r->q->cases[i].n_recompute, r->first, r->n_seq, (i - r->from) * r->n_seq};
        tf_index_add(x, (const int32_t *)&span, sizeof span / sizeof(int32_t));
    }
    r->overlay = tf_index_add(x, NULL, (size_t)(r->to - r->from) * (size_t)r->n_seq);
    if (x->failed) return;
    int32_t *over = x->data + r->overlay;
    for (size_t j = 0; j < (size_t)(r->to - r->from) * (size_t)r->n_seq; j++) over[j] = -1;
    for (int i = r->from, row = 0; i < r->to; i++, over += r->n_seq) {
        const restricted_case *c = &r->q->cases[i];
        for (int j = 0; j < c->n_recompute; j++) over[c->recompute[j]] = row++;
    }
}

/* Stacked rows that get an injected embedding, and those whose entropies are wanted. */
static void index_ends(restricted *r) {
    tf_index *x = &r->index;
    r->inject = x->n;
    for (int i = r->from, row = 0; i < r->to; row += r->q->cases[i++].n_recompute)
        tf_index_add(x, &(int){row + find_row(&r->q->cases[i], r->q->cases[i].pos)}, 1);
    r->want = x->n;
    for (int i = r->from, row = 0; i < r->to; row += r->q->cases[i++].n_recompute) {
        const restricted_case *c = &r->q->cases[i];
        for (int j = 0; j < c->n_want; j++)
            tf_index_add(x, &(int){row + find_row(c, denoiser_emit(&r->t->base, c->want[j]))}, 1);
    }
}

static void carve(restricted *r, tf_carve *c) {
    const transformer *t = r->t;
    size_t heads = (size_t)r->head_most;
    r->acts = tf_take_acts(c, t, r->rows, 0);
    r->tmp = tf_take_temp(c, t, r->rows);
    r->vectors = tf_take_floats(c, (size_t)(r->to - r->from), t->d);
    r->logits = t->base.k->head ? NULL : tf_take_floats(c, heads, t->V);
    r->head_x = tf_take_act(c, t, heads, t->d);
    r->stats = (k_row_stats *)tf_take_floats(c, heads, sizeof(k_row_stats) / sizeof(float));
}

static int prepare(restricted *r, err *e) {
    r->index.n = 0;
    index_rows(r);
    index_spans(r);
    index_ends(r);
    int rc = tf_index_send(&r->index, r->t, e);
    tf_carve c = {0};
    carve(r, &c);
    if (!rc) rc = tf_reserve_work(r->t, c.used, &c, e);
    if (!rc) carve(r, &c);
    return rc;
}

/* ---- running ---- */

/* The stacked rows as the first layer sees them. */
static int stack(restricted *r, err *e) {
    transformer *t = r->t;
    kernels *k = t->base.k;
    size_t d = (size_t)t->d, n = (size_t)(r->to - r->from);
    float *vectors = mem_new(n * d, sizeof *vectors);
    if (!vectors) return err_set(e, ERR_NO_MEMORY, "out of memory for a lookahead of %d rows", r->rows);
    for (size_t i = 0; i < n; i++) {
        const float *v = r->q->cases[(size_t)r->from + i].vector;
        for (size_t j = 0; j < d; j++) vectors[i * d + j] = t->embed_scale * v[j];
    }
    k->put(k, r->vectors, vectors, n * d * sizeof *vectors);
    free(vectors);
    k->rows(k, r->acts.x, NULL, r->s->layers[0].x, tf_index_at(t, r->src), NULL, r->rows, t->d);
    k->rows(k, r->acts.x, tf_index_at(t, r->inject), r->vectors, NULL, NULL, (int)n, t->d);
    return 0;
}

/* Statistics of `n` normed rows. */
static void say(restricted *r, int n) {
    transformer *t = r->t;
    kernels *k = t->base.k;
    k_head h = tf_head_of(t, r->head_x, NULL);
    if (k->head) {
        k->head(k, r->stats, NULL, &h, n);
        return;
    }
    tf_logits(t, r->head_x, r->logits, n);
    k->head_stats(k, r->stats, NULL, r->logits, n, t->V, h.mask);
}

/* Entropies of `n` wanted rows from i on. */
static int entropies_of(restricted *r, int i, int n, k_row_stats *host, double *out, err *e) {
    transformer *t = r->t;
    kernels *k = t->base.k;
    k_norm norm = tf_norm(t, n, tf_head_affine(t));
    norm.x = r->acts.x2, norm.y = r->tmp.y, norm.gate = tf_mlp_affine(t, t->L - 1).gate;
    norm.rows = tf_index_at(t, r->want + (size_t)i), norm.h = r->head_x;
    k->norm(k, &norm);
    say(r, n);
    k->get(k, host, r->stats, (size_t)n * sizeof *host);
    int rc = device_check(k, e);
    for (int j = 0; j < n && !rc; j++) {
        out[i + j] = host[j].entropy;
        if (host[j].bad) rc = err_set(e, ERR_BAD_FORMAT, "NaN in the logits of a lookahead");
    }
    return rc;
}

static int run_head(restricted *r, double *out, err *e) {
    k_row_stats *host = mem_new((size_t)r->head_most, sizeof *host);
    int rc = host ? 0 : err_set(e, ERR_NO_MEMORY, "out of memory for the head of a lookahead");
    for (int i = 0; !rc && i < r->n_want; i += r->head_most) {
        int n = r->n_want - i < r->head_most ? r->n_want - i : r->head_most;
        rc = entropies_of(r, i, n, host, out, e);
    }
    free(host);
    return rc;
}

static int run_chunk(restricted *r, double *out, err *e) {
    transformer *t = r->t;
    int rc = prepare(r, e);
    if (!rc) rc = stack(r, e);
    if (rc) return rc;
    tf_rows rows = {.n = r->rows,
                    .pos = tf_index_at(t, r->pos),
                    .spans = (const k_span *)tf_index_at(t, r->spans),
                    .n_spans = r->to - r->from,
                    .max_q = r->most_rows,
                    .max_k = r->n_seq,
                    .overlay = tf_index_at(t, r->overlay),
                    .to = r->rows};
    for (int l = 0; l < t->L; l++) {
        if ((rc = tf_check_cancel(r->q->cancel, e))) return rc;
        tf_run_layer(t, l, &rows, &r->acts, &r->tmp, l ? r->acts.x2 : r->acts.x, l ? r->tmp.y : NULL,
                     r->s->layers[l].qkv);
    }
    return run_head(r, out, e);
}

int tf_restricted(denoiser *d, const pass *p, const restricted_req *q, double *entropies, err *e) {
    restricted r = {.t = (transformer *)d, .p = p, .s = p->saved, .q = q};
    int rc = check(&r, e);
    if (!rc) rc = tf_set_noise(r.t, r.s->sigma, e);
    while (!rc && r.to < q->n_cases) {
        next_chunk(&r);
        rc = run_chunk(&r, entropies, e);
        entropies += r.n_want;
    }
    tf_index_release(&r.index);
    return rc;
}
