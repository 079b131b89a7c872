/* policies.h - private to the policies: the entries of the table and what they share.
 */
#ifndef TABES_POLICIES_H
#define TABES_POLICIES_H

#include "engine/policy.h"
#include "engine/proposal.h"

extern const policy policy_confidence, policy_margin, policy_entropy, policy_random, policy_left_to_right,
    policy_boe, policy_boe_others, policy_boe_mid, policy_boe_rows, policy_oracle;

/* The parameters of policies that have no others. */
extern const param_def *const common_params[];

/* Parameters of the candidate set, shared by boe and oracle. */
extern const param_def param_candidate_rule, param_rho;

/* Scores of all masked positions in scope, one by one: greedy orders are nothing else. m is an index into
 * masked. */
typedef double position_score(const decision *dec, int m);
int score_positions(decision *dec, position_score *score, err *e) MUST_CHECK;

/* Choose the candidates by candidate-rule and rho; rec->cand gets their positions. Indices into masked
 * lie in the record's memory: *out [rec->n_cand]. */
int choose_candidates(decision *dec, int **out, err *e) MUST_CHECK;

/* n doubles in the record's memory. */
double *decision_doubles(decision *dec, int n, err *e);

/* BoE's functions and parameters, shared by its presets. */
extern const param_def *const boe_params[];
int boe_check(const param_set *ps, const denoiser_info *info, err *e) MUST_CHECK;
bool boe_keeps(const param_set *ps);
int boe_score(decision *dec, err *e) MUST_CHECK;

#endif
