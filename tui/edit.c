/* edit.c - changes to a live pane. All of them end in `move_to`, which sends the worker after the pane. */
#include "tui/edit.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/base/clock.h"
#include "engine/base/mem.h"
#include "engine/base/utf8.h"
#include "engine/intervene.h"

/* The pane and its worker ----------------------------------------------- */

/* Letter of the pane whose branch p shows. */
static int guest_owner(app *a, const pane *p) {
    const pane *owner = app_pane_of(a, p->guest_of);
    return 'A' + (owner ? (int)(owner - a->panes) : 0);
}

pane *edit_pane(app *a) {
    pane *p = &a->panes[a->focus];
    err e = {0};
    if (!a->model) {
        app_say(a, "a recording is not changed: open the model (tabes open) for this");
    } else if (p->guest) {
        if (p->guest_of < 0) app_say(a, "this pane shows %s; :open alone gives it back", p->guest_name);
        if (p->guest_of >= 0)
            app_say(a, "this pane shows another decode; K in pane %c, then c, gives it back",
                    guest_owner(a, p));
    } else if (pane_derive(p, &e)) {
        app_complain(a, "%s", e.msg);
    } else {
        a->playing = false;
        return p;
    }
    return NULL;
}

/* What the pane says about itself follows from its trajectory. */
static void sync_pane(pane *p) {
    step_setting s = intervene_current(&p->own, p->own.n_records);
    p->policy = policy_find(s.policy);
    p->params = s.params;
    p->seed = p->own.head.seed;
    p->traj = &p->own;
    p->want = 0;
    p->run = p->stuck = false;
}

/* The worker goes to the last state of the pane. A proposal that is there already is not made again. */
static bool send_worker(app *a, pane *p, err *e) {
    int32_t *tokens = mem_new((size_t)p->own.head.n_tokens, sizeof *tokens);
    if (!tokens) return err_set(e, ERR_NO_MEMORY, "out of memory for a state"), false;
    session_state to = session_state_of(&p->own, p->own.n_records, tokens);
    bool propose = !p->own.pending;
    int rc = worker_seek(a->worker, p->id, &p->own.head, &to, propose, e);
    free(tokens);
    if (rc) {
        worker_close(a->worker, p->id); /* the session is not at this state: nothing may go on from it */
        return false;
    }
    p->busy = propose;
    p->busy_since = clock_now();
    p->error[0] = '\0';
    return true;
}

/* The pane gets a trajectory (taken over) of a branch of its tree. */
static bool move_to(app *a, pane *p, trajectory *to, int id, int state, err *e) {
    trajectory_release(&p->own);
    a->recorded = false;
    p->own = *to;
    p->tree.active = id;
    p->state = state;
    sync_pane(p);
    return !pane_derive(p, e) && send_worker(a, p, e);
}

bool edit_park(pane *p, err *e) {
    int id;
    if (p->tree.active) return !tree_update(&p->tree, p->tree.active, &p->own, e);
    if (tree_add(&p->tree, &p->own, 0, 0, "b1", &id, e)) return false;
    p->tree.active = id;
    return true;
}

/* Before a change: the present can be come back to. */
static bool remember(pane *p, err *e) {
    return edit_park(p, e) && !history_note(&p->past, &p->tree, &p->own, p->state, e);
}

/* Records --------------------------------------------------------------- */

/* The record says what the policy knew of the state, so that one who comes back to it sees that. */
static bool keep_known(step_record *r, const step_record *known) {
    if (!known || !known->n_masked || !known->entropy || !known->top) return true;
    size_t n = (size_t)known->n_masked;
    r->masked = arena_copy(&r->mem, known->masked, n, sizeof *r->masked);
    r->entropy = arena_copy(&r->mem, known->entropy, n, sizeof *r->entropy);
    r->confidence = arena_copy(&r->mem, known->confidence, n, sizeof *r->confidence);
    r->margin = arena_copy(&r->mem, known->margin, n, sizeof *r->margin);
    r->argmax = arena_copy(&r->mem, known->argmax, n, sizeof *r->argmax);
    r->top = arena_copy(&r->mem, known->top, n * (size_t)known->top_k, sizeof *r->top);
    r->top_k = known->top_k;
    r->total_entropy = known->total_entropy;
    r->n_masked = known->n_masked;
    return r->masked && r->entropy && r->confidence && r->margin && r->argmax && r->top;
}

/* The record leads on from the state shown. Takes it over. */
static bool apply(app *a, pane *p, step_record *r, err *e) {
    trajectory next;
    int id, rc = trajectory_fork(&next, &p->own, p->state, e);
    if (!rc && !keep_known(r, pane_record(p))) {
        trajectory_release(&next);
        rc = err_set(e, ERR_NO_MEMORY, "out of memory for the step");
    }
    bool in_the_past = p->state < p->own.n_records;
    if (rc) {
        record_unref(r);
        return false;
    }
    trajectory_set_pending(&next, NULL);
    rc = trajectory_append(&next, r, e);
    record_unref(r);
    if (!rc && !remember(p, e)) rc = e->code;
    id = p->tree.active;
    if (!rc && in_the_past) rc = tree_add(&p->tree, &next, id, p->state, NULL, &id, e);
    if (rc) {
        trajectory_release(&next);
        return false;
    }
    pane_changed(p, id);
    return move_to(a, p, &next, id, next.n_records, e);
}

static bool check_prompt(const pane *p, int pos, err *e) {
    const traj_header *h = &p->own.head;
    if (pos < 0 || pos >= h->n_tokens)
        return err_set(e, ERR_BAD_ARGUMENT, "there is no position %d in this pane", pos), false;
    if (h->start[pos] == h->mask_id) return true;
    err_set(e, ERR_BAD_ARGUMENT, "position %d belongs to the prompt; E edits the prompt", pos);
    return false;
}

bool edit_write(app *a, pane *p, const step_write *writes, int n, err *e) {
    step_record *r;
    for (int i = 0; i < n; i++) {
        if (!check_prompt(p, writes[i].pos, e)) return false;
    }
    return !intervene_write(&r, &p->own, p->state, writes, n, e) && apply(a, p, r, e);
}

bool edit_remask(app *a, pane *p, int pos, err *e) {
    step_record *r;
    return check_prompt(p, pos, e) && !intervene_remask(&r, &p->own, p->state, &pos, 1, e) &&
           apply(a, p, r, e);
}

bool edit_setting(app *a, pane *p, const step_setting *to, err *e) {
    step_record *r;
    return !intervene_setting(&r, &p->own, p->state, to, denoiser_get_info(a->model->d), e) &&
           apply(a, p, r, e);
}

bool edit_toggle_ban(app *a, pane *p, step_ban ban, bool *on, err *e) {
    arena mem = {0};
    step_setting s = intervene_current(&p->own, p->state);
    *on = !setting_has_ban(&s, ban);
    bool ok = !setting_toggle_ban(&s, ban, &mem, e) && edit_setting(a, p, &s, e);
    arena_release(&mem);
    return ok;
}

bool edit_toggle_pin(app *a, pane *p, int pos, bool *on, err *e) {
    arena mem = {0};
    step_setting s = intervene_current(&p->own, p->state);
    *on = !setting_has_pin(&s, pos);
    bool ok = !setting_toggle_pin(&s, pos, &mem, e) && edit_setting(a, p, &s, e);
    arena_release(&mem);
    return ok;
}

/* Starts and branches --------------------------------------------------- */

static void stamp(char *buf, size_t size) {
    time_t now = time(NULL);
    struct tm utc;
    if (!gmtime_r(&now, &utc) || !strftime(buf, size, "%Y-%m-%dT%H:%M:%SZ", &utc)) buf[0] = '\0';
}

bool edit_restart(app *a, pane *p, const int32_t *start, int n_tokens, int n_prompt, err *e) {
    trajectory fresh;
    traj_header h = p->own.head;
    int id;
    snprintf(h.policy, sizeof h.policy, "%s", p->policy->name);
    h.params = p->params;
    h.seed = p->seed;
    if (start) h.start = start, h.n_tokens = n_tokens, h.n_prompt = n_prompt;
    stamp(h.created, sizeof h.created);
    if (trajectory_init(&fresh, &h, p->own.texts, e)) return false;
    /* Nothing was done since the start: there is nothing that a branch would keep. */
    bool same_branch = !p->own.n_records && p->tree.active && !start;
    int rc = remember(p, e) ? 0 : e->code;
    id = p->tree.active;
    if (!rc && !same_branch) rc = tree_add(&p->tree, &fresh, id, 0, NULL, &id, e);
    if (rc) {
        trajectory_release(&fresh);
        return false;
    }
    return move_to(a, p, &fresh, id, 0, e);
}

int edit_name(char out[TREE_NAME], const char *typed, err *e) {
    if (!*typed || strlen(typed) >= TREE_NAME)
        return err_set(e, ERR_BAD_ARGUMENT, "a name has 1 to %d bytes", TREE_NAME - 1);
    snprintf(out, TREE_NAME, "%s", typed);
    utf8_tame(out);
    return 0;
}

bool edit_branch(app *a, pane *p, const char *name, err *e) {
    trajectory here;
    int id;
    if (trajectory_fork(&here, &p->own, p->state, e)) return false;
    int rc = remember(p, e) ? 0 : e->code;
    if (!rc) rc = tree_add(&p->tree, &here, p->tree.active, p->state, name, &id, e);
    if (rc) {
        trajectory_release(&here);
        return false;
    }
    return move_to(a, p, &here, id, p->state, e);
}

bool edit_switch(app *a, pane *p, int id, err *e) {
    trajectory there;
    if (!a->model) {
        p->tree.active = id;
        p->traj = p->home = &tree_find(&p->tree, id)->traj;
        p->state = p->home->n_records;
        return !pane_derive(p, e);
    }
    if (!remember(p, e)) return false;
    const tree_node *node = tree_find(&p->tree, id);
    if (!node) return err_set(e, ERR_NOT_FOUND, "no branch %d", id), false;
    if (trajectory_fork(&there, &node->traj, node->traj.n_records, e)) return false;
    return move_to(a, p, &there, id, there.n_records, e);
}

static bool check_adopted(const app *a, const traj_header *h, err *e) {
    const denoiser_info *info = denoiser_get_info(a->model->d);
    const policy *p = policy_find(h->policy);
    if (strcmp(h->fingerprint, info->fingerprint) || h->n_vocab != info->n_vocab ||
        h->mask_id != info->mask_id) {
        err_set(e, ERR_BAD_ARGUMENT, "the branches are of model %s (%s), this is %s (%s)", h->model_name,
                h->fingerprint, info->name, info->fingerprint);
    } else if (!p || h->params.defs != p->params) {
        err_set(e, ERR_BAD_ARGUMENT, "a branch is of policy %s, which this program does not have", h->policy);
    } else {
        return true;
    }
    return false;
}

/* texts: of the copies, or NULL to leave them as they are. */
static int copy_tree(tree *out, const tree *t, const token_texts *texts, err *e) {
    int id, rc = 0;
    *out = (tree){.active = t->active};
    for (int i = 0; i < t->n && !rc; i++) {
        const tree_node *node = &t->nodes[i];
        out->last_id = node->id - 1;
        rc = tree_add(out, &node->traj, node->parent, node->fork, node->name, &id, e);
        if (!rc && texts) out->nodes[i].traj.texts = *texts;
    }
    if (rc) tree_release(out);
    return rc;
}

bool edit_adopt(app *a, pane *p, const tree *t, err *e) {
    tree copy;
    trajectory there;
    for (int i = 0; i < t->n; i++) {
        if (!check_adopted(a, &t->nodes[i].traj.head, e)) return false;
    }
    /* The texts of the file go with the file. */
    if (copy_tree(&copy, t, &p->own.texts, e)) return false;
    const tree_node *active = tree_find(&copy, copy.active);
    if (trajectory_fork(&there, &active->traj, active->traj.n_records, e)) {
        tree_release(&copy);
        return false;
    }
    tree_release(&p->tree);
    p->tree = copy;
    return move_to(a, p, &there, copy.active, there.n_records, e);
}

bool edit_show_tree(pane *p, const tree *t, err *e) {
    if (copy_tree(&p->tree, t, NULL, e)) return false;
    p->traj = p->home = &tree_find(&p->tree, p->tree.active)->traj;
    p->seed = p->home->head.seed;
    p->state = p->home->n_records;
    return true;
}

bool edit_begin(app *a, pane *p, const pane *from, const policy *pol, strbuf *left_out, err *e) {
    traj_header h = from->own.head;
    snprintf(h.policy, sizeof h.policy, "%s", pol->name);
    app_carry_params(a, pol, &from->params, &h.params, left_out);
    h.seed = from->seed;
    stamp(h.created, sizeof h.created);
    if (trajectory_init(&p->own, &h, from->own.texts, e)) return false;
    p->live = true;
    sync_pane(p);
    return !pane_derive(p, e) && send_worker(a, p, e);
}

bool edit_compare(app *a, const pane *p, pane *other, const tree_node *node, err *e) {
    trajectory copy = {0};
    if (node && trajectory_fork(&copy, &node->traj, node->traj.n_records, e)) return false;
    other->want = 0;
    other->run = false;
    trajectory_release(&other->shown);
    other->shown = copy;
    other->guest = node;
    other->guest_of = p ? p->id : -1;
    other->live = !node && a->model;
    other->traj = node ? &other->shown : other->home ? other->home : &other->own;
    int state = a->panes[a->focus].state;
    other->state = node && state < pane_states(other) ? state : pane_states(other);
    snprintf(other->guest_name, sizeof other->guest_name, "%s", node ? node->name : "");
    return !pane_derive(other, e);
}

/* Undo ------------------------------------------------------------------ */

static bool travel(app *a, pane *p, int by, bool *moved, err *e) {
    const moment *m;
    trajectory there;
    *moved = false;
    if (!edit_park(p, e) || history_move(&m, &p->past, &p->tree, &p->own, p->state, by, e)) return false;
    if (!m) return true;
    *moved = true;
    if (!tree_find(&p->tree, m->node.id)) { /* deleted since */
        if (tree_restore(&p->tree, &m->node, e)) return false;
        p->tree_changed = true;
    }
    if (trajectory_fork(&there, &m->node.traj, m->node.traj.n_records, e)) return false;
    return move_to(a, p, &there, m->node.id, m->state, e);
}

static unsigned travel_key(app *a, int count, int by) {
    pane *p = edit_pane(a);
    err e = {0};
    bool moved = true;
    int done = 0;
    if (!p) return APP_REDRAW;
    for (int i = 0; i < (count ? count : 1) && moved; i++) {
        if (!travel(a, p, by, &moved, &e)) {
            app_complain(a, "%s", e.msg);
            return APP_REDRAW;
        }
        done += moved;
    }
    if (done) {
        app_say(a, "%s: state %d; %d to undo, %d to redo", by < 0 ? "undone" : "redone", p->state,
                p->past.now, p->past.n - p->past.now - 1);
    } else {
        app_say(a, "nothing to %s", by < 0 ? "undo" : "redo");
    }
    return APP_REDRAW;
}

unsigned app_undo(app *a, int count) {
    return travel_key(a, count, -1);
}

unsigned app_redo(app *a, int count) {
    return travel_key(a, count, 1);
}

/* At the cursor --------------------------------------------------------- */

const step_record *edit_known(const pane *p, int pos) {
    if (pos < 0 || pos >= p->traj->head.n_tokens) return NULL;
    if (p->tokens[pos] == p->traj->head.mask_id) return pane_record(p);
    return p->written_by[pos] >= 0 ? p->traj->records[p->written_by[pos]] : NULL;
}

bool pane_forced(const pane *p, int pos) {
    int k = p->written_by[pos];
    return k >= 0 && p->traj->records[k]->kind == STEP_FORCE;
}

pane *edit_place(app *a) {
    pane *p = edit_pane(a);
    err e = {0};
    if (!p || check_prompt(p, a->cursor, &e)) return p;
    app_complain(a, "%s", e.msg);
    return NULL;
}
