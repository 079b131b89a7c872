/* script.h - commands waiting to be run, each with where it was written.
 *
 * Config file, --script, --exec and `source` all queue their lines here; the loop takes one whenever
 * the one before has come to its end. A sourced file's lines come before those that wait.
 */
#ifndef TABES_TUI_SCRIPT_H
#define TABES_TUI_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/status.h"

enum { SCRIPT_MAX_LINES = 100000, SCRIPT_MAX_BYTES = 1 << 20, SCRIPT_MAX_DEPTH = 16 };

typedef struct script_line {
    char *text;
    char *where;  /* "demo.tabes:3" */
    int depth;    /* of `source` */
    bool lenient; /* of a config file: what follows a bad line is still run */
} script_line;

typedef struct script {
    script_line *at; /* the next one is the last: sourced lines are pushed on top */
    size_t n, cap;
    int depth;         /* of the line that runs */
    int n_bad;         /* bad lenient lines so far */
    char first[400];   /* what the first of them said */
    char running[400]; /* where of the line that ran last; empty after it was seen to its end */
} script;

/* All of the text or nothing. Lines of a file end at newlines; `exec` lines at ';' outside of quotes too. */
int script_push(script *s, const char *name, const char *text, bool exec, bool lenient, err *e) MUST_CHECK;
int script_push_file(script *s, const char *path, bool lenient, err *e) MUST_CHECK;
void script_drop(script *s); /* what waits */
/* Lines that wait and whose place begins so: are there any, and drop them. */
bool script_has(const script *s, const char *place);
void script_drop_of(script *s, const char *place);
void script_release(script *s);

struct app;
/* Runs the next line; flags of the app are added. An error of a line that is not lenient is returned with its
 * place in front, and the rest is dropped. */
int script_step(struct app *a, unsigned *flags, err *e) MUST_CHECK;
static inline bool script_waits(const script *s) {
    return s->n > 0 || s->running[0];
}

#endif
