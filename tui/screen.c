/* screen.c - which view goes where. */
#include "tui/screen.h"

#include "tui/dialog.h"
#include "tui/view.h"

static void show(const view *v, const app *a, int i, cells *g, rect r) {
    if (r.h > 0 && r.w > 0) v->draw(a, i, g, r);
}

static void draw_too_small(const app *a, cells *g) {
    char text[80];
    snprintf(text, sizeof text, "needs %dx%d, have %dx%d", LAYOUT_MIN_COLS, LAYOUT_MIN_ROWS, g->cols,
             g->rows);
    int w = cells_measure(text);
    cells_text(g, w < g->cols ? (g->cols - w) / 2 : 0, g->rows / 2, g->cols, style_of(&a->pal, STYLE_STRONG),
               text);
}

static void draw_pane(const app *a, int i, cells *g) {
    const pane_layout *p = &a->lay.pane[i];
    show(&view_pane_title, a, i, g, p->title);
    show(&view_summary, a, i, g, p->summary);
    show(&view_canvas, a, i, g, p->canvas);
    show(&view_inspector, a, i, g, p->inspector);
    show(&view_candidates, a, i, g, p->candidates);
}

int screen_draw(app *a, cells *g, err *e) {
    static const view *const details[N_TABS] = {
        [TAB_INFLUENCE] = &view_influence, [TAB_TRUTH] = &view_truth,     [TAB_SCORES] = &view_scores,
        [TAB_ATTENTION] = &view_attention, [TAB_LOCK_IN] = &view_lock_in, [TAB_ORDERS] = &view_orders};
    cells_clear(g);
    int rc = app_prepare(a, g->cols, g->rows, e);
    if (rc) return rc;
    const layout *l = &a->lay;
    if (l->too_small) {
        draw_too_small(a, g);
        return 0;
    }
    show(&view_title, a, 0, g, l->title);
    for (int i = 0; i < a->n_panes; i++) draw_pane(a, i, g);
    show(&view_legend, a, 0, g, l->legend);
    show(&view_timeline, a, 0, g, l->timeline);
    show(&view_look_head, a, 0, g, l->tabs);
    show(&view_chart, a, 0, g, l->chart);
    if (details[a->tab]) show(details[a->tab], a, a->focus, g, l->look);
    if (a->lesson.l) show(&view_lesson, a, 0, g, l->lesson);
    show(&view_hints, a, 0, g, l->hints);
    show(&view_status, a, 0, g, l->status);
    if (a->over) dialog_draw(a, g, (rect){0, 1, l->cols, l->rows - 2});
    if (a->line.open) show(&view_line, a, 0, g, l->status);
    if (a->line.open && a->line.matches[0]) show(&view_matches, a, 0, g, l->hints);
    if (a->help) show(&view_help, a, 0, g, (rect){0, 1, l->cols, l->rows - 2});
    return 0;
}
