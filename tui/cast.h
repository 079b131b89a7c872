/* cast.h - recordings as the workbench plays them, for asciinema and its players.
 *
 * The document is asciinema's cast format, version 2: a header line, then one line for each state with the
 * whole screen in 256 colours. Nothing in it comes from a token but characters that text.h lets through.
 */
#ifndef TABES_TUI_CAST_H
#define TABES_TUI_CAST_H

#include "tui/tui.h"

typedef struct cast_opts {
    int cols, rows;
    double states_per_second;
} cast_opts;

/* o: replays, theme and ASCII mode as for tui_run. Appends to out. */
int tui_cast(const tui_opts *o, const cast_opts *c, strbuf *out, err *e) MUST_CHECK;

#endif
