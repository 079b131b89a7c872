/* candidates.c - what the policy ranks at this state, best first; those it writes next are marked. */
#include <stdlib.h>

#include "engine/intervene.h"
#include "tui/view.h"

typedef struct candidate {
    const step_record *r;
    int c;           /* index into r->cand */
    token_prob next; /* that would be written there */
} candidate;

/* Columns from the most to the least important; those that do not fit are left out. */
typedef struct column {
    const char *title;
    int width;
    bool (*value)(const candidate *x, double *v);
    bool sign;
    int digits;
} column;

static bool score_of(const candidate *x, double *v) {
    *v = x->r->score ? x->r->score[x->c] : 0;
    return x->r->score;
}

static bool tis_of(const candidate *x, double *v) {
    return record_tis_at(x->r, x->r->cand[x->c], v);
}

static bool entropy_of(const candidate *x, double *v) {
    int k = record_masked_index(x->r, x->r->cand[x->c]);
    *v = k >= 0 && x->r->entropy ? x->r->entropy[k] : 0;
    return k >= 0 && x->r->entropy;
}

static bool p_of(const candidate *x, double *v) {
    *v = x->next.p;
    return x->next.id >= 0;
}

static bool gate_of(const candidate *x, double *v) {
    *v = x->r->gate ? x->r->gate[x->c] : 0;
    return x->r->gate;
}

static bool penalty_of(const candidate *x, double *v) {
    *v = x->r->penalty ? x->r->penalty[x->c] : 0;
    return x->r->penalty;
}

static const column columns[] = {
    {"score", 9, score_of, true, 4}, {"TIS", 9, tis_of, true, 4},    {"H", 7, entropy_of, false, 3},
    {"p", 7, p_of, false, 3},        {"gate", 7, gate_of, false, 3}, {"penalty", 9, penalty_of, false, 4},
};
enum { N_COLUMNS = (int)(sizeof columns / sizeof columns[0]), POS_WIDTH = 5, MIN_TOKEN = 5, MAX_TOKEN = 12 };

/* What the numbers leave, within bounds. */
static int token_width(rect r) {
    int left = r.w - 3 - POS_WIDTH - 1, w = 0;
    for (int k = 0; k < N_COLUMNS && w + columns[k].width + MIN_TOKEN <= left; k++) w += columns[k].width;
    left -= w;
    return left < MIN_TOKEN ? MIN_TOKEN : left > MAX_TOKEN ? MAX_TOKEN : left;
}

typedef struct ranked {
    int c;
    double score;
} ranked;

static int best_first(const void *a, const void *b) {
    const ranked *x = a, *y = b;
    if (x->score > y->score || x->score < y->score) return x->score < y->score ? 1 : -1;
    return x->c - y->c;
}

static bool writes(const step_record *r, int pos) {
    for (int i = 0; i < r->n_writes; i++) {
        if (r->writes[i].pos == pos) return true;
    }
    return false;
}

static void draw_head(const app *a, cells *g, rect r) {
    style dim = look(a, STYLE_DIM);
    int x = r.x + 3;
    cells_printf(g, x, r.y, rect_end(r), dim, "%*s  %s", POS_WIDTH - 1, "pos", "token");
    x += POS_WIDTH + 1 + token_width(r);
    for (int k = 0; k < N_COLUMNS && x + columns[k].width <= rect_end(r); x += columns[k++].width) {
        cells_printf(g, x, r.y, rect_end(r), dim, "%*s", columns[k].width, columns[k].title);
    }
}

static void draw_row(const app *a, int i, const candidate *at, cells *g, rect area, int y) {
    const trajectory *t = app_pane(a, i)->traj;
    char text[64];
    int pos = at->r->cand[at->c], x = area.x + 3, end = rect_end(area);
    bool next = writes(at->r, pos);
    style st = look(a, next ? STYLE_STRONG : STYLE_PLAIN);
    if (next) cells_text(g, area.x + 1, y, end, look(a, STYLE_NEXT), "\u25B8");
    cells_printf(g, x, y, end, st, "%*d", POS_WIDTH - 1, pos);
    x += POS_WIDTH + 1;
    flow_token_text(t->texts, at->next.id, t->head.mask_id, text, sizeof text);
    cells_text(g, x, y, x + token_width(area) - 1, st, text);
    x += token_width(area);
    for (int n = 0; n < N_COLUMNS && x + columns[n].width <= end; x += columns[n++].width) {
        double v;
        if (columns[n].value(at, &v)) {
            cells_printf(g, x, y, end, st, columns[n].sign ? "%+*.*f" : "%*.*f", columns[n].width,
                         columns[n].digits, v);
        } else {
            cells_text(g, x + columns[n].width - 1, y, end, look(a, STYLE_DIM), "\u00B7");
        }
    }
    if (pos == a->cursor) {
        for (x = area.x + 1; x < end; x++) g->at[y * g->cols + x].look.attr ^= ATTR_REVERSE;
    }
}

static void draw(const app *a, int i, cells *g, rect r) {
    const step_record *rec = pane_record(app_pane(a, i));
    if (!rec || !rec->n_cand) {
        cells_text(g, r.x + 1, r.y, rect_end(r), look(a, STYLE_DIM),
                   app_pane(a, i)->busy ? "computing" : "nothing to rank");
        return;
    }
    ranked *order = calloc((size_t)rec->n_cand, sizeof *order);
    if (!order) return;
    for (int c = 0; c < rec->n_cand; c++) order[c] = (ranked){c, rec->score ? rec->score[c] : 0};
    qsort(order, (size_t)rec->n_cand, sizeof *order, best_first);
    int room = r.h - 1, first = 0;
    for (int n = 0; n < rec->n_cand; n++) {
        if (rec->cand[order[n].c] == a->cursor && n >= room) first = n - room + 1;
    }
    draw_head(a, g, r);
    step_setting s = intervene_current(app_pane(a, i)->traj, app_pane(a, i)->state);
    for (int n = first; n < rec->n_cand && n - first < room; n++) {
        candidate at = {rec, order[n].c, setting_proposes(&s, rec, rec->cand[order[n].c])};
        draw_row(a, i, &at, g, r, r.y + 1 + n - first);
    }
    free(order);
}

const view view_candidates = {"candidates", draw};
