/* layout.c - fixed rows first, then the rest is shared between canvas, detail and chart. */
#include "tui/layout.h"

/* Heights of the parts that grow; of each row of panes the summary and the canvas, and the air between parts.
 */
typedef struct shares {
    int summary, air, canvas, detail, chart;
} shares;

static int clamp(int v, int low, int high) {
    return v < low ? low : v > high ? high : v;
}

static int min(int a, int b) {
    return a < b ? a : b;
}

static int max(int a, int b) {
    return a > b ? a : b;
}

/* Title, legend, timeline, hints, status; the titles of panes come on top. */
enum {
    FIXED_ROWS = 5,
    TABBED_DETAIL = 7,
    GRID_DETAIL = 5,
    LEAST_CANVAS = 6,
    GRID_TALL = 50,
    COMPACT_DETAIL = 5
};
enum { WIDE_PANE = 96, SPLIT_PANE = 56, DETAIL_PANE = 38 };

static shares share_tabbed(int rows, int canvas_lines) {
    shares s = {.summary = 1};
    int rest = rows - FIXED_ROWS - 1 - s.summary;
    s.detail = clamp(rest - canvas_lines - 1, TABBED_DETAIL, max(rest / 2, TABBED_DETAIL));
    s.canvas = rest - s.detail;
    return s;
}

static shares share_tall(int rows, int pane_cols, int canvas_lines) {
    shares s = {.summary = pane_cols >= WIDE_PANE ? 1 : 2, .air = 2};
    int rest = rows - FIXED_ROWS - 1 - s.summary - s.air;
    s.chart = clamp(rest / 4, 6, 12);
    s.detail = clamp(rest * 2 / 5, 10, 16);
    s.canvas = rest - s.chart - s.detail;
    int spare = s.canvas - max(canvas_lines + 1, LEAST_CANVAS);
    if (spare > 0) {
        int more = min(spare, 22 - s.detail);
        s.detail += more;
        s.canvas -= more;
        more = min(spare - more, 14 - s.chart);
        s.chart += more;
        s.canvas -= more;
    }
    return s;
}

/* Two rows of two. Where the fourth quarter is free (`corner`) the detail goes there and takes no rows. */
static shares share_grid(int rows, int canvas_lines, bool corner) {
    bool tall = rows >= GRID_TALL;
    shares s = {.summary = rows >= 30 || corner, .air = tall ? 2 : 0};
    int rest = rows - FIXED_ROWS - 2 * (1 + s.summary) - s.air;
    s.chart = tall ? clamp(rest / 5, 6, 12) : 0;
    rest -= s.chart;
    int most = max(GRID_DETAIL, min(rest / 2, rest - 2 * LEAST_CANVAS));
    s.detail = corner ? 0 : clamp(rest - 2 * (canvas_lines + 1), GRID_DETAIL, most);
    s.canvas = (rest - s.detail) / 2;
    if (!corner) s.detail = rest - 2 * s.canvas;
    return s;
}

/* Beside a lesson on a small screen. */
static shares share_compact(int rows, int canvas_rows, int canvas_lines, detail_tab tab) {
    shares s = {0};
    int rest = rows - FIXED_ROWS - canvas_rows, spare = rest - canvas_rows * canvas_lines;
    s.detail = spare >= COMPACT_DETAIL ? spare : tab == TAB_INSPECTOR ? 0 : COMPACT_DETAIL;
    s.canvas = (rest - s.detail) / canvas_rows;
    if (s.detail) s.detail = rest - canvas_rows * s.canvas;
    return s;
}

static rect take_rows(rect *from, int n) {
    rect r = {from->x, from->y, from->w, n};
    from->y += n;
    from->h -= n;
    return r;
}

static rect column(rect r, int i, int n, int gap) {
    int w = (r.w - gap * (n - 1)) / n;
    int x = r.x + i * (w + gap);
    return (rect){x, r.y, i == n - 1 ? r.x + r.w - x : w, r.h};
}

static void place_parts(layout *l, rect r, int i, detail_tab tab) {
    pane_layout *p = &l->pane[i];
    if (!l->tabbed) {
        int w = r.w * 9 / 20;
        p->inspector = (rect){r.x, r.y, w, r.h};
        p->candidates = (rect){r.x + w + 1, r.y, r.w - w - 1, r.h};
    } else if (tab == TAB_CANDIDATES) {
        p->candidates = r;
    } else {
        p->inspector = r;
    }
}

/* Of every pane where they have room beside one another, else of the focused one. */
static void place_detail(layout *l, rect detail, int focus, detail_tab tab) {
    int n = l->n_panes;
    bool all = (detail.w - 2 * (n - 1)) / n >= DETAIL_PANE;
    if (tab >= TAB_INFLUENCE) {
        l->look = detail;
    } else if (l->tabbed && tab == TAB_CHART && !l->chart.h) {
        l->chart = detail;
    } else {
        for (int i = 0; i < n; i++) {
            if (all || i == focus) place_parts(l, all ? column(detail, i, n, 2) : detail, i, tab);
        }
    }
}

/* One row of panes; returns the free quarter of a grid, if it is in this row. */
static rect place_panes(layout *l, rect *rest, const shares *s, int row) {
    rect all = *rest, title = take_rows(rest, 1), summary = take_rows(rest, s->summary),
         canvas = take_rows(rest, s->canvas);
    int i = row * l->columns;
    for (int k = 0; k < l->columns && i < l->n_panes; k++, i++) {
        l->pane[i].title = column(title, k, l->columns, 2);
        l->pane[i].summary = column(summary, k, l->columns, 2);
        l->pane[i].canvas = column(canvas, k, l->columns, 2);
    }
    all.h = 1 + s->summary + s->canvas;
    return column(all, l->columns - 1, l->columns, 2);
}

/* With its rule. */
static int lesson_rows(int rows, int lines) {
    return lines ? min(lines + 1, rows / 3) : 0;
}

static shares share(const layout *l, const layout_wish *w, int rows, int pane_cols, bool corner) {
    int canvas_rows = (l->n_panes + l->columns - 1) / l->columns;
    if (rows < LAYOUT_MIN_ROWS) return share_compact(rows, canvas_rows, w->canvas_lines, w->tab);
    if (canvas_rows > 1) return share_grid(rows, w->canvas_lines, corner);
    return l->tabbed ? share_tabbed(rows, w->canvas_lines) : share_tall(rows, pane_cols, w->canvas_lines);
}

layout layout_of(int cols, int rows, const layout_wish *w) {
    int n = w->n_panes, panel = lesson_rows(rows, w->lesson), free_rows = rows - panel;
    layout l = {.cols = cols, .rows = rows, .n_panes = n, .columns = n};
    l.too_small = cols < LAYOUT_MIN_COLS || rows < LAYOUT_MIN_ROWS;
    if (l.too_small) return l;
    int pane_cols = (cols - 2 * (n - 1)) / n;
    bool grid = n > 2 && pane_cols < SPLIT_PANE, look = w->tab >= TAB_INFLUENCE;
    bool corner = grid && n == 3 && free_rows < GRID_TALL && !look;
    if (grid) l.columns = 2;
    l.tabbed = grid || free_rows < (w->lesson ? 38 : 34) || pane_cols < SPLIT_PANE;
    shares s = share(&l, w, free_rows, pane_cols, corner);
    rect rest = {0, 0, cols, rows}, quarter = {0};
    l.title = take_rows(&rest, 1);
    if (s.air) take_rows(&rest, 1);
    for (int row = 0; row * l.columns < n; row++) quarter = place_panes(&l, &rest, &s, row);
    l.legend = take_rows(&rest, 1);
    l.timeline = take_rows(&rest, 1);
    if (s.air) take_rows(&rest, 1);
    rect detail = corner ? quarter : take_rows(&rest, s.detail);
    if ((l.tabbed || look) && detail.h) l.tabs = take_rows(&detail, 1);
    l.chart = take_rows(&rest, s.chart);
    place_detail(&l, detail, w->focus, w->tab);
    take_rows(&rest, rest.h - 2 - panel); /* the row that two canvases could not share */
    l.lesson = take_rows(&rest, panel);
    l.hints = take_rows(&rest, 1);
    l.status = take_rows(&rest, 1);
    return l;
}
