/* cells.h - the grid that views draw into; no terminal is needed to read or dump it.
 *
 * A cell holds a glyph and a look. The right half of a wide glyph is a cell of width 0. Whatever is
 * put outside the grid is cut; all text passes the filter of text.h first. In ASCII mode every
 * character is replaced by its nearest ASCII sign on the way in, so views write one version only.
 */
#ifndef TABES_TUI_CELLS_H
#define TABES_TUI_CELLS_H

#include "engine/base/status.h"
#include "engine/base/strbuf.h"
#include "tui/style.h"
#include "tui/text.h"

typedef struct rect {
    int x, y, w, h;
} rect;

typedef struct cell {
    uint32_t cp[GLYPH_POINTS];
    int width; /* 1, 2, or 0 for the right half of a wide glyph */
    style look;
} cell;

typedef struct cells {
    int cols, rows;
    bool ascii;
    cell *at; /* [rows][cols] */
} cells;

int cells_init(cells *g, int cols, int rows, bool ascii, err *e) MUST_CHECK;
void cells_release(cells *g);
void cells_clear(cells *g);

/* One glyph at (x, y), if it fits left of column `end`; returns the columns taken. */
int cells_glyph(cells *g, int x, int y, int end, const glyph *c, style look);
int cells_char(cells *g, int x, int y, uint32_t cp, style look);

/* UTF-8 text, cut at column `end` (with an ellipsis when it does not fit); returns the column after it. */
int cells_text(cells *g, int x, int y, int end, style look, const char *text);
int cells_printf(cells *g, int x, int y, int end, style look, const char *fmt, ...) PRINTF_LIKE(6, 7);

/* Columns that a text takes. */
int cells_measure(const char *text);

/* n copies of one character. */
void cells_repeat(cells *g, int x, int y, int n, uint32_t cp, style look);
void cells_fill(cells *g, rect r, style look);
/* Change the look of a stretch and keep its characters. */
void cells_look(cells *g, int x, int y, int n, style look);

/* The grid as text, one line per row, trailing blanks dropped. */
void cells_dump(const cells *g, strbuf *out);

#endif
