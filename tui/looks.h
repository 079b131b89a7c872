/* looks.h - closer looks at the states on screen (inspect.h): which are wanted, which are known.
 *
 * What is shown decides what is wanted: a detail view or a colouring asks for its own look at the state
 * shown, once, and only while nothing else is computed. Answers are kept, so that going back shows them
 * at once. A look that a person cancelled or that failed is not asked for again until something changes.
 */
#ifndef TABES_TUI_LOOKS_H
#define TABES_TUI_LOOKS_H

#include "tui/tui.h"
#include "tui/worker.h"

typedef struct app app;
typedef struct pane pane;

typedef struct looks {
    const inspection **at; /* oldest first */
    int n;
    size_t cap;                                        /* private */
    const inspection *shown[TUI_MAX_PANES][N_INSPECT]; /* of the states shown; NULL: not known; lent */
    double clip[TUI_MAX_PANES];       /* 95th percentile of |influence| of shown[], the diagonal left out */
    uint64_t clip_key[TUI_MAX_PANES]; /* private: of which look */
    double top[TUI_MAX_PANES];        /* the largest attention of shown[], of the head that is chosen */

    bool waiting; /* for `key`, since `since` (clock_now) */
    uint64_t key;
    double since;
    uint64_t given_up;
    char error[400]; /* why it failed; empty when a person cancelled */

    bool whole_run;  /* truth checks of every state of the focused pane are wanted */
    int run_left;    /* of them still to be made */
    bool settled_by; /* influence: who settles the cursor, rather than whom it settles */
    int layer, head; /* attention; head -1: the mean over heads */
} looks;

/* Is there a model to look with? */
bool looks_possible(const app *a);
int looks_refuse(err *e); /* says how to have one */

/* Was the pane's trajectory made by that model? */
bool looks_of(const app *a, const pane *p);

/* Asks for what is wanted and not known, if anything; true while an answer is awaited. */
bool looks_ask(app *a);
/* An EVENT_INSPECTED. */
void looks_answer(app *a, worker_event *ev);
/* Nothing more is asked for until something changes. */
void looks_give_up(app *a);
/* shown[] follows the states shown. */
int looks_resolve(app *a, err *e) MUST_CHECK;
void looks_release(looks *l);

/* The truth check at state n of a pane, or NULL. tokens [n_tokens] is scratch. */
const inspection *looks_truth_at(const app *a, int i, int n, int32_t *tokens);

/* How much `from` settles `to`; false when either is not masked, or both are one. */
bool looks_influence_between(const influence_view *f, int from, int to, double *v);
/* Signed value of the influence between the cursor and `pos` in the direction that is chosen; false when
 * there is none. */
bool looks_influence(const app *a, int i, int pos, double *v);
/* Attention from the cursor to `pos`, of the chosen head or the mean over heads. */
bool looks_attention(const app *a, int i, int pos, double *v);
/* Sets clip[i] and top[i]. */
void looks_measure(app *a, int i);
/* π(token now there) at a written position with that position masked again. */
bool looks_lock_in(const app *a, int i, int pos, double *p, bool *disagrees);

/* Keys and commands. */
unsigned app_look_influence(app *a, int count);
unsigned app_look_truth(app *a, int count);
unsigned app_look_run(app *a, int count);
unsigned app_look_scores(app *a, int count);
unsigned app_look_attention(app *a, int count); /* with a count: of that layer */
/* From 0; head -1: the mean. The view opens. */
int app_look_at_layer(app *a, int n, err *e) MUST_CHECK;
int app_look_at_head(app *a, int head, err *e) MUST_CHECK;
unsigned app_look_head_next(app *a, int count);
unsigned app_look_head_prev(app *a, int count);
unsigned app_look_lock_in(app *a, int count);

#endif
