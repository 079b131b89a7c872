/* test_worker.c - the hand-over between the screen's thread and the worker, over a fake denoiser. Meant for
 * the thread sanitizer, too. */
#include "checks.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "worker_checks.h"

static worker *start(denoiser *d) {
    worker *w;
    err e = {0};
    MUST(worker_start(&w, d, 2, prompt, N, 0, &e), &e);
    return w;
}

static void open_pane(worker *w, int pane, const char *name) {
    const policy *p = policy_find(name);
    param_set params;
    policy_defaults(p, NULL, &params);
    worker_open(w, pane, p, &params, 3);
}

/* Both panes to the end, each step committed as soon as it is proposed. */
static void decode_both(worker *w, k_memory *memory, char sharing[400]) {
    open_pane(w, 0, "confidence");
    open_pane(w, 1, "boe");
    int opened = 0, steps[2] = {0}, done = 0;
    worker_event ev;
    while (done < 2 && next_event(w, &ev)) {
        opened += ev.kind == EVENT_OPENED;
        CHECK(ev.kind == EVENT_OPENED || ev.kind == EVENT_PROPOSED);
        if (ev.kind == EVENT_OPENED) {
            CHECK(ev.head.n_tokens == N && ev.head.start[0] == FAKE_MASK);
            snprintf(sharing, 400, "%s", ev.msg);
        } else {
            *memory = ev.memory;
        }
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
}

static void test_two_decodes(void **state) {
    (void)state;
    fake *f = fake_new(false, 64);
    worker *w = start(&f->base);
    k_memory memory;
    char sharing[400];
    decode_both(w, &memory, sharing);
    CHECK(memory.total_bytes == 0 && !sharing[0]);
    CHECK(worker_stop(w, SECONDS));
    denoiser_close(&f->base);
}

/* Lanes --------------------------------------------------------------- */

/* Two panes are inside the network at the same time, and come to the same end as on one thread. */
static void test_overlap(void **state) {
    (void)state;
    fake *f = fake_gpu_new();
    gpu.company = 2;
    worker *w = start(&f->base);
    k_memory memory;
    char sharing[400];
    decode_both(w, &memory, sharing);
    CHECK(memory.total_bytes == 80000000000 && !sharing[0]);
    CHECK(worker_stop(w, SECONDS));
    CHECK(gpu.most == 2);
    CHECK(gpu.forks == 1 && gpu.closed == 1); /* the fork is closed, the denoiser is not */
    denoiser_close(&f->base);
}

/* On one thread two panes with equal canvases cost one pass of the network; so does a restart. */
static void test_one_pass(void **state) {
    (void)state;
    fake *f = fake_new(false, 64);
    worker *w = start(&f->base);
    worker_event ev;
    const step_record *r[3] = {NULL, NULL, NULL};
    static const char *const names[3] = {"confidence", "boe", "boe"};
    for (int i = 0; i < 3; i++) {
        open_pane(w, i % 2, names[i]);
        CHECK(next_event(w, &ev) && ev.kind == EVENT_OPENED);
        worker_event_release(&ev);
        CHECK(next_event(w, &ev) && ev.kind == EVENT_PROPOSED && ev.rec);
        r[i] = record_ref(ev.rec);
        worker_event_release(&ev);
    }
    CHECK(worker_stop(w, SECONDS));
    CHECK(f->base.n_forwards == 1);
    size_t bytes = (size_t)r[0]->n_masked * sizeof(double);
    CHECK(!memcmp(r[0]->entropy, r[1]->entropy, bytes) && !memcmp(r[0]->entropy, r[2]->entropy, bytes));
    CHECK(r[1]->n_cand == r[2]->n_cand &&
          !memcmp(r[1]->tis, r[2]->tis, (size_t)r[1]->n_cand * sizeof(double)));
    for (int i = 0; i < 3; i++) {
        CHECK(near(r[i]->nfe, 1, 0));
        record_unref(r[i]);
    }
    denoiser_close(&f->base);
}

/* Without a fork the panes take turns, and say why. */
static void test_no_fork(void **state) {
    (void)state;
    fake *f = fake_gpu_new();
    gpu.refuse_fork = true;
    worker *w = start(&f->base);
    k_memory memory;
    char sharing[400];
    decode_both(w, &memory, sharing);
    CHECK(strstr(sharing, "take turns") && strstr(sharing, "33 MB more needed"));
    CHECK(worker_stop(w, SECONDS));
    CHECK(gpu.most == 1 && gpu.forks == 0 && gpu.closed == 0);
    denoiser_close(&f->base);
}

/* Cancelling reaches both lanes; opening a pane again ends only what that pane computes. */
static void test_cancel_lanes(void **state) {
    (void)state;
    fake *f = fake_gpu_new();
    gpu.hold = true;
    worker *w = start(&f->base);
    worker_event ev;
    int opened = 0, cancelled[2] = {0};
    open_pane(w, 0, "confidence");
    open_pane(w, 1, "boe");
    wait_inside(2);
    worker_cancel(w);
    while (cancelled[0] + cancelled[1] < 2 && next_event(w, &ev)) {
        opened += ev.kind == EVENT_OPENED;
        if (ev.kind == EVENT_CANCELLED) cancelled[ev.pane]++;
        worker_event_release(&ev);
    }
    CHECK(opened == 2 && cancelled[0] == 1 && cancelled[1] == 1);

    worker_propose(w, 0);
    worker_propose(w, 1);
    wait_inside(2);
    open_pane(w, 0, "margin");
    CHECK(next_event(w, &ev) && ev.kind == EVENT_OPENED && ev.pane == 0 && !strcmp(ev.head.policy, "margin"));
    worker_event_release(&ev);
    wait_inside(2); /* the new session of pane 0, and still pane 1 */
    CHECK(!worker_next(w, &ev));
    gpu_hold(false);
    const step_record *proposed[2] = {NULL, NULL};
    for (int i = 0; i < 2; i++) {
        CHECK(next_event(w, &ev) && ev.kind == EVENT_PROPOSED && ev.rec && ev.rec->step == 0);
        proposed[ev.pane] = record_ref(ev.rec);
        worker_event_release(&ev);
    }
    CHECK(proposed[0] && proposed[1]);

    gpu_hold(true);
    for (int i = 0; i < 2; i++) {
        worker_commit(w, i, proposed[i]);
        record_unref(proposed[i]);
    }
    wait_inside(2);
    CHECK(worker_stop(w, SECONDS));
    CHECK(gpu.closed == 1 && gpu.inside == 0);
    denoiser_close(&f->base);
}

/* Failures ------------------------------------------------------------ */

/* What could not be computed for want of memory is computed when asked for again. */
static void test_out_of_memory(void **state) {
    (void)state;
    fake *f = fake_gpu_new();
    worker *w = start(&f->base);
    worker_event ev;
    open_pane(w, 0, "confidence");
    CHECK(next_event(w, &ev) && ev.kind == EVENT_OPENED);
    worker_event_release(&ev);
    CHECK(next_event(w, &ev) && ev.kind == EVENT_PROPOSED && ev.rec);
    gpu_fail(2, ERR_NO_MEMORY, "cuda:0: out of memory: 512 MB more needed, 20 MB free");
    worker_commit(w, 0, ev.rec);
    worker_event_release(&ev);
    for (int i = 0; i < 2; i++) {
        CHECK(next_event(w, &ev) && ev.kind == EVENT_FAILED && !ev.opening && strstr(ev.msg, "20 MB free"));
        CHECK(ev.memory.total_bytes == 80000000000);
        worker_event_release(&ev);
        worker_propose(w, 0);
    }
    CHECK(next_event(w, &ev) && ev.kind == EVENT_PROPOSED && ev.rec && ev.rec->step == 1);
    worker_event_release(&ev);
    CHECK(worker_stop(w, SECONDS));
    denoiser_close(&f->base);
}

/* A lost device answers every request with the reason, and the worker still ends. */
static void test_lost_device(void **state) {
    (void)state;
    fake *f = fake_gpu_new();
    worker *w = start(&f->base);
    worker_event ev;
    gpu_fail(1000, ERR_NO_DEVICE, "cuda:0: the device was lost during linear");
    open_pane(w, 0, "confidence");
    open_pane(w, 1, "boe");
    int opened = 0, failed[2] = {0};
    while (failed[0] + failed[1] < 6 && next_event(w, &ev)) {
        opened += ev.kind == EVENT_OPENED;
        if (ev.kind == EVENT_FAILED) {
            CHECK(!ev.opening && strstr(ev.msg, "lost during linear"));
            if (++failed[ev.pane] < 3) worker_propose(w, ev.pane);
        }
        worker_event_release(&ev);
    }
    CHECK(opened == 2 && failed[0] == 3 && failed[1] == 3);
    CHECK(worker_stop(w, SECONDS));
    denoiser_close(&f->base);
}

/* Commands ------------------------------------------------------------ */

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
    MUST(worker_start(&w, &f->base, 2, full, 2, 0, &e), &e);
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

/* To and fro between two decodes and their states, on one lane and on two: only the last state's proposal
 * comes, and it is what a decode straight to there proposes. */
static void seek_around(denoiser *d) {
    worker *w = start(d);
    worker_event ev;
    err e = {0};
    traj_header h = {0};
    const step_record *first = NULL;
    open_pane(w, 0, "confidence");
    open_pane(w, 1, "boe");
    for (int i = 0, opened = 0; i < 4 && next_event(w, &ev); i++) {
        if (ev.kind == EVENT_OPENED && ev.pane == 0) {
            h = ev.head;
            ev.head.start = NULL; /* kept */
        }
        opened += ev.kind == EVENT_OPENED;
        if (ev.kind == EVENT_PROPOSED && ev.pane == 0) first = record_ref(ev.rec);
        CHECK(i < 3 || opened == 2);
        worker_event_release(&ev);
    }
    if (!CHECK(h.start && first)) return;
    int32_t later[N];
    memcpy(later, prompt, sizeof later);
    later[first->writes[0].pos] = first->writes[0].token;
    traj_header boe = h;
    snprintf(boe.policy, sizeof boe.policy, "boe");
    policy_defaults(policy_find("boe"), NULL, &boe.params);
    for (int round = 0; round < 20; round++) {
        session_state at = {.tokens = round % 3 ? later : prompt, .n = N, .k = round % 3 ? 1 : 0};
        at.decoded = at.k;
        MUST(worker_seek(w, round % 2, round % 4 < 2 ? &h : &boe, &at, true, &e), &e);
    }
    session_state at = {.tokens = prompt, .n = N};
    MUST(worker_seek(w, 0, &h, &at, true, &e), &e);
    const step_record *last[2] = {NULL, NULL};
    for (int i = 0; i < 2 && next_event(w, &ev); i++) {
        CHECK(ev.kind == EVENT_PROPOSED && ev.rec && !last[ev.pane]);
        last[ev.pane] = record_ref(ev.rec);
        worker_event_release(&ev);
    }
    if (CHECK(last[0] && last[1])) {
        CHECK(last[0]->step == 0 && last[0]->writes[0].pos == first->writes[0].pos);
        CHECK(!memcmp(last[0]->entropy, first->entropy, (size_t)first->n_masked * sizeof *first->entropy));
        CHECK(last[1]->step == 1 && last[1]->n_masked == first->n_masked - 1 && last[1]->score);
    }
    /* Without a proposal: the record that is there is committed, and the next one comes. */
    MUST(worker_seek(w, 0, &h, &at, false, &e), &e);
    worker_commit(w, 0, first);
    CHECK(next_event(w, &ev) && ev.kind == EVENT_PROPOSED && ev.rec && ev.rec->step == 1);
    worker_event_release(&ev);
    /* A state of another length is refused with an answer; an unknown policy at once. */
    at.n = N - 1;
    MUST(worker_seek(w, 0, &h, &at, true, &e), &e);
    CHECK(next_event(w, &ev) && ev.kind == EVENT_FAILED && ev.msg[0]);
    worker_event_release(&ev);
    snprintf(boe.policy, sizeof boe.policy, "none");
    CHECK(worker_seek(w, 0, &boe, &at, true, &e) && strstr(e.msg, "none"));
    CHECK(!worker_next(w, &ev));
    for (int i = 0; i < 2; i++) record_unref(last[i]);
    record_unref(first);
    free((void *)(uintptr_t)h.start);
    CHECK(worker_stop(w, SECONDS));
}

static void test_seek(void **state) {
    (void)state;
    fake *f = fake_new(false, 64);
    seek_around(&f->base);
    denoiser_close(&f->base);
    f = fake_gpu_new();
    seek_around(&f->base);
    denoiser_close(&f->base);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_decodes),  cmocka_unit_test(test_overlap),
        cmocka_unit_test(test_one_pass),     cmocka_unit_test(test_no_fork),
        cmocka_unit_test(test_cancel_lanes), cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_lost_device),  cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_reopen),       cmocka_unit_test(test_failure),
        cmocka_unit_test(test_seek),
    };
    return finish("worker", cmocka_run_group_tests(tests, NULL, NULL));
}
