/* lock_in.c - written tokens as the model sees them now, were each alone put back to the mask: the least
 * likely first. */
#include <stdlib.h>

#include "engine/rank.h"
#include "tui/view.h"

enum { TOKEN = 9, ENTRY = 60 };

static double doubt(const void *ctx, int k) {
    const lock_in_view *v = ctx;
    return -v->p[k];
}

static const char *token_text(const pane *p, int32_t id, char *buf, int size) {
    return flow_token_text(p->traj->texts, id, p->traj->head.mask_id, buf, size);
}

static void draw_entry(const app *a, int i, const lock_in_view *v, int k, cells *g, rect r) {
    const pane *p = app_pane(a, i);
    char text[64];
    int pos = v->pos[k], x = r.x, end = rect_end(r);
    bool other = v->argmax[k] != v->token[k];
    style plain = look(a, STYLE_PLAIN);
    cells_printf(g, x, r.y, end, look(a, pos == a->cursor ? STYLE_NEXT : STYLE_STRONG), "%4d", pos);
    cells_text(g, x + 5, r.y, x + 5 + TOKEN, plain, token_text(p, v->token[k], text, sizeof text));
    x = cells_printf(g, x + 6 + TOKEN, r.y, end, plain, "%6.3f", p->written_p[pos]);
    x = cells_printf(g, x, r.y, end, plain, "%8.3f ", v->p[k]);
    cells_char(g, x, r.y, ramp_shade(&a->pal, RAMP_ENTROPY, 1 - v->p[k]),
               ramp_style(&a->pal, RAMP_ENTROPY, 1 - v->p[k]));
    x = cells_printf(g, x + 1, r.y, end, plain, "%7.3f  ", v->entropy[k]);
    if (!other) return;
    cells_text(g, x, r.y, end, look(a, STYLE_DIFFER), "?");
    cells_text(g, x + 2, r.y, x + 2 + TOKEN < end ? x + 2 + TOKEN : end, look(a, STYLE_STRONG),
               token_text(p, v->argmax[k], text, sizeof text));
    cells_printf(g, x + 3 + TOKEN, r.y, end, plain, "%.3f", v->p_argmax[k]);
}

static void draw_column(const app *a, cells *g, rect r) {
    cells_printf(g, r.x, r.y, rect_end(r), look(a, STYLE_DIM),
                 " pos %-*s  p then   p now        H  now rather", TOKEN, "token");
}

static void draw_summary(const app *a, const lock_in_view *v, cells *g, rect r) {
    pen w = pen_at(a, g, r, 0);
    pen_text(&w, v->n_disagree ? STYLE_DIFFER : STYLE_STRONG, "%d of %d", v->n_disagree, v->n);
    pen_text(&w, STYLE_PLAIN, " written tokens would now be written differently");
    pen_text(&w, STYLE_DIM, "   each one masked again alone, the rest as it stands");
}

static void draw_entries(const app *a, int i, const lock_in_view *v, const int *order, cells *g, rect r) {
    int rows = r.h - 2, columns = (r.w - 1) / ENTRY;
    for (int c = 0; c < columns && c * rows < v->n && rows > 0; c++) {
        int x = r.x + 1 + c * ENTRY;
        draw_column(a, g, (rect){x, r.y + 1, ENTRY - 1, 1});
        for (int y = 0; y < rows && c * rows + y < v->n; y++)
            draw_entry(a, i, v, order[c * rows + y], g, (rect){x, r.y + 2 + y, ENTRY - 1, 1});
    }
}

static void draw(const app *a, int i, cells *g, rect r) {
    const inspection *x = a->looks.shown[i][INSPECT_LOCK_IN];
    if (!x) {
        draw_no_look(a, g, r, "not looked at yet");
        return;
    }
    const lock_in_view *v = &x->lock_in;
    if (!v->n) {
        cells_text(g, r.x + 1, r.y, rect_end(r), look(a, STYLE_DIM), "nothing is written yet: s writes");
        return;
    }
    int *order = calloc((size_t)v->n, sizeof *order);
    if (!order) return;
    rank_order(doubt, v, v->n, order);
    draw_summary(a, v, g, r);
    draw_entries(a, i, v, order, g, r);
    free(order);
}

const view view_lock_in = {"lock-in", draw};
