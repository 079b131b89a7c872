/* worker_impl.h - private to worker.c (queues, threads, commands) and worker_jobs.c (what a lane does).
 *
 * A lane is a thread with a denoiser, a queue of jobs and a cancel flag. Every pane belongs to one lane for
 * good, so a pane's jobs keep their order and its session never changes threads. A look at a state waits in
 * a place of its own, behind all jobs, and a job that comes while one runs cuts it short.
 */
#ifndef TABES_TUI_WORKER_IMPL_H
#define TABES_TUI_WORKER_IMPL_H

#include <pthread.h>

#include "tui/worker.h"

typedef enum work_kind {
    WORK_OPEN,
    WORK_COMMIT,
    WORK_PROPOSE,
    WORK_SEEK,
    WORK_CLOSE,
    WORK_INSPECT,
    N_WORK
} work_kind;

/* Where a pane is sent: a decode and a state of it. The record holds the setting of that state. */
typedef struct place {
    session_opts opts; /* prompt: the start tokens */
    int32_t *start, *tokens;
    session_state state;
    trajectory past; /* what `state.from` names: records are shared, nobody else's list is read */
    step_record *setting;
} place;

typedef struct work {
    work_kind kind;
    int pane;
    unsigned epoch;
    const step_record *rec;
    const policy *policy;
    param_set params;
    uint64_t seed;
    place *to;        /* of WORK_SEEK and WORK_INSPECT */
    inspect_req look; /* of WORK_INSPECT */
    bool quiet;       /* of WORK_SEEK: no proposal is wanted */
    bool no_proposal; /* cancelled while it waited: do the rest only */
    /* What comes before the proposal is done, perhaps while the job still waited, and went so. */
    bool begun;
    err begin;
    struct work *next;
} work;

typedef struct event_node {
    worker_event ev;
    struct event_node *next;
    bool spare, queued; /* one of worker.spare; it is in the queue */
} event_node;

typedef struct lane {
    worker *w;
    pthread_t thread;
    pthread_cond_t wake;
    atomic_bool cancel;  /* read by the engine; set and cleared under the lock */
    denoiser *d;         /* of lane 0 the one that was given, of others a fork; the thread's own */
    session *looker;     /* goes where looks are wanted; the thread's own */
    shared_pass *shared; /* of all sessions of the lane; NULL: there was no memory, and each has its own */

    /* Under the lock. */
    work *first, **last;
    work *look; /* waits until nothing else does */
    bool running, looking, gave_way;
    int running_pane;
} lane;

struct worker {
    pthread_mutex_t lock;
    int fd;

    /* Fixed before the first command. */
    lane lanes[WORKER_PANES];
    int n_lanes;
    int32_t *prompt;
    int n_prompt, length;
    char sharing[400]; /* why panes share a lane that should have their own; else "" */

    /* Under the lock. */
    event_node *events, **last_event;
    event_node spare[WORKER_PANES][2]; /* for an answer, and for one to a look, when memory is short */
    unsigned epoch[WORKER_PANES];
    bool quit;
    int holding; /* no job is taken while this is above 0 */

    session *sessions[WORKER_PANES]; /* each its lane's own */
};

/* Takes over rec, look and head.start. */
void worker_push(worker *w, const worker_event *ev);

/* Does one job; every job is answered by an event, or the pane would stay busy for ever. */
void worker_do(lane *l, work *job);

/* The jobs behind `job`, first in the queue and each of another pane, that propose as well: at most n. They
 * stay in the queue, from which only the lane's thread takes them. */
int worker_company(lane *l, const work *job, work **out, int n);

#endif
