/* chart.c - total entropy ΣH by state, all panes over one scale, drawn in braille dots: A is a line, B every
 * other dot, C dashes, D one dot in five, so that they differ without colour. ASCII draws 'a' to 'd', and '*'
 * where lines meet. */
#include "tui/view.h"
#include "tui/views/dots.h"

enum { AXIS = 7 };

typedef struct plot {
    rect r; /* of the dots */
    int states;
    double top;
} plot;

static double highest(const app *a) {
    double top = 0;
    for (int i = 0; i < a->n_panes; i++) {
        const pane *p = app_pane(a, i);
        for (int n = 0; n <= pane_states(p); n++) {
            bool known;
            double v = pane_total_entropy(p, n, &known);
            if (known && v > top) top = v;
        }
    }
    return top;
}

static int dot_x(const plot *k, int n) {
    int w = k->r.w * DOTS_X - 1;
    return k->states > 0 ? (int)((long)n * w / k->states) : 0;
}

static int dot_y(const plot *k, double v) {
    int h = k->r.h * DOTS_Y - 1;
    double y = k->top > 0 ? (1 - v / k->top) * h + 0.5 : h;
    return y > 0 ? y < h ? (int)y : h : 0;
}

static void put_dot(const app *a, cells *g, const plot *k, int i, int x, int y) {
    style own = run_look(a, i);
    own.attr = 0;
    dots_put(g, k->r, x, y, (dot){own, (uint32_t)('a' + i), '*'});
}

/* Is the dot in column x of the line of pane i drawn? */
static bool drawn(int i, int x) {
    static const struct { int on, of; } dashes[TUI_MAX_PANES] = {{1, 1}, {1, 2}, {4, 6}, {1, 5}};
    return x % dashes[i].of < dashes[i].on;
}

static void draw_line(const app *a, cells *g, const plot *k, int i) {
    const pane *p = app_pane(a, i);
    int last_x = -1, last_y = 0;
    for (int n = 0; n <= pane_states(p); n++) {
        bool known;
        double v = pane_total_entropy(p, n, &known);
        if (!known) continue;
        int x = dot_x(k, n), y = dot_y(k, v);
        if (last_x < 0) last_x = x, last_y = y;
        for (int at = last_x; at <= x; at++) {
            int between = x > last_x ? last_y + (y - last_y) * (at - last_x) / (x - last_x) : y;
            if (drawn(i, at) || (i == 1 && at == x)) put_dot(a, g, k, i, at, between);
        }
        last_x = x;
        last_y = y;
    }
}

static int now_x(const app *a, const plot *k, int i) {
    return k->r.x + dot_x(k, app_pane(a, i)->state) / DOTS_X;
}

static void draw_axes(const app *a, cells *g, const plot *k, rect r) {
    style dim = look(a, STYLE_DIM);
    cells_printf(g, r.x, k->r.y, k->r.x, dim, "%6.1f", k->top);
    cells_printf(g, r.x, k->r.y + k->r.h - 1, k->r.x, dim, "%6.1f", 0.0);
    for (int y = 0; y < k->r.h; y++) cells_char(g, k->r.x - 1, k->r.y + y, 0x2502, dim);
    int y = k->r.y + k->r.h;
    if (y >= r.y + r.h) return;
    char last[16];
    int n = snprintf(last, sizeof last, "%d", k->states);
    cells_text(g, k->r.x, y, rect_end(r), dim, "0");
    bool free_end = true;
    for (int i = 0; i < a->n_panes; i++) free_end &= now_x(a, k, i) < rect_end(r) - n;
    if (free_end) cells_text(g, rect_end(r) - n, y, rect_end(r), dim, last);
}

/* The state that each pane shows, under the axis. */
static void draw_now(const app *a, cells *g, const plot *k) {
    int y = k->r.y + k->r.h;
    for (int i = 0; i < a->n_panes; i++) {
        const pane *p = app_pane(a, i);
        int x = now_x(a, k, i);
        bool same = i && p->state == app_pane(a, 0)->state;
        style st = same ? look(a, STYLE_STRONG) : run_look(a, i);
        cells_printf(g, x, y, rect_end(k->r), st, "\u25B2");
    }
}

static void draw_key(const app *a, cells *g, rect r) {
    pen w = {a, g, r.x + 1, r.y, rect_end(r)};
    pen_text(&w, STYLE_DIM, "\u03A3H nats by step   ");
    for (int i = 0; i < a->n_panes; i++) {
        const pane *p = app_pane(a, i);
        bool known;
        double v = pane_total_entropy(p, p->state, &known);
        static const char *const samples[TUI_MAX_PANES] = {"\u2812\u2812", "\u2802\u2802", "\u2812\u2810",
                                                           "\u2802 "};
        if (a->n_panes > 2 && !g->ascii) pen_text(&w, run_role(i), "%s ", samples[i]);
        pen_text(&w, run_role(i), "%c %s ", 'A' + i, pane_policy(p));
        if (known) pen_text(&w, STYLE_PLAIN, "%.2f", v);
        pen_text(&w, STYLE_PLAIN, "   ");
    }
}

static void draw(const app *a, int i, cells *g, rect r) {
    (void)i;
    plot k = {.r = {r.x + AXIS, r.y + 1, r.w - AXIS - 1, r.h - 2}, .top = highest(a)};
    for (int n = 0; n < a->n_panes; n++) {
        int planned = pane_planned(app_pane(a, n));
        if (planned > k.states) k.states = planned;
    }
    draw_key(a, g, r);
    if (k.r.h < 1 || k.r.w < 8) return;
    for (int n = a->n_panes - 1; n >= 0; n--) draw_line(a, g, &k, n);
    draw_axes(a, g, &k, r);
    draw_now(a, g, &k);
}

const view view_chart = {"chart", draw};
