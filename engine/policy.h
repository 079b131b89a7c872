/* policy.h - an unmasking policy: a table of functions and a table of parameters.
 *
 * A policy sees a decision (one state with its kept pass) and fills in the candidates and their
 * scores; the session writes the b best (ties: lowest position first). Presets are entries of the
 * same table that share the functions and change defaults. Each policy is one file in policies/.
 */
#ifndef TABES_POLICY_H
#define TABES_POLICY_H

#include "engine/param.h"
#include "engine/proposal.h"
#include "engine/record.h"
#include "engine/score.h"

/* What a policy may look at and where it puts its scores. */
typedef struct decision {
    score_state state;
    const param_set *params;
    int step, t, T,
        budget; /* step: decode steps before this one; budget: tokens to write now, <= those in scope */
    proposer proposer; /* what a position would be given */
    uint64_t seed;
    step_record *rec; /* cand, score, tis, gate, penalty, ... go here, in rec->mem */
    score_cost cost;
} decision;

typedef struct policy policy;
struct policy {
    const char *name;
    const char *title;              /* short, for pane titles */
    const char *help;               /* one paragraph; says where the source is uncertain */
    const char *const *presets;     /* NULL-terminated pairs "name", "value" that replace defaults; or NULL */
    const param_def *const *params; /* NULL-terminated; includes the common ones */
    int (*check)(const param_set *ps, const denoiser_info *info,
                 err *e); /* may be NULL: refuse impossible settings */
    /* Does `score` take gradients or restricted lookaheads from the step's own pass? NULL: never. */
    bool (*keeps)(const param_set *ps);
    int (*score)(decision *dec, err *e);
};

struct model_tuning;

/* Every policy, in the order of `tabes policies`. NULL-terminated. */
extern const policy *const policies[];

/* By name or alias; NULL when unknown. policy_suggest lists the names for an error message. */
const policy *policy_find(const char *name);
const char *policy_names(void); /* "confidence, margin, ..." */

/* Defaults with the preset applied and, from a model's tabes.json, lambda and h_max. */
void policy_defaults(const policy *p, const struct model_tuning *tuning, param_set *out);

/* Common parameters, shared by all policies: steps, budget, temperature, (see policies/common.c) */
#define COMMON_PARAMS &param_steps, &param_budget, &param_temperature
extern const param_def param_steps, param_budget, param_temperature;

#endif
