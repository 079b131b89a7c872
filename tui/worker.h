/* worker.h - the threads that compute: one, or one per pane where steps can overlap.
 *
 * It owns the denoiser and one session per pane while it lives. The UI posts commands and reads
 * events; what crosses is immutable (step records, by reference) or copied (headers, messages).
 * After opening and after every commit the worker proposes the next record by itself, so the state
 * on screen has its entropies and scores before the step is taken.
 *
 * Where forks of the denoiser compute at the same time (denoiser_info.overlaps) each of the first n_panes
 * panes has a thread and a denoiser of its own, and they do not wait for each other; later panes share those.
 * Elsewhere, and where a fork cannot be had, one thread serves all panes in the order of the commands.
 * Panes that stand before equal canvases one after the other then read one pass of the network
 * (shared_pass.h), and where several wait to propose, their passes run as one forward (session_batch.h)
 * before the first of them does: commits and seeks of those that wait are done by then, and everything is
 * answered in the order of the commands all the same, each pane by its own faults. What a pane proposes does
 * not depend on the others.
 *
 *     worker_start(&w, denoiser, n_panes, prompt, n, length, &e);
 *     worker_open(w, 0, policy, &params, seed);          -> EVENT_OPENED, EVENT_PROPOSED
 *     worker_commit(w, 0, record);                       -> EVENT_PROPOSED (record NULL: the decode is done)
 *     poll(worker_fd(w));  while (worker_next(w, &ev)) { ... worker_event_release(&ev); }
 *     worker_stop(w);
 *
 * worker_seek takes a pane to any state of any decode: undo, branches and edits of the past come here.
 *
 * Opening a pane again replaces its session: what was running or waiting for the old one is given up
 * silently.
 */
#ifndef TABES_TUI_WORKER_H
#define TABES_TUI_WORKER_H

#include "engine/engine.h"

enum { WORKER_PANES = 4 };

typedef struct worker worker;

typedef enum event_kind {
    EVENT_OPENED,    /* head is set; the caller takes over head.start (worker_event_release frees it
                      * otherwise). msg: empty, or why this pane shares a thread that it should not */
    EVENT_PROPOSED,  /* rec, or NULL when nothing is left to write */
    EVENT_CANCELLED, /* the proposal was given up; the session is unchanged */
    EVENT_INSPECTED, /* look, or NULL: cut short (gave_way: by a job), or failed (msg). Never stale; key tells
                      * which */
    EVENT_FAILED     /* msg says why; `opening` tells whether there is no session now. Otherwise the session
                      * is unchanged, and asking again may succeed (memory) or not (a lost device) */
} event_kind;

typedef struct worker_event {
    event_kind kind;
    int pane;
    unsigned epoch;
    const step_record *rec;
    traj_header head;
    bool opening;
    const inspection *look;
    uint64_t key;
    bool gave_way;
    k_memory memory; /* of the device, after a proposal that was made or failed; zeros otherwise */
    char msg[400];
} worker_event;

/* The prompt is copied; the denoiser is the worker's until worker_stop. */
int worker_start(worker **out, denoiser *d, int n_panes, const int32_t *prompt, int n_prompt, int length,
                 err *e) MUST_CHECK;

/* Cancels what runs and waits up to `seconds` for the threads. False: one is still inside a long operation;
 * the worker and what it uses (denoiser, prompt) then stay alive, and the process should end without freeing
 * them. NULL is fine. */
bool worker_stop(worker *w, double seconds);

void worker_open(worker *w, int pane, const policy *p, const param_set *params, uint64_t seed);
void worker_commit(worker *w, int pane, const step_record *r); /* takes its own reference */
void worker_propose(worker *w, int pane);                      /* again, after a cancellation */
void worker_close(worker *w, int pane); /* its session goes; what ran or waited for it is given up silently */

/* What is posted between the two waits for the second and then for each lane stands there together, so that
 * panes of one lane can run their passes in one forward. They may nest. NULL is fine. */
void worker_hold(worker *w);
void worker_go(worker *w);

/* A pane goes to another state, perhaps of another decode: `h` names its start, policy, parameters and seed.
 * What ran or waited for the pane is given up silently, as by worker_open, but no EVENT_OPENED comes. With
 * `propose`, EVENT_PROPOSED follows; without, the caller has the proposal of that state already. Everything
 * is copied. */
int worker_seek(worker *w, int pane, const traj_header *h, const session_state *to, bool propose,
                err *e) MUST_CHECK;

/* A closer look at any state of any decode (inspect.h), by a session of its own: EVENT_INSPECTED. It runs
 * when nothing else waits for that lane, and jobs that come later cut it short; so does a newer look, and one
 * that has not begun is then not answered. Everything is copied but q->tuning. */
int worker_inspect(worker *w, int pane, const traj_header *h, const session_state *to, const inspect_req *q,
                   err *e) MUST_CHECK;

/* Give up what runs now and what waits. Each given-up proposal is answered by EVENT_CANCELLED. Opening and
 * committing are never lost. */
void worker_cancel(worker *w);

/* Readable while events wait. */
int worker_fd(const worker *w);
bool worker_next(worker *w, worker_event *ev);
void worker_event_release(worker_event *ev);

#endif
