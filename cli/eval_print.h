/* eval_print.h - private to the command line: an evaluation's summary as a table, JSON, CSV, and files. */
#ifndef TABES_EVAL_PRINT_H
#define TABES_EVAL_PRINT_H

#include "eval/eval.h"

void eval_print_table(const eval_plan *p, const summary *s);
void eval_print_csv(const eval_plan *p, const summary *s);
int eval_print_json(const eval_plan *p, const model *m, const summary *s, err *e) MUST_CHECK;

/* A whole file in place of an older one. */
int eval_write_file(const char *path, const strbuf *text, err *e) MUST_CHECK;

/* Texts of every configuration in the form of the task's public harness: one file, or where there are several
 * configurations, one each, named after them. */
int eval_write_samples(const char *path, const eval_plan *p, const outcome *outcomes, err *e) MUST_CHECK;

#endif
