/* proposal.c - Gumbel-max sampling in double. Low-precision noise loses the distribution's tail
 * and acts like a lower temperature. */
#include "engine/proposal.h"

#include <math.h>
#include <stdlib.h>

#include "engine/base/mem.h"
#include "engine/base/rng.h"

/* rng_uniform lies in [2^-53, 1 - 2^-53], so that noise lies in [-3.61, 36.75]. A logit further than
 * T times that span below the best cannot win, and its noise need not be drawn. */
static const double NOISE_SPAN = 40.5;

static bool banned(const proposer *r, int pos, int32_t token) {
    for (int i = 0; i < r->n_bans; i++) {
        const step_ban *b = &r->bans[i];
        if (b->token == token && (b->pos == pos || b->pos < 0)) return true;
    }
    return false;
}

/* The highest logits reach as long as not all of them can be banned. */
bool proposer_reads_logits(const proposer *r) {
    return r->temperature > 0 || r->n_bans >= K_TOP;
}

/* The most probable token that may be written, by the pass's list of highest logits. */
static proposal best_listed(const proposer *r, int row) {
    int32_t ids[K_TOP];
    double probs[K_TOP];
    int n = pass_top(r->p, row, K_TOP, ids, probs), pos = pass_row(r->p, row).pos;
    for (int i = 0; i < n; i++) {
        if (!banned(r, pos, ids[i])) return (proposal){ids[i], probs[i]};
    }
    return (proposal){-1, 0};
}

/* The highest logit that may be written; -1 when there is none. */
static int32_t best_allowed(const proposer *r, const float *z, int pos) {
    int32_t best = -1;
    for (int32_t v = 0; v < r->n_vocab; v++) {
        if (!(z[v] > -INFINITY) || (best >= 0 && !(z[v] > z[best])) || banned(r, pos, v)) continue;
        best = v;
    }
    return best;
}

static int by_logit(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x < y) - (x > y);
}

/* The lowest logit that may be drawn: ties with the k-th stay in. Probabilities for top-p are those at the
 * temperature. */
static double least_drawn(const proposer *r, const float *z, double top, float *sorted) {
    int n = 0;
    for (int32_t v = 0; v < r->n_vocab; v++) {
        if ((double)z[v] >= top - r->temperature * NOISE_SPAN) sorted[n++] = z[v];
    }
    qsort(sorted, (size_t)n, sizeof *sorted, by_logit);
    double least = n ? (double)sorted[n - 1] : -INFINITY, total = 0, sum = 0;
    if (r->top_k > 0 && r->top_k < n) least = (double)sorted[r->top_k - 1];
    for (int i = 0; i < n; i++) total += exp(((double)sorted[i] - top) / r->temperature);
    for (int i = 0; i < n && r->top_p < 1; i++) {
        sum += exp(((double)sorted[i] - top) / r->temperature);
        if (sum < r->top_p * total) continue;
        bool drops = r->narrow && i > 0 && sum > r->top_p * total;
        return fmax(least, (double)sorted[drops ? i - 1 : i]);
    }
    return least;
}

static int32_t sample(const proposer *r, const float *z, int pos, int32_t best_token) {
    double top = (double)z[best_token], best = -INFINITY, least = -INFINITY;
    int32_t token = best_token;
    if (r->top_k > 0 || r->top_p < 1) {
        float *sorted = mem_new((size_t)r->n_vocab, sizeof *sorted);
        if (!sorted) return best_token;
        least = least_drawn(r, z, top, sorted);
        free(sorted);
    }
    for (int32_t v = 0; v < r->n_vocab; v++) {
        double x = (double)z[v];
        if (!(x >= top - r->temperature * NOISE_SPAN) || x < least) continue; /* the mask's logit is -inf */
        if (r->n_bans && banned(r, pos, v)) continue;
        double u = rng_uniform(r->seed, (uint64_t)r->step, (uint64_t)pos, (uint64_t)v, RNG_TOKEN);
        x -= r->temperature * log(-log(u));
        if (!(x > best)) continue;
        best = x;
        token = v;
    }
    return token;
}

proposal propose_token(const proposer *r, int row) {
    const k_row_stats *s = pass_stats(r->p, row);
    if (!(r->temperature > 0) && !r->n_bans) return (proposal){s->argmax, s->confidence};
    if (!proposer_reads_logits(r)) return best_listed(r, row);
    const float *z = pass_logits(r->p, row);
    int pos = pass_row(r->p, row).pos;
    int32_t token = r->n_bans ? best_allowed(r, z, pos) : s->argmax;
    if (token < 0) return (proposal){-1, 0};
    if (r->temperature > 0) token = sample(r, z, pos, token);
    return (proposal){token, exp((double)z[token] - s->lse)};
}
