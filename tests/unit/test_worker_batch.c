/* test_worker_batch.c - panes of one lane that wait together run one forward, and are answered as if each had
 * run its own: in order, by its own faults, cancelled and replaced alone. Meant for the thread sanitizer,
 * too. */
#include "worker_checks.h"

#include <stdlib.h>
#include <string.h>

#include "same_record.h"

/* What the network was asked; under gpu's lock. */
static struct {
    int batches, alone;
    bool refuse_batches;
} net;

static int watched_forward(denoiser *d, const forward_req *q, pass *p, err *e) {
    gpu_lock();
    *(q->n_seqs > 1 ? &net.batches : &net.alone) += 1;
    bool refuse = q->n_seqs > 1 && net.refuse_batches;
    gpu_unlock();
    if (refuse) return err_set(e, ERR_BAD_FORMAT, "NaN in the other's sequence");
    return gpu_forward(d, q, p, e);
}

static void count_anew(void) {
    gpu_lock();
    net.batches = net.alone = 0;
    gpu_unlock();
}

static bool counted(int batches, int alone) {
    gpu_lock();
    bool ok = net.batches == batches && net.alone == alone;
    gpu_unlock();
    return ok;
}

/* ---- two panes on one lane ---- */

static const char *const names[2] = {"left-to-right", "boe"};

typedef struct bench {
    fake *f;
    worker *w;
    const step_record *next[2]; /* proposals of both */
    traj_header head[2];
} bench;

static void open_pane(worker *w, int pane, const char *name) {
    const policy *p = policy_find(name);
    param_set params;
    policy_defaults(p, NULL, &params);
    worker_open(w, pane, p, &params, 3);
}

static bool expect(bench *b, event_kind kind, int pane, worker_event *ev) {
    return CHECK(next_event(b->w, ev)) && CHECK(ev->kind == kind && ev->pane == pane);
}

static void expect_proposal(bench *b, int pane, int step) {
    worker_event ev;
    if (!expect(b, EVENT_PROPOSED, pane, &ev)) return;
    CHECK(ev.rec && ev.rec->step == step);
    record_unref(b->next[pane]);
    b->next[pane] = ev.rec ? record_ref(ev.rec) : NULL;
    worker_event_release(&ev);
}

static void expect_other(bench *b, event_kind kind, int pane) {
    worker_event ev;
    if (expect(b, kind, pane, &ev)) worker_event_release(&ev);
}

static void commit_both(bench *b) {
    worker_hold(b->w);
    for (int i = 0; i < 2; i++) worker_commit(b->w, i, b->next[i]);
    worker_go(b->w);
}

/* Both stand at their second state, which differ. */
static void open_bench(bench *b) {
    static denoiser_ops ops;
    worker_event ev;
    err e = {0};
    *b = (bench){.f = fake_gpu_new()};
    ops = *b->f->base.ops;
    ops.forward = watched_forward;
    b->f->base.ops = &ops;
    gpu.refuse_fork = true;
    net.refuse_batches = false;
    MUST(worker_start(&b->w, &b->f->base, 2, prompt, N, 0, &e), &e);
    for (int i = 0; i < 2; i++) {
        open_pane(b->w, i, names[i]);
        if (expect(b, EVENT_OPENED, i, &ev)) b->head[i] = ev.head, ev.head.start = NULL;
        worker_event_release(&ev);
        expect_proposal(b, i, 0);
    }
    CHECK(b->next[0]->writes[0].pos != b->next[1]->writes[0].pos);
    commit_both(b);
    for (int i = 0; i < 2; i++) expect_proposal(b, i, 1);
    count_anew();
}

static void close_bench(bench *b) {
    worker_event ev;
    CHECK(!worker_next(b->w, &ev));
    CHECK(worker_stop(b->w, SECONDS));
    for (int i = 0; i < 2; i++) {
        record_unref(b->next[i]);
        free((void *)(uintptr_t)b->head[i].start);
    }
    denoiser_close(&b->f->base);
}

/* ---- the same as alone ---- */

static session *open_alone(denoiser *d, const char *name) {
    session *s;
    err e = {0};
    session_opts o = {.prompt = prompt, .n_prompt = N, .policy = policy_find(name), .seed = 3};
    o.observe_tis = true;
    policy_defaults(o.policy, NULL, &o.params);
    MUST(session_open(&s, d, &o, &e), &e);
    return s;
}

/* Decodes of both panes to the end beside sessions that share nothing. */
static void check_decodes(bool refuse) {
    bench b;
    open_bench(&b);
    net.refuse_batches = refuse;
    fake *own = fake_new(false, 64);
    session *s[2] = {open_alone(&own->base, names[0]), open_alone(&own->base, names[1])};
    const step_record *r;
    err e = {0};
    for (int k = 0; k < 6; k++) {
        for (int i = 0; i < 2; i++) {
            MUST(session_propose(s[i], &r, &e), &e);
            if (k > 0) CHECK(same_record(r, b.next[i]));
            MUST(session_commit(s[i], r, &e), &e);
            record_unref(r);
        }
        if (!k) continue; /* the bench is ahead */
        commit_both(&b);
        for (int i = 0; i < 2; i++) expect_proposal(&b, i, k + 1);
    }
    CHECK(net.batches >= 3 && (net.alone <= 2 || refuse));
    for (int i = 0; i < 2; i++) session_close(s[i]);
    denoiser_close(&own->base);
    close_bench(&b);
}

static void test_decodes(void **state) {
    (void)state;
    check_decodes(false);
    check_decodes(true);
}

/* A seek beside a commit, and proposals asked for again. */
static void test_seek(void **state) {
    (void)state;
    bench b;
    err e = {0};
    open_bench(&b);
    int32_t tokens[N];
    memcpy(tokens, prompt, sizeof tokens);
    tokens[9] = 4;
    session_state to = {.tokens = tokens, .n = N, .k = 1, .decoded = 1};
    worker_hold(b.w);
    worker_commit(b.w, 1, b.next[1]);
    MUST(worker_seek(b.w, 0, &b.head[0], &to, true, &e), &e);
    worker_go(b.w);
    expect_proposal(&b, 1, 2);
    expect_proposal(&b, 0, 1);
    CHECK(counted(1, 0));
    worker_hold(b.w);
    for (int i = 0; i < 2; i++) worker_propose(b.w, i);
    worker_go(b.w);
    expect_proposal(&b, 0, 1);
    expect_proposal(&b, 1, 2);
    CHECK(counted(1, 0)); /* the parts of the batch answer them again */
    close_bench(&b);
}

/* ---- each by its own faults ---- */

static void test_bad_commit(void **state) {
    (void)state;
    for (int bad = 0; bad < 2; bad++) {
        bench b;
        open_bench(&b);
        step_record *wrong = record_new();
        wrong->step = 17;
        worker_hold(b.w);
        for (int i = 0; i < 2; i++) worker_commit(b.w, i, i == bad ? wrong : b.next[i]);
        worker_go(b.w);
        record_unref(wrong);
        for (int i = 0; i < 2; i++) {
            if (i == bad)
                expect_other(&b, EVENT_FAILED, i);
            else
                expect_proposal(&b, i, 2);
        }
        CHECK(counted(0, 1));
        commit_both(&b);
        for (int i = 0; i < 2; i++) expect_proposal(&b, i, i == bad ? 2 : 3);
        close_bench(&b);
    }
}

/* A pane without a session among those that wait. */
static void test_closed(void **state) {
    (void)state;
    bench b;
    open_bench(&b);
    worker_hold(b.w);
    worker_close(b.w, 1);
    worker_go(b.w);
    commit_both(&b);
    expect_proposal(&b, 0, 2);
    expect_other(&b, EVENT_FAILED, 1);
    CHECK(counted(0, 1));
    close_bench(&b);
}

/* ---- giving up ---- */

static void begin_batch(bench *b) {
    gpu_hold(true);
    commit_both(b);
    wait_inside(1);
    CHECK(counted(1, 0));
}

/* Both proposals are given up and both commits stay. */
static void test_cancel(void **state) {
    (void)state;
    bench b;
    open_bench(&b);
    begin_batch(&b);
    worker_cancel(b.w);
    for (int i = 0; i < 2; i++) expect_other(&b, EVENT_CANCELLED, i);
    gpu_hold(false);
    worker_hold(b.w);
    for (int i = 0; i < 2; i++) worker_propose(b.w, i);
    worker_go(b.w);
    for (int i = 0; i < 2; i++) expect_proposal(&b, i, 2);
    CHECK(counted(2, 1)); /* pane 0 finds the flag up by itself */
    close_bench(&b);
}

/* A pane is opened anew while its pass is part of a batch: the other gets its proposal all the same. */
static void test_replaced(void **state) {
    (void)state;
    for (int anew = 0; anew < 2; anew++) {
        bench b;
        open_bench(&b);
        begin_batch(&b);
        open_pane(b.w, anew, "margin");
        gpu_hold(false);
        expect_proposal(&b, !anew, 2);
        expect_other(&b, EVENT_OPENED, anew);
        expect_proposal(&b, anew, 0);
        close_bench(&b);
    }
}

static void test_stop(void **state) {
    (void)state;
    bench b;
    open_bench(&b);
    begin_batch(&b);
    close_bench(&b);
    open_bench(&b);
    worker_hold(b.w); /* and never goes */
    worker_commit(b.w, 0, b.next[0]);
    close_bench(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decodes), cmocka_unit_test(test_seek),   cmocka_unit_test(test_bad_commit),
        cmocka_unit_test(test_closed),  cmocka_unit_test(test_cancel), cmocka_unit_test(test_replaced),
        cmocka_unit_test(test_stop),
    };
    return finish("worker batch", cmocka_run_group_tests(tests, NULL, NULL));
}
