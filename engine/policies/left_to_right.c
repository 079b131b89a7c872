/* left_to_right.c - reading order. */
#include "engine/policies/policies.h"

static double order(const decision *dec, int m) {
    return -(double)dec->state.masked[m];
}

static int score(decision *dec, err *e) {
    return score_positions(dec, order, e);
}

const policy policy_left_to_right = {
    .name = "left-to-right",
    .title = "left to right",
    .help = "Writes the leftmost masks first; the score is minus the position. Also called ltr.",
    .params = common_params,
    .score = score,
};
