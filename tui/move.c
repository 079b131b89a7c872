/* move.c - position verbs: the cursor moves by what the eye sees, on the canvas of the focused pane. */
#include "tui/app.h"

static flow *focused(app *a) {
    return &a->panes[a->focus].flow;
}

static void put_cursor(app *a, int pos) {
    int n = app_positions(a);
    a->cursor = pos < 0 ? 0 : pos >= n ? (n ? n - 1 : 0) : pos;
}

static unsigned move_by(app *a, int by) {
    put_cursor(a, a->cursor + by);
    return APP_REDRAW;
}

unsigned app_left(app *a, int count) {
    return move_by(a, -(count ? count : 1));
}

unsigned app_right(app *a, int count) {
    return move_by(a, count ? count : 1);
}

/* To the same column some lines away. */
static unsigned move_lines(app *a, int by) {
    const flow *f = focused(a);
    if (a->cursor >= f->n) return move_by(a, by);
    const flow_slot *s = &f->slots[a->cursor];
    int y = s->y + by;
    if (y < 0) y = 0;
    if (y >= f->lines) y = f->lines - 1;
    if (y == s->y) return APP_REDRAW;
    int pos = flow_at(f, s->x + (s->w > 1 ? 1 : 0), y);
    if (pos >= 0) put_cursor(a, pos);
    return APP_REDRAW;
}

unsigned app_up(app *a, int count) {
    return move_lines(a, -(count ? count : 1));
}

unsigned app_down(app *a, int count) {
    return move_lines(a, count ? count : 1);
}

static int page(const app *a) {
    int h = a->lay.pane[a->focus].canvas.h;
    return h > 1 ? h - 1 : 1;
}

unsigned app_page_down(app *a, int count) {
    return move_lines(a, page(a) * (count ? count : 1));
}

unsigned app_page_up(app *a, int count) {
    return move_lines(a, -page(a) * (count ? count : 1));
}

unsigned app_half_down(app *a, int count) {
    return move_lines(a, (page(a) + 1) / 2 * (count ? count : 1));
}

unsigned app_half_up(app *a, int count) {
    return move_lines(a, -(page(a) + 1) / 2 * (count ? count : 1));
}

/* Masked and generated positions -------------------------------------- */

static unsigned seek_masked(app *a, int by, int count) {
    pane *p = &a->panes[a->focus];
    err e = {0};
    if (!p->traj) return APP_NONE;
    if (pane_derive(p, &e)) {
        app_complain(a, "%s", e.msg);
        return APP_REDRAW;
    }
    int found = -1, left = count ? count : 1;
    for (int i = a->cursor + by; left && i >= 0 && i < p->traj->head.n_tokens; i += by) {
        if (p->tokens[i] != p->traj->head.mask_id) continue;
        found = i;
        left--;
    }
    if (found < 0) {
        app_say(a, "no masked position %s the cursor", by > 0 ? "after" : "before");
    } else {
        put_cursor(a, found);
    }
    return APP_REDRAW;
}

unsigned app_next_masked(app *a, int count) {
    return seek_masked(a, 1, count);
}

unsigned app_prev_masked(app *a, int count) {
    return seek_masked(a, -1, count);
}

static unsigned seek_generated(app *a, int from, int by) {
    const pane *p = &a->panes[a->focus];
    if (!p->traj) return APP_NONE;
    const traj_header *h = &p->traj->head;
    for (int i = from < 0 ? h->n_tokens - 1 : from; i >= 0 && i < h->n_tokens; i += by) {
        if (h->start[i] != h->mask_id) continue;
        put_cursor(a, i);
        break;
    }
    return APP_REDRAW;
}

unsigned app_first_generated(app *a, int count) {
    (void)count;
    return seek_generated(a, 0, 1);
}

unsigned app_last_generated(app *a, int count) {
    (void)count;
    return seek_generated(a, -1, -1);
}

/* Pointer ------------------------------------------------------------- */

static bool inside(rect r, int x, int y) {
    return x >= r.x && x < r.x + r.w && y >= r.y && y < r.y + r.h;
}

/* The state under a column of the timeline, which reaches to the longer pane's last state. */
static unsigned scrub(app *a, int x) {
    rect t = a->lay.timeline;
    int first = t.x + TIMELINE_MARGIN, width = t.w - 2 * TIMELINE_MARGIN, last = 0;
    for (int i = 0; i < a->n_panes; i++) {
        if (pane_planned(&a->panes[i]) > last) last = pane_planned(&a->panes[i]);
    }
    int at = x < first ? 0 : x >= first + width ? width - 1 : x - first;
    return app_go(a, a->focus, width > 1 ? (int)(((long)at * last + (width - 1) / 2) / (width - 1)) : 0);
}

unsigned app_click(app *a, int x, int y) {
    a->dragging = false;
    for (int i = 0; i < a->n_panes; i++) {
        rect r = a->lay.pane[i].canvas;
        if (!inside(r, x, y)) continue;
        a->focus = i;
        int pos = flow_at(&a->panes[i].flow, x - r.x, y - r.y + a->panes[i].scroll);
        if (pos == a->cursor) a->tab = TAB_CANDIDATES;
        if (pos >= 0) put_cursor(a, pos);
        return APP_REDRAW;
    }
    a->dragging = inside(a->lay.timeline, x, y);
    return a->dragging ? scrub(a, x) : APP_NONE;
}

unsigned app_drag(app *a, int x, int y) {
    (void)y; /* the pointer may leave the bar while it is held down */
    return a->dragging ? scrub(a, x) : APP_NONE;
}

unsigned app_wheel(app *a, int x, int y, int lines) {
    for (int i = 0; i < a->n_panes; i++) {
        rect r = a->lay.pane[i].canvas;
        if (!inside(r, x, y)) continue;
        pane *p = &a->panes[i];
        int most = p->flow.lines > r.h ? p->flow.lines - r.h : 0;
        p->scroll += lines;
        p->scroll = p->scroll < 0 ? 0 : p->scroll > most ? most : p->scroll;
        return APP_REDRAW;
    }
    return APP_NONE;
}

void app_show_cursor(app *a) {
    for (int i = 0; i < a->n_panes; i++) {
        pane *p = &a->panes[i];
        int h = a->lay.pane[i].canvas.h, y = a->cursor < p->flow.n ? p->flow.slots[a->cursor].y : 0;
        if (y < p->scroll) p->scroll = y;
        if (h > 0 && y >= p->scroll + h) p->scroll = y - h + 1;
    }
}
