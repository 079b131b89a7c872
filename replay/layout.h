/* layout.h - where the tokens of one state stand in a figure: a page of lines of equal columns.
 *
 * A newline breaks the line; a token that does not fit goes to the next one. When every token is one column
 * wide and there are lines (a Sudoku) tokens stand in a grid of equal slots. Characters split over tokens
 * are joined and belong to the token with their first byte; a run of one special token folds into
 * "<eos>\u00D712" at its first. The workbench's canvas follows the same rules (tui/flow.h).
 */
#ifndef TABES_REPLAY_LAYOUT_H
#define TABES_REPLAY_LAYOUT_H

#include "replay/replay.h"

/* Text of one look inside a box. `text` is an offset into layout.text, where it ends with a NUL. */
typedef struct layout_run {
    int x, w;
    size_t text;
    bool wide; /* one character of two columns */
    bool mark; /* stands for something else: a newline, a special token, bytes that may not be shown */
} layout_run;

/* What one token takes of one line. */
typedef struct layout_box {
    int pos, x, y, w;
    int first, count; /* runs; none in a masked slot */
} layout_box;

typedef struct layout {
    layout_box *boxes;
    layout_run *runs;
    int n_boxes, n_runs, columns, lines; /* columns that are used */
    int grid;                            /* columns of a slot, 0 when tokens flow */
    strbuf text;
    size_t cap_boxes, cap_runs; /* private */
    bool failed;                /* private */
} layout;

/* Fresh storage is filled; release it in any case. */
int layout_build(layout *l, const trajectory *t, const int32_t *tokens, int columns, err *e) MUST_CHECK;
void layout_release(layout *l);

#endif
