/* test_batches.c - candidates of a truth check and LookUM's paths go through the network in batches. */
#include "checks.h"

#include <string.h>

#include "engine/engine.h"
#include "fake_denoiser.h"

enum { N = 12 };

static const int32_t prompt[N] = {8, 2, 8, 8, 5, 8, 8, 0, 8, 8, 1, 8};

static int n_calls, n_seqs; /* of forward, and sequences in them */

static int counting(denoiser *d, const forward_req *q, pass *p, err *e) {
    n_calls++;
    n_seqs += q->n_seqs;
    return fake_forward(d, q, p, e);
}

static fake *counting_new(void) {
    static denoiser_ops ops;
    fake *f = fake_new(false, 64);
    ops = *f->base.ops;
    ops.forward = counting;
    f->base.ops = &ops;
    n_calls = n_seqs = 0;
    return f;
}

static session *open_session(denoiser *d, const char *name, const char *param, const char *value) {
    session *s;
    err e = {0};
    session_opts o = {.prompt = prompt, .n_prompt = N, .policy = policy_find(name), .seed = 3};
    policy_defaults(o.policy, NULL, &o.params);
    if (param) MUST(param_parse(&o.params, param, value, &e), &e);
    MUST(session_open(&s, d, &o, &e), &e);
    return s;
}

/* A step is a pass over the state and one over all paths. */
static void test_lookum(void **state) {
    (void)state;
    enum { PATHS = 4 };
    fake *f = counting_new();
    session *s = open_session(&f->base, "lookum", "paths", "4");
    const step_record *r;
    err e = {0};
    MUST(session_propose(s, &r, &e), &e);
    CHECK(n_calls == 2 && n_seqs == 1 + PATHS && near(r->nfe, 1 + PATHS, 0));
    record_unref(r);
    session_close(s);
    denoiser_close(&f->base);
}

/* All points of all candidates' paths in one batch, and all tokens of a candidate in one. */
static void test_truth(void **state) {
    (void)state;
    enum { POINTS = 4 };
    fake *f = counting_new();
    session *s = open_session(&f->base, "boe", NULL, NULL);
    const inspection *x;
    err e = {0};
    MUST(session_inspect(s, &(inspect_req){.kind = INSPECT_TRUTH}, &x, &e), &e);
    int n = x->truth.n;
    CHECK(n > 1 && n_calls == 2 + n);
    CHECK(n_seqs == 1 + n * (POINTS + FAKE_V - 1) && near(x->forwards, n_seqs, 0));
    inspection_unref(x);
    session_close(s);
    denoiser_close(&f->base);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lookum), cmocka_unit_test(test_truth)};
    return finish("batches", cmocka_run_group_tests(tests, NULL, NULL));
}
