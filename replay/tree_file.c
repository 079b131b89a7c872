/* tree_file.c - all branches of all panes in one file: a header, then for each node a line that places it in
 * its tree and the lines of its trajectory. A file is taken whole or refused with file:line:column. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/mem.h"
#include "replay/read_impl.h"
#include "replay/tree.h"

#define TREE_SCHEMA  "tabes-tree"
#define TREE_VERSION "1.0"

/* Writing --------------------------------------------------------------- */

static int write_line(int fd, json_out *o, cJSON *root, const char *path, err *e) {
    strbuf line;
    strbuf_init(&line, MAX_LINE);
    int rc = json_out_check(o, path, e);
    if (!rc) rc = json_put_line(&line, root, NULL, e);
    cJSON_Delete(root);
    for (size_t done = 0; done < line.len && !rc;) {
        ssize_t n = write(fd, line.data + done, line.len - done);
        if (n > 0) done += (size_t)n;
        if (n <= 0 && errno != EINTR) rc = err_set(e, ERR_IO, "%s: %s", path, strerror(n < 0 ? errno : EIO));
    }
    strbuf_release(&line);
    return rc;
}

static int write_header(int fd, const tree *const *trees, int n, const char *path, err *e) {
    json_out o = {0};
    int nodes[TREE_PANES], active[TREE_PANES];
    cJSON *root = json_object(&o, NULL, NULL);
    for (int i = 0; i < n; i++) nodes[i] = trees[i]->n, active[i] = trees[i]->active;
    json_text(&o, root, "type", "tree");
    json_text(&o, root, "schema", TREE_SCHEMA);
    json_text(&o, root, "version", TREE_VERSION);
    json_ints(&o, root, "nodes", nodes, n);
    json_ints(&o, root, "active", active, n);
    return write_line(fd, &o, root, path, e);
}

static int write_node(int fd, int pane, const tree *t, const tree_node *node, const char *path, err *e) {
    json_out o = {0};
    cJSON *root = json_object(&o, NULL, NULL);
    json_text(&o, root, "type", "node");
    json_int(&o, root, "pane", pane);
    json_int(&o, root, "id", node->id);
    json_int(&o, root, "parent", node->parent);
    json_int(&o, root, "fork", tree_fork_now(t, node));
    json_text(&o, root, "name", node->name);
    int rc = write_line(fd, &o, root, path, e);
    return rc ? rc : replay_write_fd(fd, &node->traj, path, e);
}

static int write_trees(int fd, const tree *const *trees, int n, const char *path, err *e) {
    int rc = write_header(fd, trees, n, path, e);
    for (int k = 0; k < n && !rc; k++) {
        for (int i = 0; i < trees[k]->n && !rc; i++)
            rc = write_node(fd, k, trees[k], &trees[k]->nodes[i], path, e);
    }
    if (!rc && fsync(fd)) rc = err_set(e, ERR_IO, "%s: %s", path, strerror(errno));
    return rc;
}

int tree_save(const tree *const *trees, int n, const char *path, err *e) {
    strbuf temp;
    strbuf_init(&temp, 1 << 16);
    strbuf_printf(&temp, "%s.%ld.tmp", path, (long)getpid());
    int rc = temp.failed ? strbuf_fault(&temp, path, e) : 0;
    int fd = rc ? -1 : open(temp.data, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (!rc && fd < 0) rc = err_set(e, ERR_IO, "%s: %s", path, strerror(errno));
    if (!rc) {
        rc = write_trees(fd, trees, n, path, e);
        close(fd);
        if (!rc && rename(temp.data, path)) rc = err_set(e, ERR_IO, "%s: %s", path, strerror(errno));
        if (rc) unlink(temp.data);
    }
    strbuf_release(&temp);
    return rc;
}

/* Reading --------------------------------------------------------------- */

struct tree_file {
    tree trees[TREE_PANES];
    int n_panes, n_nodes;
    int expected[TREE_PANES];
    replay **sources; /* [n_sources] one per node: they own the texts */
    int n_sources;
    size_t cap;
};

typedef struct tree_reader {
    reader r; /* first: the body gets a pointer to it */
    tree_file *f;
} tree_reader;

static tree_file *file_of(reader *r) {
    return ((tree_reader *)(void *)r)->f;
}

static void check_type(reader *r, const char *type, const char *expected) {
    if (!strcmp(type, expected)) return;
    if (r->line_no == 1 && !strcmp(type, "header"))
        reader_fail_at(r, NULL, "a recording, not a file of branches: `tabes replay` opens it");
    else
        reader_fail_at(r, json_find(r->root, "type"), "expected a line of type \"%s\"", expected);
}

/* The next line as an object of that type; false after a fault. */
static bool read_line(reader *r, const char *type) {
    size_t column = 1;
    const char *why = NULL;
    if (!reader_next_line(r)) {
        if (!r->rc) reader_fail_at(r, NULL, "the file ends where a line of type \"%s\" was expected", type);
        return false;
    }
    r->root = json_parse_line(&r->tree, r->line.data, r->line.len, &column, &why);
    if (!r->root) {
        r->rc = err_set(r->e, ERR_BAD_FORMAT, "%s:%zu:%zu: %s", r->path, r->line_no, column, why);
    } else {
        check_type(r, reader_get_text(r, r->root, "type", 32), type);
    }
    return !r->rc;
}

static void check_version(reader *r) {
    const char *schema = reader_get_text(r, r->root, "schema", 32);
    if (!r->rc && strcmp(schema, TREE_SCHEMA))
        reader_fail_at(r, json_find(r->root, "schema"), "expected schema \"%s\"", TREE_SCHEMA);
    const char *version = reader_get_text(r, r->root, "version", 16);
    if (!r->rc && strncmp(version, "1.", 2))
        reader_fail_at(r, json_find(r->root, "version"), "version %s, this program reads 1.x", version);
}

static void read_tree_header(reader *r, arena *mem) {
    tree_file *f = file_of(r);
    int n = 0, same = 0;
    r->mem = mem;
    if (!read_line(r, "tree")) return;
    check_version(r);
    const json_value *nodes = reader_need(r, r->root, "nodes"), *active = reader_need(r, r->root, "active");
    const int *counts = reader_as_ints(r, nodes, "nodes", -1, TREE_PANES, 1, TREE_MAX_NODES, &n);
    const int *ids = reader_as_ints(r, active, "active", n, TREE_PANES, 1, INT_MAX - 1, &same);
    if (!r->rc && n < 1) reader_fail_at(r, nodes, "no pane");
    if (r->rc) return;
    f->n_panes = n;
    for (int i = 0; i < n; i++) {
        f->expected[i] = counts[i];
        f->trees[i].active = ids[i];
    }
}

/* The part before the fork must be the parent's. */
static void check_fork(reader *r, const tree *t, const tree_node *node, const trajectory *x) {
    const tree_node *parent = tree_find(t, node->parent);
    const trajectory *of = parent ? &parent->traj : x;
    int n = of->head.n_tokens;
    if (node->fork > x->n_records || node->fork > of->n_records) {
        reader_fail_at(r, NULL, "branch %d leaves at state %d, it has %d steps and its parent %d", node->id,
                       node->fork, x->n_records, of->n_records);
        return;
    }
    if (!node->fork || !parent) return;
    if (n != x->head.n_tokens || memcmp(of->head.start, x->head.start, (size_t)n * sizeof *x->head.start)) {
        reader_fail_at(r, NULL, "branch %d starts otherwise than its parent", node->id);
        return;
    }
    int differs = trajectory_first_difference(of, x);
    if (differs >= 0 && differs < node->fork)
        reader_fail_at(r, NULL, "branch %d differs from its parent at step %d, before state %d", node->id,
                       differs, node->fork);
}

static void check_model(reader *r, const trajectory *x) {
    const tree_file *f = file_of(r);
    const traj_header *h = f->trees[0].n ? &f->trees[0].nodes[0].traj.head : &x->head;
    if (strcmp(h->fingerprint, x->head.fingerprint) || h->n_vocab != x->head.n_vocab ||
        h->mask_id != x->head.mask_id)
        reader_fail_at(r, NULL, "branches of different models (%s and %s)", h->fingerprint,
                       x->head.fingerprint);
}

/* The trajectory that was read becomes a node. */
static void add_node(reader *r, int pane, const tree_node *node) {
    tree_file *f = file_of(r);
    tree *t = &f->trees[pane];
    int id;
    if (!r->rc) check_model(r, &r->rp->traj);
    if (!r->rc) check_fork(r, t, node, &r->rp->traj);
    if (!r->rc && !mem_grow((void **)&f->sources, &f->cap, (size_t)f->n_sources + 1, sizeof *f->sources))
        reader_fail_memory(r);
    t->last_id = node->id - 1;
    if (!r->rc) r->rc = tree_add(t, &r->rp->traj, node->parent, node->fork, node->name, &id, r->e);
    if (r->rc) {
        replay_close(r->rp);
    } else {
        f->sources[f->n_sources++] = r->rp;
    }
    r->rp = NULL;
}

static void read_node(reader *r, int pane) {
    tree_file *f = file_of(r);
    tree *t = &f->trees[pane];
    tree_node node = {0};
    if (!read_line(r, "node")) return;
    reader_get_int(r, r->root, "pane", pane, pane);
    node.id = reader_get_int(r, r->root, "id", t->last_id + 1, INT_MAX - 1);
    node.parent = reader_get_int(r, r->root, "parent", 0, INT_MAX - 1);
    node.fork = reader_get_int(r, r->root, "fork", 0, MAX_STEPS);
    reader_copy_text(r, r->root, "name", node.name, sizeof node.name);
    if (!r->rc && node.parent && !tree_find(t, node.parent))
        reader_fail_at(r, json_find(r->root, "parent"), "no branch %d before this one", node.parent);
    if (!r->rc && !node.parent && node.fork)
        reader_fail_at(r, json_find(r->root, "fork"), "a branch without a parent leaves at state %d",
                       node.fork);
    if (r->rc) return;
    reader_trajectory(r);
    add_node(r, pane, &node);
}

static void read_trees(reader *r) {
    tree_file *f = file_of(r);
    arena scratch = {0};
    read_tree_header(r, &scratch);
    for (int k = 0; k < f->n_panes && !r->rc; k++) {
        for (int i = 0; i < f->expected[k] && !r->rc; i++) read_node(r, k);
        if (!r->rc && !tree_find(&f->trees[k], f->trees[k].active))
            reader_fail_at(r, NULL, "pane %d has no branch %d to be active", k, f->trees[k].active);
    }
    if (!r->rc && reader_next_line(r)) reader_fail_at(r, NULL, "a line after the last branch");
    arena_release(&scratch);
}

int tree_load(tree_file **out, const char *path, err *e) {
    *out = NULL;
    tree_reader t = {.f = mem_new(1, sizeof *t.f)};
    if (!t.f) return err_set(e, ERR_NO_MEMORY, "%s: out of memory", path);
    int rc = reader_run(&t.r, path, read_trees, e);
    if (rc) {
        tree_file_close(t.f);
    } else {
        *out = t.f;
    }
    return rc;
}

void tree_file_close(tree_file *f) {
    if (!f) return;
    for (int i = 0; i < TREE_PANES; i++) tree_release(&f->trees[i]);
    for (int i = 0; i < f->n_sources; i++) replay_close(f->sources[i]);
    free(f->sources);
    free(f);
}

int tree_file_panes(const tree_file *f) {
    return f->n_panes;
}

const tree *tree_file_tree(const tree_file *f, int pane) {
    return &f->trees[pane];
}

bool tree_is_file(const char *path) {
    char begin[64] = "";
    struct stat st;
    /* Of what can be read only once nothing is to be missing afterwards. */
    if (!strcmp(path, "-") || stat(path, &st) || !S_ISREG(st.st_mode)) return false;
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(begin, 1, sizeof begin - 1, f) : 0;
    if (f) fclose(f);
    begin[n] = '\0';
    return !strncmp(begin, "{\"type\":\"tree\"", 14);
}
