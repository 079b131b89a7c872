/* lesson.h - a guided lesson: what it opens, and steps of text, commands, highlights and questions.
 *
 * Lessons are text files from teachers (docs/lessons.md has the format), read strictly: the first fault is
 * reported as FILE:LINE:COLUMN. Text is shown and never run; commands are those of command.h, less the ones
 * that write or read files. A lesson is immutable once read.
 */
#ifndef TABES_LESSON_H
#define TABES_LESSON_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/arena.h"
#include "engine/base/status.h"

enum {
    LESSON_MAX_BYTES = 64 << 10,
    LESSON_MAX_STEPS = 64,
    LESSON_MAX_CHOICES = 9,
    LESSON_MAX_PANES = 4,
    LESSON_MAX_SETTINGS = 16,
    LESSON_PATH = 4096
};

/* One half of a step: before the answer, and after it (or after the next key, when nothing is asked). */
typedef struct lesson_act {
    const char *text;     /* paragraphs, parted by newlines; holds placeholders; "" without */
    const char *commands; /* one a line; "" without */
    const char *marks;    /* positions to highlight, a set (sets.h); "" without */
    int line;             /* of the file, where it begins */
} lesson_act;

typedef struct lesson_step {
    const char *title;
    lesson_act before, after;
    bool has_after;
    const char *question; /* NULL: nothing is asked */
    int n_choices,
        right; /* right: index of the right choice; of a question about a position n_choices is 0 */
    const char *choices[LESSON_MAX_CHOICES];
    const char *place; /* a set: the positions that answer; NULL with choices */
} lesson_step;

typedef struct lesson_setting {
    const char *name, *value;
} lesson_setting;

typedef struct lesson {
    char name[64]; /* of the file, without folders and ending */
    char path[LESSON_PATH];
    const char *title, *about;
    int order; /* among the lessons, lower first */

    /* What it opens: a model with prompt and policies, or recordings. Paths are as the program can open them.
     */
    const char *model;                /* a name or a folder; NULL: with recordings, no closer looks */
    const char *prompt, *prompt_file; /* at most one; neither: masks alone */
    int length;                       /* masks behind the prompt */
    const char *policies[LESSON_MAX_PANES];
    const char *replays[LESSON_MAX_PANES];
    int n_policies, n_replays;
    lesson_setting settings[LESSON_MAX_SETTINGS]; /* policy parameters, of each policy that has them */
    int n_settings;
    uint64_t seed;

    int n_steps;
    lesson_step *steps;
    arena mem; /* private */
} lesson;

/* `path` names the text in messages, and paths in it are taken from there. Free with lesson_free. */
int lesson_parse(lesson **out, const char *text, size_t n, const char *path, err *e) MUST_CHECK;
int lesson_load(lesson **out, const char *path, err *e) MUST_CHECK;
void lesson_free(lesson *l); /* NULL is fine */

#endif
