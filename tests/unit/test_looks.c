/* test_looks.c - closer looks in the workbench: asked for when they are shown, kept, given up; their keys and
 * commands, and what canvas, legend and lists draw from them, over a fake model. */
#include "checks.h"

#include <locale.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "fake_denoiser.h"
#include "fake_gpu.h"
#include "tui/command.h"
#include "tui/keys.h"
#include "tui/screen.h"

enum { N = 10, SECONDS = 30 };

static const int32_t prompt[N] = {8, 2, 8, 8, 5, 8, 8, 0, 8, 8};
static fake *f;
static model m;
static app a;

static void settle(void) {
    for (int i = 0; i < SECONDS * 10 && (app_busy(&a) || looks_ask(&a)); i++) {
        poll(&(struct pollfd){.fd = worker_fd(a.worker), .events = POLLIN}, 1, 100);
        app_events(&a);
    }
    CHECK(!app_waits(&a));
}

static const char *frame_of(int cols, int rows, color_mode mode, cells *g) {
    static char text[1 << 17];
    strbuf out;
    err e = {0};
    a.pal.mode = mode;
    strbuf_init(&out, sizeof text - 1);
    MUST(cells_init(g, cols, rows, false, &e), &e);
    MUST(screen_draw(&a, g, &e), &e);
    cells_dump(g, &out);
    snprintf(text, sizeof text, "%s", out.data);
    strbuf_release(&out);
    return text;
}

static const char *frame(int cols, int rows) {
    cells g = {0};
    const char *text = frame_of(cols, rows, MODE_NONE, &g);
    cells_release(&g);
    return text;
}

static void type(const char *keys) {
    for (; *keys; keys++) {
        keys_press(&a, (unsigned char)*keys);
        settle();
        frame(120, 40);
    }
}

static int run(const char *line) {
    unsigned flags = 0;
    err e = {0};
    int rc = command_run(&a, line, &flags, &e);
    settle();
    frame(120, 40);
    return rc;
}

static void open_app(int n) {
    static const char *const names[] = {"boe", "confidence"};
    f = fake_new(false, 64);
    m = (model){.d = &f->base};
    tui_opts o = {.model = &m, .prompt = prompt, .n_prompt = N, .n_panes = n};
    for (int i = 0; i < n; i++) {
        o.panes[i] = (tui_pane){.policy = policy_find(names[i])};
        policy_defaults(o.panes[i].policy, NULL, &o.panes[i].params);
    }
    err e = {0};
    MUST(app_open(&a, &o, &e), &e);
    a.pal = (palette){.mode = MODE_NONE};
    settle();
    frame(120, 40);
}

static void close_app(void) {
    CHECK(app_close(&a));
    denoiser_close(&f->base);
}

static const inspection *shown(inspect_kind k) {
    return a.looks.shown[a.focus][k];
}

/* Nothing is asked for until it is shown; what was asked once is found again. */
static void test_asked_once(void **state) {
    (void)state;
    open_app(1);
    CHECK(!looks_ask(&a) && a.looks.n == 0);
    type("vi");
    const inspection *first = shown(INSPECT_INFLUENCE);
    CHECK(a.layer == LAYER_INFLUENCE && a.tab == TAB_INFLUENCE && first && first->influence.n == 7);
    CHECK(a.looks.n == 1);
    type("l");
    CHECK(shown(INSPECT_INFLUENCE) == first && a.looks.n == 1); /* it is of the state, not of the cursor */
    type("s");
    CHECK(shown(INSPECT_INFLUENCE) && shown(INSPECT_INFLUENCE) != first && a.looks.n == 2);
    type("S");
    CHECK(shown(INSPECT_INFLUENCE) == first && a.looks.n == 2);
    /* An edit makes another state of it, and undo the same again. */
    type("x");
    CHECK(a.looks.n == 2);
    close_app();
}

static void test_influence(void **state) {
    (void)state;
    open_app(1);
    a.cursor = 2;
    type("vi");
    const influence_view *v = &shown(INSPECT_INFLUENCE)->influence;
    double x;
    CHECK(looks_influence(&a, 0, 5, &x) && near(x, v->D[3 * v->n + 1], 0)); /* masked: 0 2 3 5 6 8 9 */
    CHECK(!looks_influence(&a, 0, 2, &x) && !looks_influence(&a, 0, 1, &x));
    CHECK(strstr(frame(120, 40), "whom 2 settles") && strstr(frame(120, 40), "2 is settled by"));
    type("vi");
    CHECK(a.looks.settled_by && looks_influence(&a, 0, 5, &x) && near(x, v->D[1 * v->n + 3], 0));
    CHECK(strstr(frame(80, 24), "who settles 2") && strstr(frame(80, 24), "nats"));
    type("vi");
    CHECK(a.layer == LAYER_STATE && a.tab == TAB_INSPECTOR);
    a.cursor = 1;
    type("vi");
    CHECK(strstr(frame(120, 40), "position 1 is not masked"));
    type("c");
    CHECK(strstr(frame(120, 40), "nothing is masked"));
    close_app();
}

static void test_truth(void **state) {
    (void)state;
    open_app(1);
    type("vt");
    const truth_view *v = &shown(INSPECT_TRUTH)->truth;
    CHECK(a.tab == TAB_TRUTH && a.layer == LAYER_STATE && v->n > 1);
    char want[64];
    snprintf(want, sizeof want, "relaxed \u03C1 %+.2f \u03C4 %+.2f", v->spearman_relaxed, v->kendall_relaxed);
    CHECK(strstr(frame(80, 24), want) && strstr(frame(120, 40), want) && strstr(frame(200, 60), want));
    snprintf(want, sizeof want, "bound %.4g nats: stable (estimated) over", v->bound);
    CHECK(strstr(frame(80, 24), want) && !strstr(frame(200, 60), "certified"));
    CHECK(strstr(frame(80, 24), "vr checks every state"));
    /* The whole run: every state once, then no more. */
    type("c");
    type("vr");
    CHECK(!a.looks.whole_run && a.looks.run_left == 0);
    int32_t tokens[N];
    int known = 0;
    for (int n = 0; n < pane_states(&a.panes[0]); n++) known += looks_truth_at(&a, 0, n, tokens) != NULL;
    CHECK(known == 7);
    CHECK(strstr(frame(80, 24), "run: \u03C1 mean"));
    CHECK(strstr(frame(120, 40), "by state"));
    CHECK(strstr(frame(120, 40), "nothing is masked")); /* the end */
    close_app();
}

static void test_scores(void **state) {
    (void)state;
    open_app(1);
    int pos = pane_record(&a.panes[0])->writes[0].pos;
    a.cursor = pos;
    type("vs");
    const ranks_view *v = &shown(INSPECT_RANKS)->ranks;
    char want[64];
    const char *screen = frame(200, 60);
    CHECK(strstr(screen, "boe score ") && strstr(screen, "= gate ") && strstr(screen, "rank 1 of "));
    for (int i = 0; i < v->n; i++) {
        const policy_ranks *p = &v->at[i];
        CHECK(strstr(frame(80, 24), p->policy->name) && strstr(frame(200, 60), p->policy->name));
        snprintf(want, sizeof want, "\u2192%d ", p->pos);
        CHECK(p->pos < 0 || strstr(frame(80, 24), want));
    }
    a.cursor = 1;
    CHECK(strstr(frame(120, 40), "position 1 is not masked"));
    close_app();
}

static void test_attention(void **state) {
    (void)state;
    open_app(1);
    a.cursor = 4;
    type("va");
    double v, sum = 0;
    for (int pos = 0; pos < N; pos++) {
        CHECK(looks_attention(&a, 0, pos, &v));
        sum += v;
    }
    CHECK(near(sum, 1, 1e-6) && looks_attention(&a, 0, 4, &v) && near(v, a.looks.top[0], 1e-9));
    CHECK(strstr(frame(120, 40), "attention  0") &&
          strstr(frame(120, 40), "from 4, layer 0, mean of its heads"));
    type("l"); /* another cursor: another look */
    CHECK(shown(INSPECT_ATTENTION)->attention.pos == 5);
    type("}");
    CHECK(a.looks.head == 0 && strstr(frame(120, 40), "head 0 of 1"));
    type("}");
    CHECK(a.looks.head == -1 && a.looks.layer == 0); /* one layer, one head */
    type("{");
    CHECK(a.looks.head == 0);
    CHECK(!run("attention-head mean") && a.looks.head == -1 && !run("attention-layer 0"));
    CHECK(run("attention-head 1") && run("attention-layer 1") && run("attention-head x"));
    CHECK(!run("attention-head 0") && a.looks.head == 0);
    type("3va");
    CHECK(a.warning && strstr(a.message, "layer 3, expected 0..0"));
    type("va");
    CHECK(a.layer == LAYER_STATE);
    close_app();
}

static void test_lock_in(void **state) {
    (void)state;
    open_app(1);
    type("vl");
    CHECK(strstr(frame(120, 40), "nothing is written yet"));
    type("3s");
    const lock_in_view *v = &shown(INSPECT_LOCK_IN)->lock_in;
    char want[80];
    CHECK(v->n == 3);
    snprintf(want, sizeof want, "%d of 3 written tokens would now be written differently", v->n_disagree);
    CHECK(strstr(frame(80, 24), want) && strstr(frame(200, 60), want));
    double p;
    bool doubted;
    CHECK(looks_lock_in(&a, 0, v->pos[0], &p, &doubted) && near(p, v->p[0], 0) &&
          doubted == (v->argmax[0] != v->token[0]));
    CHECK(!looks_lock_in(&a, 0, 1, &p, &doubted)); /* the prompt */
    CHECK(strstr(frame(120, 40), "lock-in  p of the token there now"));
    /* By hand: a token that the model would not write is marked by sign and underline, without colours. */
    type("rj\r");
    CHECK(!a.warning);
    close_app();
}

/* Colours and values at every size and depth, every look: nothing may leave its place. */
static void test_every_frame(void **state) {
    (void)state;
    static const char *const keys[] = {"vi", "vt", "vs", "va", "vl"};
    static const struct { int cols, rows; } sizes[] = {{80, 24}, {81, 33}, {120, 40}, {200, 60}, {300, 20}};
    open_app(2);
    type("2s");
    for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++) {
        type(keys[k]);
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            for (int mode = 0; mode < N_MODES; mode++) {
                cells g = {0};
                const char *text = frame_of(sizes[i].cols, sizes[i].rows, (color_mode)mode, &g);
                CHECK(sizes[i].rows < LAYOUT_MIN_ROWS || strstr(text, inspect_name(INSPECT_TRUTH)) || k != 1);
                CHECK(sizes[i].rows < LAYOUT_MIN_ROWS || strstr(text, "state 2"));
                cells_release(&g);
            }
        }
    }
    close_app();
}

/* A failure is told once and not repeated until it is asked for again. */
static void test_failure(void **state) {
    (void)state;
    open_app(1);
    f->poison = 3;
    type("vi");
    CHECK(a.warning && a.looks.given_up && !shown(INSPECT_INFLUENCE));
    CHECK(!looks_ask(&a));
    CHECK(strstr(frame(120, 40), a.looks.error));
    f->poison = -1;
    type("vi"); /* the other direction: asks again */
    CHECK(!a.warning && shown(INSPECT_INFLUENCE) && a.layer == LAYER_INFLUENCE);
    close_app();
}

/* A recording has no model to ask. */
static void test_recording(void **state) {
    (void)state;
    replay *r;
    err e = {0};
    MUST(replay_load(&r, "examples/trajectories/sudoku-boe.jsonl", &e), &e);
    tui_opts o = {.replays = &r, .n_replays = 1};
    MUST(app_open(&a, &o, &e), &e);
    static const char *const keys[] = {"vi", "vt", "vr", "vs", "va", "vl", "}", "{"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        for (const char *k = keys[i]; *k; k++) keys_press(&a, *k);
        CHECK(a.warning && strstr(a.message, "tabes replay FILE -m MODEL"));
        CHECK(a.tab == TAB_INSPECTOR && a.layer == LAYER_STATE);
    }
    CHECK(app_close(&a));
    replay_close(r);
}

int main(void) {
    CHECK(setlocale(LC_CTYPE, "C.UTF-8"));
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_asked_once),  cmocka_unit_test(test_influence),
                                       cmocka_unit_test(test_truth),       cmocka_unit_test(test_scores),
                                       cmocka_unit_test(test_attention),   cmocka_unit_test(test_lock_in),
                                       cmocka_unit_test(test_every_frame), cmocka_unit_test(test_failure),
                                       cmocka_unit_test(test_recording)};
    return finish("looks", cmocka_run_group_tests(tests, NULL, NULL));
}
