/* test_worker.c - the hand-over between the screen's thread and the worker, over a fake denoiser. Meant for
 * the thread sanitizer, too. */
#include "checks.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fake_denoiser.h"
#include "tui/worker.h"

enum { N = 10, SECONDS = 30 };

static const int32_t prompt[N] = {8, 2, 8, 8, 5, 8, 8, 0, 8, 8};

/* The next event, or false when none comes in time. */
static bool next_event(worker *w, worker_event *ev) {
    for (int i = 0; i < SECONDS * 10; i++) {
        if (worker_next(w, ev)) return true;
        poll(&(struct pollfd){.fd = worker_fd(w), .events = POLLIN}, 1, 100);
    }
    return false;
}

static worker *start(denoiser *d) {
    worker *w;
    err e = {0};
    MUST(worker_start(&w, d, prompt, N, 0, &e), &e);
    return w;
}

static void open_pane(worker *w, int pane, const char *name) {
    const policy *p = policy_find(name);
    param_set params;
    policy_defaults(p, NULL, &params);
    worker_open(w, pane, p, &params, 3);
}

/* Both panes to the end, each step committed as soon as it is proposed. */
static void test_two_decodes(void **state) {
    (void)state;
    fake *f = fake_new(false, 64);
    worker *w = start(&f->base);
    open_pane(w, 0, "confidence");
    open_pane(w, 1, "boe");
    int opened = 0, steps[2] = {0}, done = 0;
    worker_event ev;
    while (done < 2 && next_event(w, &ev)) {
        opened += ev.kind == EVENT_OPENED;
        CHECK(ev.kind == EVENT_OPENED || ev.kind == EVENT_PROPOSED);
        if (ev.kind == EVENT_OPENED) CHECK(ev.head.n_tokens == N && ev.head.start[0] == FAKE_MASK);
        if (ev.kind == EVENT_PROPOSED && ev.rec) {
            CHECK(ev.rec->step == steps[ev.pane]);
            CHECK(ev.rec->n_observed + ev.rec->n_cand > 0);
            steps[ev.pane]++;
            worker_commit(w, ev.pane, ev.rec);
        }
        done += ev.kind == EVENT_PROPOSED && !ev.rec;
        worker_event_release(&ev);
    }
    CHECK(opened == 2 && done == 2 && steps[0] == 7 && steps[1] == 7);
    CHECK(worker_stop(w, SECONDS));
    denoiser_close(&f->base);
}

/* An answer for every request, whatever is cancelled; and stopping in the middle. */
static void test_cancel(void **state) {
    (void)state;
    fake *f = fake_new(false, 64);
    worker *w = start(&f->base);
    open_pane(w, 0, "confidence");
    worker_event ev;
    int asked = 1, answered = 0, cancelled = 0;
    for (int round = 0; round < 300; round++) {
        worker_propose(w, 0);
        asked++;
        if (round % 3 == 0) worker_cancel(w);
        while (worker_next(w, &ev)) {
            answered += ev.kind != EVENT_OPENED;
            cancelled += ev.kind == EVENT_CANCELLED;
            worker_event_release(&ev);
        }
    }
    while (answered < asked && next_event(w, &ev)) {
        answered += ev.kind != EVENT_OPENED;
        cancelled += ev.kind == EVENT_CANCELLED;
        worker_event_release(&ev);
    }
    CHECK(answered == asked);
    CHECK(cancelled > 0);
    worker_propose(w, 0);
    CHECK(next_event(w, &ev) && ev.kind == EVENT_PROPOSED && ev.rec && ev.rec->step == 0);
    worker_event_release(&ev);
    for (int i = 0; i < 20; i++) worker_propose(w, 0);
    CHECK(worker_stop(w, SECONDS));
    CHECK(worker_stop(NULL, 0));
    denoiser_close(&f->base);
}

/* Opening again replaces the session; nothing of the old one arrives any more. */
static void test_reopen(void **state) {
    (void)state;
    fake *f = fake_new(false, 64);
    worker *w = start(&f->base);
    worker_event ev;
    for (int round = 0; round < 100; round++) {
        open_pane(w, 0, round % 2 ? "boe" : "margin");
        worker_propose(w, 0);
    }
    CHECK(next_event(w, &ev) && ev.kind == EVENT_OPENED && !strcmp(ev.head.policy, "boe"));
    worker_event_release(&ev);
    for (int i = 0; i < 2; i++) {
        CHECK(next_event(w, &ev) && ev.kind == EVENT_PROPOSED && ev.rec && ev.rec->step == 0);
        worker_event_release(&ev);
    }
    CHECK(!worker_next(w, &ev));
    CHECK(worker_stop(w, SECONDS));
    denoiser_close(&f->base);
}

static void test_failure(void **state) {
    (void)state;
    static const int32_t full[2] = {1, 2};
    fake *f = fake_new(false, 64);
    worker *w;
    err e = {0};
    MUST(worker_start(&w, &f->base, full, 2, 0, &e), &e);
    open_pane(w, 1, "boe");
    worker_event ev;
    CHECK(next_event(w, &ev) && ev.kind == EVENT_FAILED && ev.pane == 1 && ev.opening && ev.msg[0]);
    worker_event_release(&ev);
    /* Without a session every request is answered all the same. */
    worker_propose(w, 1);
    CHECK(next_event(w, &ev) && ev.kind == EVENT_FAILED && ev.pane == 1 && !ev.opening && ev.msg[0]);
    worker_event_release(&ev);
    step_record never = {.refs = 1}; /* only its count is touched */
    worker_commit(w, 1, &never);
    CHECK(next_event(w, &ev) && ev.kind == EVENT_FAILED && ev.pane == 1 && !ev.opening && ev.msg[0]);
    worker_event_release(&ev);
    CHECK(worker_stop(w, SECONDS));
    denoiser_close(&f->base);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_decodes),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_reopen),
        cmocka_unit_test(test_failure),
    };
    return finish("worker", cmocka_run_group_tests(tests, NULL, NULL));
}
