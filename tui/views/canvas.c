/* canvas.c - the tokens of one state. A colour layer fills slots; state, cursor and differences are also told
 * by glyphs and attributes, so the canvas reads without colour. */
#include "engine/intervene.h"
#include "tui/edit.h"
#include "tui/view.h"

/* What the canvas knows about a position before it draws it. */
typedef struct place {
    int pos;
    bool masked, prompt, fresh, candidate, next, differs, found;
    bool marked;                 /* by a lesson */
    bool doubted;                /* written, and the model would now write another token */
    bool forced, pinned, banned; /* a person's doing */
    bool back;                   /* masked, and a token before this step */
    double x;                    /* place on the layer's ramp */
    bool scored;                 /* the layer has a value here */
} place;

static const step_record *previous(const pane *p) {
    return p->state > 0 ? p->traj->records[p->state - 1] : NULL;
}

static bool written_by(const step_record *r, int pos) {
    for (int i = 0; r && i < r->n_writes; i++) {
        if (r->writes[i].pos == pos) return true;
    }
    return false;
}

static double signed_place(double v, double clip) {
    double x = clip > 0 ? v / clip : 0;
    return 0.5 + 0.5 * (x < -1 ? -1 : x > 1 ? 1 : x);
}

/* The same for what a closer look found. */
static bool look_value(const app *a, int i, int pos, double *x, bool *doubted) {
    double v;
    if (a->layer == LAYER_INFLUENCE && looks_influence(a, i, pos, &v)) {
        *x = signed_place(v, a->looks.clip[i]);
    } else if (a->layer == LAYER_ATTENTION && looks_attention(a, i, pos, &v)) {
        *x = a->looks.top[i] > 0 ? v / a->looks.top[i] : 0;
    } else if (a->layer == LAYER_LOCK_IN && looks_lock_in(a, i, pos, &v, doubted)) {
        *x = 1 - v;
    } else {
        return false;
    }
    return true;
}

/* Value of a position in the layer, mapped to 0..1; false when it has none. */
static bool layer_value(const app *a, const pane *p, const step_record *r, int pos, double *x) {
    int k = r ? record_masked_index(r, pos) : -1, by;
    double v;
    switch (a->layer) {
    case LAYER_ENTROPY:
        if (k < 0 || !r->entropy) return false;
        *x = r->entropy[k] / entropy_max(p);
        return true;
    case LAYER_TIS:
        if (k < 0 || !record_tis_at(r, pos, &v)) return false;
        *x = signed_place(v, a->tis_clip);
        return true;
    case LAYER_ORDER:
        if (!p->rank[pos]) return false;
        *x = rank_max(p) > 1 ? (double)(p->rank[pos] - 1) / (rank_max(p) - 1) : 0;
        return true;
    case LAYER_ORDERS:
        if (p != app_pane(a, a->focus) || !orders_difference(&a->orders, pos, &by)) return false;
        *x = 0.5 + 0.5 * by / a->orders.most;
        return true;
    case LAYER_PROB:
        if (p->rank[pos]) {
            *x = p->written_p[pos];
        } else if (k < 0 || !r->confidence) {
            return false;
        } else {
            *x = r->confidence[k];
        }
        return true;
    default:
        return false;
    }
}

static bool has_ban(const step_setting *s, int pos) {
    for (int i = 0; i < s->n_bans; i++) {
        if (s->bans[i].pos == pos) return true;
    }
    return false;
}

static place look_up(const app *a, const pane *p, const step_setting *s, int pos) {
    const step_record *r = pane_record(p);
    place at = {.pos = pos, .masked = p->tokens[pos] == p->traj->head.mask_id};
    at.prompt = !at.masked && p->written_by[pos] < 0;
    at.fresh = !at.masked && written_by(previous(p), pos);
    at.forced = !at.masked && pane_forced(p, pos);
    at.pinned = setting_has_pin(s, pos);
    at.banned = has_ban(s, pos);
    at.back = at.masked && p->state > 0 && p->put_back[pos] == p->state - 1;
    at.candidate = at.masked && r && record_cand_index(r, pos) >= 0;
    at.next = at.masked && written_by(r, pos);
    at.differs = a->diff && a->n_panes > 1 && p->n_differs && p->differs[pos];
    at.marked = lesson_marks(a, (int)(p - a->panes), pos);
    at.found = search_lit(a, (int)(p - a->panes), pos);
    at.scored =
        layer_value(a, p, r, pos, &at.x) || look_value(a, (int)(p - a->panes), pos, &at.x, &at.doubted);
    return at;
}

static ramp layer_ramp(layer l) {
    bool sign = l == LAYER_TIS || l == LAYER_ORDERS || l == LAYER_INFLUENCE;
    return sign ? RAMP_SIGNED : l == LAYER_ENTROPY || l == LAYER_LOCK_IN ? RAMP_ENTROPY : RAMP_SEA;
}

/* Tokens cannot give way to a shade as masks do: where the ramp has no colours, high values stand out. */
static unsigned token_attr(const app *a, const place *at) {
    if (at->masked || (a->layer != LAYER_ATTENTION && a->layer != LAYER_LOCK_IN)) return 0;
    if (ramp_has_color(&a->pal, layer_ramp(a->layer))) return 0;
    return at->x >= 0.6 ? ATTR_BOLD | ATTR_REVERSE : at->x >= 0.2 ? ATTR_BOLD : 0;
}

/* A grid marks differences beside the token (draw_difference); text that flows has no room and is underlined.
 */
static style place_look(const app *a, const pane *p, const place *at) {
    style_role role = at->masked   ? at->next        ? STYLE_NEXT
                                     : at->back      ? STYLE_FRESH
                                     : at->candidate ? STYLE_CANDIDATE
                                                     : STYLE_MASKED
                      : at->forced ? STYLE_FORCED
                      : at->fresh  ? STYLE_FRESH
                      : at->prompt ? STYLE_PROMPT
                                   : STYLE_WRITTEN;
    style s = look(a, role);
    if (at->scored) {
        unsigned attr = s.attr & ~(unsigned)ATTR_DIM;
        s = look_over(s, ramp_style(&a->pal, layer_ramp(a->layer), at->x));
        s.attr = attr | token_attr(a, at);
    }
    if (at->doubted) s.attr |= ATTR_UNDER;
    if (at->found || (at->marked && p->flow.grid < 3)) s.attr |= ATTR_REVERSE | ATTR_UNDER;
    if ((at->differs && p->flow.grid < 3) || at->pinned) s.attr |= ATTR_UNDER;
    return s;
}

/* The sign of a masked position. In a layer it repeats the value, so that colour is not needed. */
static uint32_t mask_sign(const app *a, const place *at) {
    if (layer_ramp(a->layer) == RAMP_SIGNED && at->scored) return ramp_shade(&a->pal, RAMP_SIGNED, at->x);
    if (a->layer == LAYER_TIS || a->layer == LAYER_INFLUENCE) return 0xB7;
    if (at->scored && !ramp_has_color(&a->pal, layer_ramp(a->layer)))
        return ramp_shade(&a->pal, layer_ramp(a->layer), at->x);
    if (at->next) return 0x2593;
    if (at->scored) return ' ';
    return at->candidate ? 0x2592 : 0x2591;
}

typedef struct brush {
    const app *a;
    const pane *p;
    cells *g;
    rect r;
} brush;

/* Screen row of a canvas line, or -1 when it is scrolled away. */
static int row_of(const brush *b, int line) {
    int y = line - b->p->scroll;
    return y < 0 || y >= b->r.h ? -1 : b->r.y + y;
}

static void draw_mask(const brush *b, const flow_slot *s, const place *at, style st) {
    int y = row_of(b, s->y), x = b->r.x + s->x;
    if (y < 0) return;
    uint32_t sign = mask_sign(b->a, at);
    bool free_width = !b->p->flow.grid;
    int from = free_width && s->w > 1 ? 1 : 0, n = s->w - from;
    if (at->scored) cells_repeat(b->g, x + from, y, n, ' ', st);
    if (free_width) {
        cells_repeat(b->g, x + from, y, n, sign, st);
    } else {
        cells_char(b->g, x + (s->w > 1 ? 1 : 0), y, sign, st);
    }
}

/* "12/40", the places in A and in the other pane, or where that is too wide, their difference. */
static int put_places(const app *a, int pos, int width, char *text, size_t size) {
    const orders *o = &a->orders;
    int by = 0, n = snprintf(text, size, "%d/%d", o->place[0][pos], o->place[1][pos]);
    if (n < width) return n; /* with air between neighbours */
    (void)orders_difference(o, pos, &by);
    return snprintf(text, size, by ? "%+d" : "%d", by);
}

/* In the order layers a grid shows ranks in place of the token. */
static bool draw_rank(const brush *b, const flow_slot *s, const place *at, style st) {
    int y = row_of(b, s->y);
    bool both = b->a->layer == LAYER_ORDERS;
    if ((b->a->layer != LAYER_ORDER && !both) || !b->p->flow.grid || !at->scored || y < 0) return false;
    char text[32];
    int n = both ? put_places(b->a, at->pos, s->w, text, sizeof text)
                 : snprintf(text, sizeof text, "%d", b->p->rank[at->pos]);
    if (n > s->w) return false;
    int x = b->r.x + s->x;
    cells_repeat(b->g, x, y, s->w, ' ', st);
    cells_text(b->g, x + (s->w - n + 1) / 2, y, x + s->w, st, text);
    return true;
}

static void draw_token(const brush *b, const flow_slot *s, const place *at, style st) {
    const flow *f = &b->p->flow;
    int y = row_of(b, s->y);
    if (f->grid && at->scored && y >= 0) cells_repeat(b->g, b->r.x + s->x, y, s->w, ' ', st);
    for (int k = 0; k < s->count; k++) {
        const flow_glyph *c = &f->glyphs[s->first + k];
        if ((y = row_of(b, c->y)) < 0) continue;
        style own = c->mark && !at->scored ? look(b->a, STYLE_MARK) : st;
        own.attr |= st.attr & ATTR_UNDER;
        cells_glyph(b->g, b->r.x + c->x, y, rect_end(b->r), &c->g, own);
    }
}

/* A grid has a free column left of each token: the sign of a difference stands there. */
static void draw_difference(const brush *b, const flow_slot *s, style st) {
    int y = row_of(b, s->y);
    if (y < 0 || b->p->flow.grid < 3) return;
    style mark = look(b->a, STYLE_DIFFER);
    mark.attr &= ~(unsigned)ATTR_UNDER;
    mark.bg = st.bg;
    if (st.bg >= 0) mark.fg = st.fg;
    cells_char(b->g, b->r.x + s->x, y, 0x2260, mark);
}

/* What a person did, and the signs of a token in doubt and of one just put back, stand right of a grid's
 * token (left of it where slots are narrow) and in the free column of a mask; text that flows has no room,
 * and tells it by attributes alone. */
static void draw_hand(const brush *b, const flow_slot *s, const place *at, style st) {
    uint32_t sign = at->doubted  ? '?'
                    : at->pinned ? '#'
                    : at->banned ? 0xD7
                    : at->forced ? '*'
                    : at->back   ? 0x21BA
                                 : 0;
    int y = row_of(b, s->y), grid = b->p->flow.grid;
    if (!sign || y < 0 || s->w < 2 || (!grid && !at->masked)) return;
    style mark = look(b->a, sign == 0x21BA ? STYLE_FRESH : STYLE_PINNED);
    mark.bg = st.bg;
    if (st.bg >= 0) mark.fg = st.fg;
    cells_char(b->g, b->r.x + s->x + (grid >= 3 ? 2 : 0), y, sign, mark);
}

/* A lesson's positions stand in brackets, which take the room of the other signs. */
static void draw_brackets(const brush *b, const flow_slot *s, style st) {
    int y = row_of(b, s->y), x = b->r.x + s->x;
    if (y < 0 || b->p->flow.grid < 3) return;
    style mark = look(b->a, STYLE_KEY);
    mark.bg = st.bg;
    mark.attr |= ATTR_BOLD;
    if (st.bg >= 0) mark.fg = st.fg;
    cells_char(b->g, x, y, '[', mark);
    cells_char(b->g, x + 2, y, ']', mark);
}

static void draw_cursor(const brush *b) {
    if (b->a->cursor >= b->p->flow.n) return;
    const flow_slot *s = &b->p->flow.slots[b->p->flow.slots[b->a->cursor].owner];
    int y = row_of(b, s->y);
    if (y < 0) return;
    for (int x = b->r.x + s->x; x < b->r.x + s->x + s->w && x < rect_end(b->r); x++) {
        cell *c = &b->g->at[y * b->g->cols + x];
        c->look.attr ^= ATTR_REVERSE;
        c->look.attr &= ~(unsigned)ATTR_DIM;
    }
}

static void draw_more(const brush *b) {
    int below = b->p->flow.lines - b->p->scroll - b->r.h;
    style dim = look(b->a, STYLE_DIM);
    if (b->p->scroll > 0) cells_char(b->g, rect_end(b->r) - 1, b->r.y, 0x2191, dim);
    if (below > 0) cells_char(b->g, rect_end(b->r) - 1, b->r.y + b->r.h - 1, 0x2193, dim);
}

static void draw(const app *a, int pane_index, cells *g, rect r) {
    const pane *p = app_pane(a, pane_index);
    brush b = {a, p, g, r};
    step_setting setting = intervene_current(p->traj, p->state);
    for (int i = 0; i < p->flow.n; i++) {
        const flow_slot *s = &p->flow.slots[i];
        if (s->owner != i) continue;
        place at = look_up(a, p, &setting, i);
        style st = place_look(a, p, &at);
        bool ranked = draw_rank(&b, s, &at, st);
        if (ranked && a->layer == LAYER_ORDERS && !at.marked)
            continue; /* it takes the room of the signs, too */
        if (ranked) {
            /* It stands in the token's place. */
        } else if (at.masked) {
            draw_mask(&b, s, &at, st);
        } else {
            draw_token(&b, s, &at, st);
        }
        if (at.differs) draw_difference(&b, s, st);
        draw_hand(&b, s, &at, st);
        if (at.marked) draw_brackets(&b, s, st);
    }
    draw_cursor(&b);
    draw_more(&b);
}

const view view_canvas = {"canvas", draw};
