/* test_workbench.c - the workbench driven by keys: what stands on the screen after each. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../unit/checks.h"
#include "support/programs.h"
#include "support/quit.h"
#include "support/terminal.h"

static terminal *open_sudoku(int cols, int rows) {
    terminal *t = terminal_start(cols, rows, sudoku_args, NULL);
    CHECK(terminal_wait(t, "A confidence"));
    CHECK(terminal_wait(t, "step 0/51"));
    return t;
}

static void test_open(void **state) {
    (void)state;
    terminal *t = open_sudoku(80, 24);
    CHECK(terminal_seconds(t) < 2.0);
    CHECK(terminal_wait(t, "B boe"));
    CHECK(terminal_wait(t, "sudoku"));
    CHECK(terminal_wait(t, "░ masked"));
    CHECK(terminal_wait(t, "NFE 0"));
    CHECK(terminal_in_use(t));
    quit(t);
}

/* Without any argument: the bundled model and prompt. */
static void test_bundled(void **state) {
    (void)state;
    const char *const args[] = {NULL};
    terminal *t = terminal_start(120, 40, args, NULL);
    CHECK(terminal_wait(t, "A confidence"));
    CHECK(terminal_wait(t, "B boe"));
    CHECK(terminal_wait(t, "sudoku"));
    terminal_send(t, "s");
    CHECK(terminal_wait(t, "step 1/"));
    quit(t);
}

static void test_step_and_back(void **state) {
    (void)state;
    terminal *t = open_sudoku(120, 40);
    terminal_send(t, "s");
    CHECK(terminal_wait(t, "step 1/51"));
    CHECK(terminal_wait(t, "masked 50"));
    terminal_send(t, "ss");
    CHECK(terminal_wait(t, "step 3/51"));
    terminal_send(t, "S");
    CHECK(terminal_wait(t, "step 2/51"));
    CHECK(terminal_wait(t, "masked 49"));
    terminal_send(t, "5S");
    CHECK(terminal_wait(t, "step 0/51"));
    terminal_send(t, "4s");
    CHECK(terminal_wait(t, "step 4/51"));
    terminal_send(t, "10G");
    CHECK(terminal_wait(t, "step 10/51"));
    terminal_send(t, "gg");
    CHECK(terminal_wait(t, "step 0/51"));
    terminal_send(t, "G");
    CHECK(terminal_wait(t, "step 10/51"));
    terminal_send(t, "h]");
    CHECK(terminal_wait(t, "is not written after state 10"));
    quit(t);
}

static void test_play(void **state) {
    (void)state;
    terminal *t = open_sudoku(120, 40);
    terminal_send(t, "++++++ ");
    CHECK(terminal_wait(t, "PLAY"));
    CHECK(terminal_wait(t, "step 51/51"));
    CHECK(terminal_wait(t, "masked 0"));
    CHECK(terminal_wait(t, "done"));
    CHECK(terminal_wait_gone(t, "PLAY"));
    quit(t);
}

static void test_locked_and_apart(void **state) {
    (void)state;
    terminal *t = open_sudoku(120, 40);
    terminal_send(t, "=");
    CHECK(terminal_wait(t, "apart"));
    terminal_send(t, "2s");
    CHECK(terminal_wait(t, "step 2/51"));
    CHECK(terminal_wait(t, "step 0/51"));
    terminal_send(t, "\t");
    terminal_send(t, "s");
    CHECK(terminal_wait(t, "step 1/51"));
    terminal_send(t, "=");
    CHECK(terminal_wait_gone(t, "step 2/51"));
    quit(t);
}

static void test_colours(void **state) {
    (void)state;
    terminal *t = open_sudoku(120, 40);
    CHECK(terminal_backgrounds(t, 0, 6, 28, 9) == 1);
    terminal_send(t, "e");
    CHECK(terminal_wait(t, "nats = ln 12"));
    CHECK(terminal_backgrounds(t, 0, 6, 28, 9) >= 4);
    terminal_send(t, "t");
    CHECK(terminal_wait(t, "not scored"));
    CHECK(terminal_wait(t, "mask/masked/candidates"));
    CHECK(terminal_backgrounds(t, 0, 6, 28, 9) >= 3);
    terminal_send(t, "%");
    CHECK(terminal_wait(t, "of the likeliest token"));
    CHECK(terminal_backgrounds(t, 0, 6, 28, 9) >= 4);
    terminal_send(t, "6so");
    CHECK(terminal_wait(t, "last unmasked"));
    CHECK(terminal_backgrounds(t, 0, 6, 28, 9) >= 2);
    terminal_send(t, "o");
    CHECK(terminal_wait(t, "░ masked"));
    CHECK(terminal_backgrounds(t, 0, 6, 28, 9) == 1);
    quit(t);
}

static void test_inspector(void **state) {
    (void)state;
    terminal *t = open_sudoku(120, 40);
    CHECK(terminal_wait(t, "position 4  masked"));
    CHECK(terminal_wait(t, "of ln V"));
    CHECK(terminal_wait(t, "TIS"));
    CHECK(terminal_wait(t, "score"));
    CHECK(terminal_wait(t, "rank"));
    terminal_send(t, "l");
    CHECK(terminal_wait(t, "position 5  masked"));
    terminal_send(t, "j");
    CHECK(terminal_wait(t, "position 15"));
    terminal_send(t, "k");
    CHECK(terminal_wait(t, "position 5"));
    terminal_send(t, "w");
    CHECK(terminal_wait(t, "position 7  masked"));
    terminal_send(t, "b");
    CHECK(terminal_wait(t, "position 5  masked"));
    terminal_send(t, "$");
    CHECK(terminal_wait(t, "position 89"));
    terminal_send(t, "0");
    CHECK(terminal_wait(t, "position 4  masked"));
    terminal_send(t, "h");
    CHECK(terminal_wait(t, "position 3  9  id 8"));
    CHECK(terminal_wait(t, "prompt"));
    terminal_send(t, "\033OC");
    CHECK(terminal_wait(t, "position 4"));
    terminal_send(t, "c");
    CHECK(terminal_wait(t, "step 51/51"));
    CHECK(terminal_wait(t, "rank"));
    terminal_send(t, "[");
    CHECK(terminal_wait_gone(t, "step 51/51"));
    quit(t);
}

static void test_tabs(void **state) {
    (void)state;
    terminal *t = open_sudoku(80, 24);
    CHECK(terminal_wait(t, "[inspector]"));
    terminal_send(t, "i");
    CHECK(terminal_wait(t, "[candidates]"));
    CHECK(terminal_wait(t, "pos  token"));
    terminal_send(t, "i");
    CHECK(terminal_wait(t, "[chart]"));
    CHECK(terminal_wait(t, "nats by step"));
    terminal_send(t, "\r");
    CHECK(terminal_wait(t, "[candidates]"));
    quit(t);
}

static void test_divergence(void **state) {
    (void)state;
    terminal *t = open_sudoku(120, 40);
    terminal_send(t, "D");
    CHECK(terminal_wait(t, "no divergence in states 0..0"));
    terminal_send(t, "10s");
    CHECK(terminal_wait(t, "step 10/51"));
    terminal_send(t, "D");
    CHECK(terminal_wait(t, "first divergence: state "));
    CHECK(terminal_wait(t, "\u2260"));
    CHECK(!terminal_has(t, " 0 differ"));
    terminal_send(t, "d");
    CHECK(terminal_wait(t, "not marked"));
    CHECK(terminal_wait_gone(t, " differ "));
    quit(t);
}

static void test_policy(void **state) {
    (void)state;
    terminal *t = open_sudoku(120, 40);
    terminal_send(t, "3s");
    CHECK(terminal_wait(t, "step 3/51"));
    terminal_send(t, "a");
    CHECK(terminal_wait_gone(t, "A confidence"));
    CHECK(terminal_wait(t, "step 0/51"));
    terminal_send(t, "A");
    CHECK(terminal_wait(t, "A confidence"));
    terminal_send(t, "2s");
    CHECK(terminal_wait(t, "step 2/51"));
    terminal_send(t, "X");
    CHECK(terminal_wait_gone(t, "step 2/51"));
    CHECK(terminal_wait(t, "step 0/51"));
    quit(t);
}

/* Keys that arrive together with a restart wait for the new session. */
static void test_policy_and_step_at_once(void **state) {
    (void)state;
    terminal *t = open_sudoku(120, 40);
    terminal_send(t, "=3s");
    CHECK(terminal_wait(t, "step 3/51"));
    terminal_send(t, "as");
    CHECK(terminal_wait(t, "A margin"));
    CHECK(terminal_wait(t, "step 1/51"));
    terminal_send(t, "4s");
    CHECK(terminal_wait(t, "step 5/51"));
    terminal_send(t, "X2s");
    CHECK(terminal_wait(t, "step 2/51"));
    terminal_send(t, "c");
    CHECK(terminal_wait(t, "A margin  done"));
    quit(t);
}

/* A setting that the next policy refuses is left out, the others are kept, and the pane goes on. */
static void test_refused_setting(void **state) {
    (void)state;
    const char *const args[] = {"open",       "-m",       "sudoku", "-p",       SUDOKU_PROMPT, "--policy",
                                "boe-others", "--active", "masked", "--budget", "2",           NULL};
    terminal *t = terminal_start(120, 40, args, NULL);
    CHECK(terminal_wait(t, "step 0/26"));
    terminal_send(t, "a");
    CHECK(terminal_wait(t, "boe-mid, from state 0, with its own active"));
    terminal_send(t, "s");
    CHECK(terminal_wait(t, "step 1/26"));
    quit(t);
}

/* Keys given on the command line leave the keyboard alone. */
static void test_given_keys(void **state) {
    (void)state;
    const char *const some[] = {"open", "-m", "sudoku", "-p", SUDOKU_PROMPT,
                                "--at", "12", "--keys", "Se", NULL};
    terminal *t = terminal_start(120, 40, some, NULL);
    CHECK(terminal_wait(t, "step 11/51"));
    CHECK(terminal_wait(t, "nats = ln 12"));
    quit(t);
    const char *const slow[] = {
        "open",  "-m", "story", "-p",  "Once upon a time", "--length", SLOW_LENGTH, "--policy", "oracle",
        "--rho", "1",  "--at",  "end", "--keys",           "e",        NULL};
    t = terminal_start(120, 40, slow, NULL);
    CHECK(terminal_wait(t, "A oracle"));
    terminal_send(t, "?");
    CHECK(terminal_wait(t, "one step forward"));
    quit(t);
}

static void test_resize(void **state) {
    (void)state;
    terminal *t = open_sudoku(120, 40);
    terminal_send(t, "3s");
    CHECK(terminal_wait(t, "step 3/51"));
    terminal_resize(t, 80, 24);
    CHECK(terminal_wait(t, "[inspector]"));
    CHECK(terminal_wait(t, "step 3/51"));
    terminal_resize(t, 60, 10);
    CHECK(terminal_wait(t, "needs 80x24, have 60x10"));
    terminal_resize(t, 200, 60);
    CHECK(terminal_wait(t, "nats by step"));
    CHECK(terminal_wait(t, "step 3/51"));
    terminal_resize(t, 1, 1);
    terminal_resize(t, 100, 30);
    CHECK(terminal_wait(t, "step 3/51"));
    quit(t);
}

static void test_help(void **state) {
    (void)state;
    terminal *t = terminal_start(120, 60, sudoku_args, NULL);
    CHECK(terminal_wait(t, "step 0/51"));
    terminal_send(t, "?");
    CHECK(terminal_wait(t, "one step forward"));
    static const char *const keys[] = {
        "s .", "S ,",           "Space", "C gg", "G", "D",          "h ←",  "Ctrl-d", "Ctrl-f PgDn", "e",
        "%",   "Tab Shift-Tab", "a",     "X",    "R", "Esc Ctrl-c", "? F1", "Ctrl-z", "q F10",       "Q"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        char cell[32];
        snprintf(cell, sizeof cell, " %s ", keys[i]);
        if (!CHECK(terminal_wait(t, cell))) print_error("key '%s'\n", keys[i]);
    }
    terminal_send(t, "q");
    CHECK(terminal_wait_gone(t, "one step forward"));
    terminal_resize(t, 80, 24);
    terminal_send(t, "?");
    CHECK(terminal_wait(t, "more"));
    terminal_send(t, "\033[6~\033[6~\033[6~\033[6~\033[6~\033[6~\033[6~\033[6~\033[6~\033[6~");
    CHECK(terminal_wait(t, "quit at once"));
    terminal_send(t, "\033");
    CHECK(terminal_wait_gone(t, "quit at once"));
    terminal_send(t, "~");
    CHECK(terminal_wait(t, "has no meaning here"));
    quit(t);
}

static void test_mouse(void **state) {
    (void)state;
    terminal *t = open_sudoku(120, 40);
    int x, y;
    CHECK(terminal_wait(t, "5  8  9"));
    CHECK(terminal_find(t, "5  8  9", &x, &y));
    terminal_click(t, x + 6, y);
    CHECK(terminal_wait(t, "position 3"));
    terminal_send(t, "8s");
    CHECK(terminal_wait(t, "step 8/51"));
    CHECK(terminal_wait(t, "8 \u2501"));
    CHECK(terminal_find(t, "8 \u2501", &x, &y));
    terminal_click(t, x + 2, y);
    CHECK(terminal_wait(t, "step 0/51"));
    quit(t);
}

/* Recordings ---------------------------------------------------------- */

static void test_record_and_replay(void **state) {
    (void)state;
    char dir[] = "/tmp/tabes-test-XXXXXX", prefix[64], a[96], b[96];
    CHECK(mkdtemp(dir));
    snprintf(prefix, sizeof prefix, "%s/run", dir);
    snprintf(a, sizeof a, "%s-confidence.jsonl", prefix);
    snprintf(b, sizeof b, "%s-boe.jsonl", prefix);
    const char *const args[] = {"open", "-m", "sudoku", "-p", SUDOKU_PROMPT, "--record", prefix, NULL};
    terminal *t = terminal_start(120, 40, args, NULL);
    CHECK(terminal_wait(t, "step 0/51"));
    terminal_send(t, "c");
    CHECK(terminal_wait(t, "A confidence  done"));
    CHECK(terminal_wait(t, "B boe  done"));
    terminal_send(t, "R");
    CHECK(terminal_wait(t, "wrote "));
    CHECK(terminal_wait(t, "recorded"));
    quit(t);

    const char *const both[] = {"replay", a, b, NULL};
    t = terminal_start(120, 40, both, NULL);
    CHECK(terminal_wait(t, "REPLAY"));
    CHECK(terminal_wait(t, "A confidence"));
    CHECK(terminal_wait(t, "B boe"));
    CHECK(terminal_wait(t, "step 0/51"));
    terminal_send(t, "20G");
    CHECK(terminal_wait(t, "step 20/51"));
    terminal_send(t, "D");
    CHECK(terminal_wait(t, "first divergence"));
    terminal_send(t, "a");
    CHECK(terminal_wait(t, "a recording is not changed"));
    terminal_send(t, "e");
    CHECK(terminal_wait(t, "ln 12"));
    quit(t);

    const char *const one[] = {"replay", b, "--at", "end", NULL};
    t = terminal_start(80, 24, one, NULL);
    CHECK(terminal_wait(t, "step 51/51"));
    quit(t);
    unlink(a);
    unlink(b);
    rmdir(dir);
}

/* Terminals of less ability -------------------------------------------- */

static void test_no_color(void **state) {
    (void)state;
    const char *const settings[] = {"NO_COLOR=1", NULL};
    terminal *t = terminal_start(120, 40, sudoku_args, settings);
    CHECK(terminal_wait(t, "step 0/51"));
    terminal_send(t, "e");
    CHECK(terminal_wait(t, "nats = ln 12"));
    CHECK(terminal_backgrounds(t, 0, 0, 120, 40) == 1);
    CHECK(!terminal_saw(t, "\033[38;5;") && !terminal_saw(t, "\033[48;5;") && !terminal_saw(t, "\033[31m"));
    quit(t);
}

static void test_eight_colors(void **state) {
    (void)state;
    const char *const settings[] = {"TERM=xterm", NULL};
    terminal *t = terminal_start(120, 40, sudoku_args, settings);
    CHECK(terminal_wait(t, "step 0/51"));
    terminal_send(t, "e");
    CHECK(terminal_wait(t, "nats = ln 12"));
    CHECK(terminal_backgrounds(t, 0, 6, 28, 9) >= 2);
    CHECK(!terminal_saw(t, "48;5;"));
    quit(t);
}

static void test_ascii(void **state) {
    (void)state;
    const char *const args[] = {"open", "-m", "sudoku", "-p", SUDOKU_PROMPT, "--ascii", NULL};
    terminal *t = terminal_start(120, 40, args, NULL);
    CHECK(terminal_wait(t, "step 0/51"));
    CHECK(terminal_wait(t, "_ masked"));
    terminal_send(t, "5set");
    CHECK(terminal_wait(t, "not scored"));
    bool only_ascii = true;
    for (const char *s = terminal_text(t); *s; s++) only_ascii &= !(*s & 0x80);
    CHECK(only_ascii);
    quit(t);
}

static void test_refuses(void **state) {
    (void)state;
    static const char *const terms[] = {"TERM=dumb", "TERM=no-such-terminal", "TERM"};
    for (int i = 0; i < 3; i++) {
        const char *const settings[] = {terms[i], NULL};
        terminal *t = terminal_start(120, 40, sudoku_args, settings);
        int status = terminal_exit(t, 10);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 2);
        CHECK(terminal_wait(t, "TERM="));
        CHECK(!terminal_saw(t, "\033["));
        terminal_end(t);
    }
}

/* A prompt that attacks the terminal is shown, not obeyed. */
static void test_hostile_text(void **state) {
    (void)state;
    const char *const args[] = {
        "open",     "-m", "story", "-p", "a\033]0;owned\007b\033[2J\xe2\x80\xae\xe2\x80\x8b e\xcc\x81 \x7f",
        "--length", "8",  NULL};
    terminal *t = terminal_start(120, 40, args, NULL);
    bool shown = terminal_wait(t, "step 0/8");
    CHECK(shown);
    CHECK(terminal_wait(t, "<U+001B>"));
    CHECK(!terminal_saw(t, "\033]0;") && !terminal_saw(t, "\033[2J\xe2") &&
          !terminal_saw(t, "\xe2\x80\xae") && !terminal_saw(t, "\xe2\x80\x8b") && !terminal_saw(t, "\x07"));
    quit(t);
}

static void test_story(void **state) {
    (void)state;
    const char *const args[] = {"open",     "-m", "story",    "-p",  "Once upon a time",
                                "--length", "24", "--policy", "boe", NULL};
    terminal *t = terminal_start(80, 24, args, NULL);
    CHECK(terminal_wait(t, "A boe"));
    CHECK(terminal_wait(t, "step 0/24"));
    CHECK(terminal_wait(t, "Once upon a time"));
    terminal_send(t, "c");
    CHECK(terminal_wait(t, "step 24/24"));
    terminal_send(t, "o");
    CHECK(terminal_wait(t, "last unmasked"));
    quit(t);
}

int main(int argc, char **argv) {
    if (argc > 1) setenv("TABES", argv[1], 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_bundled),
        cmocka_unit_test(test_step_and_back),
        cmocka_unit_test(test_play),
        cmocka_unit_test(test_locked_and_apart),
        cmocka_unit_test(test_colours),
        cmocka_unit_test(test_inspector),
        cmocka_unit_test(test_tabs),
        cmocka_unit_test(test_divergence),
        cmocka_unit_test(test_policy),
        cmocka_unit_test(test_policy_and_step_at_once),
        cmocka_unit_test(test_refused_setting),
        cmocka_unit_test(test_given_keys),
        cmocka_unit_test(test_resize),
        cmocka_unit_test(test_help),
        cmocka_unit_test(test_mouse),
        cmocka_unit_test(test_record_and_replay),
        cmocka_unit_test(test_no_color),
        cmocka_unit_test(test_eight_colors),
        cmocka_unit_test(test_ascii),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_hostile_text),
        cmocka_unit_test(test_story),
    };
    return finish("terminal", cmocka_run_group_tests(tests, NULL, NULL));
}
