/* look_values.c - what looks say about one position, for colourings and lists. */
#include <math.h>
#include <stdlib.h>

#include "tui/app.h"
#include "tui/quantile.h"

/* Of an ascending list; it is asked for every position of a frame. */
static int index_of(const int *pos, int n, int want) {
    int low = 0, high = n;
    while (low < high) {
        int mid = low + (high - low) / 2;
        if (pos[mid] < want) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low < n && pos[low] == want ? low : -1;
}

bool looks_influence_between(const influence_view *f, int from, int to, double *v) {
    int i = index_of(f->pos, f->n, from), j = index_of(f->pos, f->n, to);
    if (from == to || i < 0 || j < 0) return false;
    *v = f->D[j * f->n + i];
    return true;
}

bool looks_influence(const app *a, int i, int pos, double *v) {
    const inspection *x = a->looks.shown[i][INSPECT_INFLUENCE];
    if (!x) return false;
    return a->looks.settled_by ? looks_influence_between(&x->influence, pos, a->cursor, v)
                               : looks_influence_between(&x->influence, a->cursor, pos, v);
}

/* 95th percentile of |D| off the diagonal: a few entries are many times the others. */
static double influence_clip(const influence_view *f) {
    size_t n = (size_t)f->n, count = 0;
    double *all = n > 1 ? malloc(n * (n - 1) * sizeof *all) : NULL;
    if (!all) return 0;
    for (size_t j = 0; j < n; j++) {
        for (size_t k = 0; k < n; k++) {
            if (j != k) all[count++] = fabs(f->D[j * n + k]);
        }
    }
    double clip = quantile(all, count, 0.95);
    free(all);
    return clip;
}

static double attention_at(const attention_view *t, int head, int pos) {
    double sum = 0;
    if (head >= 0 && head < t->n_heads) return (double)t->p[(size_t)head * (size_t)t->n + (size_t)pos];
    for (int h = 0; h < t->n_heads; h++) sum += (double)t->p[(size_t)h * (size_t)t->n + (size_t)pos];
    return sum / t->n_heads;
}

bool looks_attention(const app *a, int i, int pos, double *v) {
    const inspection *x = a->looks.shown[i][INSPECT_ATTENTION];
    if (!x || pos >= x->attention.n) return false;
    *v = attention_at(&x->attention, a->looks.head, pos);
    return true;
}

void looks_measure(app *a, int i) {
    looks *l = &a->looks;
    const inspection *f = l->shown[i][INSPECT_INFLUENCE], *t = l->shown[i][INSPECT_ATTENTION];
    if (l->clip_key[i] != (f ? f->key : 0)) l->clip[i] = f ? influence_clip(&f->influence) : 0;
    l->clip_key[i] = f ? f->key : 0;
    l->top[i] = 0;
    for (int k = 0; t && k < t->attention.n; k++)
        l->top[i] = fmax(l->top[i], attention_at(&t->attention, l->head, k));
}

bool looks_lock_in(const app *a, int i, int pos, double *p, bool *disagrees) {
    const inspection *x = a->looks.shown[i][INSPECT_LOCK_IN];
    int k = x ? index_of(x->lock_in.pos, x->lock_in.n, pos) : -1;
    if (k < 0) return false;
    *p = x->lock_in.p[k];
    *disagrees = x->lock_in.argmax[k] != x->lock_in.token[k];
    return true;
}
