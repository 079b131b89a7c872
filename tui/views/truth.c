/* truth.c - TIS beside what writing really does: a scatter plot over the candidates, rank correlations, the
 * margin of Corollary 3.2 with its estimated bound, and the correlation by state where the run was checked.
 */
#include <math.h>
#include <stdlib.h>

#include "engine/base/mem.h"
#include "engine/rank.h"
#include "tui/view.h"
#include "tui/views/dots.h"

enum { SCATTER = 26, TABLE = 54, WIDE = SCATTER + TABLE + 26, MOST_SCATTER = 56, TOKEN = 7 };

typedef struct span {
    double low, high;
} span;

/* The range of some values and zero, with a little air. */
static span span_of(const double *v, int n) {
    span s = {0, 0};
    for (int i = 0; i < n; i++) {
        s.low = fmin(s.low, v[i]);
        s.high = fmax(s.high, v[i]);
    }
    double air = 0.04 * (s.high - s.low);
    return (span){s.low - air, s.high + air};
}

/* Scatter ------------------------------------------------------------------ */

typedef struct scatter {
    const app *a;
    cells *g;
    rect r; /* of the dots */
    span x, y;
} scatter;

static int dot_x(const scatter *s, double v) {
    return dots_place(v, s->x.low, s->x.high, s->r.w * DOTS_X);
}

static int dot_y(const scatter *s, double v) {
    int h = s->r.h * DOTS_Y;
    return h - 1 - dots_place(v, s->y.low, s->y.high, h);
}

/* Two by two dots, so that points stand out from the lines. */
static void draw_point(cells *g, rect r, int x, int y, dot d) {
    for (int n = 0; n < (g->ascii ? 1 : 4); n++) dots_put(g, r, x + n % 2, y + n / 2, d);
}

static void draw_points(const scatter *s, int i, const truth_view *v, bool chosen) {
    dot d = {chosen ? look(s->a, STYLE_NEXT) : run_look(s->a, i), chosen ? '#' : 'o', 0};
    for (int k = 0; k < v->n; k++) {
        if (v->chosen[k] == chosen) draw_point(s->g, s->r, dot_x(s, v->tis[k]), dot_y(s, v->relaxed[k]), d);
    }
}

/* Zero lines, and the line on which TIS is exact. */
static void draw_guides(const scatter *s) {
    dot d = {look(s->a, STYLE_DIM), '.', 0};
    int w = s->r.w * DOTS_X, h = s->r.h * DOTS_Y;
    for (int x = 0; x < w; x += 4) dots_put(s->g, s->r, x, dot_y(s, 0), d);
    for (int y = 0; y < h; y += 4) dots_put(s->g, s->r, dot_x(s, 0), y, d);
    for (int x = 0; x < w; x += 2) {
        double at = s->x.low + (s->x.high - s->x.low) * x / (w - 1);
        if (at >= s->y.low && at <= s->y.high) dots_put(s->g, s->r, x, dot_y(s, at), d);
    }
}

static void draw_scatter(const app *a, int i, const truth_view *v, cells *g, rect r) {
    scatter s = {
        a, g, {r.x + 1, r.y + 1, r.w - 2, r.h - 2}, span_of(v->tis, v->n), span_of(v->relaxed, v->n)};
    if (s.r.h < 1) return;
    style dim = look(a, STYLE_DIM);
    cells_printf(g, r.x + 1, r.y, rect_end(r), dim, "\u2191 relaxed %+.3f..%+.3f", s.y.low, s.y.high);
    cells_printf(g, r.x + 1, r.y + r.h - 1, rect_end(r), dim, "\u2192 TIS %+.3f..%+.3f nats", s.x.low,
                 s.x.high);
    draw_points(&s, i, v, true);
    draw_points(&s, i, v, false);
    draw_guides(&s);
    for (int k = 0; k < v->n; k++) {
        if (v->pos[k] == a->cursor)
            cells_char(g, s.r.x + dot_x(&s, v->tis[k]) / DOTS_X, s.r.y + dot_y(&s, v->relaxed[k]) / DOTS_Y,
                       0x25CF, look(a, STYLE_STRONG));
    }
}

/* Margins ------------------------------------------------------------------ */

static bool beaten(const truth_view *v, int j) {
    return score_stable(v->tis, v->chosen, v->n, v->bound, j);
}

static void count_beaten(const truth_view *v, int *stable, int *others) {
    *stable = *others = 0;
    for (int j = 0; j < v->n; j++) {
        if (v->chosen[j]) continue;
        ++*others;
        *stable += beaten(v, j);
    }
}

/* The run ------------------------------------------------------------------- */

typedef struct run_check {
    int known, of, lowest_at; /* states with a correlation; states that have candidates */
    double sum, lowest;
    int stable; /* states whose choice is stable against every other candidate */
} run_check;

static void add_state(run_check *c, const truth_view *v, int n) {
    int stable, others;
    double rho = v->spearman_relaxed;
    count_beaten(v, &stable, &others);
    c->stable += others && stable == others;
    if (!isfinite(rho)) return;
    c->known++;
    c->sum += rho;
    if (c->known > 1 && rho >= c->lowest) return;
    c->lowest = rho;
    c->lowest_at = n;
}

static bool decodes(const pane *p, int n) {
    const step_record *r = trajectory_record_at(p->traj, n);
    return r && r->kind == STEP_DECODE;
}

static run_check check_run(const app *a, int i, int32_t *tokens) {
    const pane *p = app_pane(a, i);
    run_check c = {0};
    for (int n = 0; n <= pane_states(p); n++) {
        if (!decodes(p, n)) continue;
        const inspection *x = looks_truth_at(a, i, n, tokens);
        c.of++;
        if (x) add_state(&c, &x->truth, n);
    }
    return c;
}

/* Spearman by state, from -1 to 1. */
static void draw_run(const app *a, int i, int32_t *tokens, cells *g, rect r) {
    const pane *p = app_pane(a, i);
    rect in = {r.x + 6, r.y + 1, r.w - 7, r.h - 2};
    style dim = look(a, STYLE_DIM), own = run_look(a, i);
    int last = pane_states(p) > 0 ? pane_states(p) : 1, w = in.w * DOTS_X, h = in.h * DOTS_Y;
    if (in.h < 1 || in.w < 8) return;
    cells_text(g, r.x, r.y, rect_end(r), dim, "\u03C1 of TIS and relaxed, by state");
    for (int n = 0; n <= pane_states(p); n++) {
        const inspection *x = decodes(p, n) ? looks_truth_at(a, i, n, tokens) : NULL;
        if (!x || !isfinite(x->truth.spearman_relaxed)) continue;
        int y = h - 2 - dots_place(x->truth.spearman_relaxed, -1, 1, h - 1);
        draw_point(g, in, dots_place(n, 0, last, w - 1), y, (dot){own, 'o', 0});
    }
    for (int x = 0; x < w; x += 4) dots_put(g, in, x, h / 2, (dot){dim, '.', 0});
    cells_text(g, r.x, in.y, in.x, dim, "   +1");
    cells_text(g, r.x, in.y + in.h - 1, in.x, dim, "   -1");
    for (int y = 0; y < in.h; y++) cells_char(g, in.x - 1, in.y + y, 0x2502, dim);
    int now = in.x + dots_place(p->state, 0, last, w) / DOTS_X;
    cells_printf(g, in.x, in.y + in.h, rect_end(r), dim, "0%*d", in.w - 1, pane_states(p));
    cells_char(g, now, in.y + in.h, 0x25B2, own);
}

/* Words and table ----------------------------------------------------------- */

static void put_pair(pen *w, const char *name, double spearman, double kendall) {
    pen_text(w, STYLE_DIM, "%s ", name);
    if (!isfinite(spearman)) {
        pen_text(w, STYLE_DIM, "\u03C1 none  ");
        return;
    }
    pen_text(w, STYLE_DIM, "\u03C1 ");
    pen_text(w, STYLE_STRONG, "%+.2f ", spearman);
    pen_text(w, STYLE_DIM, "\u03C4 ");
    pen_text(w, STYLE_STRONG, "%+.2f  ", kendall);
}

static void draw_margin(const app *a, const truth_view *v, cells *g, rect r) {
    pen w = pen_at(a, g, r, 1);
    int stable, others;
    count_beaten(v, &stable, &others);
    pen_text(&w, STYLE_DIM, "bound ");
    pen_text(&w, STYLE_STRONG, "%.4g", v->bound);
    pen_text(&w, STYLE_DIM, others ? " nats: stable (estimated) over " : " nats: no other candidates");
    if (!others) return;
    pen_text(&w, stable == others ? STYLE_NEXT : STYLE_STRONG, "%d of %d", stable, others);
}

static void draw_run_words(const app *a, const run_check *c, cells *g, rect r) {
    pen w = pen_at(a, g, r, 2);
    if (a->looks.whole_run) {
        pen_text(&w, STYLE_KEY, "run: %d of %d states checked", c->of - a->looks.run_left, c->of);
    } else if (c->known < 2) {
        pen_text(&w, STYLE_DIM, "vr checks every state of the run");
        return;
    }
    if (!c->known) return;
    pen_text(&w, STYLE_DIM, "%s\u03C1 mean ", a->looks.whole_run ? "  " : "run: ");
    pen_text(&w, STYLE_STRONG, "%+.2f", c->sum / c->known);
    pen_text(&w, STYLE_DIM, " least %+.2f at %d", c->lowest, c->lowest_at);
    if (!a->looks.whole_run) pen_text(&w, STYLE_DIM, " of %d  stable %d", c->known, c->stable);
}

static double by_tis(const void *ctx, int k) {
    return ((const truth_view *)ctx)->tis[k];
}

static void draw_candidate(const app *a, int i, const truth_view *v, int k, cells *g, rect r) {
    const pane *p = app_pane(a, i);
    const step_record *rec = pane_record(p);
    int m = rec ? record_masked_index(rec, v->pos[k]) : -1, end = rect_end(r);
    char text[64] = "";
    style st = look(a, v->chosen[k] ? STYLE_STRONG : STYLE_PLAIN);
    if (v->chosen[k]) cells_text(g, r.x, r.y, end, look(a, STYLE_NEXT), "\u25B8");
    if (!v->chosen[k] && beaten(v, k)) cells_text(g, r.x, r.y, end, look(a, STYLE_KEY), "<");
    if (m >= 0 && rec->argmax)
        flow_token_text(p->traj->texts, rec->argmax[m], p->traj->head.mask_id, text, sizeof text);
    cells_printf(g, r.x + 1, r.y, end, st, "%4d", v->pos[k]);
    cells_text(g, r.x + 6, r.y, r.x + 6 + TOKEN, st, text);
    int x = cells_printf(g, r.x + 6 + TOKEN, r.y, end, st, "%+8.4f %+8.4f %+8.4f", v->tis[k], v->relaxed[k],
                         v->discrete[k]);
    if (!v->enumerated) x = cells_printf(g, x, r.y, end, st, "\u00B1%.3f", v->discrete_se[k]);
    cells_printf(g, x, r.y, end, look(a, STYLE_DIM), " %7.4f", v->curvature[k]);
    if (v->pos[k] != a->cursor) return;
    for (x = r.x; x < end; x++) g->at[r.y * g->cols + x].look.attr ^= ATTR_REVERSE;
}

static void draw_table(const app *a, int i, const truth_view *v, cells *g, rect r) {
    int *order = calloc((size_t)v->n, sizeof *order), room = r.h - 1, first = 0;
    if (!order) return;
    rank_order(by_tis, v, v->n, order);
    cells_printf(g, r.x + 1, r.y, rect_end(r), look(a, STYLE_DIM),
                 " pos %-*s     TIS  relaxed discrete%s    bend", TOKEN, "token",
                 v->enumerated ? "" : "  s.e.");
    for (int k = 0; k < v->n; k++) {
        if (v->pos[order[k]] == a->cursor && k >= room) first = k - room + 1;
    }
    for (int k = first; k < v->n && k - first < room; k++)
        draw_candidate(a, i, v, order[k], g, (rect){r.x, r.y + 1 + k - first, r.w, 1});
    free(order);
}

static void draw_words(const app *a, int i, const truth_view *v, const run_check *c, cells *g, rect r) {
    pen w = pen_at(a, g, r, 0);
    put_pair(&w, "relaxed", v->spearman_relaxed, v->kendall_relaxed);
    put_pair(&w, v->enumerated ? "discrete" : "sampled", v->spearman_discrete, v->kendall_discrete);
    draw_margin(a, v, g, r);
    draw_run_words(a, c, g, r);
    draw_table(a, i, v, g, (rect){r.x, r.y + 3, r.w, r.h - 3});
}

static void draw(const app *a, int i, cells *g, rect r) {
    const inspection *x = a->looks.shown[i][INSPECT_TRUTH];
    int32_t *tokens = mem_new((size_t)app_positions(a) + 1, sizeof *tokens);
    if (!tokens) return;
    run_check c = check_run(a, i, tokens);
    bool wide = r.w >= WIDE;
    int left = wide ? (r.w - TABLE) / 2 : SCATTER;
    if (left > MOST_SCATTER) left = MOST_SCATTER;
    rect at = {r.x, r.y, left, r.h}, words = {r.x + left + 1, r.y, TABLE, r.h};
    if (!wide) words.w = r.w - left - 1;
    if (!x) {
        draw_no_look(a, g, (rect){r.x, r.y, words.x + words.w - r.x, r.h}, "not looked at yet");
    } else if (x->truth.n < 1) {
        cells_text(g, r.x + 1, r.y, words.x - 1, look(a, STYLE_DIM), "nothing is masked here");
        draw_run_words(a, &c, g, words);
    } else {
        draw_scatter(a, i, &x->truth, g, at);
        draw_words(a, i, &x->truth, &c, g, words);
    }
    int x0 = words.x + words.w + 1;
    if (wide && c.known) draw_run(a, i, tokens, g, (rect){x0, r.y, rect_end(r) - x0, r.h});
    free(tokens);
}

const view view_truth = {"truth", draw};
