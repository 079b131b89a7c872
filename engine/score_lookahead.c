/* score_lookahead.c - scores that look at a relaxed state: all candidates soft at once (soft),
 * each at points of its path (mid), each fully soft with few rows (rows) or all rows (full). */
#include <stdlib.h>

#include "engine/score_impl.h"

/* ---- soft ---- */

/* Rows that predict M \ C; chosen [n_masked] is scratch, all false. */
static int remaining_rows(const scoring *c, bool *chosen, row_ref *rows) {
    int n = 0;
    for (int i = 0; i < c->n; i++) chosen[c->cand[i]] = true;
    for (int m = 0; m < c->s->n_masked; m++) {
        if (!chosen[m]) rows[n++] = (row_ref){0, c->s->masked[m]};
    }
    return n;
}

static int soft_forward(scoring *c, double alpha, const row_ref *rows, int n_rows, pass *p, err *e) {
    size_t d = (size_t)c->d;
    float *vectors = scoring_new(c, (size_t)c->n * d, sizeof *vectors, e);
    injection *inject = scoring_new(c, (size_t)c->n, sizeof *inject, e);
    if (!vectors || !inject) return ERR_NO_MEMORY;
    for (int i = 0; i < c->n; i++) {
        scoring_relax(c, i, alpha, vectors + (size_t)i * d);
        inject[i] = (injection){0, c->pos[i], vectors + (size_t)i * d};
    }
    sequence seq = {c->s->tokens, c->s->n_tokens};
    forward_req q = {
        .seqs = &seq, .n_seqs = 1, .inject = inject, .n_inject = c->n, .rows = rows, .n_rows = n_rows};
    q.keep = true, q.cancel = c->s->cancel;
    int rc = denoiser_forward(c->s->d, &q, p, e);
    if (!rc && c->cost) c->cost->forwards += 1;
    return rc;
}

static int soft_backward(scoring *c, active_rows act, const pass *p, double *tis, err *e) {
    size_t n_rows = (size_t)pass_n_rows(p), d = (size_t)c->d;
    float *weights = scoring_new(c, n_rows, sizeof *weights, e);
    float *grads = scoring_new(c, (size_t)c->n * d, sizeof *grads, e);
    if (!weights || !grads) return ERR_NO_MEMORY;
    row_set active;
    int rc = scoring_active(c, act, &active, e);
    if (rc) return rc;
    for (size_t r = 0; r < n_rows; r++) weights[r] = 1;
    backward_req q = {.n_seeds = 1, .weights = weights, .active = active.pos, .n_active = active.n};
    q.wrt = c->pos, q.n_wrt = c->n;
    rc = scoring_backward(c, p, &q, grads, e);
    for (int i = 0; !rc && i < c->n; i++) tis[i] = scoring_dot(c, i, grads + (size_t)i * d);
    return rc;
}

int tis_soft(scoring *c, active_rows act, double alpha, double *tis, err *e) {
    row_ref *rows = scoring_new(c, (size_t)c->s->n_masked, sizeof *rows, e);
    bool *chosen = scoring_new(c, (size_t)c->s->n_masked, sizeof *chosen, e);
    if (!rows || !chosen) return ERR_NO_MEMORY;
    for (int i = 0; i < c->n; i++) tis[i] = 0;
    int n_rows = remaining_rows(c, chosen, rows);
    if (n_rows == 0) return 0; /* nothing remains to be settled, and nothing is computed */
    pass *p = pass_new();
    if (!p) return err_set(e, ERR_NO_MEMORY, "out of memory for a forward pass");
    int rc = soft_forward(c, alpha, rows, n_rows, p, e);
    if (!rc) rc = soft_backward(c, act, p, tis, e);
    pass_free(p);
    return rc;
}

/* ---- mid ---- */

/* Gradient of the other entropies at probe j of the batch, with respect to the candidate alone. */
static int mid_backward(probe_batch *b, int j, int cand, float *weights, float *grad, err *e) {
    for (int r = 0; r < pass_n_rows(b->p); r++) weights[r] = r / b->n_rest == j ? 1 : 0;
    backward_req q = {.seq = j, .n_seeds = 1, .weights = weights, .wrt = &b->c->pos[cand], .n_wrt = 1};
    return scoring_backward(b->c, b->p, &q, grad, e);
}

/* Probes [at, at+n): forward together, then one backward each; the path's mean is summed up in tis. */
static int mid_chunk(probe_batch *b, const probe *probes, int n, int n_points, float *weights, double *tis,
                     err *e) {
    float *grad = weights + (size_t)b->most * (size_t)b->n_rest;
    int rc = probe_run(b, probes, n, e);
    for (int j = 0; !rc && j < n; j++) {
        rc = mid_backward(b, j, probes[j].cand, weights, grad, e);
        if (!rc) tis[probes[j].cand] += scoring_dot(b->c, probes[j].cand, grad) / n_points;
    }
    return rc;
}

/* Probe k of candidate i sits at α = (k+½)/n. */
static int mid_probes(scoring *c, int n_points, probe **out, err *e) {
    size_t n = (size_t)c->n * (size_t)n_points, d = (size_t)c->d;
    float *vectors = scoring_new(c, n * d, sizeof *vectors, e);
    probe *probes = scoring_new(c, n, sizeof *probes, e);
    if (!vectors || !probes) return ERR_NO_MEMORY;
    for (int i = 0; i < c->n; i++) {
        for (int k = 0; k < n_points; k++) {
            size_t at = (size_t)i * (size_t)n_points + (size_t)k;
            scoring_relax(c, i, (k + 0.5) / n_points, vectors + at * d);
            probes[at] = (probe){.cand = i, .vector = vectors + at * d};
        }
    }
    *out = probes;
    return 0;
}

int tis_mid(scoring *c, int n_points, double *tis, err *e) {
    for (int i = 0; i < c->n; i++) tis[i] = 0;
    if (c->s->n_masked < 2) return 0;
    if (n_points < 1)
        return err_set(e, ERR_BAD_ARGUMENT, "a path of %d points; at least 1 is needed", n_points);
    int n = c->n * n_points;
    probe *probes;
    int rc = mid_probes(c, n_points, &probes, e);
    if (rc) return rc;
    probe_batch b;
    rc = probe_open(&b, c, n, true, e);
    float *weights = NULL; /* and one gradient after them */
    if (!rc) {
        size_t rows = (size_t)b.most * (size_t)b.n_rest;
        weights = scoring_new(c, rows + (size_t)c->d, sizeof *weights, e);
        rc = weights ? 0 : ERR_NO_MEMORY;
    }
    for (int at = 0; !rc && at < n; at += b.most) {
        rc = mid_chunk(&b, probes + at, n - at < b.most ? n - at : b.most, n_points, weights, tis, e);
    }
    probe_close(&b);
    return rc;
}

/* ---- rows ---- */

/* Case of candidate i: recompute R, its emit rows and i; look at R without i. */
static int rows_case(scoring *c, const row_set *R, int i, restricted_case *out, err *e) {
    row_set recompute;
    int rc = scoring_close_rows(c, R, c->pos[i], &recompute, e);
    int *want = scoring_new(c, (size_t)R->n, sizeof *want, e);
    if (rc || !want) return rc ? rc : ERR_NO_MEMORY;
    int n = 0;
    for (int r = 0; r < R->n; r++) {
        if (R->pos[r] != c->pos[i]) want[n++] = R->pos[r];
    }
    *out = (restricted_case){
        .pos = c->pos[i], .vector = c->soft + (size_t)i * (size_t)c->d, .want = want, .n_want = n};
    out->recompute = recompute.pos, out->n_recompute = recompute.n;
    return 0;
}

/* Entropy before, by position. */
static double *entropy_before(scoring *c, err *e) {
    double *h = scoring_new(c, (size_t)c->s->n_tokens, sizeof *h, e);
    for (int m = 0; h && m < c->s->n_masked; m++) h[c->s->masked[m]] = pass_stats(c->s->p, m)->entropy;
    return h;
}

int tis_rows(scoring *c, active_rows act, double *tis, err *e) {
    row_set R;
    int rc = scoring_rows(c, act, &R, e);
    for (int i = 0; i < c->n; i++) tis[i] = 0;
    if (rc || R.n < 2) return rc; /* no other row to look at */
    size_t n_cand = (size_t)c->n;
    restricted_case *cases = scoring_new(c, n_cand, sizeof *cases, e);
    double *after = scoring_new(c, n_cand * (size_t)R.n, sizeof *after, e), *before = entropy_before(c, e);
    if (!cases || !after || !before) return ERR_NO_MEMORY;
    for (int i = 0; !rc && i < c->n; i++) rc = rows_case(c, &R, i, &cases[i], e);
    restricted_req q = {.cases = cases, .n_cases = c->n, .cancel = c->s->cancel};
    if (!rc) rc = denoiser_restricted(c->s->d, c->s->p, &q, after, e);
    if (rc) return rc;
    for (int i = 0; i < c->n; i++) {
        for (int w = 0; w < cases[i].n_want; w++) tis[i] += before[cases[i].want[w]] - *after++;
    }
    if (c->cost) c->cost->forwards += (double)c->n * R.n / c->s->n_tokens;
    return 0;
}

/* ---- full ---- */

int tis_full(scoring *c, double *tis, err *e) {
    probe *probes = scoring_new(c, (size_t)c->n, sizeof *probes, e);
    if (!probes) return ERR_NO_MEMORY;
    for (int i = 0; i < c->n; i++) {
        probes[i] = (probe){.cand = i, .vector = c->soft + (size_t)i * (size_t)c->d};
    }
    int rc = probe_rest_all(c, probes, c->n, tis, e);
    for (int i = 0; !rc && i < c->n; i++) tis[i] = scoring_rest(c, i) - tis[i];
    return rc;
}
