/* boe_rows.c - the row-restricted lookahead: a real difference on few rows instead of a derivative. */
#include "engine/policies/policies.h"

static const char *const presets[] = {"lookahead", "rows", "objective", "others", "active", "masked", NULL};

const policy policy_boe_rows = {
    .name = "boe-rows",
    .title = "BoE rows",
    .help = "Row-restricted lookahead (ours, not in the paper): rows/others/masked injects each candidate's "
            "soft write, recomputes the masked rows alone and scores by the entropy that really falls there.",
    .presets = presets,
    .params = boe_params,
    .score = boe_score,
    BOE_FUNCTIONS,
};
