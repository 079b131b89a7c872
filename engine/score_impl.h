/* score_impl.h - private to score_*.c: the candidates with their soft writes, sets of rows, and
 * batches of what-if forwards. Memory lies in the scoring's arena unless said otherwise.
 */
#ifndef TABES_SCORE_IMPL_H
#define TABES_SCORE_IMPL_H

#include "engine/base/arena.h"
#include "engine/score.h"

typedef struct scoring {
    const score_state *s;
    const denoiser_info *info;
    const int *cand; /* indices into masked */
    int n;           /* candidates */
    int d;
    int *pos;          /* [n] their positions */
    const float *soft; /* [n][d] */
    float *e_m;        /* [d] the mask's embedding */
    score_cost *cost;
    arena mem;
} scoring;

int scoring_init(scoring *c, const score_state *s, const int *cand, int n_cand, const float *soft,
                 score_cost *cost, err *e) MUST_CHECK;
void scoring_release(scoring *c);

/* Zeroed memory of the scoring; writes the error when there is none. */
void *scoring_new(scoring *c, size_t n, size_t size, err *e);

/* -<g, Δe_i> of candidate i. */
double scoring_dot(const scoring *c, int i, const float *g);

/* out [d] = e_m + α·(ẽ_i - e_m) (score_path.c). */
void scoring_relax(const scoring *c, int i, double alpha, float *out);

/* A set of positions, ascending. */
typedef struct row_set {
    int *pos; /* NULL: all rows */
    int n;
} row_set;

/* The masked positions that `act` names, without their emit rows: M, C or C ∪ U. Not for ACTIVE_DENSE. */
int scoring_rows(scoring *c, active_rows act, row_set *out, err *e) MUST_CHECK;

/* out = set ∪ emit(set) ∪ {extra}; extra < 0 adds nothing. */
int scoring_close_rows(scoring *c, const row_set *set, int extra, row_set *out, err *e) MUST_CHECK;

/* A of the backward: rows and emit rows, or all. */
int scoring_active(scoring *c, active_rows act, row_set *out, err *e) MUST_CHECK;

/* denoiser_backward with cancellation; the rows it took are added to the cost. */
int scoring_backward(scoring *c, const pass *p, backward_req *q, float *grads, err *e) MUST_CHECK;

/* Seeds that one backward call may hold when each brings n_wrt gradients. */
int scoring_seed_chunk(const scoring *c, int n_wrt);

/* ---- one candidate changed at a time ---- */

/* Candidate `cand` (index into scoring.cand) given a vector, or a token when vector is NULL. */
typedef struct probe {
    int cand;
    const float *vector;
    int32_t token;
} probe;

/* Forwards of probes in batches. After probe_run, sequence j of the batch is probe j, and its rows
 * are the other masked positions: rows j·n_rest .. of the pass, in ascending order. */
typedef struct probe_batch {
    scoring *c;
    bool keep;
    int n_rest; /* n_masked - 1 */
    int most;   /* sequences in a batch; bounded so that logits and activations are */
    pass *p;
    sequence *seqs;
    int32_t *tokens; /* [most][n_tokens] */
    injection *inject;
    row_ref *rows;
    arena mem; /* its own, so that a batch per candidate does not pile up */
} probe_batch;

int probe_open(probe_batch *b, scoring *c, int n_probes, bool keep, err *e) MUST_CHECK;
void probe_close(probe_batch *b);
int probe_run(probe_batch *b, const probe *probes, int n, err *e) MUST_CHECK;

/* Σ entropies of the other masked positions: of probe j, and of the original state. */
double probe_rest(const probe_batch *b, int j);
double scoring_rest(const scoring *c, int cand);

/* sums[j] = Σ_{k in M without the probe's candidate} H_k for any number of probes. Zeros and no
 * forward when there is no other masked position. */
int probe_rest_all(scoring *c, const probe *probes, int n, double *sums, err *e) MUST_CHECK;

/* ---- one file each ---- */
int tis_soft(scoring *c, active_rows act, double alpha, double *tis, err *e) MUST_CHECK;
int tis_mid(scoring *c, int n_points, double *tis, err *e) MUST_CHECK;
int tis_rows(scoring *c, active_rows act, double *tis, err *e) MUST_CHECK;
int tis_full(scoring *c, double *tis, err *e) MUST_CHECK;
int self_local(scoring *c, double *self, err *e) MUST_CHECK;

#endif
