/* cmd_themes.c - the themes there are: a preview of each in a terminal, one line of text outside. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/args.h"
#include "cli/screen_args.h"
#include "cli/theme_dirs.h"
#include "tui/text.h"
#include "tui/theme.h"

static int themes_main(int argc, char **argv);

const command cmd_themes = {
    .name = "themes",
    .summary = "the colour themes, with a preview in a terminal",
    .usage =
        "usage: tabes themes [NAME|FILE...] [OPTIONS]\n"
        "\n"
        "In a terminal: how every theme (or those named) looks. Outside: one line each, name, description "
        "and file,\n"
        "separated by tabs. A file is checked on the way; its first fault is named with line and column.\n"
        "\n"
        "      --color WHEN        auto (default), always (the preview, also outside a terminal) or never;\n"
        "                          NO_COLOR is heeded\n",
    .run = themes_main,
};

/* Where a preview is written to. */
typedef struct sheet {
    bool preview;
    palette pal;
} sheet;

/* What the environment says of the terminal; the workbench asks terminfo. */
static color_mode terminal_mode(tui_color wish) {
    const char *term = getenv("TERM"), *hint = getenv("COLORTERM"), *no = getenv("NO_COLOR");
    if (wish == COLOR_NEVER || (wish == COLOR_AUTO && ((no && *no) || !term || !strcmp(term, "dumb"))))
        return MODE_NONE;
    if (hint && (!strcmp(hint, "truecolor") || !strcmp(hint, "24bit"))) return MODE_DIRECT;
    if (term && strstr(term, "direct")) return MODE_DIRECT;
    if (term && strstr(term, "256color")) return MODE_256;
    return term && (!strcmp(term, "linux") || !strcmp(term, "xterm")) ? MODE_8 : MODE_16;
}

/* Looks --------------------------------------------------------------- */

static void put_color(int color, bool back, color_mode mode) {
    int base = back ? 40 : 30;
    if (color < 0) return;
    if (color < 8) {
        printf(";%d", base + color);
    } else if (mode == MODE_DIRECT) {
        printf(";%d;2;%d;%d;%d", base + 8, color >> 16, color >> 8 & 0xFF, color & 0xFF);
    } else if (color < 16) {
        printf(";%d", base + 52 + color);
    } else {
        printf(";%d;5;%d", base + 8, color);
    }
}

static void put_look(const sheet *s, style st) {
    style plain = style_screen(&s->pal);
    fputs("\033[0", stdout);
    if (st.attr & ATTR_BOLD) fputs(";1", stdout);
    if (st.attr & ATTR_DIM) fputs(";2", stdout);
    if (st.attr & ATTR_ITALIC) fputs(";3", stdout);
    if (st.attr & ATTR_UNDER) fputs(";4", stdout);
    if (st.attr & ATTR_REVERSE) fputs(";7", stdout);
    put_color(st.fg < 0 ? plain.fg : st.fg, false, s->pal.mode);
    put_color(st.bg < 0 ? plain.bg : st.bg, true, s->pal.mode);
    putchar('m');
}

static void put_text(const sheet *s, style_role r, const char *text) {
    put_look(s, style_of(&s->pal, r));
    fputs(text, stdout);
    put_look(s, style_of(&s->pal, STYLE_PLAIN));
}

/* The rest of the line in the theme's background. */
static void end_line(void) {
    fputs("\033[K\033[0m\n", stdout);
}

/* Preview ------------------------------------------------------------- */

enum { RAMP_CELLS = 28 };

static void put_ramp(const sheet *s, ramp r, const char *label, const char *low, const char *high) {
    char start[40];
    snprintf(start, sizeof start, "  %-10s %8s ", label, low);
    put_text(s, STYLE_DIM, start);
    for (int i = 0; i < RAMP_CELLS; i++) {
        double x = (i + 0.5) / RAMP_CELLS;
        char out[4] = " ";
        bool sign = !ramp_has_color(&s->pal, r) || r == RAMP_SIGNED;
        int n = utf8_encode(sign ? ramp_shade(&s->pal, r, x) : ' ', out);
        put_look(s, ramp_style(&s->pal, r, x));
        fwrite(out, 1, (size_t)n, stdout);
    }
    put_look(s, style_of(&s->pal, STYLE_PLAIN));
    putchar(' ');
    put_text(s, STYLE_DIM, high);
    end_line();
}

static void put_roles(const sheet *s) {
    static const style_role shown[] = {STYLE_RUN_A,   STYLE_RUN_B,     STYLE_RUN_C,  STYLE_RUN_D,
                                       STYLE_MASKED,  STYLE_CANDIDATE, STYLE_NEXT,   STYLE_FRESH,
                                       STYLE_WRITTEN, STYLE_PROMPT,    STYLE_DIFFER, STYLE_MARK,
                                       STYLE_STRONG,  STYLE_DIM,       STYLE_WARN,   STYLE_BAR};
    putchar(' ');
    for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++) {
        putchar(' ');
        put_text(s, shown[i], theme_role_name(shown[i]));
        if (i != 7) continue;
        end_line();
        put_text(s, STYLE_PLAIN, " ");
    }
    end_line();
}

static void preview(sheet *s, const theme *t, const char *path) {
    s->pal.theme = t;
    put_text(s, STYLE_PLAIN, "");
    put_text(s, STYLE_TITLE, t->name);
    cli_print("  %s", t->about);
    end_line();
    put_text(s, STYLE_DIM, "  ");
    put_look(s, style_of(&s->pal, STYLE_DIM));
    cli_print("%s", path);
    put_look(s, style_of(&s->pal, STYLE_PLAIN));
    end_line();
    put_roles(s);
    put_ramp(s, RAMP_ENTROPY, "entropy", "0", "ln V nats");
    put_ramp(s, RAMP_SEA, "confidence", "0", "1 (a probability)");
    put_ramp(s, RAMP_SEA, "order", "first", "last unmasked");
    put_ramp(s, RAMP_SIGNED, "TIS", "-clip", "+clip nats");
    putchar('\n');
}

static void show(sheet *s, const theme *t, const char *path) {
    if (s->preview) {
        preview(s, t, path);
    } else {
        cli_print("%s\t%s\t%s\n", t->name, t->about, path);
    }
}

/* Which --------------------------------------------------------------- */

static const char *path_of(const theme_list *l, const char *name) {
    int i = theme_list_find(l, name);
    return i < 0 ? name : l->at[i].path[0] ? l->at[i].path : "(built in)";
}

/* Without names every theme is shown, and a broken one among them is a note. */
static int show_all(sheet *s, const theme_list *l) {
    for (int i = 0; i < l->n; i++) {
        theme t;
        err e = {0};
        if (theme_list_load(l, i, &t, &e)) {
            cli_report(&e);
        } else {
            show(s, &t, path_of(l, l->at[i].name));
        }
    }
    return EXIT_OK;
}

static int show_named(sheet *s, const theme_list *l, char *const *names, int n) {
    int code = EXIT_OK;
    for (int i = 0; i < n; i++) {
        theme t;
        err e = {0};
        if (theme_open(&t, l, names[i], &e)) {
            code = cli_report_input(&e);
        } else {
            show(s, &t, path_of(l, names[i]));
        }
    }
    return code;
}

static int themes_main(int argc, char **argv) {
    const char *color = NULL;
    const cli_extra extra[] = {{"color", 0, &color, NULL}, {0}};
    cli_args a = {0};
    int rc = cli_parse(&a, &cmd_themes, CLI_OPERANDS, extra, argc, argv);
    if (rc >= 0) return rc;
    tui_color wish;
    rc = screen_color(&cmd_themes, color, &wish);
    if (rc) return rc;
    sheet s = {.preview = isatty(STDOUT_FILENO) || wish == COLOR_ALWAYS};
    s.pal.mode = terminal_mode(wish);
    theme_list l;
    err e = {0};
    if (theme_list_open(&l, theme_dirs(), &e)) return cli_report(&e);
    rc = a.n_operands ? show_named(&s, &l, a.operands, a.n_operands) : show_all(&s, &l);
    theme_list_release(&l);
    return cli_finish(rc);
}
