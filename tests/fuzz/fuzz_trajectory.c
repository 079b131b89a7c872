/* fuzz_trajectory.c - the readers of recordings and of trees of them, and the exports of what was taken. */
#include "replay/replay.h"
#include "tests/fuzz/support.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void export_all(const trajectory *t) {
    for (const export_format *f = export_formats; f->name; f++) {
        strbuf out;
        err e = {0};
        export_opts o = {.at = f->default_at, .color = EXPORT_ENTROPY};
        strbuf_init(&out, 64 << 20);
        if (export_write(f, &t, 1, o, &out, &e) == 0) fuzz_touch(out.data, out.len);
        strbuf_release(&out);
    }
}

static void read_tree(const char *path) {
    tree_file *t;
    err e = {0};
    if (tree_load(&t, path, &e)) {
        fuzz_message(&e);
        return;
    }
    for (int i = 0; i < tree_file_panes(t); i++) {
        const tree *of = tree_file_tree(t, i);
        if (!tree_find(of, of->active)) abort();
    }
    tree_file_close(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static fuzz_file f;
    replay *r;
    err e = {0};
    fuzz_file_fill(&f, data, n);
    if (tree_is_file(f.path)) {
        read_tree(f.path);
        return 0;
    }
    if (replay_load_to_verify(&r, f.path, &e) == 0) {
        fuzz_touch(r->contradiction, strlen(r->contradiction));
        replay_close(r);
    }
    if (replay_load(&r, f.path, &e)) {
        fuzz_message(&e);
        return 0;
    }
    if (r->traj.head.n_tokens <= 1024 && r->traj.n_records <= 64) export_all(&r->traj);
    replay_close(r);
    return 0;
}
