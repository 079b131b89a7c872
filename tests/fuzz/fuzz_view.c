/* fuzz_view.c - a recording from somebody else, or a tree of them, in the workbench: drawn in every colouring
 * and with every detail at a few states, and as a cast.
 *
 * Behind a separator a second recording is shown beside it. */
#include <string.h>

#include "tests/fuzz/support.h"
#include "tests/fuzz/workbench.h"
#include "tui/cast.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { MAX_TOKENS = 512, MAX_RECORDS = 64 };

static void draw_all(app *a) {
    for (int i = 0; i < N_LAYERS || i < N_TABS; i++) {
        a->layer = (layer)(i % N_LAYERS);
        a->tab = (detail_tab)(i % N_TABS);
        if (i % 3 == 1) app_step(a, 1);
        if (i % 4 == 2) app_next_masked(a, 1);
        if (i == 5) app_divergence_next(a, 0);
        if (i == 6) app_focus_next(a, 0);
        if (i == 7) app_follow(a, 0);
        fuzz_workbench_draw(a, i % 2 ? 80 : 121, i % 2 ? 24 : 37);
    }
}

static void show(replay *const *files, int n, const tree_file *trees) {
    app a;
    if (!fuzz_workbench_open_files(&a, files, n, trees)) return;
    draw_all(&a);
    fuzz_workbench_close(&a);
}

static void as_cast(replay *const *files, int n) {
    strbuf out;
    err e = {0};
    tui_opts o = {.replays = files, .n_replays = n};
    strbuf_init(&out, 64 << 20);
    if (tui_cast(&o, &(cast_opts){.cols = 80, .rows = 24, .states_per_second = 4}, &out, &e) == 0)
        fuzz_touch(out.data, out.len);
    strbuf_release(&out);
}

static bool small(const replay *r) {
    return r->traj.head.n_tokens <= MAX_TOKENS && r->traj.n_records <= MAX_RECORDS;
}

static int load_files(replay *files[2], const uint8_t *data, size_t n) {
    static fuzz_file f[2];
    const uint8_t *rest;
    size_t n_rest, n_first = fuzz_split(data, n, &rest, &n_rest);
    int count = 0;
    for (int i = 0; i < 2; i++) {
        err e = {0};
        if (i && !n_rest) break;
        fuzz_file_fill(&f[i], i ? rest : data, i ? n_rest : n_first);
        if (replay_load(&files[count], f[i].path, &e)) continue;
        if (small(files[count])) {
            count++;
        } else {
            replay_close(files[count]);
        }
    }
    return count;
}

static void show_tree(const char *path) {
    tree_file *t;
    err e = {0};
    if (tree_load(&t, path, &e)) return;
    show(NULL, 0, t);
    tree_file_close(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static fuzz_file f;
    replay *files[2];
    fuzz_file_fill(&f, data, n);
    if (tree_is_file(f.path)) {
        show_tree(f.path);
        return 0;
    }
    int count = load_files(files, data, n);
    if (count) {
        show(files, count, NULL);
        as_cast(files, 1);
    }
    for (int i = 0; i < count; i++) replay_close(files[i]);
    return 0;
}
