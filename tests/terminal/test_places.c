/* test_places.c - where one has been and what was done there: marks, notes and interventions on the timeline,
 * branches by name, recordings opened while the workbench runs, and the order of two panes compared. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../unit/checks.h"
#include "support/programs.h"
#include "support/quit.h"
#include "support/terminal.h"

static char dir[64], prefix[96], boe[128], confidence[128];

static int make_dir(void **state) {
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/tabes-test-XXXXXX");
    CHECK(mkdtemp(dir));
    snprintf(prefix, sizeof prefix, "%s/run", dir);
    snprintf(boe, sizeof boe, "%s-boe.jsonl", prefix);
    snprintf(confidence, sizeof confidence, "%s-confidence.jsonl", prefix);
    return 0;
}

static int clear_dir(void **state) {
    (void)state;
    unlink(boe);
    unlink(confidence);
    return rmdir(dir);
}

static terminal *start(int cols, int rows) {
    const char *const args[] = {"open",     "-m",   "sudoku",      "-p", SUDOKU_PROMPT,
                                "--record", prefix, "--no-config", NULL};
    terminal *t = terminal_start(cols, rows, args, NULL);
    CHECK(terminal_wait(t, "step 0/51"));
    return t;
}

static void send_line(terminal *t, const char *text) {
    terminal_send(t, text);
    CHECK(terminal_wait(t, text));
    terminal_send(t, "\r");
}

static void test_marks(void **state) {
    (void)state;
    terminal *t = start(120, 40);
    int x, y, zx, zy;
    terminal_send(t, "12s");
    CHECK(terminal_wait(t, "step 12/51"));
    terminal_send(t, "lllmz");
    CHECK(terminal_wait(t, "mark z: state 12"));
    terminal_send(t, "gg");
    CHECK(terminal_wait(t, "\u25CF\u2500") && terminal_wait(t, "\u2500z"));
    CHECK(terminal_find(t, "\u25CF", &x, &y) && terminal_find(t, "\u2500z", &zx, &zy) && zy == y && zx > x);
    terminal_send(t, "0'z");
    CHECK(terminal_wait(t, "step 12/51") && terminal_wait(t, "mark z: state 12"));
    terminal_send(t, "'y");
    CHECK(terminal_wait(t, "there is no mark y"));
    terminal_send(t, "m");
    CHECK(terminal_wait_gone(t, "no mark y"));
    terminal_send(t, "\033");
    send_line(t, ":goto 3");
    CHECK(terminal_wait(t, "step 3/51"));
    send_line(t, ":mark-go z");
    CHECK(terminal_wait(t, "step 12/51"));
    quit(t);
}

/* Each kind of step has its sign, and the help overlay tells which. */
static void test_timeline(void **state) {
    (void)state;
    terminal *t = start(120, 40);
    terminal_send(t, "6s");
    CHECK(terminal_wait(t, "step 6/51"));
    send_line(t, ":note looks odd");
    CHECK(
        terminal_wait(t, "\u203B step 6: looks odd")); /* in the inspector; the message row has the answer */
    CHECK(terminal_wait(t, "noted at step 6"));
    send_line(t, ":policy entropy");
    CHECK(terminal_wait(t, "A entropy") && terminal_wait(t, "step 7/"));
    terminal_send(t, "wr1\r");
    CHECK(terminal_wait(t, "written by hand") && terminal_wait(t, "step 8/"));
    terminal_send(t, "x");
    CHECK(terminal_wait(t, "step 9/"));
    terminal_send(t, "gg");
    CHECK(terminal_wait(t, "step 0/"));
    CHECK(terminal_wait(t, "\u203B") && terminal_wait(t, "\u25CB") && terminal_wait(t, "\u25C6") &&
          terminal_wait(t, "\u25C7") && terminal_wait(t, "\u2260"));
    terminal_send(t, "?G");
    terminal_resize(t, 200, 60);
    CHECK(terminal_wait(t, "signs on the timeline") && terminal_wait(t, "a token put back to the mask"));
    quit(t);
}

static void test_branches(void **state) {
    (void)state;
    terminal *t = start(120, 40);
    terminal_send(t, "9s");
    CHECK(terminal_wait(t, "step 9/51"));
    terminal_send(t, "4S");
    CHECK(terminal_wait(t, "step 5/51"));
    send_line(t, ":branch try");
    CHECK(terminal_wait(t, "branch try opened at state 5") && terminal_wait(t, " try "));
    send_line(t, ":branch-name better");
    CHECK(terminal_wait(t, " better "));
    terminal_send(t, ":branch b\t");
    CHECK(terminal_wait(t, "b1  better"));
    terminal_send(t, "1\r");
    CHECK(terminal_wait(t, "pane A is on branch b1") && terminal_wait(t, "step 9/51"));
    send_line(t, ":branch");
    CHECK(terminal_wait(t, "on branch b1; others: better"));
    quit(t);
}

static void test_open(void **state) {
    (void)state;
    char line[320];
    terminal *t = start(120, 40);
    terminal_send(t, "c");
    CHECK(terminal_wait(t, "A confidence  done") && terminal_wait(t, "B boe  done"));
    terminal_send(t, "R");
    CHECK(terminal_wait(t, "wrote "));
    snprintf(line, sizeof line, ":open %s", confidence);
    send_line(t, line);
    CHECK(terminal_wait(t, "file run-confidence.jsonl") && terminal_wait(t, "pane B shows"));
    send_line(t, ":open");
    CHECK(terminal_wait_gone(t, "file run-confidence.jsonl") && terminal_wait(t, "show themselves again"));
    send_line(t, ":open examples/models/sudoku");
    CHECK(terminal_wait(t, "tabes open -m MODEL"));
    quit(t);
    const char *const args[] = {"replay", confidence, "--no-config", NULL};
    t = terminal_start(120, 40, args, NULL);
    CHECK(terminal_wait(t, "step 0/51"));
    terminal_send(t, "5s");
    CHECK(terminal_wait(t, "step 5/51"));
    send_line(t, ":open /nonexistent/x");
    CHECK(terminal_wait(t, "/nonexistent/x") && terminal_wait(t, "step 5/51"));
    send_line(t, ":note kept");
    CHECK(terminal_wait(t, "noted"));
    snprintf(line, sizeof line, ":open %s %s", boe, confidence);
    send_line(t, line);
    CHECK(terminal_wait(t, "open! opens anyway"));
    snprintf(line, sizeof line, ":open! %s %s", boe, confidence);
    send_line(t, line);
    CHECK(terminal_wait(t, "A boe") && terminal_wait(t, "B confidence") &&
          terminal_wait(t, "opened 2 panes"));
    quit(t);
}

static void test_theme_names(void **state) {
    (void)state;
    terminal *t = start(120, 40);
    terminal_send(t, ":theme high\t");
    CHECK(terminal_wait(t, ":theme high-contrast"));
    terminal_send(t, "\r");
    CHECK(terminal_wait(t, "theme high-contrast"));
    quit(t);
}

/* Colour, legend and list at the three sizes; in flowing text, too. */
static void test_orders(void **state) {
    (void)state;
    static const int sizes[][2] = {{80, 24}, {120, 40}, {200, 60}};
    for (int i = 0; i < 3; i++) {
        terminal *t = start(sizes[i][0], sizes[i][1]);
        terminal_send(t, "c");
        CHECK(terminal_wait(t, "A confidence  done") && terminal_wait(t, "B boe  done"));
        terminal_send(t, "O");
        CHECK(terminal_wait(t, "whole decodes A/B") && terminal_wait(t, "earlier in A") &&
              terminal_wait(t, "A-B"));
        int x, y;
        CHECK(terminal_find(t, " A confidence ", &x, &y));
        CHECK(terminal_backgrounds(t, 0, y + 2, 30, 8) >= 4);
        CHECK(terminal_backgrounds(t, sizes[i][0] / 2 + 1, y + 2, 30, 8) ==
              1); /* the other canvas is as it was */
        send_line(t, ":focus b");
        CHECK(terminal_wait_gone(t, ":focus b"));
        CHECK(terminal_backgrounds(t, sizes[i][0] / 2 + 1, y + 2, 30, 8) >= 4);
        terminal_send(t, "O");
        CHECK(terminal_wait_gone(t, "whole decodes"));
        quit(t);
    }
    const char *const story[] = {"open", "-m", "story", "-p", "Once upon a time", "--length", "16", NULL};
    terminal *t = terminal_start(120, 40, story, NULL);
    CHECK(terminal_wait(t, "step 0/16"));
    terminal_send(t, "c");
    CHECK(terminal_wait(t, "A confidence  done") && terminal_wait(t, "B boe  done"));
    terminal_send(t, "Oi");
    CHECK(terminal_wait(t, "order A "));
    quit(t);
}

int main(int argc, char **argv) {
    if (argc > 1) setenv("TABES", argv[1], 1);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_marks),       cmocka_unit_test(test_timeline),
                                       cmocka_unit_test(test_branches),    cmocka_unit_test(test_open),
                                       cmocka_unit_test(test_theme_names), cmocka_unit_test(test_orders)};
    return finish("terminal places", cmocka_run_group_tests(tests, make_dir, clear_dir));
}
