/* reader.h - reading a lesson's text: where it stands, and how faults are told. Private to the parser.
 */
#ifndef TABES_LESSON_READER_H
#define TABES_LESSON_READER_H

#include "engine/base/strbuf.h"
#include "tui/lessons/lesson.h"

/* Where reading stands, and the act that is being filled. */
typedef struct lesson_reader {
    lesson *l;
    const char *line, *end; /* the current line */
    int number;
    lesson_step *step; /* NULL: in the head */
    lesson_act *act;
    strbuf text, commands, marks; /* of the act */
    bool gap;                     /* an empty line came: a new paragraph */
    err *e;
} reader;

/* The error with FILE:LINE:COLUMN before it; `at` lies in the current line. */
int fault(const reader *r, const char *at);
#define FAULT(r, at, ...) (err_set((r)->e, ERR_BAD_FORMAT, __VA_ARGS__), (void)fault(r, at), ERR_BAD_FORMAT)
int no_memory(const reader *r);

/* A copy that lives as long as the lesson; NULL: out of memory. */
char *keep(reader *r, const char *s, size_t n);
/* Without the blanks around it. */
const char *trimmed(const char *s, const char *end, size_t *n);
/* Is the line "key: value"? */
bool takes(const reader *r, const char *key, const char **value, size_t *n);
/* A value that is given once and not empty. */
int take_text(reader *r, const char *value, size_t n, const char **out);

/* A line before the first step, and whether all that is needed was there (head.c). */
int head_line(reader *r);
int end_head(reader *r);
/* "== TITLE", "--", the other lines of a step, and the end of the last one (steps.c). */
int begin_step(reader *r, const char *title, size_t n);
int begin_after(reader *r);
int step_line(reader *r);
int end_step(reader *r);

#endif
