/* boe_mid.c - path-averaged TIS, the midpoint rule. */
#include "engine/policies/policies.h"

static const char *const presets[] = {"lookahead", "mid", "objective", "others", "active", "dense", NULL};

const policy policy_boe_mid = {
    .name = "boe-mid",
    .title = "BoE mid",
    .help = "Path-averaged BoE: mid/others/dense, the gradient taken halfway to each candidate's soft write. "
            "Dearer than the oracle; here to study how good the first-order score is.",
    .presets = presets,
    .params = boe_params,
    .score = boe_score,
    BOE_FUNCTIONS,
};
