/* look_values.c - what looks say about one position, for colourings and lists. */
#include <math.h>

#include "tui/app.h"

static int index_of(const int *pos, int n, int want) {
    for (int i = 0; i < n; i++) {
        if (pos[i] == want) return i;
    }
    return -1;
}

bool looks_influence(const app *a, int i, int pos, double *v) {
    const inspection *x = a->looks.shown[i][INSPECT_INFLUENCE];
    if (!x || pos == a->cursor) return false;
    const influence_view *f = &x->influence;
    int c = index_of(f->pos, f->n, a->cursor), k = index_of(f->pos, f->n, pos);
    if (c < 0 || k < 0) return false;
    *v = a->looks.settled_by ? f->D[c * f->n + k] : f->D[k * f->n + c];
    return true;
}

double looks_influence_clip(const app *a, int i) {
    const inspection *x = a->looks.shown[i][INSPECT_INFLUENCE];
    double top = 0;
    for (int j = 0; x && j < x->influence.n; j++) {
        for (int k = 0; k < x->influence.n; k++) {
            if (j != k) top = fmax(top, fabs(x->influence.D[j * x->influence.n + k]));
        }
    }
    return top;
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

double looks_attention_top(const app *a, int i) {
    const inspection *x = a->looks.shown[i][INSPECT_ATTENTION];
    double top = 0;
    for (int k = 0; x && k < x->attention.n; k++) top = fmax(top, attention_at(&x->attention, a->looks.head, k));
    return top;
}

bool looks_lock_in(const app *a, int i, int pos, double *p, bool *disagrees) {
    const inspection *x = a->looks.shown[i][INSPECT_LOCK_IN];
    int k = x ? index_of(x->lock_in.pos, x->lock_in.n, pos) : -1;
    if (k < 0) return false;
    *p = x->lock_in.p[k];
    *disagrees = x->lock_in.argmax[k] != x->lock_in.token[k];
    return true;
}
