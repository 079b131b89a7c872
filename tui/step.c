/* step.c - time verbs: which state a pane shows. In the past they are look-ups; at a live end they commit. */
#include "engine/base/clock.h"
#include "tui/app.h"

static const double speeds[] = {0.5, 1, 2, 4, 8, 16, 30, 60};
enum { N_SPEEDS = (int)(sizeof speeds / sizeof speeds[0]) };

double app_speed(const app *a) {
    return speeds[a->speed];
}

/* Does the pane take part in a time verb? */
static bool takes_part(const app *a, int i) {
    return a->panes[i].traj && (a->locked || i == a->focus);
}

static bool at_end(const pane *p) {
    return !p->traj || (p->state == pane_states(p) && (!p->live || pane_complete(p) || p->stuck));
}

/* One step of one pane; false at the end. At a live end without a proposal the step is remembered. */
static bool forward(app *a, pane *p) {
    if (at_end(p)) return false;
    if (p->state < pane_states(p)) {
        p->state++;
    } else if (p->traj->pending) {
        app_commit(a, p);
    } else {
        p->want++;
        if (!p->busy) {
            p->busy = true;
            p->busy_since = clock_now();
            p->error[0] = '\0';
            worker_propose(a->worker, p->id);
        }
    }
    return true;
}

/* A verb that names its own state ends playback, and steps still asked for. A pane that runs to its end goes
 * on. */
static void stop_playing(app *a) {
    a->playing = false;
    for (int i = 0; i < a->n_panes; i++) a->panes[i].want = 0;
}

void app_say_stuck(app *a, const pane *p) {
    app_say(a, "pane %c: every masked position is pinned", 'A' + (int)(p - a->panes));
}

static void say_end(app *a) {
    const pane *p = &a->panes[a->focus];
    if (p->live && p->stuck) {
        app_say_stuck(a, p);
    } else {
        app_say(a, "the last state: nothing is left to %s", a->model ? "unmask" : "replay");
    }
}

unsigned app_step(app *a, int count) {
    a->playing = false;
    bool moved = false;
    worker_hold(a->worker);
    for (int k = 0; k < (count ? count : 1); k++) {
        bool any = false;
        for (int i = 0; i < a->n_panes; i++) {
            if (takes_part(a, i)) any |= forward(a, &a->panes[i]);
        }
        if (!any) break;
        moved = true;
    }
    worker_go(a->worker);
    if (!moved) say_end(a);
    return APP_REDRAW;
}

unsigned app_back(app *a, int count) {
    stop_playing(a);
    bool moved = false;
    for (int i = 0; i < a->n_panes; i++) {
        pane *p = &a->panes[i];
        if (!takes_part(a, i) || !p->state) continue;
        int by = count ? count : 1;
        p->state = p->state > by ? p->state - by : 0;
        moved = true;
    }
    if (!moved) app_say(a, "state 0: the start, before any step");
    return APP_REDRAW;
}

unsigned app_go(app *a, int index, int state) {
    stop_playing(a);
    for (int i = 0; i < a->n_panes; i++) {
        pane *p = &a->panes[i];
        if (!p->traj || (!a->locked && i != index)) continue;
        p->state = state < 0 ? 0 : state > pane_states(p) ? pane_states(p) : state;
    }
    return APP_REDRAW;
}

unsigned app_first(app *a, int count) {
    (void)count;
    return app_go(a, a->focus, 0);
}

/* A live pane computes its way to a state that is not there yet. */
static void run_to(app *a, pane *p, int state) {
    int missing = state - pane_states(p);
    if (missing <= 0 || !p->live) return;
    p->state = pane_states(p);
    forward(a, p);
    p->want = missing - 1 + (p->state == pane_states(p) && p->want ? 1 : 0);
}

unsigned app_last(app *a, int count) {
    if (!count) return app_follow(a, 0);
    app_go(a, a->focus, count);
    worker_hold(a->worker);
    for (int i = 0; i < a->n_panes; i++) {
        if (!takes_part(a, i)) continue;
        a->panes[i].run = false;
        run_to(a, &a->panes[i], count);
    }
    worker_go(a->worker);
    const pane *p = &a->panes[a->focus];
    if (p->traj && !p->live && count > pane_states(p))
        app_say(a, "the recording ends at state %d", pane_states(p));
    return APP_REDRAW;
}

unsigned app_follow(app *a, int count) {
    (void)count;
    stop_playing(a);
    for (int i = 0; i < a->n_panes; i++) {
        if (takes_part(a, i)) a->panes[i].state = pane_states(&a->panes[i]);
    }
    return APP_REDRAW;
}

/* Playing ------------------------------------------------------------- */

static bool all_at_end(const app *a) {
    for (int i = 0; i < a->n_panes; i++) {
        if (!at_end(&a->panes[i])) return false;
    }
    return true;
}

unsigned app_play(app *a, int count) {
    (void)count;
    if (a->playing) {
        a->playing = false;
        app_say(a, "paused");
        return APP_REDRAW;
    }
    if (all_at_end(a)) {
        for (int i = 0; i < a->n_panes; i++) a->panes[i].state = 0;
    }
    a->playing = true;
    a->next_tick = clock_now();
    return APP_REDRAW;
}

unsigned app_tick(app *a, double now) {
    unsigned done = lesson_tick(a);
    if (!a->playing || now < a->next_tick) return done;
    a->next_tick += 1.0 / app_speed(a);
    if (a->next_tick < now) a->next_tick = now;
    worker_hold(a->worker);
    for (int i = 0; i < a->n_panes; i++) {
        pane *p = &a->panes[i];
        bool waits = p->busy && p->traj && p->state == pane_states(p);
        if (!waits) forward(a, p);
    }
    worker_go(a->worker);
    if (all_at_end(a)) {
        a->playing = false;
        app_say(a, "the end; Space plays from the start, D shows the first divergence");
    }
    return APP_REDRAW;
}

double app_wait(const app *a, double now) {
    if (lesson_ready(a)) return 0;
    if (!a->playing) return -1;
    double left = a->next_tick - now;
    bool all_wait = true; /* for the worker, whose events end the poll */
    for (int i = 0; i < a->n_panes; i++) {
        const pane *p = &a->panes[i];
        if (!at_end(p) && !(p->busy && p->state == pane_states(p))) all_wait = false;
    }
    if (all_wait && left < 0.02) left = 0.02;
    return left > 0 ? left : 0;
}

unsigned app_run(app *a, int count) {
    (void)count;
    stop_playing(a);
    worker_hold(a->worker);
    for (int i = 0; i < a->n_panes; i++) {
        pane *p = &a->panes[i];
        if (!takes_part(a, i)) continue;
        p->state = pane_states(p);
        if (at_end(p)) continue;
        p->run = true;
        forward(a, p);
    }
    worker_go(a->worker);
    return APP_REDRAW;
}

unsigned app_rewind(app *a, int count) {
    return app_first(a, count);
}

unsigned app_faster(app *a, int count) {
    a->speed += count ? count : 1;
    if (a->speed >= N_SPEEDS) a->speed = N_SPEEDS - 1;
    app_say(a, "%g steps per second", app_speed(a));
    return APP_REDRAW;
}

unsigned app_slower(app *a, int count) {
    a->speed -= count ? count : 1;
    if (a->speed < 0) a->speed = 0;
    app_say(a, "%g steps per second", app_speed(a));
    return APP_REDRAW;
}

/* Stops --------------------------------------------------------------- */

static bool writes_at(const step_record *r, int pos) {
    for (int i = 0; i < r->n_writes; i++) {
        if (r->writes[i].pos == pos) return true;
    }
    return false;
}

static unsigned find_stop(app *a, int by) {
    const pane *p = &a->panes[a->focus];
    if (!p->traj) return APP_NONE;
    for (int n = p->state + by; n > 0 && n <= pane_states(p); n += by) {
        if (writes_at(p->traj->records[n - 1], a->cursor)) return app_go(a, a->focus, n);
    }
    app_say(a, "position %d is not written %s state %d", a->cursor, by > 0 ? "after" : "before", p->state);
    return APP_REDRAW;
}

unsigned app_stop_next(app *a, int count) {
    (void)count;
    return find_stop(a, 1);
}

unsigned app_stop_prev(app *a, int count) {
    (void)count;
    return find_stop(a, -1);
}

static bool one_pane(app *a) {
    if (a->n_panes > 1) return false;
    app_say(a, "there is one pane: nothing to compare");
    return true;
}

/* All panes to a state, locked or not; a shorter one to its end. */
static void gather(app *a, int state) {
    stop_playing(a);
    for (int i = 0; i < a->n_panes; i++)
        a->panes[i].state = state < pane_states(&a->panes[i]) ? state : pane_states(&a->panes[i]);
}

/* The last state that pane A and some other pane have. */
static int common_states(const app *a) {
    int most = 0, first = pane_states(&a->panes[0]);
    for (int i = 1; i < a->n_panes; i++) {
        if (pane_states(&a->panes[i]) > most) most = pane_states(&a->panes[i]);
    }
    return first < most ? first : most;
}

unsigned app_divergence(app *a, int count) {
    (void)count;
    if (one_pane(a)) return APP_REDRAW;
    int pos = 0, which = 1, n = app_diverges(a, &which, &pos);
    if (n < 0) {
        app_say(a, "no divergence in states 0..%d", common_states(a));
        return APP_REDRAW;
    }
    gather(a, n);
    a->cursor = pos;
    if (a->n_panes > 2) {
        app_say(a, "first divergence: state %d, position %d, pane %c from A", n, pos, 'A' + which);
    } else {
        app_say(a, "first divergence: state %d, position %d", n, pos);
    }
    return APP_REDRAW;
}

static bool writes_differ(const step_record *x, const step_record *y) {
    if (x->kind != y->kind || x->n_writes != y->n_writes) return true;
    for (int i = 0; i < x->n_writes; i++) {
        if (x->writes[i].pos != y->writes[i].pos || x->writes[i].token != y->writes[i].token) return true;
    }
    return false;
}

/* Does the step that leads to state n write something else in some pane than in A? */
static bool parts_at(const app *a, int n) {
    for (int i = 1; i < a->n_panes; i++) {
        const trajectory *x = a->panes[0].traj, *y = a->panes[i].traj;
        if (n <= y->n_records && writes_differ(x->records[n - 1], y->records[n - 1])) return true;
    }
    return false;
}

static unsigned find_divergence(app *a, int by, int count) {
    if (one_pane(a)) return APP_REDRAW;
    const pane *p = &a->panes[a->focus];
    int last = common_states(a), n = p->state, left = count ? count : 1, found = 0;
    for (n += by; left && n > 0 && n <= last; n += by) {
        if (parts_at(a, n)) found = n, left--;
    }
    if (!found) {
        app_say(a, "no step %s state %d differs between the panes", by > 0 ? "after" : "before", p->state);
        return APP_REDRAW;
    }
    gather(a, found);
    const trajectory *t = found <= p->traj->n_records ? p->traj : a->panes[0].traj;
    const step_record *r = t->records[found - 1];
    if (r->n_writes) a->cursor = r->writes[0].pos;
    app_say(a, "step %d differs between the panes", found);
    return APP_REDRAW;
}

unsigned app_divergence_next(app *a, int count) {
    return find_divergence(a, 1, count);
}

unsigned app_divergence_prev(app *a, int count) {
    return find_divergence(a, -1, count);
}

unsigned app_margin(app *a, int count) {
    (void)count;
    const step_record *r = pane_record(&a->panes[a->focus]);
    int best = -1;
    for (int k = 0; r && r->margin && k < r->n_masked; k++) {
        if (best < 0 || r->margin[k] < r->margin[best]) best = k;
    }
    if (best < 0) {
        app_say(a, "no margin is known at this state");
        return APP_REDRAW;
    }
    a->cursor = r->masked[best];
    app_say(a, "lowest margin: %.4f at position %d", r->margin[best], a->cursor);
    return APP_REDRAW;
}

unsigned app_lock(app *a, int count) {
    (void)count;
    a->locked = !a->locked;
    if (a->locked) app_go(a, a->focus, a->panes[a->focus].state);
    app_say(a,
            a->locked ? "panes locked: they step together" : "panes unlocked: verbs go to the focused pane");
    return APP_REDRAW;
}
