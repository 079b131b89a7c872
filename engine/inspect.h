/* inspect.h - a closer look at one state: why its scores are what they are, and how far to trust them.
 *
 * An inspection answers one question about the state that a session is at. It changes nothing, costs no
 * step anything, and is immutable once made, reference-counted and safe to hand to another thread.
 * Positions are of the whole sequence, entropies and reductions in nats. Arrays lie in the inspection.
 */
#ifndef TABES_INSPECT_H
#define TABES_INSPECT_H

#include "engine/model.h"
#include "engine/session.h"

typedef enum inspect_kind {
    INSPECT_INFLUENCE, /* who settles whom */
    INSPECT_TRUTH,     /* TIS against what writing really does */
    INSPECT_RANKS,     /* what every policy would do here */
    INSPECT_ATTENTION, /* where one position looks */
    INSPECT_LOCK_IN,   /* would the model still write what is there? */
    N_INSPECT
} inspect_kind;

const char *inspect_name(inspect_kind k); /* "influence", "truth", "ranks", "attention", "lock-in" */

/* D[j][i] = -<∂H_j/∂e_i, Δe_i> (boe.md "Influence matrix"): how much settling i lowers the entropy of j, to
 * first order. Rows and columns are all masked positions, ascending. */
typedef struct influence_view {
    int n;
    const int *pos;  /* [n] */
    const double *D; /* [n][n] */
} influence_view;

/* Theorem 3.1 and Corollary 3.2 at the candidates of the policy (or, where it has no TIS, at the default
 * ones). A choice is stable (estimated) when its TIS beats another's by more than `bound`. */
typedef struct truth_view {
    int n;
    const int *pos;        /* [n] candidates, ascending */
    const double *tis;     /* [n] */
    const double *score;   /* [n] the policy's score; TIS itself where the policy has none */
    const double *relaxed; /* [n] H̃(0;i) - H̃(1;i) */
    const double *discrete,
        *discrete_se;        /* [n] expected reduction of Eq. 9; standard error, 0 when enumerated */
    const double *curvature; /* [n] max |f''| of each path */
    const bool *chosen;      /* [n] what the policy writes next */
    double bound;            /* M̂, the largest curvature */
    bool enumerated;
    char tis_name[TRIPLE_NAME];
    /* Rank correlations of TIS with either reduction; NaN where there is none. */
    double spearman_relaxed, kendall_relaxed, spearman_discrete, kendall_discrete;
} truth_view;

/* One policy's order of the masked positions. */
typedef struct policy_ranks {
    const policy *policy;
    const int *rank;     /* [n_masked] from 1; 0: not a candidate. NULL: the policy refuses this state */
    const double *score; /* [n_masked], where rank is not 0 */
    const char *refusal; /* or NULL */
    int pos;             /* what it would write first */
    int32_t token;
} policy_ranks;

typedef struct ranks_view {
    int n_masked;
    const int *pos; /* [n_masked] */
    int n;
    const policy_ranks
        *at; /* [n] the session's own policy first, then others with their defaults, one of each kind */
} ranks_view;

/* Where the row that predicts `pos` looks: softmax(q·k) of one layer. */
typedef struct attention_view {
    int pos, layer, n_layers, n_heads, n;
    const float *p; /* [n_heads][n] */
} attention_view;

/* Every position written since the start, put back to the mask alone, the rest left as it is. */
typedef struct lock_in_view {
    int n;
    const int *pos;       /* [n] ascending */
    const int32_t *token; /* [n] what stands there */
    const double *p;      /* [n] π(token) now */
    const int32_t *argmax;
    const double *p_argmax, *entropy; /* [n] */
    int n_disagree;                   /* argmax is another token */
} lock_in_view;

typedef struct inspection {
    inspect_kind kind;
    uint64_t key; /* the caller's */
    influence_view influence;
    truth_view truth;
    ranks_view ranks;
    attention_view attention;
    lock_in_view lock_in;
    double forwards; /* what it took */
    int64_t backward_rows;
    double ms;

    /* private */
    arena mem;
    _Atomic int refs;
} inspection;

typedef struct inspect_req {
    inspect_kind kind;
    uint64_t key;
    const model_tuning *tuning; /* of INSPECT_RANKS; may be NULL */
    int pos, layer;             /* of INSPECT_ATTENTION */
    int samples;                /* of INSPECT_TRUTH above 1024 ids; 0: 64 */
} inspect_req;

/* *out gets a reference; NULL on failure. Where there is nothing to look at (no masks, nothing written) the
 * view is empty and that is no error. A cancelled one gives ERR_CANCELLED. */
int session_inspect(session *s, const inspect_req *q, const inspection **out, err *e) MUST_CHECK;

const inspection *inspection_ref(const inspection *x);
void inspection_unref(const inspection *x); /* NULL is fine */

#endif
