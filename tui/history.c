/* history.c - moments of a pane. A moment is replaced only by the present it stands for, and dropped only
 * when the tree holds its records. */
#include "tui/history.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"

static void drop_moment(moment *m) {
    trajectory_release(&m->node.traj);
    *m = (moment){0};
}

void history_release(history *h) {
    for (int i = 0; i < h->n; i++) drop_moment(&h->at[i]);
    free(h->at);
    *h = (history){0};
}

static int store(history *h, const tree *t, const trajectory *present, int state, err *e) {
    const tree_node *active = tree_find(t, t->active);
    moment m = {.state = state};
    if (!mem_grow((void **)&h->at, &h->cap, (size_t)h->now + 1, sizeof *h->at))
        return err_set(e, ERR_NO_MEMORY, "out of memory for the history");
    if (active) m.node = *active;
    int rc = trajectory_fork(&m.node.traj, present, present->n_records, e);
    if (rc) return rc;
    if (h->now < h->n) {
        drop_moment(&h->at[h->now]);
    } else {
        h->n++;
    }
    h->at[h->now] = m;
    return 0;
}

/* A moment that no branch and no other moment shows becomes a branch. */
static int keep_moment(tree *t, const trajectory *present, const moment *m, err *e) {
    const trajectory *x = &m->node.traj;
    int id, fork = 0;
    int rc = tree_update(t, t->active, present, e);
    if (rc || tree_holds(t, x)) return rc;
    int same = present->n_records < x->n_records ? present->n_records : x->n_records;
    while (fork < same && present->records[fork] == x->records[fork]) fork++;
    rc = tree_add(t, x, t->active, fork, NULL, &id, e);
    if (!rc) tree_find(t, id)->changed = tree_find(t, t->active)->changed;
    return rc;
}

static void drop_oldest(history *h) {
    drop_moment(&h->at[0]);
    memmove(h->at, h->at + 1, (size_t)(h->n - 1) * sizeof *h->at);
    h->n--;
    h->now--;
}

int history_note(history *h, tree *t, const trajectory *present, int state, err *e) {
    int rc = 0;
    /* The furthest first: it usually holds those before it. */
    for (int i = h->n - 1; i > h->now && !rc; i--) rc = keep_moment(t, present, &h->at[i], e);
    if (!rc) rc = store(h, t, present, state, e);
    if (rc) return rc;
    while (h->n > h->now + 1) drop_moment(&h->at[--h->n]);
    h->now++;
    if (h->n > HISTORY_MAX && !(rc = keep_moment(t, present, &h->at[0], e))) drop_oldest(h);
    return rc;
}

int history_move(const moment **out, history *h, const tree *t, const trajectory *present, int state, int by,
                 err *e) {
    *out = NULL;
    int to = h->now + by;
    if (to < 0 || to >= h->n) return 0;
    int rc = store(h, t, present, state, e);
    if (rc) return rc;
    h->now = to;
    *out = &h->at[to];
    return 0;
}
