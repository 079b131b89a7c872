/* layout.h - from the size of the terminal to rectangles; a pure function.
 *
 * Panes stand side by side; three or four that would be too narrow stand in two rows of two. Where
 * there is room each has inspector and candidates under its canvas and the chart runs along the
 * bottom; where there is not, the detail area shows one of them at a time (tabs), of the focused pane
 * alone when all would be too narrow. Three panes in two rows leave the fourth quarter to the detail. A
 * lesson takes rows above the hints; where it leaves fewer than 24, the summary goes, and detail shows where
 * the canvas leaves room or when another tab than the first is chosen. Rectangles never overlap and lie
 * inside the screen; one that is not shown has h = 0.
 */
#ifndef TABES_TUI_LAYOUT_H
#define TABES_TUI_LAYOUT_H

#include "tui/cells.h"

enum { LAYOUT_MIN_COLS = 80, LAYOUT_MIN_ROWS = 24, LAYOUT_PANES = 4 };

/* The first three share the detail area on small screens; a closer look (from TAB_INFLUENCE on) takes it
 * whole. */
typedef enum detail_tab {
    TAB_INSPECTOR,
    TAB_CANDIDATES,
    TAB_CHART,
    TAB_INFLUENCE,
    TAB_TRUTH,
    TAB_SCORES,
    TAB_ATTENTION,
    TAB_LOCK_IN,
    TAB_ORDERS,
    N_TABS
} detail_tab;

typedef struct pane_layout {
    rect title, summary, canvas, inspector, candidates;
} pane_layout;

typedef struct layout {
    int cols, rows, n_panes;
    int columns; /* panes in a row */
    bool too_small;
    bool tabbed; /* detail is shown by tabs */
    rect title, legend, timeline, tabs, chart, look, lesson, hints, status;
    pane_layout pane[LAYOUT_PANES];
} layout;

typedef struct layout_wish {
    int n_panes;
    int canvas_lines; /* that the longest canvas would like to have */
    detail_tab tab;   /* what the detail area shows when there are tabs */
    int focus;        /* the pane whose detail is shown when there is room for one */
    int lesson; /* lines of a lesson's text, 0 without a lesson; at most a third of the screen is given */
} layout_wish;

layout layout_of(int cols, int rows, const layout_wish *w);

#endif
