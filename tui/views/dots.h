/* dots.h - plots in braille: two by four dots to a cell. ASCII has one sign to a cell.
 */
#ifndef TABES_TUI_DOTS_H
#define TABES_TUI_DOTS_H

#include "tui/cells.h"

enum { DOTS_X = 2, DOTS_Y = 4 };

/* What a dot looks like. */
typedef struct dot {
    style look;
    uint32_t sign; /* in ASCII */
    uint32_t meet; /* in ASCII, where another sign stands already; 0: that one stays */
} dot;

/* The dot at (x, y) of r, from its upper left corner. A cell that has dots keeps the colour it has. */
void dots_put(cells *g, rect r, int x, int y, dot d);

/* Where v of [low, high] lies among n dots: 0 for low; the middle when there is no range. */
int dots_place(double v, double low, double high, int n);

#endif
