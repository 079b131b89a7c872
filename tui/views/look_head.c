/* look_head.c - the rule above the detail area: the tabs of small screens and, while a closer look is open,
 * its name and what it is about. */
#include "tui/view.h"

const char *tab_name(int tab) {
    static const char *const names[N_TABS] = {"inspector", "candidates", "chart",   "influence", "truth",
                                              "scores",    "attention",  "lock-in", "orders"};
    return names[tab];
}

static int draw_tabs(const app *a, cells *g, int x, rect r) {
    for (int i = 0; i < TAB_INFLUENCE; i++) {
        bool on = (int)a->tab == i;
        x = cells_printf(g, x, r.y, rect_end(r), look(a, on ? STYLE_STRONG : STYLE_DIM),
                         on ? " [%s] " : "  %s  ", tab_name(i));
    }
    return x;
}

/* The pane and the state that it is about, the pane in its colour. */
static void draw_subject(const app *a, cells *g, int x, rect r) {
    const pane *p = app_pane(a, a->focus);
    int end = rect_end(r);
    x = cells_printf(g, x, r.y, end, look(a, STYLE_STRONG), " [%s] ", tab_name((int)a->tab));
    if (a->tab == TAB_ORDERS) { /* of whole decodes */
        cells_printf(g, x, r.y, end, look(a, STYLE_PLAIN), " A against %c, whole decodes as far as known ",
                     'A' + a->orders.other);
        return;
    }
    x = cells_printf(g, x, r.y, end, run_look(a, a->focus), " %c %s", 'A' + a->focus, pane_policy(p));
    cells_printf(g, x, r.y, end, look(a, STYLE_PLAIN), ", state %d ", p->state);
}

static void draw(const app *a, int i, cells *g, rect r) {
    (void)i;
    style rule = look(a, STYLE_DIM);
    cells_repeat(g, r.x, r.y, r.w, 0x2500, rule);
    int x = r.x + 1;
    if (a->lay.tabbed) x = draw_tabs(a, g, x, r);
    if (a->tab >= TAB_INFLUENCE) {
        draw_subject(a, g, x, r);
    } else {
        cells_text(g, x, r.y, rect_end(r), rule, " i: next ");
    }
}

const view view_look_head = {"look head", draw};

static const char *why_not(const app *a, const char *empty) {
    const looks *l = &a->looks;
    const pane *p = app_pane(a, a->focus);
    if (!looks_possible(a)) return "this asks the model: tabes replay FILE -m MODEL";
    if (!looks_of(a, p)) return "recorded with another model than the one that is open";
    if (l->waiting || app_busy(a)) return "computing; Ctrl-c gives up";
    if (a->playing) return "waits until playing stops";
    if (!l->given_up) return empty;
    return l->error[0] ? l->error : "given up; press its key twice to ask again";
}

void draw_no_look(const app *a, cells *g, rect r, const char *empty) {
    bool failed = a->looks.given_up && !a->looks.waiting && a->looks.error[0];
    cells_text(g, r.x + 1, r.y, rect_end(r), look(a, failed ? STYLE_WARN : STYLE_DIM), why_not(a, empty));
}
