/* test_kept_rows.c - a pass that keeps only the rows between its masks gives the numbers of one that keeps
 * all. */
#include "tests/unit/checks.h"

#include <string.h>

#include "tests/unit/device.h"

enum { N = 48, FIRST = 21, LAST = 37, MOST_D = 256 };

static const char *const dirs[] = {"tests/vectors/llada", "tests/vectors/dream", "tests/vectors/qwen3"};

typedef struct bench {
    denoiser *d;
    int32_t tokens[N];
    sequence seq;
    row_ref rows[N];
    int masked[N], n;
    pass *whole, *part;
} bench;

static void open_bench(bench *b, const char *dir) {
    err e = {0};
    *b = (bench){0};
    MUST(denoiser_load(&b->d, dir, test_device(), &e), &e);
    const denoiser_info *info = denoiser_get_info(b->d);
    for (int i = 0; i < N; i++) {
        bool mask = i >= FIRST && i <= LAST && i % 3 == 0;
        b->tokens[i] = mask || i == LAST ? info->mask_id : i % 17;
        if (b->tokens[i] == info->mask_id) b->masked[b->n++] = i;
    }
    b->seq = (sequence){b->tokens, N};
    for (int i = 0; i < b->n; i++) b->rows[i] = (row_ref){0, b->masked[i]};
    forward_req q = {.seqs = &b->seq, .n_seqs = 1, .rows = b->rows, .n_rows = b->n, .keep = true};
    b->whole = pass_new(), b->part = pass_new();
    MUST(denoiser_forward(b->d, &q, b->whole, &e), &e);
    q.keep_asked = true;
    MUST(denoiser_forward(b->d, &q, b->part, &e), &e);
}

static void close_bench(bench *b) {
    pass_free(b->whole);
    pass_free(b->part);
    denoiser_close(b->d);
}

/* Largest difference over the largest value. */
static double distance(const float *x, const float *y, size_t n) {
    double most = 0, apart = 0;
    for (size_t i = 0; i < n; i++) {
        if (isinf(x[i]) && isinf(y[i])) continue;
        most = fmax(most, fabs((double)x[i])), apart = fmax(apart, fabs((double)x[i] - (double)y[i]));
    }
    return apart / most;
}

/* Gradients at all masks through the masks and the rows that predict them. */
static int gradients(const bench *b, const pass *p, float *g, err *e) {
    int active[2 * N], n = 0;
    float weights[N];
    for (int i = 0; i < b->n; i++) weights[i] = 1;
    for (int pos = 0; pos < N; pos++) {
        bool wanted = false;
        for (int i = 0; i < b->n; i++)
            wanted |= b->masked[i] == pos || denoiser_emit(b->d, b->masked[i]) == pos;
        if (wanted) active[n++] = pos;
    }
    backward_req q = {.n_seeds = 1, .weights = weights, .active = active, .n_active = n};
    q.wrt = b->masked, q.n_wrt = b->n;
    return denoiser_backward(b->d, p, &q, g, NULL, e);
}

static void test_same_numbers(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++) {
        bench b;
        err e = {0};
        float whole[N * MOST_D], part[N * MOST_D];
        open_bench(&b, dirs[i]);
        const denoiser_info *info = denoiser_get_info(b.d);
        assert_true(info->d_model <= MOST_D);
        for (int r = 0; r < b.n; r++)
            CHECK(fabs(pass_stats(b.whole, r)->entropy - pass_stats(b.part, r)->entropy) < 1e-5);
        CHECK(gradients(&b, b.whole, whole, &e) == 0 && gradients(&b, b.part, part, &e) == 0);
        CHECK(distance(whole, part, (size_t)b.n * (size_t)info->d_model) < 2e-5);
        close_bench(&b);
    }
}

static void test_refused(void **state) {
    (void)state;
    bench b;
    err e = {0};
    float g[N * MOST_D], weights[N] = {1};
    open_bench(&b, dirs[0]);
    int outside[] = {3, FIRST};
    backward_req q = {
        .n_seeds = 1, .weights = weights, .active = outside, .n_active = 2, .wrt = outside + 1, .n_wrt = 1};
    CHECK(denoiser_backward(b.d, b.part, &q, g, NULL, &e) == ERR_BAD_ARGUMENT);
    CHECK(strstr(e.msg, "active row 3 was not kept"));
    q.active = NULL;
    CHECK(denoiser_backward(b.d, b.part, &q, g, NULL, &e) == ERR_BAD_ARGUMENT);
    CHECK(denoiser_backward(b.d, b.whole, &q, g, NULL, &e) == 0);
    close_bench(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_numbers), cmocka_unit_test(test_refused)};
    return finish("kept rows", cmocka_run_group_tests(tests, NULL, NULL));
}
