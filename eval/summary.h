/* summary.h - outcomes of a plan as a table: a row for each configuration, and pairs of rows on the same
 * examples.
 *
 * Sums run over examples in the plan's order, so equal outcomes give equal figures whatever order they came
 * in.
 */
#ifndef TABES_EVAL_SUMMARY_H
#define TABES_EVAL_SUMMARY_H

#include "eval/outcome.h"
#include "eval/stats.h"

/* A figure that does not apply is NaN. Costs are means per example, but for seconds. */
typedef struct summary_row {
    const eval_config *config;
    int n, correct; /* correct: -1 when nothing is judged */
    double accuracy;
    interval ci; /* 95 % Wilson */
    double nfe, backward_rows, rate;
    double seconds; /* of decoding, all examples together */
    bool blind;     /* the policy looks ahead, but no step had more than one choice */
    int over;       /* examples over the matched budget */
    double perplexity, judge_perplexity, entropy, diversity; /* exp of mean nats per token; means */
} summary_row;

/* Two policies of the same length, tokens per step and seed. */
typedef struct summary_pair {
    const summary_row *a, *b;
    int n, only_a, only_b;
    double difference, p; /* accuracy of b minus a's; exact McNemar */
    interval ci;          /* 95 % bootstrap over examples */
} summary_pair;

typedef struct summary {
    summary_row *rows; /* one for each configuration, in order */
    int n_rows;
    summary_pair *pairs; /* every policy against the first of its kind */
    int n_pairs;
} summary;

int summary_make(summary *s, const eval_plan *p, const outcome *outcomes, err *e) MUST_CHECK;
void summary_release(summary *s);

/* Rows that no other row beats in both accuracy and NFE. */
bool summary_is_best(const summary *s, int row);

#endif
