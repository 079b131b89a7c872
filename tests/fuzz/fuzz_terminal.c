/* fuzz_terminal.c - bytes as a terminal sends them: through curses into keys and pointer, through readline
 * into lines, and frames back through curses.
 *
 * The first byte picks what is shown and the size of the screen. Bytes up to 0xFF, which no terminal sends,
 * come at once; there everything settles and a frame is drawn. */
#include <fcntl.h>
#include <ncurses.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/fuzz/support.h"
#include "tests/fuzz/workbench.h"
#include "tui/keys.h"
#include "tui/restore.h"
#include "tui/term.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { FRAME = 0xFF };

static int in = -1; /* what is written here is read by curses */

static void give_up(const char *what) {
    perror(what);
    _Exit(1);
}

/* Curses reads from a pipe without waiting, writes to nowhere, and never waits for the rest of a sequence.
 * Faults stay with the sanitizers. */
static palette open_terminal(void) {
    palette pal;
    err e = {0};
    int ends[2], out = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (out < 0 || pipe2(ends, O_CLOEXEC | O_NONBLOCK) || dup2(out, STDOUT_FILENO) < 0 ||
        dup2(ends[0], STDIN_FILENO) < 0)
        give_up("terminal");
    in = ends[1];
    setenv("TERM", "xterm-256color", 1);
    setenv("LC_ALL", getenv("FUZZ_LOCALE") ? getenv("FUZZ_LOCALE") : "C.UTF-8", 1);
    if (term_open(&(tui_opts){0}, &pal, &e)) {
        fprintf(stderr, "%s\n", e.msg);
        _Exit(1);
    }
    restore_done();
    set_escdelay(0);
    return pal;
}

static unsigned take_input(app *a) {
    unsigned flags = 0;
    for (term_input t; !(flags & APP_QUIT) && (t = term_read()).event != TERM_NONE;) {
        flags |= keys_input(a, &t);
        if (flags & APP_MOUSE) term_toggle_mouse();
        if (flags & APP_PAINT) term_paint(style_screen(&a->pal));
        if (flags & APP_REPAINT) term_repaint();
        flags &= APP_QUIT;
    }
    return flags;
}

static unsigned send(app *a, const uint8_t *data, size_t n) {
    if (n && write(in, data, n) != (ssize_t)n) give_up("terminal");
    unsigned flags = take_input(a);
    if (!(flags & APP_QUIT)) fuzz_workbench_settle(a);
    return flags;
}

static void draw(app *a, int size) {
    static const int sizes[4][2] = {{80, 24}, {101, 31}, {30, 8}, {80, 24}};
    term_draw(fuzz_workbench_draw(a, sizes[size][0], sizes[size][1]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static palette pal;
    app a;
    if (in < 0) pal = open_terminal();
    if (!n) return 0;
    fuzz_workbench_open(&a, (fuzz_show)(data[0] % FUZZ_N_SHOWS));
    pal.theme = a.pal.theme;
    a.pal = pal;
    flushinp();
    const uint8_t *at = data + 1, *end = data + n;
    while (at < end) {
        const uint8_t *stop = memchr(at, FRAME, (size_t)(end - at));
        if (!stop) stop = end;
        if (send(&a, at, (size_t)(stop - at)) & APP_QUIT) break;
        if (stop < end) draw(&a, data[0] / FUZZ_N_SHOWS % 4);
        at = stop < end ? stop + 1 : end;
    }
    fuzz_workbench_close(&a);
    while (read(STDIN_FILENO, (char[64]){0}, 64) > 0) {} /* after a quit */
    return 0;
}
