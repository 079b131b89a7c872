/* timeline.c - one bar from the first to the last state: what is computed, where the panes are, where they
 * part. */
#include <string.h>

#include "tui/text.h"
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

enum { SIGN_NOTE, SIGN_WRITTEN, SIGN_REMASKED, SIGN_BACK, SIGN_SETTING, SIGN_PARTS, SIGN_PANES, SIGN_MARK };

const timeline_sign timeline_signs[] = {
    [SIGN_NOTE] = {"\u203B", "a note about this step"},
    [SIGN_WRITTEN] = {"\u25C6", "tokens written by hand"},
    [SIGN_REMASKED] = {"\u25C7", "a token put back to the mask by hand"},
    [SIGN_BACK] = {"\u21BA", "a step of the policy that put tokens back"},
    [SIGN_SETTING] = {"\u25CB", "policy, parameters, bans or pins changed"},
    [SIGN_PARTS] = {"\u2260", "first state at which a pane is not as A"},
    [SIGN_PANES] = {"\u25CF", "the panes; letters where they are apart"},
    [SIGN_MARK] = {"a-z", "a mark, set by m and its letter"},
    {NULL, NULL},
};

static uint32_t sign_of(int which) {
    uint32_t cp = 0;
    const char *s = timeline_signs[which].sign;
    return utf8_decode(s, strlen(s), &cp) > 0 ? cp : '?';
}

/* What a person did at a step, or said about it. */
static uint32_t mark_of(const app *a, const step_record *r) {
    if (notes_get(&a->notes, r)) return sign_of(SIGN_NOTE);
    return r->kind == STEP_REMASK    ? sign_of(SIGN_REMASKED)
           : r->kind == STEP_FORCE   ? sign_of(SIGN_WRITTEN)
           : r->kind == STEP_SETTING ? sign_of(SIGN_SETTING)
                                     : 0;
}

static bool puts_back(const trajectory *t, const step_record *r) {
    bool any = false;
    for (int i = 0; i < r->n_writes && r->kind == STEP_DECODE; i++)
        any |= r->writes[i].token == t->head.mask_id;
    return any;
}

/* Of the focused pane; a person's own marks stand over the others. */
static void draw_marks(const app *a, cells *g, const rect *bar, int last) {
    const pane *p = app_pane(a, a->focus);
    for (int k = 0; k < p->traj->n_records; k++) {
        if (puts_back(p->traj, p->traj->records[k]))
            cells_char(g, column_of(bar, k + 1, last), bar->y, sign_of(SIGN_BACK), look(a, STYLE_DIM));
    }
    for (int k = 0; k <= p->traj->n_records; k++) {
        uint32_t sign = k ? mark_of(a, p->traj->records[k - 1]) : 0;
        if (sign) cells_char(g, column_of(bar, k, last), bar->y, sign, look(a, STYLE_PINNED));
    }
    for (int i = N_MARKS - 1; i >= 0; i--) {
        const place_mark *m = &a->marks[i];
        if (m->set && m->state <= last)
            cells_char(g, column_of(bar, m->state, last), bar->y, (uint32_t)('a' + i), look(a, STYLE_KEY));
    }
}

static void draw_panes(const app *a, cells *g, const rect *bar, int last) {
    bool same = true;
    for (int i = 1; i < a->n_panes; i++) same &= app_pane(a, i)->state == app_pane(a, 0)->state;
    for (int i = a->n_panes - 1; i >= 0; i--) {
        int x = column_of(bar, app_pane(a, i)->state, last);
        if (same) {
            cells_char(g, x, bar->y, sign_of(SIGN_PANES), look(a, STYLE_STRONG));
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
    if (parts >= 0)
        cells_char(g, column_of(&bar, parts, last), r.y, sign_of(SIGN_PARTS), look(a, STYLE_DIFFER));
    draw_marks(a, g, &bar, last);
    draw_panes(a, g, &bar, last);
}

const view view_timeline = {"timeline", draw};
