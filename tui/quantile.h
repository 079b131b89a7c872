/* quantile.h - where a share of some values lies, for scales that a few large ones must not stretch. */
#ifndef TABES_TUI_QUANTILE_H
#define TABES_TUI_QUANTILE_H

#include <stddef.h>

/* The value at `share` (0 to 1) of the way through the n values in ascending order; 0 when there are none.
 * Takes time in proportion to n and changes the order of the values. */
double quantile(double *v, size_t n, double share);

#endif
