/* session_choose.c - from scores to writes: the policy's own choice, or the best scores. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "engine/base/mem.h"
#include "engine/policies/policies.h"
#include "engine/proposal.h"
#include "engine/session_struct.h"

static int check_scores(const step_record *r, err *e) {
    for (int i = 0; i < r->n_cand; i++) {
        if (!isfinite(r->score[i])) {
            return err_set(e, ERR_BAD_FORMAT, "the score at position %d is not a number", r->cand[i]);
        }
    }
    return 0;
}

static int write_at(const decision *dec, int i, step_write *out, err *e) {
    const step_record *r = dec->rec;
    int m = record_masked_index(r, r->cand[i]);
    assert(m >= 0);
    proposal x = propose_token(&dec->proposer, m);
    if (x.token < 0) return err_set(e, ERR_BAD_ARGUMENT, "position %d: every token is banned", r->cand[i]);
    *out = (step_write){.pos = r->cand[i], .token = x.token, .p = x.p, .score = r->score[i]};
    return 0;
}

/* The `budget` best scores, each with its token; late ones after all others. */
static int choose_best(const session *s, decision *dec, err *e) {
    step_record *r = dec->rec;
    int budget = dec->budget, rc = check_scores(r, e);
    if (rc) return rc;
    assert(r->n_cand >= budget);
    int *order = candidates_by_score(dec, e);
    step_write *writes = arena_new(&r->mem, (size_t)budget, sizeof *writes);
    if (!order || !writes) return session_no_memory(s, e);
    for (int i = 0; i < budget && !rc; i++) rc = write_at(dec, order[i], &writes[i], e);
    if (rc) return rc;
    r->n_writes = budget;
    r->writes = writes;
    return 0;
}

/* Tokens before what is put back; among tokens the best score first, among the others the worst. */
static int by_rank(const void *a, const void *b, void *ctx) {
    const step_write *x = a, *y = b;
    int32_t mask = *(const int32_t *)ctx;
    if ((x->token == mask) != (y->token == mask)) return x->token == mask ? 1 : -1;
    if (x->score < y->score || x->score > y->score)
        return (x->score < y->score) == (x->token == mask) ? -1 : 1;
    return x->pos - y->pos;
}

static int choose_itself(const session *s, decision *dec, err *e) {
    int rc = check_scores(dec->rec, e);
    if (!rc) rc = s->policy->write(dec, e);
    if (rc) return rc;
    step_write *writes = (step_write *)(uintptr_t)dec->rec->writes; /* made by begin_writes */
    int32_t mask = s->info->mask_id;
    qsort_r(writes, (size_t)dec->rec->n_writes, sizeof *writes, by_rank, &mask);
    return 0;
}

static bool writes_itself(const session *s) {
    return s->policy->write && (!s->policy->write_if_remasks || session_puts_back(s));
}

/* The policy's own choice, or the best scores. What is still masked after the last planned step is swept up
 * at once: the most probable tokens, without noise. */
static int choose(session *s, decision *dec, err *e) {
    if (!writes_itself(s)) return choose_best(s, dec, e);
    if (s->decoded < s->T) return choose_itself(s, dec, e);
    dec->budget = dec->n_scope;
    dec->proposer.temperature = 0;
    int rc = policy_confidence.score(dec, e);
    return rc ? rc : choose_best(s, dec, e);
}

int session_choose(session *s, decision *dec, err *e) {
    int rc = s->policy->score(dec, e);
    if (!rc && dec->budget > dec->rec->n_cand && !writes_itself(s)) dec->budget = dec->rec->n_cand;
    return rc ? rc : choose(s, dec, e);
}

/* ---- looking on ---- */

/* TIS of the default triple at the default candidates, from the pass that is there anyway. */
int session_observe(const decision *dec, err *e) {
    static const score_triple shown = {LOOK_MASK, OBJ_MASKED, ACTIVE_CANDIDATES};
    const score_state *st = &dec->state;
    step_record *r = dec->rec;
    size_t n = (size_t)st->n_masked, d = (size_t)denoiser_get_info(st->d)->d_model;
    int *index = arena_new(&r->mem, n, sizeof *index), *pos = arena_new(&r->mem, n, sizeof *pos);
    if (!index || !pos) return err_set(e, ERR_NO_MEMORY, "out of memory for observing TIS");
    int n_cand = score_candidates(st, CAND_CONFIDENCE, 0.25, dec->budget, index);
    double *tis = arena_new(&r->mem, (size_t)n_cand, sizeof *tis);
    float *soft = mem_new((size_t)n_cand * d, sizeof *soft);
    score_cost unbilled = {0};
    int rc = tis && soft ? 0 : err_set(e, ERR_NO_MEMORY, "out of memory for observing TIS");
    if (!rc) rc = score_soft(st, index, n_cand, soft, NULL, e);
    if (!rc) rc = score_tis(st, shown, (score_opts){1, 1}, index, n_cand, soft, tis, &unbilled, e);
    free(soft);
    if (rc) return rc;
    for (int i = 0; i < n_cand; i++) pos[i] = st->masked[index[i]];
    r->n_observed = n_cand;
    r->observed = pos;
    r->observed_tis = tis;
    r->observed_name = "mask/masked/candidates";
    return 0;
}
