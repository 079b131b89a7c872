/* boe_others.c - BoE as Eq. 11 has it: the candidate's own entropy left out, dense gradients. */
#include "engine/policies/policies.h"

static const char *const presets[] = {"objective", "others", "active", "dense", NULL};

const policy policy_boe_others = {
    .name = "boe-others",
    .title = "BoE others",
    .help = "BoE with each candidate's own entropy left out (Eq. 11) and gradient through all rows: "
            "mask/others/dense, a seed per candidate over one saved forward.",
    .presets = presets,
    .params = boe_params,
    .score = boe_score,
    BOE_FUNCTIONS,
};
