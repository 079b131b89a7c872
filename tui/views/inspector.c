/* inspector.c - everything known about the position under the cursor in one pane. A position that is written
 * shows what was known just before: the record that wrote it. */
#include <stdarg.h>

#include "engine/intervene.h"
#include "tui/edit.h"
#include "tui/view.h"

static void put_token(pen *w, const pane *p, int pos) {
    char text[64];
    const traj_header *h = &p->traj->head;
    int32_t id = p->tokens[pos];
    if (id == h->mask_id) {
        pen_text(w, STYLE_DIM, "masked");
    } else {
        pen_text(w, STYLE_STRONG, "%s", flow_token_text(p->traj->texts, id, h->mask_id, text, sizeof text));
        pen_text(w, STYLE_DIM, "  id %d", id);
    }
}

/* False when it does not fit. */
static bool put_history(pen *w, const pane *p, int pos) {
    int back = p->put_back[pos];
    if (back >= 0)
        return pen_text(w, p->traj->records[back]->kind == STEP_REMASK ? STYLE_FORCED : STYLE_DIM,
                        "  put back at step %d%s", back + 1,
                        p->traj->records[back]->kind == STEP_REMASK ? " by hand" : "");
    if (p->tokens[pos] == p->traj->head.mask_id) return true;
    if (p->written_by[pos] < 0) return pen_text(w, STYLE_DIM, "  prompt");
    int step = p->written_by[pos] + 1;
    if (!pane_forced(p, pos)) return pen_text(w, STYLE_DIM, "  step %d, p %.3f", step, p->written_p[pos]);
    return pen_text(w, STYLE_FORCED, "  step %d, by hand", step) &&
           (p->written_p[pos] <= 0 || pen_text(w, STYLE_DIM, ", p %.3f", p->written_p[pos]) || true);
}

/* The text goes on in the next line when it does not fit into this one. */
typedef struct lines {
    pen w;
    rect r;
    int row;
} lines;

static void next_line(lines *l) {
    l->w = pen_at(l->w.a, l->w.g, l->r, ++l->row);
    if (l->row >= l->r.h) l->w.end = l->w.x; /* the area is full */
}

static void put(lines *l, const char *label, const char *fmt, ...) PRINTF_LIKE(3, 4);

static void put(lines *l, const char *label, const char *fmt, ...) {
    char text[80];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (pen_field(&l->w, label, "%s", text)) return;
    next_line(l);
    pen_field(&l->w, label, "%s", text);
}

static void put_entropy(lines *l, const pane *p, const step_record *r, int pos) {
    int k = record_masked_index(r, pos);
    if (k < 0 || !r->entropy) return;
    put(l, "H", "%.3f nats", r->entropy[k]);
    put(l, "of ln V", "%.0f%%", 100 * r->entropy[k] / entropy_max(p));
    if (r->margin) pen_field(&l->w, "margin", "%.3f", r->margin[k]);
}

static void put_tis(lines *l, const step_record *r, int pos) {
    double tis;
    int c = record_cand_index(r, pos);
    if (record_tis_at(r, pos, &tis)) {
        put(l, "TIS", "%+.4f", tis);
    } else {
        put(l, "TIS", "\u00B7 not scored");
    }
    if (c >= 0 && r->gate) put(l, "gate", "%.3f", r->gate[c]);
    if (c >= 0 && r->penalty) put(l, "penalty", "%.3f", r->penalty[c]);
}

static int rank_of(const step_record *r, int c) {
    int rank = 1;
    for (int i = 0; i < r->n_cand; i++)
        rank += r->score[i] > r->score[c] || (i < c && r->score[i] >= r->score[c]);
    return rank;
}

static void put_score(lines *l, const step_record *r, int pos) {
    int c = record_cand_index(r, pos);
    if (c >= 0 && r->score) {
        put(l, "score", "%+.4f", r->score[c]);
        put(l, "rank", "%d/%d", rank_of(r, c), r->n_cand);
    } else {
        pen_text(&l->w, STYLE_DIM, "not a candidate");
    }
}

static void draw_bar(pen *w, double p, int width, style st) {
    static const uint32_t parts[8] = {' ', 0x258F, 0x258E, 0x258D, 0x258C, 0x258B, 0x258A, 0x2589};
    int eighths = (int)(p * width * 8 + 0.5);
    for (int i = 0; i < width && eighths > 0; i++, eighths -= 8) {
        uint32_t cp = eighths >= 8 ? 0x2588 : w->g->ascii ? (eighths >= 4 ? '-' : ' ') : parts[eighths];
        cells_char(w->g, w->x + i, w->y, cp, st);
    }
}

static void draw_top(const app *a, int i, const step_record *r, cells *g, rect area, int row) {
    const pane *p = app_pane(a, i);
    int k = record_masked_index(r, a->cursor);
    if (k < 0 || !r->top) return;
    for (int t = 0; t < r->top_k && row < area.h; t++, row++) {
        const token_prob *tp = &r->top[(size_t)k * (size_t)r->top_k + (size_t)t];
        char text[64];
        if (tp->id < 0) break;
        pen w = pen_at(a, g, area, row);
        flow_token_text(p->traj->texts, tp->id, p->traj->head.mask_id, text, sizeof text);
        style st = look(a, t ? STYLE_PLAIN : STYLE_STRONG);
        int token_end = w.x + 10 < w.end ? w.x + 10 : w.end;
        cells_text(g, w.x, w.y, token_end, st, text);
        w.x = token_end + 1;
        pen_text(&w, t ? STYLE_PLAIN : STYLE_STRONG, "%.4f", tp->p);
        w.x += 1;
        int width = w.end - w.x < 24 ? w.end - w.x : 24;
        draw_bar(&w, tp->p, width, (style){run_look(a, i).fg, -1, 0});
    }
}

/* Pins and bans that hold at the state shown, on a line of their own; nothing without any. */
static void put_hand(lines *l, const pane *p, int pos) {
    step_setting s = intervene_current(p->traj, p->state);
    bool begun = false, pinned = setting_has_pin(&s, pos);
    if (pinned) {
        next_line(l);
        begun = pen_text(&l->w, STYLE_PINNED, "# pinned  ");
    }
    for (int i = 0; i < s.n_bans; i++) {
        char text[64];
        if (s.bans[i].pos != pos && s.bans[i].pos >= 0) continue;
        if (!begun) next_line(l);
        begun = true;
        flow_token_text(p->traj->texts, s.bans[i].token, p->traj->head.mask_id, text, sizeof text);
        pen_text(&l->w, STYLE_PINNED, "\u00D7 %s %s  ", text,
                 s.bans[i].pos < 0 ? "banned everywhere" : "banned");
    }
}

static void put_place(lines *l, const char *label, int place) {
    if (place) {
        put(l, label, "%d", place);
    } else {
        put(l, label, "-");
    }
}

/* While the orders are compared: the places of the position, in the focused pane. */
static void put_orders(lines *l, const app *a, int i) {
    const orders *o = &a->orders;
    int pos = a->cursor, by;
    char other[] = {(char)('A' + o->other), '\0'}, both[] = {'A', '-', other[0], '\0'};
    if (a->layer != LAYER_ORDERS || i != a->focus || !o->other || pos >= o->n) return;
    next_line(l);
    put_place(l, "order A", o->place[0][pos]);
    put_place(l, other, o->place[1][pos]);
    if (orders_difference(o, pos, &by)) put(l, both, "%+d", by);
}

/* Words about the step that led to the state shown, as far as they fit into a line. */
static void put_note(lines *l, const app *a, const pane *p) {
    const char *words = p->state ? notes_get(&a->notes, p->traj->records[p->state - 1]) : NULL;
    if (!words) return;
    next_line(l);
    pen_text(&l->w, STYLE_KEY, "\u203B step %d: ", p->state);
    if (l->row < l->r.h) cells_text(l->w.g, l->w.x, l->w.y, l->w.end, look(a, STYLE_PLAIN), words);
}

static void draw(const app *a, int i, cells *g, rect r) {
    const pane *p = app_pane(a, i);
    int pos = a->cursor;
    if (!p->traj || pos >= p->traj->head.n_tokens) return;
    lines l = {.w = pen_at(a, g, r, 0), .r = r};
    pen_text(&l.w, STYLE_DIM, "position ");
    pen_text(&l.w, STYLE_STRONG, "%d  ", pos);
    put_token(&l.w, p, pos);
    if (!put_history(&l.w, p, pos)) {
        next_line(&l);
        put_history(&l.w, p, pos);
    }
    put_hand(&l, p, pos);
    put_orders(&l, a, i);
    put_note(&l, a, p);
    const step_record *rec = edit_known(p, pos);
    if (!rec || !rec->n_masked) return;
    next_line(&l);
    put_entropy(&l, p, rec, pos);
    next_line(&l);
    put_tis(&l, rec, pos);
    next_line(&l);
    put_score(&l, rec, pos);
    draw_top(a, i, rec, g, r, l.row + (r.h > 13 ? 2 : 1));
}

const view view_inspector = {"inspector", draw};
