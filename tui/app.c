/* app.c - opening and closing, what views read, and what is derived from states before a frame is drawn. */
#include "tui/app.h"
#include "tui/lessons/page.h"

#include <math.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>

#include "engine/base/clock.h"
#include "engine/base/mem.h"
#include "tui/dialog.h"
#include "tui/edit.h"
#include "tui/quantile.h"

/* Messages ------------------------------------------------------------ */

void app_say(app *a, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(a->message, sizeof a->message, fmt, ap);
    va_end(ap);
    a->warning = false;
}

void app_complain(app *a, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(a->message, sizeof a->message, fmt, ap);
    va_end(ap);
    a->warning = true;
}

/* Reading ------------------------------------------------------------- */

const step_record *pane_record(const pane *p) {
    return p->traj ? trajectory_record_at(p->traj, p->state) : NULL;
}

int pane_states(const pane *p) {
    return p->traj ? p->traj->n_records : 0;
}

/* A policy that puts tokens back goes on from a state without masks. */
bool pane_complete(const pane *p) {
    return p->traj && p->traj->complete && !p->traj->pending && !(p->live && p->busy);
}

/* A step of these may write nothing, or what an earlier one wrote. */
static bool steps_by_count(const pane *p) {
    const policy *x = policy_find(pane_policy(p));
    return x && (x->remasks || x->write);
}

int pane_planned(const pane *p) {
    if (!p->traj) return 0;
    int n = p->traj->n_records;
    if (pane_complete(p)) return n;
    const step_record *r = p->traj->pending ? p->traj->pending : n ? p->traj->records[n - 1] : NULL;
    int left = r ? r->T - trajectory_decoded(p->traj, n) : 0, masks = 0;
    for (int i = 0; i < p->traj->head.n_tokens; i++) masks += p->traj->last[i] == p->traj->head.mask_id;
    /* Every step writes at least one; hands may have written some. */
    if (left > masks && !steps_by_count(p)) left = masks;
    return left > 0 ? n + left : n;
}

/* At the state shown: a person may change it on the way. */
const char *pane_policy(const pane *p) {
    const step_setting *s = p->traj ? trajectory_setting(p->traj, p->state) : NULL;
    if (s) return s->policy;
    return p->traj && p->traj->head.policy[0] ? p->traj->head.policy : p->policy ? p->policy->name : "?";
}

bool pane_approximate(const pane *p) {
    const step_setting *s = p->traj ? trajectory_setting(p->traj, p->state) : NULL;
    const param_set *params = s ? &s->params : p->traj ? &p->traj->head.params : NULL;
    return params && params->defs && policy_approximates(params);
}

double pane_total_entropy(const pane *p, int n, bool *known) {
    const step_record *r = p->traj ? trajectory_record_at(p->traj, n) : NULL;
    bool end = p->traj && n == p->traj->n_records && p->traj->complete;
    *known = (r && (r->kind == STEP_DECODE || r->n_masked)) || end;
    return r ? r->total_entropy : 0;
}

double entropy_max(const pane *p) {
    return p->traj && p->traj->head.n_vocab > 2 ? log(p->traj->head.n_vocab - 1) : log(2);
}

int rank_max(const pane *p) {
    int n = 0;
    for (int i = 0; p->traj && i < p->traj->head.n_tokens; i++)
        n += p->traj->head.start[i] == p->traj->head.mask_id;
    return n;
}

int app_positions(const app *a) {
    int n = 0;
    for (int i = 0; i < a->n_panes; i++) {
        if (a->panes[i].traj && a->panes[i].traj->head.n_tokens > n) n = a->panes[i].traj->head.n_tokens;
    }
    return n;
}

bool app_busy(const app *a) {
    for (int i = 0; i < a->n_panes; i++) {
        if (a->panes[i].busy) return true;
    }
    return false;
}

bool app_waits(const app *a) {
    return app_busy(a) || a->looks.waiting;
}

const char *layer_name(layer l) {
    static const char *const names[N_LAYERS] = {"state",     "entropy",   "TIS",     "order", "confidence",
                                                "influence", "attention", "lock-in", "orders"};
    return names[l];
}

/* Opening ------------------------------------------------------------- */

static int wait_open(app *a, err *e) {
    for (;;) {
        bool waiting = false;
        for (int i = 0; i < a->n_panes; i++) {
            const pane *p = &a->panes[i];
            if (!p->traj && p->error[0]) {
                return err_set(e, ERR_BAD_ARGUMENT, "%s", p->error);
            }
            waiting |= !p->traj;
        }
        if (!waiting) return 0;
        struct pollfd fd = {.fd = worker_fd(a->worker), .events = POLLIN};
        poll(&fd, 1, 1000);
        app_events(a);
    }
}

static int open_live(app *a, const tui_opts *o, err *e) {
    int rc = worker_start(&a->worker, o->model->d, o->n_panes, o->prompt, o->n_prompt, o->length, e);
    if (rc) return rc;
    a->looking = o->model->d;
    a->tuning = &o->model->tuning;
    a->n_panes = o->n_panes;
    for (int i = 0; i < o->n_panes; i++) {
        pane *p = &a->panes[i];
        p->live = p->busy = true;
        p->id = i;
        p->busy_since = clock_now();
        p->policy = o->panes[i].policy;
        p->params = o->panes[i].params;
        p->seed = o->panes[i].seed;
        worker_open(a->worker, i, p->policy, &p->params, p->seed);
    }
    return wait_open(a, e);
}

static int open_replays(app *a, const tui_opts *o, err *e) {
    int rc = o->looker ? worker_start(&a->worker, o->looker->d, 1, NULL, 0, 0, e) : 0;
    if (rc) return rc;
    a->looking = o->looker ? o->looker->d : NULL;
    a->tuning = o->looker ? &o->looker->tuning : NULL;
    rc = open_panes(a->panes, &a->n_panes, o->replays, o->n_replays, o->trees, e);
    for (int i = 0; !rc && i < o->n_replays; i++) {
        if (o->replays[i]->truncated) app_complain(a, "%s: %s", o->replays[i]->path, o->replays[i]->note);
    }
    return rc;
}

int app_open(app *a, const tui_opts *o, err *e) {
    *a = (app){.model = o->model, .locked = true, .legend = true, .diff = true, .speed = 3};
    a->looks.head = -1;
    a->record_prefix = o->record_prefix;
    int rc = 0;
    if (o->model) {
        app_say(a, "%s", denoiser_get_info(o->model->d)->device_note);
        rc = open_live(a, o, e);
        for (int i = 0; !rc && o->trees && i < a->n_panes && i < tree_file_panes(o->trees); i++)
            rc = edit_adopt(a, &a->panes[i], tree_file_tree(o->trees, i), e) ? 0 : e->code;
    } else {
        rc = open_replays(a, o, e);
    }
    if (rc) return rc;
    app_themes_open(a, o);
    const pane *p = &a->panes[0];
    for (int i = 0; i < p->traj->head.n_tokens; i++) {
        if (p->traj->head.start[i] != p->traj->head.mask_id) continue;
        a->cursor = i;
        break;
    }
    return 0;
}

enum { STOP_SECONDS = 1 };

bool app_close(app *a) {
    bool stopped = worker_stop(a->worker, STOP_SECONDS);
    for (int i = 0; i < TUI_MAX_PANES; i++) pane_release(&a->panes[i]);
    dialog_close(a);
    looks_release(&a->looks);
    lesson_end(a);
    orders_release(&a->orders);
    app_themes_close(a);
    notes_release(&a->notes);
    opened_release(a->opened);
    search_release(&a->find);
    script_release(&a->script);
    *a = (app){0};
    return stopped;
}

/* Derived ------------------------------------------------------------- */

static int reserve(pane *p, int n, err *e) {
    if (p->n_alloc >= n && p->tokens) return 0;
    free(p->tokens);
    free(p->rank);
    free(p->written_by);
    free(p->put_back);
    free(p->written_p);
    free(p->differs);
    p->n_differs = 0;
    p->tokens = mem_new((size_t)n, sizeof *p->tokens);
    p->rank = mem_new((size_t)n, sizeof *p->rank);
    p->written_by = mem_new((size_t)n, sizeof *p->written_by);
    p->put_back = mem_new((size_t)n, sizeof *p->put_back);
    p->written_p = mem_new((size_t)n, sizeof *p->written_p);
    p->differs = mem_new((size_t)n, sizeof *p->differs);
    p->n_alloc = n;
    if (p->tokens && p->rank && p->written_by && p->put_back && p->written_p && p->differs) return 0;
    p->n_alloc = 0;
    return err_set(e, ERR_NO_MEMORY, "out of memory for %d tokens", n);
}

int pane_derive(pane *p, err *e) {
    int n = p->traj->head.n_tokens, count = 0;
    if (p->state > p->traj->n_records) p->state = p->traj->n_records;
    int rc = reserve(p, n, e);
    if (rc) return rc;
    trajectory_state(p->traj, p->state, p->tokens);
    for (int i = 0; i < n; i++) p->rank[i] = 0, p->written_by[i] = p->put_back[i] = -1, p->written_p[i] = 0;
    for (int k = 0; k < p->state; k++) {
        const step_record *r = p->traj->records[k];
        for (int i = 0; i < r->n_writes; i++) {
            const step_write *w = &r->writes[i];
            bool remask = w->token == p->traj->head.mask_id;
            p->rank[w->pos] = remask ? 0 : ++count;
            p->written_by[w->pos] = remask ? -1 : k;
            p->put_back[w->pos] = remask ? k : -1;
            p->written_p[w->pos] = w->p;
        }
    }
    return 0;
}

static bool token_differs(const pane *p, const pane *q, int pos) {
    return pos >= p->traj->head.n_tokens || pos >= q->traj->head.n_tokens || p->tokens[pos] != q->tokens[pos];
}

/* Every pane against A; A itself is marked where any other differs from it. */
static void derive_differences(app *a) {
    pane *first = &a->panes[0];
    int n = app_positions(a), n0 = first->traj->head.n_tokens;
    for (int k = 0; k < n0; k++) first->differs[k] = false;
    first->n_differs = 0;
    for (int i = 1; i < a->n_panes; i++) {
        pane *p = &a->panes[i];
        int n1 = p->traj->head.n_tokens;
        p->n_differs = 0;
        for (int k = 0; k < n; k++) {
            bool d = (k < n0 || k < n1) && token_differs(first, p, k);
            if (k < n1) p->differs[k] = d;
            if (k < n0 && d) first->differs[k] = true;
            p->n_differs += d;
        }
    }
    for (int k = 0; k < n0; k++) first->n_differs += first->differs[k];
}

int app_diverges(const app *a, int *which, int *pos) {
    int first = -1;
    for (int i = 1; i < a->n_panes; i++) {
        int at = 0, n = trajectory_divergence(a->panes[0].traj, a->panes[i].traj, &at);
        if (n < 0 || (first >= 0 && n >= first)) continue;
        first = n;
        if (which) *which = i;
        if (pos) *pos = at;
    }
    return first;
}

/* Scale of the TIS layer --------------------------------------------- */

static size_t collect_tis(const step_record *r, double *out, size_t at, size_t cap) {
    const double *v = r->tis ? r->tis : r->observed_tis;
    int n = r->tis ? r->n_cand : r->observed_tis ? r->n_observed : 0;
    for (int i = 0; i < n && at < cap; i++) out[at++] = fabs(v[i]);
    return at;
}

/* 95th percentile of |TIS| over all that the panes know, so that one scale serves all and every step. */
static void derive_clip(app *a) {
    bool same = true;
    for (int i = 0; i < a->n_panes; i++) {
        const trajectory *t = a->panes[i].traj;
        same = same && a->clip_key[i] == t->n_records + 1 && a->clip_pending[i] == (const void *)t->pending;
        a->clip_key[i] = t->n_records + 1;
        a->clip_pending[i] = t->pending;
    }
    if (same) return;
    enum { CAP = 1 << 17 };
    double *all = mem_new(CAP, sizeof *all);
    size_t n = 0;
    for (int i = 0; all && i < a->n_panes; i++) {
        const trajectory *t = a->panes[i].traj;
        for (int k = 0; k <= t->n_records; k++) {
            const step_record *r = trajectory_record_at(t, k);
            if (r) n = collect_tis(r, all, n, CAP);
        }
    }
    a->tis_clip = quantile(all, n, 0.95);
    free(all);
}

/* Before a frame ------------------------------------------------------ */

static int build_flow(app *a, int i, err *e) {
    pane *p = &a->panes[i];
    return flow_build(&p->flow,
                      &(flow_input){.tokens = p->tokens,
                                    .n = p->traj->head.n_tokens,
                                    .width = a->lay.pane[i].canvas.w,
                                    .mask_id = p->traj->head.mask_id,
                                    .texts = p->traj->texts},
                      e);
}

/* Lines of the tallest canvas so far at this width: text that grows does not move the rest of the screen. */
static void note_lines(app *a, int cols) {
    if (a->lines_cols != cols) a->lines = 1;
    a->lines_cols = cols;
    for (int i = 0; i < a->n_panes; i++) {
        if (a->panes[i].flow.lines > a->lines) a->lines = a->panes[i].flow.lines;
    }
}

static layout arrange(const app *a, int cols, int rows) {
    layout_wish w = {a->n_panes, a->lines, a->tab, a->focus, page_most_lines(a, LESSON_WIDTH(cols))};
    return layout_of(cols, rows, &w);
}

int app_prepare(app *a, int cols, int rows, err *e) {
    int old_rows = a->lay.rows;
    for (int i = 0; i < a->n_panes; i++) {
        int rc = pane_derive(&a->panes[i], e);
        if (rc) return rc;
    }
    a->lay = arrange(a, cols, rows);
    if (a->lay.too_small) return 0;
    for (int i = 0; i < a->n_panes; i++) {
        int rc = build_flow(a, i, e);
        if (rc) return rc;
    }
    note_lines(a, cols);
    a->lay = arrange(a, cols, rows);
    int last = app_positions(a) - 1;
    if (a->cursor > last) a->cursor = last;
    if (a->cursor < 0) a->cursor = 0;
    if (old_rows != rows || a->shown_cursor != a->cursor) app_show_cursor(a);
    a->shown_cursor = a->cursor;
    derive_clip(a);
    int rc = search_update(a, e);
    if (!rc) rc = looks_resolve(a, e);
    if (!rc) rc = orders_update(a, e);
    if (!rc) derive_differences(a);
    if (!rc) rc = lesson_update(a, e);
    return rc;
}
