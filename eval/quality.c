/* quality.c - bounds on likelihood by masking at random, and counts of what is repeated. */
#include "eval/quality.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/base/rng.h"

/* Likelihood ----------------------------------------------------------- */

typedef struct elbo {
    const scored_text *t;
    int32_t *tokens; /* with masks */
    row_ref *rows;
    pass *p;
} elbo;

/* Masks `l` of the L scored tokens, each choice equally likely (selection sampling); rows get them ascending.
 */
static void mask_some(elbo *s, int32_t mask, int l, uint64_t seed, int draw) {
    int L = s->t->n - s->t->from, k = 0;
    memcpy(s->tokens, s->t->tokens, (size_t)s->t->n * sizeof *s->tokens);
    for (int i = 0; i < L; i++) {
        double u = rng_uniform(seed, (uint64_t)draw, (uint64_t)i, 1, RNG_TRUTH);
        if (u * (L - i) >= l - k) continue;
        s->rows[k++] = (row_ref){0, s->t->from + i};
        s->tokens[s->t->from + i] = mask;
    }
}

static int masked_nats(denoiser *d, elbo *s, int l, const atomic_bool *cancel, double *out, err *e) {
    sequence seq = {s->tokens, s->t->n};
    forward_req q = {.seqs = &seq, .n_seqs = 1, .rows = s->rows, .n_rows = l, .whole_rows = true};
    q.cancel = cancel;
    int rc = denoiser_forward(d, &q, s->p, e);
    if (!rc) rc = pass_read(s->p, NULL, 0, e);
    *out = 0;
    for (int r = 0; r < l && !rc; r++)
        *out += pass_stats(s->p, r)->lse - (double)pass_logits(s->p, r)[s->t->tokens[s->rows[r].pos]];
    return rc;
}

static int average(denoiser *d, elbo *s, int draws, uint64_t seed, const atomic_bool *cancel, double *out,
                   err *e) {
    int rc = 0, L = s->t->n - s->t->from;
    int32_t mask = denoiser_get_info(d)->mask_id;
    double sum = 0;
    for (int k = 0; k < draws && !rc; k++) {
        double u = (k + rng_uniform(seed, (uint64_t)k, 0, 0, RNG_TRUTH)) / draws, nats;
        int l = 1 + (int)(u * L);
        if (l > L) l = L;
        mask_some(s, mask, l, seed, k);
        rc = masked_nats(d, s, l, cancel, &nats, e);
        if (!rc) sum += nats / l;
    }
    *out = sum / draws;
    return rc;
}

int quality_elbo(denoiser *d, const scored_text *t, int draws, uint64_t seed, const atomic_bool *cancel,
                 double *out, err *e) {
    *out = NAN;
    if (t->n <= t->from || draws <= 0) return 0;
    elbo s = {.t = t,
              .tokens = mem_new((size_t)t->n, sizeof *s.tokens),
              .rows = mem_new((size_t)t->n, sizeof *s.rows),
              .p = pass_new()};
    int rc = s.tokens && s.rows && s.p
                 ? 0
                 : err_set(e, ERR_NO_MEMORY, "out of memory for a text of %d tokens", t->n);
    if (!rc) rc = average(d, &s, draws, seed, cancel, out, e);
    if (rc) *out = NAN;
    pass_free(s.p);
    free(s.tokens);
    free(s.rows);
    return rc;
}

/* Repetition ----------------------------------------------------------- */

enum { GRAM = 4 };
typedef struct gram {
    int32_t t[GRAM];
} gram;

static int by_tokens(const void *a, const void *b) {
    const gram *x = a, *y = b;
    for (int i = 0; i < GRAM; i++) {
        if (x->t[i] != y->t[i]) return x->t[i] < y->t[i] ? -1 : 1;
    }
    return 0;
}

/* All n-grams of a text, sorted; NULL when memory is short. */
static gram *sorted_grams(const int32_t *tokens, int n, int size) {
    int count = n - size + 1;
    gram *g = mem_new((size_t)count, sizeof *g);
    for (int i = 0; g && i < count; i++) memcpy(g[i].t, tokens + i, (size_t)size * sizeof *tokens);
    if (g) qsort(g, (size_t)count, sizeof *g, by_tokens);
    return g;
}

double quality_entropy(const int32_t *tokens, int n) {
    gram *g = n > 0 ? sorted_grams(tokens, n, 1) : NULL;
    if (!g) return NAN;
    double H = 0;
    for (int i = 0, from = 0; i < n; i++) {
        if (i + 1 < n && !by_tokens(&g[i], &g[i + 1])) continue;
        double p = (double)(i + 1 - from) / n;
        H -= p * log(p);
        from = i + 1;
    }
    free(g);
    return H + 0.0;
}

double quality_diversity(const int32_t *tokens, int n) {
    if (n < GRAM) return NAN;
    double product = 1;
    for (int size = 2; size <= GRAM; size++) {
        int count = n - size + 1, different = 0;
        gram *g = sorted_grams(tokens, n, size);
        if (!g) return NAN;
        for (int i = 0; i < count; i++) different += i == 0 || by_tokens(&g[i], &g[i - 1]) != 0;
        free(g);
        product *= (double)different / count;
    }
    return product;
}
