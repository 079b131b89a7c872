/* test_teach.c - lessons on a real terminal: going on and back, right and wrong answers by number and by
 * cursor, a resize in the middle. */
#include <string.h>

#include "../unit/checks.h"
#include "support/programs.h"
#include "support/quit.h"

static terminal *start(const char *name, int cols, int rows) {
    const char *const args[] = {"lesson", name, "--no-config", NULL};
    terminal *t = terminal_start(cols, rows, args, NULL);
    CHECK(terminal_wait(t, "1/8 "));
    return t;
}

static bool waits_for(terminal *t, const char *what) {
    bool yes = terminal_wait(t, what);
    if (!yes) print_error("'%s' is not in\n%s\n", what, terminal_text(t));
    return yes;
}

/* Keys, and what is on the screen then. */
static void press(terminal *t, const char *keys, const char *then) {
    terminal_send(t, keys);
    CHECK(waits_for(t, then));
}

static void test_through(int cols, int rows) {
    terminal *t = start("masking", cols, rows);
    CHECK(waits_for(t, "A page of masks") && terminal_has(t, "> on"));
    press(t, ">", "All masks at once");
    press(t, "<", "A page of masks");
    press(t, ">", "All masks at once");
    press(t, ">", "Which comes first?");
    CHECK(waits_for(t, "Return answers"));
    press(t, ">", "> once more tells the answer");
    press(t, "4G", "step 4/51"); /* exploring does not end the lesson */
    press(t, "gg", "step 0/51");
    press(t, ":position 4\r", "pos 4 ");
    press(t, "\r", "Right: position");
    CHECK(waits_for(t, "1 of 1 right"));
    press(t, ">", "One step");
    press(t, ">", "Written is written");
    press(t, "1", "Not so: 3");
    CHECK(waits_for(t, "1 of 2 right"));
    press(t, ">", "Several at a time");
    press(t, "2", "Right: 2, 17");
    press(t, ">", "How certain it was");
    CHECK(waits_for(t, "step 51/51"));
    press(t, "\r", "Not so: position");
    CHECK(waits_for(t, "2 of 4 right"));
    press(t, ">", "Back in time");
    press(t, ">", "this was the last step");
    quit(t);
}

static void test_sizes(void **state) {
    (void)state;
    test_through(80, 24);
    test_through(120, 40);
}

static void test_resize(void **state) {
    (void)state;
    terminal *t = start("remasking", 120, 40);
    press(t, ">", "Can one see on the page");
    press(t, "2", "Right: 2");
    terminal_resize(t, 80, 24);
    CHECK(waits_for(t, "there is someone"));
    press(t, ">", "believes in the least");
    terminal_resize(t, 200, 60);
    CHECK(waits_for(t, "3/8 Asking the model"));
    press(t, ">", "> once more tells the answer");
    press(t, ">", "Position 11, a 1: it was written with p = 0.694");
    press(t, ">", "How probable is the wrong digit");
    press(t, "2", "Right: 2");
    press(t, ">", "position 11 is masked again");
    press(t, ">", "Is the Sudoku solved?");
    quit(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sizes), cmocka_unit_test(test_resize)};
    return finish("teach", cmocka_run_group_tests(tests, NULL, NULL));
}
