/* influence.c - who settles whom: the matrix as a heatmap round the cursor, and beside it whom the cursor's position
 * would settle and who would settle it, strongest first. */
#include <math.h>
#include <stdlib.h>

#include "engine/rank.h"
#include "tui/view.h"

enum { LABEL = 5, LIST_WIDTH = 25, MIN_MAP = 16 };

typedef struct map {
    const app *a;
    const influence_view *f;
    cells *g;
    rect r;        /* of the cells */
    double clip;
    int at;        /* the cursor's index, or -1 */
    int row, col;  /* first index shown */
    int rows;      /* matrix rows that fit: two to a cell with colours */
    bool half;
} map;

static int cursor_index(const app *a, const influence_view *f) {
    for (int i = 0; i < f->n; i++) {
        if (f->pos[i] == a->cursor) return i;
    }
    return -1;
}

/* First of `room` shown among n so that `at` is in the middle where possible. */
static int first_shown(int at, int n, int room) {
    int first = at < 0 ? 0 : at - room / 2;
    if (first > n - room) first = n - room;
    return first < 0 ? 0 : first;
}

static double place(const map *m, int j, int i) {
    return m->clip > 0 ? 0.5 + 0.5 * fmax(-1, fmin(1, m->f->D[j * m->f->n + i] / m->clip)) : 0.5;
}

/* Two matrix rows in one cell: the upper as foreground of a half block, the lower as background. */
static void draw_pair(const map *m, int j, int i, int x, int y) {
    int low = ramp_color(&m->a->pal, RAMP_SIGNED, 0.5);
    bool second = j + 1 < m->f->n && j + 1 < m->row + m->rows;
    style s = {ramp_color(&m->a->pal, RAMP_SIGNED, place(m, j, i)),
               second ? ramp_color(&m->a->pal, RAMP_SIGNED, place(m, j + 1, i)) : low, 0};
    cells_char(m->g, x, y, 0x2580, s);
}

static void draw_cell(const map *m, int j, int i, int x, int y) {
    double v = place(m, j, i);
    cells_char(m->g, x, y, ramp_shade(&m->a->pal, RAMP_SIGNED, v), ramp_style(&m->a->pal, RAMP_SIGNED, v));
}

static void draw_labels(const map *m) {
    int step = m->half ? 2 : 1;
    for (int y = 0; y < m->r.h; y++) {
        int j = m->row + y * step;
        if (j >= m->f->n) break;
        bool here = m->at >= j && m->at < j + step;
        cells_printf(m->g, m->r.x - LABEL, m->r.y + y, m->r.x, look(m->a, here ? STYLE_STRONG : STYLE_DIM),
                     here ? "%3d\u25B8" : "%3d", m->f->pos[here ? m->at : j]);
    }
}

/* The row above names the first and last column and points at the cursor's. */
static void draw_columns(const map *m, int n) {
    char text[64];
    int y = m->r.y - 1, end = m->r.x + m->r.w;
    snprintf(text, sizeof text, "settled by %d..%d", m->f->pos[m->col], m->f->pos[m->col + n - 1]);
    cells_text(m->g, m->r.x, y, end, look(m->a, STYLE_DIM), text);
    if (m->at >= m->col && m->at < m->col + n)
        cells_char(m->g, m->r.x + m->at - m->col, y, 0x25BE, look(m->a, STYLE_STRONG));
}

static void draw_map(const app *a, const influence_view *f, cells *g, rect r, double clip) {
    map m = {.a = a, .f = f, .g = g, .clip = clip, .at = cursor_index(a, f)};
    m.r = (rect){r.x + LABEL, r.y + 1, r.w - LABEL, r.h - 1};
    m.half = !g->ascii && ramp_has_color(&a->pal, RAMP_SIGNED);
    m.rows = m.r.h * (m.half ? 2 : 1);
    m.row = first_shown(m.at, f->n, m.rows);
    m.col = first_shown(m.at, f->n, m.r.w);
    int n = f->n - m.col < m.r.w ? f->n - m.col : m.r.w, step = m.half ? 2 : 1;
    for (int y = 0; y < m.r.h && m.row + y * step < f->n; y++) {
        for (int k = 0; k < n; k++) {
            (m.half ? draw_pair : draw_cell)(&m, m.row + y * step, m.col + k, m.r.x + k, m.r.y + y);
        }
    }
    draw_labels(&m);
    draw_columns(&m, n);
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
    double v = value(o, k), x = clip > 0 ? 0.5 + 0.5 * v / clip : 0.5;
    if (m >= 0 && rec->argmax)
        flow_token_text(p->traj->texts, rec->argmax[m], p->traj->head.mask_id, text, sizeof text);
    cells_printf(g, r.x, y, end, look(a, STYLE_STRONG), "%4d", pos);
    cells_text(g, r.x + 5, y, r.x + 12 < end ? r.x + 12 : end, look(a, STYLE_PLAIN), text);
    cells_printf(g, r.x + 13, y, end, look(a, STYLE_PLAIN), "%+8.4f", v);
    cells_char(g, r.x + 22, y, ramp_shade(&a->pal, RAMP_SIGNED, x), ramp_style(&a->pal, RAMP_SIGNED, x));
}

static void draw_list(const app *a, int i, const influence_view *f, bool settled_by, cells *g, rect r, double clip) {
    ordering o = {f, cursor_index(a, f), settled_by};
    bool chosen = a->layer == LAYER_INFLUENCE && settled_by == a->looks.settled_by;
    cells_printf(g, r.x, r.y, rect_end(r), look(a, chosen ? STYLE_STRONG : STYLE_DIM), settled_by ? "settle %d" : "%d settles",
                 a->cursor);
    int *order = calloc((size_t)f->n, sizeof *order);
    if (!order) return;
    rank_order(strength, &o, f->n, order);
    for (int k = 0; k < f->n - 1 && k + 1 < r.h; k++)
        draw_entry(a, i, &o, order[k], g, r, r.y + 1 + k, clip);
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
        cells_text(g, r.x + 1, r.y, rect_end(r), look(a, STYLE_DIM), "nothing is masked: nothing is left to settle");
        return;
    }
    double clip = looks_influence_clip(a, i);
    int lists = 2 * LIST_WIDTH, room = r.w - lists - 2;
    draw_map(a, f, g, (rect){r.x, r.y, room < LABEL + f->n ? room : LABEL + f->n, r.h}, clip);
    int x0 = r.x + (room < LABEL + f->n + 2 ? room + 1 : LABEL + f->n + 3);
    if (cursor_index(a, f) < 0) {
        cells_printf(g, x0, r.y, rect_end(r), look(a, STYLE_DIM), "position %d is not masked: w goes to the next mask", a->cursor);
        return;
    }
    draw_list(a, i, f, false, g, (rect){x0, r.y, LIST_WIDTH, r.h}, clip);
    draw_list(a, i, f, true, g, (rect){x0 + LIST_WIDTH, r.y, LIST_WIDTH, r.h}, clip);
}

const view view_influence = {"influence", draw};
