/* dialog.c - the frame, the text input and the life of a box. */
#include "tui/dialog.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"

/* Text ---------------------------------------------------------------- */

void input_release(input *in) {
    free(in->text);
    *in = (input){0};
}

static bool insert(input *in, const char *s, int n) {
    if (in->n + n > INPUT_MAX || !mem_grow((void **)&in->text, &in->cap, (size_t)(in->n + n) + 1, 1))
        return false;
    memmove(in->text + in->at + n, in->text + in->at, (size_t)(in->n - in->at));
    memcpy(in->text + in->at, s, (size_t)n);
    in->n += n;
    in->at += n;
    in->text[in->n] = '\0';
    return true;
}

bool input_set(input *in, const char *text) {
    in->n = in->at = 0;
    size_t n = strlen(text);
    return insert(in, text, n > INPUT_MAX ? INPUT_MAX : (int)n);
}

static bool is_rest(char c) {
    return ((unsigned char)c & 0xC0) == 0x80;
}

static int before(const input *in) {
    int at = in->at ? in->at - 1 : 0;
    while (at && is_rest(in->text[at])) at--;
    return at;
}

static int after(const input *in) {
    int at = in->at < in->n ? in->at + 1 : in->n;
    while (at < in->n && is_rest(in->text[at])) at++;
    return at;
}

static void erase(input *in, int from, int to) {
    memmove(in->text + from, in->text + to, (size_t)(in->n - to) + 1);
    in->n -= to - from;
    in->at = from;
}

/* To the same column of the line above or below, in bytes. */
static void move_line(input *in, int by) {
    int start = in->at, next = in->at;
    while (start && in->text[start - 1] != '\n') start--;
    int column = in->at - start;
    if (by < 0) {
        if (!start) return;
        next = start - 1;
        while (next && in->text[next - 1] != '\n') next--;
    } else {
        while (next < in->n && in->text[next] != '\n') next++;
        if (next++ == in->n) return;
    }
    while (column-- && next < in->n && in->text[next] != '\n') next++;
    while (next && next < in->n && is_rest(in->text[next])) next--;
    in->at = next;
}

bool input_key(input *in, int key) {
    char s[4];
    switch (key) {
    case 8:
    case 127:
        if (in->at) erase(in, before(in), in->at);
        return true;
    case KEY_CTRL('u'):
        if (in->n) erase(in, 0, in->n);
        return true;
    case TUI_KEY_LEFT:
        in->at = before(in);
        return true;
    case TUI_KEY_RIGHT:
        in->at = after(in);
        return true;
    case TUI_KEY_HOME:
        in->at = 0;
        return true;
    case TUI_KEY_END:
        in->at = in->n;
        return true;
    case TUI_KEY_UP:
    case TUI_KEY_DOWN:
        move_line(in, key == TUI_KEY_UP ? -1 : 1);
        return true;
    default:
        if ((key < ' ' && key != '\n') || key >= TUI_KEY_FIRST) return false;
        return insert(in, s, utf8_encode((uint32_t)key, s));
    }
}

void input_draw(const app *a, const input *in, cells *g, int x, int y, int end) {
    char head[256];
    int room = end - x - 2, from = 0;
    /* The cursor stays in sight: what does not fit falls off on the left. */
    for (from = in->at; from > 0 && in->at - from < room - 1; from--) {}
    while (from < in->at && is_rest(in->text[from])) from++;
    snprintf(head, sizeof head, "%.*s", in->at - from, in->text + from);
    x = cells_text(g, x, y, end, look(a, STYLE_STRONG), head);
    int next = after(in);
    style here = look(a, STYLE_STRONG);
    here.attr ^= ATTR_REVERSE;
    snprintf(head, sizeof head, "%.*s", next - in->at, in->text + in->at);
    x = cells_text(g, x, y, end, here, next > in->at && in->text[in->at] != '\n' ? head : " ");
    snprintf(head, sizeof head, "%.*s", in->n - next < 200 ? in->n - next : 200, in->text + next);
    cells_text(g, x, y, end, look(a, STYLE_STRONG), head);
}

/* Life ---------------------------------------------------------------- */

void dialog_close(app *a) {
    if (!a->over) return;
    input_release(&a->over->in);
    free(a->over->ids);
    free(a->over);
    a->over = NULL;
}

dialog *dialog_open(app *a, const dialog_kind *k) {
    dialog_close(a);
    a->over = mem_new(1, sizeof *a->over);
    if (a->over && input_set(&a->over->in, "")) {
        a->over->kind = k;
        return a->over;
    }
    dialog_close(a);
    app_complain(a, "out of memory");
    return NULL;
}

void dialog_note(app *a, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(a->over->note, sizeof a->over->note, fmt, ap);
    va_end(ap);
}

bool dialog_move(dialog *o, int key, int n) {
    int by = key == TUI_KEY_UP          ? -1
             : key == TUI_KEY_DOWN      ? 1
             : key == TUI_KEY_PAGE_UP   ? -8
             : key == TUI_KEY_PAGE_DOWN ? 8
                                        : 0;
    if (!by) return false;
    o->row += by;
    if (o->row >= n) o->row = n - 1;
    if (o->row < 0) o->row = 0;
    return true;
}

unsigned dialog_press(app *a, int key) {
    a->over->note[0] = '\0';
    if (key == KEY_ESC || key == KEY_CTRL('c')) {
        dialog_close(a);
    } else if (key == KEY_CTRL('l')) {
        return APP_REPAINT | APP_REDRAW;
    } else {
        a->over->kind->press(a, key);
    }
    return APP_REDRAW;
}

void dialog_draw(const app *a, cells *g, rect r) {
    const dialog *o = a->over;
    style dim = look(a, STYLE_DIM);
    int want = o->kind->lines(a);
    rect box = {.w = o->kind->width < r.w ? o->kind->width : r.w, .h = (want < 1 ? 1 : want) + 3};
    if (box.h > r.h) box.h = r.h;
    box.x = r.x + (r.w - box.w) / 2;
    box.y = r.y + (r.h - box.h) / 2;
    cells_fill(g, box, look(a, STYLE_PLAIN));
    cells_repeat(g, box.x, box.y, box.w, 0x2500, dim);
    cells_repeat(g, box.x, box.y + box.h - 1, box.w, 0x2500, dim);
    for (int y = box.y + 1; y < box.y + box.h - 1; y++) {
        cells_char(g, box.x, y, 0x2502, dim);
        cells_char(g, rect_end(box) - 1, y, 0x2502, dim);
    }
    cells_printf(g, box.x + 2, box.y, rect_end(box), look(a, STYLE_TITLE), " %s: pane %c ", o->kind->title,
                 'A' + a->focus);
    cells_printf(g, box.x + 2, box.y + box.h - 1, rect_end(box), dim, " %s   Esc closes ", o->kind->keys);
    cells_text(g, box.x + 2, box.y + box.h - 2, rect_end(box) - 1, look(a, STYLE_WARN), o->note);
    o->kind->draw(a, g, (rect){box.x + 2, box.y + 1, box.w - 4, box.h - 3});
}
