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

/* The decision at this state, taken or proposed. */
static void put_decision(pen *w, const step_record *r) {
    if (!r) return;
    pen_field(w, "budget", "%d", r->n_writes);
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
    if (rec) pen_field(&w, "b", "%d", rec->n_writes);
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
        put_decision(&w, pane_record(p));
    } else {
        put_decision(&w, pane_record(p));
        put_totals(&w, p);
    }
}

const view view_summary = {"summary", draw};
