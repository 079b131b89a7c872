/* pc.c - PC-Sampler (2508.13021): confidence calibrated by how common the token is, discounted by position.
 */
#include <math.h>

#include "engine/policies/policies.h"

static const param_def lambda_def = {
    .name = "pc-lambda",
    .type = PARAM_REAL,
    .min = 0,
    .max = 100,
    .def = 0.25,
    .help = "discount per position from the start of the block; 0: none (Sudoku), "
            "above 0: nearly left to right"};
static const param_def alpha_def = {.name = "pc-alpha",
                                    .type = PARAM_REAL,
                                    .min = 0,
                                    .max = 1000,
                                    .def = 10,
                                    .help = "cap of the calibrated confidence -c ln f"};

double pc_score(int delta, double c, double f, double lambda, double alpha) {
    return exp(-lambda * delta) * fmin(alpha, -c * log(f + 1e-9));
}

/* Without a table of token frequencies every token is as common as any other. */
static double calibrated(const decision *dec, int m) {
    double f = 1.0 / denoiser_get_info(dec->state.d)->n_vocab, c = proposed_confidence(dec, m);
    int delta = dec->state.masked[m] - dec->block_begin;
    return pc_score(delta > 0 ? delta : 0, c, f, param_real(dec->params, "pc-lambda"),
                    param_real(dec->params, "pc-alpha"));
}

static int score(decision *dec, err *e) {
    return score_positions(dec, calibrated, e);
}

static const param_def *const params[] = {COMMON_PARAMS, &lambda_def, &alpha_def, NULL};

const policy policy_pc = {
    .name = "pc",
    .title = "PC",
    .help =
        "PC-Sampler: score e^(-lambda d) min(alpha, -c ln f), d the distance from the start of the block, c "
        "the "
        "confidence and f how common the token is. The published tables of f belong to LLaDA's and Dream's "
        "vocabularies; without one f is 1/V for every token, so that the calibration is a constant factor.",
    .params = params,
    .score = score,
};
