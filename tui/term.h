/* term.h - the terminal through curses: keys in, cells out. The only file with curses calls is term.c.
 *
 * One terminal per process; all calls come from one thread.
 */
#ifndef TABES_TUI_TERM_H
#define TABES_TUI_TERM_H

#include "tui/cells.h"
#include "tui/tui.h"

/* Refuses with one line when stdin or stdout is no terminal or TERM is of no use. Sets what curses reads from
 * the environment: call it before threads start. */
int term_check(err *e) MUST_CHECK;

/* After term_check. Fills in what can be shown. */
int term_open(const tui_opts *o, palette *pal, err *e) MUST_CHECK;
void term_close(void);

void term_size(int *cols, int *rows);

/* Readable when the size has changed; term_read then answers TERM_RESIZE. */
int term_resize_fd(void);

/* The frame becomes what the terminal shows. */
void term_draw(const cells *g);
void term_paint(style plain); /* what is not said otherwise looks like this, from the next frame on */
void term_repaint(void);      /* the next frame is sent whole */
void term_toggle_mouse(void);
void term_suspend(void);

typedef enum term_event {
    TERM_NONE,
    TERM_KEY,
    TERM_RESIZE,
    TERM_CLICK,
    TERM_DRAG,
    TERM_WHEEL,
    TERM_HANGUP
} term_event;

/* What waits, without waiting for it. key: a code point or a TUI_KEY_ value; x, y: of the pointer; lines: of
 * the wheel. */
typedef struct term_input {
    term_event event;
    int key, x, y, lines;
} term_input;
term_input term_read(void);

#endif
