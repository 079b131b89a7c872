/* live.c - verbs that need a model: committing, policies, restart, cancelling, recording; and the worker's
 * answers. */
#include <assert.h>
#include <string.h>
#include <time.h>

#include "engine/base/clock.h"
#include "tui/edit.h"

static void begin_work(pane *p) {
    p->busy = true;
    p->busy_since = clock_now();
    p->stuck = false;
    p->error[0] = '\0';
}

/* The record is applied here at once; the worker commits the same one and proposes the next. */
void app_commit(app *a, pane *p) {
    err e = {0};
    const step_record *r = record_ref(p->own.pending);
    if (trajectory_append(&p->own, r, &e)) {
        app_complain(a, "%s", e.msg);
        p->run = false;
    } else {
        a->recorded = false;
        p->state = p->own.n_records;
        begin_work(p);
        worker_commit(a->worker, p->id, r);
    }
    record_unref(r);
}

/* Events -------------------------------------------------------------- */

static void on_opened(app *a, pane *p, worker_event *ev) {
    trajectory fresh;
    err e = {0};
    if (trajectory_init(&fresh, &ev->head, model_texts(a->model), &e)) {
        snprintf(p->error, sizeof p->error, "%s", e.msg); /* whoever waits for the pane sees that */
        app_complain(a, "%s", e.msg);
        return;
    }
    if (!p->traj && ev->msg[0]) app_say(a, "%s", ev->msg);
    trajectory_release(&p->own);
    p->own = fresh;
    p->traj = &p->own;
    p->state = 0;
}

static void on_proposed(app *a, pane *p, worker_event *ev) {
    p->busy = false;
    if (!p->traj) return; /* there was no memory for it */
    trajectory_set_pending(&p->own, ev->rec);
    if (!ev->rec) {
        p->want = 0;
        p->run = false;
        p->stuck = !p->own.complete;
        /* Not over what was said of the key that led here, as undo, nor of a state before the end. */
        if (p->stuck && p->state == p->own.n_records && !a->message[0]) app_say_stuck(a, p);
    } else if (p->want > 0 || p->run) {
        bool looking = p->state == p->own.n_records;
        int shown = p->state;
        if (p->want > 0) p->want--;
        app_commit(a, p);
        if (!looking) p->state = shown;
    }
}

static void on_failed(app *a, pane *p, worker_event *ev) {
    p->busy = p->run = false;
    p->want = 0;
    a->playing = false;
    if (ev->kind == EVENT_CANCELLED) {
        app_say(a, "cancelled; s computes this step again");
        return;
    }
    snprintf(p->error, sizeof p->error, "%s", ev->msg);
    app_complain(a, "%s: %s", pane_policy(p), ev->msg);
}

unsigned app_events(app *a) {
    unsigned flags = APP_NONE;
    worker_event ev;
    worker_hold(a->worker); /* the steps that several answers lead to */
    while (a->worker && worker_next(a->worker, &ev)) {
        pane *p = app_pane_of(a, ev.pane);
        if (ev.memory.total_bytes) a->memory = ev.memory;
        if (ev.kind == EVENT_INSPECTED) {
            looks_answer(a, &ev);
        } else if (!p) {
            /* The pane was closed meanwhile. */
        } else if (ev.kind == EVENT_OPENED) {
            on_opened(a, p, &ev);
        } else if (ev.kind == EVENT_PROPOSED) {
            on_proposed(a, p, &ev);
        } else {
            on_failed(a, p, &ev);
        }
        worker_event_release(&ev);
        flags |= APP_REDRAW;
    }
    worker_go(a->worker);
    return flags;
}

/* Verbs --------------------------------------------------------------- */

static bool refuse_replay(app *a) {
    if (a->model) return false;
    app_say(a, "a recording is not changed: open a model for this");
    return true;
}

/* A step asked for before the first proposal is there waits for it. */
static bool restart(app *a, pane *p) {
    err e = {0};
    a->playing = false;
    if (edit_restart(a, p, NULL, 0, 0, &e)) return true;
    app_complain(a, "%s", e.msg);
    return false;
}

unsigned app_restart(app *a, int count) {
    (void)count;
    if (refuse_replay(a) || !edit_pane(a)) return APP_REDRAW;
    app_say(a, "restarted from state 0; u undoes");
    for (int i = 0; i < a->n_panes; i++) {
        if ((a->locked || i == a->focus) && a->panes[i].live) restart(a, &a->panes[i]);
    }
    return APP_REDRAW;
}

static bool accepts(const app *a, const policy *p, const param_set *ps) {
    err ignored = {0};
    return !policy_check(p, ps, denoiser_get_info(a->model->d), &ignored);
}

/* Takes over what a person had set by hand where the new policy has it, each only if the policy accepts it
 * when `careful`. `left_out` names the others. */
static void carry_settings(const app *a, const policy *p, param_set *to, const param_set *from, bool careful,
                           strbuf *left_out) {
    for (int i = 0; i < from->n; i++) {
        int k = from->given[i] ? param_find(to, from->defs[i]->name) : -1;
        if (k < 0 || to->defs[k] != from->defs[i]) continue;
        param_set before = *to;
        to->v[k] = from->v[i];
        to->given[k] = true;
        if (!careful || accepts(a, p, to)) continue;
        *to = before;
        strbuf_printf(left_out, "%s%s", left_out->len ? ", " : "", from->defs[i]->name);
    }
}

/* All settings together; when the policy refuses them so, those that it takes. */
void app_carry_params(const app *a, const policy *p, const param_set *from, param_set *to, strbuf *left_out) {
    policy_defaults(p, &a->model->tuning, to);
    carry_settings(a, p, to, from, false, left_out);
    if (accepts(a, p, to)) return;
    policy_defaults(p, &a->model->tuning, to);
    carry_settings(a, p, to, from, true, left_out);
}

unsigned app_set_policy(app *a, const policy *other) {
    pane *p = refuse_replay(a) ? NULL : edit_pane(a);
    if (!p) return APP_REDRAW;
    p->policy = other;
    strbuf left_out;
    strbuf_init(&left_out, sizeof a->message / 2);
    param_set old = p->params;
    app_carry_params(a, p->policy, &old, &p->params, &left_out);
    app_say(a, "pane %c: %s, from state 0%s%s", 'A' + a->focus, p->policy->name,
            left_out.len ? ", with its own " : "", left_out.len ? left_out.data : "");
    if (restart(a, p) && a->locked) app_go(a, a->focus, 0);
    strbuf_release(&left_out);
    return APP_REDRAW;
}

static unsigned change_policy(app *a, int by) {
    if (refuse_replay(a)) return APP_REDRAW;
    int n = 0, at = 0;
    for (; policies[n]; n++) {
        if (policies[n] == a->panes[a->focus].policy) at = n;
    }
    assert(n);
    return app_set_policy(a, policies[((at + by) % n + n) % n]);
}

unsigned app_next_policy(app *a, int count) {
    return change_policy(a, count ? count : 1);
}

unsigned app_prev_policy(app *a, int count) {
    return change_policy(a, -(count ? count : 1));
}

unsigned app_cancel(app *a, int count) {
    (void)count;
    bool was = a->playing;
    a->playing = false;
    for (int i = 0; i < a->n_panes; i++) {
        was |= a->panes[i].run;
        a->panes[i].run = false;
        a->panes[i].want = 0;
    }
    looks_give_up(a);
    if (a->worker && app_waits(a)) {
        worker_cancel(a->worker);
        app_say(a, "cancelling");
    } else {
        app_say(a, was ? "stopped" : "nothing to cancel; Q quits");
    }
    return APP_REDRAW;
}

/* Recording ----------------------------------------------------------- */

static void make_stamp(app *a) {
    time_t now = time(NULL);
    struct tm local;
    if (a->record_stamp[0]) return;
    if (!localtime_r(&now, &local) ||
        !strftime(a->record_stamp, sizeof a->record_stamp, "tabes-%Y%m%d-%H%M%S", &local)) {
        snprintf(a->record_stamp, sizeof a->record_stamp, "tabes");
    }
}

void app_record_path(app *a, const char *end, char *buf, size_t size) {
    make_stamp(a);
    snprintf(buf, size, "%s%s", a->record_prefix ? a->record_prefix : a->record_stamp, end);
}

/* Of the pane's own decode: it may show another's meanwhile. */
static const char *own_policy(const pane *p) {
    return p->guest ? p->policy->name : pane_policy(p);
}

static bool same_policies(const app *a) {
    bool same = false;
    for (int i = 1; i < a->n_panes; i++) {
        for (int k = 0; k < i; k++) same |= !strcmp(own_policy(&a->panes[i]), own_policy(&a->panes[k]));
    }
    return same;
}

unsigned app_record(app *a, int count) {
    (void)count;
    if (!a->model) {
        app_say(a, "this is a recording already");
        return APP_REDRAW;
    }
    make_stamp(a);
    const char *prefix = a->record_prefix ? a->record_prefix : a->record_stamp;
    bool same = same_policies(a); /* files of two panes would have one name */
    char names[TUI_MAX_PANES * 128] = "";
    size_t used = 0;
    for (int i = 0; i < a->n_panes; i++) {
        pane *p = &a->panes[i];
        char path[512], side[3] = {'-', (char)('a' + i), '\0'};
        err e = {0};
        if (!p->traj) continue;
        snprintf(path, sizeof path, "%s%s-%s.jsonl", prefix, same ? side : "", own_policy(p));
        if (app_save(a, &p->own, path, &e)) {
            app_complain(a, "%s", e.msg);
            return APP_REDRAW;
        }
        pane_recorded(p);
        int k = snprintf(names + used, sizeof names - used, "%s%s",
                         !used                ? ""
                         : i + 1 < a->n_panes ? ", "
                                              : " and ",
                         path);
        if (k > 0 && used + (size_t)k < sizeof names) used += (size_t)k;
    }
    a->recorded = true;
    app_say(a, "wrote %s", names);
    return APP_REDRAW;
}
