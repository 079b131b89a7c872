/* dream.c - Dream's own algorithms (policies.md 5): the time schedule of its code, four ways to choose. */
#include <math.h>

#include "engine/policies/policies.h"

enum { ORIGIN, MASKGIT_PLUS, TOPK_MARGIN, ENTROPY };
static const char *const algorithms[] = {"origin", "maskgit_plus", "topk_margin", "entropy", NULL};
static const param_def alg_def = {.name = "dream-alg",
                                  .type = PARAM_CHOICE,
                                  .choices = algorithms,
                                  .def = ENTROPY,
                                  .help =
                                      "origin: each mask by chance; maskgit_plus: probability of the token; "
                                      "topk_margin: top1 - top2; entropy: lowest entropy"};
static const param_def alg_temp_def = {
    .name = "alg-temp",
    .type = PARAM_REAL,
    .min = 0,
    .max = 100,
    .def = 0,
    .help = "draws the positions with weights softmax(score/alg-temp); 0: the best"};
static const param_def eps_def = {.name = "eps",
                                  .type = PARAM_REAL,
                                  .min = 0,
                                  .max = 0.5,
                                  .def = 1e-3,
                                  .help = "time of the last step; steps are evenly spaced from 1 to it"};

/* 1 - t_{k+1}/t_k. */
static double share_now(const decision *dec) {
    double eps = param_real(dec->params, "eps"), S = dec->block_steps, k = dec->block_step;
    double now = 1 - k * (1 - eps) / S, next = 1 - (k + 1) * (1 - eps) / S;
    return k + 1 >= S || !(now > 0) ? 1 : 1 - next / now;
}

static double certainty(const decision *dec, int m) {
    const k_row_stats *s = pass_stats(dec->state.p, m);
    int alg = param_int(dec->params, "dream-alg");
    double value = alg == TOPK_MARGIN ? s->margin
                   : alg == ENTROPY   ? -s->entropy
                                      : proposed_confidence(dec, m);
    double temp = param_real(dec->params, "alg-temp");
    return temp > 0 && alg != ORIGIN ? value / temp + gumbel(dec, dec->state.masked[m], RNG_POSITION) : value;
}

static int score(decision *dec, err *e) {
    return score_positions(dec, certainty, e);
}

static int write_origin(decision *dec, err *e) {
    double share = share_now(dec);
    int rc = 0;
    for (int i = 0; i < dec->rec->n_cand && !rc; i++) {
        if (draw(dec, dec->rec->cand[i], RNG_PATH) < share)
            rc = write_mask(dec, masked_of(dec, i), dec->rec->score[i], e);
    }
    return rc;
}

static int write(decision *dec, err *e) {
    int rc = begin_writes(dec, e);
    if (rc || param_int(dec->params, "dream-alg") == ORIGIN) return rc ? rc : write_origin(dec, e);
    int *order = candidates_by_score(dec, e), n = dec->rec->n_cand;
    if (!order) return ERR_NO_MEMORY;
    int count = (int)floor(n * share_now(dec) + 1e-9);
    for (int i = 0; i < count && i < n && !rc; i++)
        rc = write_mask(dec, masked_of(dec, order[i]), dec->rec->score[order[i]], e);
    return rc;
}

static const param_def *const params[] = {COMMON_PARAMS, &alg_def, &alg_temp_def, &eps_def, NULL};

const policy policy_dream = {
    .name = "dream",
    .title = "Dream",
    .help =
        "Dream's samplers: on step k floor(m (1 - t_k+1/t_k)) of the m masks are written, so a step may "
        "write "
        "nothing. Its temperature changes the scores, too; here they are those of the raw softmax. Its code "
        "defaults to origin and 512 steps, its evaluations use entropy.",
    .ranks_like = "entropy",
    .params = params,
    .score = score,
    .write = write,
};
