/* test_hand.c - a person's changes in the real program: write, put back, ban, pin, form, prompt, undo,
 * branches, and all of it saved and opened again. */
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
    CHECK(terminal_wait(t, "step 0/51"));
    terminal_send(t, "=");
    CHECK(terminal_wait(t, "apart"));
    return t;
}

static void test_write_and_remask(void **state) {
    (void)state;
    terminal *t = open_sudoku(120, 40);
    int x, y;
    terminal_send(t, "r");
    CHECK(terminal_wait(t, "write a token: pane A"));
    CHECK(terminal_wait(t, "\u25B8 1"));
    terminal_send(t, "3");
    CHECK(terminal_wait(t, "\u25B8 3"));
    terminal_send(t, "\r");
    CHECK(terminal_wait(t, "position 4 is written by hand"));
    CHECK(terminal_wait_gone(t, "write a token"));
    CHECK(terminal_wait(t, "step 1, by hand"));
    CHECK(terminal_wait(t, "x* by hand"));
    CHECK(terminal_wait(t, "step 1/51"));
    terminal_send(t, "l");
    CHECK(terminal_wait(t, "position 5  masked"));
    /* Typed text: one token for each position; Esc changes nothing. */
    terminal_send(t, "r\t12");
    CHECK(terminal_wait(t, "   5  1 "));
    CHECK(terminal_wait(t, "   6  2 "));
    terminal_send(t, "\033");
    CHECK(terminal_wait_gone(t, "write a token"));
    terminal_send(t, "ww");
    CHECK(terminal_wait(t, "position 8  masked"));
    terminal_send(t, "r\t12\r");
    CHECK(terminal_wait(t, "written by hand from position 8 on"));
    CHECK(terminal_wait(t, "step 2/"));
    CHECK(terminal_find(t, "1*", &x, &y) && terminal_look(t, x, y).bold && terminal_look(t, x, y).under);
    terminal_send(t, "x");
    CHECK(terminal_wait(t, "position 8 is masked again"));
    CHECK(terminal_wait(t, "position 8  masked"));
    terminal_send(t, "x");
    CHECK(terminal_wait(t, "masked already"));
    terminal_send(t, "hhx");
    CHECK(terminal_wait(t, "belongs to the prompt"));
    terminal_send(t, "3u");
    CHECK(terminal_wait(t, "step 0/51"));
    CHECK(terminal_wait_gone(t, "by hand"));
    quit(t);
}

static void test_ban_and_pin(void **state) {
    (void)state;
    terminal *t = open_sudoku(120, 40);
    terminal_send(t, "B");
    CHECK(terminal_wait(t, "is banned at position 4"));
    CHECK(terminal_wait(t, "\u00D7 "));
    CHECK(terminal_wait(t, " banned"));
    CHECK(terminal_wait(t, "rank 51/51")); /* the proposal without it has come */
    terminal_send(t, "B");
    CHECK(terminal_wait(t, "is allowed again"));
    /* The candidate stands with the token that is left to it. */
    terminal_send(t, ":position 11\r");
    CHECK(terminal_wait(t, "  11  4  "));
    terminal_send(t, "B");
    CHECK(terminal_wait(t, "'4' is banned at position 11"));
    CHECK(terminal_wait(t, "  11  6  "));
    terminal_send(t, "u:position 4\r");
    CHECK(terminal_wait(t, "position 4  masked"));
    terminal_send(t, "p");
    CHECK(terminal_wait(t, "position 4 is pinned"));
    CHECK(terminal_wait(t, "# pinned  "));
    terminal_send(t, "c");
    CHECK(terminal_wait(t, "every masked position is pinned"));
    CHECK(terminal_wait(t, "masked 1"));
    terminal_send(t, "pc");
    CHECK(terminal_wait(t, "masked 0"));
    quit(t);
}

static void test_form(void **state) {
    (void)state;
    terminal *t = open_sudoku(120, 40);
    terminal_send(t, "2s");
    CHECK(terminal_wait(t, "step 2/51"));
    terminal_send(t, "P");
    CHECK(terminal_wait(t, "policy and parameters: pane A"));
    CHECK(terminal_wait(t, "0 .. 10"));
    terminal_send(t, "\t\t0\r");
    CHECK(terminal_wait(t, "budget"));
    CHECK(terminal_wait(t, "policy and parameters: pane A"));
    CHECK(terminal_wait(t, "from 1 to"));
    terminal_send(t, "\1774\r");
    CHECK(terminal_wait(t, "goes on with confidence"));
    CHECK(terminal_wait(t, "step 3/16"));
    terminal_send(t, "s");
    CHECK(terminal_wait(t, "step 4/16"));
    terminal_send(t, "P\033OC\r");
    CHECK(terminal_wait(t, "goes on with margin"));
    CHECK(terminal_wait(t, "A margin"));
    terminal_send(t, "S");
    CHECK(terminal_wait(t, "A confidence"));
    terminal_send(t, "uu");
    CHECK(terminal_wait(t, "step 2/51"));
    terminal_send(t, "\022");
    CHECK(terminal_wait(t, "redone"));
    CHECK(terminal_wait(t, "step 4/16"));
    quit(t);
}

static void test_prompt(void **state) {
    (void)state;
    terminal *t = open_sudoku(80, 24);
    terminal_send(t, "3s");
    CHECK(terminal_wait(t, "step 3/51"));
    terminal_send(t, "E");
    CHECK(terminal_wait(t, "prompt: pane A"));
    CHECK(terminal_wait(t, "589..4..."));
    terminal_send(t, "\025");
    CHECK(terminal_wait_gone(t, "589..4..."));
    terminal_send(t, "12\004");
    CHECK(terminal_wait(t, "nothing to generate"));
    terminal_send(t, "..\r34..\004");
    CHECK(terminal_wait(t, "starts anew from this prompt"));
    CHECK(terminal_wait(t, "step 0/4"));
    terminal_send(t, "c");
    CHECK(terminal_wait(t, "step 4/4"));
    terminal_send(t, "u");
    CHECK(terminal_wait(t, "step 3/51"));
    quit(t);
}

static void test_branches(void **state) {
    (void)state;
    char dir[] = "/tmp/tabes-test-XXXXXX", prefix[64], file[96];
    CHECK(mkdtemp(dir));
    snprintf(prefix, sizeof prefix, "%s/run", dir);
    snprintf(file, sizeof file, "%s-tree.jsonl", prefix);
    const char *const args[] = {"open", "-m", "sudoku", "-p", SUDOKU_PROMPT, "--record", prefix, NULL};
    terminal *t = terminal_start(120, 40, args, NULL);
    CHECK(terminal_wait(t, "step 0/51"));
    terminal_send(t, "=4s");
    CHECK(terminal_wait(t, "step 4/51"));
    terminal_send(t, "3S");
    CHECK(terminal_wait(t, "step 1/51"));
    terminal_send(t, "r3\r");
    CHECK(terminal_wait(t, "b2 at 1"));
    terminal_send(t, "s");
    CHECK(terminal_wait(t, "step 3/51"));
    terminal_send(t, "K");
    CHECK(terminal_wait(t, "branches: pane A"));
    CHECK(terminal_wait(t, "leaves b1 at 1"));
    terminal_send(t, "n\025by hand\r");
    CHECK(terminal_wait(t, "by hand \u25CF"));
    terminal_send(t, "d");
    CHECK(terminal_wait(t, "the branch in use stays"));
    terminal_send(t, "kc");
    CHECK(terminal_wait(t, "pane B shows branch b1"));
    CHECK(terminal_wait(t, "branch b1"));
    terminal_send(t, "D");
    CHECK(terminal_wait(t, "first divergence: state 2, position 4"));
    terminal_send(t, "Kk\r");
    CHECK(terminal_wait(t, "pane A is on branch b1"));
    CHECK(terminal_wait(t, "step 4/51"));
    terminal_send(t, "u");
    CHECK(terminal_wait(t, "undone"));
    CHECK(terminal_wait(t, " by hand "));
    terminal_send(t, "W");
    CHECK(terminal_wait(t, "wrote all branches"));
    quit(t);

    const char *const again[] = {"open", "-m", "sudoku", "--tree", file, NULL};
    t = terminal_start(120, 40, again, NULL);
    CHECK(terminal_wait(t, " by hand "));
    CHECK(terminal_wait(t, "step 3/51"));
    terminal_send(t, "=Kk\r");
    CHECK(terminal_wait(t, "step 4/51"));
    terminal_send(t, "s");
    CHECK(terminal_wait(t, "step 5/51"));
    quit(t);

    const char *const without_model[] = {"replay", file, NULL};
    t = terminal_start(120, 40, without_model, NULL);
    CHECK(terminal_wait(t, "REPLAY"));
    CHECK(terminal_wait(t, " by hand "));
    terminal_send(t, "Kk\r");
    CHECK(terminal_wait(t, "pane A is on branch b1"));
    terminal_send(t, "r");
    CHECK(terminal_wait(t, "a recording is not changed"));
    quit(t);
    CHECK(unlink(file) == 0);
    rmdir(dir);
}

int main(int argc, char **argv) {
    if (argc > 1) setenv("TABES", argv[1], 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_and_remask),
        cmocka_unit_test(test_ban_and_pin),
        cmocka_unit_test(test_form),
        cmocka_unit_test(test_prompt),
        cmocka_unit_test(test_branches),
    };
    return finish("hand", cmocka_run_group_tests(tests, NULL, NULL));
}
