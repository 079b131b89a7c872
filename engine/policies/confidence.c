/* confidence.c - the token most likely to be right first (LLaDA "low confidence", MaskGIT without noise). */
#include "engine/policies/policies.h"

/* π of the proposed token, noise left out: above temperature 0 that is not the largest one. */
static int score(decision *dec, err *e) {
    return score_positions(dec, proposed_confidence, e);
}

const policy policy_confidence = {
    .name = "confidence",
    .title = "confidence",
    .help =
        "Writes where the proposed token has the highest probability (LLaDA's low-confidence remasking, "
        "MaskGIT "
        "without noise). With a temperature the proposed token's own probability counts, as in LLaDA's code.",
    .params = common_params,
    .score = score,
};
