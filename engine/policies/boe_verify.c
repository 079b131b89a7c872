/* boe_verify.c - BoE with a term of rules: candidates whose token breaks them come last, one that completes a
 * true equation comes first (the paper's future work, Appendix A.5.3; ours in detail). */
#include "engine/policies/policies.h"

static const char *const verifiers[] = {"auto", "sudoku", "arithmetic", NULL};
static const param_def verifier_def = {
    .name = "rules",
    .type = PARAM_CHOICE,
    .choices = verifiers,
    .def = VERIFY_AUTO,
    .help = "the rules: sudoku (a digit that is there already in row, column or "
            "box), arithmetic (equations), or auto: what the text looks like"};
static const param_def weight_def = {
    .name = "rules-weight",
    .type = PARAM_REAL,
    .min = 0,
    .max = 1000,
    .def = 1,
    .help = "nats added to the score of a token that is right by the rules, and taken "
            "from one that is wrong"};

/* The term joins the penalty, so that gate·TIS - penalty still makes up the score. */
static int score(decision *dec, err *e) {
    int rc = boe_score(dec, e);
    step_record *r = dec->rec;
    double *penalty = rc ? NULL : decision_doubles(dec, r->n_cand, e);
    double *scores = rc ? NULL : decision_doubles(dec, r->n_cand, e);
    if (!penalty || !scores) return rc ? rc : ERR_NO_MEMORY;
    const score_state *s = &dec->state;
    token_texts texts = denoiser_texts(s->d);
    int32_t mask = denoiser_get_info(s->d)->mask_id;
    for (int i = 0; i < r->n_cand; i++) {
        int32_t token = propose_token(&dec->proposer, masked_of(dec, i)).token;
        int verdict = token < 0 ? 0
                                : verify_token((verify_rules)param_int(dec->params, "rules"), texts,
                                               s->tokens, s->n_tokens, mask, r->cand[i], token);
        double term = param_real(dec->params, "rules-weight") * verdict;
        penalty[i] = r->penalty[i] - term;
        scores[i] = r->gate[i] * r->tis[i] - penalty[i] + 0.0;
    }
    r->penalty = penalty;
    r->score = scores;
    return 0;
}

static const param_def *const params[] = {BOE_PARAMS, &verifier_def, &weight_def, NULL};

const policy policy_boe_verify = {
    .name = "boe-verify",
    .title = "BoE verified",
    .help = "BoE with a verifier as a term of the score: tokens that break the rules of Sudoku, or complete "
            "a false "
            "equation, lose rules-weight nats; true equations gain it. Without a tokenizer, or where the "
            "rules say "
            "nothing, it is BoE.",
    .params = params,
    .score = score,
    BOE_FUNCTIONS,
};
