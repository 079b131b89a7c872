/* restore.h - the terminal is given back on fatal signals, too. */
#ifndef TABES_TUI_RESTORE_H
#define TABES_TUI_RESTORE_H

/* Before curses starts: remembers the terminal's modes and catches SEGV BUS FPE ILL ABRT TERM HUP QUIT. The
 * handler uses only what is safe in a handler, then lets the signal do what it does. */
void restore_prepare(void);

/* Curses also catches some of them: call after it has started. */
void restore_catch(void);

/* After curses has ended: back to the signals' former actions. */
void restore_done(void);

/* The bytes that end a frame's synchronized output; harmless at any time. */
void restore_end_sync(void);

#endif
