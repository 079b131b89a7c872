/* prompt.c - the prompt as text, to be changed: the decode then starts anew, on a branch of its own. */
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "tui/edit.h"
#include "tui/dialog.h"

static int lines(const app *a) {
    const input *in = &a->over->in;
    int n = 1 + in->n / 90;
    for (const char *s = in->text; *s; s++) n += *s == '\n';
    return n < 6 ? 6 : n > 16 ? 16 : n;
}

/* A mask as text: its own where the tokenizer reads that back as the mask (a Sudoku's "."), else <mask>. */
static void mask_text(const model *m, const trajectory *t, char *buf, size_t size) {
    size_t n = 0;
    bool special;
    err ignored = {0};
    int32_t *ids = NULL;
    int n_ids = 0;
    const char *s = t->texts.text(t->texts.ctx, t->head.mask_id, &n, &special);
    bool reads_back = s && n && n < size &&
                      !tokenizer_encode(m->tok, s, n, -1, false, &ids, &n_ids, &ignored) && n_ids == 1 &&
                      ids[0] == t->head.mask_id;
    snprintf(buf, size, "%.*s", reads_back ? (int)n : 6, reads_back ? s : "<mask>");
    free(ids);
}

/* What the chat template was put around, if this prompt is such a one. */
static bool templated_text(const model *m, const trajectory *t, strbuf *out) {
    strbuf whole;
    size_t from, len;
    if (!m->chat) return false;
    strbuf_init(&whole, SIZE_MAX / 4);
    tokenizer_decode(m->tok, t->head.start, t->head.n_prompt, true, &whole);
    bool is = chat_body(m->chat, m->briefing, whole.data, whole.len, &from, &len);
    if (is) strbuf_add(out, whole.data + from, len);
    strbuf_release(&whole);
    return is;
}

/* The prompt as the tokenizer reads it back, without the tokens that it adds by itself and without the chat
 * template, which is put around it again. */
static bool prompt_text(const model *m, const trajectory *t, strbuf *out) {
    char mask[32];
    if (templated_text(m, t, out)) return !out->failed && strlen(out->data) == out->len;
    mask_text(m, t, mask, sizeof mask);
    for (int i = 0; i < t->head.n_prompt; i++) {
        size_t n = 0;
        bool special = false;
        int32_t id = t->head.start[i];
        const char *s = t->texts.text(t->texts.ctx, id, &n, &special);
        if (id == t->head.mask_id) {
            strbuf_puts(out, mask);
        } else if (s && !special) {
            strbuf_add(out, s, n);
        }
    }
    return !out->failed && strlen(out->data) == out->len;
}

int prompt_restart(app *a, pane *p, const char *text, size_t len, err *e) {
    const traj_header *h = &p->own.head;
    int32_t *ids = NULL, *start = NULL;
    int n = 0, tail = h->n_tokens - h->n_prompt, masks = tail;
    int rc = model_prompt(a->model, text, len, &ids, &n, e), max = denoiser_get_info(a->model->d)->max_len;
    if (!rc && n + tail > max)
        rc = err_set(e, ERR_BAD_ARGUMENT, "%d tokens and %d to generate exceed the model's context of %d", n,
                     tail, max);
    for (int i = 0; !rc && i < n; i++) masks += ids[i] == h->mask_id;
    if (!rc && !masks) rc = err_set(e, ERR_BAD_ARGUMENT, "nothing to generate: the prompt has no <mask>");
    if (!rc && !(start = mem_new((size_t)n + (size_t)tail, sizeof *start)))
        rc = err_set(e, ERR_NO_MEMORY, "out of memory");
    for (int i = 0; !rc && i < n + tail; i++) start[i] = i < n ? ids[i] : h->mask_id;
    if (!rc && !edit_restart(a, p, start, n + tail, n, e)) rc = e->code;
    free(ids);
    free(start);
    return rc;
}

static void restart(app *a) {
    err e = {0};
    if (prompt_restart(a, &a->panes[a->focus], a->over->in.text, (size_t)a->over->in.n, &e)) {
        dialog_note(a, "%s", e.msg);
        return;
    }
    dialog_close(a);
    app_say(a, "pane %c starts anew from this prompt; u undoes", 'A' + a->focus);
}

static void press(app *a, int key) {
    if (key == KEY_CTRL('d')) {
        restart(a);
    } else {
        input_key(&a->over->in, key == KEY_RETURN ? '\n' : key);
    }
}

/* A character that is being placed: lines wrap at the width of the box. */
typedef struct walk {
    int at, n;  /* where it is in the text, its bytes */
    int x, y;   /* column and row */
    int next_x; /* columns taken once it is drawn */
} walk;

static bool walk_on(walk *w, const input *in, int width) {
    uint32_t cp = 0;
    if (w->n && in->text[w->at] == '\n') w->y++, w->next_x = 0;
    w->at += w->n;
    if (w->at >= in->n) w->at = in->n;
    int used = utf8_decode(in->text + w->at, (size_t)(in->n - w->at), &cp);
    w->n = w->at == in->n ? 1 : used > 0 ? used : 1;
    int columns = cp < ' ' ? 1 : text_width(cp);
    if (columns < 1) columns = 1;
    if (w->next_x + columns > width) w->y++, w->next_x = 0;
    w->x = w->next_x;
    w->next_x += columns;
    return w->at < in->n;
}

static void draw(const app *a, cells *g, rect r) {
    const input *in = &a->over->in;
    walk w = {0};
    while (walk_on(&w, in, r.w) && w.at < in->at) {}
    int top = w.y >= r.h ? w.y - r.h + 1 : 0;
    w = (walk){0};
    for (bool more = true; more;) {
        char text[8];
        more = walk_on(&w, in, r.w);
        style st = look(a, STYLE_PLAIN);
        if (w.at == in->at) st.attr ^= ATTR_REVERSE;
        snprintf(text, sizeof text, "%.*s", w.n, more && in->text[w.at] != '\n' ? in->text + w.at : " ");
        if (w.y >= top && w.y - top < r.h) cells_text(g, r.x + w.x, r.y + w.y - top, rect_end(r), st, text);
    }
}

static const dialog_kind kind = {.title = "prompt",
                                 .keys = "^d starts anew   ^u clears   <mask> is a blank",
                                 .lines = lines,
                                 .width = 100,
                                 .press = press,
                                 .draw = draw};

unsigned app_edit_prompt(app *a, int count) {
    pane *p = edit_pane(a);
    strbuf text;
    (void)count;
    if (!p) return APP_REDRAW;
    if (!a->model->tok) {
        app_say(
            a,
            "this model has no tokenizer: give one with --tokenizer, or another prompt with --prompt-tokens");
        return APP_REDRAW;
    }
    strbuf_init(&text, INPUT_MAX);
    if (!prompt_text(a->model, &p->own, &text)) {
        app_complain(a, "the prompt is too long to be edited, or has bytes that cannot be typed");
    } else if (dialog_open(a, &kind) && !input_set(&a->over->in, text.data)) {
        dialog_close(a);
        app_complain(a, "out of memory");
    }
    strbuf_release(&text);
    return APP_REDRAW;
}
