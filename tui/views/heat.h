/* heat.h - a matrix as colours: two rows to a cell where there are colours, shades otherwise.
 */
#ifndef TABES_TUI_HEAT_H
#define TABES_TUI_HEAT_H

#include "tui/view.h"

typedef struct heat {
    int rows, cols;
    ramp ramp;
    double (*value)(const void *ctx, int row, int col); /* its place on the ramp, in [0, 1] */
    const void *ctx;
    int row, col; /* kept near the middle where the matrix is larger than the room; -1: from the start */
} heat;

/* What of the matrix is seen; `step` rows to a line. */
typedef struct heat_window {
    int row, col, rows, cols, step;
} heat_window;

heat_window heat_draw(const app *a, const heat *h, cells *g, rect r);

/* The line above it: words, and a sign over column `col` where that is seen. r: as of heat_draw. */
void heat_title(const app *a, const heat_window *w, int col, const char *text, cells *g, rect r);

#endif
