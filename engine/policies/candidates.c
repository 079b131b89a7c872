/* candidates.c - which masks BoE and the oracle score. */
#include <math.h>
#include <stdlib.h>

#include "engine/base/mem.h"
#include "engine/policies/policies.h"
#include "engine/rank.h"

const param_def param_candidate_rule = {
    .name = "candidate-rule",
    .type = PARAM_CHOICE,
    .choices = cand_rule_names,
    .def = CAND_CONFIDENCE,
    .help = "how the candidates C are picked: most confident, largest margin, lowest entropy, all masks, or "
            "auto: "
            "the most confident until the next one's influence is below candidate-bound (ours)"};
const param_def param_rho = {.name = "rho",
                             .type = PARAM_REAL,
                             .min = 0,
                             .max = 1,
                             .def = 0.25,
                             .help = "share of the masks that become candidates, at least the tokens to "
                                     "write (Table 5: 0.1 fast, 0.5 best)"};

const param_def param_candidate_bound = {
    .name = "candidate-bound",
    .type = PARAM_REAL,
    .min = 0,
    .max = 1000,
    .def = 0.05,
    .help = "with candidate-rule auto: least |TIS| in nats of a candidate beyond the tokens to write"};

bool grows_candidates(const param_set *ps) {
    return param_int(ps, "candidate-rule") == CAND_AUTO;
}

static int no_memory(const decision *dec, err *e) {
    return err_set(e, ERR_NO_MEMORY, "out of memory for the candidates of %d masks", dec->state.n_masked);
}

static double by_confidence(const void *ctx, int i) {
    return pass_stats(ctx, i)->confidence;
}

/* TIS of the masks order[n] through the masked rows: one backward for all of them. */
static int influences(decision *dec, const score_state *s, const int *order, int n, double *tis, err *e) {
    static const score_triple through = {LOOK_MASK, OBJ_MASKED, ACTIVE_MASKED};
    size_t floats;
    float *soft = NULL;
    if (size_mul((size_t)n, (size_t)denoiser_get_info(s->d)->d_model, &floats))
        soft = mem_new(floats, sizeof *soft);
    if (!soft) return no_memory(dec, e);
    int rc = score_soft(s, order, n, soft, NULL, e);
    if (!rc) rc = score_tis(s, through, (score_opts){1, 1}, order, n, soft, tis, &dec->cost, e);
    free(soft);
    return rc;
}

/* The most confident masks, as many as are written and on until one has less influence than the bound. */
static int grow(decision *dec, const score_state *s, int *index, int *n_out, err *e) {
    double bound = param_real(dec->params, "candidate-bound"), *tis = decision_doubles(dec, s->n_masked, e);
    int n = 0, taken;
    if (!tis) return ERR_NO_MEMORY;
    rank_order(by_confidence, s->p, s->n_masked, index);
    for (int i = 0; i < s->n_masked; i++) {
        if (!s->scope || s->scope[index[i]]) index[n++] = index[i];
    }
    int rc = influences(dec, s, index, n, tis, e);
    for (taken = dec->budget < n ? dec->budget : n; !rc && taken < n && fabs(tis[taken]) >= bound;) taken++;
    rank_ascending(index, taken);
    *n_out = taken;
    return rc;
}

/* The masks among which candidates are looked for: without the late ones, where enough others are left; else
 * all of them are candidates. */
static bool narrow_scope(const decision *dec, score_state *s, bool *scope) {
    int n = 0;
    for (int m = 0; m < s->n_masked; m++) n += scope[m] = in_scope(dec, m) && !(dec->late && dec->late[m]);
    if (n >= dec->budget) s->scope = scope;
    return n >= dec->budget;
}

int choose_candidates(decision *dec, int **out, err *e) {
    score_state state = dec->state;
    const score_state *s = &state;
    int *index = arena_new(&dec->rec->mem, (size_t)s->n_masked, sizeof *index);
    int *cand = arena_new(&dec->rec->mem, (size_t)s->n_masked, sizeof *cand);
    bool *scope = arena_new(&dec->rec->mem, (size_t)s->n_masked, sizeof *scope);
    if (!index || !cand || !scope) return no_memory(dec, e);
    cand_rule rule = (cand_rule)param_int(dec->params, "candidate-rule");
    if (dec->late && !narrow_scope(dec, &state, scope)) rule = CAND_ALL;
    int n = 0, rc = rule == CAND_AUTO ? grow(dec, s, index, &n, e) : 0;
    if (rc) return rc;
    if (rule != CAND_AUTO) n = score_candidates(s, rule, param_real(dec->params, "rho"), dec->budget, index);
    for (int i = 0; i < n; i++) cand[i] = s->masked[index[i]];
    dec->rec->n_cand = n;
    dec->rec->cand = cand;
    *out = index;
    return 0;
}
