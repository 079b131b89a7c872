/* task.h - what is evaluated: examples with prompts, and who says whether an answer is right.
 *
 * A task is a table of functions, one file each. Examples are generated, or read from the file of a public
 * data set in its own layout. Generated examples do not depend on how many are asked for: the first ten of
 * twenty are the ten. A check sees text only, so it does not know which model or policy wrote it.
 *
 *     example_set set = {0};
 *     task_examples(task_find("sudoku"), &(task_opts){.n = 20}, &set, &e);
 *     task->check(&set.items[0], text, n) == VERDICT_RIGHT ...
 *     example_set_release(&set);
 */
#ifndef TABES_EVAL_TASK_H
#define TABES_EVAL_TASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/arena.h"
#include "engine/base/status.h"
#include "engine/base/strbuf.h"

typedef enum verdict { VERDICT_NONE = -1, VERDICT_WRONG, VERDICT_RIGHT } verdict;

/* All text is NUL-terminated and lives in the set's arena. */
typedef struct example {
    const char *id;     /* unique within its set: "sudoku-17", "HumanEval/3" */
    const char *prompt; /* `<mask>` where a position is to be filled */
    const char *answer; /* what the check compares with, in the task's own form; NULL: nothing to compare */
} example;

typedef struct example_set {
    arena mem;
    example *items;
    int n;
    size_t cap; /* private */
} example_set;

typedef struct task_opts {
    const char *data; /* a file in the task's layout, or NULL: generate */
    int n;            /* at most so many; 0: all of a file, TASK_DEFAULT_N generated ones */
    int clues;        /* generated Sudoku: clues left, or 0 for the default */
} task_opts;

enum {
    TASK_DEFAULT_N = 50,
    TASK_MAX_N = 1000000,
    SUDOKU_CLUES = 34,
    SUDOKU_MIN_CLUES = 24,
    SUDOKU_MAX_CLUES = 80
};

typedef struct task {
    const char *name, *summary;
    const char *bundled; /* file of the program's examples/models that is read without `data`, or NULL */
    int length;          /* masks appended unless told otherwise; 0: the prompts have gaps of their own */
    bool whole;          /* the whole text is judged, prompt included, not only what was generated */
    bool text;           /* there is no right answer: perplexities and diversity are measured */
    /* For small models that know the task's notation and no words: appends the prompt in it; with the masks
     * that such an answer takes. NULL: there is one notation only. */
    void (*brief)(const example *x, strbuf *out);
    int brief_length;
    int (*generate)(example_set *s, const task_opts *o, err *e); /* NULL: needs a file */
    int (*load)(example_set *s, const char *text, size_t n, int max,
                err *e); /* message without the file's name */
    verdict (*check)(const example *x, const char *text, size_t n);
    /* Appends one line in the form of the data set's public harness; NULL: {"id", "text"}. */
    int (*sample)(const example *x, const char *text, size_t n, strbuf *out, err *e);
} task;

/* Every task in the order of the help, NULL-terminated; by name (NULL when unknown); "sudoku, countdown,
 * ...". */
extern const task *const tasks[];
const task *task_find(const char *name);
const char *task_names(void);

/* Examples of a task into an empty set; released on failure. Refuses duplicate ids and sets without examples.
 */
int task_examples(const task *t, const task_opts *o, example_set *out, err *e) MUST_CHECK;

/* A line of a samples file: the task's own form, or {"id", "text"}. */
int task_sample(const task *t, const example *x, const char *text, size_t n, strbuf *out, err *e) MUST_CHECK;

/* Copies. Texts may be NULL where the struct allows it. */
int example_add(example_set *s, const char *id, const char *prompt, const char *answer, err *e) MUST_CHECK;
void example_set_release(example_set *s);

#endif
