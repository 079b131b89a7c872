/* unsaved.c - what a person changed and no file holds. R writes the branch in use over what it wrote before,
 * W writes all branches, and :write what the pane shows. */
#include "tui/app.h"

void pane_changed(pane *p, int id) {
    tree_node *node = tree_find(&p->tree, id);
    if (node) node->changed = true;
    if (p->recorded == id) p->recorded = 0;
}

/* The branch in use, or else the first, that has this record as its kth. */
static const tree_node *branch_with(const tree *t, const step_record *r, int k) {
    const tree_node *found = NULL;
    for (int i = 0; i < t->n; i++) {
        const tree_node *node = &t->nodes[i];
        if (node->traj.n_records <= k || node->traj.records[k] != r) continue;
        if (!found || node->id == t->active) found = node;
    }
    return found;
}

void app_noted(app *a, pane *p) {
    pane *owner = p->guest && p->guest_of >= 0 ? app_pane_of(a, p->guest_of) : p;
    int k = p->state - 1;
    const tree_node *node = owner ? branch_with(&owner->tree, p->traj->records[k], k) : NULL;
    if (node) {
        pane_changed(owner, node->id);
    } else {
        p->noted = true;
    }
    a->recorded = false;
}

unsigned pane_unsaved(const pane *p) {
    unsigned by = (p->tree_changed ? KEPT_BY_TREE : 0) | (p->noted ? KEPT_BY_WRITE : 0);
    for (int i = 0; i < p->tree.n; i++) {
        const tree_node *node = &p->tree.nodes[i];
        if (node->changed && node->id != p->recorded)
            by |= node->id == p->tree.active ? KEPT_BY_RECORD : KEPT_BY_TREE;
    }
    return by;
}

unsigned app_unsaved(const app *a, char panes[TUI_MAX_PANES + 1]) {
    unsigned by = 0;
    int n = 0;
    for (int i = 0; i < a->n_panes; i++) {
        unsigned one = pane_unsaved(&a->panes[i]);
        if (one) panes[n++] = (char)('A' + i);
        by |= one;
    }
    panes[n] = '\0';
    return by;
}

const char *app_keeper(const app *a, unsigned by) {
    if (!a->model) return ":write";
    return by & KEPT_BY_TREE ? "W" : by & KEPT_BY_RECORD ? "R or W" : ":write";
}

void pane_recorded(pane *p) {
    p->recorded = p->tree.active;
}

void pane_written(pane *p) {
    tree_node *node = p->guest ? NULL : tree_find(&p->tree, p->tree.active);
    if (node) node->changed = false;
    if (!p->guest || p->guest_of < 0) p->noted = false;
}

void pane_tree_written(pane *p) {
    for (int i = 0; i < p->tree.n; i++) p->tree.nodes[i].changed = false;
    p->tree_changed = false;
}
