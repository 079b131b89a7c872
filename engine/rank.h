/* rank.h - the one order of the program: higher key first, then lower index.
 *
 * Indices stand for positions in ascending order, so that ties go to the lower position. A key that is no
 * number comes after every other one, -inf included: whatever went wrong, it is never the best.
 */
#ifndef TABES_RANK_H
#define TABES_RANK_H

typedef double rank_key(const void *ctx, int i);

/* out[0..n) becomes 0..n-1 in rank order. */
void rank_order(rank_key *key, const void *ctx, int n, int *out);

/* a[0..n) ascending. */
void rank_ascending(int *a, int n);

#endif
