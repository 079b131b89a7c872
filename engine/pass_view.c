/* pass_view.c - one sequence of a batch, as a pass of its own.
 *
 * The view's arrays are the whole's, those of rows from the sequence's first row on, so whoever reads rows,
 * logits or kept activations through them reads the sequence's part and need not know. Sequences keep the
 * numbers that they have in the batch; denoiser.c adds first_seq to those that callers name. */
#include <assert.h>

#include "engine/denoiser_impl.h"

void pass_view(pass *view, const pass *whole, int seq) {
    assert(whole->host && !whole->whole && !whole->over && seq >= 0 && seq < whole->n_seqs);
    int first = 0, n = 0;
    while (first < whole->n_rows && whole->rows[first].seq != seq) first++;
    while (first + n < whole->n_rows && whole->rows[first + n].seq == seq) n++;
    *view = *whole;
    view->whole = whole;
    view->first_seq = seq;
    view->rows += first;
    view->unique += first;
    view->n_rows = n;
}
