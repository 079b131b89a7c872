/* status.c - the last two rows: a message or the keys that matter now, and the state of everything in one
 * line. */
#include "engine/base/clock.h"
#include "tui/keys.h"
#include "tui/view.h"

/* Hints --------------------------------------------------------------- */

static bool wanted(const app *a, const binding *b) {
    switch (b->when) {
    case HINT_ALWAYS:
        return true;
    case HINT_LIVE:
        return a->model;
    case HINT_COMPARE:
        return a->n_panes > 1;
    case HINT_BUSY:
        return a->playing || app_waits(a);
    case HINT_NEVER:
        break;
    }
    return false;
}

static void draw_message(const app *a, cells *g, rect r) {
    style st = look(a, a->warning ? STYLE_WARN : STYLE_PLAIN);
    cells_text(g, r.x + 1, r.y, rect_end(r), st, a->message);
}

/* Elapsed time once a computation is long enough to be noticed. */
static void put_progress(pen *w) {
    double since = 0, now = clock_now();
    for (int i = 0; i < w->a->n_panes; i++) {
        const pane *p = app_pane(w->a, i);
        if (p->busy && (since <= 0 || p->busy_since < since)) since = p->busy_since;
    }
    const looks *l = &w->a->looks;
    if (l->whole_run && l->run_left) pen_text(w, STYLE_PLAIN, "%d states to check   ", l->run_left);
    if (l->waiting && (since <= 0 || l->since < since)) since = l->since;
    if (since > 0 && now - since > 0.5) pen_text(w, STYLE_PLAIN, "computing %.0f s   ", now - since);
}

static void draw_hints(const app *a, int i, cells *g, rect r) {
    (void)i;
    if (a->message[0]) {
        draw_message(a, g, r);
        return;
    }
    char label[KEY_LABEL];
    pen w = pen_at(a, g, r, 0);
    const pane *p = app_pane(a, a->focus);
    const char *words = p->traj && p->state ? notes_get(&a->notes, p->traj->records[p->state - 1]) : NULL;
    if (words && !a->count && !a->pending_key) {
        int x = cells_printf(g, w.x, w.y, rect_end(r), look(a, STYLE_KEY), "\u203B step %d: ", p->state);
        cells_text(g, x, w.y, rect_end(r), look(a, STYLE_PLAIN), words);
        return;
    }
    if (a->count || a->pending_key) {
        if (a->count || !a->pending_key) pen_text(&w, STYLE_STRONG, "%d", a->count);
        if (a->pending_key) pen_text(&w, STYLE_STRONG, "%s", key_label(a->pending_key, label));
        return;
    }
    put_progress(&w);
    pen_text(&w, STYLE_KEY, "s S");
    pen_text(&w, STYLE_DIM, " step, back");
    for (int k = 0; k < n_bindings; k++) {
        const binding *b = &bindings[k];
        if (!wanted(a, b)) continue;
        pen whole = w;
        if (!pen_text(&w, STYLE_KEY, "   %s", key_label(b->keys[0], label)) ||
            !pen_text(&w, STYLE_DIM, " %s", b->hint)) {
            cells_repeat(g, whole.x, w.y, w.x - whole.x, ' ', look(a, STYLE_PLAIN));
            w = whole;
        }
    }
}

const view view_hints = {"hints", draw_hints};

/* Status -------------------------------------------------------------- */

static void put(pen *w, style_role role, const char *label, const char *value) {
    int need = cells_measure(label) + cells_measure(value) + 1;
    if (w->x + need > w->end) {
        w->end = w->x; /* fields drop from the right: what follows a dropped one is dropped too */
        return;
    }
    style bar = look(w->a, STYLE_BAR);
    w->x = cells_text(w->g, w->x, w->y, w->end, bar, label);
    w->x = cells_text(w->g, w->x, w->y, w->end, look_over(bar, look(w->a, role)), value) + 2;
}

static const char *mode_name(const app *a) {
    return a->playing ? "PLAY" : !a->model ? "REPLAY" : app_busy(a) ? "BUSY" : "LIVE";
}

static int draw_right(const app *a, cells *g, rect r) {
    const pane *p = app_pane(a, a->focus);
    traj_totals t = trajectory_totals(p->traj, p->state);
    const step_record *rec = pane_record(p);
    char ms[24] = "", nfe[24], text[80];
    if (rec) snprintf(ms, sizeof ms, "%.0f ms  ", rec->ms);
    snprintf(nfe, sizeof nfe, "NFE %.*f", NFE_DIGITS(t.nfe), t.nfe);
    snprintf(text, sizeof text, "%s%s%s", ms, nfe, a->recorded ? "  recorded" : "");
    int x = rect_end(r) - 1 - cells_measure(text);
    cells_text(g, x, r.y, rect_end(r), look(a, STYLE_BAR), text);
    return x - 1;
}

static void draw_status(const app *a, int i, cells *g, rect r) {
    (void)i;
    const pane *p = app_pane(a, a->focus);
    char value[128], token[64];
    cells_fill(g, r, look(a, STYLE_BAR));
    if (!p->traj) return;
    pen w = pen_at(a, g, r, 0);
    if (r.w >= 110) w.end = draw_right(a, g, r);
    int masked = 0;
    for (int k = 0; k < p->traj->head.n_tokens; k++) masked += p->tokens[k] == p->traj->head.mask_id;
    put(&w, STYLE_STRONG, "", mode_name(a));
    snprintf(value, sizeof value, "%d/%d", p->state, pane_planned(p));
    put(&w, STYLE_STRONG, "step ", value);
    int32_t id = a->cursor < p->traj->head.n_tokens ? p->tokens[a->cursor] : -1;
    snprintf(value, sizeof value, id == p->traj->head.mask_id ? "%d %s" : "%d '%s'", a->cursor,
             flow_token_text(p->traj->texts, id, p->traj->head.mask_id, token, sizeof token));
    put(&w, STYLE_PLAIN, "pos ", value);
    snprintf(value, sizeof value, "%d", masked);
    put(&w, STYLE_PLAIN, "masked ", value);
    for (int k = 0; k < a->n_panes; k++) {
        char letter[] = {(char)('A' + k), ' ', '\0'};
        put(&w, STYLE_STRONG, letter, pane_policy(app_pane(a, k)));
    }
    snprintf(value, sizeof value, "%llu", (unsigned long long)p->seed);
    put(&w, STYLE_PLAIN, "seed ", value);
    put(&w, STYLE_PLAIN, "", a->locked ? a->n_panes > 1 ? "locked" : "" : "apart");
}

const view view_status = {"status", draw_status};
