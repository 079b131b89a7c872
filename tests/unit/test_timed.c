/* test_timed.c - a timed denoiser computes what an untimed one does, and counts the arithmetic of each phase.
 * Runs on the device that TABES_DEVICE names, in float32. */
#include "checks.h"
#include "device.h"

#include <string.h>

#include "engine/synthetic.h"
#include "engine/timed.h"

enum { N = 24, MASKS = 8 };

typedef struct fixture {
    denoiser *d, *timed;
    phase_times times;
    int32_t tokens[N];
    row_ref rows[MASKS];
} fixture;

static void open_tiny(fixture *f) {
    synthetic_shape shape = synthetic_named("tiny");
    err e = {0};
    *f = (fixture){0};
    MUST(denoiser_synthetic(&f->d, &shape, test_device(), &e), &e);
    MUST(denoiser_fork_timed(&f->timed, f->d, &f->times, &e), &e);
    const denoiser_info *info = denoiser_get_info(f->d);
    for (int i = 0; i < N; i++) f->tokens[i] = i < N - MASKS ? (i * 7) % info->mask_id : info->mask_id;
    for (int i = 0; i < MASKS; i++) f->rows[i] = (row_ref){0, N - MASKS + i};
}

static void close_tiny(fixture *f) {
    denoiser_close(f->timed);
    denoiser_close(f->d);
}

static void forward(fixture *f, denoiser *d, pass *p, bool keep) {
    const sequence seq = {f->tokens, N};
    const forward_req q = {.seqs = &seq, .n_seqs = 1, .rows = f->rows, .n_rows = MASKS, .keep = keep};
    err e = {0};
    MUST(denoiser_forward(d, &q, p, &e), &e);
}

static void backward(denoiser *d, const pass *p, float *grads) {
    static const float weights[MASKS] = {1, 1, 1, 1, 1, 1, 1, 1};
    const int wrt = N - 1;
    const backward_req q = {.n_seeds = 1, .weights = weights, .wrt = &wrt, .n_wrt = 1};
    k_counts counts = {0};
    err e = {0};
    MUST(denoiser_backward(d, p, &q, grads, &counts, &e), &e);
}

static void check_flops(const fixture *f, phase p, double flops) {
    const phase_time *t = &f->times.at[p];
    CHECK(t->calls > 0 && t->seconds > 0 && t->bytes > 0);
    if (t->flops < flops || t->flops > flops) fail_msg("%s: %g, expected %g", phase_name(p), t->flops, flops);
}

static void test_forward(void **state) {
    (void)state;
    fixture f;
    open_tiny(&f);
    pass *a = pass_new(), *b = pass_new();
    forward(&f, f.d, a, false);
    forward(&f, f.timed, b, false);
    for (int i = 0; i < MASKS; i++)
        CHECK(pass_stats(a, i)->lse <= pass_stats(b, i)->lse &&
              pass_stats(a, i)->lse >= pass_stats(b, i)->lse);
    const denoiser_info *i = denoiser_get_info(f.d);
    double d = i->d_model, kv = d / i->n_heads * i->n_kv_heads, L = i->n_layers;
    check_flops(&f, PHASE_QKV, 2 * N * L * d * (d + 2 * kv));
    check_flops(&f, PHASE_ATTENTION, 4 * N * N * L * d);
    check_flops(&f, PHASE_OUTPUT, 2 * N * L * d * d);
    check_flops(&f, PHASE_MLP, 2 * N * L * 3 * d * i->mlp_size);
    check_flops(&f, PHASE_EMBEDDING, 0);
    check_flops(&f, PHASE_NORMS, 0);
    if (strcmp(i->device, "cpu") == 0)
        CHECK(f.times.at[PHASE_SELECTION].calls == 0); /* statistics are part of the head */
    else
        check_flops(&f, PHASE_SELECTION, 0);
    CHECK(f.times.at[PHASE_HEAD].flops > 0);
    for (phase p = PHASE_SOFT; p < N_PHASES; p++) CHECK(f.times.at[p].calls == 0);
    pass_free(a);
    pass_free(b);
    close_tiny(&f);
}

/* With every row active a backward makes the products of a forward once more. */
static void test_backward(void **state) {
    (void)state;
    fixture f;
    open_tiny(&f);
    const denoiser_info *i = denoiser_get_info(f.d);
    float one[1024], two[1024];
    CHECK(i->d_model <= 1024);
    pass *a = pass_new(), *b = pass_new();
    forward(&f, f.d, a, true);
    backward(f.d, a, one);
    forward(&f, f.timed, b, true);
    phase_times before = f.times;
    backward(f.timed, b, two);
    assert_memory_equal(one, two, (size_t)i->d_model * sizeof *one);
    check_flops(&f, PHASE_BACK_QKV, before.at[PHASE_QKV].flops);
    check_flops(&f, PHASE_BACK_OUTPUT, before.at[PHASE_OUTPUT].flops);
    check_flops(&f, PHASE_BACK_MLP, before.at[PHASE_MLP].flops);
    check_flops(&f, PHASE_BACK_HEAD, before.at[PHASE_HEAD].flops);
    check_flops(&f, PHASE_BACK_ATTENTION, 2.5 * before.at[PHASE_ATTENTION].flops);
    check_flops(&f, PHASE_BACK_NORMS, 0);
    for (phase p = 0; p <= PHASE_SOFT; p++) CHECK(f.times.at[p].calls == before.at[p].calls);
    pass_free(a);
    pass_free(b);
    close_tiny(&f);
}

static void test_soft_writes(void **state) {
    (void)state;
    fixture f;
    open_tiny(&f);
    float soft[1024];
    int row = 0;
    err e = {0};
    pass *p = pass_new();
    forward(&f, f.timed, p, true);
    MUST(denoiser_soft_write(f.timed, p, &row, 1, soft, &e), &e);
    CHECK(f.times.at[PHASE_SOFT].calls == 1);
    CHECK(f.times.at[PHASE_SOFT].flops > 0);
    pass_free(p);
    close_tiny(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forward),
        cmocka_unit_test(test_backward),
        cmocka_unit_test(test_soft_writes),
    };
    return finish("timed", cmocka_run_group_tests(tests, NULL, NULL));
}
