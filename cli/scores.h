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
    decision dec;
    int samples, layer; /* layer: of the attention */

    /* Over candidates; in rec->mem. cand: indices into masked. */
    int *cand;
    float *soft;
    double *gate, *delta_norm, *self, *D, *soft_red, *hard_red, *hard_se;
    float *attention; /* [n_cand][n_heads][n_tokens] */
    bool enumerated;
    triple_result triples[MAX_TRIPLES];
    int n_triples;
} scores;

/* On standard output. */
int scores_print_json(const scores *s, err *e) MUST_CHECK;
void scores_print_table(const scores *s);

#endif
