/* term.c - all of curses. Cells are compared with the last frame and only what changed goes to the window. */
#define _XOPEN_SOURCE_EXTENDED 1
#include "tui/term.h"

#include <ncurses.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "engine/base/mem.h"
#include "tui/keys.h"
#include "tui/restore.h"
#include "tui/text.h"

bool terminfo_known(const char *name); /* terminfo.c */
extern const char terminfo_direct[];   /* made from direct.ti */

static struct {
    SCREEN *screen;
    color_mode mode;
    style plain; /* what the theme paints where nothing else is said */
    bool mouse;
    bool own_entry; /* TERMINFO holds terminfo_direct */
    int resize_fd;
    struct sigaction old_winch;
    cells shown; /* the last frame; no cells: everything is to be drawn */
} term;

/* Size ---------------------------------------------------------------- */

/* Curses' own handler only sets a flag, and a signal that comes just before the poll, or to another thread,
 * would be noticed with the next key. This one rings a descriptor that the loop polls. */
static void on_winch(int sig) {
    (void)sig;
    uint64_t one = 1;
    ssize_t done = write(term.resize_fd, &one, sizeof one);
    (void)done;
}

static void catch_winch(void) {
    struct sigaction act;
    memset(&act, 0, sizeof act);
    act.sa_handler = on_winch;
    act.sa_flags = SA_RESTART;
    sigemptyset(&act.sa_mask);
    term.resize_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    sigaction(SIGWINCH, &act, &term.old_winch);
}

static void release_winch(void) {
    sigaction(SIGWINCH, &term.old_winch, NULL);
    close(term.resize_fd);
}

int term_resize_fd(void) {
    return term.resize_fd;
}

/* Tells curses the new size. Also true when it is the old one: the terminal may have shrunk and grown in
 * between, and lost what stood at its edges. */
static bool take_resize(void) {
    uint64_t count;
    struct winsize size;
    if (read(term.resize_fd, &count, sizeof count) <= 0 || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size))
        return false;
    if (!size.ws_row || !size.ws_col) return false;
    if (size.ws_row != LINES || size.ws_col != COLS) resize_term(size.ws_row, size.ws_col);
    return true;
}

/* Opening ------------------------------------------------------------- */

static bool is_set(const char *name) {
    const char *v = getenv(name);
    return v && *v;
}

static color_mode detect_colors(tui_color wish) {
    if (wish == COLOR_NEVER || (wish == COLOR_AUTO && is_set("NO_COLOR")) || !has_colors()) return MODE_NONE;
    if (start_color() == ERR) return MODE_NONE;
    use_default_colors();
    if (tigetflag("RGB") > 0 && COLORS >= 0x1000000) return MODE_DIRECT;
    return COLORS >= 256 ? MODE_256 : COLORS >= 16 ? MODE_16 : COLORS >= 8 ? MODE_8 : MODE_NONE;
}

/* COLORTERM is a hint that an xterm-like terminal takes direct colours, which its terminfo entry seldom says.
 */
static bool hints_direct(void) {
    const char *name = getenv("TERM"), *hint = getenv("COLORTERM");
    return name && hint && (!strcmp(hint, "truecolor") || !strcmp(hint, "24bit")) &&
           !strncmp(name, "xterm", 5);
}

/* The entry that comes with the program is handed to curses by the variable TERMINFO. */
static void bring_own_entry(void) {
    const char *before = getenv("TERMINFO");
    char *kept = before ? strdup(before) : NULL;
    if (terminfo_direct[0] && (kept || !before)) {
        setenv("TERMINFO", terminfo_direct, 1);
        term.own_entry = terminfo_known("tabes-direct");
        if (!term.own_entry) unsetenv("TERMINFO");
        if (!term.own_entry && kept) setenv("TERMINFO", kept, 1);
    }
    free(kept);
}

/* Before the workers start, because other threads may read the environment. */
static void prepare_environment(void) {
    unsetenv("LINES"); /* curses would trust them and ignore resizes */
    unsetenv("COLUMNS");
    if (hints_direct()) bring_own_entry();
}

static SCREEN *open_screen(void) {
    const char *name = getenv("TERM");
    SCREEN *s = term.own_entry ? newterm("tabes-direct", stdout, stdin) : NULL;
    if (!s && hints_direct() && terminfo_known("xterm-direct")) s = newterm("xterm-direct", stdout, stdin);
    return s || !terminfo_known(name) ? s : newterm(name, stdout, stdin);
}

int term_check(err *e) {
    const char *name = getenv("TERM");
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
        return err_set(e, ERR_UNSUPPORTED,
                       "the workbench needs a terminal; use `tabes run` or --dump-screen without one");
    }
    if (!name || !*name || !strcmp(name, "dumb")) {
        return err_set(e, ERR_UNSUPPORTED,
                       "the workbench cannot draw on TERM=%s; set TERM, or use `tabes run`",
                       name && *name ? name : "(unset)");
    }
    prepare_environment();
    return 0;
}

static void set_mouse(bool on) {
    term.mouse = on;
    mousemask(on ? BUTTON1_PRESSED | BUTTON4_PRESSED | BUTTON5_PRESSED | REPORT_MOUSE_POSITION : 0, NULL);
    /* Motion while a button is down comes only when asked for by hand. */
    static const char ask[] = "\033[?1002h", leave[] = "\033[?1002l";
    fflush(stdout);
    ssize_t sent = write(STDOUT_FILENO, on ? ask : leave, sizeof ask - 1);
    (void)sent;
}

int term_open(const tui_opts *o, palette *pal, err *e) {
    text_use_locale();
    restore_prepare();
    catch_winch();
    term.screen = open_screen();
    if (!term.screen) {
        release_winch();
        restore_done();
        return err_set(e, ERR_UNSUPPORTED,
                       "the workbench does not know TERM=%s; set it to a known one, or use `tabes run`",
                       getenv("TERM"));
    }
    restore_catch();
    raw();
    noecho();
    nonl();
    keypad(stdscr, TRUE);
    nodelay(stdscr, TRUE);
    set_escdelay(25);
    curs_set(0);
    mouseinterval(0);
    set_mouse(!o->no_mouse);
    term.mode = detect_colors(o->color);
    term.plain = (style){-1, -1, 0};
    *pal = (palette){.mode = term.mode, .ascii = o->ascii || text_only_ascii()};
    return 0;
}

void term_close(void) {
    if (!term.screen) return;
    set_mouse(false);
    restore_end_sync();
    endwin();
    delscreen(term.screen);
    term.screen = NULL;
    cells_release(&term.shown);
    release_winch();
    restore_done();
}

void term_size(int *cols, int *rows) {
    *cols = COLS;
    *rows = LINES;
}

/* Drawing ------------------------------------------------------------- */

static attr_t attributes(unsigned attr) {
    return (attr & ATTR_BOLD ? A_BOLD : 0) | (attr & ATTR_DIM ? A_DIM : 0) |
           (attr & ATTR_UNDER ? A_UNDERLINE : 0) | (attr & ATTR_REVERSE ? A_REVERSE : 0) |
           (attr & ATTR_ITALIC ? A_ITALIC : 0);
}

/* A colour pair; without colour, or when the terminal has no more, pair 0. */
static int pair_of(style st) {
    static style last = {-2, -2, 0};
    static int last_pair;
    if (st.fg < 0) st.fg = term.plain.fg;
    if (st.bg < 0) st.bg = term.plain.bg;
    if (term.mode == MODE_NONE || (st.fg < 0 && st.bg < 0)) return 0;
    if (st.fg == last.fg && st.bg == last.bg) return last_pair;
    int pair = st.fg < COLORS && st.bg < COLORS ? alloc_pair(st.fg, st.bg) : 0;
    last = st;
    return last_pair = pair < 0 ? 0 : pair;
}

static void put_cell(int x, int y, const cell *c) {
    wchar_t text[GLYPH_POINTS + 1] = {0};
    cchar_t out;
    int pair = pair_of(c->look);
    for (int i = 0; i < GLYPH_POINTS && c->cp[i]; i++) text[i] = (wchar_t)c->cp[i];
    if (setcchar(&out, text, attributes(c->look.attr), 0, &pair) == ERR) return;
    mvadd_wch(y, x, &out); /* the bottom right cell answers ERR though it is drawn */
}

static bool same_cell(const cell *a, const cell *b) {
    return !memcmp(a->cp, b->cp, sizeof a->cp) && a->width == b->width && a->look.fg == b->look.fg &&
           a->look.bg == b->look.bg && a->look.attr == b->look.attr;
}

static void put_changes(const cells *g, bool whole) {
    for (int y = 0; y < g->rows && y < LINES; y++) {
        for (int x = 0; x < g->cols && x < COLS; x++) {
            size_t i = (size_t)y * (size_t)g->cols + (size_t)x;
            if (g->at[i].width && (whole || !same_cell(&g->at[i], &term.shown.at[i])))
                put_cell(x, y, &g->at[i]);
        }
    }
}

void term_draw(const cells *g) {
    static const char begin[] = "\033[?2026h";
    bool whole = !term.shown.at || term.shown.cols != g->cols || term.shown.rows != g->rows;
    if (whole) {
        werase(stdscr);
        cells_release(&term.shown);
        err ignored;
        if (cells_init(&term.shown, g->cols, g->rows, g->ascii, &ignored)) term.shown = (cells){0};
    }
    put_changes(g, whole);
    if (term.shown.at) memcpy(term.shown.at, g->at, (size_t)g->cols * (size_t)g->rows * sizeof *g->at);
    wnoutrefresh(stdscr);
    fflush(stdout);
    ssize_t sent = write(STDOUT_FILENO, begin, sizeof begin - 1);
    (void)sent;
    doupdate();
    restore_end_sync();
}

void term_repaint(void) {
    cells_release(&term.shown);
    clearok(stdscr, TRUE);
}

void term_paint(style plain) {
    term.plain = plain;
    cells_release(&term.shown);
}

void term_toggle_mouse(void) {
    set_mouse(!term.mouse);
}

void term_suspend(void) {
    bool mouse = term.mouse;
    if (mouse) set_mouse(false); /* curses takes back, and asks again for, only what it asked for itself */
    restore_end_sync();
    raise(SIGTSTP); /* curses leaves the screen, stops, and comes back */
    if (mouse) set_mouse(true);
    term_repaint();
}

/* Keys ---------------------------------------------------------------- */

static int own_key(wint_t key) {
    static const struct {
        int curses, own;
    } keys[] = {{KEY_UP, TUI_KEY_UP},         {KEY_DOWN, TUI_KEY_DOWN},       {KEY_LEFT, TUI_KEY_LEFT},
                {KEY_RIGHT, TUI_KEY_RIGHT},   {KEY_HOME, TUI_KEY_HOME},       {KEY_END, TUI_KEY_END},
                {KEY_PPAGE, TUI_KEY_PAGE_UP}, {KEY_NPAGE, TUI_KEY_PAGE_DOWN}, {KEY_BTAB, TUI_KEY_BACKTAB},
                {KEY_F(1), TUI_KEY_F1},       {KEY_F(10), TUI_KEY_F10},       {KEY_ENTER, KEY_RETURN}};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if ((int)key == keys[i].curses) return keys[i].own;
    }
    return -1;
}

static term_input read_mouse(void) {
    MEVENT m;
    if (getmouse(&m) == ERR) return (term_input){.event = TERM_KEY, .key = -1};
    if (m.bstate & BUTTON1_PRESSED) return (term_input){.event = TERM_CLICK, .x = m.x, .y = m.y};
    if (m.bstate & REPORT_MOUSE_POSITION) return (term_input){.event = TERM_DRAG, .x = m.x, .y = m.y};
    if (!(m.bstate & (BUTTON4_PRESSED | BUTTON5_PRESSED))) return (term_input){.event = TERM_KEY, .key = -1};
    return (term_input){
        .event = TERM_WHEEL, .x = m.x, .y = m.y, .lines = m.bstate & BUTTON4_PRESSED ? -3 : 3};
}

term_input term_read(void) {
    wint_t key;
    if (take_resize()) return (term_input){.event = TERM_RESIZE};
    int kind = get_wch(&key);
    if (kind == ERR) return (term_input){.event = TERM_NONE};
    if (kind == OK) return (term_input){.event = TERM_KEY, .key = (int)key};
    if (key == KEY_RESIZE) return (term_input){.event = TERM_RESIZE};
    if (key == KEY_MOUSE) return read_mouse();
    return (term_input){.event = TERM_KEY, .key = own_key(key)};
}
