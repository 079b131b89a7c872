/* pick.c - writing tokens by hand at the cursor: one of the likeliest, or typed text, which becomes one token
 * per position from the cursor on. */
#include <stdlib.h>
#include <string.h>

#include "engine/intervene.h"
#include "tui/edit.h"
#include "tui/dialog.h"

/* The tokens known to be likely at the cursor, best first. */
static int likely(const app *a, const token_prob **out) {
    const pane *p = &a->panes[a->focus];
    const step_record *r = edit_known(p, a->cursor);
    int k = r ? record_masked_index(r, a->cursor) : -1, n = 0;
    if (k < 0 || !r->top) return 0;
    *out = &r->top[(size_t)k * (size_t)r->top_k];
    while (n < r->top_k && (*out)[n].id >= 0) n++;
    return n;
}

static bool typed(const dialog *o) {
    return o->in.n > 0;
}

static int lines(const app *a) {
    const token_prob *top = NULL;
    int n = typed(a->over) ? a->over->n_ids : likely(a, &top);
    return 2 + (n > 10 ? 10 : n < 8 ? 8 : n);
}

/* Ids by number, for a checkpoint without a tokenizer. */
static int parse_ids(dialog *o, int n_vocab, err *e) {
    int max = o->in.n;
    o->ids = calloc((size_t)max + 1, sizeof *o->ids);
    if (!o->ids) return err_set(e, ERR_NO_MEMORY, "out of memory");
    for (const char *s = o->in.text; *s;) {
        char *end;
        long id = strtol(s, &end, 10);
        if (end == s || id < 0 || id >= n_vocab)
            return err_set(e, ERR_BAD_ARGUMENT, "expected token ids from 0 to %d, found '%.20s'", n_vocab - 1,
                           s);
        o->ids[o->n_ids++] = (int32_t)id;
        for (s = end; *s == ' ' || *s == ','; s++) {}
    }
    return 0;
}

static void tokenize(app *a) {
    dialog *o = a->over;
    const traj_header *h = &a->panes[a->focus].own.head;
    err e = {0};
    free(o->ids);
    o->ids = NULL;
    o->n_ids = 0;
    if (!typed(o)) return;
    const tokenizer *t = a->model->tok;
    int rc = t ? tokenizer_encode(t, o->in.text, (size_t)o->in.n, h->mask_id, false, &o->ids, &o->n_ids, &e)
               : parse_ids(o, h->n_vocab, &e);
    if (rc) o->n_ids = 0;
    if (rc) dialog_note(a, "%s", e.msg);
}

static double probability(const app *a, int pos, int32_t id) {
    const step_record *r = edit_known(&a->panes[a->focus], pos);
    int k = r ? record_masked_index(r, pos) : -1;
    for (int i = 0; k >= 0 && r->top && i < r->top_k; i++) {
        const token_prob *tp = &r->top[(size_t)k * (size_t)r->top_k + (size_t)i];
        if (tp->id == id) return tp->p;
    }
    return 0;
}

static void write_tokens(app *a, const int32_t *ids, int n) {
    pane *p = &a->panes[a->focus];
    int pos = a->cursor;
    err e = {0};
    step_write *w = calloc((size_t)n + 1, sizeof *w);
    for (int i = 0; w && i < n; i++)
        w[i] = (step_write){.pos = pos + i, .token = ids[i], .p = probability(a, pos + i, ids[i])};
    if (!w) {
        dialog_note(a, "out of memory");
    } else if (pos + n > p->own.head.n_tokens) {
        dialog_note(a, "%d tokens from position %d on: the sequence ends at %d", n, pos,
                    p->own.head.n_tokens - 1);
    } else if (!edit_write(a, p, w, n, &e)) {
        dialog_note(a, "%s", e.msg);
    } else {
        dialog_close(a);
        app_say(a,
                n == 1 ? "position %d is written by hand; u undoes"
                       : "written by hand from position %d on; u undoes",
                pos);
    }
    free(w);
}

/* The token that a key speaks of; -1, with a note, when there is none. */
static int32_t chosen(app *a) {
    const dialog *o = a->over;
    const token_prob *top = NULL;
    int n = likely(a, &top);
    if (typed(o) && o->n_ids == 1) return o->ids[0];
    if (!typed(o) && o->row < n) return top[o->row].id;
    dialog_note(a, typed(o) ? "a ban is about one token; the text makes %d" : "type a token", o->n_ids);
    return -1;
}

static void ban(app *a, int pos) {
    char text[64];
    pane *p = &a->panes[a->focus];
    step_ban b = {pos, chosen(a)};
    bool on;
    err e = {0};
    if (b.token < 0) return;
    if (!edit_toggle_ban(a, p, b, &on, &e)) {
        dialog_note(a, "%s", e.msg);
        return;
    }
    dialog_close(a);
    flow_token_text(p->own.texts, b.token, p->own.head.mask_id, text, sizeof text);
    app_say(a, "'%s' is %s %s; u undoes", text, on ? "banned" : "allowed again",
            pos < 0 ? "everywhere" : "here");
}

static void commit(app *a) {
    dialog *o = a->over;
    const token_prob *top = NULL;
    int n = likely(a, &top);
    if (typed(o) && o->n_ids) {
        write_tokens(a, o->ids, o->n_ids);
    } else if (!typed(o) && o->row < n) {
        int32_t id = top[o->row].id;
        write_tokens(a, &id, 1);
    } else if (!typed(o)) {
        dialog_note(a, "nothing is known here: type the text");
    } else {
        tokenize(a);
    }
}

/* A digit chooses a row until something else has been typed, or Tab says that text follows. */
static void press(app *a, int key) {
    dialog *o = a->over;
    const token_prob *top = NULL;
    int n = likely(a, &top);
    if (key == KEY_RETURN || key == '\n') {
        commit(a);
    } else if (key == '\t') {
        o->typing = !o->typing;
    } else if (key == KEY_CTRL('b')) {
        ban(a, a->cursor);
    } else if (key == KEY_CTRL('a')) {
        ban(a, -1);
    } else if (!typed(o) && dialog_move(o, key, n)) {
        return;
    } else if (!typed(o) && !o->typing && key >= '1' && key <= '9' && key - '1' < n) {
        o->row = key - '1';
    } else if (input_key(&o->in, key)) {
        if (!typed(o)) o->typing = false;
        tokenize(a);
    }
}

static const char *state_of(const app *a, int pos, int32_t id) {
    const pane *p = &a->panes[a->focus];
    step_setting s = intervene_current(p->traj, p->state);
    if (setting_has_ban(&s, (step_ban){pos, id})) return "banned here";
    return setting_has_ban(&s, (step_ban){-1, id}) ? "banned everywhere" : "";
}

static void draw_row(const app *a, cells *g, rect r, int y, int i, int pos, int32_t id, double p) {
    char text[64];
    const trajectory *t = a->panes[a->focus].traj;
    bool here = typed(a->over) || i == a->over->row;
    style st = look(a, here ? STYLE_STRONG : STYLE_PLAIN);
    flow_token_text(t->texts, id, t->head.mask_id, text, sizeof text);
    if (typed(a->over)) {
        cells_printf(g, r.x, y, rect_end(r), look(a, STYLE_DIM), "%4d ", pos);
    } else {
        cells_printf(g, r.x, y, rect_end(r), look(a, here ? STYLE_NEXT : STYLE_DIM), "%s%d ",
                     here ? "\u25B8 " : "  ", i + 1);
    }
    int x = r.x + 6;
    cells_text(g, x, y, x + 18, st, text);
    cells_printf(g, x + 19, y, rect_end(r), look(a, STYLE_DIM), "id %-7d", (int)id);
    if (p > 0) cells_printf(g, x + 30, y, rect_end(r), st, "p %.4f", p);
    cells_text(g, x + 40, y, rect_end(r), look(a, STYLE_WARN), state_of(a, pos, id));
}

static void draw(const app *a, cells *g, rect r) {
    const dialog *o = a->over;
    const token_prob *top = NULL;
    int n = likely(a, &top), y = r.y + 2, end = r.y + r.h;
    cells_printf(g, r.x, r.y, rect_end(r), look(a, STYLE_DIM), "position %d, text: ", a->cursor);
    input_draw(a, &o->in, g, r.x + 22, r.y, rect_end(r));
    if (typed(o)) {
        for (int i = 0; i < o->n_ids && y < end; i++, y++)
            draw_row(a, g, r, y, i, a->cursor + i, o->ids[i], probability(a, a->cursor + i, o->ids[i]));
        return;
    }
    if (!n)
        cells_text(g, r.x, y, rect_end(r), look(a, STYLE_DIM),
                   "no probabilities are known here: type the text");
    for (int i = 0; i < n && y < end; i++, y++) draw_row(a, g, r, y, i, a->cursor, top[i].id, top[i].p);
}

static const dialog_kind kind = {.title = "write a token",
                                 .keys =
                                     "1-8 \u2191\u2193  Tab text  Enter write  ^b ban here  ^a everywhere",
                                 .lines = lines,
                                 .width = 80,
                                 .press = press,
                                 .draw = draw};

unsigned app_pick(app *a, int count) {
    (void)count;
    if (edit_place(a)) dialog_open(a, &kind);
    return APP_REDRAW;
}
