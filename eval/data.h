/* data.h - private to eval: reading data sets line by line, and small pieces of text. */
#ifndef TABES_EVAL_DATA_H
#define TABES_EVAL_DATA_H

#include <cjson/cJSON.h>
#include <stdint.h>

#include "engine/base/strbuf.h"
#include "eval/task.h"

extern const task task_sudoku, task_countdown, task_story, task_gsm8k, task_math500, task_humaneval,
    task_mbpp, task_text;

/* Calls `take` for every line of a JSON Lines text, at most `max` times (0: no limit); the first fault is
 * reported with its line. Empty lines are skipped. */
typedef int take_record(example_set *s, const cJSON *record, int index, err *e);
int data_each_line(example_set *s, const char *text, size_t n, int max, take_record *take, err *e) MUST_CHECK;

/* The string member `key` of a record; ERR_BAD_FORMAT when it is missing or something else. */
int data_string(const cJSON *record, const char *key, const char **out, err *e) MUST_CHECK;

/* Bytes of a text, borrowed. */
typedef struct span {
    const char *s;
    size_t n;
} span;

span span_trim(span t);
bool span_is(span t, const char *text);
/* The last place of `what` in t, or NULL. */
const char *span_last(span t, const char *what);
/* t up to the first `what`, or all of it. */
span span_before(span t, const char *what);
/* Inside of the first ``` block if there is one (its language name dropped), else all of t. */
span span_code(span t);

/* {"id": id, key: text} and a newline; bytes that are not UTF-8 become U+FFFD. */
int data_sample(strbuf *out, const char *id_key, const char *id, const char *key, const char *text, size_t n,
                err *e) MUST_CHECK;
/* Appends text with bytes that are no UTF-8, and NULs, replaced. */
void data_utf8(strbuf *out, const char *s, size_t n);

/* A stream of draws that belongs to one example. */
typedef struct draws {
    uint64_t seed, example, count;
} draws;
int draw_below(draws *d, int n); /* 0..n-1 */

#endif
