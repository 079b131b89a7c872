/* confidence.c - the token most likely to be right first (LLaDA "low confidence", MaskGIT without noise). */
#include "engine/policies/policies.h"

/* π of the proposed token, noise left out: above temperature 0 that is not the largest one. */
static double proposed(const decision *dec, int m) {
    const denoiser_info *info = denoiser_get_info(dec->state.d);
    double temperature = param_real(dec->params, "temperature");
    return propose_token(dec->state.p, m, info->n_vocab, temperature, dec->seed, dec->step).p;
}

static int score(decision *dec, err *e) {
    return score_positions(dec, proposed, e);
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
