/* answer.h - private to eval: what a free text says its answer is, and when two answers are the same. */
#ifndef TABES_EVAL_ANSWER_H
#define TABES_EVAL_ANSWER_H

#include "eval/data.h"

/* Inside of the last \boxed{...} (braces balanced) or "\boxed x"; false when there is none. */
bool answer_boxed(span t, span *out);

/* The number that a text settles on: the first one after the last "####", else the first in the last \boxed,
 * else the last one of all. Thousands separators are taken out. False when there is none. */
bool answer_number(span t, double *out);

/* LaTeX of an answer in one spelling, as the public graders of MATH do it: no blanks, \left, \right, dollar
 * or per cent signs, degrees, text units; \dfrac, \frac12, a/b and \sqrt3 written out; 0.5 and .5 alike. */
void answer_normal(span t, strbuf *out);

#endif
