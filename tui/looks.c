/* looks.c - asking for looks and keeping the answers. A look is known by a hash of everything that it depends
 * on, so it is found again after undo, in another pane and on another branch. */
#include "tui/looks.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/mem.h"
#include "tui/app.h"

/* Keys ------------------------------------------------------------------ */

static uint64_t mix(uint64_t h, const void *data, size_t n) {
    const unsigned char *p = data;
    for (size_t i = 0; i < n; i++) h = (h ^ p[i]) * 0x100000001B3u; /* FNV-1a */
    return h;
}

static uint64_t mix_int(uint64_t h, int64_t v) {
    return mix(h, &v, sizeof v);
}

static uint64_t mix_setting(uint64_t h, const trajectory *t, const step_setting *s) {
    const param_set *ps = s ? &s->params : &t->head.params;
    const char *name = s ? s->policy : t->head.policy;
    h = mix(h, name, strlen(name));
    h = mix(h, ps->v, (size_t)ps->n * sizeof ps->v[0]);
    h = mix_int(h, (int64_t)t->head.seed);
    h = mix_int(h, s ? s->T : -1);
    for (int i = 0; s && i < s->n_bans; i++) h = mix_int(mix_int(h, s->bans[i].pos), s->bans[i].token);
    for (int i = 0; s && i < s->n_pins; i++) h = mix_int(h, s->pins[i]);
    return h;
}

/* Of one kind at one state; never 0. */
static uint64_t key_of(const app *a, const trajectory *t, const session_state *at, inspect_kind kind) {
    uint64_t h = mix_int(0xCBF29CE484222325u, kind);
    h = mix(h, at->tokens, (size_t)at->n * sizeof *at->tokens);
    if (kind == INSPECT_LOCK_IN) h = mix(h, t->head.start, (size_t)at->n * sizeof *t->head.start);
    if (kind == INSPECT_ATTENTION) h = mix_int(mix_int(h, a->cursor), a->looks.layer);
    if (kind == INSPECT_TRUTH || kind == INSPECT_RANKS)
        h = mix_int(mix_setting(h, t, at->setting), at->decoded);
    return h ? h : 1;
}

/* Keeping ---------------------------------------------------------------- */

static const inspection *find(const looks *l, uint64_t key) {
    for (int i = l->n; i--;) {
        if (l->at[i]->key == key) return l->at[i];
    }
    return NULL;
}

/* How many of each kind are kept: a matrix is large, a truth check is small and one is wanted for every
 * state. */
static const int most[N_INSPECT] = {[INSPECT_INFLUENCE] = 64,
                                    [INSPECT_TRUTH] = 4096,
                                    [INSPECT_RANKS] = 256,
                                    [INSPECT_ATTENTION] = 256,
                                    [INSPECT_LOCK_IN] = 256};

static void drop_oldest(looks *l, inspect_kind kind) {
    int have = 0, oldest = -1;
    for (int i = l->n; i--;) {
        if (l->at[i]->kind == kind) have++, oldest = i;
    }
    if (have < most[kind]) return;
    inspection_unref(l->at[oldest]);
    memmove(l->at + oldest, l->at + oldest + 1, (size_t)(--l->n - oldest) * sizeof l->at[0]);
}

static void keep(looks *l, const inspection *x) {
    if (find(l, x->key)) return;
    drop_oldest(l, x->kind);
    if (!mem_grow((void **)&l->at, &l->cap, (size_t)l->n + 1, sizeof l->at[0])) return;
    l->at[l->n++] = inspection_ref(x);
}

void looks_release(looks *l) {
    for (int i = 0; i < l->n; i++) inspection_unref(l->at[i]);
    free(l->at);
    *l = (looks){0};
}

/* States of the focused pane without a truth check, into run_left; the first of them from the one shown on,
 * or -1. */
static int count_unchecked(app *a, int32_t *tokens) {
    const pane *p = &a->panes[a->focus];
    int states = pane_states(p) + 1, missing = 0, first = -1;
    for (int k = 0; k < states; k++) {
        int n = (p->state + k) % states;
        const step_record *r = trajectory_record_at(p->traj, n);
        if (!r || r->kind != STEP_DECODE || looks_truth_at(a, a->focus, n, tokens)) continue;
        missing++;
        if (first < 0) first = n;
    }
    a->looks.run_left = missing;
    a->looks.whole_run &= missing > 0;
    return first;
}

static void count_run(app *a) {
    int n = app_positions(a);
    int32_t *tokens = a->looks.whole_run && n ? mem_new((size_t)n, sizeof *tokens) : NULL;
    if (tokens) count_unchecked(a, tokens);
    free(tokens);
}

void looks_answer(app *a, worker_event *ev) {
    looks *l = &a->looks;
    if (ev->look) keep(l, ev->look);
    if (ev->key != l->key) return; /* of a look that is no longer wanted */
    l->waiting = false;
    if (ev->look) count_run(a);
    if (ev->look || ev->gave_way) return;
    l->given_up = ev->key;
    l->whole_run = false;
    snprintf(l->error, sizeof l->error, "%s", ev->msg);
    if (ev->msg[0]) app_complain(a, "%s", ev->msg);
}

/* Wanting ---------------------------------------------------------------- */

bool looks_possible(const app *a) {
    return a->worker;
}

bool looks_of(const app *a, const pane *p) {
    return a->looking && p->traj &&
           !strcmp(p->traj->head.fingerprint, denoiser_get_info(a->looking)->fingerprint);
}

/* What a pane's canvas and, of the focused pane, the detail view draw from; N_INSPECT: nothing. */
static inspect_kind wanted(const app *a, int i, int which) {
    static const inspect_kind by_tab[N_TABS] = {
        [TAB_INSPECTOR] = N_INSPECT,         [TAB_CANDIDATES] = N_INSPECT,    [TAB_CHART] = N_INSPECT,
        [TAB_INFLUENCE] = INSPECT_INFLUENCE, [TAB_TRUTH] = INSPECT_TRUTH,     [TAB_SCORES] = INSPECT_RANKS,
        [TAB_ATTENTION] = INSPECT_ATTENTION, [TAB_LOCK_IN] = INSPECT_LOCK_IN, [TAB_ORDERS] = N_INSPECT};
    if (which == 0) return i == a->focus ? by_tab[a->tab] : N_INSPECT;
    return a->layer == LAYER_INFLUENCE   ? INSPECT_INFLUENCE
           : a->layer == LAYER_ATTENTION ? INSPECT_ATTENTION
           : a->layer == LAYER_LOCK_IN   ? INSPECT_LOCK_IN
                                         : N_INSPECT;
}

/* Posts the look unless it is known or was given up; true when it was posted. */
static bool post(app *a, int i, int n, inspect_kind kind, int32_t *tokens) {
    looks *l = &a->looks;
    const trajectory *t = a->panes[i].traj;
    session_state at = session_state_of(t, n, tokens);
    uint64_t key = key_of(a, t, &at, kind);
    err e = {0};
    if (key == l->given_up || find(l, key)) return false;
    if (!looks_of(a, &a->panes[i])) return false;
    if (kind == INSPECT_ATTENTION && a->cursor >= t->head.n_tokens) return false;
    inspect_req q = {.kind = kind, .key = key, .pos = a->cursor, .layer = l->layer};
    q.tuning = a->tuning;
    if (worker_inspect(a->worker, a->panes[i].id, &t->head, &at, &q, &e)) {
        l->given_up = key;
        app_complain(a, "%s", e.msg);
        return false;
    }
    l->waiting = true;
    l->key = key;
    l->since = clock_now();
    return true;
}

static bool post_run(app *a, int32_t *tokens) {
    int first = count_unchecked(a, tokens);
    return first >= 0 && post(a, a->focus, first, INSPECT_TRUTH, tokens);
}

static bool post_wanted(app *a, int32_t *tokens) {
    for (int k = 0; k < a->n_panes; k++) {
        int i = (a->focus + k) % a->n_panes;
        const pane *p = &a->panes[i];
        for (int which = 0; p->traj && which < 2; which++) {
            inspect_kind kind = wanted(a, i, which);
            if (kind != N_INSPECT && post(a, i, p->state, kind, tokens)) return true;
        }
    }
    return a->looks.whole_run && post_run(a, tokens);
}

bool looks_ask(app *a) {
    if (!a->worker || a->looks.waiting) return a->looks.waiting;
    if (a->playing || app_busy(a)) return false;
    int n = app_positions(a);
    int32_t *tokens = n ? mem_new((size_t)n, sizeof *tokens) : NULL;
    bool asked = tokens && post_wanted(a, tokens);
    free(tokens);
    return asked;
}

void looks_give_up(app *a) {
    a->looks.whole_run = false;
}

/* Finding ---------------------------------------------------------------- */

int looks_resolve(app *a, err *e) {
    looks *l = &a->looks;
    if (!l->n) return 0;
    for (int i = 0; i < a->n_panes; i++) {
        const pane *p = &a->panes[i];
        int32_t *tokens = mem_new((size_t)p->traj->head.n_tokens, sizeof *tokens);
        if (!tokens) return err_set(e, ERR_NO_MEMORY, "out of memory for a state");
        session_state at = session_state_of(p->traj, p->state, tokens);
        for (int k = 0; k < N_INSPECT; k++)
            l->shown[i][k] = find(l, key_of(a, p->traj, &at, (inspect_kind)k));
        looks_measure(a, i);
        free(tokens);
    }
    return 0;
}

const inspection *looks_truth_at(const app *a, int i, int n, int32_t *tokens) {
    const trajectory *t = a->panes[i].traj;
    session_state at = session_state_of(t, n, tokens);
    return find(&a->looks, key_of(a, t, &at, INSPECT_TRUTH));
}
