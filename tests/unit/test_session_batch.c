/* test_session_batch.c - panes whose passes run together decode to the bit as panes alone; and only what may
 * runs together. */
#include "checks.h"
#include "device.h"

#include <string.h>

#include "engine/engine.h"
#include "fake_denoiser.h"
#include "same_record.h"

enum { N = 12, STEPS = 5, MOST = 3 };

static const int32_t prompt[N] = {8, 2, 8, 8, 5, 8, 8, 0, 8, 8, 1, 8};

/* What the fake's network was asked, and what it answers. */
static struct {
    int forwards, most_seqs, refuse_batches;
    bool cancel_batches;
    atomic_bool cancel;
} net;

static int watched_forward(denoiser *d, const forward_req *q, pass *p, err *e) {
    net.forwards++;
    if (q->n_seqs > net.most_seqs) net.most_seqs = q->n_seqs;
    if (q->n_seqs > 1 && net.cancel_batches) atomic_store(&net.cancel, true);
    if (q->n_seqs > 1 && net.refuse_batches) return err_set(e, net.refuse_batches, "not together");
    return fake_forward(d, q, p, e);
}

static fake *watched(void) {
    static denoiser_ops ops;
    fake *f = fake_new(false, 64);
    ops = *f->base.ops;
    ops.forward = watched_forward;
    f->base.ops = &ops;
    net.forwards = net.most_seqs = net.refuse_batches = 0;
    net.cancel_batches = false;
    atomic_store(&net.cancel, false);
    return f;
}

/* ---- panes ---- */

typedef struct pane {
    const char *policy, *param, *value;
    bool unobserved;
} pane;

static session *open_pane(denoiser *d, const int32_t *tokens, int n, const pane *p, shared_pass *m) {
    session *s;
    err e = {0};
    session_opts o = {.prompt = tokens, .n_prompt = n, .policy = policy_find(p->policy), .seed = 3};
    o.shared = m, o.observe_tis = !p->unobserved, o.cancel = &net.cancel;
    policy_defaults(o.policy, NULL, &o.params);
    if (p->param) MUST(param_parse(&o.params, p->param, p->value, &e), &e);
    MUST(session_open(&s, d, &o, &e), &e);
    return s;
}

static const step_record *propose(session *s) {
    const step_record *r;
    err e = {0};
    MUST(session_propose(s, &r, &e), &e);
    return r;
}

static void step(session *s) {
    const step_record *r = propose(s);
    err e = {0};
    MUST(session_commit(s, r, &e), &e);
    record_unref(r);
}

/* Steps of all panes, prepared together, beside sessions of their own; returns how many passes were batches.
 */
static int64_t beside(denoiser *d, const int32_t *tokens, int n, const pane *panes, int n_panes) {
    shared_pass *m = shared_pass_new();
    session *s[MOST], *alone[MOST];
    for (int i = 0; i < n_panes; i++) {
        s[i] = open_pane(d, tokens, n, &panes[i], m);
        alone[i] = open_pane(d, tokens, n, &panes[i], NULL);
    }
    for (int k = 0; k < STEPS; k++) {
        sessions_prepare(s, n_panes);
        for (int i = 0; i < n_panes; i++) {
            sessions_prepare(s + i, n_panes - i); /* as a lane does at every pane's turn */
            const step_record *x = propose(s[i]), *y = propose(alone[i]);
            err e = {0};
            CHECK(same_record(x, y));
            MUST(session_commit(s[i], x, &e), &e);
            MUST(session_commit(alone[i], y, &e), &e);
            record_unref(x), record_unref(y);
        }
    }
    int64_t batches = shared_pass_batches(m);
    for (int i = 0; i < n_panes; i++) session_close(s[i]), session_close(alone[i]);
    shared_pass_free(m);
    return batches;
}

/* ---- equal to the bit ---- */

static const pane greedy_boe[] = {{"confidence", NULL, NULL, false}, {"boe", NULL, NULL, false}};
static const pane three[] = {
    {"left-to-right", NULL, NULL, false}, {"boe", NULL, NULL, false}, {"margin", NULL, NULL, false}};
static const pane dense[] = {{"boe", "active", "dense", false}, {"left-to-right", NULL, NULL, false}};

static void test_fake(void **state) {
    (void)state;
    fake *f = watched();
    CHECK(beside(&f->base, prompt, N, greedy_boe, 2) >= 2 && net.most_seqs == 2);
    CHECK(beside(&f->base, prompt, N, three, 3) >= 2 && net.most_seqs == 3);
    /* At the start all ask the same: one pass, and no batch. */
    shared_pass *m = shared_pass_new();
    session *s[2];
    for (int i = 0; i < 2; i++) s[i] = open_pane(&f->base, prompt, N, &greedy_boe[i], m);
    net.forwards = net.most_seqs = 0;
    sessions_prepare(s, 2);
    CHECK(net.forwards == 0);
    for (int i = 0; i < 2; i++) step(s[i]);
    CHECK(net.forwards == 1 && net.most_seqs == 1 && shared_pass_hits(m) == 1);
    step(s[0]), step(s[0]); /* ahead, by more than what is there answers */
    net.forwards = 0;
    sessions_prepare(s, 2);
    sessions_prepare(s, 2); /* is answered already */
    CHECK(net.forwards == 1 && net.most_seqs == 2);
    for (int i = 0; i < 2; i++) step(s[i]);
    CHECK(net.forwards == 1 && shared_pass_hits(m) == 1);
    for (int i = 0; i < 2; i++) session_close(s[i]);
    shared_pass_free(m);
    denoiser_close(&f->base);
}

static void check_model(const char *dir, int n_first, int n, k_precision precision) {
    denoiser_opts o = *test_device();
    denoiser *d;
    err e = {0};
    int32_t tokens[128];
    o.precision = precision;
    MUST(denoiser_load(&d, dir, &o, &e), &e);
    for (int i = 0; i < n; i++) tokens[i] = i < n_first ? 1 + i % 9 : denoiser_get_info(d)->mask_id;
    bool exact = kernels_exact_rows(d->k);
    int64_t two = beside(d, tokens, n, greedy_boe, 2), more = beside(d, tokens, n, three, 3);
    CHECK(beside(d, tokens, n, dense, 2) == 0); /* keeps another part of its pass */
    CHECK(exact ? more > 0 : two == 0 && more == 0);
    printf("session batch: %s: %s\n", dir,
           exact ? "panes ran together, equal to the bit" : "rows are not exact here: no panes ran together");
    denoiser_close(d);
}

static void test_models(void **state) {
    (void)state;
    check_model("examples/models/sudoku", 40, 90, K_PRECISION_F32);
    check_model("tests/vectors/dream", 7, 24, K_PRECISION_F32);
    check_model("tests/vectors/qwen3", 9, 33, K_PRECISION_F32);
    check_model("tests/vectors/mdlm", 9, 33, K_PRECISION_F32);
    check_model("tests/vectors/llada", 9, 33, K_PRECISION_BF16);
}

/* ---- what runs alone ---- */

/* A pane at its third state beside one at its first. */
static bool runs_together(fake *f, const pane *a, const int32_t *start, const pane *b, shared_pass *other) {
    shared_pass *m = shared_pass_new();
    session *s[2] = {open_pane(&f->base, prompt, N, a, m),
                     open_pane(&f->base, start, N, b, other ? other : m)};
    step(s[1]), step(s[1]);
    net.forwards = net.most_seqs = 0;
    sessions_prepare(s, 2);
    bool together = net.most_seqs == 2;
    CHECK(net.forwards == together);
    for (int i = 0; i < 2; i++) step(s[i]);
    for (int i = 0; i < 2; i++) session_close(s[i]);
    shared_pass_free(m);
    return together;
}

static void test_alone(void **state) {
    (void)state;
    static const pane greedy = {"confidence", NULL, NULL, false}, boe = {"boe", NULL, NULL, false},
                      guided = {"confidence", "cfg", "1", true},
                      cached = {"confidence", "kv-cache", "dual", false},
                      unseen = {"confidence", NULL, NULL, true};
    int32_t other[N];
    fake *f = watched();
    shared_pass *m = shared_pass_new();
    memcpy(other, prompt, sizeof other);
    other[1] = 3;
    CHECK(runs_together(f, &greedy, prompt, &boe, NULL));
    CHECK(runs_together(f, &unseen, prompt, &unseen, NULL));
    CHECK(!runs_together(f, &greedy, other, &boe, NULL));
    CHECK(!runs_together(f, &guided, prompt, &boe, NULL) && !runs_together(f, &boe, prompt, &guided, NULL));
    CHECK(!runs_together(f, &cached, prompt, &boe, NULL));
    CHECK(!runs_together(f, &unseen, prompt, &boe, NULL));
    CHECK(!runs_together(f, &dense[0], prompt, &boe, NULL));
    CHECK(!runs_together(f, &greedy, prompt, &boe, m));
    shared_pass_free(m);
    denoiser_close(&f->base);
}

/* ---- failing ---- */

static void test_failure(void **state) {
    (void)state;
    static const int codes[] = {ERR_NO_MEMORY, ERR_BAD_FORMAT};
    fake *f = watched();
    for (size_t i = 0; i < 2; i++) {
        net.refuse_batches = codes[i];
        CHECK(beside(&f->base, prompt, N, greedy_boe, 2) == 0 && net.most_seqs == 2);
    }
    denoiser_close(&f->base);
}

/* A batch that is cancelled is given up; so are proposals while the flag is up, and then each runs by itself.
 */
static void test_cancel(void **state) {
    (void)state;
    fake *f = watched();
    shared_pass *m = shared_pass_new();
    session *s[2];
    const step_record *r;
    err e = {0};
    for (int i = 0; i < 2; i++) s[i] = open_pane(&f->base, prompt, N, &greedy_boe[i], m);
    step(s[0]), step(s[0]);
    net.forwards = 0, net.cancel_batches = true;
    sessions_prepare(s, 2);
    for (int i = 0; i < 2; i++) CHECK(session_propose(s[i], &r, &e) == ERR_CANCELLED && !r);
    CHECK(shared_pass_batches(m) == 0 && session_step_index(s[0]) == 2 && session_step_index(s[1]) == 0);
    atomic_store(&net.cancel, false);
    net.most_seqs = 0;
    for (int i = 0; i < 2; i++) step(s[i]);
    CHECK(net.most_seqs == 1);
    /* Read twice while up: a part that is there is not handed out either. */
    net.cancel_batches = false;
    sessions_prepare(s, 2);
    atomic_store(&net.cancel, true);
    CHECK(session_propose(s[1], &r, &e) == ERR_CANCELLED && !r);
    atomic_store(&net.cancel, false);
    for (int i = 0; i < 2; i++) step(s[i]);
    CHECK(shared_pass_batches(m) == 1);
    for (int i = 0; i < 2; i++) session_close(s[i]);
    shared_pass_free(m);
    denoiser_close(&f->base);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fake), cmocka_unit_test(test_models),
                                       cmocka_unit_test(test_alone), cmocka_unit_test(test_failure),
                                       cmocka_unit_test(test_cancel)};
    return finish("session batch", cmocka_run_group_tests(tests, NULL, NULL));
}
