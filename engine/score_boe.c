/* score_boe.c - what surrounds TIS in the BoE score: candidates, gate and annealing. */
#include <math.h>

#include "engine/rank.h"
#include "engine/score.h"

static double by_confidence(const void *ctx, int i) {
    return pass_stats(ctx, i)->confidence;
}

static double by_margin(const void *ctx, int i) {
    return pass_stats(ctx, i)->margin;
}

static double by_certainty(const void *ctx, int i) {
    return -pass_stats(ctx, i)->entropy;
}

int score_candidates(const score_state *s, cand_rule rule, double rho, int budget, int *out) {
    static rank_key *const keys[] = {by_confidence, by_margin, by_certainty, by_confidence};
    rank_order(keys[rule], s->p, s->n_masked, out);
    int n = 0;
    for (int i = 0; i < s->n_masked; i++) {
        if (!s->scope || s->scope[out[i]]) out[n++] = out[i];
    }
    double share = ceil(rho * n);
    int r = share > budget ? (int)share : budget;
    if (r > n || rule == CAND_ALL) r = n;
    rank_ascending(out, r);
    return r;
}

/* Eq. 15. The vocabulary of the paper leaves out the mask. */
double score_gate(double entropy, int n_vocab) {
    if (n_vocab < 3) return 1; /* one word to choose from: log|V| = 0 and nothing is uncertain */
    double c = 1 - entropy / log(n_vocab - 1);
    return c < 0 ? 0 : c > 1 ? 1 : c;
}

/* Eq. 18; the annealing of lambda is ours (docs/scoring.md). */
void score_anneal(const anti_collapse *a, int t, int T, double *lambda_t, double *h_t) {
    double u = T > 0 ? (double)t / T : 1;
    *h_t = a->h_max * u;
    *lambda_t = a->constant ? a->lambda : a->lambda * u;
}
