/* line.h - the line being typed after ':' or '/', edited by readline.
 *
 * readline gets bytes from a queue and draws nothing: what it holds is copied into the app's `line` after
 * each key, and a view puts that into cells, filtered like all text. There is one readline in a process, and
 * so one line. Histories (one of commands, one of searches) are files of mode 0600 in $XDG_STATE_HOME/tabes
 * when line_keep_history was called; a home that cannot be written to is no error.
 */
#ifndef TABES_TUI_LINE_H
#define TABES_TUI_LINE_H

#include <stdbool.h>

typedef enum line_kind { LINE_COMMAND, LINE_SEARCH, N_LINES } line_kind;

enum { LINE_MAX_BYTES = 4096, LINE_MAX_MATCHES = 256, LINE_HISTORY = 1000 };

typedef struct typed_line {
    bool open;
    line_kind kind;
    char prompt[160];
    char text[LINE_MAX_BYTES];
    int point;          /* byte offset of the cursor in text */
    char matches[2048]; /* the part shown of what Tab found; empty when there is nothing to choose */
} typed_line;

struct app;
void line_open(struct app *a, line_kind kind);
/* One key while the line is open; flags. */
unsigned line_key(struct app *a, int key);

void line_keep_history(void); /* from now on, read and written */
/* Writes the histories; a line that is open is given up. The process is about to leave the workbench; the app
 * that a line was opened for is still there. */
void line_end(void);

#endif
