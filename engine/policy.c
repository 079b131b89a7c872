/* policy.c - the table of policies and how their defaults come together. */
#include "engine/policy.h"

#include <assert.h>
#include <string.h>

#include "engine/model.h"
#include "engine/policies/policies.h"

/* In the order of `tabes policies`; the test compares these names with the entries' own. */
#define POLICY_LIST(FIRST, X)                                                                                \
    FIRST(confidence, "confidence")                                                                          \
    X(margin, "margin")                                                                                      \
    X(entropy, "entropy")                                                                                    \
    X(random, "random")                                                                                      \
    X(left_to_right, "left-to-right")                                                                        \
    X(boe, "boe")                                                                                            \
    X(boe_others, "boe-others")                                                                              \
    X(boe_mid, "boe-mid")                                                                                    \
    X(boe_rows, "boe-rows")                                                                                  \
    X(boe_horizon, "boe-horizon")                                                                            \
    X(boe_verify, "boe-verify")                                                                              \
    X(oracle, "oracle")                                                                                      \
    X(fixed, "fixed")                                                                                        \
    X(threshold, "threshold")                                                                                \
    X(factor, "factor")                                                                                      \
    X(eb, "eb")                                                                                              \
    X(pc, "pc")                                                                                              \
    X(klass, "klass")                                                                                        \
    X(maskgit, "maskgit")                                                                                    \
    X(dream, "dream")                                                                                        \
    X(p2, "p2")                                                                                              \
    X(remdm, "remdm")                                                                                        \
    X(remdm_llada, "remdm-llada")                                                                            \
    X(fb, "fb")                                                                                              \
    X(dfm, "dfm")                                                                                            \
    X(lookum, "lookum")

#define ENTRY(id, name)      &policy_##id,
#define NAME_FIRST(id, name) name
#define NAME_NEXT(id, name)  ", " name

const policy *const policies[] = {POLICY_LIST(ENTRY, ENTRY) NULL};

const char *policy_names(void) {
    return POLICY_LIST(NAME_FIRST, NAME_NEXT);
}

const policy *policy_find(const char *name) {
    if (strcmp(name, "ltr") == 0) name = policy_left_to_right.name;
    for (int i = 0; policies[i]; i++) {
        if (strcmp(policies[i]->name, name) == 0) return policies[i];
    }
    return NULL;
}

static int check_guidance(const policy *p, const param_set *params, err *e) {
    bool gradients = p->keeps && p->keeps(params);
    if (!(gradients || p->own_passes) || !(param_real(params, "cfg") > 0)) return 0;
    return err_set(e, ERR_BAD_ARGUMENT,
                   "cfg: %s are those of the conditional logits alone, so policy %s cannot be guided",
                   gradients ? "gradients" : "lookaheads", p->name);
}

/* Gradients and lookaheads would be those of another state than the step's logits. */
static int check_cache(const policy *p, const param_set *params, err *e) {
    bool gradients = p->keeps && p->keeps(params);
    if (!param_int(params, "kv-cache")) return 0;
    if (gradients || p->own_passes)
        return err_set(e, ERR_BAD_ARGUMENT, "kv-cache: the %s of policy %s need passes of all rows; use none",
                       gradients ? "gradients" : "lookaheads", p->name);
    if (!(param_real(params, "cfg") > 0)) return 0;
    return err_set(e, ERR_BAD_ARGUMENT,
                   "kv-cache: the guided sequence of cfg is not cached; use one of the two");
}

int policy_check(const policy *p, const param_set *params, const denoiser_info *info, err *e) {
    int rc = check_guidance(p, params, e);
    if (!rc) rc = check_cache(p, params, e);
    return rc || !p->check ? rc : p->check(params, info, e);
}

/* A default that the code or a model's file sets: not `given` by a person. */
static void set_default(param_set *s, const char *name, const char *text) {
    err e = {0};
    int rc = param_parse(s, name, text, &e);
    assert(rc == 0);
    s->given[param_find(s, name)] = false;
}

/* Tuning comes from a file and is held to the parameter's range. */
static void set_tuned(param_set *s, const char *name, double v) {
    int i = param_find(s, name);
    if (i < 0) return;
    const param_def *d = s->defs[i];
    s->v[i] = !(v >= d->min) ? d->min : v > d->max ? d->max : v;
}

void policy_defaults(const policy *p, const struct model_tuning *tuning, param_set *out) {
    param_init(out, p->params);
    for (const char *const *s = p->presets; s && *s; s += 2) set_default(out, s[0], s[1]);
    if (!tuning || !tuning->tuned) return;
    set_tuned(out, "lambda", tuning->lambda);
    set_tuned(out, "h-max", tuning->h_max);
}
