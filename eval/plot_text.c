/* plot_text.c - the chart in braille: a character is 2 dots wide and 4 high. */
#include <math.h>
#include <stdlib.h>

#include "engine/base/mem.h"
#include "eval/plot.h"

typedef struct canvas {
    int cols, rows;
    unsigned char *dots; /* [rows][cols] braille bits */
    char *letters;       /* [rows][cols] or 0 */
} canvas;

/* x from the left and y from the bottom, in dots. */
static void dot(canvas *c, int x, int y) {
    static const unsigned char bits[4][2] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
    int down = 4 * c->rows - 1 - y;
    if (x < 0 || y < 0 || x >= 2 * c->cols || down < 0) return;
    c->dots[down / 4 * c->cols + x / 2] |= bits[down % 4][x % 2];
}

static void line(canvas *c, int x0, int y0, int x1, int y1) {
    int steps = abs(x1 - x0) > abs(y1 - y0) ? abs(x1 - x0) : abs(y1 - y0);
    for (int i = 0; i <= steps; i++) {
        double t = steps ? (double)i / steps : 0;
        dot(c, (int)lround(x0 + t * (x1 - x0)), (int)lround(y0 + t * (y1 - y0)));
    }
}

static int dot_x(const canvas *c, const plot_axes *a, const summary_row *r) {
    return (int)lround(plot_x(a, r->nfe) * (2 * c->cols - 1));
}

static int dot_y(const canvas *c, const plot_axes *a, const summary_row *r) {
    return (int)lround(plot_y(a, r->accuracy) * (4 * c->rows - 1));
}

static void draw_front(canvas *c, const summary *s, const plot_axes *a) {
    int *order = mem_new((size_t)s->n_rows, sizeof *order);
    int n = order ? plot_front(s, order) : 0;
    for (int i = 1; i < n; i++) {
        const summary_row *p = &s->rows[order[i - 1]], *q = &s->rows[order[i]];
        line(c, dot_x(c, a, p), dot_y(c, a, p), dot_x(c, a, q), dot_y(c, a, q));
    }
    free(order);
}

static char letter(int k) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    return k < (int)sizeof letters - 1 ? letters[k] : '*';
}

static void draw_points(canvas *c, const summary *s, const plot_axes *a) {
    for (int i = 0, k = 0; i < s->n_rows; i++) {
        const summary_row *r = &s->rows[i];
        if (isnan(r->accuracy) || !(r->nfe > 0)) continue;
        int at = (4 * c->rows - 1 - dot_y(c, a, r)) / 4 * c->cols + dot_x(c, a, r) / 2;
        c->letters[at] = c->letters[at] ? '*' : letter(k); /* several at one place */
        k++;
    }
}

static void put_canvas(const canvas *c, strbuf *out) {
    for (int y = 0; y < c->rows; y++) {
        if (y % 4 == 0 || y == c->rows - 1) {
            strbuf_printf(out, "%4.0f%% ", 100 * (1 - (double)y / (c->rows - 1)));
        } else {
            strbuf_puts(out, "      ");
        }
        for (int x = 0; x < c->cols; x++) {
            unsigned char bits = c->dots[y * c->cols + x];
            char at = c->letters[y * c->cols + x];
            if (at) {
                strbuf_putc(out, at);
            } else if (bits) {
                strbuf_printf(out, "\xe2%c%c", (char)(0xa0 + (bits >> 6)), (char)(0x80 + (bits & 0x3f)));
            } else {
                strbuf_puts(out, x == 0 ? "\xe2\xa1\x87" : y == c->rows - 1 ? "\xe2\xa3\x80" : " ");
            }
        }
        strbuf_putc(out, '\n');
    }
}

void plot_text(const summary *s, int cols, int rows, strbuf *out) {
    plot_axes a = plot_range(s);
    if (!a.n || cols < 8 || rows < 4) return;
    size_t cells = (size_t)cols * (size_t)rows;
    canvas c = {cols, rows, mem_new(cells, 1), mem_new(cells, 1)};
    if (c.dots && c.letters) {
        draw_front(&c, s, &a);
        draw_points(&c, s, &a);
        put_canvas(&c, out);
        strbuf_printf(out, "      NFE %-8.3g%*s%8.3g (logarithmic)\n", a.low, cols > 36 ? cols - 36 : 1, "",
                      a.high);
        for (int i = 0, k = 0; i < s->n_rows; i++) {
            const summary_row *r = &s->rows[i];
            if (isnan(r->accuracy) || !(r->nfe > 0)) continue;
            strbuf_printf(out, "      %c %s, %.3g tokens a step\n", letter(k++), r->config->label, r->rate);
        }
    }
    free(c.dots);
    free(c.letters);
}
