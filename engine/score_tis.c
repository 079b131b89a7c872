/* score_tis.c - TIS of a triple, and the gradients taken on the state itself (lookahead `mask`),
 * which need no forward beyond the step's own. */
#include <math.h>

#include "engine/score_impl.h"

/* Rows of clean positions, which a pass may have as well, stay out of the sum. */
static int masked_sum(scoring *c, const row_set *active, double *tis, err *e) {
    float *weights = scoring_new(c, (size_t)pass_n_rows(c->s->p), sizeof *weights, e);
    float *grads = scoring_new(c, (size_t)c->n * (size_t)c->d, sizeof *grads, e);
    if (!weights || !grads) return ERR_NO_MEMORY;
    for (int m = 0; m < c->s->n_masked; m++) weights[m] = 1;
    backward_req q = {.n_seeds = 1, .weights = weights, .active = active->pos, .n_active = active->n};
    q.wrt = c->pos, q.n_wrt = c->n;
    int rc = scoring_backward(c, c->s->p, &q, grads, e);
    for (int i = 0; !rc && i < c->n; i++) tis[i] = scoring_dot(c, i, grads + (size_t)i * (size_t)c->d);
    return rc;
}

/* Candidates from `at` on: one seed each, its own entropy left out. */
static int others_chunk(scoring *c, const row_set *active, int at, int n, float *weights, float *grads,
                        double *tis, err *e) {
    size_t n_rows = (size_t)pass_n_rows(c->s->p), d = (size_t)c->d;
    for (int i = 0; i < n; i++) {
        float *w = weights + (size_t)i * n_rows;
        for (int m = 0; m < c->s->n_masked; m++) w[m] = 1;
        w[c->cand[at + i]] = 0;
    }
    backward_req q = {.n_seeds = n, .weights = weights, .active = active->pos, .n_active = active->n};
    q.wrt = c->pos + at, q.n_wrt = n;
    int rc = scoring_backward(c, c->s->p, &q, grads, e);
    for (int i = 0; !rc && i < n; i++) {
        tis[at + i] = scoring_dot(c, at + i, grads + ((size_t)i * (size_t)n + (size_t)i) * d);
    }
    return rc;
}

/* Seeds go down together; only very many candidates are cut in chunks, since a call returns the
 * square of their number in gradients. */
static int others_sum(scoring *c, const row_set *active, double *tis, err *e) {
    int most = c->n;
    while (most > 1 && scoring_seed_chunk(c, most) < most) most = (most + 1) / 2;
    size_t seeds = (size_t)most;
    float *weights = scoring_new(c, seeds * (size_t)pass_n_rows(c->s->p), sizeof *weights, e);
    float *grads = scoring_new(c, seeds * seeds * (size_t)c->d, sizeof *grads, e);
    int rc = weights && grads ? 0 : ERR_NO_MEMORY;
    for (int at = 0; !rc && at < c->n; at += most) {
        int n = c->n - at < most ? c->n - at : most;
        rc = others_chunk(c, active, at, n, weights, grads, tis, e);
    }
    return rc;
}

static int others_local_sum(scoring *c, const row_set *active, double *tis, err *e) {
    double *self = scoring_new(c, (size_t)c->n, sizeof *self, e);
    if (!self) return ERR_NO_MEMORY;
    int rc = masked_sum(c, active, tis, e);
    if (!rc) rc = self_local(c, self, e);
    for (int i = 0; !rc && i < c->n; i++) tis[i] -= self[i];
    return rc;
}

static int tis_mask(scoring *c, score_triple t, double *tis, err *e) {
    row_set active;
    int rc = scoring_active(c, t.act, &active, e);
    if (rc) return rc;
    switch (t.obj) {
    case OBJ_OTHERS:
        return others_sum(c, &active, tis, e);
    case OBJ_OTHERS_LOCAL:
        return others_local_sum(c, &active, tis, e);
    case OBJ_MASKED:
    case OBJ_REMAINING:
        break;
    }
    return masked_sum(c, &active, tis, e);
}

static int dispatch(scoring *c, score_triple t, score_opts o, double *tis, err *e) {
    switch (t.look) {
    case LOOK_SOFT:
        return tis_soft(c, t.act, o.alpha, tis, e);
    case LOOK_MID:
        return tis_mid(c, o.path_points, tis, e);
    case LOOK_ROWS:
        return tis_rows(c, t.act, tis, e);
    case LOOK_FULL:
        return tis_full(c, tis, e);
    case LOOK_MASK:
        break;
    }
    return tis_mask(c, t, tis, e);
}

/* -0 becomes 0, so that nothing prints a signed zero; NaN is refused. */
static int tidy(const scoring *c, score_triple t, double *tis, err *e) {
    char name[TRIPLE_NAME];
    for (int i = 0; i < c->n; i++) {
        if (!isfinite(tis[i])) {
            return err_set(e, ERR_BAD_FORMAT, "score %s at position %d is not a number", triple_name(t, name),
                           c->pos[i]);
        }
        tis[i] += 0.0;
    }
    return 0;
}

int score_tis(const score_state *s, score_triple t, score_opts o, const int *cand, int n_cand,
              const float *soft, double *tis, score_cost *cost, err *e) {
    int rc = triple_check(t, denoiser_get_info(s->d)->shifted, e);
    if (rc || n_cand == 0) return rc;
    scoring c;
    rc = scoring_init(&c, s, cand, n_cand, soft, cost, e);
    if (!rc) rc = dispatch(&c, t, o, tis, e);
    if (!rc) rc = tidy(&c, t, tis, e);
    scoring_release(&c);
    return rc;
}
