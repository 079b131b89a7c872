/* boe.c - Backward-on-Entropy steering: score_i = c_i·TIS_i - λ_t·max(h_t - H_i, 0)² (Eq. 12-19).
 *
 * Its presets share these functions and parameters and change defaults only. */
#include <math.h>
#include <stdlib.h>

#include "engine/base/mem.h"
#include "engine/policies/policies.h"
#include "engine/rank.h"

static const char *const schedule_names[] = {"linear", "constant", NULL};

const param_def param_lookahead = {
    .name = "lookahead",
    .type = PARAM_CHOICE,
    .choices = lookahead_names,
    .def = LOOK_MASK,
    .help =
        "where the gradient is taken: mask (the state itself, Eq. 13-14), soft (all candidates soft, A.3.1), "
        "mid (along each path); or a real lookahead: rows (few rows), full (all rows)"};
const param_def param_objective = {.name = "objective",
                                   .type = PARAM_CHOICE,
                                   .choices = objective_names,
                                   .def = OBJ_MASKED,
                                   .help = "which entropies are summed: masked (all), others (without "
                                           "the candidate itself, Eq. 11), others-local "
                                           "(cheap others), remaining (masks outside the candidates)"};
const param_def param_active = {
    .name = "active",
    .type = PARAM_CHOICE,
    .choices = active_names,
    .def = ACTIVE_CANDIDATES,
    .help =
        "rows that let gradient through (Eq. 30), or that a rows lookahead recomputes: dense (all), masked, "
        "candidates, uncertain (candidates and as many of the highest entropy)"};
const param_def param_gate = {
    .name = "gate", .type = PARAM_BOOL, .def = 1, .help = "multiply TIS by the gate 1 - H/log|V| (Eq. 15)"};
const param_def param_anti_collapse = {
    .name = "anti-collapse",
    .type = PARAM_BOOL,
    .def = 1,
    .help = "subtract lambda_t * max(h_t - H, 0)^2 (Eq. 19); has an effect only when lambda is above 0"};
const param_def param_lambda = {.name = "lambda",
                                .type = PARAM_REAL,
                                .min = 0,
                                .max = 1000,
                                .def = 0,
                                .help = "strength of anti-collapse (Eq. 19), per nat squared; a model's "
                                        "tabes.json may set it, else 0 (untuned)"};
const param_def param_h_max = {.name = "h-max",
                               .type = PARAM_REAL,
                               .min = 0,
                               .max = 100,
                               .def = 2,
                               .help = "entropy floor at the first step in nats, h_t = h-max * t/T (Eq. "
                                       "18); a model's tabes.json may set it"};
const param_def param_lambda_schedule = {
    .name = "lambda-schedule",
    .type = PARAM_CHOICE,
    .choices = schedule_names,
    .def = 0,
    .help = "lambda_t over the decode: linear (lambda * t/T; the paper says only \"annealed\") or constant"};
const param_def param_alpha = {
    .name = "alpha",
    .type = PARAM_REAL,
    .min = 0,
    .max = 1,
    .def = 1,
    .help = "how far lookahead soft moves the candidates towards their soft writes (A.3.1: 1)"};
const param_def param_path_points = {
    .name = "path-points",
    .type = PARAM_INT,
    .min = 1,
    .max = 64,
    .def = 1,
    .help = "points of lookahead mid on each candidate's path, at (k+1/2)/n; 1 is the midpoint rule"};

const param_def param_remask = {
    .name = "remask",
    .type = PARAM_INT,
    .min = 0,
    .max = 10000,
    .def = 0,
    .help = "k: in each step but the last the k tokens that were least probable when written go back to the "
            "mask, and as many more are written; ours, not in the paper"};

const param_def *const boe_params[] = {BOE_PARAMS, NULL};

static score_triple triple_of(const param_set *ps) {
    return (score_triple){(lookahead)param_int(ps, "lookahead"), (objective)param_int(ps, "objective"),
                          (active_rows)param_int(ps, "active")};
}

int boe_check(const param_set *ps, const denoiser_info *info, err *e) {
    return triple_check(triple_of(ps), info->shifted, e);
}

bool boe_keeps(const param_set *ps) {
    lookahead look = triple_of(ps).look;
    return look == LOOK_MASK || look == LOOK_ROWS || grows_candidates(ps);
}

/* Eq. 18-19; all zero when it is switched off. */
static void anneal(const decision *dec) {
    const param_set *ps = dec->params;
    anti_collapse a = {.lambda = param_real(ps, "lambda"), .h_max = param_real(ps, "h-max")};
    a.constant = param_int(ps, "lambda-schedule") == 1;
    if (!param_bool(ps, "anti-collapse") || !(a.lambda > 0)) return;
    score_anneal(&a, dec->t, dec->T, &dec->rec->lambda_t, &dec->rec->h_t);
}

/* score = gate·TIS - penalty for each candidate. A gate switched off is 1, a penalty 0, so that the
 * parts always make up the score. */
static int combine(decision *dec, const int *cand, const double *tis, err *e) {
    step_record *r = dec->rec;
    int V = denoiser_get_info(dec->state.d)->n_vocab;
    bool gated = param_bool(dec->params, "gate");
    double *gate = decision_doubles(dec, r->n_cand, e), *penalty = decision_doubles(dec, r->n_cand, e);
    double *score = decision_doubles(dec, r->n_cand, e);
    if (!gate || !penalty || !score) return ERR_NO_MEMORY;
    anneal(dec);
    for (int i = 0; i < r->n_cand; i++) {
        double H = pass_stats(dec->state.p, cand[i])->entropy, short_of = fmax(r->h_t - H, 0);
        gate[i] = gated ? score_gate(H, V) : 1;
        penalty[i] = r->lambda_t * short_of * short_of;
        score[i] = gate[i] * tis[i] - penalty[i] + 0.0;
    }
    r->gate = gate;
    r->penalty = penalty;
    r->score = score;
    return 0;
}

static int compute_tis(decision *dec, const int *cand, double *tis, double *norm, err *e) {
    step_record *r = dec->rec;
    const score_state *s = &dec->state;
    score_opts opts = {param_real(dec->params, "alpha"), param_int(dec->params, "path-points")};
    size_t floats;
    float *soft = NULL;
    if (size_mul((size_t)r->n_cand, (size_t)denoiser_get_info(s->d)->d_model, &floats)) {
        soft = mem_new(floats, sizeof *soft);
    }
    if (!soft) return err_set(e, ERR_NO_MEMORY, "out of memory for %d soft writes", r->n_cand);
    int rc = score_soft(s, cand, r->n_cand, soft, norm, e);
    if (!rc) rc = score_tis(s, triple_of(dec->params), opts, cand, r->n_cand, soft, tis, &dec->cost, e);
    free(soft);
    return rc;
}

/* ---- putting tokens back ---- */

bool boe_remasks(const param_set *ps) {
    return param_int(ps, "remask") > 0;
}

/* Tokens that go back in this step: the plan still writes its quota, and its last step everything. */
static int count_back(const decision *dec) {
    int n = param_int(dec->params, "remask"), spare = dec->n_scope - dec->quota;
    if (dec->last) return 0;
    if (n > dec->n_clean) n = dec->n_clean;
    return n < spare ? n : spare;
}

static double least_probable(const void *ctx, int j) {
    const decision *dec = ctx;
    return -dec->revealed[dec->clean[j]];
}

int boe_write(decision *dec, err *e) {
    int rc = begin_writes(dec, e), *order = candidates_by_score(dec, e), back = count_back(dec);
    int *worst = arena_new(&dec->rec->mem, (size_t)dec->n_clean, sizeof *worst);
    if (rc || !order || !worst) return err_set(e, ERR_NO_MEMORY, "out of memory for a step's writes");
    for (int i = 0; i < dec->budget && i < dec->rec->n_cand && !rc; i++)
        rc = write_mask(dec, masked_of(dec, order[i]), dec->rec->score[order[i]], e);
    rank_order(least_probable, dec, dec->n_clean, worst);
    for (int i = 0; i < back && !rc; i++) put_back(dec, worst[i], dec->revealed[dec->clean[worst[i]]]);
    return rc;
}

int boe_score(decision *dec, err *e) {
    step_record *r = dec->rec;
    int *cand;
    if (boe_remasks(dec->params)) dec->budget = dec->last ? dec->n_scope : dec->quota + count_back(dec);
    int rc = choose_candidates(dec, &cand, e);
    if (rc) return rc;
    double *tis = decision_doubles(dec, r->n_cand, e), *norm = decision_doubles(dec, r->n_cand, e);
    char *name = arena_new(&r->mem, TRIPLE_NAME, 1);
    if (!tis || !norm || !name) return err_set(e, ERR_NO_MEMORY, "out of memory for a step's scores");
    rc = compute_tis(dec, cand, tis, norm, e);
    if (rc) return rc;
    r->tis = tis;
    r->delta_e_norm = norm;
    r->tis_name = triple_name(triple_of(dec->params), name);
    return combine(dec, cand, tis, e);
}

const policy policy_boe = {
    .name = "boe",
    .title = "BoE",
    .help =
        "Backward-on-Entropy steering (Saini et al. 2026): one backward pass through the active rows scores "
        "how "
        "much writing each candidate would lower the entropies (TIS), gated by certainty. Default "
        "mask/masked/candidates, what one backward of Algorithm 1 gives; the paper leaves objective and rows "
        "open and does not print lambda and h-max.",
    .params = boe_params,
    .score = boe_score,
    BOE_FUNCTIONS,
};
