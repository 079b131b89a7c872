/* fake_denoiser.h - a denoiser small enough to check by hand, for tests of scores and sessions.
 *
 * One layer of attention with fixed weights, so that gradients are exact and short to write:
 *
 *     x_r = e_r + Σ_j a(r,j)·tanh(e_j)        z_r = W x_r        row r predicts position p, r = emit(p)
 *
 * a(r,j) depends on positions alone. Rows outside A pass no gradient through the sum; in a restricted
 * lookahead rows that are not recomputed change nothing, since nothing comes after the sum.
 * With `table` set the logits of position p are table[p][V] and no longer depend on the tokens: for
 * tests that want chosen probabilities.
 */
#ifndef TABES_FAKE_DENOISER_H
#define TABES_FAKE_DENOISER_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/base/rng.h"
#include "engine/denoiser_impl.h"

enum { FAKE_D = 5, FAKE_V = 9, FAKE_MASK = 8 };

typedef struct fake {
    denoiser base; /* first */
    double E[FAKE_V][FAKE_D], W[FAKE_V][FAKE_D];
    const float *table;   /* [max_len][V] or NULL; borrowed */
    int64_t n_restricted; /* rows recomputed by restricted lookaheads */
    int64_t n_cached;     /* rows computed over kept passes */
    int n_backward_calls;
    int poison;       /* position whose gradients are NaN, or -1 */
    int cancel_after; /* set *cancel_flag when this many forwards have run; -1: never */
    atomic_bool *cancel_flag;
} fake;

typedef struct fake_saved {
    int n_seqs;
    int *first; /* [n_seqs + 1] rows */
    double *e;  /* [rows][D] */
} fake_saved;

static inline double fake_noise(int kind, int i, int j) {
    return 2 * rng_uniform(99, (uint64_t)kind, (uint64_t)i, (uint64_t)j, RNG_TOKEN) - 1;
}

/* Attention of row r to position j. */
static inline double fake_weight(int r, int j) {
    return 0.8 * fake_noise(3, r, j);
}

static inline void fake_embedding(const denoiser *d, int32_t token, float *out) {
    const fake *f = (const fake *)d;
    for (int j = 0; j < FAKE_D; j++) out[j] = (float)f->E[token][j];
}

/* x of row r from embeddings e[n][D]. */
static inline void fake_row(const double *e, int n, int r, double *x) {
    memcpy(x, e + r * FAKE_D, FAKE_D * sizeof *x);
    for (int j = 0; j < n; j++) {
        for (int c = 0; c < FAKE_D; c++) x[c] += fake_weight(r, j) * tanh(e[j * FAKE_D + c]);
    }
}

static inline void fake_logits(const fake *f, const double *e, int n, int r, double *z) {
    double x[FAKE_D];
    fake_row(e, n, r, x);
    for (int v = 0; v < FAKE_V; v++) {
        z[v] = 0;
        for (int c = 0; c < FAKE_D; c++) z[v] += f->W[v][c] * x[c];
    }
    z[FAKE_MASK] = -INFINITY;
}

/* π and entropy of a row's logits. */
static inline double fake_softmax(const double *z, double *pi) {
    double top = -INFINITY, sum = 0, h = 0;
    for (int v = 0; v < FAKE_V; v++) top = fmax(top, z[v]);
    for (int v = 0; v < FAKE_V; v++) sum += pi[v] = exp(z[v] - top);
    for (int v = 0; v < FAKE_V; v++) {
        pi[v] /= sum;
        if (pi[v] > 0) h -= pi[v] * log(pi[v]);
    }
    return h;
}

static inline void fake_free_saved(void *p) {
    fake_saved *s = p;
    if (s) {
        free(s->first);
        free(s->e);
    }
    free(s);
}

static inline fake_saved *fake_save(const fake *f, const forward_req *q) {
    fake_saved *s = mem_new(1, sizeof *s);
    s->n_seqs = q->n_seqs;
    s->first = mem_new((size_t)q->n_seqs + 1, sizeof *s->first);
    for (int i = 0; i < q->n_seqs; i++) s->first[i + 1] = s->first[i] + q->seqs[i].n;
    s->e = mem_new((size_t)s->first[q->n_seqs] * FAKE_D, sizeof *s->e);
    for (int i = 0; i < q->n_seqs; i++) {
        for (int p = 0; p < q->seqs[i].n; p++) {
            memcpy(s->e + (s->first[i] + p) * FAKE_D, f->E[q->seqs[i].tokens[p]], sizeof f->E[0]);
        }
    }
    for (int k = 0; k < q->n_inject; k++) {
        const injection *in = &q->inject[k];
        for (int c = 0; c < FAKE_D; c++)
            s->e[(s->first[in->seq] + in->pos) * FAKE_D + c] = (double)in->vector[c];
    }
    return s;
}

static inline int fake_forward(denoiser *d, const forward_req *q, pass *p, err *e) {
    fake *f = (fake *)d;
    if (f->cancel_after >= 0 && f->base.n_forwards >= f->cancel_after) atomic_store(f->cancel_flag, true);
    if (q->cancel && atomic_load(q->cancel)) return err_set(e, ERR_CANCELLED, "cancelled");
    fake_saved *s = fake_save(f, q);
    for (int r = 0; r < q->n_rows; r++) {
        row_ref row = q->rows[r];
        double z[FAKE_V];
        int n = q->seqs[row.seq].n;
        fake_logits(f, s->e + s->first[row.seq] * FAKE_D, n, denoiser_emit(d, row.pos), z);
        for (int v = 0; v < FAKE_V; v++) {
            p->logits[r * FAKE_V + v] = f->table ? f->table[row.pos * FAKE_V + v] : (float)z[v];
        }
    }
    fake_free_saved(p->saved);
    p->saved = s;
    p->free_saved = fake_free_saved;
    return 0;
}

/* Few rows over a kept pass: the others' embeddings are the kept ones, and so is what they put into the sum.
 */
static inline int fake_cached(denoiser *d, const forward_req *q, pass *p, err *e) {
    fake *f = (fake *)d;
    const fake_saved *s = q->over->saved;
    int n = q->seqs[0].n;
    if (q->cancel && atomic_load(q->cancel)) return err_set(e, ERR_CANCELLED, "cancelled");
    double *em = mem_copy(s->e, (size_t)n * FAKE_D, sizeof *em);
    for (int i = 0; i < q->n_recompute; i++) {
        int pos = q->recompute[i];
        memcpy(em + pos * FAKE_D, f->E[q->seqs[0].tokens[pos]], sizeof f->E[0]);
    }
    p->n_unique = 0;
    for (int r = 0; r < q->n_rows; r++) {
        double z[FAKE_V];
        int pos = q->rows[r].pos;
        p->unique[r] = p->carried[r] < 0 ? p->n_unique++ : 0;
        if (p->carried[r] >= 0) continue;
        fake_logits(f, em, n, denoiser_emit(d, pos), z);
        for (int v = 0; v < FAKE_V; v++)
            p->logits[p->unique[r] * FAKE_V + v] = f->table ? f->table[pos * FAKE_V + v] : (float)z[v];
    }
    f->n_cached += q->n_recompute;
    free(em);
    return 0;
}

/* dH/dx of a row, times `weight`. */
static inline void fake_entropy_back(const fake *f, const double *e, int n, int r, double weight,
                                     double *dx) {
    double z[FAKE_V], pi[FAKE_V];
    fake_logits(f, e, n, r, z);
    double h = fake_softmax(z, pi);
    for (int v = 0; v < FAKE_V; v++) {
        if (!(pi[v] > 0)) continue;
        for (int c = 0; c < FAKE_D; c++) dx[c] -= weight * pi[v] * (log(pi[v]) + h) * f->W[v][c];
    }
}

/* One seed; g [n][D] starts at zero. Returns whether any row of A had a part in it. */
static inline bool fake_seed(const fake *f, const pass *p, const backward_req *q, const float *w,
                             const double *e, int n, const bool *active, double *g) {
    bool any = false;
    for (int r = 0; r < p->n_rows; r++) {
        int row = denoiser_emit(&f->base, p->rows[r].pos);
        if (p->rows[r].seq != q->seq || !active[row] || !(fabsf(w[r]) > 0)) continue;
        double dx[FAKE_D] = {0};
        fake_entropy_back(f, e, n, row, (double)w[r], dx);
        any = true;
        for (int c = 0; c < FAKE_D; c++) g[row * FAKE_D + c] += dx[c];
        for (int j = 0; j < n; j++) {
            if (q->local && j != row) continue;
            for (int c = 0; c < FAKE_D; c++) {
                double t = tanh(e[j * FAKE_D + c]);
                g[j * FAKE_D + c] += fake_weight(row, j) * (1 - t * t) * dx[c];
            }
        }
    }
    return any;
}

static inline int fake_backward(denoiser *d, const pass *p, const backward_req *q, float *grads, k_counts *c,
                                err *e) {
    fake *f = (fake *)d;
    const fake_saved *s = p->saved;
    if (q->cancel && atomic_load(q->cancel)) return err_set(e, ERR_CANCELLED, "cancelled");
    int first = s->first[q->seq], n = s->first[q->seq + 1] - first, n_active = q->active ? q->n_active : n;
    bool *active = mem_new((size_t)n, sizeof *active);
    double *g = mem_new((size_t)n * FAKE_D, sizeof *g);
    for (int i = 0; i < n_active; i++) active[q->active ? q->active[i] : i] = true;
    f->n_backward_calls++;
    bool any = false;
    for (int k = 0; k < q->n_seeds; k++) {
        memset(g, 0, (size_t)n * FAKE_D * sizeof *g);
        any |= fake_seed(f, p, q, q->weights + k * p->n_rows, s->e + first * FAKE_D, n, active, g);
        for (int w = 0; w < q->n_wrt; w++) {
            for (int j = 0; j < FAKE_D; j++) {
                double x = q->wrt[w] == f->poison ? (double)NAN : g[q->wrt[w] * FAKE_D + j];
                grads[(k * q->n_wrt + w) * FAKE_D + j] = (float)x;
            }
        }
    }
    if (any) c->attn_calls += q->n_seeds, c->attn_rows += (int64_t)q->n_seeds * n_active;
    free(active);
    free(g);
    return 0;
}

static inline int fake_restricted(denoiser *d, const pass *p, const restricted_req *q, double *entropies,
                                  err *e) {
    fake *f = (fake *)d;
    const fake_saved *s = p->saved;
    if (q->cancel && atomic_load(q->cancel)) return err_set(e, ERR_CANCELLED, "cancelled");
    int first = s->first[q->seq], n = s->first[q->seq + 1] - first;
    double *em = mem_copy(s->e + first * FAKE_D, (size_t)n * FAKE_D, sizeof *em);
    for (int i = 0; i < q->n_cases; i++) {
        const restricted_case *c = &q->cases[i];
        double old[FAKE_D], z[FAKE_V], pi[FAKE_V];
        memcpy(old, em + c->pos * FAKE_D, sizeof old);
        for (int k = 0; k < FAKE_D; k++) em[c->pos * FAKE_D + k] = (double)c->vector[k];
        for (int w = 0; w < c->n_want; w++) {
            fake_logits(f, em, n, denoiser_emit(d, c->want[w]), z);
            *entropies++ = fake_softmax(z, pi);
        }
        memcpy(em + c->pos * FAKE_D, old, sizeof old);
        f->n_restricted += c->n_recompute;
    }
    free(em);
    return 0;
}

/* What tests may expect of attention: it falls with the distance from the row, and belongs to no weight. */
static inline double fake_attention_weight(int r, int j) {
    return 1.0 / (1 + abs(r - j));
}

static inline int fake_attention(denoiser *d, const pass *p, int seq, int pos, int layer, float *out,
                                 err *e) {
    (void)layer, (void)e;
    int n = p->lengths[seq], row = denoiser_emit(d, pos);
    double sum = 0;
    for (int j = 0; j < n; j++) sum += fake_attention_weight(row, j);
    for (int j = 0; j < n; j++) out[j] = (float)(fake_attention_weight(row, j) / sum);
    return 0;
}

static inline void fake_close(denoiser *d) {
    free(d);
}

static inline fake *fake_new(bool shifted, int max_len) {
    static const denoiser_ops ops = {.forward = fake_forward,
                                     .cached = fake_cached,
                                     .backward = fake_backward,
                                     .restricted = fake_restricted,
                                     .attention = fake_attention,
                                     .embedding = fake_embedding,
                                     .close = fake_close,
                                     .free_saved = fake_free_saved};
    fake *f = mem_new(1, sizeof *f);
    f->base.ops = &ops;
    f->base.k = kernels_cpu();
    f->base.info = (denoiser_info){.arch = "fake",
                                   .name = "fake",
                                   .fingerprint = "00112233445566778899aabbccddeeff",
                                   .dtype = "F32",
                                   .device = "cpu",
                                   .precision = "f32",
                                   .n_vocab = FAKE_V,
                                   .d_model = FAKE_D,
                                   .n_layers = 1,
                                   .n_heads = 1,
                                   .n_kv_heads = 1,
                                   .max_len = max_len,
                                   .mask_id = FAKE_MASK,
                                   .bos_id = -1,
                                   .eos_id = -1,
                                   .turn_end_id = -1,
                                   .pad_id = -1,
                                   .shifted = shifted};
    for (int v = 0; v < FAKE_V; v++) {
        for (int c = 0; c < FAKE_D; c++) {
            /* Rounded to float, so that an injected embedding equals the token's own. */
            f->E[v][c] = (double)(float)fake_noise(1, v, c);
            f->W[v][c] = 1.5 * fake_noise(2, v, c);
        }
    }
    f->poison = -1;
    f->cancel_after = -1;
    return f;
}

#endif
