/* title.c - the top line: what is decoded; and the title of each pane: which policy. */
#include <string.h>

#include "engine/base/clock.h"
#include "tui/view.h"

/* Where it runs or was run; of a GPU also the precision and, when live, how much of its memory is taken. */
static bool put_device(pen *w, const trajectory *t) {
    const k_memory *m = &w->a->memory;
    if (!t || !t->head.device[0]) return true;
    if (!strcmp(t->head.device, "cpu")) return pen_text(w, STYLE_DIM, "  cpu");
    if (!m->total_bytes) return pen_text(w, STYLE_DIM, "  %s %s", t->head.device, t->head.precision);
    return pen_text(w, STYLE_DIM, "  %s %s %.1f/%.1f GB", t->head.device, t->head.precision,
                    (double)(m->total_bytes - m->free_bytes) / 1e9, (double)m->total_bytes / 1e9);
}

/* Fields drop from the right; the status line has the masks that are left, too. */
static void draw_title(const app *a, int i, cells *g, rect r) {
    (void)i;
    const trajectory *t = app_pane(a, 0)->traj;
    const char *right = a->model ? "live" : "replay";
    pen w = pen_at(a, g, r, 0);
    w.end -= cells_measure(right) + 2;
    pen_text(&w, STYLE_TITLE, "tabes");
    if (t) {
        w.x = cells_printf(g, w.x + 2, w.y, w.end, look(a, STYLE_PLAIN), "%s", t->head.model_name);
        (void)(pen_text(&w, STYLE_DIM, "  %s  %s", t->head.model_arch, t->head.dtype) &&
               put_device(&w, app_pane(a, a->focus)->traj) &&
               pen_text(&w, STYLE_DIM, "  %d tokens", t->head.n_tokens) &&
               pen_text(&w, STYLE_DIM, ", %d to unmask", rank_max(app_pane(a, 0))));
    }
    cells_text(g, w.end + 1, r.y, rect_end(r), look(a, STYLE_DIM), right);
}

const view view_title = {"title", draw_title};

/* Where no line is left for the summary: entropy, and cost so far + of the decision, as much as fits. */
static void draw_cost(const app *a, const pane *p, cells *g, int x, int y, int end) {
    bool known;
    double total = pane_total_entropy(p, p->state, &known);
    traj_totals t = trajectory_totals(p->traj, p->state);
    const step_record *r = pane_record(p);
    char fields[3][80], nfe[40] = "", rows[40] = "";
    if (!known) return;
    if (r) snprintf(nfe, sizeof nfe, "+%.*f", NFE_DIGITS(r->nfe), r->nfe);
    if (r) snprintf(rows, sizeof rows, "+%lld", (long long)r->backward_rows);
    snprintf(fields[0], sizeof fields[0], " \u03A3H %.2f ", total);
    snprintf(fields[1], sizeof fields[1], " NFE %.*f%s ", NFE_DIGITS(t.nfe), t.nfe, nfe);
    snprintf(fields[2], sizeof fields[2], " bwd %lld%s ", (long long)t.backward_rows, rows);
    int n = 0, width = 1;
    while (n < 3 && x + width + cells_measure(fields[n]) <= end) width += cells_measure(fields[n++]);
    for (int i = 0, at = end - width; i < n; i++)
        at = cells_text(g, at, y, end, look(a, STYLE_PLAIN), fields[i]);
}

static const double NOTICEABLE = 0.3; /* seconds; shorter work would only flicker */

static void draw_pane_title(const app *a, int i, cells *g, rect r) {
    const pane *p = app_pane(a, i);
    style run = run_look(a, i), rule = look(a, STYLE_DIM);
    int end = rect_end(r);
    bool focused = a->n_panes > 1 && a->focus == i;
    cells_repeat(g, r.x, r.y, r.w, focused ? 0x2501 : 0x2500,
                 focused ? look_over(rule, (style){run.fg, -1, 0}) : rule);
    int x = cells_printf(g, r.x + 1, r.y, end, run, " %c %s ", 'A' + i, pane_policy(p));
    if (pane_approximate(p)) x = cells_text(g, x, r.y, end, look(a, STYLE_STRONG), " approximate ");
    if (p->busy && clock_now() - p->busy_since > NOTICEABLE) {
        x = cells_text(g, x, r.y, end, rule, " computing ");
    } else if (pane_complete(p) && p->state == pane_states(p)) {
        x = cells_text(g, x, r.y, end, rule, " done ");
    }
    const tree_node *node = p->tree.n > 1 ? tree_find(&p->tree, p->tree.active) : NULL;
    if (p->guest) {
        x = cells_printf(g, x, r.y, end, look(a, STYLE_PINNED), p->guest_of < 0 ? " file %s " : " branch %s ",
                         p->guest_name);
    } else if (node) {
        x = cells_printf(g, x, r.y, end, look(a, STYLE_PLAIN), " %s ", node->name);
    }
    if (p->traj && !a->lay.pane[i].summary.h) draw_cost(a, p, g, x, r.y, end);
}

const view view_pane_title = {"pane title", draw_pane_title};
