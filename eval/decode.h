/* decode.h - one item of a plan decoded: a session from start to end, counted, checked and measured. */
#ifndef TABES_EVAL_DECODE_H
#define TABES_EVAL_DECODE_H

#include "eval/outcome.h"

/* Prompts as ids, made once before any work is done. */
typedef struct eval_prompts {
    int32_t **ids; /* [examples] */
    int *n;
} eval_prompts;

/* Refuses prompts that the tokenizer cannot express, that leave no room in the context for some
 * configuration, and ones where nothing is masked. */
int prompts_make(eval_prompts *out, const eval_plan *p, const model *m, err *e) MUST_CHECK;
void prompts_release(eval_prompts *t, const eval_plan *p);

/* What a worker computes with; denoisers of its own. */
typedef struct decoder {
    const eval_plan *plan;
    const eval_prompts *prompts;
    const model *m, *judge; /* judge may be NULL */
    denoiser *d, *judge_d;
    const atomic_bool *cancel;
} decoder;

/* The outcome depends on the plan, the model and the item alone. *out is empty on failure. */
int decode_item(const decoder *w, int item, outcome *out, err *e) MUST_CHECK;

#endif
