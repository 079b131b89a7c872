/* test_worker_looks.c - closer looks on the worker's threads: answered as a session answers them, cut short
 * by jobs, by newer looks and by a person. Meant for the thread sanitizer, too. */
#include "checks.h"

#include <stdlib.h>
#include <string.h>

#include "worker_checks.h"

static fake *f;
static worker *w;
static traj_header head;
static const step_record *first; /* what is proposed at the start */

/* A pane with its first proposal; its header is kept. */
static void start(void) {
    const policy *p = policy_find("boe");
    param_set params;
    worker_event ev;
    err e = {0};
    f = fake_gpu_new();
    MUST(worker_start(&w, &f->base, 1, prompt, N, 0, &e), &e);
    policy_defaults(p, NULL, &params);
    worker_open(w, 0, p, &params, 3);
    CHECK(next_event(w, &ev) && ev.kind == EVENT_OPENED);
    head = ev.head; /* and what it holds */
    CHECK(next_event(w, &ev) && ev.kind == EVENT_PROPOSED && ev.rec);
    first = record_ref(ev.rec);
    worker_event_release(&ev);
}

static void stop(void) {
    record_unref(first);
    CHECK(worker_stop(w, SECONDS));
    free((void *)(uintptr_t)head.start);
    denoiser_close(&f->base);
}

static void ask(inspect_kind kind, uint64_t key) {
    err e = {0};
    session_state at = {.tokens = head.start, .n = head.n_tokens};
    MUST(worker_inspect(w, 0, &head, &at, &(inspect_req){.kind = kind, .key = key}, &e), &e);
}

/* The answer to `key`; NULL look and whether it gave way, otherwise. */
static bool answered(uint64_t key, bool look, bool gave_way) {
    worker_event ev;
    if (!next_event(w, &ev)) return false;
    bool ok =
        ev.kind == EVENT_INSPECTED && ev.key == key && (ev.look != NULL) == look && ev.gave_way == gave_way;
    if (!ok)
        print_error("kind %d, key %d, look %d, gave way %d: %s\n", (int)ev.kind, (int)ev.key, ev.look != NULL,
                    ev.gave_way, ev.msg);
    worker_event_release(&ev);
    return ok;
}

/* The same numbers as a session of its own has. */
static void test_answer(void **state) {
    (void)state;
    start();
    worker_event ev;
    ask(INSPECT_INFLUENCE, 5);
    CHECK(next_event(w, &ev) && ev.kind == EVENT_INSPECTED && ev.key == 5 && ev.look && !ev.gave_way);
    fake *own = fake_new(false, 64);
    session *s;
    const inspection *want;
    err e = {0};
    session_opts o = {.prompt = prompt, .n_prompt = N, .policy = policy_find("boe"), .seed = 3};
    policy_defaults(o.policy, NULL, &o.params);
    MUST(session_open(&s, &own->base, &o, &e), &e);
    MUST(session_inspect(s, &(inspect_req){.kind = INSPECT_INFLUENCE, .key = 5}, &want, &e), &e);
    const inspection *got = ev.look;
    CHECK(got && got->influence.n == 7 && got->influence.n == want->influence.n);
    for (int j = 0; j < 7; j++) {
        for (int i = 0; i < 7; i++) CHECK(got->influence.D[j * 7 + i] == want->influence.D[j * 7 + i]);
    }
    inspection_unref(want);
    session_close(s);
    denoiser_close(&own->base);
    worker_event_release(&ev);
    stop();
}

/* A job that comes later cuts a look short, says so, and is not disturbed by it. */
static void test_gives_way(void **state) {
    (void)state;
    start();
    worker_event ev;
    gpu_hold(true);
    ask(INSPECT_TRUTH, 6);
    wait_inside(1);
    worker_propose(w, 0);
    CHECK(answered(6, false, true));
    gpu_hold(false);
    CHECK(next_event(w, &ev) && ev.kind == EVENT_PROPOSED && ev.rec && ev.rec->step == 0);
    worker_event_release(&ev);
    ask(INSPECT_TRUTH, 6);
    CHECK(answered(6, true, false));
    stop();
}

/* A newer look ends the one that runs; one that has not begun is not answered. */
static void test_newer(void **state) {
    (void)state;
    start();
    worker_event ev;
    gpu_hold(true);
    worker_commit(w, 0, first); /* what is known of the start is not computed again */
    wait_inside(1);
    ask(INSPECT_INFLUENCE, 7);
    ask(INSPECT_INFLUENCE, 8);
    gpu_hold(false);
    CHECK(next_event(w, &ev) && ev.kind == EVENT_PROPOSED);
    worker_event_release(&ev);
    CHECK(answered(8, true, false));
    gpu_hold(true);
    ask(INSPECT_TRUTH, 9);
    wait_inside(1);
    ask(INSPECT_INFLUENCE, 10);
    CHECK(answered(9, false, true));
    gpu_hold(false);
    CHECK(answered(10, true, false));
    stop();
}

/* A person gives it up; the worker goes on. A failure has its reason. */
static void test_cancel_and_failure(void **state) {
    (void)state;
    start();
    gpu_hold(true);
    ask(INSPECT_TRUTH, 11);
    wait_inside(1);
    worker_cancel(w);
    CHECK(answered(11, false, false));
    gpu_hold(false);
    gpu_fail(1, ERR_NO_MEMORY, "cuda:0: out of memory: 512 MB more needed");
    worker_event ev;
    ask(INSPECT_INFLUENCE, 12);
    CHECK(next_event(w, &ev) && ev.kind == EVENT_INSPECTED && !ev.look && !ev.gave_way &&
          strstr(ev.msg, "512 MB"));
    worker_event_release(&ev);
    ask(INSPECT_INFLUENCE, 12);
    CHECK(answered(12, true, false));
    stop();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answer),
        cmocka_unit_test(test_gives_way),
        cmocka_unit_test(test_newer),
        cmocka_unit_test(test_cancel_and_failure),
    };
    return finish("worker looks", cmocka_run_group_tests(tests, NULL, NULL));
}
