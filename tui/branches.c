/* branches.c - the list of a pane's branches: where each left its parent, how far it is; go to one, name it,
 * look at it beside the pane, delete it. Saving the trees of all panes is here, too. */
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "tui/edit.h"
#include "tui/dialog.h"

static pane *mine(const app *a) {
    return (pane *)(uintptr_t)&a->panes[a->focus];
}

/* Rows are the tree depth first: a branch stands under its parent. */
static int place_children(const tree *t, int parent, int depth, int *rows, int *depths, int n) {
    for (int i = 0; i < t->n; i++) {
        if (t->nodes[i].parent != parent) continue;
        rows[n] = i;
        depths[n++] = depth;
        n = place_children(t, t->nodes[i].id, depth + 1, rows, depths, n);
    }
    return n;
}

typedef struct listing {
    int *rows, *depths, n;
} listing;

static listing list_of(const tree *t) {
    listing l = {.rows = mem_new((size_t)t->n, sizeof *l.rows),
                 .depths = mem_new((size_t)t->n, sizeof *l.depths)};
    if (l.rows && l.depths) l.n = place_children(t, 0, 0, l.rows, l.depths, 0);
    return l;
}

static void listing_release(listing *l) {
    free(l->rows);
    free(l->depths);
}

static tree_node *chosen(const app *a) {
    const tree *t = &mine(a)->tree;
    listing l = list_of(t);
    tree_node *node = a->over->row < l.n ? &t->nodes[l.rows[a->over->row]] : NULL;
    listing_release(&l);
    return node;
}

static int lines(const app *a) {
    int n = mine(a)->tree.n + 1;
    return n < 4 ? 4 : n;
}

static void go_there(app *a) {
    pane *p = mine(a);
    const tree_node *node = chosen(a);
    char name[TREE_NAME];
    err e = {0};
    if (!node) return;
    snprintf(name, sizeof name, "%s", node->name);
    if (node->id != p->tree.active && !edit_switch(a, p, node->id, &e)) {
        dialog_note(a, "%s", e.msg);
        return;
    }
    dialog_close(a);
    app_say(a, "pane %c is on branch %s", 'A' + a->focus, name);
}

/* Shows the branch in pane `to`, or gives that pane back when it shows the branch already. */
static void compare(app *a, int to) {
    const tree_node *node = chosen(a);
    pane *other = &a->panes[to];
    err e = {0};
    if (to == a->focus || !node) {
        dialog_note(a, a->n_panes < 2 ? "there is one pane: nothing to show it in"
                                      : "this pane has the branch: Enter goes to it");
        return;
    }
    bool back = other->guest && other->guest_of == mine(a)->id && !strcmp(other->guest_name, node->name);
    if (!edit_compare(a, mine(a), other, back ? NULL : node, &e)) {
        dialog_note(a, "%s", e.msg);
        return;
    }
    char name[TREE_NAME];
    snprintf(name, sizeof name, "%s", node->name);
    dialog_close(a);
    if (back) {
        app_say(a, "pane %c shows itself again", 'A' + to);
    } else {
        app_say(a, "pane %c shows branch %s; the same again gives it back", 'A' + to, name);
    }
}

static void rename_node(app *a) {
    dialog *o = a->over;
    tree_node *node = chosen(a);
    err e = {0};
    if (!a->model) {
        dialog_note(a, "a recording keeps its branches");
        return;
    }
    if (!o->typing) {
        o->typing = node && input_set(&o->in, node->name);
        return;
    }
    o->typing = false;
    if (!node) return;
    if (edit_name(node->name, o->in.text, &e)) {
        dialog_note(a, "%s", e.msg);
    } else {
        mine(a)->tree_changed = true;
    }
}

static void delete_node(app *a) {
    const tree_node *node = chosen(a);
    if (!node) return;
    if (!a->model) {
        dialog_note(a, "a recording keeps its branches");
        return;
    }
    if (tree_remove(&mine(a)->tree, node->id)) {
        mine(a)->tree_changed = true;
    } else {
        dialog_note(a, "the branch in use stays; go to another first");
    }
    if (a->over->row >= mine(a)->tree.n) a->over->row = mine(a)->tree.n - 1;
}

static void press(app *a, int key) {
    dialog *o = a->over;
    if (o->typing) {
        if (key == KEY_RETURN || key == '\n') {
            rename_node(a);
        } else {
            input_key(&o->in, key);
        }
        return;
    }
    if (key == 'j' || key == 'k') key = key == 'j' ? TUI_KEY_DOWN : TUI_KEY_UP;
    if (dialog_move(o, key, mine(a)->tree.n)) return;
    if (key == KEY_RETURN) go_there(a);
    if (key == 'c') compare(a, (a->focus + 1) % a->n_panes);
    if (key >= 'A' && key < 'A' + a->n_panes) compare(a, key - 'A');
    if (key == 'n') rename_node(a);
    if (key == 'd') delete_node(a);
    if (key == 'q') dialog_close(a);
}

static void draw_row(const app *a, cells *g, rect r, int y, const tree_node *node, int depth, bool here) {
    const tree *t = &mine(a)->tree;
    const step_setting *s = trajectory_setting(&node->traj, node->traj.n_records);
    const tree_node *parent = tree_find(t, node->parent);
    bool active = node->id == t->active;
    int x = r.x + 2 + 2 * (depth < 12 ? depth : 12), end = rect_end(r);
    style dim = look(a, STYLE_DIM);
    if (here) cells_text(g, r.x, y, end, look(a, STYLE_NEXT), "\u25B8");
    if (here && a->over->typing) {
        input_draw(a, &a->over->in, g, x, y, r.x + 36);
    } else {
        cells_printf(g, x, y, r.x + 36, look(a, active ? STYLE_STRONG : STYLE_PLAIN), "%s%s", node->name,
                     active ? " \u25CF" : "");
    }
    x = cells_printf(g, r.x + 37, y, end, dim, "%-14s", s ? s->policy : node->traj.head.policy);
    x = cells_printf(g, x + 1, y, end, dim, "%4d steps%s", node->traj.n_records,
                     node->traj.complete ? ", done" : "      ");
    int fork = tree_fork_now(t, node);
    if (parent)
        cells_printf(g, x + 2, y, end, dim, fork ? "leaves %s at %d" : "starts anew after %s", parent->name,
                     fork);
}

static void draw(const app *a, cells *g, rect r) {
    const tree *t = &mine(a)->tree;
    listing l = list_of(t);
    int top = a->over->row >= r.h ? a->over->row - r.h + 1 : 0;
    for (int i = top; i < l.n && i - top < r.h; i++)
        draw_row(a, g, r, r.y + i - top, &t->nodes[l.rows[i]], l.depths[i], i == a->over->row);
    listing_release(&l);
}

/* A tree with its notes inside; it borrows everything else. */
typedef struct noted_tree {
    tree tree;
    noted *of; /* [tree.n] */
} noted_tree;

static void noted_tree_release(noted_tree *v) {
    for (int i = 0; v->of && i < v->tree.n; i++) noted_release(&v->of[i]);
    free(v->of);
    free(v->tree.nodes);
}

static int join_tree(const notes *n, const tree *t, noted_tree *out, err *e) {
    int rc = 0;
    *out = (noted_tree){.tree = *t};
    out->tree.nodes = mem_copy(t->nodes, (size_t)t->n, sizeof *t->nodes);
    out->of = mem_new((size_t)t->n, sizeof *out->of);
    if (!out->tree.nodes || !out->of) rc = err_set(e, ERR_NO_MEMORY, "out of memory for %d branches", t->n);
    for (int i = 0; i < t->n && !rc; i++) {
        rc = notes_join(n, &t->nodes[i].traj, &out->of[i], e);
        out->tree.nodes[i].traj = out->of[i].traj;
    }
    return rc;
}

static int save_trees(app *a, const char *path, err *e) {
    noted_tree joined[TUI_MAX_PANES] = {0};
    const tree *trees[TUI_MAX_PANES];
    int rc = 0;
    for (int i = 0; i < a->n_panes && !rc; i++) {
        rc = edit_park(&a->panes[i], e) ? join_tree(&a->notes, &a->panes[i].tree, &joined[i], e) : e->code;
        trees[i] = &joined[i].tree;
    }
    if (!rc) rc = tree_save(trees, a->n_panes, path, e);
    for (int i = 0; i < a->n_panes; i++) noted_tree_release(&joined[i]);
    return rc;
}

/* PREFIX-tree.jsonl beside the recordings; written anew each time. */
unsigned app_save_tree(app *a, int count) {
    char path[512];
    err e = {0};
    (void)count;
    if (!a->model) {
        app_say(a, "a recording has no branches of its own to write");
        return APP_REDRAW;
    }
    app_record_path(a, "-tree.jsonl", path, sizeof path);
    if (save_trees(a, path, &e)) {
        app_complain(a, "%s", e.msg);
    } else {
        for (int i = 0; i < a->n_panes; i++) pane_tree_written(&a->panes[i]);
        app_say(a, "wrote all branches to %s", path);
    }
    return APP_REDRAW;
}

static const dialog_kind kind = {.title = "branches",
                                 .keys = "Enter go   c show in the next pane (or A to D)   n name   d delete",
                                 .lines = lines,
                                 .width = 100,
                                 .press = press,
                                 .draw = draw};

unsigned app_branches(app *a, int count) {
    pane *p = a->model ? edit_pane(a) : mine(a);
    err e = {0};
    (void)count;
    if (!p) return APP_REDRAW;
    if (!a->model && (!p->tree.n || p->guest)) {
        app_say(a, p->guest ? "this pane shows a branch of another; K, then c, there gives it back"
                            : "this recording has no branches");
    } else if (a->model && !edit_park(p, &e)) {
        app_complain(a, "%s", e.msg);
    } else if (dialog_open(a, &kind)) {
        listing l = list_of(&p->tree);
        for (int i = 0; i < l.n; i++) {
            if (p->tree.nodes[l.rows[i]].id == p->tree.active) a->over->row = i;
        }
        listing_release(&l);
    }
    return APP_REDRAW;
}
