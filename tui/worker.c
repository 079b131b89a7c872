/* worker.c - lanes and one queue of events under one lock. */
#include "tui/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/mem.h"
#include "tui/worker_impl.h"

static lane *lane_of(worker *w, int pane) {
    return &w->lanes[pane % w->n_lanes];
}

/* Events -------------------------------------------------------------- */

void worker_event_release(worker_event *ev) {
    record_unref(ev->rec);
    inspection_unref(ev->look);
    /* The event is emptied, so it is not freed twice. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
    free((void *)(uintptr_t)ev->head.start);
    *ev = (worker_event){0};
}

static void ring(worker *w) {
    uint64_t one = 1;
    while (write(w->fd, &one, sizeof one) < 0 && errno == EINTR) {}
}

/* Under the lock. */
static void enqueue(worker *w, event_node *node) {
    node->next = NULL;
    *w->last_event = node;
    w->last_event = &node->next;
}

/* Memory is short for an event, or for a job that would have led to one. That is the answer then, or the pane
 * would wait for ever; one that waits already says it for both. */
static void push_shortage(worker *w, const worker_event *ev) {
    bool look = ev->kind == EVENT_INSPECTED;
    pthread_mutex_lock(&w->lock);
    event_node *node = &w->spare[ev->pane][look];
    if (!node->queued) {
        *node = (event_node){.spare = true, .queued = true};
        node->ev = (worker_event){.kind = look ? EVENT_INSPECTED : EVENT_FAILED,
                                  .pane = ev->pane,
                                  .epoch = ev->epoch,
                                  .key = ev->key,
                                  .opening = ev->opening || ev->kind == EVENT_OPENED};
        snprintf(node->ev.msg, sizeof node->ev.msg, "out of memory");
        enqueue(w, node);
    }
    pthread_mutex_unlock(&w->lock);
    ring(w);
}

void worker_push(worker *w, const worker_event *ev) {
    event_node *node = mem_new(1, sizeof *node);
    if (!node) {
        worker_event lost = *ev;
        push_shortage(w, ev);
        worker_event_release(&lost);
        return;
    }
    node->ev = *ev;
    pthread_mutex_lock(&w->lock);
    enqueue(w, node);
    pthread_mutex_unlock(&w->lock);
    ring(w);
}

/* Under the lock. */
static event_node *dequeue(worker *w) {
    event_node *node = w->events;
    if (node) w->events = node->next;
    if (!w->events) w->last_event = &w->events;
    return node;
}

static void drop_node(event_node *node) {
    node->queued = false;
    if (!node->spare) free(node);
}

bool worker_next(worker *w, worker_event *ev) {
    for (;;) {
        pthread_mutex_lock(&w->lock);
        event_node *node = dequeue(w);
        if (!node) {
            uint64_t count;
            ssize_t got = read(w->fd, &count, sizeof count); /* nonblocking; empties the bell */
            (void)got;
        }
        bool stale = node && node->ev.kind != EVENT_INSPECTED && node->ev.epoch != w->epoch[node->ev.pane];
        if (node) *ev = node->ev;
        if (node) drop_node(node);
        pthread_mutex_unlock(&w->lock);
        if (!node) return false;
        if (!stale) return true;
        worker_event_release(ev);
    }
}

int worker_fd(const worker *w) {
    return w->fd;
}

/* The thread ---------------------------------------------------------- */

static void free_place(place *to) {
    if (!to) return;
    record_unref(to->setting);
    trajectory_release(&to->past);
    free(to->start);
    free(to->tokens);
    free(to);
}

static void free_work(work *job) {
    free_place(job->to);
    record_unref(job->rec);
    free(job);
}

/* Under the lock: the first waiting job, else the look, or NULL. Jobs for a session that has been replaced
 * are thrown away. */
static work *pop_work(lane *l) {
    for (work *job; (job = l->first);) {
        l->first = job->next;
        if (!l->first) l->last = &l->first;
        if (job->epoch == l->w->epoch[job->pane]) return job;
        free_work(job);
    }
    work *look = l->look;
    l->look = NULL;
    return look;
}

static bool proposes(const work *job) {
    return job->kind == WORK_COMMIT || job->kind == WORK_PROPOSE || (job->kind == WORK_SEEK && !job->quiet);
}

int worker_company(lane *l, const work *job, work **out, int n) {
    bool here[WORKER_PANES] = {false};
    int found = 0;
    here[job->pane] = true;
    pthread_mutex_lock(&l->w->lock);
    for (work *at = l->first; at && found < n; at = at->next) {
        if (at->epoch != l->w->epoch[at->pane]) continue;
        if (!proposes(at) || at->no_proposal || here[at->pane]) break;
        here[at->pane] = true;
        out[found++] = at;
    }
    pthread_mutex_unlock(&l->w->lock);
    return found;
}

static work *take_work(lane *l) {
    worker *w = l->w;
    work *job = NULL;
    pthread_mutex_lock(&w->lock);
    l->running = l->looking = false;
    while (!w->quit && (w->holding || !(job = pop_work(l)))) pthread_cond_wait(&l->wake, &w->lock);
    if (job) {
        l->running = true;
        l->looking = job->kind == WORK_INSPECT;
        l->gave_way = false;
        l->running_pane = job->pane;
        atomic_store(&l->cancel, false);
    }
    pthread_mutex_unlock(&w->lock);
    return job;
}

static void *run(void *arg) {
    lane *l = arg;
    for (work *job; (job = take_work(l));) {
        worker_do(l, job);
        free_work(job);
    }
    session_close(l->looker);
    for (int i = 0; i < WORKER_PANES; i++) {
        if (lane_of(l->w, i) == l) session_close(l->w->sessions[i]);
    }
    return NULL;
}

/* Commands ------------------------------------------------------------ */

/* Under the lock: a running look ends now; it will be asked for again. */
static void give_way(lane *l) {
    if (!l->running || !l->looking) return;
    l->gave_way = true;
    atomic_store(&l->cancel, true);
}

static void post(worker *w, const work *job) {
    work *copy = mem_copy(job, 1, sizeof *job);
    lane *l = lane_of(w, job->pane);
    bool anew = job->kind == WORK_OPEN || job->kind == WORK_SEEK || job->kind == WORK_CLOSE;
    pthread_mutex_lock(&w->lock);
    give_way(l);
    if (anew) {
        w->epoch[job->pane]++;
        if (l->running && l->running_pane == job->pane) atomic_store(&l->cancel, true);
    }
    unsigned epoch = w->epoch[job->pane];
    if (copy) {
        copy->epoch = epoch;
        *l->last = copy;
        l->last = &copy->next;
    }
    pthread_cond_signal(&l->wake);
    pthread_mutex_unlock(&w->lock);
    if (copy) return;
    push_shortage(w,
                  &(worker_event){.kind = EVENT_FAILED, .pane = job->pane, .epoch = epoch, .opening = anew});
    record_unref(job->rec);
    free_place(job->to);
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

void worker_close(worker *w, int pane) {
    post(w, &(work){.kind = WORK_CLOSE, .pane = pane});
}

void worker_hold(worker *w) {
    if (!w) return;
    pthread_mutex_lock(&w->lock);
    w->holding++;
    pthread_mutex_unlock(&w->lock);
}

void worker_go(worker *w) {
    if (!w) return;
    pthread_mutex_lock(&w->lock);
    w->holding--;
    for (int i = 0; i < w->n_lanes && !w->holding; i++) pthread_cond_signal(&w->lanes[i].wake);
    pthread_mutex_unlock(&w->lock);
}

static int copy_place(place *to, const traj_header *h, const session_state *st, err *e) {
    const policy *p = policy_find(h->policy);
    if (!p) return err_set(e, ERR_BAD_ARGUMENT, "unknown policy %s", h->policy);
    to->start = mem_copy(h->start, (size_t)h->n_tokens, sizeof *h->start);
    to->tokens = mem_copy(st->tokens, (size_t)st->n, sizeof *st->tokens);
    to->setting = record_new();
    bool ok = to->start && to->tokens && to->setting;
    if (ok && st->setting) ok = record_set_setting(to->setting, st->setting);
    if (!ok) return err_set(e, ERR_NO_MEMORY, "out of memory for a state of %d tokens", st->n);
    to->state = *st;
    to->state.tokens = to->tokens;
    to->state.setting = to->setting->setting;
    int rc = st->from ? trajectory_fork(&to->past, st->from, st->k, e) : 0;
    if (rc) return rc;
    to->state.from = st->from ? &to->past : NULL;
    int n_prompt = session_prompt(h);
    to->opts = (session_opts){.prompt = to->start,
                              .n_prompt = n_prompt,
                              .length = h->n_tokens - n_prompt,
                              .policy = p,
                              .params = h->params,
                              .seed = h->seed,
                              .observe_tis = true};
    return 0;
}

int worker_seek(worker *w, int pane, const traj_header *h, const session_state *st, bool propose_too,
                err *e) {
    place *to = mem_new(1, sizeof *to);
    if (!to) return err_set(e, ERR_NO_MEMORY, "out of memory for a state of %d tokens", st->n);
    int rc = copy_place(to, h, st, e);
    if (rc) {
        free_place(to);
        return rc;
    }
    post(w, &(work){.kind = WORK_SEEK, .pane = pane, .to = to, .quiet = !propose_too});
    return 0;
}

/* The newest look takes the place of one that waits; the one that runs gives way. */
int worker_inspect(worker *w, int pane, const traj_header *h, const session_state *st, const inspect_req *q,
                   err *e) {
    place *to = mem_new(1, sizeof *to);
    work *job = mem_new(1, sizeof *job);
    int rc = to && job ? copy_place(to, h, st, e) : err_set(e, ERR_NO_MEMORY, "out of memory for a look");
    if (rc) {
        free_place(to);
        free(job);
        return rc;
    }
    *job = (work){.kind = WORK_INSPECT, .pane = pane, .to = to, .look = *q};
    lane *l = lane_of(w, pane);
    pthread_mutex_lock(&w->lock);
    give_way(l);
    work *old = l->look;
    l->look = job;
    pthread_cond_signal(&l->wake);
    pthread_mutex_unlock(&w->lock);
    if (old) free_work(old);
    return 0;
}

/* The running jobs see their flag. A waiting one keeps what it must change (open, commit) and loses its
 * proposal; a look is answered without having looked. */
void worker_cancel(worker *w) {
    pthread_mutex_lock(&w->lock);
    for (int i = 0; i < w->n_lanes; i++) {
        lane *l = &w->lanes[i];
        for (work *job = l->first; job; job = job->next) job->no_proposal = true;
        if (l->look) l->look->no_proposal = true;
        if (l->running) atomic_store(&l->cancel, true);
    }
    pthread_mutex_unlock(&w->lock);
}

/* Starting ------------------------------------------------------------ */

static void lane_init(worker *w, denoiser *d) {
    lane *l = &w->lanes[w->n_lanes++];
    l->w = w;
    l->d = d;
    l->last = &l->first;
    l->shared = shared_pass_new();
    pthread_cond_init(&l->wake, NULL);
}

/* The last one. */
static void lane_release(worker *w) {
    lane *l = &w->lanes[--w->n_lanes];
    for (work *job; (job = l->first);) {
        l->first = job->next;
        free_work(job);
    }
    if (l->look) free_work(l->look);
    pthread_cond_destroy(&l->wake);
    shared_pass_free(l->shared);
    if (w->n_lanes) denoiser_close(l->d); /* lane 0 only borrows */
}

/* Lanes for the panes after the first, while no thread uses the denoiser yet. */
static void fork_lanes(worker *w, denoiser *d, int n_panes) {
    while (w->n_lanes < n_panes && w->n_lanes < WORKER_PANES && denoiser_get_info(d)->overlaps) {
        err e = {0};
        denoiser *fork;
        if (denoiser_fork(&fork, d, &e)) {
            snprintf(w->sharing, sizeof w->sharing, "panes take turns: %.380s", e.msg);
            return;
        }
        lane_init(w, fork);
    }
}

/* Signals are for the screen's thread; only those that a fault of this thread raises come here. */
static int start_thread(lane *l) {
    sigset_t all, before;
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    sigfillset(&all);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) sigdelset(&all, faults[i]);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int rc = pthread_create(&l->thread, NULL, run, l);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

/* Lanes without a thread are given up; 0 when the first has one. A thread reads n_lanes only after a command
 * or at its end, and by then it is final. */
static int start_lanes(worker *w) {
    int rc = 0, n = 0;
    while (n < w->n_lanes && !(rc = start_thread(&w->lanes[n]))) n++;
    if (!rc || !n) return rc;
    snprintf(w->sharing, sizeof w->sharing, "panes take turns: cannot start a thread: %s", strerror(rc));
    while (w->n_lanes > n) lane_release(w);
    return 0;
}

/* When no thread is left. */
static void worker_free(worker *w) {
    while (w->n_lanes) lane_release(w);
    for (event_node *node; (node = w->events);) {
        w->events = node->next;
        worker_event_release(&node->ev);
        drop_node(node);
    }
    if (w->fd >= 0) close(w->fd);
    pthread_mutex_destroy(&w->lock);
    free(w->prompt);
    free(w);
}

int worker_start(worker **out, denoiser *d, int n_panes, const int32_t *prompt, int n_prompt, int length,
                 err *e) {
    *out = NULL;
    worker *w = mem_new(1, sizeof *w);
    if (!w) return err_set(e, ERR_NO_MEMORY, "worker: out of memory");
    w->n_prompt = n_prompt;
    w->length = length;
    w->last_event = &w->events;
    pthread_mutex_init(&w->lock, NULL);
    w->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    int rc = w->fd < 0 ? errno : 0;
    w->prompt = mem_copy(prompt, (size_t)n_prompt, sizeof *prompt);
    if (!w->prompt) rc = ENOMEM;
    lane_init(w, d);
    if (!rc) fork_lanes(w, d, n_panes);
    if (!rc) rc = start_lanes(w);
    if (rc) {
        worker_free(w);
        return err_set(e, ERR_NO_MEMORY, "worker: cannot start a thread: %s", strerror(rc));
    }
    *out = w;
    return 0;
}

/* Stopping ------------------------------------------------------------ */

static struct timespec after(double seconds) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_sec += (time_t)seconds;
    t.tv_nsec += (long)((seconds - (double)(time_t)seconds) * 1e9);
    if (t.tv_nsec >= 1000000000) t.tv_sec++, t.tv_nsec -= 1000000000;
    return t;
}

bool worker_stop(worker *w, double seconds) {
    if (!w) return true;
    pthread_mutex_lock(&w->lock);
    w->quit = true;
    for (int i = 0; i < w->n_lanes; i++) {
        atomic_store(&w->lanes[i].cancel, true);
        pthread_cond_signal(&w->lanes[i].wake);
    }
    pthread_mutex_unlock(&w->lock);
    const struct timespec until = after(seconds);
    bool stopped = true;
    for (int i = 0; i < w->n_lanes; i++) {
        if (!pthread_timedjoin_np(w->lanes[i].thread, NULL, &until)) continue;
        pthread_detach(w->lanes[i].thread);
        stopped = false;
    }
    if (stopped) worker_free(w);
    return stopped;
}
