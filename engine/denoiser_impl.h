/* denoiser_impl.h - for those who implement a denoiser: the transformer, and fakes in tests.
 *
 * The generic layer (denoiser.c) validates requests, owns the pass's logits and statistics and
 * calls these functions. A fake needs `forward` and `embedding` only; a NULL entry makes the
 * generic call return ERR_UNSUPPORTED (soft_write has a generic default over `embedding`).
 */
#ifndef TABES_DENOISER_IMPL_H
#define TABES_DENOISER_IMPL_H

#include "engine/denoiser.h"

typedef struct denoiser_ops {
    /* Fill p->logits ([n_rows][n_vocab], already allocated; the mask column is overwritten by the
     * generic layer, which then computes the statistics) and, if q->keep, p->saved: NULL, or what an
     * earlier forward of the same denoiser left there, to be reused or freed. */
    int (*forward)(denoiser *d, const forward_req *q, pass *p, err *e);
    int (*backward)(denoiser *d, const pass *p, const backward_req *q, float *grads, k_counts *c, err *e);
    int (*restricted)(denoiser *d, const pass *p, const restricted_req *q, double *entropies, err *e);
    void (*embedding)(const denoiser *d, int32_t token, float *out);
    int (*soft_write)(denoiser *d, const pass *p, const int *rows, int n, float *out, err *e);
    void (*close)(denoiser *d); /* frees the implementation's own struct, which starts with a denoiser */
    void (*free_saved)(void *saved);
} denoiser_ops;

struct denoiser {
    const denoiser_ops *ops;
    const kernels *k;
    denoiser_info info;
    int64_t n_forwards; /* sequences pushed through forward since open */
};

struct pass {
    const denoiser *owner;
    int n_rows, n_vocab;
    row_ref *rows;
    float *logits;      /* [n_rows][n_vocab] */
    k_row_stats *stats; /* [n_rows] */
    size_t cap_rows, cap_logits, cap_stats;
    bool kept;
    void *saved; /* the implementation's; freed by ops->free_saved */
    void (*free_saved)(void *);
};

#endif
