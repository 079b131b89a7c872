/* score.h - Token Importance Score and the BoE score around it (Eq. 12-15, 18-19; spec in docs/scoring.md).
 *
 * Names are "lookahead/objective/active". Illegal triples are refused with the reason.
 */
#ifndef TABES_SCORE_H
#define TABES_SCORE_H

#include <stdatomic.h>

#include "engine/denoiser.h"

typedef enum lookahead { LOOK_MASK, LOOK_SOFT, LOOK_MID, LOOK_ROWS, LOOK_FULL } lookahead;
typedef enum objective { OBJ_MASKED, OBJ_OTHERS, OBJ_OTHERS_LOCAL, OBJ_REMAINING } objective;
typedef enum active_rows { ACTIVE_DENSE, ACTIVE_MASKED, ACTIVE_CANDIDATES, ACTIVE_UNCERTAIN } active_rows;
/* AUTO is the policies' own (policies/candidates.c); score_candidates does not know it. */
typedef enum cand_rule { CAND_CONFIDENCE, CAND_MARGIN, CAND_ENTROPY, CAND_ALL, CAND_AUTO } cand_rule;

/* NULL-terminated, in enum order: "mask", "soft", ... They serve as parameter choices. */
extern const char *const lookahead_names[], *const objective_names[], *const active_names[],
                                                                          *const cand_rule_names[];

typedef struct score_triple {
    lookahead look;
    objective obj;
    active_rows act;
} score_triple;

enum { TRIPLE_NAME = 48 };
const char *triple_name(score_triple t, char buf[TRIPLE_NAME]);
int triple_parse(score_triple *t, const char *name, err *e) MUST_CHECK;

/* ERR_BAD_ARGUMENT with the reason for a triple that boe.md's table does not list, and for
 * remaining/candidates on an unshifted model (identically zero: every objective row is detached). */
int triple_check(score_triple t, bool shifted, err *e) MUST_CHECK;

/* One decoding state: tokens, its masks, and the kept pass over them whose first rows are the masked
 * positions (pass row r predicts masked[r]); rows of clean positions may follow and are never looked at.
 * Everything is borrowed. */
typedef struct score_state {
    denoiser *d;
    const pass *p;
    const int32_t *tokens;
    int n_tokens;
    const int *masked;
    int n_masked;
    const bool *scope; /* [n_masked] which of them may be written now; NULL: all. Candidates and the uncertain
                          rows come from these; objectives are over all masks */
    const atomic_bool *cancel;
} score_state;

typedef struct score_cost {
    double forwards;       /* beyond the step's own */
    int64_t backward_rows; /* query rows of the attention backward / layers, as counted by the kernels */
    k_counts counts;       /* raw kernel counts */
} score_cost;

/* Candidates C (boe.md "The score" 1): indices into masked[], ascending; r = min(n, max(b, ceil(rho·n))) of
 * the n masks in scope. out holds n_masked ints. Ties go to the lower position. */
int score_candidates(const score_state *s, cand_rule rule, double rho, int budget, int *out);

/* Options of a triple beyond its name. alpha: strength of `soft` (1); path_points: n of `mid` (1). */
typedef struct score_opts {
    double alpha;
    int path_points;
} score_opts;

/* TIS (or the reduction, for rows/full) of candidates cand[n_cand] (indices into masked, in any order) ->
 * tis[n_cand].
 * soft: their soft writes ẽ [n_cand][d_model], see score_soft. Costs are added to *cost. */
int score_tis(const score_state *s, score_triple t, score_opts o, const int *cand, int n_cand,
              const float *soft, double *tis, score_cost *cost, err *e) MUST_CHECK;

/* ẽ_i for each candidate [n_cand][d] and ‖Δe_i‖ [n_cand] (may be NULL). */
int score_soft(const score_state *s, const int *cand, int n_cand, float *soft, double *delta_norm,
               err *e) MUST_CHECK;

/* Gate c_i = clip(1 - H/log(V-1), 0, 1) (Eq. 15). */
double score_gate(double entropy, int n_vocab);

/* λ_t and h_t (Eq. 18-19): h_t = h_max·t/T; λ_t = λ·t/T, or λ when constant. */
typedef struct anti_collapse {
    double lambda, h_max;
    bool constant;
} anti_collapse;
void score_anneal(const anti_collapse *a, int t, int T, double *lambda_t, double *h_t);

/* Row-local self terms s_i of the candidates (boe.md). */
int score_self_local(const score_state *s, const int *cand, int n_cand, const float *soft, double *self,
                     score_cost *cost, err *e) MUST_CHECK;

/* Influence matrix D[j][i] = -<∂H_j/∂e_i, Δe_i>, rows j over all masked, columns over cand:
 * [n_masked][n_cand], dense. */
int score_influence(const score_state *s, const int *cand, int n_cand, const float *soft, double *D,
                    score_cost *cost, err *e) MUST_CHECK;

/* H̃(α; i), the entropies of M\{i} summed up, along candidate i's path from the mask (α = 0) to its soft write
 * (α = 1), in n_points steps: f [n_cand][n_points + 1]. n_points forwards a candidate. */
int score_path(const score_state *s, const int *cand, int n_cand, const float *soft, int n_points, double *f,
               score_cost *cost, err *e) MUST_CHECK;

/* Largest |f''| of one such path f [n_points + 1], estimated by second differences (Corollary 3.2 asks for a
 * bound; this is an estimate of one). */
double score_curvature(const double *f, int n_points);

/* Corollary 3.2 with a bound that is an estimate: does the TIS of every chosen candidate exceed that of j by
 * more than it? False when none is chosen, or j is. tis, chosen: [n]. */
bool score_stable(const double *tis, const bool *chosen, int n, double bound, int j);

/* Truth check (Theorem 3.1, Eq. 9). soft_red[i] = relaxed reduction over M\{i};
 * hard_red[i] = expected discrete reduction, enumerated when n_vocab <= 1024, else sampled with
 * `samples` draws per candidate; hard_se (may be NULL) gets the standard error (0 when enumerated).
 * Either output may be NULL. */
int score_truth(const score_state *s, const int *cand, int n_cand, const float *soft, double *soft_red,
                double *hard_red, double *hard_se, int samples, uint64_t seed, score_cost *cost,
                err *e) MUST_CHECK;

#endif
