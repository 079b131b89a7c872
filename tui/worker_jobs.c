/* worker_jobs.c - what a lane does with its sessions, in its own thread. */
#include <stdio.h>
#include <string.h>

#include "engine/base/mem.h"
#include "tui/worker_impl.h"

static void push_failure(lane *l, const work *job, const err *e, bool opening) {
    worker_event ev = {.kind = e->code == ERR_CANCELLED ? EVENT_CANCELLED : EVENT_FAILED,
                       .pane = job->pane,
                       .epoch = job->epoch,
                       .opening = opening};
    denoiser_memory(l->d, &ev.memory);
    snprintf(ev.msg, sizeof ev.msg, "%s", e->msg);
    worker_push(l->w, &ev);
}

/* Every job is answered, or the pane would stay busy for ever. */
static bool refuse_without_session(lane *l, const work *job) {
    err e = {0};
    if (l->w->sessions[job->pane]) return false;
    err_set(&e, ERR_BAD_ARGUMENT, "not started; a takes another policy, X restarts");
    push_failure(l, job, &e, false);
    return true;
}

static void propose(lane *l, const work *job) {
    err e = {0};
    worker_event ev = {.kind = EVENT_PROPOSED, .pane = job->pane, .epoch = job->epoch};
    if (refuse_without_session(l, job)) return;
    if (job->no_proposal) {
        worker_push(l->w, &(worker_event){.kind = EVENT_CANCELLED, .pane = job->pane, .epoch = job->epoch});
        return;
    }
    if (session_propose(l->w->sessions[job->pane], &ev.rec, &e)) {
        push_failure(l, job, &e, false);
        return;
    }
    denoiser_memory(l->d, &ev.memory);
    worker_push(l->w, &ev);
}

static void open_session(lane *l, work *job) {
    err e = {0};
    worker *w = l->w;
    session **s = &w->sessions[job->pane];
    session_opts o = {.prompt = w->prompt,
                      .n_prompt = w->n_prompt,
                      .length = w->length,
                      .policy = job->policy,
                      .params = job->params,
                      .seed = job->seed,
                      .observe_tis = true,
                      .cancel = &l->cancel,
                      .shared = l->shared};
    session_close(*s);
    *s = NULL;
    if (session_open(s, l->d, &o, &e)) {
        push_failure(l, job, &e, true);
        return;
    }
    worker_event ev = {.kind = EVENT_OPENED, .pane = job->pane, .epoch = job->epoch};
    session_header(*s, &ev.head);
    ev.head.start = mem_copy(ev.head.start, (size_t)ev.head.n_tokens, sizeof *ev.head.start);
    if (!ev.head.start) {
        err_set(&e, ERR_NO_MEMORY, "out of memory");
        push_failure(l, job, &e, true);
        return;
    }
    snprintf(ev.msg, sizeof ev.msg, "%s", w->sharing);
    worker_push(w, &ev);
    propose(l, job);
}

static bool same_decode(const session *s, const place *to) {
    traj_header h;
    session_header(s, &h);
    return !strcmp(h.policy, to->opts.policy->name) && h.params.defs == to->opts.params.defs &&
           !memcmp(h.params.v, to->opts.params.v, (size_t)h.params.n * sizeof h.params.v[0]) &&
           h.seed == to->opts.seed && h.n_tokens == to->state.n &&
           !memcmp(h.start, to->start, (size_t)h.n_tokens * sizeof *h.start);
}

/* *s comes to the place; it is opened anew only when the state belongs to another decode. */
static int bring(lane *l, session **s, const place *to, err *e) {
    int rc = 0;
    if (*s && !same_decode(*s, to)) {
        session_close(*s);
        *s = NULL;
    }
    if (!*s) {
        session_opts o = to->opts;
        o.cancel = &l->cancel;
        o.shared = l->shared;
        rc = session_open(s, l->d, &o, e);
    }
    return rc ? rc : session_seek(*s, &to->state, e);
}

/* What a job does before it proposes. */
static void begin(lane *l, work *job) {
    session **s = &l->w->sessions[job->pane];
    if (job->begun) return;
    job->begun = true;
    int rc = 0;
    if (job->kind == WORK_SEEK) rc = bring(l, s, job->to, &job->begin);
    if (job->kind == WORK_COMMIT && *s) rc = session_commit(*s, job->rec, &job->begin);
    job->begin.code = rc;
}

/* Jobs that wait to propose in other panes begin now, and the passes of all of them run together. Their turn
 * comes as it would have. */
static void prepare(lane *l, const work *job) {
    work *others[WORKER_PANES];
    session *s[WORKER_PANES];
    int n = 0, n_others = job->no_proposal ? 0 : worker_company(l, job, others, WORKER_PANES - 1);
    if (!n_others) return;
    if (l->w->sessions[job->pane] && !job->begin.code) s[n++] = l->w->sessions[job->pane];
    for (int i = 0; i < n_others; i++) {
        begin(l, others[i]);
        if (l->w->sessions[others[i]->pane] && !others[i]->begin.code)
            s[n++] = l->w->sessions[others[i]->pane];
    }
    sessions_prepare(s, n);
}

/* Commits, goes elsewhere or does neither, and proposes. */
static void step(lane *l, work *job) {
    if (job->kind == WORK_COMMIT && refuse_without_session(l, job)) return;
    begin(l, job);
    if (job->begin.code) {
        push_failure(l, job, &job->begin, job->kind == WORK_SEEK);
    } else if (!job->quiet) {
        prepare(l, job);
        propose(l, job);
    }
}

static void close_session(lane *l, work *job) {
    session_close(l->w->sessions[job->pane]);
    l->w->sessions[job->pane] = NULL;
}

/* Without a look and without a message it was cut short. */
static void inspect(lane *l, work *job) {
    err e = {0};
    worker_event ev = {.kind = EVENT_INSPECTED, .pane = job->pane, .key = job->look.key};
    int rc = job->no_proposal ? ERR_CANCELLED : bring(l, &l->looker, job->to, &e);
    if (!rc) rc = session_inspect(l->looker, &job->look, &ev.look, &e);
    if (rc && rc != ERR_CANCELLED) snprintf(ev.msg, sizeof ev.msg, "%s", e.msg);
    pthread_mutex_lock(&l->w->lock);
    ev.gave_way = l->gave_way;
    pthread_mutex_unlock(&l->w->lock);
    denoiser_memory(l->d, &ev.memory);
    worker_push(l->w, &ev);
}

void worker_do(lane *l, work *job) {
    static void (*const doing[N_WORK])(lane *, work *) = {
        [WORK_OPEN] = open_session, [WORK_COMMIT] = step,         [WORK_PROPOSE] = step,
        [WORK_SEEK] = step,         [WORK_CLOSE] = close_session, [WORK_INSPECT] = inspect};
    doing[job->kind](l, job);
}
