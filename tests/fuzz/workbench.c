/* workbench.c - a model, recordings of it, branches and a lesson; the app over them. */
#include "tests/fuzz/workbench.h"

#include <locale.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/sandbox.h"
#include "tests/fuzz/support.h"
#include "tests/unit/fake_denoiser.h"
#include "tui/edit.h"
#include "tui/screen.h"

/* A machine that stands still for a while is no finding: the worker has longer to end than a person waits. */
enum { N = 10, MAX_ROUNDS = 20000, PATIENCE_MS = 100, STOP_SECONDS = 300 };

static struct {
    bool ready;
    model m;
    replay *files[2];
    tree_file *trees;
    lesson *lesson;
} bench;

static const int32_t prompt[N] = {8, 2, 8, 8, 5, 8, 8, 0, 8, 8};

static void must(int rc, const err *e) {
    if (!rc) return;
    fprintf(stderr, "%s\n", e->msg);
    _Exit(1);
}

/* ---- what is shown ---- */

/* Nine tokens: letters, a newline, a wide character, half a character, and the mask. */
static const char tokenizer_text[] =
    "{\"added_tokens\":[{\"id\":8,\"content\":\"<m>\",\"special\":true}],\"normalizer\":null,"
    "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false},\"decoder\":{\"type\":"
    "\"ByteLevel\"},"
    "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2,\"\\u0120\":3,\"\\u010a\":4,"
    "\"\\u00e4\\u00bd\\u0142\":5,\"\\u00c3\":6,\"9\":7},\"merges\":[\"a b\"]}}";

static const char lesson_text[] =
    "title: Small\nabout: two masks\nmodel: sudoku\npolicies: confidence, boe\nlength: 10\n"
    "== One\nHere are {count masked} masks.\ndo: first\nmark: next\nask: How many?\n"
    "- one\n+ two\n--\nTwo it is.\n== Two\nWhich?\ndo: step 2\ndo: color tis\n"
    "mark: masked\nask: Where?\nanswer: next\n--\nThere.\n== Three\nDone.\n";

static tui_opts live_opts(void) {
    static const char *const policy[] = {"confidence", "boe"};
    tui_opts o = {.model = &bench.m, .prompt = prompt, .n_prompt = N, .n_panes = 2};
    for (int i = 0; i < 2; i++) {
        o.panes[i].policy = policy_find(policy[i]);
        policy_defaults(o.panes[i].policy, NULL, &o.panes[i].params);
    }
    return o;
}

static const char *const names[3] = {"a.jsonl", "b.jsonl", "c.jsonl"};

/* Both panes' decodes, and a branch of the first one, as files. */
static void record(void) {
    app a;
    err e = {0};
    tui_opts o = live_opts();
    const tree *trees[2];
    must(app_open(&a, &o, &e), &e);
    fuzz_workbench_settle(&a);
    app_run(&a, 0);
    fuzz_workbench_settle(&a);
    for (int i = 0; i < 2; i++) must(replay_save(a.panes[i].traj, names[i], &e), &e);
    app_go(&a, 0, 2);
    if (!edit_branch(&a, &a.panes[0], "other", &e)) must(e.code, &e);
    fuzz_workbench_settle(&a);
    for (int i = 0; i < 2; i++) {
        if (!edit_park(&a.panes[i], &e)) must(e.code, &e);
        trees[i] = &a.panes[i].tree;
    }
    must(tree_save(trees, 2, names[2], &e), &e);
    app_close(&a);
}

static void keep(const char *name) {
    strbuf text;
    err e = {0};
    must(strbuf_read_file(&text, name, 1 << 20, &e), &e);
    fuzz_sandbox_put(name, text.data, text.len);
    strbuf_release(&text);
}

static void make_files(void) {
    err e = {0};
    fuzz_sandbox_enter();
    record();
    for (int i = 0; i < 2; i++) must(replay_load(&bench.files[i], names[i], &e), &e);
    must(tree_load(&bench.trees, names[2], &e), &e);
    for (int i = 0; i < 3; i++) keep(names[i]);
    fuzz_sandbox_leave();
}

static void make_ready(void) {
    static fuzz_directory d;
    err e = {0};
    if (bench.ready) return;
    bench.ready = true;
    setlocale(LC_CTYPE, getenv("FUZZ_LOCALE") ? getenv("FUZZ_LOCALE") : "C.UTF-8");
    fuzz_directory_fill(&d, "tokenizer.json", tokenizer_text, sizeof tokenizer_text - 1);
    bench.m = (model){.d = &fake_new(false, 64)->base, .stop_id = -1};
    must(tokenizer_load(&bench.m.tok, d.path, &e), &e);
    denoiser_set_texts(bench.m.d, tokenizer_texts(bench.m.tok));
    must(lesson_parse(&bench.lesson, lesson_text, sizeof lesson_text - 1, "small.lesson", &e), &e);
    make_files();
}

const model *fuzz_workbench_model(void) {
    make_ready();
    return &bench.m;
}

/* ---- the app ---- */

static void open_with(app *a, const tui_opts *o) {
    err e = {0};
    fuzz_sandbox_enter();
    must(app_open(a, o, &e), &e);
    a->pal.mode = MODE_256;
    fuzz_workbench_settle(a);
    if (o->lesson) must(lesson_begin(a, o->lesson, &e), &e);
    fuzz_workbench_settle(a);
}

void fuzz_workbench_open(app *a, fuzz_show what) {
    make_ready();
    tui_opts o = {.looker = &bench.m};
    if (what == FUZZ_LIVE || what == FUZZ_LESSON) o = live_opts();
    if (what == FUZZ_BRANCHES) o.trees = bench.trees;
    if (what == FUZZ_REPLAYS) o.replays = bench.files, o.n_replays = 2;
    if (what == FUZZ_LESSON) o.lesson = bench.lesson;
    open_with(a, &o);
}

void fuzz_workbench_open_lesson(app *a, const lesson *l) {
    make_ready();
    tui_opts o = live_opts();
    o.lesson = l;
    open_with(a, &o);
}

bool fuzz_workbench_open_files(app *a, replay *const *files, int n, const tree_file *trees) {
    err e = {0};
    tui_opts o = {.replays = files, .n_replays = n, .trees = trees};
    fuzz_sandbox_enter();
    if (app_open(a, &o, &e)) {
        app_close(a);
        fuzz_sandbox_leave();
        return false;
    }
    a->pal.mode = MODE_256;
    return true;
}

void fuzz_workbench_close(app *a) {
    line_end();
    if (!worker_stop(a->worker, STOP_SECONDS)) abort();
    a->worker = NULL;
    app_close(a);
    fuzz_sandbox_leave();
}

static bool settles(app *a) {
    int rounds = 0;
    while (app_busy(a) || a->playing || looks_ask(a)) {
        struct pollfd fd = {.fd = a->worker ? worker_fd(a->worker) : -1, .events = POLLIN};
        if (app_waits(a)) poll(&fd, 1, PATIENCE_MS);
        app_events(a);
        app_tick(a, a->next_tick);
        if (++rounds > MAX_ROUNDS) return false;
    }
    return true;
}

void fuzz_workbench_settle(app *a) {
    if (!settles(a)) abort();
    for (int lines = 0; script_waits(&a->script) && !a->quit; lines++) {
        unsigned flags = 0;
        err e = {0};
        if (script_step(a, &flags, &e)) app_complain(a, "%s", e.msg);
        if (!settles(a)) abort();
        if (lines > 1000) script_drop(&a->script); /* a file that sources itself goes on for long, but ends */
    }
}

const cells *fuzz_workbench_draw(app *a, int cols, int rows) {
    static cells g;
    err e = {0};
    if (g.cols != cols || g.rows != rows) {
        cells_release(&g);
        must(cells_init(&g, cols, rows, false, &e), &e);
    }
    must(screen_draw(a, &g, &e), &e);
    return &g;
}
