/* denoiser.c - what all denoisers share: request checks, the pass, statistics, defaults. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/denoiser_impl.h"
#include "engine/transformer.h"

int denoiser_load(denoiser **out, const char *path, err *e) {
    return transformer_open(out, path, e);
}

void denoiser_close(denoiser *d) {
    if (d) d->ops->close(d);
}

const denoiser_info *denoiser_get_info(const denoiser *d) {
    return &d->info;
}

int denoiser_emit(const denoiser *d, int pos) {
    return d->info.shifted && pos > 0 ? pos - 1 : pos;
}

void denoiser_embedding(const denoiser *d, int32_t token, float *out) {
    d->ops->embedding(d, token, out);
}

pass *pass_new(void) {
    return mem_new(1, sizeof(pass));
}

static void free_saved(pass *p) {
    if (p->saved && p->free_saved) p->free_saved(p->saved);
    p->saved = NULL;
    p->free_saved = NULL;
}

void pass_free(pass *p) {
    if (!p) return;
    free_saved(p);
    free(p->rows);
    free(p->logits);
    free(p->stats);
    free(p);
}

int pass_n_rows(const pass *p) {
    return p->n_rows;
}

row_ref pass_row(const pass *p, int row) {
    assert(row >= 0 && row < p->n_rows);
    return p->rows[row];
}

const float *pass_logits(const pass *p, int row) {
    assert(row >= 0 && row < p->n_rows);
    return p->logits + (size_t)row * (size_t)p->n_vocab;
}

const k_row_stats *pass_stats(const pass *p, int row) {
    assert(row >= 0 && row < p->n_rows);
    return &p->stats[row];
}

int pass_top(const pass *p, int row, int k, int32_t *ids, double *probs) {
    const float *z = pass_logits(p, row);
    int n = 0;
    for (int v = 0; v < p->n_vocab && k > 0; v++) {
        if (v == p->owner->info.mask_id || (n == k && !(z[v] > z[ids[n - 1]]))) continue;
        int at = n < k ? n++ : k - 1;
        for (; at > 0 && z[v] > z[ids[at - 1]]; at--) ids[at] = ids[at - 1];
        ids[at] = v;
    }
    for (int i = 0; i < n; i++) probs[i] = exp((double)z[ids[i]] - p->stats[row].lse);
    return n;
}

/* ---- requests ---- */

static int check_sequence(const denoiser *d, const sequence *s, int index, err *e) {
    const denoiser_info *info = &d->info;
    if (s->n <= 0) return err_set(e, ERR_BAD_ARGUMENT, "sequence %d is empty", index);
    if (s->n > info->max_len) {
        return err_set(e, ERR_BAD_ARGUMENT, "sequence of %d tokens is longer than the model's context of %d",
                       s->n, info->max_len);
    }
    for (int i = 0; i < s->n; i++) {
        if (s->tokens[i] < 0 || s->tokens[i] >= info->n_vocab) {
            return err_set(e, ERR_BAD_ARGUMENT, "token %d at position %d is outside the vocabulary of %d",
                           (int)s->tokens[i], i, info->n_vocab);
        }
    }
    return 0;
}

static bool inside(const forward_req *q, int seq, int pos) {
    return seq >= 0 && seq < q->n_seqs && pos >= 0 && pos < q->seqs[seq].n;
}

static int check_forward(const denoiser *d, const forward_req *q, err *e) {
    if (q->n_seqs <= 0) return err_set(e, ERR_BAD_ARGUMENT, "a forward pass needs at least one sequence");
    for (int s = 0; s < q->n_seqs; s++) {
        int rc = check_sequence(d, &q->seqs[s], s, e);
        if (rc) return rc;
    }
    for (int i = 0; i < q->n_inject; i++) {
        if (!inside(q, q->inject[i].seq, q->inject[i].pos)) {
            return err_set(e, ERR_BAD_ARGUMENT, "injection at position %d of sequence %d, which has none",
                           q->inject[i].pos, q->inject[i].seq);
        }
    }
    for (int i = 0; i < q->n_rows; i++) {
        if (!inside(q, q->rows[i].seq, q->rows[i].pos)) {
            return err_set(e, ERR_BAD_ARGUMENT, "row for position %d of sequence %d, which has none",
                           q->rows[i].pos, q->rows[i].seq);
        }
    }
    return 0;
}

static int reserve_pass(const denoiser *d, const forward_req *q, pass *p, err *e) {
    size_t n = (size_t)q->n_rows, logits;
    if (p->owner != d) free_saved(p);
    p->owner = d;
    p->n_rows = 0;
    p->kept = false;
    p->n_vocab = d->info.n_vocab;
    if (!size_mul(n, (size_t)p->n_vocab, &logits) ||
        !mem_grow((void **)&p->rows, &p->cap_rows, n + 1, sizeof *p->rows) ||
        !mem_grow((void **)&p->logits, &p->cap_logits, logits + 1, sizeof *p->logits) ||
        !mem_grow((void **)&p->stats, &p->cap_stats, n + 1, sizeof *p->stats)) {
        return err_set(e, ERR_NO_MEMORY, "out of memory for the logits of %d rows", q->n_rows);
    }
    if (n) memcpy(p->rows, q->rows, n * sizeof *p->rows);
    p->n_rows = q->n_rows;
    return 0;
}

/* Forbid the mask token, compute statistics, refuse NaN. */
static int finish_rows(const denoiser *d, pass *p, err *e) {
    int V = p->n_vocab, mask = d->info.mask_id;
    for (int r = 0; r < p->n_rows; r++) p->logits[(size_t)r * (size_t)V + (size_t)mask] = -INFINITY;
    d->k->head_stats(p->stats, p->logits, p->n_rows, V, mask);
    for (int r = 0; r < p->n_rows; r++) {
        if (p->stats[r].bad) {
            return err_set(e, ERR_BAD_FORMAT, "NaN or infinity in the logits of position %d of sequence %d",
                           p->rows[r].pos, p->rows[r].seq);
        }
    }
    return 0;
}

int denoiser_forward(denoiser *d, const forward_req *q, pass *p, err *e) {
    p->n_rows = 0;
    p->kept = false;
    int rc = check_forward(d, q, e);
    if (!rc) rc = reserve_pass(d, q, p, e);
    if (!rc) rc = d->ops->forward(d, q, p, e);
    if (!rc) rc = finish_rows(d, p, e);
    if (rc) {
        p->n_rows = 0;
        return rc;
    }
    p->kept = q->keep;
    d->n_forwards += q->n_seqs;
    return 0;
}

/* A pass that backward and restricted can start from. */
static int check_kept(const denoiser *d, const pass *p, err *e) {
    if (p->owner == d && p->kept) return 0;
    return err_set(e, ERR_BAD_ARGUMENT, "the pass was not kept by this denoiser");
}

int denoiser_backward(denoiser *d, const pass *p, const backward_req *q, float *grads, k_counts *counts,
                      err *e) {
    if (!d->ops->backward) return err_set(e, ERR_UNSUPPORTED, "%s has no backward pass", d->info.arch);
    int rc = check_kept(d, p, e);
    return rc ? rc : d->ops->backward(d, p, q, grads, counts, e);
}

int denoiser_restricted(denoiser *d, const pass *p, const restricted_req *q, double *entropies, err *e) {
    if (!d->ops->restricted)
        return err_set(e, ERR_UNSUPPORTED, "%s has no row-restricted lookahead", d->info.arch);
    int rc = check_kept(d, p, e);
    return rc ? rc : d->ops->restricted(d, p, q, entropies, e);
}

/* Σ_v π_v e_v by the embedding function alone. */
static void soft_write_default(denoiser *d, const pass *p, int row, float *out, float *e_v) {
    int width = d->info.d_model;
    const float *z = pass_logits(p, row);
    for (int j = 0; j < width; j++) out[j] = 0;
    for (int v = 0; v < p->n_vocab; v++) {
        float pi = (float)exp((double)z[v] - pass_stats(p, row)->lse);
        if (v == d->info.mask_id || !(pi > 0)) continue;
        d->ops->embedding(d, v, e_v);
        for (int j = 0; j < width; j++) out[j] += pi * e_v[j];
    }
}

int denoiser_soft_write(denoiser *d, const pass *p, const int *rows, int n, float *out, err *e) {
    for (int i = 0; i < n; i++) {
        if (rows[i] >= 0 && rows[i] < p->n_rows) continue;
        return err_set(e, ERR_BAD_ARGUMENT, "row %d of a pass of %d rows", rows[i], p->n_rows);
    }
    if (d->ops->soft_write) return d->ops->soft_write(d, p, rows, n, out, e);
    float *e_v = mem_new((size_t)d->info.d_model, sizeof *e_v);
    if (!e_v) return err_set(e, ERR_NO_MEMORY, "out of memory for a soft write");
    for (int i = 0; i < n; i++)
        soft_write_default(d, p, rows[i], out + (size_t)i * (size_t)d->info.d_model, e_v);
    free(e_v);
    return 0;
}
