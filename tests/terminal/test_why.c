/* test_why.c - the closer looks on a real terminal: every key and every command of them, at three sizes, with
 * colours and without, while the cursor moves, and given up in the middle of a long run. */
#include <string.h>

#include "../unit/checks.h"
#include "support/programs.h"
#include "support/quit.h"

static const char *const boe_args[] = {"open",       "-m",  "sudoku",      "-p", SUDOKU_PROMPT,
                                       "--policies", "boe", "--no-config", NULL};

static terminal *start(int cols, int rows, const char *const *settings) {
    terminal *t = terminal_start(cols, rows, boe_args, settings);
    CHECK(terminal_wait(t, "step 0/51"));
    terminal_send(t, "3s");
    CHECK(terminal_wait(t, "step 3/51"));
    return t;
}

static void send_line(terminal *t, const char *text) {
    terminal_send(t, text);
    CHECK(terminal_wait(t, text));
    terminal_send(t, "\r");
}

/* What each look shows once the model has answered, by its key. */
typedef struct expected {
    const char *keys, *command, *name, *says;
} expected;
static const expected looks[] = {
    {"vi", ":influence", "[influence]", "is settled by"},
    {"vt", ":truth", "[truth]", "nats: stable (estimated) over"},
    {"vr", ":truth-run", "[truth]", "run: \u03C1 mean"},
    {"vs", ":anatomy", "[scores]", "= gate "},
    {"va", ":attention", "[attention]", "layer 0 of 8, mean of heads"},
    {"vl", ":lockin", "[lock-in]", "written tokens would now be written differently"},
};
enum { N_LOOKS = sizeof looks / sizeof looks[0] };

static void check_all(terminal *t, bool typed) {
    terminal_send(t, "w"); /* to a masked position */
    for (int i = 0; i < N_LOOKS; i++) {
        if (typed) {
            send_line(t, looks[i].command);
        } else {
            terminal_send(t, looks[i].keys);
        }
        CHECK(terminal_wait(t, looks[i].name));
        bool said = terminal_wait(t, looks[i].says);
        if (!said) print_error("%s\n%s", looks[i].keys, terminal_text(t));
        CHECK(said);
        CHECK(terminal_has(t, "boe, state 3"));
    }
}

static void test_keys(void **state) {
    (void)state;
    static const struct { int cols, rows; } sizes[] = {{80, 24}, {120, 40}, {200, 60}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        terminal *t = start(sizes[i].cols, sizes[i].rows, NULL);
        check_all(t, false);
        quit(t);
    }
}

static void test_commands(void **state) {
    (void)state;
    terminal *t = start(120, 40, NULL);
    check_all(t, true);
    send_line(t, ":attention-layer 5");
    CHECK(terminal_wait(t, "layer 5 of 8, mean of heads"));
    send_line(t, ":attention-head 2");
    CHECK(terminal_wait(t, "layer 5 of 8, head 2 of 4"));
    send_line(t, ":head-next");
    CHECK(terminal_wait(t, "layer 5 of 8, head 3 of 4"));
    terminal_send(t, "}");
    CHECK(terminal_wait(t, "layer 6 of 8, mean of heads"));
    terminal_send(t, "2{");
    CHECK(terminal_wait(t, "layer 5 of 8, head 2 of 4"));
    terminal_send(t, "7va");
    CHECK(terminal_wait(t, "layer 7 of 8, head 2 of 4"));
    send_line(t, ":attention-head 9");
    CHECK(terminal_wait(t, "head 9, expected 0..3"));
    quit(t);
}

/* The canvas is coloured by the look and follows the cursor; the same key goes back. */
static void test_colours(void **state) {
    (void)state;
    terminal *t = start(120, 40, NULL);
    int x, y;
    terminal_send(t, "wvi");
    CHECK(terminal_wait(t, "whom ") && terminal_wait(t, "is settled by") &&
          terminal_find(t, "<bos>", &x, &y));
    CHECK(terminal_backgrounds(t, x, y + 1, 30, 9) >= 4);
    terminal_send(t, "vi");
    CHECK(terminal_wait(t, "who settles "));
    terminal_send(t, "vi");
    CHECK(terminal_wait(t, "just unmasked"));
    terminal_send(t, "va");
    CHECK(terminal_wait(t, "mean of its heads") && terminal_wait(t, " of 1  "));
    CHECK(terminal_backgrounds(t, x, y + 1, 30, 9) >= 2);
    terminal_send(t, "0va");
    CHECK(terminal_wait(t, "just unmasked"));
    quit(t);
}

/* Without colours the values are signs on masks and attributes on tokens. */
static void test_no_colours(void **state) {
    (void)state;
    static const char *const plain[] = {"NO_COLOR=1", NULL};
    terminal *t = start(120, 40, plain);
    int x, y;
    terminal_send(t, "wvi");
    CHECK(terminal_wait(t, "is settled by") && terminal_find(t, "-------+++++++", &x, &y));
    terminal_send(t, "va");
    CHECK(terminal_wait(t, "mean of its heads") && terminal_wait(t, " of 1  ") &&
          terminal_find(t, "<bos>", &x, &y));
    bool bold = false;
    for (int row = y; row < y + 10; row++) {
        for (int col = x; col < x + 30; col++) bold |= terminal_look(t, col, row).bold;
    }
    CHECK(bold);
    quit(t);
}

/* A check of the whole run takes a while: other keys work meanwhile, and Ctrl-c ends it. */
static void test_giving_up(void **state) {
    (void)state;
    const char *const args[] = {"open",     "-m", "story",      "-p",  "Once upon a time",
                                "--length", "48", "--policies", "boe", "--no-config",
                                NULL};
    terminal *t = terminal_start(120, 40, args, NULL);
    CHECK(terminal_wait(t, "step 0/48"));
    terminal_send(t, "c");
    CHECK(terminal_wait(t, "step 48/48"));
    terminal_send(t, "vr");
    CHECK(terminal_wait(t, "states checked"));
    terminal_send(t, "gg");
    CHECK(terminal_wait(t, "step 0/48"));
    terminal_send(t, "\003");
    CHECK(terminal_wait_gone(t, "states checked"));
    terminal_send(t, "12G");
    CHECK(terminal_wait(t, "step 12/48"));
    quit(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_keys), cmocka_unit_test(test_commands),
                                       cmocka_unit_test(test_colours), cmocka_unit_test(test_no_colours),
                                       cmocka_unit_test(test_giving_up)};
    return finish("why", cmocka_run_group_tests(tests, NULL, NULL));
}
