/* transformer_restricted.c - row-restricted lookahead: the rows of each case are recomputed with an
 * embedding injected, all other rows keep the keys and values of the kept pass.
 *
 * The cases' rows are stacked, so that linear layers see one tall matrix. For attention each
 * case lays its own keys and values over a copy of the sequence's and takes them off again. */
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/transformer.h"

enum { CHUNK_FLOATS = 1 << 24, HEAD_FLOATS = 1 << 22 };

typedef struct restricted {
    transformer *t;
    const pass *p;
    const tf_saved *s;
    const restricted_req *q;
    int first, n_seq;
    /* the chunk: cases [from, to), their rows stacked */
    int from, to, rows;
    int *pos;  /* [rows] */
    int *want; /* stacked rows whose entropies are wanted */
    int n_want;
    tf_acts acts;
    tf_temp tmp;
    float *k, *v; /* [n_seq][KV·hd] with a case's rows laid over */
} restricted;

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

/* Take as many cases as fit a chunk, at least one. */
static void next_chunk(restricted *r) {
    const transformer *t = r->t;
    int most = CHUNK_FLOATS / (2 * t->f + 7 * t->d);
    r->from = r->to;
    r->rows = r->n_want = 0;
    while (r->to < r->q->n_cases) {
        const restricted_case *c = &r->q->cases[r->to];
        if (r->to > r->from && r->rows + c->n_recompute > most) break;
        r->rows += c->n_recompute;
        r->n_want += c->n_want;
        r->to++;
    }
}

static void carve(restricted *r, tf_carve *c) {
    const transformer *t = r->t;
    r->acts = tf_take_acts(c, t, r->rows);
    r->tmp = tf_take_temp(c, t, r->rows);
    r->k = tf_take(c, (size_t)r->n_seq, t->KV * t->hd);
    r->v = tf_take(c, (size_t)r->n_seq, t->KV * t->hd);
}

static int reserve(restricted *r, err *e) {
    tf_carve count = {0};
    carve(r, &count);
    int rc = tf_reserve_work(r->t, count.used, e);
    if (rc) return rc;
    carve(r, &(tf_carve){.base = r->t->work});
    free(r->pos);
    free(r->want);
    r->pos = mem_new((size_t)r->rows, sizeof *r->pos);
    r->want = mem_new((size_t)r->n_want, sizeof *r->want);
    return r->pos && r->want ? 0
                             : err_set(e, ERR_NO_MEMORY, "out of memory for a lookahead of %d rows", r->rows);
}

/* The stacked rows as the first layer sees them. */
static void stack(restricted *r) {
    const transformer *t = r->t;
    size_t d = (size_t)t->d;
    int row = 0, w = 0;
    for (int i = r->from; i < r->to; i++) {
        const restricted_case *c = &r->q->cases[i];
        float *x = r->acts.x + (size_t)row * d, *at = x + (size_t)find_row(c, c->pos) * d;
        tf_gather(x, r->s->layers[0].x, r->first, c->recompute, c->n_recompute, t->d);
        memcpy(at, c->vector, d * sizeof *at);
        tf_scale(at, d, t->embed_scale);
        for (int j = 0; j < c->n_recompute; j++) r->pos[row + j] = c->recompute[j];
        for (int j = 0; j < c->n_want; j++)
            r->want[w++] = row + find_row(c, denoiser_emit(&t->base, c->want[j]));
        row += c->n_recompute;
    }
}

/* Rows `pos` of dst from the n rows of src (scatter) or from the saved rows (restore). */
static void overlay(float *dst, const float *src, bool scatter, const int *pos, int n, size_t width) {
    for (int i = 0; i < n; i++) {
        size_t to = (size_t)pos[i] * width, from = scatter ? (size_t)i * width : to;
        memcpy(dst + to, src + from, width * sizeof *dst);
    }
}

static void attend(restricted *r, const tf_acts *saved) {
    const transformer *t = r->t;
    size_t qw = (size_t)(t->H * t->hd), kw = (size_t)(t->KV * t->hd), row = 0;
    const float *k = saved->k + (size_t)r->first * kw, *v = saved->v + (size_t)r->first * kw;
    memcpy(r->k, k, (size_t)r->n_seq * kw * sizeof *k);
    memcpy(r->v, v, (size_t)r->n_seq * kw * sizeof *v);
    for (int i = r->from; i < r->to; i++) {
        int n = r->q->cases[i].n_recompute;
        const int *pos = r->pos + row;
        overlay(r->k, r->acts.k + row * kw, true, pos, n, kw);
        overlay(r->v, r->acts.v + row * kw, true, pos, n, kw);
        t->base.k->attention(&(k_attn){.n_q = n,
                                       .n_k = r->n_seq,
                                       .H = t->H,
                                       .KV = t->KV,
                                       .hd = t->hd,
                                       .q = r->acts.q + row * qw,
                                       .k = r->k,
                                       .v = r->v,
                                       .o = r->acts.o + row * qw,
                                       .lse = r->acts.lse + row * (size_t)t->H});
        overlay(r->k, k, false, pos, n, kw);
        overlay(r->v, v, false, pos, n, kw);
        row += (size_t)n;
    }
}

static int entropies_of(restricted *r, double *out, err *e) {
    const transformer *t = r->t;
    int most = HEAD_FLOATS / t->V < 1 ? 1 : HEAD_FLOATS / t->V;
    if (most > r->n_want) most = r->n_want;
    float *x = mem_new(2 * (size_t)most * (size_t)t->d, sizeof *x),
          *h = x ? x + (size_t)most * (size_t)t->d : NULL;
    float *logits = mem_new((size_t)most * (size_t)t->V, sizeof *logits);
    k_row_stats *stats = mem_new((size_t)most, sizeof *stats);
    int rc =
        x && logits && stats ? 0 : err_set(e, ERR_NO_MEMORY, "out of memory for the head of a lookahead");
    for (int i = 0; !rc && i < r->n_want; i += most) {
        int n = r->n_want - i < most ? r->n_want - i : most;
        tf_gather(x, r->acts.x, 0, r->want + i, n, t->d);
        tf_logits(t, x, h, logits, n);
        t->base.k->head_stats(stats, logits, n, t->V, t->base.info.mask_id);
        for (int j = 0; j < n && !rc; j++) {
            out[i + j] = stats[j].entropy;
            if (stats[j].bad) rc = err_set(e, ERR_BAD_FORMAT, "NaN in the logits of a lookahead");
        }
    }
    free(x);
    free(logits);
    free(stats);
    return rc;
}

static int run_chunk(restricted *r, double *out, err *e) {
    const transformer *t = r->t;
    int rc = reserve(r, e);
    if (rc) return rc;
    stack(r);
    for (int l = 0; l < t->L; l++) {
        if ((rc = tf_check_cancel(r->q->cancel, e))) return rc;
        tf_qkv(t, &t->layers[l], &r->acts, &r->tmp, r->pos, r->rows);
        attend(r, &r->s->layers[l]);
        tf_finish_layer(t, &t->layers[l], &r->acts, &r->tmp, r->acts.x, r->rows);
    }
    return entropies_of(r, out, e);
}

int tf_restricted(denoiser *d, const pass *p, const restricted_req *q, double *entropies, err *e) {
    restricted r = {.t = (transformer *)d, .p = p, .s = p->saved, .q = q};
    int rc = check(&r, e);
    while (!rc && r.to < q->n_cases) {
        next_chunk(&r);
        rc = run_chunk(&r, entropies, e);
        entropies += r.n_want;
    }
    free(r.pos);
    free(r.want);
    return rc;
}
