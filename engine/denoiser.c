/* denoiser.c - what all denoisers share: request checks, the pass, statistics, defaults. */
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/denoiser_impl.h"
#include "engine/transformer/transformer.h"

int denoiser_load(denoiser **out, const char *path, const denoiser_opts *o, err *e) {
    return transformer_open(out, path, o, e);
}

void denoiser_set_turn_end(denoiser *d, int32_t id) {
    d->info.turn_end_id = id;
}

int denoiser_fork(denoiser **out, denoiser *d, err *e) {
    *out = NULL;
    if (!d->ops->fork) return err_set(e, ERR_UNSUPPORTED, "%s cannot be forked", d->info.arch);
    return d->ops->fork(out, d, e);
}

void denoiser_memory(denoiser *d, k_memory *out) {
    d->k->memory(d->k, out);
}

denoiser_room denoiser_needs(const denoiser *d, int rows) {
    return d->ops->needs ? d->ops->needs(d, rows) : (denoiser_room){0};
}

void denoiser_close(denoiser *d) {
    if (d) d->ops->close(d);
}

const denoiser_info *denoiser_get_info(const denoiser *d) {
    return &d->info;
}

void denoiser_set_texts(denoiser *d, token_texts texts) {
    d->texts = texts;
}

token_texts denoiser_texts(const denoiser *d) {
    return d->texts;
}

int denoiser_emit(const denoiser *d, int pos) {
    return d->info.shifted && pos > 0 ? pos - 1 : pos;
}

bool denoiser_batches(const denoiser *d, const sequence *a, const sequence *b) {
    return d->k->host && (!d->ops->batches || d->ops->batches(d, a, b));
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
    if (p->whole) { /* a view owns nothing */
        free(p);
        return;
    }
    free_saved(p);
    if (p->owner && !p->host) {
        free(p->host_stats);
        free(p->host_top);
    }
    buffer_release(&p->logits_room);
    buffer_release(&p->stats_room);
    buffer_release(&p->top_room);
    buffer_release(&p->head_room);
    free(p->host_logits);
    free(p->rows);
    free(p->lengths);
    free(p->unique);
    free(p->place);
    free(p->carried);
    free(p);
}

int pass_n_rows(const pass *p) {
    return p->n_rows;
}

row_ref pass_row(const pass *p, int row) {
    assert(row >= 0 && row < p->n_rows);
    return (row_ref){p->rows[row].seq - p->first_seq, p->rows[row].pos};
}

const k_row_stats *pass_stats(const pass *p, int row) {
    assert(row >= 0 && row < p->n_rows);
    p = pass_source(p, &row);
    return &p->host_stats[p->unique[row]];
}

int pass_top(const pass *p, int row, int k, int32_t *ids, double *probs) {
    assert(row >= 0 && row < p->n_rows && k <= K_TOP);
    p = pass_source(p, &row);
    const k_top *top = &p->host_top[p->unique[row]];
    int n = 0;
    for (; n < k && top->id[n] >= 0; n++) {
        ids[n] = top->id[n];
        probs[n] = exp((double)top->z[n] - pass_stats(p, row)->lse);
    }
    return n;
}

/* ---- logits on the host ---- */

const float *pass_logits(const pass *p, int row) {
    assert(row >= 0 && row < p->n_rows);
    p = pass_whole(pass_source(p, &row), &row);
    size_t V = (size_t)p->n_vocab, unique = (size_t)p->unique[row];
    if (p->host && p->logits) return p->logits + unique * V;
    assert(p->place[unique] >= 0);
    return p->host_logits + (size_t)p->place[unique] * V;
}

/* Rows of the logits that are wanted of this pass or of the one it was computed over, and not there yet ->
 * out[n]; returns how many. */
static int find_unread(const pass *p, const int *rows, int n, bool over, int *out) {
    int found = 0;
    for (int i = 0; i < n; i++) {
        int row = rows ? rows[i] : i;
        const pass *from = pass_source(p, &row);
        if (over == (from == p)) continue;
        if (over) {
            out[found++] = row;
        } else if (p->place[p->unique[row]] == -1) {
            p->place[p->unique[row]] = -2; /* listed */
            out[found++] = p->unique[row];
        }
    }
    return found;
}

static int fetch_rows(pass *p, const int *unique, int n, float *to, err *e) {
    denoiser *d = (denoiser *)(uintptr_t)p->owner;
    size_t V = (size_t)p->n_vocab;
    int rc = p->logits ? 0 : d->ops->logits(d, p, unique, n, to, e);
    for (int i = 0; i < n && p->logits; i++)
        d->k->get(d->k, to + (size_t)i * V, p->logits + (size_t)unique[i] * V, V * sizeof *to);
    if (!rc) rc = device_check(d->k, e);
    for (int i = 0; i < n && !rc; i++) to[(size_t)i * V + (size_t)d->info.mask_id] = -INFINITY;
    return rc;
}

/* Of rows of this pass itself. */
static int read_rows(pass *p, const int *unique, int n, err *e) {
    size_t V = (size_t)p->n_vocab, floats = (size_t)(p->n_read + n) * V; /* checked by reserve_pass */
    int rc = 0;
    if (!mem_grow((void **)&p->host_logits, &p->cap_host_logits, floats, sizeof *p->host_logits))
        rc = err_set(e, ERR_NO_MEMORY, "out of memory for the logits of %d rows", p->n_read + n);
    if (!rc && n) rc = fetch_rows(p, unique, n, p->host_logits + (size_t)p->n_read * V, e);
    for (int i = 0; i < n; i++) p->place[unique[i]] = rc ? -1 : p->n_read++;
    return rc;
}

/* Rows of a part, of which the whole holds what was read. */
static int read_of_whole(const pass *part, const int *rows, int n, err *e) {
    int *list = mem_new((size_t)n, sizeof *list), rc;
    if (!list) return err_set(e, ERR_NO_MEMORY, "out of memory for a list of %d rows", n);
    for (int i = 0; i < n; i++) {
        list[i] = rows ? rows[i] : i;
        (void)pass_whole(part, &list[i]);
    }
    rc = pass_read(part->whole, list, n, e);
    free(list);
    return rc;
}

/* What was read is a cache of the pass, which stays what it is. */
int pass_read(const pass *shared, const int *rows, int n, err *e) {
    pass *p = (pass *)(uintptr_t)shared;
    if (!rows) n = p->n_rows;
    if (n <= 0 || (p->host && p->logits && !p->over)) return 0;
    if (p->whole) return read_of_whole(p, rows, n, e);
    int *list = mem_new((size_t)n, sizeof *list), rc = 0;
    if (!list) return err_set(e, ERR_NO_MEMORY, "out of memory for a list of %d rows", n);
    if (p->over) rc = pass_read(p->over, list, find_unread(p, rows, n, true, list), e);
    if (!rc && !(p->host && p->logits)) rc = read_rows(p, list, find_unread(p, rows, n, false, list), e);
    free(list);
    return rc;
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

/* Where statistics are looked at: in place, or in host memory of their own. */
static bool reserve_host(pass *p, size_t n) {
    if (p->host) {
        p->host_stats = p->stats;
        p->host_top = p->top;
        return true;
    }
    return mem_grow((void **)&p->host_stats, &p->cap_host_stats, n, sizeof *p->host_stats) &&
           mem_grow((void **)&p->host_top, &p->cap_host_top, n, sizeof *p->host_top);
}

/* Bytes of a pass's logits, 0: they are not stored. */
static size_t stored_bytes(const denoiser *d, const forward_req *q, size_t all) {
    bool again = d->ops->logits && d->k->head;
    bool keeps = q->keep && !d->spares_logits && denoiser_keeps_logits(d->info.n_vocab, all);
    return !again || q->whole_rows || keeps ? all : 0;
}

static int reserve_device(pass *p, kernels *k, size_t n, size_t logits, err *e) {
    char what[48];
    snprintf(what, sizeof what, "the logits of %zu rows", n - 1);
    int rc = logits ? buffer_reserve(&p->logits_room, k, logits, what, e) : 0;
    if (!rc) rc = buffer_reserve(&p->stats_room, k, n * sizeof *p->stats, what, e);
    if (!rc) rc = buffer_reserve(&p->top_room, k, n * sizeof *p->top, what, e);
    p->logits = logits ? p->logits_room.data : NULL;
    p->stats = p->stats_room.data;
    p->top = p->top_room.data;
    return rc;
}

static int reserve_pass(const denoiser *d, const forward_req *q, pass *p, err *e) {
    size_t n = (size_t)q->n_rows + 1, bytes;
    assert(d && !p->whole && (!p->owner || p->host == d->k->host)); /* a pass stays on one kind of device */
    if (p->owner != d) free_saved(p);
    p->owner = d;
    p->host = d->k->host;
    p->n_vocab = d->info.n_vocab;
    if (!size_mul(n, (size_t)p->n_vocab * sizeof(float), &bytes) ||
        !mem_grow((void **)&p->rows, &p->cap_rows, n, sizeof *p->rows) ||
        !mem_grow((void **)&p->lengths, &p->cap_lengths, (size_t)q->n_seqs, sizeof *p->lengths) ||
        !mem_grow((void **)&p->unique, &p->cap_unique, n, sizeof *p->unique) ||
        !mem_grow((void **)&p->place, &p->cap_place, n, sizeof *p->place)) {
        return err_set(e, ERR_NO_MEMORY, "out of memory for the logits of %d rows", q->n_rows);
    }
    int rc = reserve_device(p, d->k, n, stored_bytes(d, q, bytes), e);
    if (rc) return rc;
    if (!reserve_host(p, n)) return err_set(e, ERR_NO_MEMORY, "out of memory for %d rows", q->n_rows);
    for (int r = 0; r < q->n_rows; r++) {
        p->rows[r] = q->rows[r];
        p->unique[r] = r;
        p->place[r] = -1;
    }
    p->n_read = 0, p->said = false;
    for (int s = 0; s < q->n_seqs; s++) p->lengths[s] = q->seqs[s].n;
    p->n_seqs = q->n_seqs;
    p->n_rows = p->n_unique = q->n_rows;
    return 0;
}

/* Statistics of the logits; NaN is refused. On the host the mask is forbidden in place. */
static int finish_rows(const denoiser *d, pass *p, err *e) {
    kernels *k = d->k;
    size_t n = (size_t)p->n_unique, V = (size_t)p->n_vocab;
    int mask = d->info.mask_id;
    if (!p->said) k->head_stats(k, p->stats, p->top, p->logits, p->n_unique, p->n_vocab, mask);
    if (!k->host && n) {
        k->get(k, p->host_stats, p->stats, n * sizeof *p->stats);
        k->get(k, p->host_top, p->top, n * sizeof *p->top);
    }
    int rc = device_check(k, e);
    if (rc) return rc;
    for (size_t u = 0; k->host && p->logits && u < n; u++) p->logits[u * V + (size_t)mask] = -INFINITY;
    for (int r = 0; r < p->n_rows; r++) {
        if (!pass_stats(p, r)->bad) continue;
        return err_set(e, ERR_BAD_FORMAT, "NaN or infinity in the logits of position %d of sequence %d",
                       p->rows[r].pos, p->rows[r].seq);
    }
    return 0;
}

int denoiser_forward(denoiser *d, const forward_req *q, pass *p, err *e) {
    p->n_rows = 0;
    p->kept = false;
    p->over = NULL;
    int rc = check_forward(d, q, e);
    if (!rc && q->over) rc = cached_check(d, q, p, e);
    if (!rc) rc = reserve_pass(d, q, p, e);
    if (!rc && q->over) rc = cached_carry(d, q, p, e);
    if (!rc) rc = (q->over ? d->ops->cached : d->ops->forward)(d, q, p, e);
    if (!rc) rc = finish_rows(d, p, e);
    if (rc) {
        p->n_rows = 0;
        return rc;
    }
    p->kept = q->keep;
    d->n_forwards += q->n_seqs;
    return 0;
}

/* Rows that share their logits were asked for in both halves, so the unique ones halve as well. */
int pass_guide(pass *p, double s, err *e) {
    const denoiser *d = p->owner;
    kernels *k = d->k;
    if (p->whole || p->n_seqs != 2 || p->n_rows % 2 || p->n_unique % 2)
        return err_set(e, ERR_BAD_ARGUMENT, "guidance needs two sequences with the same rows");
    if (!p->logits) return err_set(e, ERR_BAD_ARGUMENT, "guidance needs whole rows of logits");
    p->n_rows /= 2, p->n_unique /= 2, p->n_seqs = 1;
    p->kept = p->said = false; /* its gradients would be those of other logits */
    size_t n = (size_t)p->n_unique * (size_t)p->n_vocab;
    k->blend(k, p->logits, p->logits + n, (float)(s + 1), n);
    int rc = finish_rows(d, p, e);
    if (rc) p->n_rows = 0;
    return rc;
}

/* A pass that backward, restricted and attention can start from. */
static int check_kept(const denoiser *d, const pass *p, err *e) {
    if (p->owner == d && p->kept) return 0;
    return err_set(e, ERR_BAD_ARGUMENT, "the pass was not kept by this denoiser");
}

/* A sequence of the pass, as the implementation counts them. */
static int find_seq(const pass *p, int *seq, err *e) {
    int n = p->whole ? 1 : p->n_seqs;
    if (*seq < 0 || *seq >= n) return err_set(e, ERR_BAD_ARGUMENT, "sequence %d of a pass of %d", *seq, n);
    *seq += p->first_seq;
    return 0;
}

int denoiser_backward(denoiser *d, const pass *p, const backward_req *q, float *grads, k_counts *counts,
                      err *e) {
    if (!d->ops->backward) return err_set(e, ERR_UNSUPPORTED, "%s has no backward pass", d->info.arch);
    backward_req inside = *q;
    int rc = check_kept(d, p, e);
    if (!rc) rc = find_seq(p, &inside.seq, e);
    return rc ? rc : d->ops->backward(d, p, &inside, grads, counts, e);
}

int denoiser_restricted(denoiser *d, const pass *p, const restricted_req *q, double *entropies, err *e) {
    if (!d->ops->restricted)
        return err_set(e, ERR_UNSUPPORTED, "%s has no row-restricted lookahead", d->info.arch);
    restricted_req inside = *q;
    int rc = check_kept(d, p, e);
    if (!rc) rc = find_seq(p, &inside.seq, e);
    return rc ? rc : d->ops->restricted(d, p, &inside, entropies, e);
}

static int check_attention(const denoiser *d, const pass *p, int seq, int pos, int layer, err *e) {
    if (layer < 0 || layer >= d->info.n_layers) {
        return err_set(e, ERR_BAD_ARGUMENT, "layer %d of a model of %d (0 is the first)", layer,
                       d->info.n_layers);
    }
    if (pos < 0 || pos >= p->lengths[seq]) {
        return err_set(e, ERR_BAD_ARGUMENT, "position %d of a sequence of %d tokens", pos, p->lengths[seq]);
    }
    return 0;
}

int denoiser_attention(denoiser *d, const pass *p, int seq, int pos, int layer, float *out, err *e) {
    if (!d->ops->attention) return err_set(e, ERR_UNSUPPORTED, "%s has no attention to show", d->info.arch);
    int rc = check_kept(d, p, e);
    if (!rc) rc = find_seq(p, &seq, e);
    if (!rc) rc = check_attention(d, p, seq, pos, layer, e);
    return rc ? rc : d->ops->attention(d, p, seq, pos, layer, out, e);
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
    if (p->over) return err_set(e, ERR_UNSUPPORTED, "soft writes need a pass of all rows");
    if (d->ops->soft_write) return d->ops->soft_write(d, p, rows, n, out, e);
    float *e_v = mem_new((size_t)d->info.d_model, sizeof *e_v);
    if (!e_v) return err_set(e, ERR_NO_MEMORY, "out of memory for a soft write");
    for (int i = 0; i < n; i++)
        soft_write_default(d, p, rows[i], out + (size_t)i * (size_t)d->info.d_model, e_v);
    free(e_v);
    return 0;
}
