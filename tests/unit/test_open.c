/* test_open.c - `open` and `branch`: what is shown in place of or beside what, what is refused, and that a
 * refusal changes nothing. Over a fake model. */
#include "checks.h"

#include <dirent.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fake_denoiser.h"
#include "fake_gpu.h"
#include "tui/command.h"
#include "tui/edit.h"
#include "tui/keys.h"
#include "tui/screen.h"

enum { N = 10, SECONDS = 30 };

static const int32_t prompt[N] = {8, 2, 8, 8, 5, 8, 8, 0, 8, 8};
static char dir[32], prefix[64];
static fake *f;
static model m;

static void settle(app *a) {
    for (int i = 0; a->worker && i < SECONDS * 10 && app_busy(a); i++) {
        poll(&(struct pollfd){.fd = worker_fd(a->worker), .events = POLLIN}, 1, 100);
        app_events(a);
    }
    CHECK(!app_busy(a));
}

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

static int run(app *a, const char *line, err *e) {
    unsigned flags = 0;
    *e = (err){0};
    int rc = command_run(a, line, &flags, e);
    settle(a);
    frame(a, 120, 40);
    return rc;
}

static void good(app *a, const char *text) {
    err e;
    MUST(run(a, text, &e), &e);
}

static void bad(app *a, const char *text, const char *says) {
    err e;
    int n = a->n_panes, focus = a->focus, cursor = a->cursor, state = a->panes[0].state;
    const trajectory *shown = a->panes[0].traj;
    CHECK(run(a, text, &e) != 0);
    if (!CHECK(strstr(e.msg, says))) fprintf(stderr, "%s: '%s' lacks '%s'\n", text, e.msg, says);
    CHECK(a->n_panes == n && a->focus == focus && a->cursor == cursor && a->panes[0].state == state);
    CHECK(a->panes[0].traj == shown);
}

static void open_live(app *a, int n) {
    static const char *const names[] = {"confidence", "left-to-right"};
    tui_opts o = {.model = &m, .prompt = prompt, .n_prompt = N, .n_panes = n, .record_prefix = prefix};
    for (int i = 0; i < n; i++) {
        o.panes[i] = (tui_pane){.policy = policy_find(names[i])};
        policy_defaults(o.panes[i].policy, NULL, &o.panes[i].params);
    }
    err e = {0};
    MUST(app_open(a, &o, &e), &e);
    a->pal = (palette){.mode = MODE_NONE};
    settle(a);
}

/* Two recordings and a tree in a folder of their own, and a file that is none. */
static int make_files(void **state) {
    (void)state;
    app a;
    char path[96];
    snprintf(dir, sizeof dir, "/tmp/tabes-test-XXXXXX");
    CHECK(mkdtemp(dir));
    snprintf(prefix, sizeof prefix, "%s/run", dir);
    f = fake_new(false, 64);
    m = (model){.d = &f->base};
    open_live(&a, 2);
    good(&a, "run");
    good(&a, "record");
    good(&a, "goto 3");
    good(&a, "branch side");
    good(&a, "save-tree");
    CHECK(app_close(&a));
    snprintf(path, sizeof path, "%s/bad", dir);
    FILE *out = fopen(path, "w");
    CHECK(out && fputs("{\"no\": 1}\n", out) >= 0 && !fclose(out));
    return chdir(dir);
}

static int clear_files(void **state) {
    (void)state;
    DIR *d = opendir(dir);
    for (struct dirent *at; d && (at = readdir(d));) unlink(at->d_name);
    if (d) closedir(d);
    CHECK(!chdir("/") && !rmdir(dir));
    denoiser_close(&f->base);
    return 0;
}

static void open_replay(app *a, replay **r) {
    err e = {0};
    MUST(replay_load(r, "run-confidence.jsonl", &e), &e);
    tui_opts o = {.replays = r, .n_replays = 1};
    MUST(app_open(a, &o, &e), &e);
    a->pal = (palette){.mode = MODE_NONE};
    frame(a, 120, 40);
}

/* Other recordings, a file of branches, and back; faults change nothing. */
static void test_replay(void **state) {
    (void)state;
    app a;
    replay *r = NULL;
    open_replay(&a, &r);
    good(&a, "goto 4");
    good(&a, "mark a");
    bad(&a, "open", "expected: open FILE");
    bad(&a, "open nosuch.jsonl", "nosuch.jsonl");
    bad(&a, "open bad", "bad:1:");
    bad(&a, "open run-confidence.jsonl bad", "bad:1:");
    bad(&a, "open run-confidence.jsonl run-tree.jsonl", "opened alone");
    bad(&a, "open .", "tabes open -m MODEL");
    bad(&a, "open bad bad bad bad bad", "found 5 files");
    CHECK(a.marks[0].set);
    good(&a, "open run-left-to-right.jsonl run-confidence.jsonl run-left-to-right.jsonl");
    CHECK(a.n_panes == 3 && a.panes[0].state == 0 && a.cursor == 0 && !a.marks[0].set);
    CHECK(strstr(frame(&a, 120, 40), "A left-to-right") && strstr(frame(&a, 200, 60), "B confidence"));
    good(&a, "divergence");
    good(&a, "open run-tree.jsonl");
    CHECK(a.n_panes == 2 && a.panes[0].tree.n == 2);
    good(&a, "branch b1");
    CHECK(a.panes[0].traj->complete);
    bad(&a, "branch nosuch", "no branch 'nosuch'");
    good(&a, "branch side");
    CHECK(a.panes[0].traj->n_records == 3);
    bad(&a, "branch-name x", "not changed");
    bad(&a, "pane-add", "not changed");
    /* A note is work: it is not lost without a word. */
    good(&a, "note words");
    bad(&a, "open run-confidence.jsonl", "open! opens anyway");
    bad(&a, "quit", "no file holds");
    good(&a, "open! run-confidence.jsonl");
    CHECK(a.n_panes == 1 && !pane_unsaved(&a.panes[0]));
    bad(&a, "branch", "no branches");
    CHECK(app_close(&a));
    replay_close(r);
}

/* No key would be heard while a pipe is waited for, or the keyboard read as a file. */
static void test_no_waiting(void **state) {
    (void)state;
    app a;
    replay *r = NULL;
    CHECK(!mkfifo("pipe.theme", 0600));
    open_replay(&a, &r);
    bad(&a, "open -", "standard input");
    bad(&a, "open run-confidence.jsonl pipe.theme", "pipe.theme: not a regular file");
    bad(&a, "open /dev/zero", "not a regular file");
    bad(&a, "source pipe.theme", "not a regular file");
    bad(&a, "theme pipe.theme", "not a regular file");
    CHECK(app_close(&a));
    replay_close(r);
}

/* A recording beside a live decode takes nothing away. */
static void test_beside(void **state) {
    (void)state;
    app a;
    err e;
    open_live(&a, 2);
    good(&a, "step 2");
    bad(&a, "open bad", "bad:1:");
    bad(&a, "open run-tree.jsonl", "tabes open --tree");
    bad(&a, "open run-confidence.jsonl run-left-to-right.jsonl", "expected one beside");
    const trajectory *own = &a.panes[1].own;
    good(&a, "open run-confidence.jsonl");
    const pane *p = a.panes;
    CHECK(p[1].guest && p[1].traj == &p[1].shown && p[1].traj->complete && p[1].state == 2 &&
          own->n_records == 2);
    CHECK(strstr(frame(&a, 120, 40), "file run-confidence.jsonl"));
    good(&a, "step");
    CHECK(p[0].state == 3 && p[1].state == 3 && own->n_records == 2);
    good(&a, "focus b");
    CHECK(run(&a, "policy entropy", &e) && strstr(e.msg, ":open alone gives it back"));
    /* A note there is no part of the pane's own decode: only `write` keeps it. */
    good(&a, "note words");
    CHECK(strstr(a.message, ":write keeps it") && pane_unsaved(&p[1]) == KEPT_BY_WRITE);
    good(&a, "record noted");
    good(&a, "save-tree");
    bad(&a, "quit", "pane B: :write keeps them");
    good(&a, "write noted.jsonl");
    CHECK(!pane_unsaved(&p[1]));
    good(&a, "open run-left-to-right.jsonl");
    CHECK(p[0].guest && p[0].own.n_records == 3);
    good(&a, "open");
    CHECK(!p[0].guest && !p[1].guest && p[0].live && p[1].live && p[1].traj == own);
    good(&a, "run");
    CHECK(p[0].own.complete && p[1].own.complete);
    /* One pane shows it over its own decode. */
    good(&a, "pane-close");
    good(&a, "open run-confidence.jsonl");
    CHECK(a.n_panes == 1 && p[0].guest);
    good(&a, "open");
    CHECK(!p[0].guest && p[0].own.complete);
    CHECK(app_close(&a));
}

static void test_branch(void **state) {
    (void)state;
    app a;
    open_live(&a, 1);
    const pane *p = a.panes;
    good(&a, "branch");
    CHECK(strstr(a.message, "on branch b1"));
    good(&a, "step 4");
    good(&a, "back 2");
    good(&a, "branch other way");
    CHECK(p->own.n_records == 2 && p->state == 2 && p->tree.n == 2);
    const tree_node *here = tree_find(&p->tree, p->tree.active);
    CHECK(!strcmp(here->name, "other way") && here->fork == 2 && strstr(frame(&a, 120, 40), " other way "));
    good(&a, "step");
    CHECK(p->own.n_records == 3);
    good(&a, "branch b1");
    CHECK(p->own.n_records == 4 && p->tree.n == 2);
    good(&a, "branch b1");
    CHECK(p->own.n_records == 4 && p->tree.n == 2);
    good(&a, "undo");
    CHECK(p->own.n_records == 3);
    bad(&a, "branch-name b1", "another branch");
    bad(&a, "branch-name", "1 to 47 bytes");
    bad(&a, "branch 01234567890123456789012345678901234567890123456789", "1 to 47 bytes");
    good(&a, "branch-name second");
    good(&a, "branch");
    CHECK(strstr(a.message, "on branch second; others: b1"));
    /* Completion knows the names. */
    char *out[8];
    bool files;
    int n = command_complete(&a, "branch ", "s", out, 8, &files);
    CHECK(n == 1 && !strcmp(out[0], "second") && !files);
    for (int i = 0; i < n; i++) free(out[i]);
    CHECK(app_close(&a));
}

/* Themes of the list, and files. */
static void test_theme_names(void **state) {
    (void)state;
    app a;
    open_live(&a, 1);
    char *out[8];
    bool files = false;
    int n = command_complete(&a, "theme ", "", out, 8, &files);
    CHECK(n >= 1 && !strcmp(out[0], "dark") && files);
    for (int i = 0; i < n; i++) free(out[i]);
    CHECK(app_close(&a));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_replay), cmocka_unit_test(test_beside),
                                       cmocka_unit_test(test_branch), cmocka_unit_test(test_theme_names),
                                       cmocka_unit_test(test_no_waiting)};
    return finish("open", cmocka_run_group_tests(tests, make_files, clear_files));
}
