/* session_step.c - what the next step would be: forward, score, choose.
 *
 * That works on the session's scratch and a fresh record and changes nothing else, so a cancelled or failed
 * step leaves nothing behind. */

#include "engine/base/clock.h"
#include "engine/policies/policies.h"
#include "engine/proposal.h"
#include "engine/session_struct.h"
#include "engine/shared_pass.h"

/* ---- what is known ---- */

/* Tokens to write now. Steps whose share is 0 come last, when nothing is left to write; masks that a
 * person put back are written at the pace of the plan, at least one a step, also past its end. In blocks, and
 * where tokens are put back, what is left is shared out evenly over the steps that are left, which comes to
 * the same. */
static int quota_now(const session *s, const block *at) {
    int steps = param_int(&s->params, "steps"), budget = param_int(&s->params, "budget"), b;
    if (at->whole && !session_puts_back(s)) {
        b = session_quota(s->m0, steps, budget, s->decoded);
    } else if (!steps) {
        b = budget;
    } else {
        int left = at->steps - at->step;
        b = left > 0 ? (s->n_scope + left - 1) / left : session_quota(at->masks, at->steps, budget, at->step);
    }
    if (b < 1) b = 1;
    return b < s->n_scope ? b : s->n_scope;
}

/* Masks, those in scope, and written tokens that could be put back; rows to ask for, masked ones first. */
static void find_masks(session *s, const block *at) {
    int32_t mask = s->info->mask_id;
    s->n_masked = s->n_scope = s->n_clean = 0;
    for (int i = 0; i < s->n; i++) {
        bool open = !s->pinned[i] && i < at->end;
        if (s->tokens[i] == mask) {
            s->rows[s->n_masked] = (row_ref){0, i};
            s->scope[s->n_masked] = open;
            s->n_scope += open;
            s->masked[s->n_masked++] = i;
        } else if (open && i >= at->begin && s->start[i] == mask) {
            s->clean[s->n_clean++] = i;
        }
    }
    for (int j = 0; j < s->n_clean; j++) {
        s->clean_row[j] = s->policy->reads_clean ? s->n_masked + j : -1;
        s->rows[s->n_masked + j] = (row_ref){0, s->clean[j]};
    }
}

int session_asks(const session *s) {
    return s->n_masked + (s->policy->reads_clean ? s->n_clean : 0);
}

/* Guidance mixes whole rows; a pass that does not store them can still be read, at the price of computing
 * them again. */
bool session_reads_logits(const session *s) {
    return param_real(&s->params, "cfg") > 0 || param_real(&s->params, "temperature") > 0 ||
           s->policy->reads_logits;
}

int session_forward(session *s, decision *dec, pass *p, kept_rows kept, err *e) {
    double guidance = param_real(&s->params, "cfg");
    int n_rows = session_asks(s), n_seqs = guidance > 0 ? 2 : 1, rc;
    for (int i = 0; i < s->n; i++)
        s->bare[i] = s->start[i] == s->info->mask_id ? s->tokens[i] : s->info->mask_id;
    for (int i = 0; i < n_rows && n_seqs == 2; i++) s->rows[n_rows + i] = (row_ref){1, s->rows[i].pos};
    sequence seqs[2] = {{s->tokens, s->n}, {s->bare, s->n}};
    forward_req q = {.seqs = seqs, .n_seqs = n_seqs, .rows = s->rows, .n_rows = n_seqs * n_rows};
    q.keep = kept != KEPT_NONE, q.keep_asked = kept == KEPT_ASKED;
    q.whole_rows = session_reads_logits(s);
    q.cancel = s->o.cancel;
    s->pass_ms = 0;
    if (s->o.shared && p == s->p) {
        rc = shared_pass_run(s->o.shared, s->d, &q, guidance, &p, &s->pass_ms, e);
    } else {
        rc = denoiser_forward(s->d, &q, p, e);
        if (!rc && n_seqs == 2) rc = pass_guide(p, guidance, e);
    }
    dec->state.p = dec->proposer.p = p;
    return rc;
}

int session_no_memory(const session *s, err *e) {
    return err_set(e, ERR_NO_MEMORY, "out of memory for the record of step %d", s->k);
}

static int record_top(const session *s, const pass *p, step_record *r, err *e) {
    size_t n = (size_t)r->n_masked, k = (size_t)s->o.top_k;
    token_prob *top = arena_new(&r->mem, n * k, sizeof *top);
    if (!top) return session_no_memory(s, e);
    for (int m = 0; m < r->n_masked; m++) {
        int32_t ids[RECORD_TOP_K];
        double probs[RECORD_TOP_K];
        int found = pass_top(p, m, s->o.top_k, ids, probs);
        token_prob *at = top + (size_t)m * k;
        for (int i = 0; i < s->o.top_k; i++) {
            at[i] = i < found ? (token_prob){ids[i], probs[i]} : (token_prob){-1, 0};
        }
    }
    r->top_k = s->o.top_k;
    r->top = top;
    return 0;
}

static int record_known(const session *s, const pass *p, step_record *r, err *e) {
    size_t n = (size_t)s->n_masked;
    double *H = arena_new(&r->mem, n, sizeof *H), *conf = arena_new(&r->mem, n, sizeof *conf);
    double *margin = arena_new(&r->mem, n, sizeof *margin);
    int32_t *argmax = arena_new(&r->mem, n, sizeof *argmax);
    int *masked = arena_copy(&r->mem, s->masked, n, sizeof *masked);
    if (!H || !conf || !margin || !argmax || !masked) return session_no_memory(s, e);
    for (int m = 0; m < s->n_masked; m++) {
        const k_row_stats *st = pass_stats(p, m);
        H[m] = st->entropy;
        conf[m] = st->confidence;
        margin[m] = st->margin;
        argmax[m] = st->argmax;
        r->total_entropy += st->entropy;
    }
    r->n_masked = s->n_masked;
    r->masked = masked;
    r->entropy = H;
    r->confidence = conf;
    r->margin = margin;
    r->argmax = argmax;
    return record_top(s, p, r, e);
}

/* ---- a step ---- */

/* With eos-ban the ends of text and turn are banned everywhere; room for them is behind the person's bans. */
static int add_stops(session *s) {
    int n = 0;
    if (!param_bool(&s->params, "eos-ban")) return 0;
    for (int i = 0; i < N_STOPS; i++) {
        int32_t id = i ? s->info->turn_end_id : s->info->eos_id;
        if (id >= 0) s->bans[s->n_bans + n++] = (step_ban){-1, id};
    }
    return n;
}

/* Masks that would become the end of text or turn, unless all of them would. */
static void find_late(session *s, decision *dec) {
    int late = 0;
    for (int m = 0; m < s->n_masked; m++) {
        int32_t token = s->scope[m] ? propose_token(&dec->proposer, m).token : -1;
        s->late[m] = token >= 0 && (token == s->info->eos_id || token == s->info->turn_end_id);
        late += s->late[m];
    }
    dec->late = late && late < s->n_scope ? s->late : NULL;
}

void session_decide(session *s, step_record *r, decision *dec) {
    block at = session_block(s);
    find_masks(s, &at);
    r->step = s->k;
    r->kind = STEP_DECODE;
    r->T = s->T;
    r->t = s->T - s->decoded > 1 ? s->T - s->decoded : 1;
    *dec = (decision){
        .state = {s->d, s->p, s->tokens, s->n, s->masked, s->n_masked, s->scope, s->o.cancel},
        .params = &s->params,
        .step = s->decoded,
        .t = r->t,
        .T = s->T,
        .budget = quota_now(s, &at),
        .quota = quota_now(s, &at),
        .n_scope = s->n_scope,
        .last = at.step >= at.steps - 1,
        .block_begin = at.first,
        .block_masks = at.masks,
        .block_steps = at.steps,
        .block_nominal = at.nominal,
        .block_step = at.step,
        .n_clean = s->n_clean,
        .clean = s->clean,
        .clean_row = s->clean_row,
        .revealed = s->revealed,
        .seed = s->o.seed,
        .memory = &s->memory,
        .proposer = {.p = s->p,
                     .narrow = s->policy->narrow_nucleus,
                     .n_vocab = s->info->n_vocab,
                     .temperature = param_real(&s->params, "temperature"),
                     .top_k = param_int(&s->params, "top-k"),
                     .top_p = param_real(&s->params, "top-p"),
                     .seed = s->o.seed,
                     .step = s->decoded,
                     .bans = s->bans,
                     .n_bans = s->n_bans + add_stops(s)},
        .rec = r,
    };
}

/* ---- steps before it ---- */

/* One earlier step as it was, for the policy to remember. */
static int recall_step(session *s, int back, err *e) {
    int32_t *now = s->tokens;
    step_record *r = record_new();
    decision dec;
    if (!r) return session_no_memory(s, e);
    s->tokens = s->past + (size_t)back * (size_t)s->n;
    s->decoded -= back + 1;
    session_decide(s, r, &dec);
    int rc = policy_approximates(&s->params) ? cache_recall(s, &dec, back, e)
                                             : session_forward(s, &dec, s->p, KEPT_NONE, e);
    if (!rc) rc = s->policy->recall(&dec, e);
    s->decoded += back + 1;
    s->tokens = now;
    record_unref(r);
    return rc;
}

int session_lost(const session *s) {
    int n = s->policy->recall && !s->memory.data ? s->policy->looks_back(&s->params) : 0;
    return n < s->n_past ? n : s->n_past;
}

/* A policy that remembers, and has lost it by a jump, goes through the last steps again; that is not billed.
 * If that ends half way, nothing is remembered. */
static int recall(session *s, decision *dec, err *e) {
    int rc = 0, n = session_lost(s);
    for (int back = n - 1; back >= 0 && !rc; back--) rc = recall_step(s, back, e);
    if (rc) session_forget(s);
    if (!rc && n) session_decide(s, dec->rec, dec); /* the scratch is this step's again */
    return rc;
}

static int know(session *s, decision *dec, kept_rows kept, bool exact, err *e) {
    int rc = recall(s, dec, e);
    if (!rc) rc = exact ? session_forward(s, dec, s->p, kept, e) : cache_forward(s, dec, e);
    if (!rc && proposer_reads_logits(&dec->proposer)) rc = pass_read(dec->state.p, NULL, 0, e);
    if (!rc && param_bool(&s->params, "eos-last")) find_late(s, dec);
    return rc ? rc : record_known(s, dec->state.p, dec->rec, e);
}

int session_know(session *s, decision *dec, kept_rows kept, err *e) {
    return know(s, dec, kept, true, e);
}

/* ---- proposing ---- */

/* Gradients are those of one pass of all rows. */
static bool observes(const session *s) {
    return s->o.observe_tis && !policy_approximates(&s->params) && !(param_real(&s->params, "cfg") > 0);
}

/* Gradients of dense triples go through rows that are not asked for as well. */
kept_rows session_keeps(const session *s) {
    const policy *p = s->policy;
    if (!observes(s) && !(p->keeps && p->keeps(&s->params))) return KEPT_NONE;
    bool dense = param_find(&s->params, "active") >= 0 && param_int(&s->params, "active") == ACTIVE_DENSE;
    return dense ? KEPT_ALL : KEPT_ASKED;
}

static int fill(session *s, step_record *r, decision *dec, err *e) {
    double begin = clock_now();
    bool exact = !policy_approximates(&s->params);
    s->pass_ms = 0;
    int rc = know(s, dec, session_keeps(s), exact, e);
    if (!rc) rc = session_choose(s, dec, e);
    if (rc) return rc;
    r->nfe = (param_real(&s->params, "cfg") > 0 ? 2 : 1) + dec->cost.forwards;
    r->backward_rows = dec->cost.backward_rows;
    double end = clock_now();
    r->ms = (end - begin) * 1e3 + s->pass_ms;
    if (!observes(s) || r->tis) return 0;
    rc = session_observe(dec, e);
    r->observe_ms = (clock_now() - end) * 1e3;
    return rc;
}

bool session_goes_on(const session *s, const decision *dec) {
    return dec->budget || (session_puts_back(s) && session_can_go_on(s) && s->decoded < s->T);
}

int session_propose(session *s, const step_record **out, err *e) {
    *out = NULL;
    decision dec;
    step_record *r = record_new();
    if (!r) return session_no_memory(s, e);
    session_decide(s, r, &dec);
    bool more = session_goes_on(s, &dec);
    int rc = more ? fill(s, r, &dec, e) : 0;
    if (rc || !more) {
        record_unref(r);
        return rc;
    }
    *out = r;
    return 0;
}
