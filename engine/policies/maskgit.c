/* maskgit.c - MaskGIT (2202.04200): sampled tokens, confidence with Gumbel noise that cools, a schedule of
 * masks. */
#include <math.h>

#include "engine/policies/policies.h"

static const char *const schedules[] = {"cosine", "linear", "square", "cubic", NULL};
static const param_def schedule_def = {
    .name = "schedule",
    .type = PARAM_CHOICE,
    .choices = schedules,
    .def = 0,
    .help = "share of masks kept after a share r of the steps: cos(pi r/2), 1-r, "
            "1-r^2 or 1-r^3"};
static const param_def choice_def = {.name = "choice-temperature",
                                     .type = PARAM_REAL,
                                     .min = 0,
                                     .max = 100,
                                     .def = 4.5,
                                     .help =
                                         "Gumbel noise on the log confidence, cooling to 0 at the last step"};

static double share_done(const decision *dec) {
    return dec->block_steps > 0 ? fmin(1, (dec->block_step + 1.0) / dec->block_steps) : 1;
}

static double kept(int schedule, double r) {
    switch (schedule) {
    case 0:
        return cos(1.5707963267948966 * r);
    case 1:
        return 1 - r;
    case 2:
        return 1 - r * r;
    default:
        return 1 - r * r * r;
    }
}

static double noisy(const decision *dec, int m) {
    double noise = param_real(dec->params, "choice-temperature") * (1 - share_done(dec));
    return log(proposed_confidence(dec, m) + 1e-300) +
           noise * gumbel(dec, dec->state.masked[m], RNG_POSITION);
}

static int score(decision *dec, err *e) {
    int rc = score_positions(dec, noisy, e), n = dec->rec->n_cand;
    if (rc) return rc;
    double r = share_done(dec);
    int keep = r >= 1 ? 0 : (int)floor(dec->block_masks * kept(param_int(dec->params, "schedule"), r) + 1e-9);
    if (r < 1 && keep < 1) keep = 1;
    if (keep > n - 1) keep = n - 1;
    dec->budget = n - keep;
    return 0;
}

static const param_def *const params[] = {COMMON_PARAMS, &schedule_def, &choice_def, NULL};
static const char *const presets[] = {"temperature", "1", NULL};

const policy policy_maskgit = {
    .name = "maskgit",
    .title = "MaskGIT",
    .help = "MaskGIT: draws a token everywhere, ranks by log confidence with Gumbel noise that cools, and "
            "keeps as many "
            "masks as the schedule says. Of --steps; the original has 8 to 12 for images, for text it is not "
            "settled.",
    .presets = presets,
    .params = params,
    .score = score,
};
