/* command_live.c - commands that restart a decode with something changed. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tui/command.h"
#include "tui/edit.h"

int command_policy(app *a, const char *rest, unsigned *flags, err *e) {
    const policy *p = policy_find(rest);
    if (!p) return err_set(e, ERR_NOT_FOUND, "'%.40s', expected one of %s", rest, policy_names());
    *flags |= app_set_policy(a, p);
    return 0;
}

/* The focused pane, ready for a change; the reason in *e otherwise. */
static pane *changeable(app *a, err *e) {
    pane *p = edit_pane(a);
    if (!p) err_set(e, ERR_BAD_ARGUMENT, "%s", a->message);
    return p;
}

/* From the state shown on, as the form of `P` does it. */
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
    for (int i = 0; i < a->n_panes; i++) {
        if (a->locked || i == a->focus) a->panes[i].seed = n;
    }
    *flags |= app_restart(a, 0);
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
