/* test_more_panes.c - three and four panes in a real terminal: where they stand, their colours, adding and
 * closing them while the workbench runs, and leaving with work that no file holds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../unit/checks.h"
#include "support/programs.h"
#include "support/quit.h"
#include "support/terminal.h"

#define FOUR "confidence,boe,margin,left-to-right"

static const char *const four_args[] = {"open",        "-m",         "sudoku", "-p",
                                        SUDOKU_PROMPT, "--policies", FOUR,     NULL};

static void place(terminal *t, const char *text, int *x, int *y) {
    CHECK(terminal_wait(t, text));
    CHECK(terminal_find(t, text, x, y));
}

static void test_sizes(void **state) {
    (void)state;
    static const int sizes[][2] = {{80, 24}, {120, 40}, {200, 60}};
    for (int i = 0; i < 3; i++) {
        int ax, ay, bx, by, cx, cy, dx, dy, w = sizes[i][0];
        terminal *t = terminal_start(w, sizes[i][1], four_args, NULL);
        CHECK(terminal_wait(t, "step 0/51"));
        place(t, " A confidence ", &ax, &ay);
        place(t, " B boe ", &bx, &by);
        place(t, " C margin ", &cx, &cy);
        place(t, " D left-to-right ", &dx, &dy);
        CHECK(ay == by && cy == dy && cy > ay + 5 && ax == cx && bx == dx && bx > w / 2);
        CHECK(terminal_wait(t, "differ from A"));
        /* Four run colours; unlocked, one pane steps. */
        int colours[] = {terminal_look(t, ax + 1, ay).fg, terminal_look(t, bx + 1, by).fg,
                         terminal_look(t, cx + 1, cy).fg, terminal_look(t, dx + 1, dy).fg};
        for (int k = 0; k < 4; k++) {
            for (int m = 0; m < k; m++) CHECK(colours[k] != colours[m]);
        }
        terminal_send(t, "=\t\ts");
        CHECK(terminal_wait(t, "step 1/51") && (w == 80 || terminal_wait(t, "apart")));
        quit(t);
    }
}

/* Three at 80x24: the detail stands in the free quarter. Then other sizes, and back. */
static void test_three(void **state) {
    (void)state;
    const char *const args[] = {"open", "-m",       "sudoku", "-p",       SUDOKU_PROMPT, "--policy",
                                "boe",  "--policy", "margin", "--policy", "entropy",     NULL};
    terminal *t = terminal_start(80, 24, args, NULL);
    int cx, cy, dx, dy;
    CHECK(terminal_wait(t, "step 0/51"));
    place(t, " C entropy ", &cx, &cy);
    place(t, "[inspector]", &dx, &dy);
    CHECK(dy == cy && dx > 40);
    terminal_send(t, "\t\t5s");
    CHECK(terminal_wait(t, "step 5/51"));
    terminal_resize(t, 40, 10);
    CHECK(terminal_wait(t, "needs 80x24, have 40x10"));
    terminal_resize(t, 200, 60);
    place(t, " A boe ", &dx, &dy);
    place(t, " C entropy ", &cx, &cy);
    CHECK(cy == dy && terminal_wait(t, "step 5/51"));
    quit(t);
}

static void test_chart_without_colour(void **state) {
    (void)state;
    const char *const args[] = {"open",       "-m", "sudoku",  "-p", SUDOKU_PROMPT,
                                "--policies", FOUR, "--ascii", NULL};
    terminal *t = terminal_start(200, 60, args, NULL);
    CHECK(terminal_wait(t, "step 0/51"));
    terminal_send(t, "c");
    CHECK(terminal_wait(t, "D left-to-right  done") && terminal_wait(t, "B boe  done"));
    CHECK(terminal_wait(t, "bbbb") && terminal_wait(t, "cc") && terminal_wait(t, "d d"));
    quit(t);
}

static void test_add_and_close(void **state) {
    (void)state;
    terminal *t = terminal_start(120, 40, sudoku_args, NULL);
    CHECK(terminal_wait(t, "step 0/51"));
    terminal_send(t, "7s");
    CHECK(terminal_wait(t, "step 7/51"));
    terminal_send(t, ":pane-add ran\t\r");
    CHECK(terminal_wait(t, " C random ") && terminal_wait(t, "pane C: random"));
    CHECK(terminal_wait(t, "LIVE") && terminal_wait(t, "step 7/51"));
    terminal_send(t, "\027n"); /* Ctrl-w n */
    CHECK(terminal_wait(t, " D "));
    terminal_send(t, ":pane-add\r");
    CHECK(terminal_wait(t, "there are 4 panes already"));
    terminal_send(t, "\027c\027c");
    CHECK(terminal_wait_gone(t, " C random "));
    terminal_send(t, "\027c");
    CHECK(terminal_wait_gone(t, " B boe "));
    terminal_send(t, "\027c");
    CHECK(terminal_wait(t, "the only pane"));
    terminal_send(t, "s");
    CHECK(terminal_wait(t, "step 8/51"));
    quit(t);
}

/* q asks while no file holds what a person did; the same key once more leaves. */
static void test_asks(void **state) {
    (void)state;
    terminal *t = terminal_start(120, 40, sudoku_args, NULL);
    CHECK(terminal_wait(t, "step 0/51"));
    terminal_send(t, "r3\r");
    CHECK(terminal_wait(t, "written by hand"));
    terminal_send(t, "q");
    CHECK(terminal_wait(t, "q again or :quit! leaves"));
    terminal_send(t, "l");
    CHECK(terminal_wait_gone(t, "q again"));
    terminal_send(t, "qq");
    int status = terminal_exit(t, 10);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0 && terminal_restored(t));
    terminal_end(t);
    t = terminal_start(120, 40, sudoku_args, NULL);
    CHECK(terminal_wait(t, "step 0/51"));
    terminal_send(t, "sq"); /* what the policy does can be computed again */
    status = terminal_exit(t, 10);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0 && terminal_restored(t));
    terminal_end(t);
}

/* Four recordings, without the model. */
static void test_replay(void **state) {
    (void)state;
    char dir[] = "/tmp/tabes-test-XXXXXX", prefix[64], file[4][96], tree[96];
    static const char *const names[] = {"confidence", "boe", "margin", "left-to-right"};
    CHECK(mkdtemp(dir));
    snprintf(prefix, sizeof prefix, "%s/run", dir);
    snprintf(tree, sizeof tree, "%s-tree.jsonl", prefix);
    for (int i = 0; i < 4; i++) snprintf(file[i], sizeof file[i], "%s-%s.jsonl", prefix, names[i]);
    const char *const open[] = {"open",       "-m", "sudoku",   "-p",   SUDOKU_PROMPT,
                                "--policies", FOUR, "--record", prefix, NULL};
    terminal *t = terminal_start(120, 40, open, NULL);
    CHECK(terminal_wait(t, "step 0/51"));
    terminal_send(t, "c");
    for (int i = 0; i < 4; i++) CHECK(terminal_wait(t, i == 1 ? "B boe  done" : "done"));
    CHECK(terminal_wait(t, "D left-to-right  done"));
    terminal_send(t, "RW");
    CHECK(terminal_wait(t, "wrote all branches"));
    quit(t);
    const char *const replay[] = {"replay", file[0], file[1], file[2], file[3], NULL};
    t = terminal_start(120, 40, replay, NULL);
    CHECK(terminal_wait(t, " D left-to-right ") && terminal_wait(t, "REPLAY"));
    terminal_send(t, "D");
    CHECK(terminal_wait(t, "first divergence"));
    quit(t);
    const char *const branches[] = {"replay", tree, NULL};
    t = terminal_start(120, 40, branches, NULL);
    CHECK(terminal_wait(t, " D left-to-right ") && terminal_wait(t, "step 51/51"));
    quit(t);
    for (int i = 0; i < 4; i++) unlink(file[i]);
    unlink(tree);
    CHECK(!rmdir(dir));
}

int main(int argc, char **argv) {
    if (argc > 1) setenv("TABES", argv[1], 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_three),
        cmocka_unit_test(test_chart_without_colour),
        cmocka_unit_test(test_add_and_close),
        cmocka_unit_test(test_asks),
        cmocka_unit_test(test_replay),
    };
    return finish("terminal panes", cmocka_run_group_tests(tests, NULL, NULL));
}
