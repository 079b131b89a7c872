/* legend.c - what the colours and signs of the canvas mean: ramp, ends, unit. */
#include "tui/view.h"

enum { RAMP_CELLS = 14 };

static int draw_ramp(const app *a, cells *g, int x, int y, ramp r) {
    for (int i = 0; i < RAMP_CELLS; i++) {
        double v = (i + 0.5) / RAMP_CELLS;
        uint32_t sign = !ramp_has_color(&a->pal, r) || r == RAMP_SIGNED ? ramp_shade(&a->pal, r, v) : ' ';
        cells_char(g, x++, y, sign, ramp_style(&a->pal, r, v));
    }
    return x;
}

static int item(const app *a, cells *g, int x, rect r, style_role role, const char *sign, const char *label) {
    if (x + cells_measure(sign) + 1 + cells_measure(label) > rect_end(r)) return x;
    x = cells_text(g, x, r.y, rect_end(r), look(a, role), sign);
    return cells_text(g, x + 1, r.y, rect_end(r), look(a, STYLE_DIM), label) + 3;
}

/* Signs of a person's doing, once there is any. */
static int draw_hand(const app *a, cells *g, int x, rect r) {
    bool any = false;
    for (int i = 0; i < a->n_panes; i++) {
        const trajectory *t = app_pane(a, i)->traj;
        for (int k = 0; k < t->n_records; k++) any |= t->records[k]->kind != STEP_DECODE;
    }
    if (!any) return x;
    x = item(a, g, x, r, STYLE_FORCED, "x*", "by hand");
    x = item(a, g, x, r, STYLE_PINNED, "#", "pinned");
    return item(a, g, x, r, STYLE_PINNED, "\u00D7", "banned");
}

/* The sign of a token that the last step put back, where a run shown has done so. */
static int draw_back(const app *a, cells *g, int x, rect r) {
    bool any = false;
    for (int i = 0; i < a->n_panes; i++) {
        const pane *p = app_pane(a, i);
        for (int pos = 0; pos < p->traj->head.n_tokens; pos++) any |= p->put_back[pos] >= 0;
    }
    return any ? item(a, g, x, r, STYLE_FRESH, "\u21BA", "just put back") : x;
}

static int draw_state(const app *a, cells *g, int x, rect r) {
    x = item(a, g, x, r, STYLE_MASKED, "\u2591", "masked");
    x = item(a, g, x, r, STYLE_CANDIDATE, "\u2592", "candidate");
    x = item(a, g, x, r, STYLE_NEXT, "\u2593", "next");
    x = item(a, g, x, r, STYLE_FRESH, "x", "just unmasked");
    x = draw_back(a, g, x, r);
    x = item(a, g, x, r, STYLE_WRITTEN, "x", "unmasked");
    x = item(a, g, x, r, STYLE_PROMPT, "x", "prompt");
    x = draw_hand(a, g, x, r);
    x = item(a, g, x, r, STYLE_MARK, "\u21B5", "newline");
    return item(a, g, x, r, STYLE_MARK, "\u22C5", "space");
}

static const char *tis_names(const app *a, char *buf, int size) {
    int used = 0;
    buf[0] = '\0';
    const char *before = NULL;
    for (int i = 0; i < a->n_panes; i++) {
        const step_record *r = pane_record(app_pane(a, i));
        const char *name = !r ? NULL : r->tis_name ? r->tis_name : r->observed_name;
        if (!name || (before && !strcmp(before, name)) || used >= size) continue;
        used += snprintf(buf + used, (size_t)(size - used), "%s%s", before ? " | " : "", name);
        before = name;
    }
    return buf;
}

/* The states shown do not matter here, and the legend says so. */
static void draw_orders(const app *a, cells *g, int x, rect r) {
    const orders *o = &a->orders;
    char known[64];
    style dim = look(a, STYLE_DIM);
    int end = rect_end(r);
    if (!o->other) {
        cells_text(g, x, r.y, end, dim, "orders  there is one pane");
        return;
    }
    x = cells_printf(g, x, r.y, end, dim, "whole decodes A/%c %d earlier in A ", 'A' + o->other, -o->most);
    x = draw_ramp(a, g, x, r.y, RAMP_SIGNED);
    x = cells_printf(g, x, r.y, end, dim, " later %+d places", o->most);
    snprintf(known, sizeof known, "   A known to step %d, %c to %d", pane_states(app_pane(a, 0)),
             'A' + o->other, pane_states(app_pane(a, o->other)));
    if (x + cells_measure(known) <= end) cells_text(g, x, r.y, end, dim, known);
}

static void draw_influence(const app *a, cells *g, int x, rect r) {
    style dim = look(a, STYLE_DIM);
    double clip = a->looks.shown[a->focus][INSPECT_INFLUENCE] ? a->looks.clip[a->focus] : 0;
    int end = rect_end(r);
    x = cells_printf(g, x, r.y, end, dim, a->looks.settled_by ? "who settles %d  " : "whom %d settles  ",
                     a->cursor);
    if (clip > 0) x = cells_printf(g, x, r.y, end, dim, "%.3g ", -clip);
    x = draw_ramp(a, g, x, r.y, RAMP_SIGNED);
    if (clip > 0) x = cells_printf(g, x, r.y, end, dim, " %+.3g nats, clipped at 95 %%", clip);
    cells_text(g, x, r.y, end, dim, "   \u00B7 no value");
}

static void draw_attention(const app *a, cells *g, int x, rect r) {
    style dim = look(a, STYLE_DIM);
    const looks *l = &a->looks;
    char head[32] = "mean of its heads";
    int end = rect_end(r);
    if (l->head >= 0) snprintf(head, sizeof head, "head %d", l->head);
    x = cells_text(g, x, r.y, end, dim, "attention  0 ");
    x = draw_ramp(a, g, x, r.y, RAMP_SEA);
    if (l->top[a->focus] > 0) x = cells_printf(g, x, r.y, end, dim, " %.3f of 1", l->top[a->focus]);
    cells_printf(g, x, r.y, end, dim, "   from %d, layer %d, %s", a->cursor, l->layer, head);
}

static void draw_lock_in(const app *a, cells *g, int x, rect r) {
    style dim = look(a, STYLE_DIM);
    x = cells_text(g, x, r.y, rect_end(r), dim, "lock-in  p of the token there now 1 ");
    x = draw_ramp(a, g, x, r.y, RAMP_ENTROPY);
    x = cells_text(g, x, r.y, rect_end(r), dim, " 0   ");
    item(a, g, x, r, STYLE_DIFFER, "?", "another is likelier (underlined)");
}

static void draw_layer(const app *a, cells *g, int x, rect r) {
    const pane *p = app_pane(a, a->focus);
    style dim = look(a, STYLE_DIM);
    int end = rect_end(r);
    char names[128];
    if (a->layer == LAYER_ENTROPY) {
        x = cells_text(g, x, r.y, end, dim, "H  0 ");
        x = draw_ramp(a, g, x, r.y, RAMP_ENTROPY);
        cells_printf(g, x, r.y, end, dim, " %.2f nats = ln %d", entropy_max(p), p->traj->head.n_vocab - 1);
    } else if (a->layer == LAYER_TIS && a->tis_clip > 0) {
        x = cells_printf(g, x, r.y, end, dim, "TIS  %.3g ", -a->tis_clip);
        x = draw_ramp(a, g, x, r.y, RAMP_SIGNED);
        cells_printf(g, x, r.y, end, dim, " %+.3g nats, clipped at 95 %%   \u00B7 not scored   %s",
                     a->tis_clip, tis_names(a, names, sizeof names));
    } else if (a->layer == LAYER_TIS) {
        cells_text(g, x, r.y, end, dim, "TIS  nothing is scored   \u00B7 not scored");
    } else if (a->layer == LAYER_INFLUENCE) {
        draw_influence(a, g, x, r);
    } else if (a->layer == LAYER_ATTENTION) {
        draw_attention(a, g, x, r);
    } else if (a->layer == LAYER_LOCK_IN) {
        draw_lock_in(a, g, x, r);
    } else if (a->layer == LAYER_ORDERS) {
        draw_orders(a, g, x, r);
    } else if (a->layer == LAYER_ORDER) {
        x = cells_text(g, x, r.y, end, dim, "order  first 1 ");
        x = draw_ramp(a, g, x, r.y, RAMP_SEA);
        cells_printf(g, x, r.y, end, dim, " %d last unmasked", rank_max(p));
    } else {
        x = cells_text(g, x, r.y, end, dim, "p  0 ");
        x = draw_ramp(a, g, x, r.y, RAMP_SEA);
        cells_text(g, x, r.y, end, dim, " 1   of the likeliest token; once unmasked, of the token written");
    }
}

/* Of more than two panes, each one's number against A. */
static void put_differences(const app *a, char *text, size_t size) {
    size_t used = 0;
    if (a->n_panes == 2) {
        snprintf(text, size, "%d differ", app_pane(a, 1)->n_differs);
        return;
    }
    for (int i = 1; i < a->n_panes && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%c %d ", 'A' + i, app_pane(a, i)->n_differs);
    if (used < size) snprintf(text + used, size - used, "differ from A");
}

static void draw(const app *a, int i, cells *g, rect r) {
    (void)i;
    if (!a->legend) return;
    int end = rect_end(r);
    bool room = a->layer != LAYER_ORDERS || a->n_panes == 2 || r.w >= 100;
    if (a->n_panes > 1 && a->diff && room) {
        char text[64];
        put_differences(a, text, sizeof text);
        int w = cells_measure(text) + 3;
        cells_text(g, end - w + 1, r.y, end, look(a, STYLE_DIFFER), "\u2260");
        cells_text(g, end - w + 3, r.y, end, look(a, STYLE_DIM), text);
        r.w -= w + 2;
    }
    if (a->layer == LAYER_STATE) {
        draw_state(a, g, r.x + 1, r);
    } else {
        draw_layer(a, g, r.x + 1, r);
    }
}

const view view_legend = {"legend", draw};
