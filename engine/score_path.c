/* score_path.c - the other entropies along the path from mask to soft write, and how much the path bends. */
#include <math.h>
#include <stdlib.h>

#include "engine/score_impl.h"

/* out = e_m + α·(ẽ_i - e_m); exactly ẽ_i at α = 1. */
void scoring_relax(const scoring *c, int i, double alpha, float *out) {
    const float *soft = c->soft + (size_t)i * (size_t)c->d;
    for (int j = 0; j < c->d; j++) {
        out[j] = (float)((1 - alpha) * (double)c->e_m[j] + alpha * (double)soft[j]);
    }
}

/* Every candidate at points 1..n_points of its path; point 0 is the state itself. */
static int path(scoring *c, int n_points, double *f, err *e) {
    size_t n = (size_t)c->n * (size_t)n_points, d = (size_t)c->d;
    float *vectors = scoring_new(c, n * d, sizeof *vectors, e);
    probe *probes = scoring_new(c, n, sizeof *probes, e);
    double *sums = scoring_new(c, n, sizeof *sums, e);
    if (!vectors || !probes || !sums) return ERR_NO_MEMORY;
    for (size_t k = 0; k < n; k++) {
        int i = (int)(k / (size_t)n_points), point = (int)(k % (size_t)n_points) + 1;
        scoring_relax(c, i, (double)point / n_points, vectors + k * d);
        probes[k] = (probe){.cand = i, .vector = vectors + k * d};
    }
    int rc = probe_rest_all(c, probes, (int)n, sums, e);
    for (size_t k = 0; !rc && k < n; k++) {
        size_t i = k / (size_t)n_points;
        f[i * (size_t)(n_points + 1) + k % (size_t)n_points + 1] = sums[k];
    }
    for (int i = 0; !rc && i < c->n; i++) f[(size_t)i * (size_t)(n_points + 1)] = scoring_rest(c, i);
    return rc;
}

int score_path(const score_state *s, const int *cand, int n_cand, const float *soft, int n_points, double *f,
               score_cost *cost, err *e) {
    scoring c;
    int rc = scoring_init(&c, s, cand, n_cand, soft, cost, e);
    if (!rc) rc = path(&c, n_points, f, e);
    scoring_release(&c);
    return rc;
}

double score_curvature(const double *f, int n_points) {
    double most = 0;
    for (int k = 1; k < n_points; k++) {
        double bend = fabs(f[k - 1] - 2 * f[k] + f[k + 1]) * n_points * n_points;
        if (bend > most) most = bend;
    }
    return most;
}

bool score_stable(const double *tis, const bool *chosen, int n, double bound, int j) {
    bool any = false;
    if (chosen[j]) return false;
    for (int i = 0; i < n; i++) {
        if (!chosen[i]) continue;
        any = true;
        if (!(tis[i] - tis[j] > bound)) return false;
    }
    return any;
}
