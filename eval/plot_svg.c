/* plot_svg.c - the chart as a figure: intervals as bars, the front as a line, a legend below. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "eval/plot.h"

enum { WIDTH = 720, HEIGHT = 420, LEFT = 64, RIGHT = 24, TOP = 48, BELOW = 52, LEGEND_ROW = 20 };

static const char *const colors[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00",
                                     "#56b4e9", "#8b5a2b", "#555555", "#7b3fb3", "#b00020"};
enum { N_COLORS = (int)(sizeof colors / sizeof colors[0]) };

static double x_of(const plot_axes *a, double nfe) {
    return LEFT + plot_x(a, nfe) * (WIDTH - LEFT - RIGHT);
}

static double y_of(const plot_axes *a, double accuracy) {
    return HEIGHT - BELOW - plot_y(a, accuracy) * (HEIGHT - TOP - BELOW);
}

static void put_escaped(strbuf *b, const char *s) {
    for (; *s; s++) {
        if (*s == '&') {
            strbuf_puts(b, "&amp;");
        } else if (*s == '<') {
            strbuf_puts(b, "&lt;");
        } else if ((unsigned char)*s >= 0x20) {
            strbuf_putc(b, *s);
        }
    }
}

static void put_axes(strbuf *b, const plot_axes *a) {
    for (int i = 0; i <= 5; i++) {
        double y = y_of(a, i / 5.0);
        strbuf_printf(b, "<line x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\" stroke=\"#ddd\"/>\n", LEFT, y,
                      WIDTH - RIGHT, y);
        strbuf_printf(b, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%d%%</text>\n", LEFT - 8, y + 4,
                      20 * i);
    }
    for (int power = (int)floor(log10(a->low)); pow(10, power) <= a->high; power++) {
        static const int marks[] = {1, 2, 5};
        for (int i = 0; i < 3; i++) {
            double nfe = pow(10, power) * marks[i];
            if (nfe < a->low || nfe > a->high) continue;
            double x = x_of(a, nfe);
            strbuf_printf(b, "<line x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\" stroke=\"#ddd\"/>\n", x, TOP,
                          x, HEIGHT - BELOW);
            strbuf_printf(b, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%g</text>\n", x,
                          HEIGHT - BELOW + 18, nfe);
        }
    }
    strbuf_printf(b, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">NFE per example</text>\n",
                  (LEFT + WIDTH - RIGHT) / 2, HEIGHT - BELOW + 40);
}

static void put_front(strbuf *b, const summary *s, const plot_axes *a) {
    int *order = mem_new((size_t)s->n_rows, sizeof *order);
    int n = order ? plot_front(s, order) : 0;
    if (n > 1) {
        strbuf_puts(b, "<polyline fill=\"none\" stroke=\"#888\" stroke-width=\"1.5\" stroke-dasharray=\"5 "
                       "3\" points=\"");
        for (int i = 0; i < n; i++)
            strbuf_printf(b, "%s%.1f,%.1f", i ? " " : "", x_of(a, s->rows[order[i]].nfe),
                          y_of(a, s->rows[order[i]].accuracy));
        strbuf_puts(b, "\"/>\n");
    }
    free(order);
}

/* One colour for all rows of a policy. */
static const char *color_of(const summary *s, const summary_row *r) {
    int k = 0;
    for (int i = 0; strcmp(s->rows[i].config->label, r->config->label) != 0; i++) {
        bool first = true;
        for (int j = 0; j < i; j++) first &= strcmp(s->rows[j].config->label, s->rows[i].config->label) != 0;
        k += first;
    }
    return colors[k % N_COLORS];
}

static void put_point(strbuf *b, const summary *s, const summary_row *r, const plot_axes *a, int i) {
    double x = x_of(a, r->nfe), y = y_of(a, r->accuracy);
    const char *color = color_of(s, r);
    strbuf_printf(
        b, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\" stroke-opacity=\"0.4\"/>\n",
        x, y_of(a, r->ci.low), x, y_of(a, r->ci.high), color);
    strbuf_printf(b, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"5\" fill=\"%s\"><title>", x, y, color);
    put_escaped(b, r->config->label);
    strbuf_printf(b, ": %d of %d, NFE %.1f</title></circle>\n", r->correct, r->n, r->nfe);
    double row = HEIGHT + LEGEND_ROW / 2.0 + i * (double)LEGEND_ROW;
    strbuf_printf(b, "<circle cx=\"%d\" cy=\"%.1f\" r=\"5\" fill=\"%s\"/><text x=\"%d\" y=\"%.1f\">", LEFT,
                  row, color, LEFT + 14, row + 4);
    put_escaped(b, r->config->label);
    strbuf_printf(b, ", %.3g tokens a step", r->rate);
    if (r->config->length) strbuf_printf(b, ", length %d", r->config->length);
    strbuf_printf(b, ", seed %llu: %d/%d (%.0f-%.0f%%), NFE %.1f</text>\n",
                  (unsigned long long)r->config->seed, r->correct, r->n, 100 * r->ci.low, 100 * r->ci.high,
                  r->nfe);
}

void plot_svg(const summary *s, const char *title, strbuf *out) {
    plot_axes a = plot_range(s);
    int height = HEIGHT + (a.n + 1) * LEGEND_ROW;
    strbuf_printf(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" "
        "font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%%\" height=\"100%%\" "
        "fill=\"white\"/>\n",
        WIDTH, height, WIDTH, height);
    strbuf_printf(out, "<text x=\"%d\" y=\"28\" font-size=\"16\">", LEFT);
    put_escaped(out, title);
    strbuf_puts(out, "</text>\n");
    if (a.n) {
        put_axes(out, &a);
        put_front(out, s, &a);
    }
    for (int i = 0, k = 0; i < s->n_rows; i++) {
        if (!isnan(s->rows[i].accuracy) && s->rows[i].nfe > 0) put_point(out, s, &s->rows[i], &a, k++);
    }
    strbuf_puts(out, "</svg>\n");
}
