/* timeline.c - one bar from the first to the last state: what is computed, where the panes are, where they
 * part. */
#include "tui/view.h"

static int column_of(const rect *bar, int n, int last) {
    return bar->x + (last > 0 ? (int)((long)n * (bar->w - 1) / last) : 0);
}

static int last_state(const app *a) {
    int last = 0;
    for (int i = 0; i < a->n_panes; i++) {
        int n = pane_planned(app_pane(a, i));
        if (n > last) last = n;
    }
    return last;
}

/* What a person did at a step, or said about it. */
static uint32_t mark_of(const app *a, const step_record *r) {
    if (notes_get(&a->notes, r)) return 0x203B;
    return r->kind == STEP_REMASK    ? 0x25C7
           : r->kind == STEP_FORCE   ? 0x25C6
           : r->kind == STEP_SETTING ? 0x25CB
                                     : 0;
}

static void draw_marks(const app *a, cells *g, const rect *bar, int last) {
    const pane *p = app_pane(a, a->focus);
    for (int k = 0; k < p->traj->n_records; k++) {
        uint32_t sign = mark_of(a, p->traj->records[k]);
        if (sign) cells_char(g, column_of(bar, k + 1, last), bar->y, sign, look(a, STYLE_PINNED));
    }
}

static void draw_panes(const app *a, cells *g, const rect *bar, int last) {
    bool same = true;
    for (int i = 1; i < a->n_panes; i++) same &= app_pane(a, i)->state == app_pane(a, 0)->state;
    for (int i = a->n_panes - 1; i >= 0; i--) {
        int x = column_of(bar, app_pane(a, i)->state, last);
        if (same) {
            cells_char(g, x, bar->y, 0x25CF, look(a, STYLE_STRONG));
        } else {
            cells_char(g, x, bar->y, (uint32_t)('A' + i), run_look(a, i));
        }
    }
}

static void draw(const app *a, int i, cells *g, rect r) {
    (void)i;
    const pane *p = app_pane(a, a->focus);
    if (!p->traj) return;
    rect bar = {r.x + TIMELINE_MARGIN, r.y, r.w - 2 * TIMELINE_MARGIN, 1};
    int last = last_state(a), here = column_of(&bar, p->state, last),
        computed = column_of(&bar, pane_states(p), last);
    style dim = look(a, STYLE_DIM), mark = look(a, STYLE_MARK);
    cells_printf(g, r.x, r.y, bar.x - 1, look(a, STYLE_STRONG), "%*d", TIMELINE_MARGIN - 1, p->state);
    cells_printf(g, bar.x + bar.w + 1, r.y, rect_end(r), dim, "%d", last);
    for (int x = bar.x; x < bar.x + bar.w; x++) {
        bool taken = x <= here, known = x <= computed;
        cells_char(g, x, r.y,
                   taken   ? 0x2501
                   : known ? 0x2500
                           : 0xB7,
                   taken   ? look(a, STYLE_PLAIN)
                   : known ? dim
                           : mark);
    }
    int parts = app_diverges(a, NULL, NULL);
    if (parts >= 0) cells_char(g, column_of(&bar, parts, last), r.y, 0x2260, look(a, STYLE_DIFFER));
    draw_marks(a, g, &bar, last);
    draw_panes(a, g, &bar, last);
}

const view view_timeline = {"timeline", draw};
