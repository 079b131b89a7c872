/* influence.c - who settles whom: the matrix as a heatmap round the cursor, and beside it whom the cursor's
 * position would settle and who would settle it, strongest first. */
#include <math.h>
#include <stdlib.h>

#include "engine/rank.h"
#include "tui/views/heat.h"

enum { LABEL = 5, LIST_WIDTH = 25 };

typedef struct matrix {
    const influence_view *f;
    double clip;
} matrix;

static int cursor_index(const app *a, const influence_view *f) {
    for (int i = 0; i < f->n; i++) {
        if (f->pos[i] == a->cursor) return i;
    }
    return -1;
}

static double place(const void *ctx, int j, int i) {
    const matrix *m = ctx;
    double v = m->f->D[j * m->f->n + i];
    return m->clip > 0 ? 0.5 + 0.5 * fmax(-1, fmin(1, v / m->clip)) : 0.5;
}

static void draw_labels(const app *a, const influence_view *f, const heat_window *w, cells *g, rect r) {
    int at = cursor_index(a, f);
    for (int y = 0; y * w->step < w->rows; y++) {
        int j = w->row + y * w->step;
        bool here = at >= j && at < j + w->step;
        cells_printf(g, r.x - LABEL, r.y + y, r.x, look(a, here ? STYLE_STRONG : STYLE_DIM),
                     here ? "%3d\u25B8" : "%3d", f->pos[here ? at : j]);
    }
}

static void draw_map(const app *a, const influence_view *f, cells *g, rect r, double clip) {
    int at = cursor_index(a, f);
    matrix m = {f, clip};
    heat h = {f->n, f->n, RAMP_SIGNED, place, &m, at, at};
    rect inner = {r.x + LABEL, r.y + 1, r.w - LABEL, r.h - 1};
    heat_window w = heat_draw(a, &h, g, inner);
    draw_labels(a, f, &w, g, inner);
    char text[48];
    snprintf(text, sizeof text, "settled by %d..%d", f->pos[w.col], f->pos[w.col + w.cols - 1]);
    heat_title(a, &w, at, text, g, inner);
}

/* Lists ------------------------------------------------------------------ */

typedef struct ordering {
    const influence_view *f;
    int at;
    bool settled_by;
} ordering;

static double value(const ordering *o, int k) {
    return o->settled_by ? o->f->D[o->at * o->f->n + k] : o->f->D[k * o->f->n + o->at];
}

/* The cursor's own entry comes last and is left out. */
static double strength(const void *ctx, int k) {
    const ordering *o = ctx;
    return k == o->at ? -HUGE_VAL : value(o, k);
}

static void draw_entry(const app *a, int i, const ordering *o, int k, cells *g, rect r, int y, double clip) {
    const pane *p = app_pane(a, i);
    const step_record *rec = pane_record(p);
    char text[64] = "";
    int pos = o->f->pos[k], m = rec ? record_masked_index(rec, pos) : -1, end = rect_end(r);
    double v = value(o, k), x = clip > 0 ? 0.5 + 0.5 * fmax(-1, fmin(1, v / clip)) : 0.5;
    if (m >= 0 && rec->argmax)
        flow_token_text(p->traj->texts, rec->argmax[m], p->traj->head.mask_id, text, sizeof text);
    cells_printf(g, r.x, y, end, look(a, STYLE_STRONG), "%4d", pos);
    cells_text(g, r.x + 5, y, r.x + 12 < end ? r.x + 12 : end, look(a, STYLE_PLAIN), text);
    cells_printf(g, r.x + 13, y, end, look(a, STYLE_PLAIN), "%+8.4f", v);
    cells_char(g, r.x + 22, y, ramp_shade(&a->pal, RAMP_SIGNED, x), ramp_style(&a->pal, RAMP_SIGNED, x));
}

static void draw_list(const app *a, int i, const influence_view *f, bool settled_by, cells *g, rect r,
                      double clip) {
    ordering o = {f, cursor_index(a, f), settled_by};
    bool chosen = a->layer == LAYER_INFLUENCE && settled_by == a->looks.settled_by;
    cells_printf(g, r.x, r.y, rect_end(r), look(a, chosen ? STYLE_STRONG : STYLE_DIM),
                 settled_by ? "%d is settled by" : "%d settles", a->cursor);
    int *order = calloc((size_t)f->n, sizeof *order);
    if (!order) return;
    rank_order(strength, &o, f->n, order);
    for (int k = 0; k < f->n - 1 && k + 1 < r.h; k++) draw_entry(a, i, &o, order[k], g, r, r.y + 1 + k, clip);
    free(order);
}

static void draw(const app *a, int i, cells *g, rect r) {
    const inspection *x = a->looks.shown[i][INSPECT_INFLUENCE];
    if (!x) {
        draw_no_look(a, g, r, "not looked at yet");
        return;
    }
    const influence_view *f = &x->influence;
    if (f->n < 1) {
        cells_text(g, r.x + 1, r.y, rect_end(r), look(a, STYLE_DIM),
                   "nothing is masked: nothing is left to settle");
        return;
    }
    double clip = a->looks.clip[i];
    int lists = 2 * LIST_WIDTH, room = r.w - lists - 2;
    draw_map(a, f, g, (rect){r.x, r.y, room < LABEL + f->n ? room : LABEL + f->n, r.h}, clip);
    int x0 = r.x + (room < LABEL + f->n + 2 ? room + 1 : LABEL + f->n + 3);
    if (cursor_index(a, f) < 0) {
        cells_printf(g, x0, r.y, rect_end(r), look(a, STYLE_DIM),
                     "position %d is not masked: w goes to the next mask", a->cursor);
        return;
    }
    draw_list(a, i, f, false, g, (rect){x0, r.y, LIST_WIDTH, r.h}, clip);
    draw_list(a, i, f, true, g, (rect){x0 + LIST_WIDTH, r.y, LIST_WIDTH, r.h}, clip);
}

const view view_influence = {"influence", draw};
