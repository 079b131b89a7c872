/* plot.h - accuracy against NFE, a point for each row of a summary; the rows that none beats are joined by a
 * line. NFE is on a logarithmic axis. Nothing is drawn of rows without accuracy.
 */
#ifndef TABES_EVAL_PLOT_H
#define TABES_EVAL_PLOT_H

#include "engine/base/strbuf.h"
#include "eval/summary.h"

/* A whole SVG document. */
void plot_svg(const summary *s, const char *title, strbuf *out);

/* A chart of `cols` x `rows` characters for a terminal: braille dots, a letter at each point, and what the
 * letters stand for. */
void plot_text(const summary *s, int cols, int rows, strbuf *out);

/* Axes, shared by both. */
typedef struct plot_axes {
    double low, high;   /* NFE, at the ends of the axis */
    double bottom, top; /* accuracy */
    int n;              /* points; 0: nothing to draw */
} plot_axes;
plot_axes plot_range(const summary *s);
double plot_x(const plot_axes *a, double nfe);      /* 0..1 */
double plot_y(const plot_axes *a, double accuracy); /* 0..1, upward */

/* The rows that none beats, by NFE; returns how many. order: [n_rows]. */
int plot_front(const summary *s, int *order);

#endif
