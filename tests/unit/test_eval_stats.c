/* test_eval_stats.c - intervals and paired tests against published values, and their limits. */
#include "checks.h"

#include "eval/stats.h"

/* Newcombe, Statistics in Medicine 17 (1998) 857-872, table I, method 3 (score interval without correction).
 */
static void wilson(void **state) {
    (void)state;
    static const struct {
        int k, n;
        double low, high;
    } published[] = {{81, 263, 0.2553, 0.3662},
                     {15, 148, 0.0624, 0.1605},
                     {0, 20, 0.0000, 0.1611},
                     {1, 29, 0.0061, 0.1718}};
    for (size_t i = 0; i < sizeof published / sizeof published[0]; i++) {
        interval v = stats_wilson(published[i].k, published[i].n);
        CHECK(near(v.low, published[i].low, 5e-5));
        CHECK(near(v.high, published[i].high, 5e-5));
    }
    interval none = stats_wilson(0, 0), all = stats_wilson(7, 7);
    CHECK(none.low <= 0 && none.high >= 1);
    CHECK(all.high >= 1 && all.low > 0.6 && all.low < 0.7);
}

/* Two-sided binomial tests with p = 1/2, exact: 2·ΣC(n,i)/2^n up to the smaller count. */
static void mcnemar(void **state) {
    (void)state;
    static const struct {
        int a, b;
        double p;
    } known[] = {{0, 0, 1},
                 {1, 0, 1},
                 {5, 5, 1},
                 {0, 5, 0.0625},
                 {2, 8, 0.109375},
                 {9, 1, 0.021484375},
                 {0, 10, 0.001953125},
                 {6, 16, 0.052478790283203125}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        CHECK(near(stats_mcnemar(known[i].a, known[i].b), known[i].p, 1e-8));
        CHECK(near(stats_mcnemar(known[i].b, known[i].a), known[i].p, 1e-8));
    }
    CHECK(stats_mcnemar(400, 600) < 1e-9 && stats_mcnemar(400, 600) > 0);
}

static void bootstrap(void **state) {
    (void)state;
    double d[100];
    for (int i = 0; i < 100; i++) d[i] = i < 30 ? 1 : i < 40 ? -1 : 0;
    interval v = stats_bootstrap(d, 100, STATS_DRAWS, 0), again = stats_bootstrap(d, 100, STATS_DRAWS, 0);
    CHECK(near(v.low, again.low, 0) && near(v.high, again.high, 0));
    /* Normal approximation: 0.2 ± 1.96·sqrt(0.36/100). */
    CHECK(near(v.low, 0.2 - 0.1176, 0.02) && near(v.high, 0.2 + 0.1176, 0.02));
    interval same = stats_bootstrap((double[]){1, 1, 1}, 3, STATS_DRAWS, 0);
    CHECK(near(same.low, 1, 0) && near(same.high, 1, 0));
    CHECK(isnan(stats_bootstrap(d, 0, STATS_DRAWS, 0).low));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(wilson), cmocka_unit_test(mcnemar),
                                       cmocka_unit_test(bootstrap)};
    return finish("eval_stats", cmocka_run_group_tests(tests, NULL, NULL));
}
