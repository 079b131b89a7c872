/* title.c - the top line: what is decoded; and the title of each pane: which policy. */
#include "engine/base/clock.h"
#include "tui/view.h"

static void draw_title(const app *a, int i, cells *g, rect r) {
    (void)i;
    const trajectory *t = app_pane(a, 0)->traj;
    style dim = look(a, STYLE_DIM);
    const char *right = a->model ? "live" : "replay";
    int end = rect_end(r) - cells_measure(right) - 2;
    int x = cells_text(g, r.x + 1, r.y, end, look(a, STYLE_TITLE), "tabes");
    if (t) {
        x = cells_printf(g, x + 2, r.y, end, look(a, STYLE_PLAIN), "%s", t->head.model_name);
        cells_printf(g, x + 2, r.y, end, dim, "%s  %s  %d tokens, %d to unmask", t->head.model_arch,
                     t->head.dtype, t->head.n_tokens, rank_max(app_pane(a, 0)));
    }
    cells_text(g, end + 1, r.y, rect_end(r), dim, right);
}

const view view_title = {"title", draw_title};

static const double NOTICEABLE = 0.3; /* seconds; shorter work would only flicker */

static void draw_pane_title(const app *a, int i, cells *g, rect r) {
    const pane *p = app_pane(a, i);
    style run = run_look(a, i), rule = look(a, STYLE_DIM);
    int end = rect_end(r);
    bool focused = a->n_panes > 1 && a->focus == i;
    cells_repeat(g, r.x, r.y, r.w, focused ? 0x2501 : 0x2500,
                 focused ? look_over(rule, (style){run.fg, -1, 0}) : rule);
    int x = cells_printf(g, r.x + 1, r.y, end, run, " %c %s ", 'A' + i, pane_policy(p));
    if (p->busy && clock_now() - p->busy_since > NOTICEABLE) {
        cells_text(g, x, r.y, end, rule, " computing ");
    } else if (pane_complete(p) && p->state == pane_states(p)) {
        cells_text(g, x, r.y, end, rule, " done ");
    }
}

const view view_pane_title = {"pane title", draw_pane_title};
