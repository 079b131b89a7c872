/* tree.h - the decodes that grew out of one another: a branch and the state at which it left its parent.
 *
 * Every node is a whole trajectory from state 0, so it can be shown, compared and written like any other; the
 * records before the fork are shared with the parent, not copied, unless it comes from a file. Ids start at 1
 * and are not used again. Zeroed storage is an empty tree.
 *
 * A tree file holds the trees of all panes: JSON Lines, a header, then for each node one line and the lines
 * of its trajectory (replay/FORMAT.md).
 */
#ifndef TABES_TREE_H
#define TABES_TREE_H

#include "engine/trajectory.h"

enum { TREE_NAME = 48, TREE_PANES = 4, TREE_MAX_NODES = 10000 };

typedef struct tree_node {
    int id, parent; /* parent 0: none */
    int fork;       /* states 0..fork are the parent's; 0: starts anew, perhaps from another prompt */
    char name[TREE_NAME];
    bool changed; /* by a person, and no tree file holds that: for the program that holds the tree */
    trajectory traj;
} tree_node;

typedef struct tree {
    tree_node *nodes; /* by id: parents before their children */
    int n;
    size_t cap; /* private */
    int last_id;
    int active; /* id of the branch in use */
} tree;

void tree_release(tree *t);

/* NULL when there is none. Valid until the tree changes. */
tree_node *tree_find(const tree *t, int id);

/* A node with a copy of `of`; *id gets its id. name NULL: "b2 at 7". */
int tree_add(tree *t, const trajectory *of, int parent, int fork, const char *name, int *id,
             err *e) MUST_CHECK;

/* What a node holds becomes a copy of `now`. */
int tree_update(tree *t, int id, const trajectory *now, err *e) MUST_CHECK;

/* Its children go to its parent. The active one stays (false). */
bool tree_remove(tree *t, int id);

/* A copy of a node that was removed, under its old id and in its old place. */
int tree_restore(tree *t, const tree_node *was, err *e) MUST_CHECK;

/* Where a node leaves what its parent holds now, which undo may have cut short of the fork. */
int tree_fork_now(const tree *t, const tree_node *node);

/* Does some node hold all records of x, from the same start? */
bool tree_holds(const tree *t, const trajectory *x);

/* Up to TREE_PANES trees. Written as a whole (temporary name, fsync, rename). */
int tree_save(const tree *const *trees, int n, const char *path, err *e) MUST_CHECK;

/* A tree file as it was written; the texts of tokens come from the file and live as long as this. */
typedef struct tree_file tree_file;
int tree_load(tree_file **out, const char *path, err *e) MUST_CHECK;
void tree_file_close(tree_file *f);
int tree_file_panes(const tree_file *f);
const tree *tree_file_tree(const tree_file *f, int pane);

/* Is the first line of the file the header of a tree? False also when it cannot be read, or
 * only once (a pipe). */
bool tree_is_file(const char *path);

#endif
