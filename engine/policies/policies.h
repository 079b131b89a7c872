/* policies.h - private to the policies: the entries of the table and what they share.
 */
#ifndef TABES_POLICIES_H
#define TABES_POLICIES_H

#include "engine/base/rng.h"
#include "engine/policy.h"
#include "engine/proposal.h"
#include "engine/verifier.h"

extern const policy policy_confidence, policy_margin, policy_entropy, policy_random, policy_left_to_right,
    policy_boe, policy_boe_others, policy_boe_mid, policy_boe_rows, policy_oracle, policy_fixed,
    policy_threshold, policy_factor, policy_eb, policy_pc, policy_klass, policy_maskgit, policy_dream,
    policy_p2, policy_remdm, policy_remdm_llada, policy_fb, policy_dfm, policy_lookum, policy_boe_horizon,
    policy_boe_verify;

/* The parameters of policies that have no others. */
extern const param_def *const common_params[];

/* Parameters of the candidate set, shared by boe and oracle. */
extern const param_def param_candidate_rule, param_rho, param_candidate_bound;
/* Whether candidates are chosen by gradients (candidate-rule auto). */
bool grows_candidates(const param_set *ps);

/* Scores of all masked positions in scope, one by one: greedy orders are nothing else. m is an index into
 * masked. */
typedef double position_score(const decision *dec, int m);
int score_positions(decision *dec, position_score *score, err *e) MUST_CHECK;

/* Choose the candidates by candidate-rule and rho; rec->cand gets their positions. Indices into masked
 * lie in the record's memory: *out [rec->n_cand]. */
int choose_candidates(decision *dec, int **out, err *e) MUST_CHECK;

/* Score of a mask: probability of its proposed token. */
double proposed_confidence(const decision *dec, int m);

/* Candidate i is to be written after those that are not (eos-last). */
bool is_late(const decision *dec, int i);

/* Indices of the record's candidates, best score first, lower position on ties, late ones last; in the
 * record's memory. NULL with the error. */
int *candidates_by_score(decision *dec, err *e);

/* Writes of a step that a policy puts together itself, in the record's memory: room for every mask and every
 * token that can be put back. */
int begin_writes(decision *dec, err *e) MUST_CHECK;
/* The proposed token of mask m (index into masked), with its score; every token being banned is an error. */
int write_mask(decision *dec, int m, double score, err *e) MUST_CHECK;
/* Clean token j back to the mask. */
void put_back(decision *dec, int j, double score);
/* Whether a mask is in scope. */
static inline bool in_scope(const decision *dec, int m) {
    return !dec->state.scope || dec->state.scope[m];
}
/* Index into masked of candidate i. */
int masked_of(const decision *dec, int i);

/* A draw for a position at this step. */
double draw(const decision *dec, int pos, rng_purpose purpose);
/* -ln(-ln U) of such a draw. */
double gumbel(const decision *dec, int pos, rng_purpose purpose);

/* PC-Sampler's score of a token of confidence c and frequency f, delta positions after the block's start. */
double pc_score(int delta, double c, double f, double lambda, double alpha);

/* Clean share at time t and after the step, and the rate at which clean tokens go back to the mask; the
 * probability with which a mask is written then. */
typedef struct remask_rates {
    double alpha_t, alpha_s, sigma;
} remask_rates;
double remask_reveal(remask_rates r);

/* Step k of the DFM corrector for a plan of S steps: time and length, and the rates of its draws. False when
 * the steps are over. */
typedef struct dfm_step {
    double t, d, written, back;
} dfm_step;
bool dfm_at(int S, int k, dfm_step *out);

/* n doubles in the record's memory. */
double *decision_doubles(decision *dec, int n, err *e);

/* BoE's functions and parameters, shared by its presets. */
extern const param_def *const boe_params[];
int boe_check(const param_set *ps, const denoiser_info *info, err *e) MUST_CHECK;
bool boe_keeps(const param_set *ps);
int boe_score(decision *dec, err *e) MUST_CHECK;
bool boe_remasks(const param_set *ps);
int boe_write(decision *dec, err *e) MUST_CHECK;
#define BOE_FUNCTIONS                                                                                        \
    .check = boe_check, .keeps = boe_keeps, .own_passes = true, .write = boe_write, .remasks = boe_remasks,  \
    .write_if_remasks = true
/* The parameters of BoE, for policies that add some. */
#define BOE_PARAMS                                                                                           \
    COMMON_PARAMS, &param_lookahead, &param_objective, &param_active, &param_candidate_rule, &param_rho,     \
        &param_gate, &param_anti_collapse, &param_lambda, &param_h_max, &param_lambda_schedule,              \
        &param_alpha, &param_path_points, &param_remask, &param_candidate_bound
extern const param_def param_lookahead, param_objective, param_active, param_gate, param_anti_collapse,
    param_lambda, param_h_max, param_lambda_schedule, param_alpha, param_path_points, param_remask;

#endif
