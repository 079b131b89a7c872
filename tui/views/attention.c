/* attention.c - where the row of the cursor's position looks in one layer: its heads as a heatmap over the
 * positions, and the positions in order of attention for the head that is chosen. */
#include <stdlib.h>

#include "engine/rank.h"
#include "tui/views/heat.h"

enum { LABEL = 6, LIST_WIDTH = 30, TOKEN = 9 };

/* Row 0 is the mean over heads, row h + 1 is head h. */
typedef struct matrix {
    const attention_view *t;
    double top;
} matrix;

static double mean_of(const attention_view *t, int pos) {
    double sum = 0;
    for (int h = 0; h < t->n_heads; h++) sum += (double)t->p[(size_t)h * (size_t)t->n + (size_t)pos];
    return sum / t->n_heads;
}

static double weight(const attention_view *t, int row, int pos) {
    return row ? (double)t->p[(size_t)(row - 1) * (size_t)t->n + (size_t)pos] : mean_of(t, pos);
}

static double place(const void *ctx, int row, int col) {
    const matrix *m = ctx;
    return m->top > 0 ? weight(m->t, row, col) / m->top : 0;
}

static double largest(const attention_view *t) {
    double top = 0;
    for (size_t i = 0; i < (size_t)t->n_heads * (size_t)t->n; i++) {
        if ((double)t->p[i] > top) top = (double)t->p[i];
    }
    return top;
}

static void draw_labels(const app *a, const heat_window *w, cells *g, rect r) {
    int chosen = a->looks.head + 1;
    for (int y = 0; y * w->step < w->rows; y++) {
        int row = w->row + y * w->step;
        bool here = chosen >= row && chosen < row + w->step;
        if (here) row = chosen;
        style st = look(a, here ? STYLE_STRONG : STYLE_DIM);
        char name[16] = "mean";
        if (row) snprintf(name, sizeof name, "%d", row - 1);
        cells_printf(g, r.x - LABEL, r.y + y, r.x, st, "%4s%s", name, here ? "\u25B8" : "");
    }
}

static void draw_map(const app *a, const attention_view *t, cells *g, rect r) {
    matrix m = {t, largest(t)};
    heat h = {t->n_heads + 1, t->n, RAMP_SEA, place, &m, a->looks.head + 1, t->pos};
    rect inner = {r.x + LABEL, r.y + 1, r.w - LABEL, r.h - 1};
    heat_window w = heat_draw(a, &h, g, inner);
    draw_labels(a, &w, g, inner);
    char text[64];
    snprintf(text, sizeof text, "positions %d..%d, at most %.3f", w.col, w.col + w.cols - 1, m.top);
    heat_title(a, &w, t->pos, text, g, inner);
    cells_text(g, r.x, r.y, inner.x, look(a, STYLE_DIM), "head");
}

/* The list ---------------------------------------------------------------- */

static double strength(const void *ctx, int pos) {
    const app *a = ctx;
    double v = 0;
    (void)looks_attention(a, a->focus, pos, &v);
    return v;
}

static void draw_entry(const app *a, int i, int pos, double top, cells *g, rect r, int y) {
    const pane *p = app_pane(a, i);
    char text[64];
    double v = strength(a, pos), x = top > 0 ? v / top : 0;
    int end = rect_end(r);
    bool masked = p->tokens[pos] == p->traj->head.mask_id;
    flow_token_text(p->traj->texts, p->tokens[pos], p->traj->head.mask_id, text, sizeof text);
    cells_printf(g, r.x, y, end, look(a, STYLE_STRONG), "%4d", pos);
    cells_text(g, r.x + 5, y, r.x + 5 + TOKEN < end ? r.x + 5 + TOKEN : end,
               look(a, masked ? STYLE_MASKED : STYLE_PLAIN), text);
    cells_printf(g, r.x + 6 + TOKEN, y, end, look(a, STYLE_PLAIN), "%6.4f", v);
    cells_char(g, r.x + 14 + TOKEN, y, ramp_shade(&a->pal, RAMP_SEA, x), ramp_style(&a->pal, RAMP_SEA, x));
}

static void draw_head(const app *a, const attention_view *t, cells *g, rect r) {
    char of[32];
    snprintf(of, sizeof of, "head %d of %d", a->looks.head, t->n_heads);
    cells_printf(g, r.x, r.y, rect_end(r), look(a, STYLE_DIM), "layer %d of %d, %s", t->layer, t->n_layers,
                 a->looks.head < 0 ? "mean of heads" : of);
}

/* As many columns as there is room for, the strongest first. */
static void draw_list(const app *a, int i, const attention_view *t, cells *g, rect r) {
    int *order = calloc((size_t)t->n, sizeof *order), rows = r.h - 1;
    draw_head(a, t, g, r);
    if (!order || rows < 1) {
        free(order);
        return;
    }
    rank_order(strength, a, t->n, order);
    double top = a->looks.top[i];
    for (int k = 0; k < t->n; k++) {
        int x = r.x + k / rows * LIST_WIDTH;
        if (x + LIST_WIDTH - 4 > rect_end(r)) break;
        draw_entry(a, i, order[k], top, g, (rect){x, r.y, rect_end(r) - x, r.h}, r.y + 1 + k % rows);
    }
    free(order);
}

static void draw(const app *a, int i, cells *g, rect r) {
    const inspection *x = a->looks.shown[i][INSPECT_ATTENTION];
    if (!x) {
        draw_no_look(a, g, r, "not looked at yet");
        return;
    }
    const attention_view *t = &x->attention;
    int room = r.w - LIST_WIDTH - 2, wish = LABEL + t->n;
    if (wish < 30) wish = 30; /* its heading */
    int w = room < wish ? room : wish;
    draw_map(a, t, g, (rect){r.x, r.y, w, r.h});
    draw_list(a, i, t, g, (rect){r.x + w + 2, r.y, r.w - w - 2, r.h});
}

const view view_attention = {"attention", draw};
