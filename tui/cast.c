/* cast.c - every state of one or two recordings as a screen, one after the other. */
#include "tui/cast.h"

#include "tui/app.h"
#include "tui/screen.h"

/* The last state stays this long, in seconds. */
static const double LAST_SECONDS = 3;

/* A byte within a JSON string. */
static void put_byte(strbuf *out, unsigned char b) {
    if (b == '"' || b == '\\') {
        strbuf_printf(out, "\\%c", b);
    } else if (b < 0x20) {
        strbuf_printf(out, "\\u%04x", b);
    } else {
        strbuf_putc(out, (char)b);
    }
}

static void put_style(strbuf *out, style s) {
    static const struct {
        unsigned attr;
        int code;
    } codes[] = {{ATTR_BOLD, 1}, {ATTR_DIM, 2}, {ATTR_ITALIC, 3}, {ATTR_UNDER, 4}, {ATTR_REVERSE, 7}};
    strbuf_puts(out, "\\u001b[0");
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        if (s.attr & codes[i].attr) strbuf_printf(out, ";%d", codes[i].code);
    }
    if (s.fg >= 0) strbuf_printf(out, ";38;5;%d", s.fg);
    if (s.bg >= 0) strbuf_printf(out, ";48;5;%d", s.bg);
    strbuf_putc(out, 'm');
}

static bool same_style(style a, style b) {
    return a.fg == b.fg && a.bg == b.bg && a.attr == b.attr;
}

/* Plain cells have the screen's own colours where a theme paints them. */
static style shown(const app *a, style s) {
    style screen = style_screen(&a->pal);
    if (s.fg < 0) s.fg = screen.fg;
    if (s.bg < 0) s.bg = screen.bg;
    return s;
}

static void put_row(strbuf *out, const app *a, const cells *g, int y) {
    style last = {-2, -2, 0};
    strbuf_printf(out, "\\u001b[%d;1H", y + 1);
    for (int x = 0; x < g->cols; x++) {
        const cell *c = &g->at[y * g->cols + x];
        if (!c->width) continue;
        style s = shown(a, c->look);
        if (!same_style(s, last)) put_style(out, s);
        last = s;
        for (int i = 0; i < GLYPH_POINTS && c->cp[i]; i++) {
            char bytes[4];
            int n = utf8_encode(c->cp[i], bytes);
            for (int k = 0; k < n; k++) put_byte(out, (unsigned char)bytes[k]);
        }
    }
}

static int put_frame(strbuf *out, app *a, cells *g, double at, err *e) {
    int rc = screen_draw(a, g, e);
    if (rc) return rc;
    strbuf_printf(out, "[%.3f, \"o\", \"", at);
    for (int y = 0; y < g->rows; y++) put_row(out, a, g, y);
    strbuf_puts(out, "\"]\n");
    return 0;
}

/* Players make the title that of the terminal or of a page. */
static void put_title(strbuf *out, const app *a) {
    strbuf title;
    strbuf_init(&title, 1024);
    strbuf_printf(&title, "tabes: %s by ", app_pane(a, 0)->traj->head.model_name);
    for (int i = 0; i < a->n_panes; i++)
        strbuf_printf(&title, "%s%s", i ? " beside " : "", pane_policy(app_pane(a, i)));
    utf8_tame(title.data);
    for (const char *s = title.data; *s; s++) put_byte(out, (unsigned char)*s);
    strbuf_share_fault(out, &title);
    strbuf_release(&title);
}

static void put_header(strbuf *out, const app *a, const cast_opts *c) {
    strbuf_printf(out, "{\"version\": 2, \"width\": %d, \"height\": %d, \"title\": \"", c->cols, c->rows);
    put_title(out, a);
    strbuf_puts(out, "\", \"env\": {\"TERM\": \"xterm-256color\"}}\n");
    strbuf_puts(out, "[0.000, \"o\", \"\\u001b[?25l\\u001b[2J\"]\n");
}

static int put_states(strbuf *out, app *a, cells *g, const cast_opts *c, err *e) {
    int last = 0;
    for (int i = 0; i < a->n_panes; i++) {
        if (pane_states(app_pane(a, i)) > last) last = pane_states(app_pane(a, i));
    }
    int rc = 0;
    for (int n = 0; n <= last && !rc; n++) {
        app_go(a, 0, n);
        a->message[0] = '\0';
        rc = put_frame(out, a, g, n / c->states_per_second, e);
    }
    strbuf_printf(out, "[%.3f, \"o\", \"\\u001b[0m\\u001b[?25h\"]\n",
                  last / c->states_per_second + LAST_SECONDS);
    return rc;
}

int tui_cast(const tui_opts *o, const cast_opts *c, strbuf *out, err *e) {
    app a;
    cells g = {0};
    int rc = app_open(&a, o, e);
    a.pal.mode = MODE_256;
    a.pal.ascii = o->ascii;
    if (!rc) rc = cells_init(&g, c->cols, c->rows, o->ascii, e);
    if (!rc) {
        put_header(out, &a, c);
        rc = put_states(out, &a, &g, c, e);
    }
    if (!rc && out->failed) rc = strbuf_fault(out, "export", e);
    cells_release(&g);
    app_close(&a);
    return rc;
}
