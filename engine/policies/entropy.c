/* entropy.c - the lowest entropy first. Some public code ranks by +H and so writes the least
 * certain position first; higher scores win here, hence the sign. */
#include "engine/policies/policies.h"

static double certainty(const decision *dec, int m) {
    return -pass_stats(dec->state.p, m)->entropy;
}

static int score(decision *dec, err *e) {
    return score_positions(dec, certainty, e);
}

const policy policy_entropy = {
    .name = "entropy",
    .title = "entropy",
    .help = "Writes where the entropy of the prediction is lowest; the score is -H in nats.",
    .params = common_params,
    .score = score,
};
