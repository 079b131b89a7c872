/* session_cache.c - full passes, the steps that read their keys and values, and which pass a state belongs
 * to. */
#include "engine/session_cache.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/session_struct.h"
#include "engine/shared_pass.h"

int cache_open(session_cache *c, int n, err *e) {
    size_t len = (size_t)n;
    c->kept = pass_new();
    c->held = mem_new(len, sizeof *c->held);
    c->base = mem_new(len, sizeof *c->base);
    c->past = mem_new(SESSION_PAST * len, sizeof *c->past);
    c->canvas = mem_new(len, sizeof *c->canvas);
    c->computed = mem_new(len, sizeof *c->computed);
    c->rows = mem_new(len, sizeof *c->rows);
    if (c->kept && c->held && c->base && c->past && c->canvas && c->computed && c->rows) return 0;
    return err_set(e, ERR_NO_MEMORY, "out of memory for a session of %d tokens", n);
}

void cache_close(session_cache *c) {
    pass_free(c->kept);
    free(c->held);
    free(c->base);
    free(c->past);
    free(c->canvas);
    free(c->computed);
    free(c->rows);
}

static size_t canvas_bytes(const session *s) {
    return (size_t)s->n * sizeof *s->tokens;
}

static int refresh_every(const session *s) {
    return param_int(&s->params, "kv-refresh");
}

/* ---- which pass a step reads ---- */

/* Settles it for the next step. Doing so again at the same state changes nothing. */
static void settle(session *s) {
    session_cache *c = &s->cache;
    int begin = session_block(s).first, every = refresh_every(s);
    bool begins = !c->known || begin != c->block;
    if (begins) c->block = begin, c->first = s->decoded;
    if (!begins && !(every && (s->decoded - c->first) % every == 0)) return;
    memcpy(c->base, s->tokens, canvas_bytes(s));
    c->made = s->decoded;
    c->known = true;
}

void cache_push(session *s) {
    session_cache *c = &s->cache;
    if (!policy_approximates(&s->params)) return;
    settle(s);
    memmove(c->past + s->n, c->past, (SESSION_PAST - 1) * canvas_bytes(s));
    memcpy(c->past, c->base, canvas_bytes(s));
    memmove(c->past_made + 1, c->past_made, (SESSION_PAST - 1) * sizeof *c->past_made);
    c->past_made[0] = c->made;
}

void cache_forget(session *s) {
    s->cache.known = false;
}

/* Where the block begins that step k of a trajectory was in; c->canvas holds its state. */
static int block_at(session *s, int decoded) {
    int32_t *now = s->tokens;
    int at = s->decoded;
    s->tokens = s->cache.canvas;
    s->decoded = decoded;
    int begin = session_block(s).first;
    s->tokens = now;
    s->decoded = at;
    return begin;
}

/* What settle() came to at step k of the trajectory: back to the first step of its block, or to the last
 * change by hand. */
static void settled_at(session *s, const trajectory *t, int k, int32_t *base, int *begin, int *first,
                       int *made) {
    int32_t *canvas = s->cache.canvas;
    int every = refresh_every(s), decoded = s->decoded - (s->k - k), j = k;
    trajectory_state(t, k, canvas);
    *begin = block_at(s, decoded);
    for (; j > 0 && t->records[j - 1]->kind == STEP_DECODE; j--) {
        trajectory_state(t, j - 1, canvas);
        if (block_at(s, decoded - (k - j) - 1) != *begin) break;
    }
    int since = every ? (k - j) / every * every : 0;
    trajectory_state(t, j + since, base);
    *first = decoded - (k - j);
    *made = *first + since;
}

/* Rows that a pass was asked for depend on the policy as well; only what was asked for masks alone is kept.
 */
static bool still_holds(const session *s) {
    const session_cache *c = &s->cache;
    int masks = 0;
    for (int i = 0; i < s->n; i++) masks += c->held[i] == s->info->mask_id;
    return c->holds && !s->policy->reads_clean && pass_n_rows(c->kept) == masks;
}

void cache_seek(session *s, const session_state *to) {
    session_cache *c = &s->cache;
    const trajectory *t = to->from;
    int begin, first;
    c->known = false;
    c->holds = still_holds(s);
    if (!policy_approximates(&s->params) || !t || to->k > t->n_records) return;
    for (int back = 0; back < s->n_past && s->policy->recall; back++)
        settled_at(s, t, to->k - 1 - back, c->past + (size_t)back * (size_t)s->n, &begin, &first,
                   &c->past_made[back]);
    settled_at(s, t, to->k, c->base, &c->block, &c->first, &c->made);
    c->known = true;
}

/* ---- passes ---- */

/* The full pass of the session's state. */
static int compute_all(session *s, decision *dec, err *e) {
    session_cache *c = &s->cache;
    c->holds = false;
    int rc = session_forward(s, dec, c->kept, KEPT_ALL, e);
    if (rc) return rc;
    memcpy(c->held, s->tokens, canvas_bytes(s));
    c->holds = true;
    return 0;
}

/* The full pass that decode step `made` took at a canvas, once more if a jump has lost it. */
static int hold(session *s, decision *dec, int32_t *canvas, int made, err *e) {
    session_cache *c = &s->cache;
    if (c->holds && !memcmp(c->held, canvas, canvas_bytes(s))) return 0;
    step_record *r = record_new();
    if (!r) return err_set(e, ERR_NO_MEMORY, "out of memory for a pass of all rows");
    int32_t *now = s->tokens;
    int at = s->decoded;
    decision then;
    s->tokens = canvas;
    s->decoded = made;
    session_decide(s, r, &then);
    int rc = compute_all(s, &then, e);
    s->tokens = now;
    s->decoded = at;
    record_unref(r);
    session_decide(s, dec->rec, dec); /* the scratch is this step's again */
    return rc;
}

/* Positions whose rows a step computes: what changed since the full pass, masks that may be written, what the
 * kind of cache says, and the rows that predict them. */
static int choose_rows(session *s, const int32_t *base) {
    session_cache *c = &s->cache;
    block at = session_block(s);
    bool prefix = param_int(&s->params, "kv-cache") == CACHE_PREFIX;
    int n = 0;
    for (int i = 0; i < s->n; i++) {
        bool within = at.whole || i < at.end;
        bool kind = i >= at.first && (prefix || (within && !at.whole));
        c->computed[i] = kind || s->tokens[i] != base[i] || (within && s->tokens[i] == s->info->mask_id);
    }
    for (int i = 0; i < s->n; i++) {
        bool predicts = i + 1 < s->n && c->computed[i + 1] && denoiser_emit(s->d, i + 1) == i;
        if (c->computed[i] || predicts) c->rows[n++] = i;
    }
    return n;
}

static int compute_few(session *s, const int32_t *base, err *e) {
    session_cache *c = &s->cache;
    int n_rows = s->n_masked + (s->policy->reads_clean ? s->n_clean : 0);
    forward_req q = {.seqs = &(sequence){s->tokens, s->n},
                     .n_seqs = 1,
                     .rows = s->rows,
                     .n_rows = n_rows,
                     .whole_rows = session_reads_logits(s),
                     .cancel = s->o.cancel,
                     .over = c->kept,
                     .recompute = c->rows,
                     .n_recompute = choose_rows(s, base)};
    if (s->o.shared) shared_pass_forget(s->o.shared); /* it is taken for this */
    return denoiser_forward(s->d, &q, s->p, e);
}

/* The pass of the session's state when the full one was taken by decode step `made` at the canvas `base`. */
static int forward_from(session *s, decision *dec, int32_t *base, int made, err *e) {
    if (made == s->decoded) return compute_all(s, dec, e);
    int rc = hold(s, dec, base, made, e);
    return rc ? rc : compute_few(s, base, e);
}

int cache_forward(session *s, decision *dec, err *e) {
    settle(s);
    return forward_from(s, dec, s->cache.base, s->cache.made, e);
}

int cache_recall(session *s, decision *dec, int back, err *e) {
    return forward_from(s, dec, s->cache.past + (size_t)back * (size_t)s->n, s->cache.past_made[back], e);
}
