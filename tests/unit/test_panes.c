/* test_panes.c - one to four panes: what is compared with pane A, panes that come and go while the workbench
 * runs, and work that no file holds. Over a fake model, without a terminal. */
#include "checks.h"

#include <dirent.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake_denoiser.h"
#include "fake_gpu.h"
#include "tui/command.h"
#include "tui/edit.h"
#include "tui/keys.h"
#include "tui/screen.h"

enum { N = 10, SECONDS = 30 };

static const int32_t prompt[N] = {8, 2, 8, 8, 5, 8, 8, 0, 8, 8};

static void settle(app *a) {
    for (int i = 0; i < SECONDS * 10 && app_busy(a); i++) {
        poll(&(struct pollfd){.fd = worker_fd(a->worker), .events = POLLIN}, 1, 100);
        app_events(a);
    }
    CHECK(!app_busy(a));
}

/* The frame as text; every view draws. */
static const char *frame(app *a, int cols, int rows) {
    static char text[1 << 17];
    cells g = {0};
    strbuf out;
    err e = {0};
    strbuf_init(&out, sizeof text - 1);
    MUST(cells_init(&g, cols, rows, false, &e), &e);
    MUST(screen_draw(a, &g, &e), &e);
    cells_dump(&g, &out);
    snprintf(text, sizeof text, "%s", out.data);
    cells_release(&g);
    strbuf_release(&out);
    return text;
}

static void press(app *a, int key) {
    keys_press(a, key);
    settle(a);
    frame(a, 80, 24);
}

static void type(app *a, const char *keys) {
    for (; *keys; keys++) press(a, (unsigned char)*keys);
}

static int run(app *a, const char *text, err *e) {
    unsigned flags = 0;
    *e = (err){0};
    int rc = command_run(a, text, &flags, e);
    settle(a);
    return rc;
}

static void good(app *a, const char *text) {
    err e;
    MUST(run(a, text, &e), &e);
}

static void bad(app *a, const char *text, const char *says) {
    err e;
    CHECK(run(a, text, &e) != 0);
    if (!CHECK(strstr(e.msg, says))) fprintf(stderr, "%s: '%s' lacks '%s'\n", text, e.msg, says);
}

typedef struct bench {
    fake *f;
    model m;
    app a;
    char dir[32], prefix[64];
} bench;

static void open_bench(bench *b, int n, bool on_gpu) {
    static const char *const names[] = {"confidence", "left-to-right", "boe", "left-to-right"};
    snprintf(b->dir, sizeof b->dir, "/tmp/tabes-test-XXXXXX");
    CHECK(mkdtemp(b->dir));
    snprintf(b->prefix, sizeof b->prefix, "%s/run", b->dir);
    b->f = on_gpu ? fake_gpu_new() : fake_new(false, 64);
    b->m = (model){.d = &b->f->base};
    tui_opts o = {.model = &b->m, .prompt = prompt, .n_prompt = N, .n_panes = n, .record_prefix = b->prefix};
    for (int i = 0; i < n; i++) {
        o.panes[i] = (tui_pane){.policy = policy_find(names[i])};
        policy_defaults(o.panes[i].policy, NULL, &o.panes[i].params);
    }
    err e = {0};
    MUST(app_open(&b->a, &o, &e), &e);
    b->a.pal = (palette){.mode = MODE_NONE};
    settle(&b->a);
}

static void close_bench(bench *b) {
    CHECK(app_close(&b->a));
    denoiser_close(&b->f->base);
    char path[320];
    DIR *d = opendir(b->dir);
    for (struct dirent *at; d && (at = readdir(d));) {
        snprintf(path, sizeof path, "%s/%s", b->dir, at->d_name);
        unlink(path);
    }
    if (d) closedir(d);
    CHECK(!rmdir(b->dir));
}

static bool written(const bench *b, const char *end) {
    char path[128];
    snprintf(path, sizeof path, "%s%s", b->prefix, end);
    return !access(path, R_OK);
}

/* Against pane A: B and D are one policy and differ at the same places; A is marked where any other differs.
 */
static void test_four(void **state) {
    (void)state;
    bench b;
    open_bench(&b, 4, false);
    type(&b.a, "ss");
    const pane *p = b.a.panes;
    for (int i = 0; i < 4; i++) CHECK(p[i].state == 2);
    int any = 0;
    for (int k = 0; k < N; k++) {
        bool d = p[1].tokens[k] != p[0].tokens[k] || p[2].tokens[k] != p[0].tokens[k];
        any += d;
        CHECK(p[0].differs[k] == d && p[1].differs[k] == p[3].differs[k]);
    }
    CHECK(any && p[0].n_differs == any && p[1].n_differs == p[3].n_differs);
    char legend[64];
    snprintf(legend, sizeof legend, "B %d C %d D %d differ from A", p[1].n_differs, p[2].n_differs,
             p[3].n_differs);
    CHECK(strstr(frame(&b.a, 120, 40), legend));
    const char *s = frame(&b.a, 200, 60);
    CHECK(strstr(s, "A confidence") && strstr(s, "B left-to-right") && strstr(s, "C boe") &&
          strstr(s, "D left-to-right"));
    type(&b.a, "c");
    int first = app_diverges(&b.a, NULL, NULL), pos = 0;
    for (int i = 1, n; i < 4; i++) {
        n = trajectory_divergence(p[0].traj, p[i].traj, &pos);
        CHECK(n < 0 || n >= first);
    }
    CHECK(first > 0);
    type(&b.a, "D");
    for (int i = 0; i < 4; i++) CHECK(p[i].state == first);
    CHECK(strstr(b.a.message, "from A"));
    /* Unlocked, a verb goes to the focused pane alone. */
    type(&b.a, "gg=\t\ts");
    CHECK(b.a.focus == 2 && p[2].state == 1 && p[0].state == 0 && p[3].state == 0);
    good(&b.a, "focus d");
    CHECK(b.a.focus == 3);
    bad(&b.a, "focus e", "focus A..D");
    close_bench(&b);
}

/* Two panes of one policy keep their files apart; trees of four panes come back. */
static void test_files(void **state) {
    (void)state;
    bench b;
    open_bench(&b, 4, false);
    type(&b.a, "cRW");
    CHECK(written(&b, "-a-confidence.jsonl") && written(&b, "-b-left-to-right.jsonl") &&
          written(&b, "-c-boe.jsonl") && written(&b, "-d-left-to-right.jsonl"));
    char path[128];
    snprintf(path, sizeof path, "%s-tree.jsonl", b.prefix);
    tree_file *f = NULL;
    err e = {0};
    MUST(tree_load(&f, path, &e), &e);
    CHECK(tree_file_panes(f) == 4);
    tui_opts o = {.trees = f};
    app a;
    MUST(app_open(&a, &o, &e), &e);
    a.pal = (palette){.mode = MODE_NONE};
    CHECK(a.n_panes == 4 && strstr(frame(&a, 120, 40), "C boe"));
    CHECK(app_close(&a));
    tree_file_close(f);
    /* A page has two panes: A and the focused one. */
    char line[160];
    snprintf(line, sizeof line, "export html %s/page.html", b.dir);
    good(&b.a, line);
    CHECK(strstr(b.a.message, "panes A and B"));
    good(&b.a, "focus c");
    good(&b.a, line);
    CHECK(strstr(b.a.message, "panes A and C"));
    close_bench(&b);
}

/* What W writes is read again. */
static const tree *saved_tree(bench *b, tree_file **f) {
    char path[128];
    err e = {0};
    type(&b->a, "W");
    CHECK(strstr(b->a.message, "wrote all branches"));
    snprintf(path, sizeof path, "%s-tree.jsonl", b->prefix);
    MUST(tree_load(f, path, &e), &e);
    return tree_file_tree(*f, 0);
}

/* Also after undo, which may shorten a branch that others left further on. */
static void test_tree_after_undo(void **state) {
    (void)state;
    bench b;
    tree_file *f;
    open_bench(&b, 1, false);
    b.a.cursor = 2;
    type(&b.a, "ssspssSpuu");
    const tree *t = saved_tree(&b, &f);
    CHECK(t->n == 2 && t->nodes[0].traj.n_records == 3 && t->nodes[1].parent == 1 && t->nodes[1].fork == 3);
    tree_file_close(f);
    type(&b.a, "K");
    CHECK(strstr(frame(&b.a, 120, 40), "leaves b1 at 3"));
    press(&b.a, KEY_ESC);
    press(&b.a, KEY_CTRL('r'));
    t = saved_tree(&b, &f);
    CHECK(t->nodes[0].traj.n_records == 6 && t->nodes[1].fork == 5);
    tree_file_close(f);
    close_bench(&b);
}

/* Whatever is typed or pasted: the reader takes no control characters, and refuses the whole file for one. */
static void test_texts_are_clean(void **state) {
    (void)state;
    bench b;
    tree_file *f;
    open_bench(&b, 1, false);
    const pane *p = b.a.panes;
    type(&b.a, "ss");
    good(&b.a, "note a\tb\xc2\x85"
               "c");
    good(&b.a, "branch d\te");
    good(&b.a, "branch d\te");
    CHECK(p->tree.n == 2);
    good(&b.a, "branch-name f\xc2\x9bg");
    good(&b.a, "branch b1");
    type(&b.a, "Kn");
    press(&b.a, 0x85);
    press(&b.a, KEY_RETURN);
    press(&b.a, KEY_ESC);
    const tree *t = saved_tree(&b, &f);
    CHECK(!strcmp(t->nodes[0].name, "b1?") && !strcmp(t->nodes[1].name, "f?g"));
    CHECK(!strcmp(t->nodes[0].traj.records[1]->note, "a b  c"));
    tree_file_close(f);
    close_bench(&b);
}

/* A branch that was deleted and is undone to stands where it stood, before those that were made after it. */
static void test_tree_after_delete(void **state) {
    (void)state;
    bench b;
    tree_file *f;
    open_bench(&b, 1, false);
    b.a.cursor = 2;
    type(&b.a, "ssSpsSpK");
    CHECK(b.a.panes[0].tree.n == 3 && b.a.panes[0].tree.active == 3);
    press(&b.a, TUI_KEY_UP);
    type(&b.a, "d");
    CHECK(b.a.panes[0].tree.n == 2 && !tree_find(&b.a.panes[0].tree, 2));
    press(&b.a, KEY_ESC);
    type(&b.a, "u");
    const tree *t = saved_tree(&b, &f);
    CHECK(t->n == 3 && t->active == 2 && t->nodes[1].id == 2 && t->nodes[1].parent == 1);
    tree_file_close(f);
    good(&b.a, "branch later");
    CHECK(b.a.panes[0].tree.active == 4);
    close_bench(&b);
}

/* A pane is added from the focused one's start and catches up when the panes are locked. */
static void test_add(bool on_gpu) {
    bench b;
    open_bench(&b, 1, on_gpu);
    type(&b.a, "sss");
    good(&b.a, "pane-add left-to-right");
    const pane *p = b.a.panes;
    CHECK(b.a.n_panes == 2 && b.a.focus == 1 && p[1].state == 3 && p[1].own.n_records == 3);
    CHECK(!strcmp(p[1].policy->name, "left-to-right") && p[1].own.pending);
    CHECK(!memcmp(p[1].own.head.start, prompt, sizeof prompt));
    type(&b.a, "s");
    CHECK(p[0].state == 4 && p[1].state == 4);
    bad(&b.a, "pane-add nosuch", "expected one of");
    press(&b.a, KEY_CTRL('w'));
    press(&b.a, 'n');
    CHECK(b.a.n_panes == 3 && p[2].policy != p[0].policy && p[2].policy != p[1].policy);
    good(&b.a, "pane-add");
    bad(&b.a, "pane-add", "4 panes already");
    CHECK(b.a.n_panes == 4);
    /* The same decode as a pane that was there from the start. */
    type(&b.a, "c");
    bench c;
    open_bench(&c, 2, on_gpu);
    type(&c.a, "c");
    CHECK(trajectory_divergence(c.a.panes[1].traj, p[1].traj, NULL) < 0 && pane_complete(&p[1]));
    close_bench(&c);
    close_bench(&b);
}

static void test_add_panes(void **state) {
    (void)state;
    test_add(false);
    test_add(true);
}

/* The pane goes, those behind move up and still step; one that shows its branch gets its own decode back. */
static void test_close(void **state) {
    (void)state;
    bench b;
    open_bench(&b, 3, false);
    const pane *p = b.a.panes;
    type(&b.a, "ssK");
    press(&b.a, 'C');
    CHECK(p[2].guest && strstr(b.a.message, "pane C shows branch"));
    type(&b.a, "\t\tx");
    CHECK(b.a.focus == 2 && strstr(b.a.message, "K in pane A"));
    type(&b.a, "\t");
    press(&b.a, KEY_CTRL('w'));
    press(&b.a, 'c');
    CHECK(b.a.n_panes == 2 && !strcmp(p[0].policy->name, "left-to-right") && !p[1].guest);
    CHECK(p[0].traj == &p[0].own && p[1].traj == &p[1].own && !strcmp(p[1].policy->name, "boe"));
    type(&b.a, "Gs");
    CHECK(p[0].state == 3 && p[1].state == 3);
    good(&b.a, "pane-add confidence"); /* takes the number that is free */
    CHECK(b.a.n_panes == 3 && p[2].id == 0);
    type(&b.a, "c");
    CHECK(pane_complete(&p[0]) && pane_complete(&p[1]) && pane_complete(&p[2]));
    good(&b.a, "pane-close");
    good(&b.a, "pane-close");
    bad(&b.a, "pane-close", "only pane");
    CHECK(b.a.n_panes == 1);
    close_bench(&b);
}

/* A new seed is for panes that show their own decode; where it is refused nothing changes. */
static void test_seed(void **state) {
    (void)state;
    bench b;
    open_bench(&b, 3, false);
    const pane *p = b.a.panes;
    type(&b.a, "ssK");
    press(&b.a, 'C');
    good(&b.a, "focus c");
    bad(&b.a, "seed 5", "K in pane A");
    CHECK(!p[0].seed && !p[1].seed && !p[2].seed && p[0].state == 2 && p[0].own.n_records == 2);
    good(&b.a, "focus a");
    good(&b.a, "seed 5");
    CHECK(p[0].seed == 5 && p[1].own.head.seed == 5 && p[1].state == 0 && strstr(b.a.message, "seed 5"));
    CHECK(!p[2].seed && p[2].guest && p[2].own.n_records == 2);
    close_bench(&b);
}

/* While the pane computes: its answer comes too late and goes nowhere. */
static void test_close_busy(void **state) {
    (void)state;
    bench b;
    open_bench(&b, 2, true);
    for (int i = 0; i < 4; i++) {
        keys_press(&b.a, 'c');
        err e = {0};
        unsigned flags = 0;
        MUST(command_run(&b.a, "pane-close", &flags, &e), &e);
        MUST(command_run(&b.a, "pane-add left-to-right", &flags, &e), &e);
        settle(&b.a);
        CHECK(b.a.n_panes == 2);
    }
    type(&b.a, "c");
    CHECK(pane_complete(&b.a.panes[0]) && pane_complete(&b.a.panes[1]));
    close_bench(&b);
}

/* q and pane-close ask once while no file holds what a person changed; any other key takes the question back.
 */
static void test_unsaved(void **state) {
    (void)state;
    bench b;
    open_bench(&b, 2, false);
    b.a.cursor = 2;
    type(&b.a, "=sxr1\r");
    CHECK(pane_unsaved(&b.a.panes[0]) && !pane_unsaved(&b.a.panes[1]));
    type(&b.a, "q");
    CHECK(!b.a.quit && b.a.warning && strstr(b.a.message, "pane A") && strstr(b.a.message, "q again"));
    type(&b.a, "lq");
    CHECK(!b.a.quit);
    bad(&b.a, "quit", "no file holds");
    bad(&b.a, "pane-close", "no file holds");
    bad(&b.a, "step!", "takes no '!'");
    CHECK(b.a.n_panes == 2 && !b.a.quit);
    type(&b.a, "R");
    CHECK(!pane_unsaved(&b.a.panes[0]));
    b.a.focus = 0;
    b.a.cursor = 3;
    type(&b.a, "r1\rq");
    CHECK(pane_unsaved(&b.a.panes[0]) && !b.a.quit);
    type(&b.a, "\027cl\027c"); /* Ctrl-w c: asks, and asks again after another key */
    CHECK(b.a.n_panes == 2 && strstr(b.a.message, "once more"));
    type(&b.a, "\027c");
    CHECK(b.a.n_panes == 1);
    type(&b.a, "q");
    CHECK(b.a.quit);
    b.a.quit = false;
    good(&b.a, "step");
    good(&b.a, "note words");
    bad(&b.a, "quit", "no file holds");
    type(&b.a, "qq");
    CHECK(b.a.quit);
    b.a.quit = false;
    good(&b.a, "quit!");
    CHECK(b.a.quit);
    b.a.quit = false;
    good(&b.a, "pane-add");
    good(&b.a, "focus a");
    good(&b.a, "pane-close!");
    CHECK(b.a.n_panes == 1);
    close_bench(&b);
}

/* "recorded" is said of the decodes that R wrote, and of no others. */
static void test_recorded(void **state) {
    (void)state;
    static const char *const others[] = {"restart",     "seed 7", "policy margin", "set budget 2", "undo",
                                         "branch side", "step",   "policy-next",   "pane-add"};
    bench b;
    open_bench(&b, 2, false);
    good(&b.a, "step");
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        good(&b.a, "record");
        CHECK(b.a.recorded);
        good(&b.a, "back");
        CHECK(b.a.recorded);
        good(&b.a, "follow");
        good(&b.a, others[i]);
        if (!CHECK(!b.a.recorded)) print_error("recorded after %s\n", others[i]);
    }
    close_bench(&b);
}

/* R and :write keep what they write, and nothing else counts as kept: not a pane's own decode while it shows
 * another's, nor the branches beside the one in use. */
static void test_kept(void **state) {
    (void)state;
    bench b;
    char path[128], line[160];
    replay *r;
    err e = {0};
    open_bench(&b, 2, false);
    b.a.cursor = 2;
    type(&b.a, "=\tsp\tKc");
    const pane *p = b.a.panes;
    CHECK(p[1].guest && pane_unsaved(&p[1]) && !pane_unsaved(&p[0]) && p[1].own.n_records == 2);
    snprintf(path, sizeof path, "%s-shown.jsonl", b.prefix);
    snprintf(line, sizeof line, "write %s", path);
    good(&b.a, "focus b");
    good(&b.a, line);
    MUST(replay_load(&r, path, &e), &e);
    CHECK(r->traj.n_records == 0 && pane_unsaved(&p[1]));
    replay_close(r);
    type(&b.a, "R");
    snprintf(path, sizeof path, "%s-left-to-right.jsonl", b.prefix);
    MUST(replay_load(&r, path, &e), &e);
    CHECK(r->traj.n_records == 2 && r->traj.records[1]->kind == STEP_SETTING && !pane_unsaved(&p[1]));
    replay_close(r);
    /* Another branch: R writes over the first one. */
    type(&b.a, "\tKc\tSpR");
    CHECK(p[1].tree.n == 2 && p[1].tree.active == 2 && pane_unsaved(&p[1]) == KEPT_BY_TREE);
    bad(&b.a, "quit", "changes in pane B: W keeps them");
    good(&b.a, "branch b1");
    type(&b.a, "R");
    CHECK(pane_unsaved(&p[1]) == KEPT_BY_TREE);
    type(&b.a, "W");
    CHECK(!pane_unsaved(&p[1]));
    type(&b.a, "p");
    CHECK(pane_unsaved(&p[1]) == KEPT_BY_RECORD);
    good(&b.a, line);
    CHECK(!pane_unsaved(&p[1]));
    type(&b.a, "q");
    CHECK(b.a.quit);
    close_bench(&b);
}

/* Names and deletions are changes, too, and W has the notes. */
static void test_tree_kept(void **state) {
    (void)state;
    bench b;
    tree_file *f;
    open_bench(&b, 1, false);
    const pane *p = b.a.panes;
    type(&b.a, "ssSKn\x15mine\r");
    CHECK(!strcmp(p->tree.nodes[0].name, "mine") && pane_unsaved(p) == KEPT_BY_TREE);
    press(&b.a, KEY_ESC);
    type(&b.a, "R");
    CHECK(pane_unsaved(p) == KEPT_BY_TREE);
    good(&b.a, "note words");
    good(&b.a, "branch side");
    const tree *t = saved_tree(&b, &f);
    CHECK(t->n == 2 && !strcmp(t->nodes[0].name, "mine") && !pane_unsaved(p));
    CHECK(t->nodes[0].traj.records[0]->note && !strcmp(t->nodes[1].traj.records[0]->note, "words"));
    tree_file_close(f);
    type(&b.a, "K");
    press(&b.a, TUI_KEY_UP);
    type(&b.a, "d");
    CHECK(p->tree.n == 1 && pane_unsaved(p) == KEPT_BY_TREE);
    close_bench(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_four),
                                       cmocka_unit_test(test_files),
                                       cmocka_unit_test(test_add_panes),
                                       cmocka_unit_test(test_close),
                                       cmocka_unit_test(test_seed),
                                       cmocka_unit_test(test_close_busy),
                                       cmocka_unit_test(test_unsaved),
                                       cmocka_unit_test(test_recorded),
                                       cmocka_unit_test(test_kept),
                                       cmocka_unit_test(test_tree_kept),
                                       cmocka_unit_test(test_tree_after_undo),
                                       cmocka_unit_test(test_texts_are_clean),
                                       cmocka_unit_test(test_tree_after_delete)};
    return finish("panes", cmocka_run_group_tests(tests, NULL, NULL));
}
