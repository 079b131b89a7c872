/* score_truth.c - what a write really does to the other entropies (Theorem 3.1, Eq. 9). */
#include <math.h>

#include "engine/base/rng.h"
#include "engine/score_impl.h"

/* Vocabularies up to this size are enumerated. */
enum { ENUMERATE_MAX = 1024 };

/* Writes of one candidate with their weights; tokens of weight 0 are left out. */
typedef struct writes {
    probe *probes;
    double *weight, *rest;
    int n;
} writes;

/* weight[v] = π(v) */
static void exact_weights(const scoring *c, int cand, double *weight) {
    const float *z = pass_logits(c->s->p, c->cand[cand]);
    double lse = pass_stats(c->s->p, c->cand[cand])->lse;
    for (int v = 0; v < c->info->n_vocab; v++) {
        weight[v] = v == c->info->mask_id ? 0 : exp((double)z[v] - lse);
    }
}

/* Draws by inverse CDF on π, in place: weight[v] becomes the share of draws that gave v. A token
 * drawn often costs one forward only. */
static void sampled_weights(const scoring *c, int cand, int samples, uint64_t seed, double *weight,
                            double *cdf) {
    int V = c->info->n_vocab;
    double sum = 0;
    for (int v = 0; v < V; v++) {
        sum += weight[v];
        cdf[v] = sum;
        weight[v] = 0;
    }
    for (int k = 0; k < samples; k++) {
        double u = sum * rng_uniform(seed, (uint64_t)k, (uint64_t)c->pos[cand], 0, RNG_TRUTH);
        int low = 0, high = V - 1;
        while (low < high) {
            int mid = low + (high - low) / 2;
            if (cdf[mid] > u)
                high = mid;
            else
                low = mid + 1;
        }
        weight[low] += 1.0 / samples;
    }
}

static void gather(const scoring *c, int cand, const double *weight, writes *w) {
    w->n = 0;
    for (int v = 0; v < c->info->n_vocab; v++) {
        if (!(weight[v] > 0)) continue;
        w->weight[w->n] = weight[v];
        w->probes[w->n++] = (probe){.cand = cand, .token = v};
    }
}

/* Expected reduction and the standard error of its mean over `samples` draws (0: enumerated). */
static double expected(const scoring *c, int cand, const writes *w, int samples, double *se) {
    double mean = 0, var = 0, before = scoring_rest(c, cand);
    for (int k = 0; k < w->n; k++) mean += w->weight[k] * (before - w->rest[k]);
    for (int k = 0; k < w->n; k++) {
        double off = before - w->rest[k] - mean;
        var += w->weight[k] * off * off;
    }
    *se = samples ? sqrt(var / (samples - 1)) : 0;
    return mean;
}

static int hard_reduction(scoring *c, int samples, uint64_t seed, double *red, double *se, err *e) {
    size_t V = (size_t)c->info->n_vocab;
    writes w = {scoring_new(c, V, sizeof *w.probes, e), scoring_new(c, V, sizeof *w.weight, e),
                scoring_new(c, V, sizeof *w.rest, e), 0};
    double *weight = scoring_new(c, V, sizeof *weight, e), *cdf = scoring_new(c, V, sizeof *cdf, e);
    if (!w.probes || !w.weight || !w.rest || !weight || !cdf) return ERR_NO_MEMORY;
    int rc = pass_read(c->s->p, c->cand, c->n, e);
    for (int i = 0; !rc && i < c->n; i++) {
        exact_weights(c, i, weight);
        if (samples) sampled_weights(c, i, samples, seed, weight, cdf);
        gather(c, i, weight, &w);
        rc = probe_rest_all(c, w.probes, w.n, w.rest, e);
        if (!rc) red[i] = expected(c, i, &w, samples, &se[i]) + 0.0;
    }
    return rc;
}

static int truth(scoring *c, double *soft_red, double *hard_red, double *hard_se, int samples, uint64_t seed,
                 err *e) {
    int rc = soft_red ? tis_full(c, soft_red, e) : 0;
    for (int i = 0; !rc && soft_red && i < c->n; i++) soft_red[i] += 0.0;
    if (rc || !hard_red) return rc;
    if (c->info->n_vocab <= ENUMERATE_MAX)
        samples = 0;
    else if (samples < 2) {
        return err_set(e, ERR_BAD_ARGUMENT, "%d samples; a vocabulary of %d needs at least 2", samples,
                       c->info->n_vocab);
    }
    double *se = hard_se ? hard_se : scoring_new(c, (size_t)c->n, sizeof *se, e);
    return se ? hard_reduction(c, samples, seed, hard_red, se, e) : ERR_NO_MEMORY;
}

int score_truth(const score_state *s, const int *cand, int n_cand, const float *soft, double *soft_red,
                double *hard_red, double *hard_se, int samples, uint64_t seed, score_cost *cost, err *e) {
    scoring c;
    int rc = scoring_init(&c, s, cand, n_cand, soft, cost, e);
    if (!rc) rc = truth(&c, soft_red, hard_red, hard_se, samples, seed, e);
    scoring_release(&c);
    return rc;
}
