/* test_app.c - the workbench's state when the device fails: nothing that was shown is lost, and what can be
 * tried again can be. Over a fake GPU, without a terminal. */
#include "checks.h"

#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake_gpu.h"
#include "tui/app.h"
#include "tui/screen.h"

enum { N = 10, SECONDS = 30 };

static const int32_t prompt[N] = {8, 2, 8, 8, 5, 8, 8, 0, 8, 8};

/* Until every pane has its answer. */
static void settle(app *a) {
    for (int i = 0; i < SECONDS * 10 && app_busy(a); i++) {
        poll(&(struct pollfd){.fd = worker_fd(a->worker), .events = POLLIN}, 1, 100);
        app_events(a);
    }
    CHECK(!app_busy(a));
}

static void open_app(app *a, const model *m, const char *prefix) {
    static const char *const names[] = {"confidence", "boe"};
    tui_opts o = {.model = m, .prompt = prompt, .n_prompt = N, .n_panes = 2, .record_prefix = prefix};
    for (int i = 0; i < 2; i++) {
        o.panes[i] = (tui_pane){.policy = policy_find(names[i])};
        policy_defaults(o.panes[i].policy, NULL, &o.panes[i].params);
    }
    err e = {0};
    MUST(app_open(a, &o, &e), &e);
    a->pal = (palette){.mode = MODE_NONE};
    settle(a);
}

static bool screen_has(app *a, int cols, int rows, const char *text) {
    cells g = {0};
    strbuf out;
    err e = {0};
    strbuf_init(&out, 1 << 20);
    MUST(cells_init(&g, cols, rows, false, &e), &e);
    MUST(screen_draw(a, &g, &e), &e);
    cells_dump(&g, &out);
    bool found = strstr(out.data, text);
    cells_release(&g);
    strbuf_release(&out);
    return found;
}

static int refuse_late(const param_set *ps, const denoiser_info *info, err *e) {
    (void)ps, (void)info;
    for (int i = 0; i < SECONDS * 1000 && !gpu_inside(); i++) poll(NULL, 0, 1);
    return err_set(e, ERR_BAD_ARGUMENT, "refused while pane A computes");
}

/* One pane cannot be opened while the other is inside a forward that does not end. What the forward uses is
 * never freed, so this runs in a process that may end like that. */
static bool fails_still_computing(void) {
    fake *f = fake_gpu_new();
    model m = {.d = &f->base};
    policy late = *policy_find("margin");
    late.check = refuse_late;
    tui_opts o = {.model = &m, .prompt = prompt, .n_prompt = N, .n_panes = 2};
    o.panes[0] = (tui_pane){.policy = policy_find("confidence")};
    o.panes[1] = (tui_pane){.policy = &late};
    for (int i = 0; i < 2; i++) policy_defaults(o.panes[i].policy, NULL, &o.panes[i].params);
    strbuf out;
    bool still_computing = false;
    err e = {0};
    strbuf_init(&out, 1 << 20);
    gpu.deaf = true;
    gpu_hold(true);
    return tui_dump(&o, 80, 24, &out, &still_computing, &e) && strstr(e.msg, "while pane A computes") &&
           still_computing && gpu_inside() == 1;
}

static void test_fails_still_computing(void **state) {
    (void)state;
    int ended = 0;
    fflush(NULL);
    pid_t child = fork();
    if (!child) _exit(!fails_still_computing());
    CHECK(child > 0 && waitpid(child, &ended, 0) == child && WIFEXITED(ended) && !WEXITSTATUS(ended));
}

static void test_device_shown(void **state) {
    (void)state;
    fake *f = fake_gpu_new();
    model m = {.d = &f->base};
    app a;
    open_app(&a, &m, NULL);
    CHECK(screen_has(&a, 80, 24, "cuda:0 bf16 17.2/80.0 GB"));
    CHECK(screen_has(&a, 200, 60, "cuda:0 bf16 17.2/80.0 GB  10 tokens, 7 to unmask"));
    CHECK(app_close(&a));
    denoiser_close(&f->base);
}

/* Out of memory in one pane: the step that was taken stays, one can look, record, and try again. */
static void test_out_of_memory(void **state) {
    (void)state;
    char dir[] = "/tmp/tabes-test-XXXXXX", prefix[64], path[2][96];
    CHECK(mkdtemp(dir));
    snprintf(prefix, sizeof prefix, "%s/run", dir);
    snprintf(path[0], sizeof path[0], "%s-confidence.jsonl", prefix);
    snprintf(path[1], sizeof path[1], "%s-boe.jsonl", prefix);
    fake *f = fake_gpu_new();
    model m = {.d = &f->base};
    app a;
    open_app(&a, &m, prefix);
    gpu_fail(1, ERR_NO_MEMORY, "cuda:0: out of memory: 512 MB more needed, 20 MB free");
    app_step(&a, 1);
    settle(&a);
    CHECK(a.warning && strstr(a.message, "cuda:0: out of memory"));
    CHECK(screen_has(&a, 120, 40, "512 MB more needed, 20 MB free"));
    int without = 0;
    for (int i = 0; i < 2; i++) {
        CHECK(a.panes[i].state == 1 && pane_states(&a.panes[i]) == 1);
        without += !pane_record(&a.panes[i]);
    }
    CHECK(without == 1);
    app_back(&a, 1);
    CHECK(a.panes[0].state == 0 && pane_record(&a.panes[0]) && pane_record(&a.panes[1]));
    app_record(&a, 0);
    CHECK(a.recorded && !a.warning);
    for (int i = 0; i < 2; i++) CHECK(unlink(path[i]) == 0);
    app_step(&a, 2);
    settle(&a);
    for (int i = 0; i < 2; i++) {
        CHECK(a.panes[i].state == 2 && pane_states(&a.panes[i]) == 2 && pane_record(&a.panes[i]));
        CHECK(!a.panes[i].error[0]);
    }
    CHECK(app_close(&a));
    denoiser_close(&f->base);
    rmdir(dir);
}

/* A lost device: running to the end stops with the reason, and so does every further try. */
static void test_lost_device(void **state) {
    (void)state;
    fake *f = fake_gpu_new();
    model m = {.d = &f->base};
    app a;
    open_app(&a, &m, NULL);
    app_step(&a, 2);
    settle(&a);
    gpu_fail(1000, ERR_NO_DEVICE, "cuda:0: the device was lost during linear");
    for (int i = 0; i < 3; i++) {
        a.message[0] = '\0';
        app_run(&a, 0);
        settle(&a);
        CHECK(a.warning && strstr(a.message, "the device was lost"));
        CHECK(pane_states(&a.panes[0]) == 3 && pane_states(&a.panes[1]) == 3);
        CHECK(!a.panes[0].run && !a.panes[1].run);
    }
    app_first(&a, 0);
    CHECK(a.panes[0].state == 0 && screen_has(&a, 80, 24, "step 0/7"));
    CHECK(app_close(&a));
    denoiser_close(&f->base);
}

/* Numbers of any size are cut to their place; what follows them is drawn still. */
static void test_huge_cost(void **state) {
    (void)state;
    fake *f = fake_gpu_new();
    model m = {.d = &f->base};
    app a;
    open_app(&a, &m, NULL);
    step_record *r = (step_record *)(uintptr_t)a.panes[0].own.pending;
    r->ms = r->nfe = 1e300;
    r->total_entropy = -1e300;
    a.recorded = true;
    CHECK(screen_has(&a, 120, 40, "NFE 0  recorded"));
    app_step(&a, 1);
    settle(&a);
    CHECK(screen_has(&a, 120, 40, "step 1/7"));
    CHECK(screen_has(&a, 80, 24, "step 1/7"));
    CHECK(app_close(&a));
    denoiser_close(&f->base);
}

/* However many steps are planned, a frame costs what there is to draw; a policy that puts tokens back may
 * plan more of them than there are masks. */
static void test_huge_plan(void **state) {
    (void)state;
    fake *f = fake_gpu_new();
    model m = {.d = &f->base};
    app a;
    open_app(&a, &m, NULL);
    app_set_policy(&a, policy_find("p2"));
    settle(&a);
    ((step_record *)(uintptr_t)a.panes[0].own.pending)->T = INT_MAX;
    a.marks[0] = (place_mark){true, INT_MAX / 2, 2};
    CHECK(screen_has(&a, 120, 40, "step 0/2147483647"));
    CHECK(screen_has(&a, 120, 40, "\u00B7a\u00B7"));
    CHECK(app_close(&a));
    denoiser_close(&f->base);
}

/* A screen that is too small draws nothing, but keys still mean what they mean. */
static void test_small_screen(void **state) {
    (void)state;
    fake *f = fake_gpu_new();
    model m = {.d = &f->base};
    app a;
    open_app(&a, &m, NULL);
    CHECK(screen_has(&a, 60, 10, "needs 80x24"));
    a.cursor = 0;
    app_next_masked(&a, 2);
    CHECK(a.cursor == 3);
    app_last_generated(&a, 0);
    app_prev_masked(&a, 0);
    CHECK(a.cursor == 8);
    CHECK(app_close(&a));
    denoiser_close(&f->base);
}

/* Keys may come faster than frames: what they read is of the state shown, drawn or not. */
static void test_no_frame_yet(void **state) {
    (void)state;
    fake *f = fake_gpu_new();
    model m = {.d = &f->base};
    app a;
    err e = {0};
    open_app(&a, &m, NULL);
    app_next_masked(&a, 1); /* from 0, the first one */
    CHECK(a.cursor == 2);
    MUST(app_search(&a, "H<100", &e), &e);
    CHECK(a.find.count == 7 && a.cursor == 2);
    app_last(&a, 7);
    settle(&a);
    app_search_next(&a, 1);
    CHECK(!a.find.count && strstr(a.message, "no hit in state 7"));
    app_next_masked(&a, 1);
    CHECK(strstr(a.message, "no masked position"));
    CHECK(app_close(&a));
    denoiser_close(&f->base);
}

/* Likewise an answer to a lesson. */
static void test_answer_before_frame(void **state) {
    (void)state;
    static const char text[] = "title: T\nabout: A\nmodel: m\nlength: 9\npolicies: boe\n"
                               "== One\nask: Where?\nanswer: masked\n--\nThere.\n";
    fake *f = fake_gpu_new();
    model m = {.d = &f->base};
    app a;
    lesson *l;
    err e = {0};
    MUST(lesson_parse(&l, text, sizeof text - 1, "t.lesson", &e), &e);
    open_app(&a, &m, NULL);
    MUST(lesson_begin(&a, l, &e), &e);
    app_run(&a, 0);
    settle(&a);
    CHECK(screen_has(&a, 80, 24, "step 7/7"));
    app_first(&a, 0);
    a.cursor = 0;
    MUST(app_lesson_answer(&a, 0, &e), &e);
    CHECK(lesson_count(&a, ANSWER_RIGHT) == 1);
    CHECK(app_close(&a));
    lesson_free(l);
    denoiser_close(&f->base);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fails_still_computing),
        cmocka_unit_test(test_device_shown),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_lost_device),
        cmocka_unit_test(test_small_screen),
        cmocka_unit_test(test_no_frame_yet),
        cmocka_unit_test(test_answer_before_frame),
        cmocka_unit_test(test_huge_cost),
        cmocka_unit_test(test_huge_plan),
    };
    return finish("app", cmocka_run_group_tests(tests, NULL, NULL));
}
