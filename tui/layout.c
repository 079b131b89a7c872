/* layout.c - fixed rows first, then the rest is shared between canvas, detail and chart. */
#include "tui/layout.h"

/* Heights of the parts that grow; and how many rows the pane's summary and the air between parts take. */
typedef struct shares {
    int summary, air, canvas, detail, chart;
} shares;

static int clamp(int v, int low, int high) {
    return v < low ? low : v > high ? high : v;
}

static int min(int a, int b) {
    return a < b ? a : b;
}

/* Title, pane title, legend, timeline, hints, status. */
enum { FIXED_ROWS = 6, TABBED_DETAIL = 7, WIDE_PANE = 96, SPLIT_PANE = 56 };

static shares share_tabbed(int rows, int canvas_lines) {
    shares s = {.summary = 1};
    int rest = rows - FIXED_ROWS - s.summary;
    s.detail =
        clamp(rest - canvas_lines - 1, TABBED_DETAIL, rest / 2 > TABBED_DETAIL ? rest / 2 : TABBED_DETAIL);
    s.canvas = rest - s.detail;
    return s;
}

static shares share_tall(int rows, int pane_cols, int canvas_lines) {
    shares s = {.summary = pane_cols >= WIDE_PANE ? 1 : 2, .air = 2};
    int rest = rows - FIXED_ROWS - s.summary - s.air;
    s.chart = clamp(rest / 4, 6, 12);
    s.detail = clamp(rest * 2 / 5, 10, 16);
    s.canvas = rest - s.chart - s.detail;
    int spare = s.canvas - (canvas_lines + 1 > 6 ? canvas_lines + 1 : 6);
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

static void place_detail(layout *l, rect detail, int i, detail_tab tab) {
    rect r = column(detail, i, l->n_panes, 2);
    pane_layout *p = &l->pane[i];
    if (tab >= TAB_INFLUENCE) return;
    if (!l->tabbed) {
        int w = r.w * 9 / 20;
        p->inspector = (rect){r.x, r.y, w, r.h};
        p->candidates = (rect){r.x + w + 1, r.y, r.w - w - 1, r.h};
    } else if (tab == TAB_INSPECTOR) {
        p->inspector = r;
    } else if (tab == TAB_CANDIDATES) {
        p->candidates = r;
    }
}

layout layout_of(int cols, int rows, int n_panes, int canvas_lines, detail_tab tab) {
    layout l = {.cols = cols, .rows = rows, .n_panes = n_panes};
    l.too_small = cols < LAYOUT_MIN_COLS || rows < LAYOUT_MIN_ROWS;
    if (l.too_small) return l;
    int pane_cols = (cols - 2 * (n_panes - 1)) / n_panes;
    l.tabbed = rows < 34 || pane_cols < SPLIT_PANE;
    shares s = l.tabbed ? share_tabbed(rows, canvas_lines) : share_tall(rows, pane_cols, canvas_lines);
    rect rest = {0, 0, cols, rows};
    l.title = take_rows(&rest, 1);
    if (s.air) take_rows(&rest, 1);
    rect title = take_rows(&rest, 1), summary = take_rows(&rest, s.summary),
         canvas = take_rows(&rest, s.canvas);
    l.legend = take_rows(&rest, 1);
    l.timeline = take_rows(&rest, 1);
    if (s.air) take_rows(&rest, 1);
    bool look = tab >= TAB_INFLUENCE, headed = l.tabbed || look;
    if (headed) l.tabs = take_rows(&rest, 1);
    rect detail = take_rows(&rest, s.detail - (headed ? 1 : 0));
    if (look) l.look = detail;
    l.chart = take_rows(&rest, s.chart);
    if (l.tabbed && tab == TAB_CHART) l.chart = detail;
    l.hints = take_rows(&rest, 1);
    l.status = take_rows(&rest, 1);
    for (int i = 0; i < n_panes; i++) {
        l.pane[i].title = column(title, i, n_panes, 2);
        l.pane[i].summary = column(summary, i, n_panes, 2);
        l.pane[i].canvas = column(canvas, i, n_panes, 2);
        place_detail(&l, detail, i, tab);
    }
    return l;
}
