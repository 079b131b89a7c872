/* remdm_llada.c - ReMDM for LLaDA (policies.md 13): fill most of a block, then put the least sure tokens back
 * and write as many, round after round, then fill the rest. 2S steps for a plan of S. */
#include <math.h>

#include "engine/policies/policies.h"
#include "engine/rank.h"
#include "engine/session.h"

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
    .help = "share of the planned filling steps that are taken before the loop begins"};

/* A plan of S takes 2S steps: S that fill the block, and S rounds of the loop before the last of them. */
static int plan(int steps) {
    return 2 * steps;
}

static int loop_start(const decision *dec) {
    int rounds = dec->block_steps / 2;
    return (int)floor(param_real(dec->params, "loop-from") * rounds);
}

static bool in_loop(const decision *dec, int step) {
    int from = loop_start(dec);
    return step >= from && step < from + dec->block_steps / 2;
}

static int score(decision *dec, err *e) {
    return score_positions(dec, proposed_confidence, e);
}

/* Tokens that step `step` writes: k in the loop, else the step's share of the block. */
static int quota(const decision *dec, int step) {
    int S = dec->block_steps > 1 ? dec->block_steps / 2 : 1, from = loop_start(dec);
    if (dec->last) return dec->rec->n_cand;
    if (in_loop(dec, step)) return param_int(dec->params, "loop-tokens");
    return session_quota(dec->block_masks, S, 0, step < from ? step : step - S);
}

/* A token of the block after this step's writes: candidate c (index into order), or clean token j; the other
 * is -1. */
typedef struct token {
    int c, j;
    double p; /* with which it was written */
} token;

static double least_sure(const void *ctx, int i) {
    const token *t = ctx;
    return -t[i].p;
}

/* What the next round of the loop begins with: the k least sure tokens are masked. One of this step's own is
 * not written in the first place. drop[c] and back[j] say which. */
static int next_round(decision *dec, const int *order, int n, bool *drop, bool *back, err *e) {
    arena *mem = &dec->rec->mem;
    size_t most = (size_t)n + (size_t)dec->n_clean;
    token *t = arena_new(mem, most, sizeof *t);
    int *worst = arena_new(mem, most, sizeof *worst), n_tokens = 0;
    if (!t || !worst) return err_set(e, ERR_NO_MEMORY, "out of memory for %d tokens", (int)most);
    for (int j = 0; j < dec->n_clean; j++) t[n_tokens++] = (token){-1, j, dec->revealed[dec->clean[j]]};
    for (int c = 0; c < n; c++)
        t[n_tokens++] = (token){c, -1, propose_token(&dec->proposer, masked_of(dec, order[c])).p};
    rank_order(least_sure, t, n_tokens, worst);
    for (int i = 0; i < param_int(dec->params, "loop-tokens") && i < n_tokens; i++) {
        const token *x = &t[worst[i]];
        if (x->c >= 0)
            drop[x->c] = true;
        else
            back[x->j] = true;
    }
    return 0;
}

/* The code masks at the beginning of a round, before its forward; here that is the end of the step before. */
static int write(decision *dec, err *e) {
    arena *mem = &dec->rec->mem;
    int *order = candidates_by_score(dec, e), n = quota(dec, dec->block_step), rc = begin_writes(dec, e);
    bool *drop = arena_new(mem, (size_t)dec->rec->n_cand, sizeof *drop);
    bool *back = arena_new(mem, (size_t)dec->n_clean, sizeof *back);
    if (rc || !order || !drop || !back) return err_set(e, ERR_NO_MEMORY, "out of memory for a round");
    if (n > dec->rec->n_cand) n = dec->rec->n_cand;
    if (in_loop(dec, dec->block_step + 1)) rc = next_round(dec, order, n, drop, back, e);
    for (int i = 0; i < n && !rc; i++) {
        if (!drop[i]) rc = write_mask(dec, masked_of(dec, order[i]), dec->rec->score[order[i]], e);
    }
    for (int j = 0; j < dec->n_clean && !rc; j++) {
        if (back[j]) put_back(dec, j, dec->revealed[dec->clean[j]]);
    }
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
    .help =
        "ReMDM for LLaDA: writes seven eighths of the block, then loops: the k tokens that were least sure "
        "when "
        "written go back and k masks are written, then writes the rest. A plan of S steps takes 2S, S of "
        "them "
        "rounds "
        "of the loop. A token that would go back at once is not written. The published code counts the start "
        "of the "
        "loop in tokens, which breaks with fewer steps than tokens; here it is counted in steps.",
    .presets = presets,
    .ranks_like = "confidence",
    .params = params,
    .score = score,
    .write = write,
    .remasks = always,
    .plan = plan,
};
