/* score_self.c - row-local self terms: what of -<∂H_i/∂e_i, Δe_i> stays in row i.
 *
 * Keys and values of other rows are constants here, so rows do not mix and one backward with all
 * entropies summed gives every candidate its own term. A row of a shifted model predicts its
 * neighbour, so that only position 0, which reads its own row, has a term. */
#include "engine/rank.h"
#include "engine/score_impl.h"

/* Candidates (as indices) whose own row predicts them. */
static int own_row(const scoring *c, int *which) {
    int n = 0;
    for (int i = 0; i < c->n; i++) {
        if (denoiser_emit(c->s->d, c->pos[i]) == c->pos[i]) which[n++] = i;
    }
    return n;
}

int self_local(scoring *c, double *self, err *e) {
    size_t n_cand = (size_t)c->n, d = (size_t)c->d;
    int *which = scoring_new(c, n_cand, sizeof *which, e), *rows = scoring_new(c, n_cand, sizeof *rows, e);
    int *active = scoring_new(c, n_cand, sizeof *active, e);
    float *weights = scoring_new(c, (size_t)pass_n_rows(c->s->p), sizeof *weights, e);
    float *grads = scoring_new(c, n_cand * d, sizeof *grads, e);
    if (!which || !rows || !active || !weights || !grads) return ERR_NO_MEMORY;
    for (int i = 0; i < c->n; i++) self[i] = 0;
    int n = own_row(c, which);
    if (n == 0) return 0;
    for (int i = 0; i < n; i++) {
        rows[i] = active[i] = c->pos[which[i]];
        weights[c->cand[which[i]]] = 1;
    }
    rank_ascending(active, n); /* candidates may come in any order */
    backward_req q = {.n_seeds = 1, .weights = weights, .active = active, .n_active = n, .local = true};
    q.wrt = rows, q.n_wrt = n;
    int rc = scoring_backward(c, c->s->p, &q, grads, e);
    for (int i = 0; !rc && i < n; i++) self[which[i]] = scoring_dot(c, which[i], grads + (size_t)i * d) + 0.0;
    return rc;
}

int score_self_local(const score_state *s, const int *cand, int n_cand, const float *soft, double *self,
                     score_cost *cost, err *e) {
    scoring c;
    int rc = scoring_init(&c, s, cand, n_cand, soft, cost, e);
    if (!rc) rc = self_local(&c, self, e);
    scoring_release(&c);
    return rc;
}
