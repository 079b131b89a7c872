/* outcome.h - what one decode came to, and the line of a results file that says so. */
#ifndef TABES_EVAL_OUTCOME_H
#define TABES_EVAL_OUTCOME_H

#include "eval/plan.h"

/* A number that was not measured is NaN. */
typedef struct outcome {
    bool known;
    verdict verdict;
    int masks, steps; /* positions to fill; decode steps */
    double rate;      /* tokens per step: as asked for, as matched, or masks/steps where steps were planned */
    bool over;        /* matched: no number of tokens per step keeps within the budget */
    double nfe, seconds; /* as `eval_costs` counts */
    int64_t backward_rows;
    double elbo, judge;        /* nats per token, under the model and under the judge */
    double entropy, diversity; /* see quality.h */
    char *text;                /* what was judged, UTF-8; owned */
} outcome;

void outcome_release(outcome *o);

/* One JSON object and a newline: the key, what the item is (for people), the outcome. */
int outcome_write(const eval_plan *p, int item, const outcome *o, strbuf *out, err *e) MUST_CHECK;
/* Of one line without its newline. */
int outcome_read(const char *line, size_t n, char key[EVAL_KEY], outcome *o, err *e) MUST_CHECK;

#endif
