/* boe_horizon.c - BoE's few best candidates, each followed for some steps: the one after which the least
 * entropy is left wins (ours, not in the paper). Where a step writes several, futures differ in the last. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/policies/policies.h"

enum { MOST_WIDTH = 16, MOST_STEPS = 8 };
static const param_def horizon_def = {.name = "horizon",
                                      .type = PARAM_INT,
                                      .min = 1,
                                      .max = MOST_STEPS,
                                      .def = 2,
                                      .help = "steps that are looked ahead; the later ones write the most "
                                              "confident masks"};
static const param_def width_def = {.name = "width",
                                    .type = PARAM_INT,
                                    .min = 1,
                                    .max = MOST_WIDTH,
                                    .def = 3,
                                    .help = "futures that are followed: each with another of the best "
                                            "candidates by BoE as the last token that the step writes"};

/* Sequences that are followed side by side, and the rows of their masks. */
typedef struct futures {
    decision *dec;
    const int *order; /* candidates by BoE score */
    int n, n_rows;
    int32_t *tokens; /* [n][n_tokens] */
    row_ref *rows;
    int *first; /* [n + 1] rows of a sequence */
    sequence *seqs;
    double *left; /* [n] entropy of its masks */
    pass *p;
} futures;

static bool reserve(futures *f) {
    size_t n = (size_t)f->n, n_tokens = (size_t)f->dec->state.n_tokens;
    f->tokens = mem_new(n * n_tokens, sizeof *f->tokens);
    f->rows = mem_new(n * (size_t)f->dec->state.n_masked, sizeof *f->rows);
    f->first = mem_new(n + 1, sizeof *f->first);
    f->seqs = mem_new(n, sizeof *f->seqs);
    f->left = mem_new(n, sizeof *f->left);
    f->p = pass_new();
    return f->tokens && f->rows && f->first && f->seqs && f->left && f->p;
}

static void release(futures *f) {
    free(f->tokens);
    free(f->rows);
    free(f->first);
    free(f->seqs);
    free(f->left);
    pass_free(f->p);
}

static int32_t *tokens_of(const futures *f, int r) {
    return f->tokens + (size_t)r * (size_t)f->dec->state.n_tokens;
}

/* Writes candidate c of the record into future r. */
static int write_into(const futures *f, int r, int c, err *e) {
    int pos = f->dec->rec->cand[c];
    int32_t token = propose_token(&f->dec->proposer, masked_of(f->dec, c)).token;
    if (token < 0) return err_set(e, ERR_BAD_ARGUMENT, "position %d: every token is banned", pos);
    tokens_of(f, r)[pos] = token;
    return 0;
}

/* How many of the best candidates every future writes: all but the step's last. */
static int shared(const futures *f) {
    return f->dec->budget - 1;
}

/* Future r begins with the best candidates and, as the last one, the r-th of the others. */
static int begin(const futures *f, int r, err *e) {
    const score_state *s = &f->dec->state;
    memcpy(tokens_of(f, r), s->tokens, (size_t)s->n_tokens * sizeof *s->tokens);
    int rc = write_into(f, r, f->order[shared(f) + r], e);
    for (int i = 0; i < shared(f) && !rc; i++) rc = write_into(f, r, f->order[i], e);
    return rc;
}

/* One forward of all futures that have masks left, and the entropy of those in scope. */
static int look(futures *f, err *e) {
    const score_state *s = &f->dec->state;
    int n_seqs = 0;
    f->n_rows = 0;
    for (int r = 0; r < f->n; r++) {
        f->first[r] = f->n_rows;
        for (int m = 0; m < s->n_masked; m++) {
            if (in_scope(f->dec, m) && tokens_of(f, r)[s->masked[m]] == denoiser_get_info(s->d)->mask_id)
                f->rows[f->n_rows++] = (row_ref){n_seqs, s->masked[m]};
        }
        if (f->n_rows > f->first[r]) f->seqs[n_seqs++] = (sequence){tokens_of(f, r), s->n_tokens};
        f->left[r] = 0;
    }
    f->first[f->n] = f->n_rows;
    if (!n_seqs) return 0;
    forward_req q = {
        .seqs = f->seqs, .n_seqs = n_seqs, .rows = f->rows, .n_rows = f->n_rows, .cancel = s->cancel};
    int rc = denoiser_forward(s->d, &q, f->p, e);
    f->dec->cost.forwards += n_seqs;
    for (int r = 0; r < f->n && !rc; r++) {
        for (int i = f->first[r]; i < f->first[r + 1]; i++) f->left[r] += pass_stats(f->p, i)->entropy;
    }
    return rc;
}

/* The most confident masks of each future are written, as many as a step writes. */
static void go_on(futures *f) {
    for (int r = 0; r < f->n; r++) {
        for (int k = 0; k < f->dec->budget; k++) {
            int best = -1;
            for (int i = f->first[r]; i < f->first[r + 1]; i++) {
                if (tokens_of(f, r)[f->rows[i].pos] != denoiser_get_info(f->dec->state.d)->mask_id) continue;
                if (best < 0 || pass_stats(f->p, i)->confidence > pass_stats(f->p, best)->confidence)
                    best = i;
            }
            if (best >= 0) tokens_of(f, r)[f->rows[best].pos] = pass_stats(f->p, best)->argmax;
        }
    }
}

/* What is left in the best future that writes the k-th best candidate. */
static double least_left(const futures *f, int k) {
    if (k >= shared(f)) return f->left[k - shared(f)];
    double least = f->left[0];
    for (int r = 1; r < f->n; r++) least = fmin(least, f->left[r]);
    return least;
}

/* The record keeps the candidates that were followed, ascending, with what their entropies fell by. */
static int keep_followed(futures *f, double before, err *e) {
    step_record *r = f->dec->rec;
    int n = shared(f) + f->n, *cand = arena_new(&r->mem, (size_t)n, sizeof *cand), at = 0;
    double *score = decision_doubles(f->dec, n, e), *tis = decision_doubles(f->dec, n, e);
    double *norm = decision_doubles(f->dec, n, e);
    if (!cand || !score || !tis || !norm) return ERR_NO_MEMORY;
    for (int c = 0; c < r->n_cand; c++) {
        for (int k = 0; k < n; k++) {
            if (f->order[k] != c) continue;
            cand[at] = r->cand[c], tis[at] = r->tis[c], norm[at] = r->delta_e_norm[c];
            score[at++] = before - least_left(f, k) + 0.0;
        }
    }
    r->n_cand = n, r->cand = cand, r->score = score, r->tis = tis, r->delta_e_norm = norm;
    r->gate = r->penalty = NULL; /* they are no part of this score */
    r->h_t = r->lambda_t = 0;
    return 0;
}

static double entropy_now(const decision *dec) {
    double sum = 0;
    for (int m = 0; m < dec->state.n_masked; m++)
        sum += in_scope(dec, m) ? pass_stats(dec->state.p, m)->entropy : 0;
    return sum;
}

static int score(decision *dec, err *e) {
    int rc = boe_score(dec, e), width = param_int(dec->params, "width");
    futures f = {.dec = dec, .order = rc ? NULL : candidates_by_score(dec, e)};
    if (!f.order) return rc ? rc : ERR_NO_MEMORY;
    f.n = dec->rec->n_cand - shared(&f);
    if (f.n > width) f.n = width;
    if (f.n < 2) return 0;
    if (!reserve(&f)) rc = err_set(e, ERR_NO_MEMORY, "out of memory for %d futures", f.n);
    for (int r = 0; r < f.n && !rc; r++) rc = begin(&f, r, e);
    for (int k = param_int(dec->params, "horizon"); k > 0 && !rc; k--) {
        rc = look(&f, e);
        if (!rc && k > 1) go_on(&f);
    }
    if (!rc) rc = keep_followed(&f, entropy_now(dec), e);
    release(&f);
    return rc;
}

static const param_def *const params[] = {BOE_PARAMS, &horizon_def, &width_def, NULL};

const policy policy_boe_horizon = {
    .name = "boe-horizon",
    .title = "BoE horizon",
    .help =
        "BoE with a real lookahead of some steps (ours, not in the paper): each of the few best candidates "
        "by BoE is written (with the better ones, where a step writes several), the most confident masks "
        "after it for horizon - 1 steps, and the score is what the summed entropy falls by until then. Costs "
        "width times horizon forwards a step, less where no mask is left to look at; where every candidate "
        "is written anyway, nothing is looked at.",
    .params = params,
    .score = score,
    .looks_ahead = true,
    BOE_FUNCTIONS,
};
