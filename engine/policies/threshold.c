/* threshold.c - as many as are sure enough, and at least one: Fast-dLLM's parallel decoding, by threshold and
 * by factor (policies.md 9). Neither looks at the planned number of steps. */
#include "engine/policies/policies.h"

static const param_def threshold_def = {.name = "threshold",
                                        .type = PARAM_REAL,
                                        .min = 0,
                                        .max = 2,
                                        .def = 0.9,
                                        .help =
                                            "confidence from which a token is written; above 1: one a step"};
static const param_def factor_def = {
    .name = "factor",
    .type = PARAM_REAL,
    .min = 1e-6,
    .max = 1e6,
    .def = 1,
    .help = "f: the largest n is written for which the n-th confidence is at least "
            "1 - f/(n+1)"};

static int by_threshold(decision *dec, err *e) {
    int rc = score_positions(dec, proposed_confidence, e), n = 0;
    double least = param_real(dec->params, "threshold");
    for (int i = 0; !rc && i < dec->rec->n_cand; i++) n += dec->rec->score[i] >= least && !is_late(dec, i);
    dec->budget = n ? n : 1;
    return rc;
}

/* The rule of the paper; its code also writes the last candidate when that alone fails. */
static int by_factor(decision *dec, err *e) {
    int rc = score_positions(dec, proposed_confidence, e);
    int *order = rc ? NULL : candidates_by_score(dec, e);
    if (!order) return rc ? rc : ERR_NO_MEMORY;
    double f = param_real(dec->params, "factor");
    dec->budget = 1;
    for (int n = 2; n <= dec->rec->n_cand && dec->rec->score[order[n - 1]] >= 1 - f / (n + 1); n++)
        dec->budget = n;
    return 0;
}

static const param_def *const threshold_params[] = {COMMON_PARAMS, &threshold_def, NULL};
static const param_def *const factor_params[] = {COMMON_PARAMS, &factor_def, NULL};

const policy policy_threshold = {
    .name = "threshold",
    .title = "threshold",
    .help =
        "Fast-dLLM: writes every position whose proposed token is at least that probable, and always the "
        "most "
        "probable one. The number of steps follows from the model; --steps is not looked at. The authors use "
        "0.9 with blocks of 32.",
    .ranks_like = "confidence",
    .params = threshold_params,
    .score = by_threshold,
};
const policy policy_factor = {
    .name = "factor",
    .title = "factor",
    .help =
        "Fast-dLLM: writes the largest number n of positions with (n+1)(1-c_n) <= f, c_n the n-th highest "
        "confidence, and at least one. --steps is not looked at. The published code writes one too many when "
        "only "
        "the last candidate fails; this is the paper's rule.",
    .ranks_like = "confidence",
    .params = factor_params,
    .score = by_factor,
};
