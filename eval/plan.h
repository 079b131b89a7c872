/* plan.h - which decodes an evaluation consists of: every configuration on every example.
 *
 * A configuration is a policy with final parameters, a length and a seed. Its text (policy and every
 * parameter, as options would be written) and the examples make the keys under which results are found again.
 */
#ifndef TABES_EVAL_PLAN_H
#define TABES_EVAL_PLAN_H

#include "engine/engine.h"
#include "eval/task.h"

enum { EVAL_LABEL = 80, EVAL_KEY = 33, EVAL_MAX_LIST = 32, EVAL_MAX_CONFIGS = 4096 };

typedef struct eval_config {
    char label[EVAL_LABEL]; /* the policy's name, or a row of the ablation: "boe gate=off" */
    const policy *policy;
    param_set params;
    int length; /* masks appended; 0: the prompts have their own */
    uint64_t seed;
} eval_config;

/* How costs are counted and matched (boe.md, "NFE"). */
typedef struct eval_costs {
    double budget;        /* forwards a sequence may cost, 0: no matching */
    bool charge_backward; /* 2·rows/N more per step */
    bool paper;           /* a step whose TIS comes from one backward at the state itself counts 2 */
} eval_costs;

/* What one call was asked for. Lists are multiplied out: policies x lengths x tokens per step x seeds. */
typedef struct eval_wish {
    const eval_config *policies; /* label, policy and params are used */
    int n_policies;
    int lengths[EVAL_MAX_LIST], n_lengths;
    int rates[EVAL_MAX_LIST], n_rates; /* tokens per step; none: what the parameters say */
    uint64_t seeds[EVAL_MAX_LIST];
    int n_seeds;
} eval_wish;

typedef struct eval_plan {
    const task *task;
    example_set examples;
    eval_config *configs;
    int n_configs;
    eval_costs costs;
    int elbo_draws; /* 0: no perplexities */
    char *identity; /* the model and all that every key shares */
} eval_plan;

/* Prompts in words where the model's tokenizer can express them, else in the task's brief notation. *length:
 * masks to append unless told otherwise. */
int plan_notation(eval_plan *p, const model *m, int *length, err *e) MUST_CHECK;

/* Configurations of a wish, in the order length, tokens per step, policy, seed. ERR_BAD_ARGUMENT for a policy
 * that the model cannot run and for too many. `costs` must be set before. */
int plan_configs(eval_plan *p, const eval_wish *w, const denoiser_info *info, err *e) MUST_CHECK;

/* Sets `identity` from the model, the judge (NULL: none) and how prompts are read. */
int plan_identity(eval_plan *p, const model *m, const model *judge, bool raw, err *e) MUST_CHECK;
void plan_release(eval_plan *p);

/* Items are numbered example by example, so that a run that is cut short has compared all configurations on
 * the examples it got through. */
static inline int plan_items(const eval_plan *p) {
    return p->examples.n * p->n_configs;
}
static inline int plan_example(const eval_plan *p, int item) {
    return item / p->n_configs;
}
static inline int plan_config(const eval_plan *p, int item) {
    return item % p->n_configs;
}

/* 32 hex digits that stand for the item's model, example and configuration; false when memory is short. */
bool plan_key(const eval_plan *p, int item, char out[EVAL_KEY]);

/* 128 bits of a text as 32 hex digits: FNV-1a twice, from two starts, each ended by SplitMix64's finaliser.
 * Not cryptographic. */
void eval_hash(const char *text, size_t n, char out[EVAL_KEY]);

/* Tokens per step that the parameters ask for; 0 when they plan by steps instead. */
int config_rate(const eval_config *c);
void config_set_rate(eval_config *c, int rate);

/* The rows of the paper's Table 5 (ablation) as changes to boe's defaults, or of a sweep that the paper
 * shows. */
typedef struct ablation_row {
    const char *label, *policy;
    const char *const *changes; /* NULL-terminated pairs "name", "value" */
} ablation_row;
extern const ablation_row ablation_rows[]; /* ends with a NULL label */

/* A named setting of the paper. */
typedef struct protocol {
    const char *name, *summary;
    int rates[EVAL_MAX_LIST], n_rates;
} protocol;
extern const protocol protocols[]; /* ends with a NULL name */
const protocol *protocol_find(const char *name);

#endif
