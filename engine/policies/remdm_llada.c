/* remdm_llada.c - ReMDM for LLaDA (policies.md 13): fill most of a block, then put the least sure tokens back
 * and write as many, round after round, then fill the rest. 2S steps for a plan of S. */
#include <math.h>

#include "engine/policies/policies.h"
#include "engine/rank.h"

static const param_def k_def = {.name = "loop-tokens",
                                .type = PARAM_INT,
                                .min = 1,
                                .max = 10000,
                                .def = 1,
                                .help = "k: tokens put back and written again in each round of the loop"};
static const param_def share_def = {
    .name = "loop-from",
    .type = PARAM_REAL,
    .min = 0,
    .max = 1,
    .def = 0.875,
    .help = "share of the block's tokens that are written before the loop begins"};

/* Steps before the loop; it takes half of the plan. */
static int loop_start(const decision *dec) {
    int fill = dec->block_steps - dec->block_steps / 2;
    return (int)floor(param_real(dec->params, "loop-from") * fill);
}

static bool in_loop(const decision *dec) {
    int from = loop_start(dec), rounds = dec->block_steps / 2;
    return dec->block_step >= from && dec->block_step < from + rounds && dec->n_clean > 0;
}

static double least_sure(const void *ctx, int j) {
    const decision *dec = ctx;
    return -dec->revealed[dec->clean[j]];
}

static int score(decision *dec, err *e) {
    return score_positions(dec, proposed_confidence, e);
}

static int write_best(decision *dec, int n, err *e) {
    int *order = candidates_by_score(dec, e), rc = 0;
    if (!order) return ERR_NO_MEMORY;
    for (int i = 0; i < n && i < dec->rec->n_cand && !rc; i++)
        rc = write_mask(dec, masked_of(dec, order[i]), dec->rec->score[order[i]], e);
    return rc;
}

/* In the loop a round is one step: k of the best masks are written, and the k least sure tokens go back for
 * the next round. What is left at the end of the plan is written by the last step. */
static int write(decision *dec, err *e) {
    int rc = begin_writes(dec, e), k = param_int(dec->params, "loop-tokens");
    if (rc) return rc;
    if (dec->last) return write_best(dec, dec->rec->n_cand, e);
    if (!in_loop(dec)) {
        int fill = dec->block_steps - dec->block_steps / 2;
        return write_best(dec, (dec->block_masks + fill - 1) / fill, e);
    }
    int *order = arena_new(&dec->rec->mem, (size_t)dec->n_clean, sizeof *order);
    if (!order) return err_set(e, ERR_NO_MEMORY, "out of memory for %d tokens", dec->n_clean);
    rc = write_best(dec, k, e);
    rank_order(least_sure, dec, dec->n_clean, order);
    for (int i = 0; i < k && i < dec->n_clean && !rc; i++)
        put_back(dec, order[i], -dec->revealed[dec->clean[order[i]]]);
    return rc;
}

static bool always(const param_set *ps) {
    (void)ps;
    return true;
}

static const param_def *const params[] = {COMMON_PARAMS, &k_def, &share_def, NULL};
static const char *const presets[] = {"temperature", "1", NULL};

const policy policy_remdm_llada = {
    .name = "remdm-llada",
    .title = "ReMDM-LLaDA",
    .help = "ReMDM for LLaDA: writes most of the block, then loops: the k tokens that were least sure when "
            "written go "
            "back and k masks are written. Half of --steps is the loop. The published code counts the start "
            "of the "
            "loop in tokens, which breaks with fewer steps than tokens; here it is counted in steps.",
    .presets = presets,
    .params = params,
    .score = score,
    .write = write,
    .remasks = always,
};
