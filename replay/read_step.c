/* read_step.c - a step line becomes a step record. What it says must fit the state that the steps before it
 * lead to. */
#include "replay/read_impl.h"

#include <limits.h>
#include <math.h>
#include <string.h>

/* The list must name exactly the masks of the state. */
static void read_masked(reader *r, const json_value *root, step_record *s) {
    const trajectory *t = &r->rp->traj;
    s->masked = reader_get_positions(r, root, "masked", &s->n_masked);
    if (r->rc) return;
    const json_value *list = json_find(root, "masked"), *item = list->child;
    int i = 0;
    for (int pos = 0; pos < t->head.n_tokens; pos++) {
        bool is_mask = t->last[pos] == t->head.mask_id, listed = i < s->n_masked && s->masked[i] == pos;
        if (is_mask && !listed)
            reader_contradict(r, item ? item : list, "masked: position %d is masked and not listed", pos);
        if (listed && !is_mask) reader_contradict(r, item, "masked: position %d is not masked", pos);
        if (r->rc) return;
        if (listed) {
            i++;
            item = item ? item->next : NULL;
        }
    }
}

static void read_top(reader *r, const json_value *root, step_record *s) {
    int k = reader_get_int(r, root, "top_k", 1, RECORD_TOP_K), n = s->n_masked, rows;
    const json_value *ids = reader_as_array(r, reader_need(r, root, "top_ids"), "top_ids", n, n, &rows);
    const json_value *ps = reader_as_array(r, reader_need(r, root, "top_p"), "top_p", n, n, &rows);
    token_prob *top = reader_take(r, (size_t)n * (size_t)k, sizeof *top);
    if (r->rc) return;
    const json_value *a = ids->child, *b = ps->child;
    for (int i = 0; i < n && !r->rc; i++, a = a->next, b = b->next) {
        token_prob *row = top + (size_t)i * (size_t)k;
        int n_ids, n_ps;
        a = reader_as_array(r, a, "top_ids", -1, k, &n_ids);
        b = reader_as_array(r, b, "top_p", -1, k, &n_ps);
        if (!r->rc && n_ids != n_ps)
            reader_fail_at(r, b, "top_p has %d items where top_ids has %d", n_ps, n_ids);
        if (r->rc) return;
        const json_value *id = a->child, *p = b->child;
        for (int j = 0; j < k; j++) {
            row[j] = (token_prob){.id = -1};
            if (j >= n_ids) continue;
            row[j].id = (int32_t)reader_as_int(r, id, "top_ids", 0, r->rp->traj.head.n_vocab - 1);
            row[j].p = reader_as_real(r, p, "top_p", P_LOW, P_HIGH);
            id = id->next;
            p = p->next;
        }
    }
    s->top = top;
    s->top_k = k;
}

static void read_known(reader *r, const json_value *root, step_record *s) {
    bool decode = s->kind == STEP_DECODE;
    double most = log((double)r->rp->traj.head.n_vocab) + 1e-3;
    if (decode || json_find(root, "masked")) read_masked(r, root, s);
    int n = s->n_masked;
    if (decode || json_find(root, "entropy")) {
        s->entropy = reader_get_reals(r, root, "entropy", n, -1e-3, most);
        s->confidence = reader_get_reals(r, root, "confidence", n, P_LOW, P_HIGH);
        s->margin = reader_get_reals(r, root, "margin", n, P_LOW, P_HIGH);
        s->argmax = reader_get_ids(r, root, "argmax", n);
    }
    if (!r->rc && json_find(root, "top_k")) read_top(r, root, s);
    s->total_entropy = reader_get_real(r, root, "total_entropy", -ANY, ANY);
}

/* Candidates and observed positions are some of the masked ones. */
static void check_subset(reader *r, const json_value *obj, const char *key, const step_record *s,
                         const int *list) {
    const json_value *c = r->rc ? NULL : json_find(obj, key)->child;
    for (int i = 0; c; c = c->next, i++) {
        if (record_masked_index(s, list[i]) < 0)
            reader_contradict(r, c, "%s: position %d is not masked", key, list[i]);
    }
}

static const char *maybe_name(reader *r, const json_value *obj, const char *key) {
    if (r->rc || !json_find(obj, key)) return NULL;
    char *copy = arena_strdup(r->mem, reader_get_text(r, obj, key, 64));
    if (!copy) reader_fail_memory(r);
    return copy;
}

static void read_scored(reader *r, const json_value *root, step_record *s) {
    const json_value *seen = r->rc ? NULL : json_find(root, "observed");
    if (!r->rc && json_find(root, "candidates")) {
        s->cand = reader_get_positions(r, root, "candidates", &s->n_cand);
        check_subset(r, root, "candidates", s, s->cand);
        int n = s->n_cand;
        s->score = reader_maybe_reals(r, root, "score", n, -ANY, ANY);
        s->tis = reader_maybe_reals(r, root, "tis", n, -ANY, ANY);
        s->gate = reader_maybe_reals(r, root, "gate", n, P_LOW, P_HIGH);
        s->penalty = reader_maybe_reals(r, root, "penalty", n, -ANY, ANY);
        s->delta_e_norm = reader_maybe_reals(r, root, "delta_e_norm", n, 0, ANY);
        s->tis_name = maybe_name(r, root, "tis_name");
        s->h_t = reader_get_real(r, root, "h_t", -ANY, ANY);
        s->lambda_t = reader_get_real(r, root, "lambda_t", -ANY, ANY);
    }
    if (seen && !json_is(seen, JSON_OBJECT)) reader_fail_at(r, seen, "observed is not an object");
    if (seen && !r->rc) {
        s->observed = reader_get_positions(r, seen, "positions", &s->n_observed);
        check_subset(r, seen, "positions", s, s->observed);
        s->observed_tis = reader_get_reals(r, seen, "tis", s->n_observed, -ANY, ANY);
        s->observed_name = maybe_name(r, seen, "name");
    }
}

static void check_write(reader *r, const json_value *item, step_kind kind, const step_write *w) {
    const traj_header *h = &r->rp->traj.head;
    const json_value *pos = json_find(item, "pos"), *token = json_find(item, "token");
    if (w->pos < 0) reader_fail_at(r, pos, "writes: position %d is negative", w->pos);
    if (w->pos >= h->n_tokens)
        reader_fail_at(r, pos, "writes: position %d is past the end (%d)", w->pos, h->n_tokens);
    if (r->rc) return;
    bool is_mask = r->rp->traj.last[w->pos] == h->mask_id;
    if (r->masked[w->pos]) reader_contradict(r, pos, "writes: position %d is written twice", w->pos);
    bool back = w->token == h->mask_id; /* a policy may put tokens back, since 1.2 */
    if (kind == STEP_DECODE && !back && !is_mask)
        reader_contradict(r, pos, "writes: position %d is not masked", w->pos);
    if ((kind == STEP_REMASK || (kind == STEP_DECODE && back)) && is_mask)
        reader_contradict(r, pos, "writes: position %d is masked already", w->pos);
    if (kind == STEP_REMASK && w->token != h->mask_id) {
        reader_fail_at(r, token, "writes: a remask writes token %d, expected the mask %d", w->token,
                       h->mask_id);
    }
    if (kind != STEP_REMASK && kind != STEP_DECODE && back)
        reader_fail_at(r, token, "writes: token %d is the mask", w->token);
    r->masked[w->pos] = true;
}

static void read_writes(reader *r, const json_value *root, step_record *s) {
    const json_value *list = reader_as_array(r, reader_need(r, root, "writes"), "writes", -1,
                                             r->rp->traj.head.n_tokens, &s->n_writes);
    step_write *w = reader_take(r, (size_t)s->n_writes, sizeof *w);
    if (r->rc) return;
    memset(r->masked, 0, (size_t)r->rp->traj.head.n_tokens * sizeof *r->masked);
    s->writes = w;
    for (const json_value *c = list->child; c && !r->rc; c = c->next, w++) {
        if (!json_is(c, JSON_OBJECT)) reader_fail_at(r, c, "writes: expected an object");
        w->pos = reader_get_int(r, c, "pos", INT_MIN, INT_MAX);
        w->token = reader_get_int(r, c, "token", 0, r->rp->traj.head.n_vocab - 1);
        w->p = reader_get_real(r, c, "p", P_LOW, P_HIGH);
        w->score = reader_get_real(r, c, "score", -ANY, ANY);
        if (!r->rc) check_write(r, c, s->kind, w);
    }
}

static void read_bans(reader *r, const json_value *obj, step_setting *s) {
    const traj_header *h = &r->rp->traj.head;
    const json_value *list =
        reader_as_array(r, reader_need(r, obj, "bans"), "bans", -1, MAX_BANS, &s->n_bans);
    step_ban *bans = reader_take(r, (size_t)s->n_bans, sizeof *bans);
    if (r->rc) return;
    s->bans = bans;
    for (const json_value *c = list->child; c && !r->rc; c = c->next, bans++) {
        int n;
        reader_as_array(r, c, "bans", 2, 2, &n);
        if (r->rc) return;
        bans->pos = (int)reader_as_int(r, c->child, "bans", -1, h->n_tokens - 1);
        bans->token = (int32_t)reader_as_int(r, c->child->next, "bans", 0, h->n_vocab - 1);
    }
}

static void read_setting(reader *r, const json_value *root, step_record *s) {
    const json_value *obj = json_find(root, "setting");
    if (s->kind != STEP_SETTING) {
        if (obj) reader_fail_at(r, obj, "setting: only a step of kind setting has one");
        return;
    }
    obj = reader_need(r, root, "setting");
    if (obj && !json_is(obj, JSON_OBJECT)) reader_fail_at(r, obj, "setting is not an object");
    step_setting *to = reader_take(r, 1, sizeof *to);
    if (r->rc) return;
    reader_copy_text(r, obj, "policy", to->policy, sizeof to->policy);
    read_params(r, obj, to->policy, &to->params, &to->extra_json);
    to->T = reader_get_int(r, obj, "T", 1, MAX_PLANNED);
    read_bans(r, obj, to);
    to->pins = reader_get_positions(r, obj, "pins", &to->n_pins);
    s->setting = to;
}

static const char *read_note(reader *r, const json_value *root) {
    if (r->rc || !json_find(root, "note")) return NULL;
    const char *text = reader_get_text(r, root, "note", MAX_NOTE);
    char *copy = r->rc ? NULL : arena_strdup(r->mem, text);
    if (!r->rc && !copy) reader_fail_memory(r);
    return copy;
}

static step_kind read_kind(reader *r, const json_value *root) {
    const char *name = reader_get_text(r, root, "kind", 32);
    for (int k = 0; k < N_STEP_KINDS; k++) {
        if (strcmp(name, step_kind_name((step_kind)k)) == 0) return (step_kind)k;
    }
    if (!r->rc)
        reader_fail_at(r, json_find(root, "kind"), "kind \"%s\", expected decode, force, remask or setting",
                       name);
    return STEP_DECODE;
}

void read_step(reader *r) {
    static const char *const known[] = {
        "type",          "step",     "kind",       "t",      "T",       "masked",       "entropy",
        "confidence",    "margin",   "argmax",     "top_k",  "top_ids", "top_p",        "total_entropy",
        "candidates",    "score",    "tis",        "gate",   "penalty", "delta_e_norm", "tis_name",
        "h_t",           "lambda_t", "observed",   "writes", "setting", "note",         "nfe",
        "backward_rows", "ms",       "observe_ms", "texts",  NULL};
    trajectory *t = &r->rp->traj;
    const json_value *root = r->root;
    step_record *s = record_new();
    if (!s) {
        reader_fail_memory(r);
        return;
    }
    r->mem = &s->mem;
    if (t->n_records >= MAX_STEPS) reader_fail_at(r, NULL, "more than %d steps", MAX_STEPS);
    reader_keep_unknown(r, root, known, &s->extra_json);
    s->step = reader_get_int(r, root, "step", INT_MIN, INT_MAX);
    if (!r->rc && s->step != t->n_records) {
        reader_fail_at(r, json_find(root, "step"), "step %d, expected %d", s->step, t->n_records);
    }
    s->kind = read_kind(r, root);
    s->T = reader_get_int(r, root, "T", 1, MAX_PLANNED);
    s->t = reader_get_int(r, root, "t", 1, s->T);
    if (!r->rc) read_known(r, root, s);
    read_scored(r, root, s);
    read_writes(r, root, s);
    if (!r->rc) read_setting(r, root, s);
    s->note = read_note(r, root);
    s->nfe = reader_get_real(r, root, "nfe", 0, MAX_COST);
    s->backward_rows = r->rc ? 0
                             : reader_as_int(r, reader_need(r, root, "backward_rows"), "backward_rows", 0,
                                             INT64_C(9007199254740992));
    s->ms = reader_get_real(r, root, "ms", 0, MAX_COST);
    s->observe_ms = reader_get_real(r, root, "observe_ms", 0, MAX_COST);
    if (!r->rc) read_texts(r, json_find(root, "texts"));
    if (!r->rc) {
        err why = {0};
        int rc = trajectory_append(t, s, &why);
        if (rc == ERR_NO_MEMORY) reader_fail_memory(r);
        if (rc) reader_fail_at(r, NULL, "%s", why.msg);
    }
    record_unref(s);
}
