/* steps.c - greedy and BoE steps, repeated and timed. */
#include "tests/gpu/steps.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/mem.h"
#include "engine/base/rng.h"

/* The first run loads kernels, the second records graphs, the third may still grow a buffer. */
enum { WARM_UP = 3, FEWEST = 3, MOST = 64 };

/* Long steps are repeated less often, but FEWEST times. */
static const double LONG_ENOUGH_MS = 2000;

typedef int step_fn(state *s, double ms[N_PARTS], err *e);

int state_open(state *s, denoiser *d, int n, err *e) {
    *s = (state){.d = d, .info = denoiser_get_info(d), .n = n, .n_masked = n - n / 2};
    size_t all = (size_t)n, masked = (size_t)s->n_masked;
    s->p = pass_new();
    s->tokens = mem_new(all, sizeof *s->tokens);
    s->masked = mem_new(masked, sizeof *s->masked);
    s->rows = mem_new(masked, sizeof *s->rows);
    s->cand = mem_new(masked, sizeof *s->cand);
    s->active = mem_new(all, sizeof *s->active);
    s->soft = mem_new(masked * (size_t)s->info->d_model, sizeof *s->soft);
    s->tis = mem_new(masked, sizeof *s->tis);
    if (!s->p || !s->tokens || !s->masked || !s->rows || !s->cand || !s->active || !s->soft || !s->tis) {
        state_close(s);
        return err_set(e, ERR_NO_MEMORY, "out of memory for %d positions", n);
    }
    for (int i = 0; i < n; i++) {
        uint64_t bits = rng_bits(1, (uint64_t)i, 0, 0, RNG_TOKEN);
        s->tokens[i] = i < n / 2 ? (int32_t)(bits % (uint64_t)s->info->mask_id) : s->info->mask_id;
    }
    for (int i = 0; i < s->n_masked; i++) {
        s->masked[i] = n / 2 + i;
        s->rows[i] = (row_ref){0, n / 2 + i};
    }
    return 0;
}

void state_close(state *s) {
    pass_free(s->p);
    free(s->tokens);
    free(s->masked);
    free(s->rows);
    free(s->cand);
    free(s->active);
    free(s->soft);
    free(s->tis);
    *s = (state){0};
}

/* ---- one step ---- */

static int forward(state *s, bool keep, err *e) {
    sequence seq = {s->tokens, s->n};
    forward_req q = {.seqs = &seq, .n_seqs = 1, .rows = s->rows, .n_rows = s->n_masked, .keep = keep};
    return denoiser_forward(s->d, &q, s->p, e);
}

static int greedy_once(state *s, double ms[N_PARTS], err *e) {
    double begin = clock_now();
    int rc = forward(s, false, e);
    ms[PART_STEP] = ms[PART_FORWARD] = (clock_now() - begin) * 1e3;
    return rc;
}

/* Active rows: the candidates' own and their emit rows, or all; and the objective rows among them. */
static int find_active(state *s, err *e) {
    bool *has = mem_new((size_t)s->n, sizeof *has), *head = mem_new((size_t)s->n, sizeof *head);
    for (int i = 0; has && i < s->n; i++) has[i] = s->act == ACTIVE_DENSE;
    for (int i = 0; has && i < s->n_cand; i++) {
        int pos = s->masked[s->cand[i]];
        has[pos] = has[denoiser_emit(s->d, pos)] = true;
    }
    for (int i = 0; head && i < s->n_masked; i++) head[denoiser_emit(s->d, s->masked[i])] = true;
    s->n_active = s->n_head = 0;
    for (int i = 0; has && head && i < s->n; i++) {
        s->n_head += has[i] && head[i];
        if (has[i]) s->active[s->n_active++] = i;
    }
    int rc = has && head ? 0 : err_set(e, ERR_NO_MEMORY, "out of memory for %d rows", s->n);
    free(has);
    free(head);
    return rc;
}

/* What score_tis asks of the denoiser, without what it then sums up. */
static int backward_once(state *s, double *ms, err *e) {
    size_t n = (size_t)s->n_masked;
    float *weights = mem_new(n, sizeof *weights),
          *grads = mem_new(n * (size_t)s->info->d_model, sizeof *grads);
    int *wrt = mem_new(n, sizeof *wrt);
    int rc = weights && grads && wrt ? find_active(s, e)
                                     : err_set(e, ERR_NO_MEMORY, "out of memory for gradients");
    for (int i = 0; !rc && i < s->n_masked; i++) weights[i] = 1;
    for (int i = 0; !rc && i < s->n_cand; i++) wrt[i] = s->masked[s->cand[i]];
    backward_req q = {.n_seeds = 1, .weights = weights, .active = s->active, .n_active = s->n_active};
    q.wrt = wrt, q.n_wrt = s->n_cand;
    k_counts counts = {0};
    double begin = clock_now();
    if (!rc) rc = denoiser_backward(s->d, s->p, &q, grads, &counts, e);
    *ms = (clock_now() - begin) * 1e3;
    free(weights);
    free(grads);
    free(wrt);
    return rc;
}

static int boe_once(state *s, double ms[N_PARTS], err *e) {
    score_state st = {.d = s->d,
                      .p = s->p,
                      .tokens = s->tokens,
                      .n_tokens = s->n,
                      .masked = s->masked,
                      .n_masked = s->n_masked};
    score_triple triple = {LOOK_MASK, OBJ_MASKED, s->act};
    score_cost cost = {0};
    double t0 = clock_now(), t1, t2, t3;
    int rc = forward(s, true, e);
    t1 = clock_now();
    if (!rc) s->n_cand = score_candidates(&st, CAND_CONFIDENCE, s->rho, 1, s->cand);
    if (!rc) rc = score_soft(&st, s->cand, s->n_cand, s->soft, NULL, e);
    t2 = clock_now();
    if (!rc) rc = score_tis(&st, triple, (score_opts){1, 1}, s->cand, s->n_cand, s->soft, s->tis, &cost, e);
    t3 = clock_now();
    ms[PART_STEP] = (t3 - t0) * 1e3;
    ms[PART_FORWARD] = (t1 - t0) * 1e3;
    ms[PART_SOFT] = (t2 - t1) * 1e3;
    ms[PART_TIS] = (t3 - t2) * 1e3;
    if (!rc) rc = backward_once(s, &ms[PART_BACKWARD], e);
    if (!rc && cost.backward_rows != s->n_active) {
        return err_set(e, ERR_DIFFERS, "%d active rows, the kernels counted %lld", s->n_active,
                       (long long)cost.backward_rows);
    }
    return rc;
}

/* ---- repeated ---- */

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v, int n) {
    qsort(v, (size_t)n, sizeof *v, ascending);
    return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

static int repeat_step(state *s, step_fn *once, int repeat, double ms[N_PARTS], err *e) {
    double samples[N_PARTS][MOST], total = 0;
    int n = 0, rc = 0;
    if (repeat > MOST) repeat = MOST;
    memset(ms, 0, N_PARTS * sizeof *ms);
    for (int i = 0; i < WARM_UP && !rc; i++) rc = once(s, ms, e);
    while (!rc && n < repeat && (n < FEWEST || total < LONG_ENOUGH_MS)) {
        rc = once(s, ms, e);
        for (int p = 0; p < N_PARTS; p++) samples[p][n] = ms[p];
        total += ms[PART_STEP];
        n++;
    }
    for (int p = 0; p < N_PARTS && !rc; p++) ms[p] = median(samples[p], n);
    return rc;
}

int step_greedy(state *s, int repeat, double ms[N_PARTS], err *e) {
    return repeat_step(s, greedy_once, repeat, ms, e);
}

int step_boe(state *s, active_rows act, double rho, int repeat, double ms[N_PARTS], err *e) {
    s->act = act;
    s->rho = rho;
    return repeat_step(s, boe_once, repeat, ms, e);
}
