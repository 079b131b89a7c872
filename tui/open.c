/* open.c - opening recordings while the workbench runs: everything is read and checked before anything
 * changes.
 */
#include "tui/open.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/base/mem.h"
#include "tui/edit.h"
#include "tui/files.h"

void opened_release(opened_files *o) {
    while (o) {
        opened_files *next = o->next;
        for (int i = 0; i < o->n; i++) replay_close(o->files[i]);
        tree_file_close(o->trees);
        free(o);
        o = next;
    }
}

/* Reading -------------------------------------------------------------- */

static int load_one(opened_files *o, const char *path, int n, err *e) {
    struct stat st;
    if (!strcmp(path, "-"))
        return err_set(e, ERR_BAD_ARGUMENT,
                       "- is standard input, which the workbench reads keys from; name a file");
    if (!stat(path, &st) && S_ISDIR(st.st_mode))
        return err_set(e, ERR_BAD_ARGUMENT, "%.200s is a folder; a model is opened by: tabes open -m MODEL",
                       path);
    int rc = file_check_regular(path, e);
    if (rc) return rc;
    if (!tree_is_file(path)) {
        rc = replay_load(&o->files[o->n], path, e);
        o->n += !rc;
        return rc;
    }
    if (n != 1) return err_set(e, ERR_BAD_ARGUMENT, "%.200s has branches: it is opened alone", path);
    return tree_load(&o->trees, path, e);
}

static int load(opened_files **out, const char *const *paths, int n, err *e) {
    opened_files *o = *out = mem_new(1, sizeof *o);
    int rc = o ? 0 : err_set(e, ERR_NO_MEMORY, "out of memory for the files");
    for (int i = 0; !rc && i < n; i++) rc = load_one(o, paths[i], n, e);
    if (!rc) return 0;
    opened_release(o);
    *out = NULL;
    return rc;
}

int open_panes(pane *out, int *n, replay *const *files, int n_files, const tree_file *trees, err *e) {
    *n = trees ? tree_file_panes(trees) : n_files;
    for (int i = 0; i < *n; i++) out[i].id = i;
    for (int i = 0; trees && i < *n; i++) {
        if (!edit_show_tree(&out[i], tree_file_tree(trees, i), e)) return e->code;
    }
    for (int i = 0; !trees && i < *n; i++) {
        out[i].traj = out[i].home = &files[i]->traj;
        out[i].seed = files[i]->traj.head.seed;
    }
    return 0;
}

static void warn_cut(app *a, const opened_files *o) {
    for (int i = 0; i < o->n; i++) {
        if (o->files[i]->truncated) app_complain(a, "%s: %s", o->files[i]->path, o->files[i]->note);
    }
}

/* In a replay ---------------------------------------------------------- */

static void say_opened(app *a, int n) {
    a->focus = 0;
    a->cursor = 0;
    app_first_generated(a, 0);
    app_say(a, "opened %d pane%s", n, n == 1 ? "" : "s");
}

static int replace(app *a, opened_files *o, err *e) {
    pane fresh[TUI_MAX_PANES] = {0};
    int n = 0, rc = open_panes(fresh, &n, o->files, o->n, o->trees, e);
    for (int i = 0; !rc && i < n; i++) rc = pane_derive(&fresh[i], e);
    if (rc) {
        for (int i = 0; i < TUI_MAX_PANES; i++) pane_release(&fresh[i]);
        opened_release(o);
        return rc;
    }
    for (int i = 0; i < TUI_MAX_PANES; i++) pane_release(&a->panes[i]);
    memcpy(a->panes, fresh, sizeof fresh);
    a->n_panes = n;
    opened_release(a->opened);
    a->opened = o;
    memset(a->marks, 0, sizeof a->marks);
    panes_changed(a);
    say_opened(a, n);
    warn_cut(a, o);
    return 0;
}

/* Beside a live decode -------------------------------------------------- */

/* Everyone's own decode again. */
static int give_back(app *a, err *e) {
    int n = 0;
    for (int i = 0; i < a->n_panes; i++) {
        if (!a->panes[i].guest) continue;
        if (!edit_compare(a, &a->panes[i], &a->panes[i], NULL, e)) return e->code;
        n++;
    }
    app_say(a, n ? "all panes show themselves again" : "every pane shows itself");
    return 0;
}

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

/* The recording borrows the name field of a branch. */
static int show_beside(app *a, opened_files *o, const char *path, err *e) {
    int to = (a->focus + 1) % a->n_panes;
    tree_node node = {0};
    if (o->n) node.traj = o->files[0]->traj;
    int rc =
        !o->n ? err_set(e, ERR_BAD_ARGUMENT, "a file with branches: tabes open --tree goes on from it") : 0;
    snprintf(node.name, sizeof node.name, "%s", base_name(path));
    if (!rc && !edit_compare(a, NULL, &a->panes[to], &node, e)) rc = e->code;
    if (rc) {
        opened_release(o);
        return rc;
    }
    o->next = a->opened; /* the pane's records may be looked at until the end */
    a->opened = o;
    panes_changed(a);
    app_say(a, "pane %c shows %s; :open alone gives it back", 'A' + to, node.name);
    warn_cut(a, o);
    return 0;
}

int open_files(app *a, const char *const *paths, int n, err *e) {
    opened_files *o;
    if (!n && a->model) return give_back(a, e);
    if (!n) return err_set(e, ERR_BAD_ARGUMENT, "expected: open FILE...");
    if (n > (a->model ? 1 : TUI_MAX_PANES))
        return err_set(e, ERR_BAD_ARGUMENT, "found %d files, expected %s", n,
                       a->model ? "one beside a live decode" : "one to four");
    int rc = load(&o, paths, n, e);
    if (rc) return rc;
    return a->model ? show_beside(a, o, paths[0], e) : replace(a, o, e);
}
