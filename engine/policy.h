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

/* What a policy remembers from step to step, beyond what the state says: its own struct, freed by `forget`.
 * Whoever jumps to another state empties it. */
typedef struct policy_memory {
    void *data;
    void (*forget)(void *data);
} policy_memory;

/* What a policy may look at and where it puts its scores. */
typedef struct decision {
    score_state state;
    const param_set *params;
    int step, t, T; /* step: decode steps before this one */
    /* Tokens to write now, from 1 to n_scope; a policy that counts for itself changes it while it scores. */
    int budget;
    int quota;   /* what `budget` was before the policy changed it */
    int n_scope; /* masks that may be written: of the block, and not pinned */
    bool last;   /* no step is planned for the block after this one: what it leaves masked is swept up */
    /* The block that the decode is in (all of it without block-length): its first position to generate, its
     * masks at the start, its steps, and which of them this is; its steps as a person counts them, which
     * `plan` made block_steps of unless it was asked midway. */
    int block_begin, block_masks, block_steps, block_step, block_nominal;
    /* Tokens written before that may be put back, ascending; clean_row[j] is the pass's row that predicts
     * position clean[j], or -1 when the policy did not ask for these rows. revealed: probability with which
     * the token standing at a position was written, 0 when that is unknown. */
    int n_clean;
    const int *clean, *clean_row;
    const double *revealed; /* [n_tokens] */
    const bool *late;       /* [n_masked] masks to be written after all others; NULL: none */
    proposer proposer;      /* what a position would be given */
    uint64_t seed;
    policy_memory *memory;
    step_record *rec; /* cand, score, tis, gate, penalty, ... go here, in rec->mem */
    score_cost cost;
} decision;

typedef struct policy policy;
struct policy {
    const char *name;
    const char *title;      /* short, for pane titles */
    const char *help;       /* one paragraph; says where the source is uncertain */
    const char *ranks_like; /* with its defaults it orders positions as this one does; NULL: in its own way */
    const char *const *presets;     /* NULL-terminated pairs "name", "value" that replace defaults; or NULL */
    const param_def *const *params; /* NULL-terminated; includes the common ones */
    int (*check)(const param_set *ps, const denoiser_info *info,
                 err *e); /* may be NULL: refuse impossible settings */
    /* Does `score` take gradients or restricted lookaheads from the step's own pass? NULL: never. */
    bool (*keeps)(const param_set *ps);
    int (*score)(decision *dec, err *e);
    /* May be NULL: the `budget` best scores are written. Otherwise fills rec->writes after `score`, perhaps
     * with none, and with the mask for a token that is put back. */
    int (*write)(decision *dec, err *e);
    /* Puts tokens back: the decode goes on until its last planned step, masks or not. NULL: never. */
    bool (*remasks)(const param_set *ps);
    bool
        write_if_remasks; /* `write` is for settings that put tokens back; else the best scores are written */
    bool reads_clean;     /* wants the rows of clean positions, too */
    /* Decode steps that `steps` as a person gives them come to; NULL: as many. Never fewer. */
    int (*plan)(int steps);
    /* Remembers what the pass of an earlier step said; called for the last looks_back(params) decode steps,
     * in their order, where `memory` was lost. NULL: what it remembers follows from the state. */
    int (*recall)(decision *dec, err *e);
    int (*looks_back)(const param_set *ps);
    bool reads_logits;   /* `score` or `recall` reads whole rows of logits */
    bool looks_ahead;    /* follows several choices for a step with forwards, where there are several */
    bool own_passes;     /* runs forwards beside the step's, which guidance does not reach */
    bool narrow_nucleus; /* top-p leaves out the token that crosses it */
    bool ignores_order;  /* draws each position by itself or ranks them all: eos-last has no hold on it */
};

struct model_tuning;

/* Every policy, in the order of `tabes policies`. NULL-terminated. */
extern const policy *const policies[];

/* By name or alias; NULL when unknown. policy_suggest lists the names for an error message. */
const policy *policy_find(const char *name);
const char *policy_names(void); /* "confidence, margin, ..." */

/* Refuses settings that are impossible for the policy or the model. */
int policy_check(const policy *p, const param_set *params, const denoiser_info *info, err *e) MUST_CHECK;

/* Whether steps read keys and values of earlier passes (kv-cache), so that a decode is not the model's own. A
 * recording's policy may be one that this program does not know: then its table is empty. */
static inline bool policy_approximates(const param_set *params) {
    int i = param_find(params, "kv-cache");
    return i >= 0 && params->v[i] > 0;
}

/* Defaults with the preset applied and, from a model's tabes.json, lambda and h_max. */
void policy_defaults(const policy *p, const struct model_tuning *tuning, param_set *out);

/* Common parameters, shared by all policies (see policies/common.c). */
#define COMMON_PARAMS                                                                                        \
    &param_steps, &param_budget, &param_block_length, &param_temperature, &param_top_k, &param_top_p,        \
        &param_cfg, &param_eos_last, &param_eos_ban, &param_kv_cache, &param_kv_refresh
extern const param_def param_steps, param_budget, param_block_length, param_temperature, param_top_k,
    param_top_p, param_cfg, param_eos_last, param_eos_ban, param_kv_cache, param_kv_refresh;

#endif
