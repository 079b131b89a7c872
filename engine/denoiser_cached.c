/* denoiser_cached.c - passes of few rows over a kept pass: what they may ask for, and which rows are whose.
 */
#include <stdlib.h>

#include "engine/base/mem.h"
#include "engine/denoiser_impl.h"

/* Index of `pos` among the recomputed rows, or -1. */
static int find_row(const forward_req *q, int pos) {
    int low = 0, high = q->n_recompute;
    while (low < high) {
        int mid = low + (high - low) / 2;
        if (q->recompute[mid] < pos)
            low = mid + 1;
        else
            high = mid;
    }
    return low < q->n_recompute && q->recompute[low] == pos ? low : -1;
}

static int check_rows(const forward_req *q, err *e) {
    if (q->n_recompute <= 0) return err_set(e, ERR_BAD_ARGUMENT, "a cached pass that computes no rows");
    for (int i = 0; i < q->n_recompute; i++) {
        int pos = q->recompute[i];
        if (pos >= 0 && pos < q->seqs[0].n && (!i || pos > q->recompute[i - 1])) continue;
        return err_set(e, ERR_BAD_ARGUMENT,
                       "rows of a cached pass are not ascending positions of the sequence at %d", pos);
    }
    return 0;
}

int cached_check(const denoiser *d, const forward_req *q, const pass *p, err *e) {
    const pass *over = q->over;
    if (!d->ops->cached) return err_set(e, ERR_UNSUPPORTED, "%s keeps no keys and values", d->info.arch);
    if (over == p || over->owner != d || !over->kept || over->whole)
        return err_set(e, ERR_BAD_ARGUMENT, "the pass was not kept by this denoiser");
    if (q->keep || q->n_inject)
        return err_set(e, ERR_BAD_ARGUMENT, "a cached pass is not kept and takes no embeddings");
    if (q->n_seqs != 1 || over->n_seqs != 1 || over->lengths[0] != q->seqs[0].n)
        return err_set(e, ERR_BAD_ARGUMENT, "a cached pass is of one sequence, as long as the kept one");
    return check_rows(q, e);
}

/* Row of the kept pass for each position, -1: it was not asked for. */
static int *rows_by_position(const pass *over) {
    int n = over->lengths[0], *row = mem_new((size_t)n, sizeof *row);
    for (int i = 0; row && i < n; i++) row[i] = -1;
    for (int r = 0; row && r < over->n_rows; r++) row[over->rows[r].pos] = r;
    return row;
}

int cached_carry(const denoiser *d, const forward_req *q, pass *p, err *e) {
    int rc = 0, *kept = rows_by_position(q->over);
    if (!kept ||
        !mem_grow((void **)&p->carried, &p->cap_carried, (size_t)q->n_rows + 1, sizeof *p->carried)) {
        free(kept);
        return err_set(e, ERR_NO_MEMORY, "out of memory for %d rows", q->n_rows);
    }
    for (int r = 0; r < q->n_rows && !rc; r++) {
        int pos = q->rows[r].pos;
        p->carried[r] = find_row(q, denoiser_emit(d, pos)) >= 0 ? -1 : kept[pos];
        if (p->carried[r] < 0 && find_row(q, denoiser_emit(d, pos)) < 0)
            rc = err_set(e, ERR_BAD_ARGUMENT, "position %d is neither computed nor part of the kept pass",
                         pos);
    }
    free(kept);
    p->over = q->over;
    return rc;
}
