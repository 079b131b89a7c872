/* test_trajectory.c - states, lookups and comparisons of trajectories built by hand. */
#include "checks.h"

#include <string.h>

#include "engine/trajectory.h"

enum { N = 6, MASK = 9 };

static const int32_t start[N] = {1, 9, 9, 9, 9, 2};

static const char *no_text(const void *ctx, int32_t id, size_t *len, bool *special) {
    (void)ctx, (void)id;
    *len = 0;
    *special = false;
    return NULL;
}

static void open_trajectory(trajectory *t, const int32_t *tokens, int n) {
    traj_header h = {.policy = "confidence",
                     .n_vocab = 10,
                     .mask_id = MASK,
                     .eos_id = -1,
                     .n_prompt = 1,
                     .n_tokens = n,
                     .start = tokens};
    err e = {0};
    MUST(trajectory_init(t, &h, (token_texts){no_text, NULL}, &e), &e);
}

/* A record of the given writes, as pos, token pairs. */
static step_record *make(int step, step_kind kind, int n, const int *pairs) {
    step_record *r = record_new();
    step_write *w = arena_new(&r->mem, (size_t)n, sizeof *w);
    assert_non_null(w);
    for (int i = 0; i < n; i++) w[i] = (step_write){.pos = pairs[2 * i], .token = pairs[2 * i + 1]};
    r->step = step;
    r->kind = kind;
    r->n_writes = n;
    r->writes = w;
    r->nfe = 1.5;
    r->backward_rows = 7;
    r->ms = 2;
    return r;
}

static int append(trajectory *t, step_kind kind, int n, const int *pairs, err *e) {
    step_record *r = make(t->n_records, kind, n, pairs);
    int rc = trajectory_append(t, r, e);
    record_unref(r);
    return rc;
}

#define APPEND(t, kind, ...)                                                                                 \
    do {                                                                                                     \
        err e_ = {0};                                                                                        \
        const int pairs_[] = {__VA_ARGS__};                                                                  \
        MUST(append((t), (kind), (int)(sizeof pairs_ / sizeof *pairs_ / 2), pairs_, &e_), &e_);              \
    } while (0)

/* Totals of a file with absurd numbers stay in their range. */
static void test_huge_totals(void **state) {
    (void)state;
    trajectory t;
    err e = {0};
    open_trajectory(&t, start, N);
    for (int k = 0; k < 3; k++) {
        step_record *r = make(k, STEP_DECODE, 1, (int[]){1 + k, 3});
        r->backward_rows = INT64_MAX / 2;
        MUST(trajectory_append(&t, r, &e), &e);
        record_unref(r);
    }
    CHECK(trajectory_totals(&t, 1).backward_rows == INT64_MAX / 2);
    CHECK(trajectory_totals(&t, 3).backward_rows == INT64_MAX);
    trajectory_release(&t);
}

static void expect_state(const trajectory *t, int n, const int32_t *want) {
    int32_t got[N];
    trajectory_state(t, n, got);
    CHECK(memcmp(got, want, sizeof got) == 0);
}

static void expect_written(const trajectory *t, int n, int pos, int step, int rank) {
    int got = -5;
    CHECK(trajectory_written_at(t, n, pos, &got) == step);
    if (step >= 0) CHECK(got == rank);
    CHECK(trajectory_written_at(t, n, pos, NULL) == step);
}

static void test_states(void **state) {
    (void)state;
    trajectory t;
    open_trajectory(&t, start, N);
    CHECK(!t.complete && t.head.start != start);
    APPEND(&t, STEP_DECODE, 3, 5, 1, 4);
    APPEND(&t, STEP_FORCE, 3, 6, 2, 7);
    APPEND(&t, STEP_REMASK, 1, 9, 5, 9);
    CHECK(!t.complete && t.n_records == 3);
    expect_state(&t, 0, start);
    expect_state(&t, 1, (int32_t[]){1, 4, 9, 5, 9, 2});
    expect_state(&t, 2, (int32_t[]){1, 4, 7, 6, 9, 2});
    expect_state(&t, 3, (int32_t[]){1, 9, 7, 6, 9, 9});
    CHECK(memcmp(t.last, (int32_t[]){1, 9, 7, 6, 9, 9}, sizeof start) == 0);
    expect_written(&t, 0, 3, -1, 0);
    expect_written(&t, 1, 3, 0, 0);
    expect_written(&t, 1, 1, 0, 1);
    expect_written(&t, 2, 3, 1, 0);
    expect_written(&t, 2, 1, 0, 1);
    expect_written(&t, 3, 1, -1, 0); /* put back */
    expect_written(&t, 3, 0, -1, 0); /* prompt */
    traj_totals sum = trajectory_totals(&t, 2);
    CHECK(near(sum.nfe, 3, 0) && sum.backward_rows == 14 && near(sum.ms, 4, 0) && sum.n_written == 4);
    CHECK(trajectory_totals(&t, 0).n_written == 0 && trajectory_totals(&t, 99).n_written == 6);
    APPEND(&t, STEP_DECODE, 1, 3, 4, 3, 5, 3);
    CHECK(t.complete);
    trajectory_release(&t);
    trajectory_release(&t);
}

static void test_pending(void **state) {
    (void)state;
    trajectory t;
    open_trajectory(&t, start, N);
    CHECK(trajectory_record_at(&t, 0) == NULL);
    step_record *a = make(0, STEP_DECODE, 1, (int[]){1, 3});
    trajectory_set_pending(&t, a);
    CHECK(trajectory_record_at(&t, 0) == a && trajectory_record_at(&t, 1) == NULL && a->refs == 2);
    trajectory_set_pending(&t, a);
    CHECK(a->refs == 2);
    err e = {0};
    MUST(trajectory_append(&t, a, &e), &e);
    CHECK(t.pending == NULL && a->refs == 2 && trajectory_record_at(&t, 0) == a);
    CHECK(trajectory_record_at(&t, 1) == NULL && trajectory_record_at(&t, -1) == NULL);
    trajectory_release(&t);
    CHECK(a->refs == 1);
    record_unref(a);
    record_unref(NULL);
}

static void test_bad_records(void **state) {
    (void)state;
    static const struct {
        int step;
        int kind, pos, token;
        const char *says;
    } bad[] = {
        {1, STEP_DECODE, 1, 3, "step 0 was expected"},
        {-1, STEP_DECODE, 1, 3, "step 0 was expected"},
        {0, N_STEP_KINDS, 1, 3, "unknown kind"},
        {0, -1, 1, 3, "unknown kind"},
        {0, STEP_DECODE, N, 3, "position 6, which is past the end (6)"},
        {0, STEP_DECODE, -1, 3, "past the end"},
        {0, STEP_DECODE, 1, 10, "outside the vocabulary of 10"},
        {0, STEP_DECODE, 1, -1, "outside the vocabulary"},
        {0, STEP_DECODE, 1, MASK, "puts back position 1, which is masked"},
        {0, STEP_FORCE, 1, MASK, "writes the mask"},
        {0, STEP_REMASK, 1, 3, "writes a token"},
    };
    trajectory t;
    open_trajectory(&t, start, N);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        err e = {0};
        step_record *r = make(bad[i].step, (step_kind)bad[i].kind, 2,
                              (int[]){2, bad[i].kind == STEP_REMASK ? MASK : 4, bad[i].pos, bad[i].token});
        int rc = trajectory_append(&t, r, &e);
        if (!CHECK(rc == ERR_BAD_FORMAT && strstr(e.msg, bad[i].says))) print_error("got: %s\n", e.msg);
        CHECK(t.n_records == 0 && memcmp(t.last, start, sizeof start) == 0);
        record_unref(r);
    }
    trajectory_release(&t);
}

/* A decode step may write one position and put another back. */
static void test_put_back(void **state) {
    (void)state;
    trajectory t;
    int32_t tokens[N];
    open_trajectory(&t, start, N);
    APPEND(&t, STEP_DECODE, 1, 3, 2, 4);
    APPEND(&t, STEP_DECODE, 4, 5, 1, MASK);
    APPEND(&t, STEP_DECODE, 1, 6);
    trajectory_state(&t, 2, tokens);
    CHECK(tokens[1] == MASK && tokens[2] == 4 && tokens[4] == 5);
    CHECK(trajectory_written_at(&t, 1, 1, NULL) == 0 && trajectory_written_at(&t, 2, 1, NULL) == -1);
    CHECK(trajectory_written_at(&t, 3, 1, NULL) == 2 && t.last[1] == 6);
    trajectory_release(&t);
}

static void test_comparison(void **state) {
    (void)state;
    trajectory a, b;
    int pos = 7;
    open_trajectory(&a, start, N);
    open_trajectory(&b, start, N);
    CHECK(trajectory_divergence(&a, &b, &pos) == -1 && trajectory_first_difference(&a, &b) == -1);
    APPEND(&a, STEP_DECODE, 1, 3, 2, 4);
    APPEND(&b, STEP_DECODE, 2, 4, 1, 3); /* the other order, the same state */
    CHECK(trajectory_divergence(&a, &b, &pos) == -1 && trajectory_first_difference(&a, &b) == 0);
    APPEND(&a, STEP_DECODE, 4, 5);
    CHECK(trajectory_divergence(&a, &b, NULL) == -1); /* common states only */
    APPEND(&b, STEP_DECODE, 3, 5);
    CHECK(trajectory_divergence(&a, &b, &pos) == 2 && pos == 3);
    CHECK(trajectory_divergence(&b, &a, &pos) == 2 && pos == 3);
    CHECK(trajectory_divergence(&a, &a, &pos) == -1 && pos == -1);
    trajectory_release(&b);
    open_trajectory(&b, start, N);
    APPEND(&b, STEP_DECODE, 1, 3, 2, 4);
    CHECK(trajectory_divergence(&a, &b, NULL) == -1 && trajectory_first_difference(&a, &b) == -1);
    APPEND(&b, STEP_DECODE, 4, 6);
    CHECK(trajectory_divergence(&a, &b, &pos) == 2 && pos == 4 && trajectory_first_difference(&a, &b) == 1);
    trajectory_release(&b);
    open_trajectory(&b, (int32_t[]){1, 9, 9, 9, 9, 3}, N);
    CHECK(trajectory_divergence(&a, &b, &pos) == 0 && pos == 5);
    trajectory_release(&b);
    open_trajectory(&b, start, N - 1);
    CHECK(trajectory_divergence(&a, &b, &pos) == 0 && pos == N - 1);
    trajectory_release(&b);
    trajectory_release(&a);
}

static void test_record_lookups(void **state) {
    (void)state;
    static const int masked[] = {1, 3, 4}, cand[] = {3, 4}, seen[] = {1};
    static const double tis[] = {0.5, -0.25}, observed[] = {2};
    step_record *r = record_new();
    double x = 77;
    r->n_masked = 3;
    r->masked = masked;
    CHECK(record_masked_index(r, 1) == 0 && record_masked_index(r, 4) == 2);
    CHECK(record_masked_index(r, 0) == -1 && record_masked_index(r, 2) == -1 &&
          record_masked_index(r, 5) == -1);
    CHECK(record_cand_index(r, 3) == -1 && !record_tis_at(r, 3, &x));
    r->n_cand = 2;
    r->cand = cand;
    CHECK(record_cand_index(r, 4) == 1 && !record_tis_at(r, 3, &x) && near(x, 77, 0));
    r->n_observed = 1;
    r->observed = seen;
    r->observed_tis = observed;
    CHECK(record_tis_at(r, 1, &x) && near(x, 2, 0) && !record_tis_at(r, 4, &x));
    r->tis = tis;
    CHECK(record_tis_at(r, 4, &x) && near(x, -0.25, 0));
    CHECK(strcmp(step_kind_name(STEP_REMASK), "remask") == 0 &&
          strcmp(step_kind_name(STEP_DECODE), "decode") == 0);
    record_unref(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_states),        cmocka_unit_test(test_huge_totals),
        cmocka_unit_test(test_pending),       cmocka_unit_test(test_bad_records),
        cmocka_unit_test(test_put_back),      cmocka_unit_test(test_comparison),
        cmocka_unit_test(test_record_lookups)};
    return finish("trajectory", cmocka_run_group_tests(tests, NULL, NULL));
}
