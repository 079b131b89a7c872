/* correlation.h - how alike two rankings of the same things are, ties included.
 *
 * Spearman is Pearson's correlation of average ranks; Kendall is τ-b. Both lie in [-1, 1] and are NaN when
 * they do not exist: fewer than two things, one side all equal, or a value that is NaN.
 */
#ifndef TABES_CORRELATION_H
#define TABES_CORRELATION_H

/* NaN as well when memory is short. */
double correlation_spearman(const double *x, const double *y, int n);
double correlation_kendall(const double *x, const double *y, int n);

#endif
