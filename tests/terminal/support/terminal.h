/* terminal.h - the real program in a pty, its screen read through libvterm.
 *
 * Tests send keys and wait for what should appear, with a deadline; nothing sleeps for a fixed time.
 * The program runs with TERM=xterm-256color and LC_ALL=C.UTF-8; LINES, COLUMNS, NO_COLOR and COLORTERM
 * are unset unless a test sets them.
 */
#ifndef TABES_TEST_TERMINAL_H
#define TABES_TEST_TERMINAL_H

#include <stdbool.h>
#include <sys/types.h>

typedef struct terminal terminal;

/* The program (environment TABES) with these arguments, NULL-terminated. settings: "NAME=VALUE" to set or
 * "NAME" to unset, NULL-terminated; may be NULL. */
terminal *terminal_start(int cols, int rows, const char *const *args, const char *const *settings);
/* Ends the program if it still runs. */
void terminal_end(terminal *t);

void terminal_send(terminal *t, const char *keys);
void terminal_resize(terminal *t, int cols, int rows);
void terminal_signal(terminal *t, int sig);
void terminal_click(terminal *t, int x, int y);

/* Until the text stands on one row of the screen, or is gone from it; false when the deadline passes. */
bool terminal_wait(terminal *t, const char *text);
bool terminal_wait_gone(terminal *t, const char *text);
/* Takes what the program has written so far. */
void terminal_pump(terminal *t, int ms);
bool terminal_has(terminal *t, const char *text);

/* The screen as text, rows ended by newlines; valid until the next call. */
const char *terminal_text(terminal *t);
/* Where a text stands; false when nowhere. */
bool terminal_find(terminal *t, const char *text, int *x, int *y);

typedef struct look {
    int bg, fg; /* palette index, -1: the terminal's own, -2: direct colour */
    bool bold, under, reverse;
} look;
look terminal_look(terminal *t, int x, int y);
/* How many different backgrounds the rectangle has, the terminal's own included. */
int terminal_backgrounds(terminal *t, int x, int y, int w, int h);

/* Exit status as waitpid gives it; -1 when the program did not end in time. */
int terminal_exit(terminal *t, double seconds);

/* Is the terminal as a shell expects it: main screen, cursor shown, mouse off, modes as before the program?
 */
bool terminal_restored(terminal *t);
bool terminal_in_use(terminal *t);            /* the alternate screen is on */
bool terminal_hears_drags(const terminal *t); /* motion is reported while a button is down */
double terminal_seconds(const terminal *t);   /* since the program was started */
/* Did these bytes reach the terminal? */
bool terminal_saw(terminal *t, const char *bytes);

#endif
