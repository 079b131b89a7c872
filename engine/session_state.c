/* session_state.c - from state to state: commit and seek alone change a session's tokens. */
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/policies/policies.h"
#include "engine/session_struct.h"

/* The state before a decode step goes to the front. */
static void push_past(session *s, const int32_t *tokens) {
    size_t n = (size_t)s->n;
    memmove(s->past + n, s->past, (SESSION_PAST - 1) * n * sizeof *s->past);
    memcpy(s->past, tokens, n * sizeof *tokens);
    if (s->n_past < SESSION_PAST) s->n_past++;
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
    if (p != s->policy) session_forget(s);
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
        session_forget(s), cache_forget(s), s->n_past = 0;
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
    if (!to->setting) session_as_opened(s);
    session_forget(s);
    look_up_revealed(s, to);
    look_up_taken(s, to);
    look_up_past(s, to);
    memmove(s->tokens, to->tokens, (size_t)to->n * sizeof *to->tokens);
    s->k = to->k;
    s->decoded = to->decoded;
    cache_seek(s, to);
    return 0;
}
