/* score_influence.c - who settles whom: one seed per masked row, all over the same saved pass. */
#include <math.h>
#include <string.h>

#include "engine/score_impl.h"

/* Rows of D from `at` on. */
static int influence_chunk(scoring *c, int at, int n, float *weights, float *grads, double *D, err *e) {
    size_t n_rows = (size_t)pass_n_rows(c->s->p), d = (size_t)c->d, n_cand = (size_t)c->n;
    memset(weights, 0, (size_t)n * n_rows * sizeof *weights);
    for (int j = 0; j < n; j++) weights[(size_t)j * n_rows + (size_t)(at + j)] = 1;
    backward_req q = {.n_seeds = n, .weights = weights, .wrt = c->pos, .n_wrt = c->n};
    int rc = scoring_backward(c, c->s->p, &q, grads, e);
    for (int j = 0; !rc && j < n; j++) {
        for (int i = 0; i < c->n; i++) {
            const float *g = grads + ((size_t)j * n_cand + (size_t)i) * d;
            D[(size_t)(at + j) * n_cand + (size_t)i] = scoring_dot(c, i, g) + 0.0;
        }
    }
    return rc;
}

static int influence(scoring *c, double *D, err *e) {
    int n_masked = c->s->n_masked, most = scoring_seed_chunk(c, c->n);
    if (most > n_masked) most = n_masked;
    float *weights = scoring_new(c, (size_t)most * (size_t)pass_n_rows(c->s->p), sizeof *weights, e);
    float *grads = scoring_new(c, (size_t)most * (size_t)c->n * (size_t)c->d, sizeof *grads, e);
    int rc = weights && grads ? 0 : ERR_NO_MEMORY;
    for (int at = 0; !rc && at < n_masked; at += most) {
        int n = n_masked - at < most ? n_masked - at : most;
        rc = influence_chunk(c, at, n, weights, grads, D, e);
    }
    return rc;
}

static int check_finite(const scoring *c, const double *D, err *e) {
    const score_state *s = c->s;
    for (int j = 0; j < s->n_masked; j++) {
        for (int i = 0; i < c->n; i++) {
            if (!isfinite(D[j * c->n + i]))
                return err_set(e, ERR_BAD_FORMAT, "the influence of position %d on %d is not a number",
                               c->pos[i], s->masked[j]);
        }
    }
    return 0;
}

int score_influence(const score_state *s, const int *cand, int n_cand, const float *soft, double *D,
                    score_cost *cost, err *e) {
    scoring c;
    int rc = scoring_init(&c, s, cand, n_cand, soft, cost, e);
    if (!rc) rc = influence(&c, D, e);
    if (!rc) rc = check_finite(&c, D, e);
    scoring_release(&c);
    return rc;
}
