/* test_shared_pass.c - sessions that share their pass decode to the bit as sessions that do not, and run the
 * network once where they ask it the same. */
#include "checks.h"
#include "device.h"

#include <string.h>

#include "engine/engine.h"
#include "fake_denoiser.h"
#include "same_record.h"

enum { N = 12, STEPS = 6 };

static const int32_t prompt[N] = {8, 2, 8, 8, 5, 8, 8, 0, 8, 8, 1, 8};

/* ---- sessions ---- */

static session *open_with(denoiser *d, const int32_t *tokens, int n, const char *name, const char *cfg,
                          shared_pass *m, const atomic_bool *cancel) {
    session *s;
    err e = {0};
    session_opts o = {.prompt = tokens, .n_prompt = n, .policy = policy_find(name), .seed = 3};
    o.shared = m, o.cancel = cancel, o.observe_tis = !cfg;
    policy_defaults(o.policy, NULL, &o.params);
    if (cfg) MUST(param_parse(&o.params, "cfg", cfg, &e), &e);
    MUST(session_open(&s, d, &o, &e), &e);
    return s;
}

static session *open_fake(denoiser *d, const char *name, shared_pass *m) {
    return open_with(d, prompt, N, name, NULL, m, NULL);
}

static const step_record *propose(session *s) {
    const step_record *r;
    err e = {0};
    MUST(session_propose(s, &r, &e), &e);
    return r;
}

static void commit(session *s, const step_record *r) {
    err e = {0};
    MUST(session_commit(s, r, &e), &e);
}

static void step(session *s) {
    const step_record *r = propose(s);
    commit(s, r);
    record_unref(r);
}

/* Panes of these policies, step by step, beside sessions of their own; returns the network's runs that
 * sharing saved. */
static int64_t beside(denoiser *d, const int32_t *tokens, int n, const char *const *names, const char *cfg) {
    shared_pass *m = shared_pass_new();
    session *pane[2], *alone[2];
    for (int i = 0; i < 2; i++) {
        pane[i] = open_with(d, tokens, n, names[i], cfg, m, NULL);
        alone[i] = open_with(d, tokens, n, names[i], cfg, NULL, NULL);
    }
    for (int k = 0; k < STEPS; k++) {
        for (int i = 0; i < 2; i++) {
            const step_record *x = propose(pane[i]), *y = propose(alone[i]);
            CHECK(same_record(x, y));
            commit(pane[i], x);
            commit(alone[i], y);
            record_unref(x), record_unref(y);
        }
    }
    int64_t hits = shared_pass_hits(m);
    for (int i = 0; i < 2; i++) session_close(pane[i]), session_close(alone[i]);
    shared_pass_free(m);
    return hits;
}

static void check_model(const char *dir, int n_first, int n, k_precision precision) {
    static const char *const greedy_boe[] = {"confidence", "boe"}, *const twice[] = {"margin", "margin"},
                             *const probing[] = {"boe-mid", "lookum"};
    denoiser_opts o = *test_device();
    denoiser *d;
    err e = {0};
    int32_t tokens[128];
    o.precision = precision;
    MUST(denoiser_load(&d, dir, &o, &e), &e);
    for (int i = 0; i < n; i++) tokens[i] = i < n_first ? 1 + i % 9 : denoiser_get_info(d)->mask_id;
    CHECK(beside(d, tokens, n, greedy_boe, NULL) >= 1); /* at least the start is the same */
    CHECK(beside(d, tokens, n, twice, NULL) == STEPS);
    beside(d, tokens, n, probing, NULL); /* run forwards and keep rows of their own */
    if (precision == K_PRECISION_F32) CHECK(beside(d, tokens, n, twice, "1.5") == STEPS);
    denoiser_close(d);
}

static void test_models(void **state) {
    (void)state;
    check_model("examples/models/sudoku", 40, 90, K_PRECISION_F32);
    check_model("tests/vectors/dream", 7, 24, K_PRECISION_F32);
    check_model("tests/vectors/llada", 9, 33, K_PRECISION_BF16);
}

/* ---- what is asked for anew ---- */

/* The same canvas, but another question of it: each runs by itself. */
static void test_other_questions(void **state) {
    (void)state;
    fake *f = fake_new(false, 64);
    shared_pass *m = shared_pass_new();
    session *s[5] = {open_fake(&f->base, "confidence", m),
                     open_with(&f->base, prompt + 1, N - 1, "boe", NULL, m, NULL),
                     open_with(&f->base, prompt, N, "confidence", "1", m, NULL),
                     open_with(&f->base, prompt, N, "confidence", "2", m, NULL),
                     open_with(&f->base, prompt, N - 1, "confidence", NULL, m, NULL)};
    for (int i = 0; i < 5; i++) record_unref(propose(s[i]));
    CHECK(shared_pass_hits(m) == 0);
    for (int i = 0; i < 5; i++) session_close(s[i]);
    shared_pass_free(m);
    denoiser_close(&f->base);
}

/* A pane that is ahead finds nothing to read, and the other goes its way. */
static void test_ahead(void **state) {
    (void)state;
    fake *f = fake_new(false, 64);
    shared_pass *m = shared_pass_new();
    session *a = open_fake(&f->base, "confidence", m), *b = open_fake(&f->base, "confidence", m);
    session *alone = open_fake(&f->base, "confidence", NULL);
    step(a), step(a);
    for (int k = 0; k < STEPS - 2; k++) {
        const step_record *x = propose(a), *y = propose(b), *z = propose(alone);
        CHECK(y->n_masked == x->n_masked + 2 && same_record(y, z));
        commit(a, x), commit(b, y), commit(alone, z);
        record_unref(x), record_unref(y), record_unref(z);
    }
    CHECK(shared_pass_hits(m) == 0);
    session_close(a), session_close(b), session_close(alone);
    shared_pass_free(m);
    denoiser_close(&f->base);
}

/* ---- failing ---- */

/* A cancelled pass is nobody's; a cancelled reader gets none, and both go on afterwards. */
static void test_cancel(void **state) {
    (void)state;
    atomic_bool cancel = true;
    fake *f = fake_new(false, 64);
    shared_pass *m = shared_pass_new();
    session *a = open_with(&f->base, prompt, N, "confidence", NULL, m, &cancel);
    session *b = open_with(&f->base, prompt, N, "boe", NULL, m, &cancel);
    const step_record *r;
    err e = {0};
    CHECK(session_propose(a, &r, &e) == ERR_CANCELLED && !r);
    CHECK(session_propose(b, &r, &e) == ERR_CANCELLED && !r && f->base.n_forwards == 0);
    atomic_store(&cancel, false);
    record_unref(propose(a));
    atomic_store(&cancel, true);
    CHECK(session_propose(b, &r, &e) == ERR_CANCELLED && !r);
    atomic_store(&cancel, false);
    record_unref(propose(b));
    CHECK(f->base.n_forwards == 1 && shared_pass_hits(m) == 1);
    session_close(a), session_close(b);
    shared_pass_free(m);
    denoiser_close(&f->base);
}

/* Gradients that are not numbers end the step of the policy that ranks by them, and not the other's. */
static void test_error_in_one(void **state) {
    (void)state;
    fake *f = fake_new(false, 64);
    shared_pass *m = shared_pass_new();
    session *boe = open_fake(&f->base, "boe", m);
    session *greedy = open_with(&f->base, prompt, N, "confidence", NULL, m, NULL);
    session_close(greedy); /* the pass stays for the others */
    greedy = open_fake(&f->base, "confidence", m);
    const step_record *r = propose(boe);
    f->poison = r->cand[0];
    record_unref(r);
    err e = {0};
    CHECK(session_propose(boe, &r, &e) && !r && e.msg[0]);
    f->poison = -1;
    record_unref(propose(greedy));
    record_unref(propose(boe));
    CHECK(f->base.n_forwards == 1);
    session_close(boe), session_close(greedy);
    shared_pass_free(m);
    denoiser_close(&f->base);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_models), cmocka_unit_test(test_other_questions), cmocka_unit_test(test_ahead),
        cmocka_unit_test(test_cancel), cmocka_unit_test(test_error_in_one),
    };
    return finish("shared pass", cmocka_run_group_tests(tests, NULL, NULL));
}
