/* plot.c - what the two charts share: ranges and the front. */
#include "eval/plot.h"

#include <math.h>

plot_axes plot_range(const summary *s) {
    plot_axes a = {.low = INFINITY, .high = 0, .bottom = 0, .top = 1};
    for (int i = 0; i < s->n_rows; i++) {
        const summary_row *r = &s->rows[i];
        if (isnan(r->accuracy) || !(r->nfe > 0)) continue;
        a.low = fmin(a.low, r->nfe);
        a.high = fmax(a.high, r->nfe);
        a.n++;
    }
    if (!a.n) return a;
    /* Some room at both ends, so that a single point is in the middle. */
    a.low /= 1.25;
    a.high *= 1.25;
    return a;
}

double plot_x(const plot_axes *a, double nfe) {
    return log(nfe / a->low) / log(a->high / a->low);
}

double plot_y(const plot_axes *a, double accuracy) {
    return (accuracy - a->bottom) / (a->top - a->bottom);
}

int plot_front(const summary *s, int *order) {
    int n = 0;
    for (int i = 0; i < s->n_rows; i++) {
        if (!summary_is_best(s, i) || !(s->rows[i].nfe > 0)) continue;
        int k = n++;
        for (; k > 0 && s->rows[order[k - 1]].nfe > s->rows[i].nfe; k--) order[k] = order[k - 1];
        order[k] = i;
    }
    return n;
}
