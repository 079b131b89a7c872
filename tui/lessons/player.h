/* player.h - a lesson being played in the workbench: which step, what was answered, what is highlighted.
 *
 * A step begins with the plain view (colour by state, inspector) and runs its commands from there, so that
 * stepping back shows the same again. Everything else works beside it; a viewer may explore and go on.
 */
#ifndef TABES_LESSON_PLAYER_H
#define TABES_LESSON_PLAYER_H

#include <stdbool.h>

#include "tui/lessons/lesson.h"

typedef struct app app;
typedef enum lesson_answer { ANSWER_NONE, ANSWER_SKIPPED, ANSWER_WRONG, ANSWER_RIGHT } lesson_answer;

typedef struct lesson_player {
    const lesson *l; /* borrowed; NULL: no lesson is played */
    int step;
    bool after;                              /* its second half is shown */
    lesson_answer answers[LESSON_MAX_STEPS]; /* the first one counts */
    unsigned (*held)(app *, int);            /* a key that came before these were done */
    int held_count;

    /* By lesson_update: of the half that is shown. */
    bool *marked; /* [n_tokens of the focused pane] */
    int n_marked, n_alloc;
    char missing[200]; /* why a highlight cannot be told; empty otherwise */
} lesson_player;

/* Opens the first step. */
int lesson_begin(app *a, const lesson *l, err *e) MUST_CHECK;
void lesson_end(app *a);
/* A key that came while a step was set up waits for it: is it time, and do it (APP_NONE: it was not). */
bool lesson_ready(const app *a);
unsigned lesson_tick(app *a);
/* Finds the highlights; call before drawing. */
int lesson_update(app *a, err *e) MUST_CHECK;

const lesson_step *lesson_now(const app *a); /* NULL without a lesson */
/* What waits for an answer: 0 nothing, -1 a position, n > 0 one of n choices. */
int lesson_asks(const app *a);
int lesson_count(const app *a, lesson_answer what); /* of all steps so far */
bool lesson_marks(const app *a, int i, int pos);

/* Keys and commands. */
unsigned app_lesson_next(app *a, int count);
unsigned app_lesson_back(app *a, int count);
/* count: the choice, from 1; of a question about a position the cursor answers. */
int app_lesson_answer(app *a, int count, err *e);

#endif
