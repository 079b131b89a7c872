/* tree.c - branches in memory. Nodes are kept in the order in which they were made, parents first. */
#include "replay/tree.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"

void tree_release(tree *t) {
    for (int i = 0; i < t->n; i++) trajectory_release(&t->nodes[i].traj);
    free(t->nodes);
    *t = (tree){0};
}

tree_node *tree_find(const tree *t, int id) {
    for (int i = 0; i < t->n; i++) {
        if (t->nodes[i].id == id) return &t->nodes[i];
    }
    return NULL;
}

int tree_add(tree *t, const trajectory *of, int parent, int fork, const char *name, int *id, err *e) {
    if (t->n >= TREE_MAX_NODES)
        return err_set(e, ERR_BAD_ARGUMENT, "%d branches are the most; delete some", TREE_MAX_NODES);
    if (!mem_grow((void **)&t->nodes, &t->cap, (size_t)t->n + 1, sizeof *t->nodes))
        return err_set(e, ERR_NO_MEMORY, "out of memory for a branch");
    tree_node *node = &t->nodes[t->n];
    *node = (tree_node){.id = t->last_id + 1, .parent = parent, .fork = fork};
    int rc = trajectory_fork(&node->traj, of, of->n_records, e);
    if (rc) return rc;
    if (name) {
        snprintf(node->name, sizeof node->name, "%s", name);
    } else {
        snprintf(node->name, sizeof node->name, "b%d at %d", node->id, fork);
    }
    *id = t->last_id = node->id;
    t->n++;
    return 0;
}

int tree_update(tree *t, int id, const trajectory *now, err *e) {
    tree_node *node = tree_find(t, id);
    if (!node) return err_set(e, ERR_NOT_FOUND, "no branch %d", id);
    trajectory copy;
    int rc = trajectory_fork(&copy, now, now->n_records, e);
    if (rc) return rc;
    trajectory_release(&node->traj);
    node->traj = copy;
    return 0;
}

bool tree_remove(tree *t, int id) {
    tree_node *gone = tree_find(t, id);
    if (!gone || id == t->active) return false;
    for (int i = 0; i < t->n; i++) {
        tree_node *child = &t->nodes[i];
        if (child->parent != id) continue;
        child->parent = gone->parent;
        if (gone->fork < child->fork) child->fork = gone->fork;
    }
    trajectory_release(&gone->traj);
    int at = (int)(gone - t->nodes);
    memmove(gone, gone + 1, (size_t)(t->n - at - 1) * sizeof *gone);
    t->n--;
    return true;
}

int tree_restore(tree *t, const tree_node *was, err *e) {
    int parent = tree_find(t, was->parent) ? was->parent : 0, last = t->last_id, at = t->n, id;
    int rc = tree_add(t, &was->traj, parent, parent ? was->fork : 0, was->name, &id, e);
    if (rc) return rc;
    tree_node node = t->nodes[at];
    node.id = was->id;
    for (; at > 0 && t->nodes[at - 1].id > node.id; at--) t->nodes[at] = t->nodes[at - 1];
    t->nodes[at] = node;
    t->last_id = last;
    return 0;
}

static bool same_start(const trajectory *t, const trajectory *x) {
    return t->head.n_tokens == x->head.n_tokens &&
           !memcmp(t->head.start, x->head.start, (size_t)x->head.n_tokens * sizeof *x->head.start);
}

int tree_fork_now(const tree *t, const tree_node *node) {
    const tree_node *parent = tree_find(t, node->parent);
    if (!parent || !same_start(&parent->traj, &node->traj)) return 0;
    int same = trajectory_first_difference(&parent->traj, &node->traj);
    if (same < 0) same = parent->traj.n_records;
    return same < node->fork ? same : node->fork;
}

static bool holds(const trajectory *t, const trajectory *x) {
    if (t->n_records < x->n_records || !same_start(t, x)) return false;
    for (int k = 0; k < x->n_records; k++) {
        if (t->records[k] != x->records[k]) return false;
    }
    return true;
}

bool tree_holds(const tree *t, const trajectory *x) {
    for (int i = 0; i < t->n; i++) {
        if (holds(&t->nodes[i].traj, x)) return true;
    }
    return false;
}
