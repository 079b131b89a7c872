/* eval_args.h - private to the command line: the options of `tabes eval`. */
#ifndef TABES_EVAL_ARGS_H
#define TABES_EVAL_ARGS_H

#include "cli/args.h"
#include "eval/eval.h"

typedef struct eval_args {
    cli_args args;
    /* As given; NULL when absent. */
    const char *task_name, *data, *n_text, *lengths, *rates, *seeds, *clues, *protocol_name, *match,
        *accounting, *jobs_text, *elbo_text;
    const char *results, *plot, *samples, *judge_model;
    bool ablation, charge_backward, csv, chart, json;
    /* Parsed. */
    const task *task;
    task_opts what;
    eval_wish wish;
    eval_costs costs;
    int jobs, elbo_draws; /* jobs 0: as many as cores */
} eval_args;

/* As cli_parse: -1 to go on, or the exit code. */
int eval_args_parse(eval_args *a, const command *c, int argc, char **argv);

/* After the model is open: the policies of the wish with their final parameters (owned: eval_args_release),
 * and default lengths and seeds. `all` leaves out what this model cannot run, and says so. */
int eval_args_policies(eval_args *a, const model *m, err *e) MUST_CHECK;
void eval_args_release(eval_args *a);

#endif
