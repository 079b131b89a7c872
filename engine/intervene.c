/* intervene.c - a person's changes to a decode, as step records that replay like the policy's own. */
#include "engine/intervene.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/policy.h"
#include "engine/session.h"

static int no_memory(err *e) {
    return err_set(e, ERR_NO_MEMORY, "out of memory for an intervention");
}

/* ---- settings ---- */

step_setting intervene_current(const trajectory *t, int n) {
    const step_setting *s = trajectory_setting(t, n);
    if (s) return *s;
    step_setting first = {.params = t->head.params};
    snprintf(first.policy, sizeof first.policy, "%s", t->head.policy);
    return first;
}

static int pin_index(const step_setting *s, int pos) {
    int i = 0;
    while (i < s->n_pins && s->pins[i] < pos) i++;
    return i;
}

bool setting_has_pin(const step_setting *s, int pos) {
    int i = pin_index(s, pos);
    return i < s->n_pins && s->pins[i] == pos;
}

int setting_toggle_pin(step_setting *s, int pos, arena *mem, err *e) {
    int at = pin_index(s, pos);
    bool there = setting_has_pin(s, pos);
    int *pins = arena_new(mem, (size_t)s->n_pins + 1, sizeof *pins);
    if (!pins) return no_memory(e);
    for (int i = 0; i < at; i++) pins[i] = s->pins[i];
    if (!there) pins[at] = pos;
    for (int i = at + there; i < s->n_pins; i++) pins[i + (there ? -1 : 1)] = s->pins[i];
    s->n_pins += there ? -1 : 1;
    s->pins = pins;
    return 0;
}

static int ban_index(const step_setting *s, step_ban b) {
    for (int i = 0; i < s->n_bans; i++) {
        if (s->bans[i].pos == b.pos && s->bans[i].token == b.token) return i;
    }
    return -1;
}

bool setting_has_ban(const step_setting *s, step_ban b) {
    return ban_index(s, b) >= 0;
}

static bool bans_token(const step_setting *s, int pos, int32_t token) {
    return setting_has_ban(s, (step_ban){pos, token}) || setting_has_ban(s, (step_ban){-1, token});
}

token_prob setting_proposes(const step_setting *s, const step_record *r, int pos) {
    int k = record_masked_index(r, pos);
    for (int i = 0; k >= 0 && i < r->n_writes; i++) {
        if (r->writes[i].pos == pos) return (token_prob){r->writes[i].token, r->writes[i].p};
    }
    if (k < 0 || !r->argmax) return (token_prob){-1, 0};
    if (!bans_token(s, pos, r->argmax[k]))
        return (token_prob){r->argmax[k], r->confidence ? r->confidence[k] : 0};
    for (int t = 0; r->top && t < r->top_k; t++) {
        token_prob x = r->top[(size_t)k * (size_t)r->top_k + (size_t)t];
        if (x.id >= 0 && !bans_token(s, pos, x.id)) return x;
    }
    return (token_prob){-1, 0};
}

int setting_toggle_ban(step_setting *s, step_ban b, arena *mem, err *e) {
    int at = ban_index(s, b), n = 0;
    step_ban *bans = arena_new(mem, (size_t)s->n_bans + 1, sizeof *bans);
    if (!bans) return no_memory(e);
    for (int i = 0; i < s->n_bans; i++) {
        if (i != at) bans[n++] = s->bans[i];
    }
    if (at < 0) bans[n++] = b;
    s->n_bans = n;
    s->bans = bans;
    return 0;
}

/* ---- records ---- */

/* A record of `kind` at state n, and the tokens there (to be freed). */
static int begin(step_record **out, int32_t **tokens, const trajectory *t, int n, step_kind kind, err *e) {
    *out = NULL;
    *tokens = NULL;
    if (n < 0 || n > t->n_records)
        return err_set(e, ERR_BAD_ARGUMENT, "state %d of a decode of %d", n, t->n_records);
    step_record *r = record_new();
    *tokens = mem_new((size_t)t->head.n_tokens, sizeof **tokens);
    if (!r || !*tokens) {
        record_unref(r);
        free(*tokens);
        *tokens = NULL;
        return no_memory(e);
    }
    trajectory_state(t, n, *tokens);
    step_setting now = intervene_current(t, n);
    int masks = 0, decoded = trajectory_decoded(t, n);
    for (int i = 0; i < t->head.n_tokens; i++) masks += t->head.start[i] == t->head.mask_id;
    r->step = n;
    r->kind = kind;
    r->T = trajectory_setting(t, n)
               ? now.T
               : session_planned(&t->head, policy_find(now.policy), &now.params, 0, masks);
    if (r->T < 1) r->T = 1;
    r->t = r->T - decoded > 1 ? r->T - decoded : 1;
    *out = r;
    return 0;
}

static int finish(step_record **out, int32_t *tokens, int rc) {
    free(tokens);
    if (!rc) return 0;
    record_unref(*out);
    *out = NULL;
    return rc;
}

static int check_position(const trajectory *t, int pos, err *e) {
    if (pos >= 0 && pos < t->head.n_tokens) return 0;
    return err_set(e, ERR_BAD_ARGUMENT, "position %d; there are 0..%d", pos, t->head.n_tokens - 1);
}

static int check_once(const step_write *w, int i, err *e) {
    for (int j = 0; j < i; j++) {
        if (w[j].pos == w[i].pos) return err_set(e, ERR_BAD_ARGUMENT, "position %d twice", w[i].pos);
    }
    return 0;
}

static int fill_writes(step_record *r, const trajectory *t, const step_write *writes, int n, err *e) {
    if (n <= 0) return err_set(e, ERR_BAD_ARGUMENT, "no position is named");
    for (int i = 0; i < n; i++) {
        int rc = check_position(t, writes[i].pos, e);
        if (!rc) rc = check_once(writes, i, e);
        if (rc) return rc;
        int32_t token = writes[i].token;
        if (token < 0 || token >= t->head.n_vocab || (token == t->head.mask_id) != (r->kind == STEP_REMASK))
            return err_set(e, ERR_BAD_ARGUMENT, "token %d cannot be written", (int)token);
    }
    r->writes = arena_copy(&r->mem, writes, (size_t)n, sizeof *writes);
    r->n_writes = n;
    return r->writes ? 0 : no_memory(e);
}

int intervene_write(step_record **out, const trajectory *t, int n, const step_write *writes, int n_writes,
                    err *e) {
    int32_t *tokens;
    int rc = begin(out, &tokens, t, n, STEP_FORCE, e);
    if (rc) return rc;
    return finish(out, tokens, fill_writes(*out, t, writes, n_writes, e));
}

static int fill_remask(step_record *r, const trajectory *t, const int32_t *tokens, const int *pos, int n,
                       err *e) {
    step_setting now = intervene_current(t, r->step);
    step_write *writes = mem_new((size_t)n, sizeof *writes);
    int rc = writes ? 0 : no_memory(e);
    for (int i = 0; i < n && !rc; i++) {
        writes[i] = (step_write){.pos = pos[i], .token = t->head.mask_id};
        if ((rc = check_position(t, pos[i], e))) break;
        if (tokens[pos[i]] == t->head.mask_id)
            rc = err_set(e, ERR_BAD_ARGUMENT, "position %d is masked already", pos[i]);
        else if (setting_has_pin(&now, pos[i]))
            rc = err_set(e, ERR_BAD_ARGUMENT, "position %d is pinned", pos[i]);
    }
    if (!rc) rc = fill_writes(r, t, writes, n, e);
    free(writes);
    return rc;
}

int intervene_remask(step_record **out, const trajectory *t, int n, const int *pos, int n_pos, err *e) {
    int32_t *tokens;
    int rc = begin(out, &tokens, t, n, STEP_REMASK, e);
    if (rc) return rc;
    return finish(out, tokens, fill_remask(*out, t, tokens, pos, n_pos, e));
}

static int check_setting(const trajectory *t, const step_setting *s, const denoiser_info *info, err *e) {
    const policy *p = policy_find(s->policy);
    if (!p)
        return err_set(e, ERR_BAD_ARGUMENT, "unknown policy %s; choose one of %s", s->policy, policy_names());
    if (s->params.defs != p->params)
        return err_set(e, ERR_BAD_ARGUMENT, "the parameters are not those of policy %s", p->name);
    int rc = policy_check(p, &s->params, info, e);
    for (int i = 0; i < s->n_pins && !rc; i++) rc = check_position(t, s->pins[i], e);
    for (int i = 0; i < s->n_bans && !rc; i++) {
        if (s->bans[i].pos != -1) rc = check_position(t, s->bans[i].pos, e);
        if (!rc && (s->bans[i].token < 0 || s->bans[i].token >= t->head.n_vocab))
            rc = err_set(e, ERR_BAD_ARGUMENT, "token %d is outside the vocabulary of %d",
                         (int)s->bans[i].token, t->head.n_vocab);
    }
    return rc;
}

int intervene_setting(step_record **out, const trajectory *t, int n, const step_setting *to,
                      const denoiser_info *info, err *e) {
    int32_t *tokens;
    int rc = begin(out, &tokens, t, n, STEP_SETTING, e);
    if (rc) return rc;
    rc = check_setting(t, to, info, e);
    if (!rc) {
        step_setting s = *to;
        int masks = 0, decoded = trajectory_decoded(t, n);
        for (int i = 0; i < t->head.n_tokens; i++) masks += tokens[i] == t->head.mask_id;
        s.T = session_planned(&t->head, policy_find(s.policy), &s.params, decoded, masks);
        if (s.T < 1) s.T = 1;
        (*out)->T = s.T;
        (*out)->t = s.T - decoded > 1 ? s.T - decoded : 1;
        if (!record_set_setting(*out, &s)) rc = no_memory(e);
    }
    return finish(out, tokens, rc);
}
