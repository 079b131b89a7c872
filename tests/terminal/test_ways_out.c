/* test_ways_out.c - however the program ends, the terminal is as it was; and a running step is never in the
 * way. */
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "../unit/checks.h"
#include "support/programs.h"
#include "support/terminal.h"

static terminal *open_with(const char *const *args, const char *until) {
    terminal *t = terminal_start(120, 40, args, NULL);
    CHECK(terminal_wait(t, until));
    CHECK(terminal_in_use(t));
    return t;
}

static void test_keys(void **state) {
    (void)state;
    static const char *const keys[] = {"q", "Q", "?Q", "\033[21~"};
    for (int i = 0; i < 4; i++) {
        terminal *t = open_with(sudoku_args, "step 0/51");
        terminal_send(t, keys[i]);
        int status = terminal_exit(t, 10);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        CHECK(terminal_restored(t));
        terminal_end(t);
    }
}

/* Sanitizers turn some of these signals into exits of their own; the screen is restored all the same. */
static void test_signals(void **state) {
    (void)state;
    static const int signals[] = {SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        terminal *t = open_with(sudoku_args, "step 0/51");
        terminal_signal(t, signals[i]);
        int status = terminal_exit(t, 10);
        CHECK(status != -1 && WIFSIGNALED(status) && WTERMSIG(status) == signals[i]);
        if (!CHECK(terminal_restored(t))) print_error("signal %d\n", signals[i]);
        terminal_end(t);
    }
}

static void test_quit_while_computing(void **state) {
    (void)state;
    terminal *t = open_with(slow_args, "computing");
    double before = terminal_seconds(t);
    terminal_send(t, "Q");
    int status = terminal_exit(t, 10);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK(terminal_seconds(t) - before < 2.0);
    CHECK(terminal_restored(t));
    terminal_end(t);
}

static void test_keys_while_computing(void **state) {
    (void)state;
    terminal *t = open_with(slow_args, "computing");
    terminal_send(t, "l");
    terminal_send(t, "e");
    CHECK(terminal_wait(t, "colouring: entropy"));
    CHECK(terminal_wait(t, "computing"));
    terminal_send(t, "Q");
    CHECK(terminal_exit(t, 10) == 0);
    terminal_end(t);
}

static void test_cancel(void **state) {
    (void)state;
    terminal *t = open_with(slow_args, "computing");
    terminal_send(t, "\033");
    CHECK(terminal_wait(t, "cancelled"));
    CHECK(terminal_wait_gone(t, "computing"));
    CHECK(terminal_wait(t, "step 0/"));
    terminal_send(t, "s");
    CHECK(terminal_wait(t, "computing"));
    terminal_send(t, "\003");
    CHECK(terminal_wait(t, "cancelled"));
    terminal_send(t, "q");
    int status = terminal_exit(t, 10);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK(terminal_restored(t));
    terminal_end(t);
}

/* A shell in between, for only what has one can be stopped. There the mouse is the terminal's own, and back
 * in the workbench dragging works as before. */
static void test_suspend(void **state) {
    (void)state;
    static const char *const args[] = {"-i", NULL};
    static char program[PATH_MAX + 16];
    const char *const settings[] = {program, "PS1=shell> ", "ENV", NULL};
    snprintf(program, sizeof program, "PROGRAM=%s", getenv("TABES"));
    setenv("TABES", "/bin/sh", 1);
    terminal *t = terminal_start(120, 40, args, settings);
    setenv("TABES", program + strlen("PROGRAM="), 1);
    CHECK(terminal_wait(t, "shell>"));
    terminal_send(t, "\"$PROGRAM\" open -m sudoku\n");
    CHECK(terminal_wait(t, "step 0/"));
    CHECK(terminal_hears_drags(t));
    terminal_send(t, "\032");
    CHECK(terminal_wait(t, "Stopped"));
    CHECK(!terminal_in_use(t) && !terminal_hears_drags(t));
    terminal_send(t, "fg\n");
    CHECK(terminal_wait(t, "step 0/")); /* the frame of before */
    terminal_send(t, "s");
    CHECK(terminal_wait(t, "step 1/"));
    CHECK(terminal_in_use(t) && terminal_hears_drags(t));
    terminal_send(t, "Q");
    CHECK(terminal_wait_gone(t, "step 1/"));
    terminal_send(t, "exit\n");
    CHECK(terminal_exit(t, 10) == 0);
    CHECK(terminal_restored(t));
    terminal_end(t);
}

int main(int argc, char **argv) {
    if (argc > 1) setenv("TABES", argv[1], 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_signals),
        cmocka_unit_test(test_quit_while_computing),
        cmocka_unit_test(test_keys_while_computing),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_suspend),
    };
    return finish("terminal", cmocka_run_group_tests(tests, NULL, NULL));
}
