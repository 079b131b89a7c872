/* lesson_list.h - the lessons that come with the program, in the order in which they are meant.
 */
#ifndef TABES_LESSON_LIST_H
#define TABES_LESSON_LIST_H

#include "tui/lessons/lesson.h"

enum { LESSON_MAX_FILES = 64 };

typedef struct lesson_list {
    int n;
    lesson *at[LESSON_MAX_FILES]; /* owned */
} lesson_list;

/* A lesson that cannot be read is an error of the whole. */
int lesson_list_open(lesson_list *l, err *e) MUST_CHECK;
void lesson_list_release(lesson_list *l);

/* By the name of a bundled lesson or, with a slash or ".lesson" in it, by file. */
int lesson_open(lesson **out, const char *name, err *e) MUST_CHECK;

#endif
