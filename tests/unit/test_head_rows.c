/* test_head_rows.c - a pass that stores no logits gives the numbers of one that does. */
#include "tests/unit/checks.h"

#include <string.h>

#include "engine/denoiser_impl.h"
#include "engine/synthetic.h"
#include "tests/unit/device.h"

enum { N = 30, FIRST = 9, MASKS = N - FIRST, D = 48, V = 4999 };

/* The same state once with logits and once without. */
typedef struct bench {
    denoiser *d;
    int32_t tokens[N];
    sequence seq;
    row_ref rows[MASKS];
    pass *with, *without;
} bench;

static void forward(bench *b, const forward_req *q, pass *p, bool spare) {
    err e = {0};
    b->d->spares_logits = spare;
    MUST(denoiser_forward(b->d, q, p, &e), &e);
    CHECK((p->logits == NULL) == (spare && !q->whole_rows));
}

static void open_bench(bench *b, bool shifted) {
    synthetic_shape shape = {.name = "head rows",
                             .d = D,
                             .L = 2,
                             .H = 4,
                             .KV = 2,
                             .f = 64,
                             .V = V,
                             .max_len = 64,
                             .theta = 1e4,
                             .eps = 1e-5,
                             .shifted = shifted,
                             .dtype = K_F32,
                             .seed = 5};
    err e = {0};
    *b = (bench){.with = pass_new(), .without = pass_new()};
    MUST(denoiser_synthetic(&b->d, &shape, test_device(), &e), &e);
    for (int i = 0; i < N; i++) b->tokens[i] = i < FIRST ? 7 * i : b->d->info.mask_id;
    if (shifted) b->tokens[0] = b->tokens[1] = b->d->info.mask_id; /* two positions read one row */
    b->seq = (sequence){b->tokens, N};
    for (int i = 0; i < MASKS; i++) b->rows[i] = (row_ref){0, shifted && i < 2 ? i : FIRST + i};
    forward_req q = {.seqs = &b->seq, .n_seqs = 1, .rows = b->rows, .n_rows = MASKS, .keep = true};
    forward(b, &q, b->without, true);
    q.whole_rows = true;
    forward(b, &q, b->with, false);
}

static void close_bench(bench *b) {
    pass_free(b->with);
    pass_free(b->without);
    denoiser_close(b->d);
}

static void close_floats(const float *got, const float *want, size_t n, double tol, const char *what) {
    double most = 0, apart = 0;
    for (size_t i = 0; i < n; i++) {
        most = fmax(most, fabs((double)want[i]));
        apart = fmax(apart, fabs((double)got[i] - (double)want[i]));
    }
    if (!CHECK(most > 0 && apart <= tol * most)) print_error("%s: %g of %g apart\n", what, apart, most);
}

static bool equal(double a, double b) {
    return a <= b && a >= b;
}

static bool equal_stats(const k_row_stats *a, const k_row_stats *b) {
    return equal(a->lse, b->lse) && equal(a->entropy, b->entropy) && equal(a->confidence, b->confidence) &&
           equal(a->margin, b->margin) && a->argmax == b->argmax;
}

static void test_statistics(void **state) {
    (void)state;
    for (int shifted = 0; shifted < 2; shifted++) {
        bench b;
        open_bench(&b, shifted);
        for (int r = 0; r < MASKS; r++) {
            int32_t ids[2][K_TOP];
            double probs[2][K_TOP];
            CHECK(equal_stats(pass_stats(b.with, r), pass_stats(b.without, r)));
            CHECK(pass_top(b.with, r, K_TOP, ids[0], probs[0]) == K_TOP);
            CHECK(pass_top(b.without, r, K_TOP, ids[1], probs[1]) == K_TOP);
            CHECK(!memcmp(ids[0], ids[1], sizeof ids[0]));
            for (int i = 0; i < K_TOP; i++) CHECK(equal(probs[0][i], probs[1][i]));
        }
        close_bench(&b);
    }
}

static void check_row(const bench *b, const pass *p, int row, int from) {
    const float *got = pass_logits(p, row), *want = pass_logits(b->with, from);
    int mask = b->d->info.mask_id;
    CHECK(isinf(got[mask]) && got[mask] < 0 && isinf(want[mask]) && want[mask] < 0);
    bool same = true;
    for (int v = 0; v < V; v++) same = same && equal((double)got[v], (double)want[v]);
    CHECK(same || !kernels_exact_rows(b->d->k));
    close_floats(got, want, (size_t)mask, 1e-5, "logits");
}

/* Some rows, some of them again, then all. */
static void test_reading(void **state) {
    (void)state;
    static const int some[] = {5, 3, 5, 11}, more[] = {3, 4};
    for (int shifted = 0; shifted < 2; shifted++) {
        bench b;
        err e = {0};
        open_bench(&b, shifted);
        MUST(pass_read(b.with, NULL, 0, &e), &e);
        CHECK(b.with->host_logits == NULL);
        MUST(pass_read(b.without, some, 4, &e), &e);
        CHECK(b.without->n_read == 3);
        for (int i = 0; i < 4; i++) check_row(&b, b.without, some[i], some[i]);
        MUST(pass_read(b.without, more, 2, &e), &e);
        CHECK(b.without->n_read == 4);
        check_row(&b, b.without, 4, 4);
        check_row(&b, b.without, 11, 11);
        MUST(pass_read(b.without, NULL, 0, &e), &e);
        CHECK(b.without->n_read == b.without->n_unique && b.without->n_unique == MASKS - shifted);
        for (int r = 0; r < MASKS; r++) check_row(&b, b.without, r, r);
        close_bench(&b);
    }
}

static void test_gradients(void **state) {
    (void)state;
    bench b;
    err e = {0};
    open_bench(&b, false);
    static float with[2 * 4 * D], without[2 * 4 * D];
    float weights[2 * MASKS];
    int active[] = {FIRST + 1, FIRST + 2, FIRST + 6, FIRST + 9, N - 1}, rows[] = {1, 2, 6, MASKS - 1};
    k_counts a = {0}, c = {0};
    for (int i = 0; i < 2 * MASKS; i++) weights[i] = (float)(1 + i % 3);
    backward_req q = {.n_seeds = 2, .weights = weights, .active = active, .n_active = 5, .wrt = active};
    q.n_wrt = 4;
    MUST(denoiser_backward(b.d, b.with, &q, with, &a, &e), &e);
    MUST(denoiser_backward(b.d, b.without, &q, without, &c, &e), &e);
    CHECK(!memcmp(&a, &c, sizeof a) && a.head_calls == 1 && a.head_rows == 5);
    close_floats(without, with, sizeof with / sizeof *with, 1e-5, "gradients");
    MUST(denoiser_soft_write(b.d, b.with, rows, 4, with, &e), &e);
    MUST(denoiser_soft_write(b.d, b.without, rows, 4, without, &e), &e);
    close_floats(without, with, (size_t)4 * D, 1e-5, "soft writes");
    close_bench(&b);
}

/* A pass over one that stores nothing, and stores nothing itself: rows are read where they were computed. */
static void test_over(void **state) {
    (void)state;
    static const int computed[] = {FIRST, FIRST + 1, FIRST + 4};
    bench b;
    err e = {0};
    open_bench(&b, false);
    pass *p = pass_new();
    forward_req q = {.seqs = &b.seq, .n_seqs = 1, .rows = b.rows, .n_rows = MASKS, .over = b.without};
    q.recompute = computed, q.n_recompute = 3;
    forward(&b, &q, p, true);
    MUST(pass_read(p, NULL, 0, &e), &e);
    CHECK(p->n_read == 3 && b.without->n_read == MASKS - 3);
    for (int r = 0; r < MASKS; r++) { /* the same tokens, so the same logits */
        close_floats(pass_logits(p, r), pass_logits(b.with, r), V - 1, 1e-4, "logits over a pass");
        CHECK(fabs(pass_stats(p, r)->entropy - pass_stats(b.with, r)->entropy) < 1e-4);
    }
    pass_free(p);
    close_bench(&b);
}

/* Passes that nobody keeps store nothing; guidance needs what they would. */
static void test_not_kept(void **state) {
    (void)state;
    bench b;
    err e = {0};
    open_bench(&b, false);
    pass *p = pass_new();
    sequence two[] = {b.seq, b.seq};
    row_ref rows[] = {{0, FIRST}, {0, N - 1}, {1, FIRST}, {1, N - 1}};
    forward_req q = {.seqs = two, .n_seqs = 2, .rows = rows, .n_rows = 4};
    b.d->spares_logits = false;
    MUST(denoiser_forward(b.d, &q, p, &e), &e);
    CHECK(p->logits == NULL && pass_guide(p, 1, &e) == ERR_BAD_ARGUMENT);
    q.keep = true;
    MUST(denoiser_forward(b.d, &q, p, &e), &e);
    CHECK(p->logits != NULL);
    q.keep = false, q.whole_rows = true;
    MUST(denoiser_forward(b.d, &q, p, &e), &e);
    MUST(pass_guide(p, 1, &e), &e);
    CHECK(pass_n_rows(p) == 2);
    /* of a sequence and itself it is that */
    close_floats(pass_logits(p, 0), pass_logits(b.with, 0), V - 1, 1e-5, "guided");
    close_floats(pass_logits(p, 1), pass_logits(b.with, MASKS - 1), V - 1, 1e-5, "guided");
    pass_free(p);
    close_bench(&b);
}

int main(void) {
    if (getenv("TABES_DEVICE") && strcmp(getenv("TABES_DEVICE"), "cpu") != 0) return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_statistics), cmocka_unit_test(test_reading),  cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_over),       cmocka_unit_test(test_not_kept),
    };
    return finish("head rows", cmocka_run_group_tests(tests, NULL, NULL));
}
