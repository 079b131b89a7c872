/* scores.c - the anatomy of one score: what the cursor's position gets from the policy and why, and which
 * rank every policy would give it at this state. */
#include "tui/view.h"

enum { ENTRY = 52, NAME = 14, SHORT = 26 };

static const policy_ranks *own_of(const ranks_view *v) {
    return v->n ? &v->at[0] : NULL;
}

static int masked_index(const ranks_view *v, int pos) {
    for (int m = 0; m < v->n_masked; m++) {
        if (v->pos[m] == pos) return m;
    }
    return -1;
}

static int candidates_of(const ranks_view *v, const policy_ranks *p) {
    int n = 0;
    for (int m = 0; p->rank && m < v->n_masked; m++) n += p->rank[m] > 0;
    return n;
}

/* "score +0.12 = gate 0.83 × TIS +0.16 - penalty 0.01", or the score alone where it has no parts. */
static void draw_sum(const app *a, int i, const step_record *r, int c, cells *g, rect area) {
    pen w = pen_at(a, g, area, 0);
    pen_text(&w, STYLE_DIM, "position ");
    pen_text(&w, STYLE_STRONG, "%d   ", a->cursor);
    pen_text(&w, run_role(i), "%s score ", pane_policy(app_pane(a, i)));
    pen_text(&w, STYLE_STRONG, "%+.4f", r->score[c]);
    if (!r->gate || !r->penalty || !r->tis) return;
    pen_text(&w, STYLE_DIM, " = gate ");
    pen_text(&w, STYLE_STRONG, "%.3f", r->gate[c]);
    pen_text(&w, STYLE_DIM, " \u00D7 TIS ");
    pen_text(&w, STYLE_STRONG, "%+.4f", r->tis[c]);
    pen_text(&w, STYLE_DIM, " \u2212 penalty ");
    pen_text(&w, STYLE_STRONG, "%.4f", r->penalty[c]);
    pen_text(&w, STYLE_DIM, "   %s", r->tis_name ? r->tis_name : "");
}

static void draw_place(const app *a, const ranks_view *v, const step_record *r, cells *g, rect area) {
    pen w = pen_at(a, g, area, 1);
    int m = masked_index(v, a->cursor), k = record_masked_index(r, a->cursor),
        c = record_cand_index(r, a->cursor);
    const policy_ranks *own = own_of(v);
    if (own && own->rank && m >= 0 && own->rank[m]) {
        pen_text(&w, STYLE_DIM, "rank ");
        pen_text(&w, STYLE_STRONG, "%d of %d", own->rank[m], candidates_of(v, own));
    } else {
        pen_text(&w, STYLE_DIM, "not among its %d candidates", own ? candidates_of(v, own) : 0);
    }
    if (k >= 0 && r->entropy)
        pen_text(&w, STYLE_DIM, "   H %.3f nats, p %.3f", r->entropy[k], r->confidence[k]);
    if (c >= 0 && r->delta_e_norm) pen_text(&w, STYLE_DIM, ", \u2016\u0394e\u2016 %.3f", r->delta_e_norm[c]);
    if (r->h_t > 0)
        pen_text(&w, STYLE_DIM, "   penalty %.3f \u00D7 max(%.3f \u2212 H, 0)\u00B2", r->lambda_t, r->h_t);
}

static void draw_column(const app *a, cells *g, rect r) {
    cells_printf(g, r.x, r.y, rect_end(r), look(a, STYLE_DIM), "%-*s %9s %9s  writes first", NAME, "policy",
                 "rank", "score");
}

static void draw_policy(const app *a, int i, const ranks_view *v, const policy_ranks *p, cells *g, rect r) {
    const trajectory *t = app_pane(a, i)->traj;
    int m = masked_index(v, a->cursor), end = rect_end(r);
    bool own = p == own_of(v);
    style plain = look(a, STYLE_PLAIN), dim = look(a, STYLE_DIM);
    char text[64], rank[32];
    cells_text(g, r.x, r.y, r.x + NAME, own ? run_look(a, i) : plain, p->policy->name);
    if (p->refusal) {
        cells_text(g, r.x + NAME + 2, r.y, end, dim, p->refusal);
        return;
    }
    if (p->rank && m >= 0 && p->rank[m]) {
        snprintf(rank, sizeof rank, "%d/%d", p->rank[m], candidates_of(v, p));
        cells_printf(g, r.x + NAME + 1, r.y, end, p->rank[m] == 1 ? look(a, STYLE_NEXT) : plain, "%9s", rank);
        cells_printf(g, r.x + NAME + 11, r.y, end, plain, "%+9.4f", p->score[m]);
    } else {
        cells_printf(g, r.x + NAME + 1, r.y, end, dim, "%10s", "\u00B7");
        cells_printf(g, r.x + NAME + 11, r.y, end, dim, "%10s", "\u00B7");
    }
    if (p->pos < 0) return;
    bool here = p->pos == a->cursor;
    flow_token_text(t->texts, p->token, t->head.mask_id, text, sizeof text);
    cells_printf(g, r.x + NAME + 22, r.y, end, look(a, here ? STYLE_STRONG : STYLE_PLAIN), "%4d %s", p->pos,
                 text);
}

/* "boe 15/47 > 66 3": where there is no room for a table. */
static void draw_short(const app *a, int i, const ranks_view *v, const policy_ranks *p, cells *g, rect r) {
    const trajectory *t = app_pane(a, i)->traj;
    int m = masked_index(v, a->cursor), end = rect_end(r);
    bool ranked = p->rank && m >= 0 && p->rank[m];
    char text[64];
    cells_text(g, r.x, r.y, r.x + NAME, p == own_of(v) ? run_look(a, i) : look(a, STYLE_PLAIN),
               p->policy->name);
    if (ranked) {
        cells_printf(g, r.x + NAME, r.y, end, look(a, STYLE_STRONG), "%3d", p->rank[m]);
    } else {
        cells_text(g, r.x + NAME + 2, r.y, end, look(a, STYLE_DIM), "\u00B7");
    }
    if (p->pos < 0) return;
    flow_token_text(t->texts, p->token, t->head.mask_id, text, sizeof text);
    cells_printf(g, r.x + NAME + 4, r.y, end, look(a, STYLE_DIM), "\u2192%d %s", p->pos, text);
}

typedef void draw_entry(const app *a, int i, const ranks_view *v, const policy_ranks *p, cells *g, rect r);

/* Columns of width w, filled downwards. */
static void draw_columns(const app *a, int i, const ranks_view *v, int w, draw_entry *entry, cells *g,
                         rect r) {
    int columns = (r.w - 1) / w;
    for (int k = 0; k < v->n && r.h > 0 && k / r.h < columns; k++)
        entry(a, i, v, &v->at[k], g, (rect){r.x + 1 + k / r.h * w, r.y + k % r.h, w - 1, 1});
}

static void draw_policies(const app *a, int i, const ranks_view *v, cells *g, rect r) {
    rect below = {r.x, r.y + 1, r.w, r.h - 1};
    if (r.w <= ENTRY || (r.w - 1) / ENTRY * below.h < v->n) {
        draw_columns(a, i, v, SHORT, draw_short, g, r);
        return;
    }
    draw_columns(a, i, v, ENTRY, draw_policy, g, below);
    for (int k = 0; k < v->n; k += below.h)
        draw_column(a, g, (rect){r.x + 1 + k / below.h * ENTRY, r.y, ENTRY - 1, 1});
}

static void draw(const app *a, int i, cells *g, rect r) {
    const inspection *x = a->looks.shown[i][INSPECT_RANKS];
    const step_record *rec = pane_record(app_pane(a, i));
    if (!x || !rec) {
        draw_no_look(a, g, r, x ? "nothing is scored at this state" : "not looked at yet");
        return;
    }
    const ranks_view *v = &x->ranks;
    int c = record_cand_index(rec, a->cursor);
    if (!v->n) {
        cells_text(g, r.x + 1, r.y, rect_end(r), look(a, STYLE_DIM), "nothing is masked: nothing is scored");
        return;
    }
    if (masked_index(v, a->cursor) < 0) {
        cells_printf(g, r.x + 1, r.y, rect_end(r), look(a, STYLE_DIM),
                     "position %d is not masked: w goes to the next mask", a->cursor);
    } else if (c >= 0 && rec->score) {
        draw_sum(a, i, rec, c, g, r);
    }
    draw_place(a, v, rec, g, r);
    draw_policies(a, i, v, g, (rect){r.x, r.y + 2, r.w, r.h - 2});
}

const view view_scores = {"scores", draw};
