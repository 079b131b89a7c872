/* worker.c - two queues under one lock; the thread takes commands, leaves events and rings an eventfd. */
#include "tui/worker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/mem.h"

typedef enum work_kind { WORK_OPEN, WORK_COMMIT, WORK_PROPOSE } work_kind;

typedef struct work {
    work_kind kind;
    int pane;
    unsigned epoch;
    const step_record *rec;
    const policy *policy;
    param_set params;
    uint64_t seed;
    bool no_proposal; /* cancelled while it waited: do the rest only */
    struct work *next;
} work;

typedef struct event_node {
    worker_event ev;
    struct event_node *next;
} event_node;

struct worker {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    int fd;
    atomic_bool cancel; /* read by the engine; set and cleared under the lock */

    /* Under the lock. */
    work *first, **last;
    event_node *events, **last_event;
    unsigned epoch[WORKER_PANES];
    bool running, quit;
    int running_pane;

    /* The thread's own. */
    denoiser *d;
    session *sessions[WORKER_PANES];
    int32_t *prompt;
    int n_prompt, length;
};

/* Events -------------------------------------------------------------- */

void worker_event_release(worker_event *ev) {
    record_unref(ev->rec);
    free((void *)(uintptr_t)ev->head.start);
    *ev = (worker_event){0};
}

static void ring(worker *w) {
    uint64_t one = 1;
    while (write(w->fd, &one, sizeof one) < 0 && errno == EINTR) {}
}

/* Takes over rec and head.start. */
static void push_event(worker *w, const worker_event *ev) {
    event_node *node = mem_new(1, sizeof *node);
    if (!node) {
        worker_event lost = *ev;
        worker_event_release(&lost);
        return;
    }
    node->ev = *ev;
    pthread_mutex_lock(&w->lock);
    *w->last_event = node;
    w->last_event = &node->next;
    pthread_mutex_unlock(&w->lock);
    ring(w);
}

static void push_failure(worker *w, const work *job, const err *e, bool opening) {
    worker_event ev = {.kind = e->code == ERR_CANCELLED ? EVENT_CANCELLED : EVENT_FAILED,
                       .pane = job->pane,
                       .epoch = job->epoch,
                       .opening = opening};
    snprintf(ev.msg, sizeof ev.msg, "%s", e->msg);
    push_event(w, &ev);
}

bool worker_next(worker *w, worker_event *ev) {
    for (;;) {
        pthread_mutex_lock(&w->lock);
        event_node *node = w->events;
        if (node) {
            w->events = node->next;
            if (!w->events) w->last_event = &w->events;
        } else {
            uint64_t count;
            ssize_t got = read(w->fd, &count, sizeof count); /* nonblocking; empties the bell */
            (void)got;
        }
        bool stale = node && node->ev.epoch != w->epoch[node->ev.pane];
        pthread_mutex_unlock(&w->lock);
        if (!node) return false;
        *ev = node->ev;
        free(node);
        if (!stale) return true;
        worker_event_release(ev);
    }
}

int worker_fd(const worker *w) {
    return w->fd;
}

/* The thread ---------------------------------------------------------- */

/* Every job is answered, or the pane would stay busy for ever. */
static bool refuse_without_session(worker *w, const work *job) {
    err e = {0};
    if (w->sessions[job->pane]) return false;
    err_set(&e, ERR_BAD_ARGUMENT, "not started; a takes another policy, X restarts");
    push_failure(w, job, &e, false);
    return true;
}

static void propose(worker *w, const work *job) {
    err e = {0};
    worker_event ev = {.kind = EVENT_PROPOSED, .pane = job->pane, .epoch = job->epoch};
    if (refuse_without_session(w, job)) return;
    if (job->no_proposal) {
        push_event(w, &(worker_event){.kind = EVENT_CANCELLED, .pane = job->pane, .epoch = job->epoch});
        return;
    }
    if (session_propose(w->sessions[job->pane], &ev.rec, &e)) {
        push_failure(w, job, &e, false);
    } else {
        push_event(w, &ev);
    }
}

static void open_session(worker *w, const work *job) {
    err e = {0};
    session_opts o = {.prompt = w->prompt,
                      .n_prompt = w->n_prompt,
                      .length = w->length,
                      .policy = job->policy,
                      .params = job->params,
                      .seed = job->seed,
                      .observe_tis = true,
                      .cancel = &w->cancel};
    session_close(w->sessions[job->pane]);
    w->sessions[job->pane] = NULL;
    if (session_open(&w->sessions[job->pane], w->d, &o, &e)) {
        push_failure(w, job, &e, true);
        return;
    }
    worker_event ev = {.kind = EVENT_OPENED, .pane = job->pane, .epoch = job->epoch};
    session_header(w->sessions[job->pane], &ev.head);
    ev.head.start = mem_copy(ev.head.start, (size_t)ev.head.n_tokens, sizeof *ev.head.start);
    if (!ev.head.start) {
        err_set(&e, ERR_NO_MEMORY, "out of memory");
        push_failure(w, job, &e, true);
        return;
    }
    push_event(w, &ev);
    propose(w, job);
}

static void commit(worker *w, const work *job) {
    err e = {0};
    if (refuse_without_session(w, job)) return;
    if (session_commit(w->sessions[job->pane], job->rec, &e)) {
        push_failure(w, job, &e, false);
    } else {
        propose(w, job);
    }
}

static void free_work(work *job) {
    record_unref(job->rec);
    free(job);
}

/* Under the lock: the first waiting job, or NULL. Jobs for a session that has been replaced are thrown away.
 */
static work *pop_work(worker *w) {
    for (work *job; (job = w->first);) {
        w->first = job->next;
        if (!w->first) w->last = &w->first;
        if (job->epoch == w->epoch[job->pane]) return job;
        free_work(job);
    }
    return NULL;
}

static work *take_work(worker *w) {
    work *job = NULL;
    pthread_mutex_lock(&w->lock);
    w->running = false;
    while (!w->quit && !(job = pop_work(w))) pthread_cond_wait(&w->wake, &w->lock);
    if (job) {
        w->running = true;
        w->running_pane = job->pane;
        atomic_store(&w->cancel, false);
    }
    pthread_mutex_unlock(&w->lock);
    return job;
}

static void *run(void *arg) {
    static void (*const doing[])(worker *, const work *) = {
        [WORK_OPEN] = open_session, [WORK_COMMIT] = commit, [WORK_PROPOSE] = propose};
    worker *w = arg;
    for (work *job; (job = take_work(w));) {
        doing[job->kind](w, job);
        free_work(job);
    }
    for (int i = 0; i < WORKER_PANES; i++) session_close(w->sessions[i]);
    return NULL;
}

/* Commands ------------------------------------------------------------ */

static void post(worker *w, const work *job) {
    work *copy = mem_copy(job, 1, sizeof *job);
    if (!copy) {
        record_unref(job->rec);
        return;
    }
    pthread_mutex_lock(&w->lock);
    if (copy->kind == WORK_OPEN) {
        w->epoch[copy->pane]++;
        if (w->running && w->running_pane == copy->pane) atomic_store(&w->cancel, true);
    }
    copy->epoch = w->epoch[copy->pane];
    *w->last = copy;
    w->last = &copy->next;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

void worker_open(worker *w, int pane, const policy *p, const param_set *params, uint64_t seed) {
    post(w, &(work){.kind = WORK_OPEN, .pane = pane, .policy = p, .params = *params, .seed = seed});
}

void worker_commit(worker *w, int pane, const step_record *r) {
    post(w, &(work){.kind = WORK_COMMIT, .pane = pane, .rec = record_ref(r)});
}

void worker_propose(worker *w, int pane) {
    post(w, &(work){.kind = WORK_PROPOSE, .pane = pane});
}

/* The running job sees the flag. A waiting one keeps what it must change (open, commit) and loses its
 * proposal. */
void worker_cancel(worker *w) {
    pthread_mutex_lock(&w->lock);
    for (work *job = w->first; job; job = job->next) job->no_proposal = true;
    if (w->running) atomic_store(&w->cancel, true);
    pthread_mutex_unlock(&w->lock);
}

/* Life ---------------------------------------------------------------- */

/* Signals are for the screen's thread; only those that a fault of this thread raises come here. */
static int start_thread(worker *w) {
    sigset_t all, before;
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    sigfillset(&all);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) sigdelset(&all, faults[i]);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int rc = pthread_create(&w->thread, NULL, run, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

int worker_start(worker **out, denoiser *d, const int32_t *prompt, int n_prompt, int length, err *e) {
    *out = NULL;
    worker *w = mem_new(1, sizeof *w);
    if (!w) return err_set(e, ERR_NO_MEMORY, "worker: out of memory");
    w->d = d;
    w->n_prompt = n_prompt;
    w->length = length;
    w->last = &w->first;
    w->last_event = &w->events;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->wake, NULL);
    w->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    w->prompt = mem_copy(prompt, (size_t)n_prompt, sizeof *prompt);
    if (w->fd < 0 || !w->prompt || start_thread(w)) {
        if (w->fd >= 0) close(w->fd);
        free(w->prompt);
        free(w);
        return err_set(e, ERR_NO_MEMORY, "worker: cannot start a thread: %s", strerror(errno));
    }
    *out = w;
    return 0;
}

static bool join_within(pthread_t thread, double seconds) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += (time_t)seconds;
    until.tv_nsec += (long)((seconds - (double)(time_t)seconds) * 1e9);
    if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
    return !pthread_timedjoin_np(thread, NULL, &until);
}

bool worker_stop(worker *w, double seconds) {
    if (!w) return true;
    pthread_mutex_lock(&w->lock);
    w->quit = true;
    atomic_store(&w->cancel, true);
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
    if (!join_within(w->thread, seconds)) {
        pthread_detach(w->thread);
        return false;
    }
    for (work *job; (job = w->first);) {
        w->first = job->next;
        free_work(job);
    }
    for (event_node *node; (node = w->events);) {
        w->events = node->next;
        worker_event_release(&node->ev);
        free(node);
    }
    close(w->fd);
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->wake);
    free(w->prompt);
    free(w);
    return true;
}
