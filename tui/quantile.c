/* quantile.c - quickselect: of the parts below, at and above a pivot only the one that holds the answer is
 * divided again. The influences of a thousand positions are a million values, and sorting them would hold a
 * frame up for a tenth of a second. */
#include "tui/quantile.h"

static void swap(double *a, double *b) {
    double x = *a;
    *a = *b;
    *b = x;
}

static double middle(double a, double b, double c) {
    if (a > b) swap(&a, &b);
    return c < a ? a : c > b ? b : c;
}

/* Values that are not numbers count as equal to all, so that the bounds hold. */
double quantile(double *v, size_t n, double share) {
    size_t low = 0, high = n, want = n ? (size_t)(share * (double)(n - 1)) : 0;
    while (high - low > 1) {
        double pivot = middle(v[low], v[low + (high - low) / 2], v[high - 1]);
        size_t below = low, above = high;
        for (size_t i = low; i < above;) {
            if (v[i] < pivot) {
                swap(&v[i++], &v[below++]);
            } else if (v[i] > pivot) {
                swap(&v[i], &v[--above]);
            } else {
                i++;
            }
        }
        if (want >= below && want < above) break;
        if (want < below) high = below;
        if (want >= above) low = above;
    }
    return n ? v[want] : 0;
}
