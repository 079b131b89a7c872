/* test_edit.c - a person's changes in the workbench: undo and redo are exact over every kind of them, a
 * change in the past opens a branch and keeps the old future, and the worker follows. Over a fake model. */
#include "checks.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/intervene.h"
#include "fake_gpu.h"
#include "tui/dialog.h"
#include "tui/edit.h"
#include "tui/keys.h"

enum { N = 10, SECONDS = 30, MOMENTS = 24 };

static const int32_t prompt[N] = {8, 2, 8, 8, 5, 8, 8, 0, 8, 8};

static void settle(app *a) {
    for (int i = 0; i < SECONDS * 10 && app_busy(a); i++) {
        poll(&(struct pollfd){.fd = worker_fd(a->worker), .events = POLLIN}, 1, 100);
        app_events(a);
    }
    CHECK(!app_busy(a));
}

static void press(app *a, int key) {
    keys_press(a, key);
    settle(a);
}

static void type(app *a, const char *keys) {
    for (; *keys; keys++) press(a, (unsigned char)*keys);
}

typedef struct bench {
    fake *f;
    model m;
    app a;
    pane *p; /* the first, which the keys go to */
} bench;

static void open_bench(bench *b) {
    static const char *const names[] = {"confidence", "boe"};
    b->f = fake_new(false, 64);
    b->m = (model){.d = &b->f->base};
    tui_opts o = {.model = &b->m, .prompt = prompt, .n_prompt = N, .n_panes = 2};
    for (int i = 0; i < 2; i++) {
        o.panes[i] = (tui_pane){.policy = policy_find(names[i])};
        policy_defaults(o.panes[i].policy, NULL, &o.panes[i].params);
    }
    err e = {0};
    MUST(app_open(&b->a, &o, &e), &e);
    b->p = &b->a.panes[0];
    settle(&b->a);
    press(&b->a, '='); /* each pane for itself */
    b->a.cursor = 2;
}

static void close_bench(bench *b) {
    CHECK(app_close(&b->a));
    denoiser_close(&b->f->base);
}

/* All that a pane is, to be compared with later. Records are immutable, so the same pointer is the same to
 * the bit; the test holds references, so no address is used twice. */
typedef struct image {
    int32_t tokens[N];
    const step_record *records[64], *pending;
    int n, state, branch;
    step_setting setting;
    const policy *policy;
    param_set params;
} image;

static image take(const pane *p) {
    image i = {.n = p->own.n_records,
               .state = p->state,
               .branch = p->tree.active,
               .pending = p->own.pending ? record_ref(p->own.pending) : NULL,
               .setting = intervene_current(&p->own, p->own.n_records),
               .policy = p->policy,
               .params = p->params};
    trajectory_state(&p->own, p->state, i.tokens);
    for (int k = 0; k < i.n; k++) i.records[k] = record_ref(p->own.records[k]);
    return i;
}

static void drop(image *i) {
    for (int k = 0; k < i->n; k++) record_unref(i->records[k]);
    record_unref(i->pending);
}

static bool same_bytes(const void *a, const void *b, int n, size_t size) {
    return !n || !memcmp(a, b, (size_t)n * size);
}

static bool same_setting(const step_setting *a, const step_setting *b) {
    return !strcmp(a->policy, b->policy) && a->params.defs == b->params.defs &&
           !memcmp(a->params.v, b->params.v, (size_t)a->params.n * sizeof a->params.v[0]) &&
           a->n_bans == b->n_bans && a->n_pins == b->n_pins &&
           same_bytes(a->bans, b->bans, a->n_bans, sizeof *a->bans) &&
           same_bytes(a->pins, b->pins, a->n_pins, sizeof *a->pins);
}

static bool same(const image *a, const image *b) {
    return a->n == b->n && a->state == b->state && a->pending == b->pending && a->policy == b->policy &&
           !memcmp(a->records, b->records, (size_t)a->n * sizeof a->records[0]) &&
           !memcmp(a->tokens, b->tokens, sizeof a->tokens) && same_setting(&a->setting, &b->setting) &&
           !memcmp(a->params.v, b->params.v, (size_t)a->params.n * sizeof a->params.v[0]) &&
           (a->branch == b->branch || !a->branch);
}

/* Keys that each make one moment; steps before an edit belong to the moment before it. */
static const char *const edits[] = {
    "r2\r",     /* write */
    "ssx",      /* remask what was written, after two steps */
    "B",        /* ban */
    "p",        /* pin */
    "P\t\t3\r", /* budget 3 */
    "sSSr1\r",  /* write in the past */
    "ssa",      /* another policy, from the start */
    "ssX",      /* restart */
    "sP \r",    /* the next policy from here on */
    "r\x02",    /* ban through the picker */
    "r\x01",    /* everywhere */
    "sr4 3\r",  /* typed ids over two positions */
};
enum { N_EDITS = (int)(sizeof edits / sizeof edits[0]) };

static void test_exact(void **state) {
    (void)state;
    bench b;
    open_bench(&b);
    image before[N_EDITS], after[N_EDITS];
    for (int i = 0; i < N_EDITS; i++) {
        /* All but the edit itself belongs to what comes before: the last "word" starts at the edit's key. */
        const char *keys = edits[i];
        while (*keys == 's' || *keys == 'S') {
            press(&b.a, *keys++);
        }
        before[i] = take(b.p);
        type(&b.a, keys);
        if (!CHECK(!b.a.over && !b.a.warning)) print_error("edit %d: %s\n", i, b.a.message);
        after[i] = take(b.p);
        if (!CHECK(!same(&before[i], &after[i]) && b.p->past.now == i + 1)) print_error("edit %d\n", i);
    }
    for (int round = 0; round < 2; round++) {
        for (int i = N_EDITS - 1; i >= 0; i--) {
            press(&b.a, 'u');
            image now = take(b.p);
            if (!CHECK(same(&before[i], &now))) print_error("undo of edit %d\n", i);
            drop(&now);
        }
        press(&b.a, 'u');
        CHECK(strstr(b.a.message, "nothing to undo"));
        for (int i = 0; i < N_EDITS; i++) {
            /* Redo leads to where the pane was when the next edit came. */
            const image *there = i + 1 < N_EDITS ? &before[i + 1] : &after[i];
            press(&b.a, KEY_CTRL('r'));
            image now = take(b.p);
            if (!CHECK(same(there, &now))) print_error("redo of edit %d\n", i);
            drop(&now);
        }
        press(&b.a, KEY_CTRL('r'));
        CHECK(strstr(b.a.message, "nothing to redo"));
    }
    for (int i = 0; i < N_EDITS; i++) drop(&before[i]), drop(&after[i]);
    close_bench(&b);
}

static bool same_numbers(const step_record *a, const step_record *b) {
    return a->n_masked == b->n_masked && a->n_writes == b->n_writes && a->T == b->T && a->t == b->t &&
           !memcmp(a->masked, b->masked, (size_t)a->n_masked * sizeof *a->masked) &&
           !memcmp(a->entropy, b->entropy, (size_t)a->n_masked * sizeof *a->entropy) &&
           !memcmp(a->writes, b->writes, (size_t)a->n_writes * sizeof *a->writes);
}

/* After undo the decode goes on as if nothing had happened. */
static void test_goes_on(void **state) {
    (void)state;
    bench b, c;
    open_bench(&b);
    open_bench(&c);
    type(&b.a, "ssr2\rBsP\t\t2\rssuuuc");
    type(&c.a, "ssc");
    CHECK(b.p->own.n_records == c.p->own.n_records && b.p->own.complete && c.p->own.complete);
    for (int k = 0; k < b.p->own.n_records && k < c.p->own.n_records; k++)
        CHECK(same_numbers(b.p->own.records[k], c.p->own.records[k]));
    close_bench(&b);
    close_bench(&c);
}

static bool some_branch_has(const pane *p, const step_record *r) {
    for (int i = 0; i < p->tree.n; i++) {
        const trajectory *t = &p->tree.nodes[i].traj;
        for (int k = 0; k < t->n_records; k++) {
            if (t->records[k] == r) return true;
        }
    }
    return false;
}

/* An edit in the past keeps what came after; so does an edit after undo. */
static void test_branches(void **state) {
    (void)state;
    bench b;
    err e = {0};
    open_bench(&b);
    type(&b.a, "4s3S");
    const step_record *last = record_ref(b.p->own.records[3]);
    type(&b.a, "r3\r");
    CHECK(b.p->tree.n == 2 && b.p->own.n_records == 2 && b.p->own.records[1]->kind == STEP_FORCE);
    CHECK(some_branch_has(b.p, last));
    CHECK(!strcmp(tree_find(&b.p->tree, b.p->tree.active)->name, "b2 at 1"));
    type(&b.a, "s");
    const step_record *lost = record_ref(b.p->own.records[2]);
    type(&b.a, "ux");
    CHECK(b.p->state == 1);
    type(&b.a, "r1\r");
    CHECK(edit_park(b.p, &e));
    CHECK(some_branch_has(b.p, last) && some_branch_has(b.p, lost));
    int n = b.p->tree.n;
    /* To the first branch and back: by the list, and by undo. */
    type(&b.a, "K");
    for (int i = 0; i < n; i++) press(&b.a, TUI_KEY_UP);
    press(&b.a, KEY_RETURN);
    CHECK(b.p->own.n_records == 4 && b.p->own.records[3] == last && b.p->state == 4);
    type(&b.a, "u");
    CHECK(b.p->own.n_records == 2);
    /* The other pane looks at the first branch, and is given back. */
    type(&b.a, "K");
    for (int i = 0; i < n; i++) press(&b.a, TUI_KEY_UP);
    type(&b.a, "c");
    CHECK(b.a.panes[1].guest && b.a.panes[1].traj->n_records == 4);
    type(&b.a, "\tx");
    CHECK(strstr(b.a.message, "shows another decode; K in pane A"));
    type(&b.a, "\tK");
    for (int i = 0; i < n; i++) press(&b.a, TUI_KEY_UP);
    type(&b.a, "c");
    CHECK(!b.a.panes[1].guest && b.a.panes[1].live && b.a.panes[1].traj == &b.a.panes[1].own);
    /* A name, and deleting; undo brings a deleted branch back. */
    type(&b.a, "K");
    for (int i = 0; i < n; i++) press(&b.a, TUI_KEY_UP);
    type(&b.a, "n\x15mine\rd");
    CHECK(b.p->tree.n == n - 1);
    press(&b.a, KEY_ESC);
    press(&b.a, KEY_CTRL('r'));
    CHECK(b.p->own.n_records == 4 && b.p->own.records[3] == last && b.p->tree.n == n);
    record_unref(last);
    record_unref(lost);
    close_bench(&b);
}

/* What is refused changes nothing, and says why. */
static void test_refused(void **state) {
    (void)state;
    bench b;
    open_bench(&b);
    image before = take(b.p);
    type(&b.a, "x");
    CHECK(strstr(b.a.message, "masked already"));
    b.a.cursor = 1;
    type(&b.a, "x");
    CHECK(strstr(b.a.message, "belongs to the prompt"));
    b.a.cursor = 9;
    type(&b.a, "r\t1 2\r");
    CHECK(b.a.over && strstr(b.a.over->note, "the sequence ends at 9"));
    type(&b.a, "\x15"
               "99\r");
    CHECK(b.a.over && strstr(b.a.over->note, "expected token ids"));
    press(&b.a, KEY_ESC);
    CHECK(!b.a.over);
    type(&b.a, "P\t\t");
    type(&b.a, "-4\r");
    CHECK(b.a.over && b.a.over->note[0]);
    type(&b.a, "\tq");
    CHECK(b.a.over && b.a.over->row == 2);
    press(&b.a, KEY_ESC);
    type(&b.a, "E");
    CHECK(strstr(b.a.message, "no tokenizer"));
    image now = take(b.p);
    CHECK(same(&before, &now) && b.p->past.n == 0);
    drop(&before);
    drop(&now);
    close_bench(&b);
}

/* All that is masked is pinned: the decode waits for a person and does not spin. */
static void test_all_pinned(void **state) {
    (void)state;
    bench b;
    open_bench(&b);
    for (int i = 0; i < N; i++) {
        b.a.cursor = i;
        if (prompt[i] == FAKE_MASK) type(&b.a, "p");
    }
    CHECK(b.p->stuck);
    int n = b.p->own.n_records;
    type(&b.a, "s");
    CHECK(b.p->own.n_records == n && strstr(b.a.message, "every masked position is pinned"));
    b.a.cursor = 2;
    type(&b.a, "ps");
    CHECK(!b.p->stuck || b.p->own.n_records == n + 2);
    CHECK(b.p->own.last[2] != FAKE_MASK);
    close_bench(&b);
}

/* The way back to a decode that ended so is told, wherever its end lies. */
static void test_back_to_pinned(void **state) {
    (void)state;
    bench b;
    open_bench(&b);
    type(&b.a, "pc");
    CHECK(b.p->stuck && strstr(b.a.message, "pane A: every masked position is pinned"));
    type(&b.a, "Xu");
    CHECK(b.p->stuck && strstr(b.a.message, "undone"));
    type(&b.a, "3GXu");
    CHECK(b.p->stuck && strstr(b.a.message, "undone: state 3"));
    type(&b.a, "u");
    keys_press(&b.a, KEY_CTRL('r'));
    b.a.message[0] = '\0'; /* as by a key before the answer is there */
    settle(&b.a);
    CHECK(b.p->stuck && b.p->state == 3 && !b.a.message[0]);
    close_bench(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact),      cmocka_unit_test(test_goes_on),
        cmocka_unit_test(test_branches),   cmocka_unit_test(test_refused),
        cmocka_unit_test(test_all_pinned), cmocka_unit_test(test_back_to_pinned),
    };
    return finish("edit", cmocka_run_group_tests(tests, NULL, NULL));
}
