/* summary.c - one pane's step in numbers: where it is, what this decision costs, what the run has cost so
 * far. */
#include "tui/view.h"

static void put_state(pen *w, const pane *p) {
    bool known;
    double total = pane_total_entropy(p, p->state, &known);
    pen_field(w, "step", "%d/%d", p->state, pane_planned(p));
    if (known) {
        pen_field(w, "\u03A3H", "%.2f", total);
    } else {
        pen_field(w, "\u03A3H", "\u2026");
    }
}

/* Tokens written, and how many are put back for them: "3-1". */
static void put_budget(pen *w, const pane *p, const step_record *r, const char *label) {
    int back = 0;
    for (int i = 0; i < r->n_writes; i++)
        back += r->kind == STEP_DECODE && r->writes[i].token == p->traj->head.mask_id;
    if (back)
        pen_field(w, label, "%d\u2212%d", r->n_writes - back, back);
    else
        pen_field(w, label, "%d", r->n_writes);
}

/* The decision at this state, taken or proposed. */
static void put_decision(pen *w, const pane *p) {
    const step_record *r = pane_record(p);
    if (!r) return;
    put_budget(w, p, r, "budget");
    pen_field(w, "NFE", "%.*f", NFE_DIGITS(r->nfe), r->nfe);
    pen_field(w, "backward rows", "%lld", (long long)r->backward_rows);
    pen_field(w, "ms", "%.1f", r->ms);
}

static void put_totals(pen *w, const pane *p) {
    traj_totals t = trajectory_totals(p->traj, p->state);
    pen_field(w, "so far: NFE", "%.*f", NFE_DIGITS(t.nfe), t.nfe);
    pen_field(w, "backward rows", "%lld", (long long)t.backward_rows);
    pen_field(w, "ms", "%.0f", t.ms);
}

/* One narrow line: the run's totals, abbreviated; of the decision only its time and budget. */
static void draw_narrow(const app *a, const pane *p, cells *g, rect r) {
    traj_totals t = trajectory_totals(p->traj, p->state);
    const step_record *rec = pane_record(p);
    pen w = pen_at(a, g, r, 0);
    put_state(&w, p);
    pen_field(&w, "NFE", "%.*f", NFE_DIGITS(t.nfe), t.nfe);
    pen_field(&w, "bwd", "%lld", (long long)t.backward_rows);
    if (rec) pen_field(&w, "ms", "%.0f", rec->ms);
    if (rec) put_budget(&w, p, rec, "b");
}

enum { NARROW = 56 };

static void draw(const app *a, int i, cells *g, rect r) {
    const pane *p = app_pane(a, i);
    if (!p->traj) return;
    if (r.w < NARROW) {
        draw_narrow(a, p, g, r);
        return;
    }
    pen w = pen_at(a, g, r, 0);
    put_state(&w, p);
    if (r.h > 1) {
        put_totals(&w, p);
        w = pen_at(a, g, r, 1);
        put_decision(&w, p);
    } else {
        put_decision(&w, p);
        put_totals(&w, p);
    }
}

const view view_summary = {"summary", draw};
