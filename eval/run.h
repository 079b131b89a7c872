/* run.h - all items of a plan, by worker threads that each take the next one.
 *
 * Every worker has forks of the denoisers and computes on one thread, so an outcome does not depend on how
 * many there are. Outcomes land in an array by item; the order in which they come matters nowhere but in the
 * file.
 */
#ifndef TABES_EVAL_RUN_H
#define TABES_EVAL_RUN_H

#include "eval/decode.h"
#include "eval/ranks.h"
#include "eval/results.h"

enum { EVAL_MAX_JOBS = 256 };

typedef struct eval_run {
    const eval_plan *plan;
    const eval_prompts *prompts;
    const model *m, *judge;
    int jobs;
    results_file *file; /* NULL: none */
    const ranks *ranks; /* NULL: this process alone */
    const atomic_bool *cancel;
    /* Called from any worker, one at a time. May be NULL. */
    void (*progress)(void *ctx, int done, int total);
    void *ctx;
} eval_run;

/* Fills outcomes [plan_items] that are not known yet. After a failure or a cancel those that came are there.
 * Under mpirun rank 0 hands out items and gathers; the others return 0 with nothing filled in. */
int eval_all(const eval_run *r, outcome *outcomes, err *e) MUST_CHECK;

#endif
