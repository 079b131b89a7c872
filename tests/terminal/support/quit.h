/* quit.h - the ordinary way out of the workbench, checked: Q, exit code 0, and the terminal as it was.
 * Include checks.h first. */
#ifndef TABES_TEST_QUIT_H
#define TABES_TEST_QUIT_H

#include <sys/wait.h>

#include "terminal.h"

static inline void quit(terminal *t) {
    terminal_send(t, "Q");
    int status = terminal_exit(t, 10);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK(terminal_restored(t));
    terminal_end(t);
}

#endif
