/* results.h - the results file: one line per finished item, appended whole and on disk before the next is
 * counted.
 *
 * Opening reads what an earlier run of whatever plan left. Lines whose key belongs to an item of this plan
 * become its outcome, the first one only; others stay where they are. A last line without its newline is what
 * a killed run was writing: it is cut off. The file is locked, so that two runs never write to it at once.
 */
#ifndef TABES_EVAL_RESULTS_H
#define TABES_EVAL_RESULTS_H

#include "eval/outcome.h"

typedef struct results_file results_file;

/* outcomes [plan_items]: found ones are filled in, *found counts them. *torn (may be NULL): a line was cut
 * off. */
int results_open(results_file **out, const char *path, const eval_plan *p, outcome *outcomes, int *found,
                 bool *torn, err *e) MUST_CHECK;
int results_append(results_file *f, const strbuf *line, err *e) MUST_CHECK;
void results_close(results_file *f);

#endif
