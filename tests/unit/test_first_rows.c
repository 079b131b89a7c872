/* test_first_rows.c - what a denoiser keeps of its first layer from pass to pass shows in no bit of a result.
 */
#include "tests/unit/checks.h"

#include <string.h>

#include "engine/base/rng.h"
#include "tests/unit/device.h"

enum { N = 40, ROUNDS = 12, MOST_V = 1024 };

static const char *const dirs[] = {"tests/vectors/llada", "tests/vectors/dream", "tests/vectors/qwen3",
                                   "tests/vectors/mdlm"};

static int draw(uint64_t round, uint64_t what, int n) {
    return (int)(rng_bits(3, round, what, 0, RNG_TOKEN) % (uint64_t)n);
}

typedef struct request {
    int32_t tokens[N], other[N];
    sequence seqs[2];
    float vector[MOST_V];
    injection inject;
    row_ref rows[4];
    forward_req q;
} request;

/* The canvas of the round before with some tokens written; now and then shorter, injected into, or a batch.
 */
static void next_request(request *r, const denoiser_info *info, int round) {
    for (int i = 0; i < N; i++) {
        if (!round || !draw((uint64_t)round, (uint64_t)i, 6))
            r->tokens[i] = draw((uint64_t)round, (uint64_t)(100 + i), 17);
    }
    r->tokens[1 + round] = info->mask_id;
    memcpy(r->other, r->tokens, sizeof r->other);
    r->other[3] = 5;
    for (int j = 0; j < info->d_model; j++) r->vector[j] = 0.01f * (float)j;
    int n = round % 3 == 1 ? N - 7 : N;
    r->seqs[0] = (sequence){r->tokens, n}, r->seqs[1] = (sequence){r->other, N};
    r->inject = (injection){0, 2 + round, r->vector};
    for (int i = 0; i < 4; i++) r->rows[i] = (row_ref){0, 5 * i + 2};
    r->q = (forward_req){.seqs = r->seqs,
                         .n_seqs = round % 5 == 4 ? 2 : 1,
                         .inject = &r->inject,
                         .n_inject = round % 4 == 2,
                         .rows = r->rows,
                         .n_rows = 4,
                         .keep = round % 2};
}

static void check_round(denoiser *used, denoiser *fresh, const request *r) {
    err e = {0};
    pass *a = pass_new(), *b = pass_new();
    size_t bytes = (size_t)denoiser_get_info(used)->n_vocab * sizeof(float);
    MUST(denoiser_forward(used, &r->q, a, &e), &e);
    MUST(denoiser_forward(fresh, &r->q, b, &e), &e);
    MUST(pass_read(a, NULL, 0, &e), &e);
    MUST(pass_read(b, NULL, 0, &e), &e);
    for (int i = 0; i < 4; i++) CHECK(!memcmp(pass_logits(a, i), pass_logits(b, i), bytes));
    pass_free(a);
    pass_free(b);
}

static void test_same_bits(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++) {
        denoiser *used;
        err e = {0};
        request r;
        MUST(denoiser_load(&used, dirs[i], test_device(), &e), &e);
        for (int round = 0; round < ROUNDS; round++) {
            denoiser *fresh;
            MUST(denoiser_load(&fresh, dirs[i], test_device(), &e), &e);
            next_request(&r, denoiser_get_info(used), round);
            check_round(used, fresh, &r);
            denoiser_close(fresh);
        }
        denoiser_close(used);
    }
}

/* What a pass with NaN leaves is not taken by the next one. */
static void test_after_nan(void **state) {
    (void)state;
    denoiser *used, *fresh;
    err e = {0};
    request r;
    pass *p = pass_new();
    MUST(denoiser_load(&used, dirs[0], test_device(), &e), &e);
    MUST(denoiser_load(&fresh, dirs[0], test_device(), &e), &e);
    next_request(&r, denoiser_get_info(used), 0);
    r.vector[1] = NAN;
    r.q.n_inject = 1;
    CHECK(denoiser_forward(used, &r.q, p, &e) == ERR_BAD_FORMAT);
    e = (err){0};
    r.q.n_inject = 0;
    check_round(used, fresh, &r);
    pass_free(p);
    denoiser_close(used);
    denoiser_close(fresh);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_bits), cmocka_unit_test(test_after_nan)};
    return finish("rows of the first layer", cmocka_run_group_tests(tests, NULL, NULL));
}
