/* eval.h - the room's public header: tasks, plans, runs and what they come to.
 *
 *     plan.task = task_find("sudoku");  task_examples(...);  plan_configs(...);  plan_identity(...);
 *     prompts_make(&prompts, &plan, &m, &e);
 *     results_open(&file, path, &plan, outcomes, &found, NULL, &e);      (where a run is to be resumable)
 *     eval_all(&(eval_run){...}, outcomes, &e);
 *     summary_make(&s, &plan, outcomes, &e);  plot_svg(&s, "sudoku", &svg);
 */
#ifndef TABES_EVAL_H
#define TABES_EVAL_H

#include "eval/plan.h"
#include "eval/plot.h"
#include "eval/quality.h"
#include "eval/run.h"
#include "eval/stats.h"
#include "eval/summary.h"
#include "eval/task.h"

#endif
