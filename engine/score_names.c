/* score_names.c - the names of scores, and which combinations mean something. */
#include <stdio.h>
#include <string.h>

#include "engine/score.h"

const char *const lookahead_names[] = {"mask", "soft", "mid", "rows", "full", NULL};
const char *const objective_names[] = {"masked", "others", "others-local", "remaining", NULL};
const char *const active_names[] = {"dense", "masked", "candidates", "uncertain", NULL};
const char *const cand_rule_names[] = {"confidence", "margin", "entropy", "all", "auto", NULL};

const char *triple_name(score_triple t, char buf[TRIPLE_NAME]) {
    snprintf(buf, TRIPLE_NAME, "%s/%s/%s", lookahead_names[t.look], objective_names[t.obj],
             active_names[t.act]);
    return buf;
}

/* Index of the name of length n, or -1. */
static int find(const char *const *names, const char *name, size_t n) {
    for (int i = 0; names[i]; i++) {
        if (strlen(names[i]) == n && memcmp(names[i], name, n) == 0) return i;
    }
    return -1;
}

int triple_parse(score_triple *t, const char *name, err *e) {
    static const char *const *const lists[3] = {lookahead_names, objective_names, active_names};
    static const char *const parts[3] = {"lookahead", "objective", "active rows"};
    const char *at = name;
    int found[3];
    for (int i = 0; i < 3; i++) {
        size_t n = strcspn(at, "/");
        if ((i < 2) != (at[n] == '/')) {
            return err_set(e, ERR_BAD_ARGUMENT, "score \"%s\" is not of the form lookahead/objective/active",
                           name);
        }
        found[i] = find(lists[i], at, n);
        if (found[i] < 0) {
            return err_set(e, ERR_BAD_ARGUMENT, "score \"%s\": unknown %s \"%.*s\"", name, parts[i], (int)n,
                           at);
        }
        at += n + 1;
    }
    *t = (score_triple){(lookahead)found[0], (objective)found[1], (active_rows)found[2]};
    return 0;
}

static int refuse(score_triple t, const char *reason, err *e) {
    char name[TRIPLE_NAME];
    return err_set(e, ERR_BAD_ARGUMENT, "score %s: %s", triple_name(t, name), reason);
}

static int check_mask(score_triple t, err *e) {
    if (t.obj != OBJ_REMAINING) return 0;
    return refuse(
        t, "the objective remaining goes with the lookahead soft, which leaves the candidates settled", e);
}

static int check_soft(score_triple t, bool shifted, err *e) {
    if (t.obj != OBJ_REMAINING) {
        return refuse(t, "the lookahead soft settles all candidates, so its objective is remaining", e);
    }
    if (t.act != ACTIVE_CANDIDATES || shifted) return 0;
    return refuse(t,
                  "identically zero: every row of the objective is detached from the candidates; use active "
                  "masked, uncertain or dense",
                  e);
}

/* Lookaheads of one candidate at a time. */
static int check_single(score_triple t, err *e) {
    if (t.obj != OBJ_OTHERS) {
        return refuse(t, "this lookahead settles one candidate at a time, so its objective is others", e);
    }
    if (t.look == LOOK_ROWS && t.act == ACTIVE_DENSE) {
        return refuse(t, "a row-restricted lookahead over all rows is full/others/dense", e);
    }
    if (t.look != LOOK_ROWS && t.act != ACTIVE_DENSE) {
        return refuse(t, "this lookahead is defined for active dense only", e);
    }
    return 0;
}

int triple_check(score_triple t, bool shifted, err *e) {
    switch (t.look) {
    case LOOK_MASK:
        return check_mask(t, e);
    case LOOK_SOFT:
        return check_soft(t, shifted, e);
    case LOOK_MID:
    case LOOK_ROWS:
    case LOOK_FULL:
        break;
    }
    return check_single(t, e);
}
