/* test_themes.c - themes on the screen: at every depth of colour, by key, by option, broken, and the preview.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../unit/checks.h"
#include "support/quit.h"
#include "support/terminal.h"

static const char recording[] = "examples/trajectories/sudoku-boe.jsonl";

/* Without the themes of whoever runs the tests. */
#define NO_HOME "XDG_CONFIG_HOME=/nonexistent"

enum { COLS = 100, ROWS = 30 };

static terminal *open_with(const char *theme, const char *setting) {
    const char *const args[] = {"replay", recording, theme ? "--theme" : NULL, theme, NULL};
    const char *const settings[] = {NO_HOME, setting, NULL};
    terminal *t = terminal_start(COLS, ROWS, args, settings);
    CHECK(terminal_wait(t, "step 0/"));
    return t;
}

/* Cells whose colours fail the test. */
static int count(terminal *t, bool (*bad)(look l)) {
    int n = 0;
    for (int y = 0; y < ROWS; y++) {
        for (int x = 0; x < COLS; x++) n += bad(terminal_look(t, x, y));
    }
    return n;
}

static bool has_color(look l) {
    return l.fg != -1 || l.bg != -1;
}

static bool is_unpainted(look l) {
    return l.fg == -1 || l.bg == -1;
}

static bool is_past_8(look l) {
    return l.fg >= 8 || l.bg >= 8 || l.fg == -2 || l.bg == -2;
}

static bool is_past_16(look l) {
    return l.fg >= 16 || l.bg >= 16 || l.fg == -2 || l.bg == -2;
}

static bool is_never(look l) {
    (void)l;
    return false;
}

static bool is_direct(look l) {
    return l.fg == -2 || l.bg == -2;
}

/* No cell fails the test, at the latest when the frame in flight has come. */
static bool becomes_clean(terminal *t, bool (*bad)(look l)) {
    for (int i = 0; i < 100 && count(t, bad); i++) terminal_pump(t, 20);
    return count(t, bad) == 0;
}

/* The default leaves the terminal's own colours alone; light paints every cell; the list is a ring. */
static void test_key(void **state) {
    (void)state;
    terminal *t = open_with(NULL, NULL);
    CHECK(count(t, is_unpainted) > COLS * ROWS / 2);
    terminal_send(t, "T");
    CHECK(terminal_wait(t, "theme colour-blind (2 of 6)"));
    terminal_send(t, "TT");
    CHECK(terminal_wait(t, "theme light (4 of 6)"));
    CHECK(becomes_clean(t, is_unpainted));
    CHECK(terminal_look(t, COLS - 2, ROWS / 2).bg == 231);
    terminal_resize(t, 80, 24);
    terminal_resize(t, COLS, ROWS);
    terminal_send(t, "e");
    CHECK(terminal_wait(t, "nats = ln 12"));
    CHECK(becomes_clean(t, is_unpainted));
    terminal_send(t, "TTT");
    CHECK(terminal_wait(t, "theme dark (1 of 6)"));
    CHECK(count(t, is_unpainted) > COLS * ROWS / 2);
    quit(t);
}

static void test_option(void **state) {
    (void)state;
    terminal *t = open_with("high-contrast", NULL);
    CHECK(becomes_clean(t, is_unpainted));
    int x = 0, y = 0; /* the status line is of one piece */
    CHECK(terminal_find(t, "seed 0", &x, &y));
    CHECK(terminal_look(t, x, y).bg == 231 && terminal_look(t, x + 5, y).bg == 231);
    terminal_send(t, "T");
    CHECK(terminal_wait(t, "theme light (4 of 6)"));
    quit(t);
    t = open_with("themes/monochrome.theme", NULL);
    CHECK(becomes_clean(t, has_color));
    terminal_send(t, "e");
    CHECK(terminal_wait(t, "nats = ln 12"));
    CHECK(terminal_backgrounds(t, 0, 3, 40, 12) >= 4);
    quit(t);
}

/* Where the build put the terminals of its own, beside the program: "TERMINFO=...". */
static const char *own_terminfo(void) {
    static char setting[1024];
    const char *program = getenv("TABES"), *slash = program ? strrchr(program, '/') : NULL;
    if (!slash) fail_msg("TABES is not a path");
    snprintf(setting, sizeof setting, "TERMINFO=%.*s/terminfo", (int)(slash - program), program);
    return setting;
}

/* Every theme in turn, with the entropy layer on: within the depth, and the layer can be read. */
static void check_depth(const char *setting, const char *terminfo, bool (*bad)(look l)) {
    const char *const args[] = {"replay", recording, NULL};
    const char *const settings[] = {NO_HOME, setting, terminfo, NULL};
    terminal *t = terminal_start(COLS, ROWS, args, settings);
    CHECK(terminal_wait(t, "step 0/"));
    terminal_send(t, "e");
    CHECK(terminal_wait(t, "nats = ln 12"));
    for (int i = 1; i <= 6; i++) {
        char want[32];
        snprintf(want, sizeof want, "(%d of 6)", i % 6 + 1);
        terminal_send(t, "T");
        CHECK(terminal_wait(t, want));
        CHECK(becomes_clean(t, bad));
        bool shades = terminal_has(t, "\u2592\u2592"); /* monochrome with few colours */
        bool direct = bad == is_never;                 /* whose colours the screen does not tell apart */
        CHECK(shades || direct || terminal_backgrounds(t, 0, 3, 40, 12) >= 3);
    }
    quit(t);
}

static void test_depths(void **state) {
    (void)state;
    check_depth("TERM=xterm", NULL, is_past_8);
    check_depth("TERM=tabes-16", own_terminfo(), is_past_16);
    check_depth("TERM=xterm-256color", NULL, is_direct);
    check_depth("COLORTERM=truecolor", NULL, is_never);
    terminal *t = open_with("light", "COLORTERM=truecolor");
    CHECK(becomes_clean(t, is_unpainted) && count(t, is_direct) > COLS * ROWS / 2);
    CHECK(terminal_saw(t, "48;2;255;255;255"));
    quit(t);
}

static void test_no_color(void **state) {
    (void)state;
    terminal *t = open_with("projector", "NO_COLOR=1");
    terminal_send(t, "e");
    CHECK(terminal_wait(t, "nats = ln 12"));
    CHECK(terminal_has(t, "\u2591\u2591\u2591\u2592"));
    terminal_send(t, "T");
    CHECK(terminal_wait(t, "theme dark (1 of 6), without colours"));
    CHECK(becomes_clean(t, has_color));
    quit(t);
}

/* The message names the place, the default is worn, and everything else works. */
static void test_broken(void **state) {
    (void)state;
    char path[] = "/tmp/tabes-theme-XXXXXX.theme";
    static const char text[] = "about = x\ndim = mauve default\n";
    int fd = mkstemps(path, 6);
    CHECK(fd >= 0 && write(fd, text, sizeof text - 1) == (ssize_t)sizeof text - 1);
    close(fd);
    terminal *t = open_with(path, NULL);
    CHECK(terminal_wait(t, ".theme:2:7: 'mauve' is no colour"));
    terminal_send(t, "3s");
    CHECK(terminal_wait(t, "step 3/"));
    CHECK(count(t, is_unpainted) > COLS * ROWS / 2);
    quit(t);
    unlink(path);
    t = open_with("mauve", NULL);
    CHECK(terminal_wait(t, "theme 'mauve' is unknown; there are: dark, colour-blind"));
    quit(t);
}

static void test_preview(void **state) {
    (void)state;
    const char *const args[] = {"themes", "light", "dark", NULL};
    const char *const settings[] = {NO_HOME, NULL};
    terminal *t = terminal_start(COLS, ROWS, args, settings);
    CHECK(terminal_wait(t, "+clip nats"));
    int status = terminal_exit(t, 10);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK(terminal_has(t, "ln V nats") && terminal_has(t, "a probability"));
    CHECK(terminal_backgrounds(t, 0, 0, COLS, 10) > 10);
    CHECK(terminal_look(t, COLS - 2, 0).bg == 231);
    terminal_end(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_key),    cmocka_unit_test(test_option),
                                       cmocka_unit_test(test_depths), cmocka_unit_test(test_no_color),
                                       cmocka_unit_test(test_broken), cmocka_unit_test(test_preview)};
    return finish("themes", cmocka_run_group_tests(tests, NULL, NULL));
}
