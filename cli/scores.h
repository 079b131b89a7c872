/* scores.h - all that `tabes score` knows of one state, for those who print it.
 *
 * cmd_score.c fills it and owns what it points to; arrays that were not asked for are NULL.
 */
#ifndef TABES_CLI_SCORES_H
#define TABES_CLI_SCORES_H

#include "cli/args.h"

enum { MAX_TRIPLES = 32 };

typedef struct triple_result {
    char name[TRIPLE_NAME];
    const double *tis; /* [n_cand] */
    /* With --truth: rank correlations with either reduction, NaN where there is none (correlation.h). */
    double spearman_relaxed, kendall_relaxed, spearman_discrete, kendall_discrete;
} triple_result;

typedef struct scores {
    cli_args args;
    const char *tokens_text, *t_text, *tis_text, *samples_text, *attention_text;
    bool logits, influence, truth;
    model m;
    int32_t *tokens;
    int n_tokens;
    pass *p;
    step_record *rec;
    policy_memory memory;
    decision dec;
    int samples, layer; /* layer: of the attention */

    /* Over candidates; in rec->mem. cand: indices into masked. */
    int *cand;
    float *soft;
    double *gate, *delta_norm, *self, *D, *soft_red, *hard_red, *hard_se, *curvature;
    float *attention; /* [n_cand][n_heads][n_tokens] */
    bool enumerated;
    double bound; /* the largest curvature: estimates M of Corollary 3.2 */
    bool *chosen; /* what the policy writes at this state */
    triple_result triples[MAX_TRIPLES];
    int n_triples;
} scores;

/* Zeroed memory of the record; writes the error when there is none. */
void *scores_new(scores *s, size_t n, size_t size, err *e);

/* --truth: the reductions, curvatures and correlations, and what the policy writes. */
int scores_add_truth(scores *s, err *e) MUST_CHECK;

/* On standard output. */
int scores_print_json(const scores *s, err *e) MUST_CHECK;
void scores_print_table(const scores *s);

#endif
