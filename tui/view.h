/* view.h - a view draws one thing from the app's state into its rectangle; it changes nothing.
 *
 * One file and one table per view. Views that show one pane get its index; the others ignore it.
 */
#ifndef TABES_TUI_VIEW_H
#define TABES_TUI_VIEW_H

#include <math.h>

#include "tui/app.h"

typedef struct view {
    const char *name;
    void (*draw)(const app *a, int i, cells *g, rect r);
} view;

extern const view view_attention, view_candidates, view_canvas, view_chart, view_help, view_hints,
    view_influence, view_inspector, view_legend, view_lesson, view_line, view_lock_in, view_look_head,
    view_matches, view_orders, view_pane_title, view_scores, view_status, view_summary, view_timeline,
    view_title, view_truth;

/* A look by its role. */
static inline style look(const app *a, style_role r) {
    return style_of(&a->pal, r);
}

/* Of pane i. */
static inline style_role run_role(int i) {
    return (style_role)(STYLE_RUN_A + i);
}

static inline style run_look(const app *a, int i) {
    return style_of(&a->pal, run_role(i));
}

/* Looks over one another: colours of `over` where it has some, attributes of both. */
static inline style look_over(style base, style over) {
    return (style){over.fg >= 0 ? over.fg : base.fg, over.bg >= 0 ? over.bg : base.bg, base.attr | over.attr};
}

/* "waiting", the failure, or why there is nothing, in the first line of a look that is not there
 * (look_head.c). */
void draw_no_look(const app *a, cells *g, rect r, const char *empty);

/* Signs of the timeline, ended by a NULL sign (timeline.c). */
typedef struct timeline_sign {
    const char *sign, *meaning;
} timeline_sign;
extern const timeline_sign timeline_signs[];

static inline int rect_end(rect r) {
    return r.x + r.w;
}

/* A line being written from left to right. What does not fit before `end` is left out whole. */
typedef struct pen {
    const app *a;
    cells *g;
    int x, y, end;
} pen;

static inline pen pen_at(const app *a, cells *g, rect r, int row) {
    return (pen){a, g, r.x + 1, r.y + row, r.x + r.w};
}

/* Decimals of an NFE: restricted lookahead costs parts of a forward pass. */
#define NFE_DIGITS(nfe) ((nfe) == floor(nfe) ? 0 : 1)

bool pen_text(pen *p, style_role role, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* "label value", the label dim, and two columns of air. */
bool pen_field(pen *p, const char *label, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif
