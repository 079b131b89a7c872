/* orders.c - the positions whose places in two orders lie furthest apart; the cursor's own stands above. */
#include "tui/view.h"

enum { ENTRY = 40, TOKEN = 9 };

static void draw_entry(const app *a, int pos, cells *g, rect r) {
    const orders *o = &a->orders;
    const pane *p = app_pane(a, o->other);
    char text[64];
    int by = 0, end = rect_end(r);
    (void)orders_difference(o, pos, &by);
    double x = 0.5 + 0.5 * by / o->most;
    int32_t id = p->traj->last[pos];
    bool here = pos == a->cursor;
    cells_printf(g, r.x, r.y, end, look(a, here ? STYLE_NEXT : STYLE_STRONG), "%4d", pos);
    flow_token_text(p->traj->texts, id, p->traj->head.mask_id, text, sizeof text);
    cells_text(g, r.x + 5, r.y, r.x + 5 + TOKEN, look(a, STYLE_PLAIN), text);
    int at = cells_printf(g, r.x + 6 + TOKEN, r.y, end, look(a, STYLE_PLAIN), "%5d %5d %+5d ",
                          o->place[0][pos], o->place[1][pos], by);
    cells_char(g, at, r.y, ramp_shade(&a->pal, RAMP_SIGNED, x), ramp_style(&a->pal, RAMP_SIGNED, x));
}

static void draw_head(const app *a, cells *g, rect r) {
    cells_printf(g, r.x, r.y, rect_end(r), look(a, STYLE_DIM), " pos %-*s     A     %c   A-%c", TOKEN,
                 "token", 'A' + a->orders.other, 'A' + a->orders.other);
}

static void draw_cursor(const app *a, cells *g, rect r) {
    const orders *o = &a->orders;
    char text[80];
    pen w = pen_at(a, g, r, 0);
    pen_text(&w, STYLE_DIM, "position ");
    pen_text(&w, STYLE_STRONG, "%d  ", a->cursor);
    pen_text(&w, STYLE_PLAIN, "%s", orders_text(o, a->cursor, text, sizeof text));
    if (a->cursor < o->n && o->step[0][a->cursor] && o->step[1][a->cursor])
        pen_text(&w, STYLE_DIM, ", at steps %d and %d", o->step[0][a->cursor], o->step[1][a->cursor]);
    if (o->n_one) pen_text(&w, STYLE_DIM, "   %d unmasked by one alone so far", o->n_one);
}

static void draw(const app *a, int i, cells *g, rect r) {
    const orders *o = &a->orders;
    (void)i;
    if (!o->other) {
        cells_text(g, r.x + 1, r.y, rect_end(r), look(a, STYLE_DIM),
                   "there is one pane: no order to compare with");
        return;
    }
    draw_cursor(a, g, r);
    int rows = r.h - 2, columns = (r.w - 1) / ENTRY;
    for (int c = 0; c < columns && c * rows < o->n_both && rows > 0; c++) {
        int x = r.x + 1 + c * ENTRY;
        draw_head(a, g, (rect){x, r.y + 1, ENTRY - 1, 1});
        for (int y = 0; y < rows && c * rows + y < o->n_both; y++)
            draw_entry(a, o->by_size[c * rows + y], g, (rect){x, r.y + 2 + y, ENTRY - 1, 1});
    }
}

const view view_orders = {"orders", draw};
