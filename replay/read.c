/* read.c - trajectory files on their way in, line by line. Nothing in a file is believed before it is
 * checked; a last line that was cut is left out and reported. */
#include "replay/read_impl.h"

#include <errno.h>
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/base/mem.h"

/* Closing line ------------------------------------------------------------ */

static bool near(double a, double b) {
    return fabs(a - b) <= 1e-9 * (fabs(a) + fabs(b)) + 1e-12;
}

static void read_closing(reader *r) {
    static const char *const known[] = {"type", "complete",      "steps", "result", "written",
                                        "nfe",  "backward_rows", "ms",    NULL};
    trajectory *t = &r->rp->traj;
    const json_value *root = r->root;
    traj_totals sum = trajectory_totals(t, t->n_records);
    arena scratch = {0};
    r->mem = &r->rp->texts->mem;
    reader_keep_unknown(r, root, known, &r->rp->texts->closing_extra);
    r->mem = &scratch;
    bool complete = reader_get_bool(r, root, "complete");
    int steps = reader_get_int(r, root, "steps", 0, MAX_STEPS);
    if (!r->rc && steps != t->n_records)
        reader_contradict(r, json_find(root, "steps"), "%d steps, the file has %d", steps, t->n_records);
    const int *result = reader_get_ids(r, root, "result", t->head.n_tokens);
    const json_value *item = r->rc ? NULL : json_find(root, "result")->child;
    for (int i = 0; item; item = item->next, i++) {
        if (result[i] != t->last[i]) {
            reader_contradict(r, item, "result: token %d at position %d, the steps lead to %d", result[i], i,
                              t->last[i]);
        }
    }
    int written = reader_get_int(r, root, "written", 0, INT_MAX);
    double nfe = reader_get_real(r, root, "nfe", 0, ANY), ms = reader_get_real(r, root, "ms", 0, ANY);
    double rows = reader_get_real(r, root, "backward_rows", 0, ANY);
    if (!r->rc && written != sum.n_written) {
        reader_contradict(r, json_find(root, "written"), "written is %d, the steps have %d", written,
                          sum.n_written);
    }
    if (!r->rc && !near(nfe, sum.nfe))
        reader_contradict(r, json_find(root, "nfe"), "nfe is %g, the steps have %g", nfe, sum.nfe);
    if (!r->rc && !near(rows, (double)sum.backward_rows)) {
        reader_contradict(r, json_find(root, "backward_rows"), "backward_rows is %.0f, the steps have %lld",
                          rows, (long long)sum.backward_rows);
    }
    if (!r->rc && !near(ms, sum.ms))
        reader_contradict(r, json_find(root, "ms"), "ms is %g, the steps have %g", ms, sum.ms);
    if (!r->rc && complete != t->complete) {
        reader_contradict(r, json_find(root, "complete"), "complete is %s, the steps leave %s",
                          complete ? "true" : "false", t->complete ? "no masks" : "masks");
    }
    arena_release(&scratch);
}

/* Lines ------------------------------------------------------------------- */

/* Something is left to be read. */
static bool fill_chunk(reader *r) {
    if (r->chunk_at < r->chunk_n) return true;
    r->chunk_at = 0;
    r->chunk_n = fread(r->chunk, 1, sizeof r->chunk, r->f);
    return r->chunk_n > 0;
}

/* Reads up to and without the newline; false at the end of the file. */
bool reader_next_line(reader *r) {
    strbuf_clear(&r->line);
    r->whole = false;
    while (!r->whole && !r->line.failed && fill_chunk(r)) {
        const char *from = r->chunk + r->chunk_at, *end = memchr(from, '\n', r->chunk_n - r->chunk_at);
        size_t n = end ? (size_t)(end - from) : r->chunk_n - r->chunk_at;
        strbuf_add(&r->line, from, n);
        r->chunk_at += n + (end != NULL);
        r->whole = end != NULL;
    }
    r->line_no++;
    if (r->line.no_memory) {
        reader_fail_memory(r);
    } else if (r->line.failed) {
        reader_fail_at(r, NULL, "a line of more than %d bytes", MAX_LINE);
    }
    if (!r->rc && ferror(r->f)) r->rc = err_set(r->e, ERR_IO, "%s: %s", r->path, strerror(errno));
    return !r->rc && (r->whole || r->line.len > 0);
}

static void cut(reader *r, const char *how) {
    int n = r->rp->traj.n_records;
    r->rp->truncated = true;
    snprintf(r->rp->note, sizeof r->rp->note, "truncated: %s; %d step%s kept", how, n,
             n == 1 ? " is" : "s are");
}

static void read_first(reader *r, const char *type) {
    const json_value *at = json_find(r->root, "type");
    if (!strcmp(type, "header"))
        read_header(r);
    else if (!strcmp(type, "tree"))
        reader_fail_at(r, at, "a file of branches: `tabes replay` and `tabes open --tree` open it");
    else
        reader_fail_at(r, at, "the first line is not a header");
}

/* The first line. Cut inside it there is nothing to keep. */
static void first_line(reader *r) {
    size_t column = 1;
    const char *why = NULL;
    if (!reader_next_line(r)) {
        if (!r->rc)
            r->rc = err_set(r->e, ERR_BAD_FORMAT, "%s:%zu:1: %s, truncated before its header", r->path,
                            r->line_no, r->line_no == 1 ? "an empty file" : "the end of the file");
        return;
    }
    bool looks_right = r->line.data[0] == '{';
    r->root = json_parse_line(&r->tree, r->line.data, r->line.len, &column, &why);
    if (!r->whole && looks_right) {
        r->rc = err_set(r->e, ERR_BAD_FORMAT, "%s:%zu:%zu: truncated inside the header; nothing can be kept",
                        r->path, r->line_no, r->line.len + 1);
    } else if (!r->root) {
        r->rc = err_set(r->e, ERR_BAD_FORMAT, "%s:%zu:%zu: %s; not a trajectory file", r->path, r->line_no,
                        column, why);
    } else {
        read_first(r, reader_get_text(r, r->root, "type", 32));
    }
}

/* Any other line; true to go on. */
static bool later_line(reader *r, bool *closed) {
    char how[80];
    size_t column = 1;
    const char *why = NULL;
    if (!reader_next_line(r)) return false;
    if (!r->whole) {
        snprintf(how, sizeof how, "line %zu is cut", r->line_no);
        cut(r, how);
        return false;
    }
    r->root = json_parse_line(&r->tree, r->line.data, r->line.len, &column, &why);
    if (!r->root) {
        r->rc = err_set(r->e, ERR_BAD_FORMAT, "%s:%zu:%zu: %s", r->path, r->line_no, column, why);
        return false;
    }
    const char *type = reader_get_text(r, r->root, "type", 32);
    if (r->rc) return false;
    if (*closed) {
        reader_fail_at(r, NULL, "a line after the closing line");
    } else if (!strcmp(type, "step")) {
        read_step(r);
    } else if (!strcmp(type, "closing")) {
        read_closing(r);
        *closed = true;
    } else {
        reader_fail_at(r, json_find(r->root, "type"), "type \"%s\", expected step or closing", type);
    }
    return !r->rc;
}

static void read_all(reader *r) {
    bool closed = false;
    first_line(r);
    while (!r->rc && later_line(r, &closed)) {}
    if (!r->rc && !closed && !r->rp->truncated) cut(r, "no closing line");
}

static replay *new_replay(reader *r, const char *path) {
    r->rp = mem_new(1, sizeof *r->rp);
    if (r->rp) {
        snprintf(r->rp->path, sizeof r->rp->path, "%s", path);
    } else {
        r->rc = err_set(r->e, ERR_NO_MEMORY, "%s: out of memory", r->path);
    }
    return r->rp;
}

void reader_trajectory(reader *r) {
    bool closed = false;
    if (!new_replay(r, r->path)) return;
    first_line(r);
    while (!r->rc && !closed && later_line(r, &closed)) {}
    free(r->masked);
    r->masked = NULL;
    if (!r->rc && !closed) reader_fail_at(r, NULL, "the file ends inside a trajectory");
}

/* Numbers have a point, whatever the user's locale says; strtod follows this thread's locale. */
static void run_plain(reader *r, void (*body)(reader *r)) {
    locale_t plain = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    locale_t before = plain ? uselocale(plain) : (locale_t)0;
    body(r);
    if (plain) {
        uselocale(before);
        freelocale(plain);
    }
}

int reader_run(reader *r, const char *path, void (*body)(reader *r), err *e) {
    bool std = strcmp(path, "-") == 0;
    size_t n = strlen(path);
    struct stat st;
    r->path = std ? "<stdin>" : n > 160 ? path + n - 160 : path;
    r->e = e;
    strbuf_init(&r->line, MAX_LINE);
    r->f = std ? stdin : fopen(path, "rb");
    if (!r->f) {
        r->rc = err_set(e, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s: %s", r->path, strerror(errno));
    } else if (fstat(fileno(r->f), &st) == 0 && S_ISDIR(st.st_mode)) {
        r->rc = err_set(e, ERR_IO, "%s: is a directory, expected a trajectory file", r->path);
    } else {
        run_plain(r, body);
    }
    if (r->f && !std) fclose(r->f);
    strbuf_release(&r->line);
    json_tree_release(&r->tree);
    free(r->masked);
    return r->rc;
}

static int load(replay **out, const char *path, bool lenient, err *e) {
    *out = NULL;
    reader r = {.path = path, .e = e, .lenient = lenient};
    if (!new_replay(&r, path)) return r.rc;
    if (reader_run(&r, path, read_all, e)) {
        replay_close(r.rp);
    } else {
        *out = r.rp;
    }
    return r.rc;
}

int replay_load(replay **out, const char *path, err *e) {
    return load(out, path, false, e);
}

int replay_load_to_verify(replay **out, const char *path, err *e) {
    return load(out, path, true, e);
}

void replay_close(replay *r) {
    if (!r) return;
    trajectory_release(&r->traj);
    if (r->texts) {
        free(r->texts->of);
        arena_release(&r->texts->mem);
    }
    free(r->texts);
    free(r);
}
