/* session.c - one decode: forward, score, choose, and only then change the state.
 *
 * propose works on the session's scratch and a fresh record; tokens change in commit and seek
 * alone, so a cancelled or failed step leaves nothing behind. */
#include "engine/session.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/base/clock.h"
#include "engine/base/mem.h"
#include "engine/policies/policies.h"
#include "engine/proposal.h"
#include "engine/rank.h"
#include "engine/session_struct.h"
#include "engine/shared_pass.h"

/* ---- opening ---- */

static int check_prompt(const denoiser_info *info, const session_opts *o, err *e) {
    if (o->n_prompt < 0 || o->length < 0) return err_set(e, ERR_BAD_ARGUMENT, "a negative length");
    if (o->length > info->max_len || o->n_prompt > info->max_len - o->length) {
        return err_set(e, ERR_BAD_ARGUMENT,
                       "prompt of %d and generation of %d tokens exceed the model's context of %d",
                       o->n_prompt, o->length, info->max_len);
    }
    int blanks = 0;
    for (int i = 0; i < o->n_prompt; i++) {
        if (o->prompt[i] < 0 || o->prompt[i] >= info->n_vocab) {
            return err_set(e, ERR_BAD_ARGUMENT,
                           "prompt token %d at position %d is outside the vocabulary of %d",
                           (int)o->prompt[i], i, info->n_vocab);
        }
        blanks += o->prompt[i] == info->mask_id;
    }
    if (blanks + o->length > 0) return 0;
    return err_set(e, ERR_BAD_ARGUMENT, "nothing to generate: the length is 0 and the prompt has no masks");
}

static int check_options(const denoiser_info *info, const session_opts *o, err *e) {
    if (!o->policy) return err_set(e, ERR_BAD_ARGUMENT, "no policy; choose one of %s", policy_names());
    if (o->params.defs != o->policy->params) {
        return err_set(e, ERR_BAD_ARGUMENT, "the parameters are not those of policy %s", o->policy->name);
    }
    if (o->top_k < 0 || o->top_k > RECORD_TOP_K) {
        return err_set(e, ERR_BAD_ARGUMENT, "top-k %d; from 0 to %d are kept", o->top_k, RECORD_TOP_K);
    }
    int rc = check_prompt(info, o, e);
    return rc ? rc : policy_check(o->policy, &o->params, info, e);
}

static int allocate(session *s, err *e) {
    size_t n = (size_t)s->n;
    s->start = mem_new(n, sizeof *s->start);
    s->tokens = mem_new(n, sizeof *s->tokens);
    s->pinned = mem_new(n, sizeof *s->pinned);
    s->masked = mem_new(n, sizeof *s->masked);
    s->scope = mem_new(n, sizeof *s->scope);
    s->late = mem_new(n, sizeof *s->late);
    s->past = mem_new(SESSION_PAST * n, sizeof *s->past);
    s->bans = mem_new(N_STOPS, sizeof *s->bans);
    s->rows = mem_new(2 * n, sizeof *s->rows);
    s->revealed = mem_new(n, sizeof *s->revealed);
    s->taken = mem_new(n, sizeof *s->taken);
    s->clean = mem_new(n, sizeof *s->clean);
    s->clean_row = mem_new(n, sizeof *s->clean_row);
    s->bare = mem_new(n, sizeof *s->bare);
    s->p = s->o.shared ? shared_pass_of(s->o.shared) : pass_new();
    bool all = s->start && s->tokens && s->pinned && s->masked && s->scope && s->late && s->past && s->bans &&
               s->rows && s->revealed && s->taken && s->clean && s->clean_row && s->bare && s->p;
    if (all) return cache_open(&s->cache, s->n, e);
    return err_set(e, ERR_NO_MEMORY, "out of memory for a session of %d tokens", s->n);
}

static void forget(session *s) {
    if (s->memory.data && s->memory.forget) s->memory.forget(s->memory.data);
    s->memory = (policy_memory){0};
}

static void as_opened(session *s) {
    traj_header h = {
        .start = s->start, .n_tokens = s->n, .n_prompt = s->o.n_prompt, .mask_id = s->info->mask_id};
    s->policy = s->o.policy;
    s->params = s->o.params;
    s->T = session_planned(&h, s->policy, &s->params, 0, s->m0);
    s->n_bans = 0;
    memset(s->pinned, 0, (size_t)s->n * sizeof *s->pinned);
}

static void lay_out(session *s) {
    for (int i = 0; i < s->n; i++) {
        s->start[i] = i < s->o.n_prompt ? s->o.prompt[i] : s->info->mask_id;
        s->m0 += s->start[i] == s->info->mask_id;
    }
    memcpy(s->tokens, s->start, (size_t)s->n * sizeof *s->tokens);
    s->o.prompt = NULL; /* borrowed for this call only */
    as_opened(s);
    s->origin = blocks_origin(s->start, s->n, s->o.n_prompt, s->info->mask_id);
}

int session_open(session **out, denoiser *d, const session_opts *o, err *e) {
    *out = NULL;
    int rc = check_options(denoiser_get_info(d), o, e);
    if (rc) return rc;
    session *s = mem_new(1, sizeof *s);
    if (!s) return err_set(e, ERR_NO_MEMORY, "out of memory for a session");
    *s = (session){.d = d, .info = denoiser_get_info(d), .o = *o, .n = o->n_prompt + o->length};
    if (s->o.top_k == 0) s->o.top_k = RECORD_TOP_K;
    rc = allocate(s, e);
    if (rc) {
        session_close(s);
        return rc;
    }
    lay_out(s);
    *out = s;
    return 0;
}

void session_close(session *s) {
    if (!s) return;
    if (!s->o.shared) pass_free(s->p);
    cache_close(&s->cache);
    free(s->start);
    free(s->tokens);
    free(s->bans);
    free(s->pinned);
    free(s->masked);
    free(s->scope);
    free(s->late);
    free(s->past);
    free(s->rows);
    free(s->revealed);
    free(s->taken);
    free(s->clean);
    free(s->clean_row);
    free(s->bare);
    forget(s);
    free(s);
}

/* ---- blocks ---- */

bool session_puts_back(const session *s) {
    return s->policy->remasks && s->policy->remasks(&s->params);
}

/* The block of the first mask that can be written; where tokens are put back, the one whose steps these are.
 */
static int current_block(const session *s, int length, int n_blocks) {
    if (session_puts_back(s)) return blocks_at(s->T, n_blocks, s->decoded);
    int front = blocks_front(s->tokens, s->pinned, s->n, s->info->mask_id);
    int b = front < 0 ? n_blocks - 1 : front < s->origin ? 0 : (front - s->origin) / length;
    return b < n_blocks ? b : n_blocks - 1;
}

/* Which step of the block is next. A block begins when the one before has no masks left, which may be before
 * its planned steps are over; so what counts are the steps that were taken in it. */
static int block_step(const session *s, const block *at, int planned) {
    int step = 0;
    if (session_puts_back(s)) return s->decoded - planned;
    for (int i = at->begin; i < at->end; i++) step += s->taken[i];
    return step;
}

/* The positions in scope are those before `end`; tokens can be put back from `begin` on. */
block session_block(const session *s) {
    int length = param_int(&s->params, "block-length");
    int n_blocks = blocks_count(length, s->n - s->origin);
    block at = {.whole = n_blocks == 1, .end = s->n, .masks = s->m0, .steps = s->T, .step = s->decoded};
    at.first = s->origin;
    at.nominal = blocks_nominal(&s->params, 0, n_blocks, s->m0);
    if (at.whole) return at;
    int b = current_block(s, length, n_blocks);
    at.begin = b ? s->origin + b * length : 0;
    at.first = s->origin + b * length;
    if (b < n_blocks - 1) at.end = at.first + length;
    at.steps = blocks_steps(s->T, n_blocks, b);
    at.step = block_step(s, &at, blocks_before(s->T, n_blocks, b));
    at.masks = 0;
    for (int i = at.begin; i < at.end; i++) at.masks += s->start[i] == s->info->mask_id;
    at.nominal = blocks_nominal(&s->params, b, n_blocks, at.masks);
    return at;
}

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

/* ---- the past ---- */

/* The state before a decode step goes to the front. */
static void push_past(session *s, const int32_t *tokens) {
    size_t n = (size_t)s->n;
    memmove(s->past + n, s->past, (SESSION_PAST - 1) * n * sizeof *s->past);
    memcpy(s->past, tokens, n * sizeof *tokens);
    if (s->n_past < SESSION_PAST) s->n_past++;
}

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
    if (rc) forget(s);
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

/* Is there a position that a policy which puts tokens back may write or mask? */
static bool can_go_on(const session *s) {
    for (int i = 0; i < s->n; i++) {
        if (s->start[i] == s->info->mask_id && !s->pinned[i]) return true;
    }
    return false;
}

bool session_goes_on(const session *s, const decision *dec) {
    return dec->budget || (session_puts_back(s) && can_go_on(s) && s->decoded < s->T);
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

static int check_write(const session *s, const step_record *r, const step_write *w, err *e) {
    int32_t mask = s->info->mask_id;
    if (w->pos < 0 || w->pos >= s->n || w->token < 0 || w->token >= s->info->n_vocab) {
        return err_set(e, ERR_BAD_ARGUMENT, "step %d writes token %d at position %d of %d", r->step,
                       (int)w->token, w->pos, s->n);
    }
    bool back = w->token == mask;
    if (r->kind != STEP_DECODE && back != (r->kind == STEP_REMASK)) {
        return err_set(e, ERR_BAD_ARGUMENT, "step %d (%s) writes %s at position %d", r->step,
                       step_kind_name(r->kind), back ? "the mask" : "a token", w->pos);
    }
    if (r->kind == STEP_DECODE && back == (s->tokens[w->pos] == mask)) {
        return err_set(e, ERR_BAD_ARGUMENT, "step %d %s position %d, which is %smasked", r->step,
                       back ? "puts back" : "writes", w->pos, back ? "" : "not ");
    }
    return 0;
}

static int check_commit(const session *s, const step_record *r, err *e) {
    if (r->step != s->k) {
        return err_set(e, ERR_BAD_ARGUMENT, "step %d committed where step %d is next", r->step, s->k);
    }
    int rc = 0;
    for (int i = 0; i < r->n_writes && !rc; i++) rc = check_write(s, r, &r->writes[i], e);
    return rc;
}

/* Everything is checked before anything changes. */
static int apply_setting(session *s, const step_setting *to, err *e) {
    const policy *p = policy_find(to->policy);
    if (!p) return err_set(e, ERR_BAD_ARGUMENT, "unknown policy %s", to->policy);
    if (to->params.defs != p->params)
        return err_set(e, ERR_BAD_ARGUMENT, "the parameters are not those of policy %s", p->name);
    int rc = policy_check(p, &to->params, s->info, e);
    if (rc) return rc;
    for (int i = 0; i < to->n_pins; i++) {
        if (to->pins[i] < 0 || to->pins[i] >= s->n)
            return err_set(e, ERR_BAD_ARGUMENT, "position %d is pinned, of %d", to->pins[i], s->n);
    }
    step_ban *bans = mem_new((size_t)to->n_bans + N_STOPS, sizeof *bans);
    if (bans && to->n_bans) memcpy(bans, to->bans, (size_t)to->n_bans * sizeof *bans);
    if (!bans) return err_set(e, ERR_NO_MEMORY, "out of memory for %d bans", to->n_bans);
    free(s->bans);
    s->bans = bans;
    s->n_bans = to->n_bans;
    memset(s->pinned, 0, (size_t)s->n * sizeof *s->pinned);
    for (int i = 0; i < to->n_pins; i++) s->pinned[to->pins[i]] = true;
    if (p != s->policy) forget(s);
    s->policy = p;
    s->params = to->params;
    s->T = to->T;
    return 0;
}

/* A decode step is about to be taken at these tokens. */
static void count_step(session *s, const int32_t *tokens, const bool *pinned) {
    int front = blocks_front(tokens, pinned, s->n, s->info->mask_id);
    if (front >= 0) s->taken[front]++;
}

int session_commit(session *s, const step_record *r, err *e) {
    int rc = check_commit(s, r, e);
    if (!rc && r->setting) rc = apply_setting(s, r->setting, e);
    if (rc) return rc;
    if (r->kind == STEP_DECODE)
        cache_push(s), push_past(s, s->tokens), count_step(s, s->tokens, s->pinned);
    else
        forget(s), cache_forget(s), s->n_past = 0;
    for (int i = 0; i < r->n_writes; i++) {
        s->tokens[r->writes[i].pos] = r->writes[i].token;
        s->revealed[r->writes[i].pos] = r->writes[i].p;
    }
    s->k++;
    s->decoded += r->kind == STEP_DECODE;
    return 0;
}

session_state session_state_of(const trajectory *t, int n, int32_t *tokens) {
    trajectory_state(t, n, tokens);
    return (session_state){.tokens = tokens,
                           .n = t->head.n_tokens,
                           .k = n,
                           .decoded = trajectory_decoded(t, n),
                           .setting = trajectory_setting(t, n),
                           .from = t};
}

/* Probabilities of the writes that state k shows. */
static void look_up_revealed(session *s, const session_state *to) {
    memset(s->revealed, 0, (size_t)s->n * sizeof *s->revealed);
    for (int k = 0; to->from && k < to->k && k < to->from->n_records; k++) {
        const step_record *r = to->from->records[k];
        for (int i = 0; i < r->n_writes; i++) s->revealed[r->writes[i].pos] = r->writes[i].p;
    }
}

/* Steps as commits would have counted them. */
static void look_up_taken(session *s, const session_state *to) {
    int32_t *tokens = s->bare; /* scratch, as is `late` */
    bool *pinned = s->late;
    memset(s->taken, 0, (size_t)s->n * sizeof *s->taken);
    memset(pinned, 0, (size_t)s->n * sizeof *pinned);
    memcpy(tokens, s->start, (size_t)s->n * sizeof *tokens);
    for (int k = 0; to->from && k < to->k && k < to->from->n_records; k++) {
        const step_record *r = to->from->records[k];
        if (r->kind == STEP_DECODE) count_step(s, tokens, pinned);
        for (int i = 0; i < r->n_writes; i++) tokens[r->writes[i].pos] = r->writes[i].token;
        if (!r->setting) continue;
        memset(pinned, 0, (size_t)s->n * sizeof *pinned);
        for (int i = 0; i < r->setting->n_pins; i++) pinned[r->setting->pins[i]] = true;
    }
}

/* The states before the decode steps that led here, back to the last change by hand. */
static void look_up_past(session *s, const session_state *to) {
    const trajectory *t = to->from;
    int n = 0;
    while (t && n < SESSION_PAST && n < to->k && to->k - n <= t->n_records &&
           t->records[to->k - 1 - n]->kind == STEP_DECODE)
        trajectory_state(t, to->k - 1 - n, s->past + (size_t)n * (size_t)s->n), n++;
    s->n_past = n;
}

int session_seek(session *s, const session_state *to, err *e) {
    if (to->n != s->n)
        return err_set(e, ERR_BAD_ARGUMENT, "a state of %d tokens in a session of %d", to->n, s->n);
    if (to->k < 0 || to->decoded < 0 || to->decoded > to->k)
        return err_set(e, ERR_BAD_ARGUMENT, "step %d with %d decode steps before it", to->k, to->decoded);
    for (int i = 0; i < to->n; i++) {
        if (to->tokens[i] >= 0 && to->tokens[i] < s->info->n_vocab) continue;
        return err_set(e, ERR_BAD_ARGUMENT, "token %d at position %d is outside the vocabulary of %d",
                       (int)to->tokens[i], i, s->info->n_vocab);
    }
    int rc = to->setting ? apply_setting(s, to->setting, e) : 0;
    if (rc) return rc;
    if (!to->setting) as_opened(s);
    forget(s);
    look_up_revealed(s, to);
    look_up_taken(s, to);
    look_up_past(s, to);
    memmove(s->tokens, to->tokens, (size_t)to->n * sizeof *to->tokens);
    s->k = to->k;
    s->decoded = to->decoded;
    cache_seek(s, to);
    return 0;
}

/* ---- looking at it ---- */

denoiser *session_denoiser(session *s) {
    return s->d;
}

const atomic_bool *session_cancel(const session *s) {
    return s->o.cancel;
}

const policy *session_policy(const session *s) {
    return s->policy;
}

int32_t session_start_token(const session *s, int pos) {
    return s->start[pos];
}

bool session_done(const session *s) {
    if (session_puts_back(s) && s->decoded < s->T) return !can_go_on(s);
    for (int i = 0; i < s->n; i++) {
        if (s->tokens[i] == s->info->mask_id) return false;
    }
    return true;
}

int session_step_index(const session *s) {
    return s->k;
}

const int32_t *session_tokens(const session *s, int *n) {
    *n = s->n;
    return s->tokens;
}

static void stamp(char *buf, size_t size) {
    time_t now = time(NULL);
    struct tm utc;
    if (!gmtime_r(&now, &utc) || !strftime(buf, size, "%Y-%m-%dT%H:%M:%SZ", &utc)) buf[0] = '\0';
}

void session_header(const session *s, traj_header *h) {
    const denoiser_info *i = s->info;
    *h = (traj_header){
        .n_vocab = i->n_vocab, .mask_id = i->mask_id, .eos_id = i->eos_id, .shifted = i->shifted};
    memcpy(h->model_name, i->name, sizeof h->model_name);
    memcpy(h->model_arch, i->arch, sizeof h->model_arch);
    memcpy(h->fingerprint, i->fingerprint, sizeof h->fingerprint);
    memcpy(h->dtype, i->dtype, sizeof h->dtype);
    snprintf(h->policy, sizeof h->policy, "%s", s->o.policy->name);
    h->params = s->o.params;
    h->seed = s->o.seed;
    snprintf(h->device, sizeof h->device, "%s", i->device);
    snprintf(h->precision, sizeof h->precision, "%s", i->precision);
    h->threads = kernels_threads();
    stamp(h->created, sizeof h->created);
    h->n_prompt = s->o.n_prompt;
    h->n_tokens = s->n;
    h->start = s->start;
}
