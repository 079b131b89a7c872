/* inspect_ranks.c - every policy asked at one state, over the same forward pass and with the same tokens to
 * write. */
#include <stdlib.h>

#include "engine/inspect_impl.h"
#include "engine/policies/policies.h"

/* What one policy makes of the state, in a record of its own; *order: its candidates, what it would write
 * first at the front. */
static int ask(inspecting *x, const policy *p, const param_set *params, step_record *r, const int **order,
               err *e) {
    decision dec = x->dec;
    policy_memory none = {0};
    bool own = p == session_policy(x->s);
    if (!own) dec.memory = &none;
    if (!own || p->ignores_order) dec.late = NULL; /* by default ends of text are not put off */
    r->masked = x->known->masked;
    r->n_masked = x->known->n_masked;
    dec.params = params;
    dec.rec = r;
    dec.cost = (score_cost){0};
    int rc = p->check ? p->check(params, denoiser_get_info(dec.state.d), e) : 0;
    if (!rc) rc = p->score(&dec, e);
    if (!rc && !(*order = candidates_by_score(&dec, e))) rc = ERR_NO_MEMORY;
    if (none.data) none.forget(none.data);
    x->cost.forwards += dec.cost.forwards;
    x->cost.backward_rows += dec.cost.backward_rows;
    return rc;
}

static int note_ranks(inspecting *x, const step_record *r, const int *order, policy_ranks *out, err *e) {
    int n = x->known->n_masked, *rank = inspect_new(x, (size_t)n, sizeof *rank, e);
    double *score = inspect_new(x, (size_t)n, sizeof *score, e);
    if (!rank || !score) return ERR_NO_MEMORY;
    for (int k = 0; k < r->n_cand; k++) {
        int m = record_masked_index(x->known, r->cand[order[k]]);
        rank[m] = k + 1;
        score[m] = r->score[order[k]];
        if (k) continue;
        out->pos = r->cand[order[k]];
        out->token = propose_token(&x->dec.proposer, m).token;
    }
    out->rank = rank;
    out->score = score;
    return 0;
}

/* A policy that refuses the model or its settings is listed with its reason; other failures end the look. */
static int add(inspecting *x, const policy *p, const param_set *params, policy_ranks *out, err *e) {
    err why = {0};
    step_record *r = record_new();
    if (!r) return err_set(e, ERR_NO_MEMORY, "out of memory for ranks");
    *out = (policy_ranks){.policy = p, .pos = -1, .token = -1};
    const int *order = NULL;
    int rc = ask(x, p, params, r, &order, &why);
    if (!rc) {
        rc = note_ranks(x, r, order, out, e);
    } else if (rc == ERR_BAD_ARGUMENT || rc == ERR_UNSUPPORTED) {
        out->refusal = arena_strdup(&x->out->mem, why.msg);
        rc = 0;
    } else {
        err_set(e, rc, "%s: %s", p->name, why.msg);
    }
    record_unref(r);
    return rc;
}

/* Of policies that rank alike one is enough. */
int inspect_ranks(inspecting *x, err *e) {
    int n = 0, rc = inspect_know(x, e);
    if (rc || !x->dec.budget) return rc;
    while (policies[n]) n++;
    const policy *own = session_policy(x->s);
    policy_ranks *all = inspect_new(x, (size_t)n, sizeof *all, e);
    int *pos = arena_copy(&x->out->mem, x->known->masked, (size_t)x->known->n_masked, sizeof *pos);
    if (!all || !pos) return err_set(e, ERR_NO_MEMORY, "out of memory for ranks");
    int filled = 0;
    rc = add(x, own, x->dec.params, &all[filled++], e);
    for (int i = 0; !rc && i < n; i++) {
        param_set params;
        if (policies[i] == own || policies[i]->ranks_like) continue;
        policy_defaults(policies[i], x->q->tuning, &params);
        rc = add(x, policies[i], &params, &all[filled++], e);
    }
    if (!rc) x->out->ranks = (ranks_view){x->known->n_masked, pos, filled, all};
    return rc;
}
