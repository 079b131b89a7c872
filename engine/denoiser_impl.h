/* denoiser_impl.h - for those who implement a denoiser: the transformer, and fakes in tests.
 *
 * The generic layer (denoiser.c) validates requests, owns the pass's logits and statistics and
 * calls these functions. A fake needs `forward` and `embedding` only; a NULL entry makes the
 * generic call return ERR_UNSUPPORTED (soft_write has a generic default over `embedding`).
 */
#ifndef TABES_DENOISER_IMPL_H
#define TABES_DENOISER_IMPL_H

#include "engine/buffer.h"
#include "engine/denoiser.h"

/* A layer's products: queries, keys and values; attention's output; into the MLP and out of it. */
typedef enum weight_part { PART_QKV, PART_OUT, PART_UP, PART_DOWN, PART_OTHER } weight_part;

typedef struct denoiser_ops {
    /* Fill p->logits ([n_rows][n_vocab] in device memory, allocated for as many rows as were asked for) and,
     * if q->keep, p->saved: NULL, or what an earlier forward of the same denoiser left there, to be reused or
     * freed. Rows that share their logits may be stored once: then set p->n_unique and p->unique, which are
     * n_rows and 0, 1, 2, ... otherwise. The generic layer computes the statistics, unless p->said is set.
     * p->logits is NULL if they are not to be stored, which only those with a `logits` below meet: then
     * p->stats and p->top are to be filled, and p->head_x with what gives the logits again. */
    int (*forward)(denoiser *d, const forward_req *q, pass *p, err *e);
    /* The same where q->over is set: logits of the rows that p->carried has -1 for, q->recompute included.
     * Sets p->n_unique and, for those rows, p->unique. */
    int (*cached)(denoiser *d, const forward_req *q, pass *p, err *e);
    /* The logits of unique[n] of a pass that stores none -> out [n][n_vocab], the mask's too. NULL: passes
     * always store them. */
    int (*logits)(denoiser *d, const pass *p, const int *unique, int n, float *out, err *e);
    int (*backward)(denoiser *d, const pass *p, const backward_req *q, float *grads, k_counts *c, err *e);
    int (*restricted)(denoiser *d, const pass *p, const restricted_req *q, double *entropies, err *e);
    /* `seq`, `pos` and `layer` are known to exist. */
    int (*attention)(denoiser *d, const pass *p, int seq, int pos, int layer, float *out, err *e);
    void (*embedding)(const denoiser *d, int32_t token, float *out);
    int (*soft_write)(denoiser *d, const pass *p, const int *rows, int n, float *out, err *e);
    denoiser_room (*needs)(const denoiser *d, int rows); /* may be NULL */
    /* See denoiser_batches; NULL: a row's numbers depend on its own sequence alone. */
    bool (*batches)(const denoiser *d, const sequence *a, const sequence *b);
    /* Where in the network a weight of this denoiser is; may be NULL. */
    weight_part (*part)(const denoiser *d, const k_weight *w);
    int (*fork)(denoiser **out, denoiser *d, err *e);
    void (*close)(denoiser *d); /* frees the implementation's own struct, which starts with a denoiser */
    void (*free_saved)(void *saved);
} denoiser_ops;

struct denoiser {
    const denoiser_ops *ops;
    kernels *k;
    denoiser_info info;
    token_texts texts;
    int64_t n_forwards; /* sequences pushed through forward since open */
    bool spares_logits; /* small kept passes store no logits either; for tests */
};

/* Whether a kept pass stores its logits although nobody reads whole rows, because a BoE step would compute
 * its candidates' twice again: up to so many bytes, and never those of a large vocabulary
 * (docs/performance.md). */
static inline bool denoiser_keeps_logits(int n_vocab, size_t bytes) {
    enum { LARGE_VOCABULARY = 1 << 16 };
    return n_vocab < LARGE_VOCABULARY && bytes <= (size_t)64 << 20;
}

struct pass {
    const denoiser *owner;
    bool host; /* device memory is host memory */
    int n_rows, n_vocab;
    row_ref *rows;
    int n_seqs, *lengths;  /* of the sequences */
    int n_unique, *unique; /* logits row of each row */
    float *logits;         /* device memory [n_unique][n_vocab], or NULL: not stored */
    k_row_stats *stats;    /* device memory [n_unique] */
    k_top *top;            /* device memory [n_unique] */
    bool said;             /* the forward filled both */
    k_act *head_x; /* device memory [n_unique][d_model] what the head reads, where nothing is stored */
    /* The same on the host: aliases where device memory is host memory. */
    k_row_stats *host_stats;
    k_top *host_top;
    float *host_logits; /* rows that pass_read brought; none where p->logits is host memory */
    int *place;         /* [n_unique] where a row is in host_logits, -1: nowhere */
    int n_read;         /* rows of host_logits */
    /* The kept pass that this one was computed over, or NULL; [n_rows] which of its rows stands for a row,
     * -1: none, it was computed. */
    const pass *over;
    int *carried;
    size_t cap_carried;
    size_t cap_rows, cap_lengths, cap_unique, cap_place, cap_host_stats, cap_host_top, cap_host_logits;
    buffer logits_room, stats_room, top_room, head_room;
    bool kept;
    void *saved; /* the implementation's; freed by ops->free_saved */
    void (*free_saved)(void *);
    /* Of a view (pass_view.c): the pass whose arrays these are, and which of its sequences the only one here
     * is. rows[].seq and n_seqs are those of the whole. */
    const pass *whole;
    int first_seq;
};

/* Can this request be computed over its kept pass? (denoiser_cached.c) */
int cached_check(const denoiser *d, const forward_req *q, const pass *p, err *e) MUST_CHECK;
/* p->over and p->carried of such a request. */
int cached_carry(const denoiser *d, const forward_req *q, pass *p, err *e) MUST_CHECK;

/* Of a part of a batch (pass_view.c) the batch, and the row there; of others themselves. */
static inline const pass *pass_whole(const pass *p, int *row) {
    if (!p->whole) return p;
    *row += (int)(p->rows - p->whole->rows);
    return p->whole;
}

/* The pass that computed a row, and its row there. */
static inline const pass *pass_source(const pass *p, int *row) {
    if (!p->over || p->carried[*row] < 0) return p;
    *row = p->carried[*row];
    return p->over;
}

#endif
