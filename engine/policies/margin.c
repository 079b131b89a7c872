/* margin.c - the largest gap between the two best tokens first. */
#include "engine/policies/policies.h"

static double margin(const decision *dec, int m) {
    return pass_stats(dec->state.p, m)->margin;
}

static int score(decision *dec, err *e) {
    return score_positions(dec, margin, e);
}

const policy policy_margin = {
    .name = "margin",
    .title = "margin",
    .help = "Writes where the two most probable tokens lie furthest apart in probability.",
    .params = common_params,
    .score = score,
};
