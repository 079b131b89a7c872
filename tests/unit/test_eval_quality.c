/* test_eval_quality.c - bounds on likelihood where they can be written down, and counts of what is repeated.
 */
#include "checks.h"

#include "engine/base/rng.h"
#include "eval/quality.h"
#include "fake_denoiser.h"

enum { N = 12 };

static float table[N * FAKE_V];
static const int32_t tokens[N] = {0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3};

static double bound(fake *f, int from, int draws, uint64_t seed) {
    double out;
    err e = {0};
    MUST(quality_elbo(&f->base, &(scored_text){tokens, N, from}, draws, seed, NULL, &out, &e), &e);
    return out;
}

/* Equal logits: every token costs log 8 (the mask is no token), whatever is masked. */
static void uniform(void **state) {
    (void)state;
    fake *f = fake_new(false, N);
    f->table = table;
    for (int draws = 1; draws <= 16; draws *= 4) {
        CHECK(near(bound(f, 0, draws, 5), log(8), 1e-6));
        CHECK(near(bound(f, 9, draws, 6), log(8), 1e-6));
    }
    CHECK(isnan(bound(f, N, 4, 0)));
    denoiser_close(&f->base);
}

/* Logits that do not look at the others: the bound is the mean of -log p over the scored tokens, and the
 * estimate goes there. */
static void independent(void **state) {
    (void)state;
    fake *f = fake_new(false, N);
    f->table = table;
    double want = 0;
    for (int i = 0; i < N; i++) {
        double sum = 0;
        for (int v = 0; v < FAKE_V - 1; v++) {
            table[i * FAKE_V + v] = (float)(3 * rng_uniform(1, 0, (uint64_t)i, (uint64_t)v, RNG_TOKEN));
            sum += exp((double)table[i * FAKE_V + v]);
        }
        if (i >= 4) want += (log(sum) - (double)table[i * FAKE_V + tokens[i]]) / (N - 4);
    }
    double rough = bound(f, 4, 64, 1), fine = bound(f, 4, 8192, 1);
    CHECK(near(rough, want, 0.3) && near(fine, want, 0.03));
    CHECK(near(bound(f, 4, 64, 1), rough, 0)); /* the same draws */
    CHECK(!near(bound(f, 4, 64, 2), rough, 1e-9));
    denoiser_close(&f->base);
}

static void repetition(void **state) {
    (void)state;
    const int32_t same[6] = {4, 4, 4, 4, 4, 4}, all[6] = {1, 2, 3, 4, 5, 6},
                  two[8] = {1, 2, 1, 2, 1, 2, 1, 2};
    CHECK(near(quality_entropy(same, 6), 0, 0) && near(quality_entropy(all, 6), log(6), 1e-12));
    CHECK(near(quality_entropy(two, 8), log(2), 1e-12));
    CHECK(near(quality_diversity(all, 6), 1, 1e-12) &&
          near(quality_diversity(same, 6), 1 / 5.0 / 4 / 3, 1e-12));
    CHECK(near(quality_diversity(two, 8), 2 / 7.0 * 2 / 6 * 2 / 5, 1e-12));
    CHECK(isnan(quality_entropy(all, 0)) && isnan(quality_diversity(all, 3)));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(uniform), cmocka_unit_test(independent),
                                       cmocka_unit_test(repetition)};
    return finish("eval_quality", cmocka_run_group_tests(tests, NULL, NULL));
}
