/* random.c - a random order with the schedule of the others. */
#include "engine/base/rng.h"
#include "engine/policies/policies.h"

static double uniform(const decision *dec, int m) {
    return rng_uniform(dec->seed, (uint64_t)dec->step, (uint64_t)dec->state.masked[m], 0, RNG_POSITION);
}

static int score(decision *dec, err *e) {
    return score_positions(dec, uniform, e);
}

const policy policy_random = {
    .name = "random",
    .title = "random",
    .help = "Writes at random positions: uniform scores that depend on seed, step and position only.",
    .params = common_params,
    .score = score,
};
