/* workbench.h - the whole workbench in memory, for targets that press its keys and run its commands.
 *
 * What is shown is made once and shared by all inputs; the app itself is opened for every input and closed
 * again, so that an input by itself tells what happens. Between opening and closing paths are those of
 * sandbox.h, where two recordings lie as `a.jsonl` and `b.jsonl`, and branches as `c.jsonl`.
 */
#ifndef TABES_FUZZ_WORKBENCH_H
#define TABES_FUZZ_WORKBENCH_H

#include <stdint.h>

#include "tui/app.h"

typedef enum fuzz_show {
    FUZZ_LIVE,     /* two panes of a decode by a model small enough to check by hand */
    FUZZ_REPLAYS,  /* two recordings of that model, which looks ask */
    FUZZ_BRANCHES, /* branches */
    FUZZ_LESSON,   /* a lesson, live */
    FUZZ_N_SHOWS
} fuzz_show;

void fuzz_workbench_open(app *a, fuzz_show what);
/* A live decode beside a lesson that an input brought. */
void fuzz_workbench_open_lesson(app *a, const lesson *l);
/* Over what an input brought; false when the app refuses it. */
bool fuzz_workbench_open_files(app *a, replay *const *files, int n, const tree_file *trees);
void fuzz_workbench_close(app *a);

/* Until nothing is computed or played any more; script lines that wait are run. A state that never settles
 * aborts. */
void fuzz_workbench_settle(app *a);

/* One frame. The grid stays valid until the next one. */
const cells *fuzz_workbench_draw(app *a, int cols, int rows);

/* The model of the live decodes. */
const model *fuzz_workbench_model(void);

#endif
