/* command_live.c - commands that change a decode: its setting, its start, its branch. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tui/command.h"
#include "tui/edit.h"

/* The focused pane, ready for a change; the reason in *e otherwise. */
static pane *changeable(app *a, err *e) {
    pane *p = edit_pane(a);
    if (!p) err_set(e, ERR_BAD_ARGUMENT, "%s", a->message);
    return p;
}

/* From the state shown on, as the form of `P` does it. */
int command_policy(app *a, const char *rest, unsigned *flags, err *e) {
    const policy *pol = policy_find(rest);
    if (!pol) return err_set(e, ERR_NOT_FOUND, "'%.40s', expected one of %s", rest, policy_names());
    pane *p = changeable(a, e);
    if (!p) return e->code;
    step_setting to = intervene_current(p->traj, p->state);
    param_set old = to.params;
    strbuf left_out;
    strbuf_init(&left_out, sizeof a->message / 2);
    app_carry_params(a, pol, &old, &to.params, &left_out);
    if (strcmp(to.policy, pol->name) != 0) to.extra_json = NULL;
    snprintf(to.policy, sizeof to.policy, "%s", pol->name);
    int from = p->state, rc = edit_setting(a, p, &to, e) ? 0 : e->code;
    if (!rc)
        app_say(a, "pane %c: %s from state %d on%s%s; u undoes", 'A' + a->focus, pol->name, from,
                left_out.len ? ", with its own " : "", left_out.len ? left_out.data : "");
    strbuf_release(&left_out);
    *flags |= APP_REDRAW;
    return rc;
}

/* Likewise. */
int command_set(app *a, const char *rest, unsigned *flags, err *e) {
    static words w;
    int rc = words_expect(&w, rest, 2, "set PARAMETER VALUE", e);
    if (rc) return rc;
    pane *p = changeable(a, e);
    if (!p) return e->code;
    step_setting to = intervene_current(p->traj, p->state);
    rc = param_parse(&to.params, w.at[0], w.at[1], e);
    if (rc) return rc;
    if (!edit_setting(a, p, &to, e)) return e->code;
    *flags |= APP_REDRAW;
    app_say(a, "pane %c: %s = %s from here on; u undoes", 'A' + a->focus, w.at[0], w.at[1]);
    return 0;
}

int command_seed(app *a, const char *rest, unsigned *flags, err *e) {
    char *end = NULL;
    errno = 0;
    unsigned long long n = strtoull(rest, &end, 10);
    if (*rest < '0' || *rest > '9' || *end || errno)
        return err_set(e, ERR_BAD_ARGUMENT, "'%.40s', expected a whole number from 0", rest);
    if (!changeable(a, e)) return e->code;
    for (int i = 0; i < a->n_panes; i++) {
        if (a->panes[i].live && (a->locked || i == a->focus)) a->panes[i].seed = n;
    }
    *flags |= app_restart(a, 0);
    if (a->warning) return err_set(e, ERR_BAD_ARGUMENT, "%s", a->message);
    app_say(a, "seed %llu, from state 0", n);
    return 0;
}

/* Prompt -------------------------------------------------------------- */

int command_prompt(app *a, const char *rest, unsigned *flags, err *e) {
    static words w;
    int rc = 0, n = 0;
    if (!*rest) return err_set(e, ERR_BAD_ARGUMENT, "expected: prompt TEXT");
    if (*rest == '"') {
        rc = words_expect(&w, rest, 1, "prompt \"TEXT\"", e);
        if (rc) return rc;
        rest = w.at[0];
    }
    if (!changeable(a, e)) return e->code;
    for (int i = 0; !rc && i < a->n_panes; i++) {
        if (!a->panes[i].live || (!a->locked && i != a->focus)) continue;
        rc = prompt_restart(a, &a->panes[i], rest, strlen(rest), e);
        n = a->panes[i].own.head.n_prompt;
    }
    if (rc) return rc;
    app_say(a, "another prompt: %d tokens, from state 0; u undoes", n);
    *flags |= APP_REDRAW;
    return 0;
}

/* Branches ------------------------------------------------------------ */

static int find_branch(const tree *t, const char *name) {
    for (int i = 0; i < t->n; i++) {
        if (!strcmp(t->nodes[i].name, name)) return t->nodes[i].id;
    }
    return 0;
}

/* The names, the one in use first. */
static void say_branches(app *a, const pane *p) {
    const tree_node *active = tree_find(&p->tree, p->tree.active);
    char others[300] = "";
    size_t used = 0;
    for (int i = 0; i < p->tree.n && used + 1 < sizeof others; i++) {
        if (&p->tree.nodes[i] == active) continue;
        int k =
            snprintf(others + used, sizeof others - used, "%s%s", used ? ", " : "", p->tree.nodes[i].name);
        used += (size_t)k;
    }
    app_say(a, "pane %c is on branch %s%s%s", 'A' + a->focus, active ? active->name : "b1",
            others[0] ? "; others: " : "", others);
}

/* A recording's pane has branches when its file has. */
static pane *branched(app *a, err *e) {
    pane *p = a->model ? changeable(a, e) : &a->panes[a->focus];
    if (!p || (a->model && !edit_park(p, e))) return NULL;
    if (p->tree.n && !p->guest) return p;
    err_set(e, ERR_BAD_ARGUMENT, "this recording has no branches");
    return NULL;
}

int command_branch(app *a, const char *rest, unsigned *flags, err *e) {
    pane *p = branched(a, e);
    if (!p) return e->code;
    *flags |= APP_REDRAW;
    if (!*rest) {
        say_branches(a, p);
        return 0;
    }
    char name[TREE_NAME];
    int rc = edit_name(name, rest, e), id = find_branch(&p->tree, name);
    if (rc) return rc;
    if (!id && !a->model) return err_set(e, ERR_NOT_FOUND, "no branch '%s'; K lists them", name);
    if (id && id != p->tree.active && !edit_switch(a, p, id, e)) return e->code;
    if (!id && !edit_branch(a, p, name, e)) return e->code;
    app_say(a, id ? "pane %c is on branch %s" : "pane %c: branch %s opened at state %d; u undoes",
            'A' + a->focus, name, p->state);
    return 0;
}

int command_branch_name(app *a, const char *rest, unsigned *flags, err *e) {
    pane *p = branched(a, e);
    if (!p) return e->code;
    char name[TREE_NAME];
    int rc = edit_name(name, rest, e), other = find_branch(&p->tree, name);
    if (rc) return rc;
    if (other && other != p->tree.active)
        return err_set(e, ERR_BAD_ARGUMENT, "another branch is called '%s'", name);
    snprintf(tree_find(&p->tree, p->tree.active)->name, TREE_NAME, "%s", name);
    p->tree_changed = true;
    *flags |= APP_REDRAW;
    app_say(a, "pane %c: this branch is called %s", 'A' + a->focus, name);
    return 0;
}
