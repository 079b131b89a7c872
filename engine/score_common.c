/* score_common.c - what every score needs: candidates, row sets, counted backwards. */
#include "engine/score_impl.h"

#include <assert.h>
#include <math.h>

#include "engine/rank.h"

/* Gradients that one backward call may return, in floats. */
static const size_t GRADIENT_FLOATS = (size_t)1 << 24;

void *scoring_new(scoring *c, size_t n, size_t size, err *e) {
    void *p = arena_new(&c->mem, n, size);
    if (!p) err_set(e, ERR_NO_MEMORY, "out of memory for the scores of %d candidates", c->n);
    return p;
}

int scoring_init(scoring *c, const score_state *s, const int *cand, int n_cand, const float *soft,
                 score_cost *cost, err *e) {
    *c = (scoring){.s = s, .cand = cand, .n = n_cand, .soft = soft, .cost = cost};
    c->info = denoiser_get_info(s->d);
    c->d = c->info->d_model;
    c->pos = scoring_new(c, (size_t)n_cand, sizeof *c->pos, e);
    c->e_m = scoring_new(c, (size_t)c->d, sizeof *c->e_m, e);
    if (!c->pos || !c->e_m) return ERR_NO_MEMORY;
    for (int i = 0; i < n_cand; i++) c->pos[i] = s->masked[cand[i]];
    denoiser_embedding(s->d, c->info->mask_id, c->e_m);
    return 0;
}

void scoring_release(scoring *c) {
    arena_release(&c->mem);
}

double scoring_dot(const scoring *c, int i, const float *g) {
    const float *soft = c->soft + (size_t)i * (size_t)c->d;
    double dot = 0;
    for (int j = 0; j < c->d; j++) dot += (double)g[j] * ((double)soft[j] - (double)c->e_m[j]);
    return -dot;
}

int score_soft(const score_state *s, const int *cand, int n_cand, float *soft, double *delta_norm, err *e) {
    scoring c;
    int rc = scoring_init(&c, s, cand, n_cand, soft, NULL, e);
    if (!rc) rc = denoiser_soft_write(s->d, s->p, cand, n_cand, soft, e);
    for (int i = 0; !rc && delta_norm && i < n_cand; i++) {
        double sum = 0;
        for (int j = 0; j < c.d; j++) {
            double delta = (double)soft[(size_t)i * (size_t)c.d + (size_t)j] - (double)c.e_m[j];
            sum += delta * delta;
        }
        delta_norm[i] = sqrt(sum);
    }
    scoring_release(&c);
    return rc;
}

/* ---- rows ---- */

static int collect(scoring *c, const bool *has, row_set *out, err *e) {
    int n = c->s->n_tokens;
    *out = (row_set){.pos = scoring_new(c, (size_t)n, sizeof *out->pos, e)};
    if (!out->pos) return ERR_NO_MEMORY;
    for (int i = 0; i < n; i++) {
        if (has[i]) out->pos[out->n++] = i;
    }
    return 0;
}

static double by_entropy(const void *ctx, int i) {
    return pass_stats(ctx, i)->entropy;
}

/* U: the |C| masked positions in scope of highest entropy. */
static int add_uncertain(scoring *c, bool *has, err *e) {
    int *order = scoring_new(c, (size_t)c->s->n_masked, sizeof *order, e);
    if (!order) return ERR_NO_MEMORY;
    rank_order(by_entropy, c->s->p, c->s->n_masked, order);
    for (int i = 0, n = 0; i < c->s->n_masked && n < c->n; i++) {
        if (c->s->scope && !c->s->scope[order[i]]) continue;
        has[c->s->masked[order[i]]] = true;
        n++;
    }
    return 0;
}

int scoring_rows(scoring *c, active_rows act, row_set *out, err *e) {
    assert(act != ACTIVE_DENSE);
    bool *has = scoring_new(c, (size_t)c->s->n_tokens, sizeof *has, e);
    if (!has) return ERR_NO_MEMORY;
    for (int i = 0; act == ACTIVE_MASKED && i < c->s->n_masked; i++) has[c->s->masked[i]] = true;
    for (int i = 0; i < c->n; i++) has[c->pos[i]] = true;
    int rc = act == ACTIVE_UNCERTAIN ? add_uncertain(c, has, e) : 0;
    return rc ? rc : collect(c, has, out, e);
}

int scoring_close_rows(scoring *c, const row_set *set, int extra, row_set *out, err *e) {
    bool *has = scoring_new(c, (size_t)c->s->n_tokens, sizeof *has, e);
    if (!has) return ERR_NO_MEMORY;
    for (int i = 0; i < set->n; i++) has[set->pos[i]] = has[denoiser_emit(c->s->d, set->pos[i])] = true;
    if (extra >= 0) has[extra] = true;
    return collect(c, has, out, e);
}

int scoring_active(scoring *c, active_rows act, row_set *out, err *e) {
    *out = (row_set){0};
    if (act == ACTIVE_DENSE) return 0;
    row_set rows;
    int rc = scoring_rows(c, act, &rows, e);
    return rc ? rc : scoring_close_rows(c, &rows, -1, out, e);
}

/* ---- backward ---- */

int scoring_backward(scoring *c, const pass *p, backward_req *q, float *grads, err *e) {
    k_counts counts = {0};
    q->cancel = c->s->cancel;
    int rc = denoiser_backward(c->s->d, p, q, grads, &counts, e);
    if (rc || !c->cost) return rc;
    k_counts *sum = &c->cost->counts;
    sum->linear_calls += counts.linear_calls;
    sum->linear_rows += counts.linear_rows;
    sum->attn_calls += counts.attn_calls;
    sum->attn_rows += counts.attn_rows;
    sum->head_calls += counts.head_calls;
    sum->head_rows += counts.head_rows;
    c->cost->backward_rows += counts.attn_rows / c->info->n_layers;
    return 0;
}

int scoring_seed_chunk(const scoring *c, int n_wrt) {
    size_t per_seed = (size_t)c->d * (size_t)(n_wrt > 0 ? n_wrt : 1) + (size_t)pass_n_rows(c->s->p);
    size_t n = GRADIENT_FLOATS / per_seed;
    return n < 1 ? 1 : n > 4096 ? 4096 : (int)n;
}
