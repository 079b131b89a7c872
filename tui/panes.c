/* panes.c - panes that come and go while the workbench runs. A pane keeps its number at the worker; its
 * letter is its place, so the panes behind a closed one move up. */
#include <stdlib.h>
#include <string.h>

#include "tui/edit.h"

pane *app_pane_of(app *a, int id) {
    for (int i = 0; i < a->n_panes; i++) {
        if (a->panes[i].id == id) return &a->panes[i];
    }
    return NULL;
}

void pane_release(pane *p) {
    trajectory_release(&p->own);
    trajectory_release(&p->shown);
    tree_release(&p->tree);
    history_release(&p->past);
    flow_release(&p->flow);
    free(p->tokens);
    free(p->rank);
    free(p->written_by);
    free(p->put_back);
    free(p->written_p);
    free(p->differs);
    *p = (pane){0};
}

void panes_changed(app *a) {
    memset(a->clip_key, 0, sizeof a->clip_key);
    memset(&a->looks.shown, 0, sizeof a->looks.shown);
    a->looks.whole_run = false;
    a->lines_cols = 0;
    a->playing = false;
}

/* Adding --------------------------------------------------------------- */

static bool in_use(const app *a, const policy *p) {
    for (int i = 0; i < a->n_panes; i++) {
        if (a->panes[i].policy == p) return true;
    }
    return false;
}

/* The first of the table that no pane has. */
static const policy *free_policy(const app *a) {
    for (int i = 0; policies[i]; i++) {
        if (!in_use(a, policies[i])) return policies[i];
    }
    return a->panes[a->focus].policy;
}

static int free_id(app *a) {
    int id = 0;
    while (app_pane_of(a, id)) id++;
    return id;
}

int app_add_pane(app *a, const policy *pol, err *e) {
    const pane *from = &a->panes[a->focus];
    if (!a->model) return err_set(e, ERR_BAD_ARGUMENT, "a recording is not decoded: open the model for this");
    if (a->n_panes == TUI_MAX_PANES)
        return err_set(e, ERR_BAD_ARGUMENT, "there are %d panes already; pane-close closes one",
                       TUI_MAX_PANES);
    if (!pol) pol = free_policy(a);
    pane *p = &a->panes[a->n_panes];
    strbuf left_out;
    strbuf_init(&left_out, sizeof a->message / 2);
    *p = (pane){.id = free_id(a)};
    bool ok = edit_begin(a, p, from, pol, &left_out, e);
    if (!ok) {
        pane_release(p);
        strbuf_release(&left_out);
        return e->code;
    }
    panes_changed(a);
    a->recorded = false;
    if (a->locked && !from->guest) p->want = from->state;
    a->focus = a->n_panes++;
    app_say(a, "pane %c: %s, from state 0%s%s", 'A' + a->focus, pol->name,
            left_out.len ? ", with its own " : "", left_out.len ? left_out.data : "");
    strbuf_release(&left_out);
    return 0;
}

unsigned app_pane_add(app *a, int count) {
    err e = {0};
    (void)count;
    if (app_add_pane(a, NULL, &e)) app_complain(a, "%s", e.msg);
    return APP_REDRAW;
}

/* Closing -------------------------------------------------------------- */

/* Pointers into the pane itself move with it. */
static void move_pane(pane *to, pane *from) {
    *to = *from;
    if (from->traj == &from->own) to->traj = &to->own;
    if (from->traj == &from->shown) to->traj = &to->shown;
    *from = (pane){0};
}

/* Panes that show a branch of this one show themselves again. */
static bool give_back_guests(app *a, const pane *p, err *e) {
    for (int i = 0; i < a->n_panes; i++) {
        pane *other = &a->panes[i];
        if (other->guest && other->guest_of == p->id && !edit_compare(a, p, other, NULL, e)) return false;
    }
    return true;
}

unsigned app_pane_close(app *a, int count) {
    pane *p = &a->panes[a->focus];
    char letter = (char)('A' + a->focus), what[160];
    unsigned by = pane_unsaved(p);
    err e = {0};
    (void)count;
    snprintf(what, sizeof what,
             "no file holds the changes in pane %c: %s keeps them, once more or pane-close! closes", letter,
             app_keeper(a, by));
    if (a->n_panes < 2) {
        app_complain(a, "this is the only pane; q leaves");
    } else if (by && !app_sure(a, app_pane_close, what)) {
        return APP_REDRAW;
    } else if (!give_back_guests(a, p, &e)) {
        app_complain(a, "%s", e.msg);
    } else {
        if (a->model) worker_close(a->worker, p->id);
        pane_release(p);
        a->n_panes--;
        for (int i = a->focus; i < a->n_panes; i++) move_pane(&a->panes[i], &a->panes[i + 1]);
        if (a->focus == a->n_panes) a->focus--;
        panes_changed(a);
        app_say(a,
                a->n_panes > 1 && a->focus + 'A' == letter ? "pane %c closed; those behind it moved up"
                                                           : "pane %c closed",
                letter);
    }
    return APP_REDRAW;
}
