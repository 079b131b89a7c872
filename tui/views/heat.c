/* heat.c - a matrix as colours. */
#include "tui/views/heat.h"

/* First of `room` shown among n so that `at` is in the middle half where possible. It moves by half a room at
 * a time: a map that stands still is easier to read, and a frame that changes every cell of it is the
 * dearest. */
static int first_shown(int at, int n, int room) {
    int half = room > 1 ? room / 2 : 1, first = at < 0 ? 0 : at - at % half - room / 4;
    if (first > n - room) first = n - room;
    return first < 0 ? 0 : first;
}

static int min(int a, int b) {
    return a < b ? a : b;
}

static heat_window window_of(const app *a, const heat *h, const cells *g, rect r) {
    heat_window w = {.step = !g->ascii && ramp_has_color(&a->pal, h->ramp) ? 2 : 1};
    w.rows = r.h * w.step;
    w.row = first_shown(h->row, h->rows, w.rows);
    w.col = first_shown(h->col, h->cols, r.w);
    w.rows = min(w.rows, h->rows - w.row);
    w.cols = min(r.w, h->cols - w.col);
    return w;
}

/* Two rows in one cell: the upper as foreground of a half block, the lower as background. */
static void draw_pair(const app *a, const heat *h, int row, int col, bool second, cells *g, int x, int y) {
    style s = {ramp_color(&a->pal, h->ramp, h->value(h->ctx, row, col)), -1, 0};
    if (second) s.bg = ramp_color(&a->pal, h->ramp, h->value(h->ctx, row + 1, col));
    cells_char(g, x, y, 0x2580, s);
}

static void draw_cell(const app *a, const heat *h, int row, int col, cells *g, int x, int y) {
    double v = h->value(h->ctx, row, col);
    cells_char(g, x, y, ramp_shade(&a->pal, h->ramp, v), ramp_style(&a->pal, h->ramp, v));
}

heat_window heat_draw(const app *a, const heat *h, cells *g, rect r) {
    heat_window w = window_of(a, h, g, r);
    for (int y = 0; y * w.step < w.rows; y++) {
        int row = w.row + y * w.step;
        bool second = row + 1 < w.row + w.rows;
        for (int x = 0; x < w.cols; x++) {
            if (w.step == 2) {
                draw_pair(a, h, row, w.col + x, second, g, r.x + x, r.y + y);
            } else {
                draw_cell(a, h, row, w.col + x, g, r.x + x, r.y + y);
            }
        }
    }
    return w;
}

void heat_title(const app *a, const heat_window *w, int col, const char *text, cells *g, rect r) {
    int x = r.x, n = cells_measure(text),
        at = col < w->col || col >= w->col + w->cols ? -1 : r.x + col - w->col;
    if (at >= 0) cells_char(g, at, r.y - 1, 0x25BE, look(a, STYLE_STRONG));
    int end = at > x + n ? at : rect_end(r);
    if (at >= 0 && at <= x + n) x = at + 2;
    cells_text(g, x, r.y - 1, end, look(a, STYLE_DIM), text);
}
