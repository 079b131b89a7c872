/* oracle.c - choose by the true relaxed reduction, which BoE approximates: a forward per candidate. */
#include <stdlib.h>

#include "engine/base/mem.h"
#include "engine/policies/policies.h"

static const score_triple ORACLE = {LOOK_FULL, OBJ_OTHERS, ACTIVE_DENSE};

static int reductions(decision *dec, const int *cand, double *tis, double *norm, err *e) {
    const score_state *s = &dec->state;
    int n = dec->rec->n_cand;
    size_t floats;
    float *soft = NULL;
    if (size_mul((size_t)n, (size_t)denoiser_get_info(s->d)->d_model, &floats))
        soft = mem_new(floats, sizeof *soft);
    if (!soft) return err_set(e, ERR_NO_MEMORY, "out of memory for %d soft writes", n);
    int rc = score_soft(s, cand, n, soft, norm, e);
    if (!rc) rc = score_tis(s, ORACLE, (score_opts){1, 1}, cand, n, soft, tis, &dec->cost, e);
    free(soft);
    return rc;
}

static int score(decision *dec, err *e) {
    step_record *r = dec->rec;
    int *cand;
    int rc = choose_candidates(dec, &cand, e);
    if (rc) return rc;
    double *tis = decision_doubles(dec, r->n_cand, e), *norm = decision_doubles(dec, r->n_cand, e);
    if (!tis || !norm) return ERR_NO_MEMORY;
    rc = reductions(dec, cand, tis, norm, e);
    if (rc) return rc;
    r->tis = r->score = tis; /* no gate, no penalty: the reduction is the score */
    r->delta_e_norm = norm;
    r->tis_name = "full/others/dense";
    return 0;
}

static const param_def *const params[] = {COMMON_PARAMS, &param_candidate_rule, &param_rho,
                                          &param_candidate_bound, NULL};

const policy policy_oracle = {
    .name = "oracle",
    .title = "oracle",
    .help =
        "Chooses by the true relaxed reduction: each candidate's soft write is injected and a whole forward "
        "measures the other entropies (1 + |C| forwards per step). The ceiling of what BoE approximates; a "
        "reduction of entropy is not correctness.",
    .params = params,
    .score = score,
    .keeps = grows_candidates,
    .own_passes = true,
};
