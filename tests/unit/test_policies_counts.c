/* test_policies_counts.c - policies that decide how many tokens a step writes: thresholds, EB, quotas of
 * Dream and MaskGIT, KLASS; and PC-Sampler's score. Numbers are those of the papers' rules, by hand. */
#include "policy_steps.h"

static float table[MOST_TOKENS * FAKE_V];

static void set_confidences(int n, const double *c) {
    for (int i = 0; i < n; i++) set_sure(table, i, i % 3, c[i]);
}

/* ---- threshold and factor ---- */

static void test_threshold(void **state) {
    (void)state;
    set_confidences(5, (double[]){.95, .5, .91, .89, .99});
    CHECK(first_count("threshold", NULL, table, 5) == 3);
    CHECK(first_count("threshold", SET({"threshold", "0.88"}), table, 5) == 4);
    CHECK(first_count("threshold", SET({"threshold", "0.995"}), table, 5) == 1); /* the best one always */
    CHECK(first_count("threshold", SET({"threshold", "0"}), table, 5) == 5);
    const step_record *r = first_step("threshold", NULL, table, 5);
    CHECK(r->writes[0].pos == 4 && r->writes[1].pos == 0 && r->writes[2].pos == 2);
    record_unref(r);
    /* Above 1 it is confidence with one token a step. */
    outcome a = decode_masks("threshold", SET({"threshold", "1.5"}), NULL, 8);
    outcome b = decode_masks("confidence", NULL, NULL, 8);
    CHECK(a.steps == 8 && b.steps == 8 && memcmp(a.tokens, b.tokens, sizeof a.tokens) == 0);
}

static void test_factor(void **state) {
    (void)state;
    static const struct {
        int n;
        double c[4];
        const char *f;
        int want;
    } cases[] = {
        {4, {.99, .95, .9, .6}, "1", 3},  {2, {.4, .3}, "1", 1},           {4, {.99, .95, .74, .6}, "1", 2},
        {3, {.99, .9, .8}, "1", 3},       {4, {.99, .95, .9, .6}, "3", 4}, {3, {.99, .9, .8}, "0.01", 1},
        {4, {.9, .85, .81, .81}, "1", 4}, {4, {.9, .6, .76, .81}, "1", 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        set_confidences(cases[i].n, cases[i].c);
        int got = first_count("factor", SET({"factor", cases[i].f}), table, cases[i].n);
        if (!CHECK(got == cases[i].want)) print_error("case %zu: %d\n", i, got);
    }
}

/* ---- EB ---- */

static void test_eb(void **state) {
    (void)state;
    static const double H[] = {.4, .02, .07, .05, .68};
    static const struct {
        const char *gamma;
        int want;
    } cases[] = {{"0", 1}, {"0.01", 1}, {"0.0201", 2}, {"0.1", 3}, {"0.2", 4}, {"0.6", 5}, {"1000", 5}};
    for (int i = 0; i < 5; i++) set_entropy(table, i, H[i]);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CHECK(first_count("eb", SET({"gamma", cases[i].gamma}), table, 5) == cases[i].want);
    CHECK(first_count("eb", NULL, table, 5) == 3);
    /* Another order: sums less the largest are 0, .05, .25. */
    for (int i = 0; i < 3; i++) { /* H is .30, .05, .20 in order of confidence */
        static const double p[3][4] = {{.95, .0125, .0125, .025}, {.9894, .0106}, {.94, .06}};
        set_row(table, i, 4, p[i]);
    }
    const step_record *r = first_step("eb", SET({"proxy", "confidence"}, {"gamma", "0.1"}), table, 3);
    CHECK(r->writes[0].pos == 1 && r->n_writes == 2); /* .9894, .95, .94 */
    record_unref(r);
    /* gamma 0 is entropy with one token a step. */
    outcome a = decode_masks("eb", SET({"gamma", "0"}), NULL, 9), b = decode_masks("entropy", NULL, NULL, 9);
    CHECK(a.steps == 9 && memcmp(a.tokens, b.tokens, sizeof a.tokens) == 0);
}

/* ---- PC ---- */

static void test_pc(void **state) {
    (void)state;
    static const struct {
        int delta;
        double c, f, flat, sloped;
    } cases[] = {{0, .9, .04, 2.8970, 2.8970},
                 {1, .6, 1e-5, 6.9077, 5.3797},
                 {2, .95, .05, 2.8459, 1.7262},
                 {3, .7, 1 / 1677991882., 10, 4.7237}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK(near(pc_score(cases[i].delta, cases[i].c, cases[i].f, 0, 10), cases[i].flat, 1e-4));
        CHECK(near(pc_score(cases[i].delta, cases[i].c, cases[i].f, .25, 10), cases[i].sloped, 1e-4));
    }
    CHECK(near(pc_score(3, .7, 1 / 1677991882., 0, 100), -.7 * log(1 / 1677991882. + 1e-9), 1e-9));
    set_confidences(3, (double[]){.5, .6, .9});
    const step_record *r = first_step("pc", NULL, table, 3);
    for (int i = 0; i < 3; i++) {
        double c = (double[]){.5, .6, .9}[i];
        CHECK(near(r->score[i], exp(-.25 * i) * c * log(FAKE_V), 1e-5));
    }
    CHECK(r->writes[0].pos == 2);
    record_unref(r);
    /* The distance counts from the end of the prompt, and in blocks from the block. */
    fake *f = fake_new(false, MOST_TOKENS);
    for (int i = 0; i < 12; i++) set_sure(table, i, 0, .5);
    f->table = table;
    session *s = open_masks(&f->base, "pc", SET({"block-length", "3"}, {"budget", "3"}), 4, 6, 5);
    for (int b = 0; b < 2; b++) {
        r = propose(s);
        CHECK(r->n_cand == 3 && r->cand[0] == 4 + 3 * b);
        for (int i = 0; i < 3; i++) CHECK(near(r->score[i], exp(-.25 * i) * .5 * log(FAKE_V), 1e-5));
        commit(s, r);
        record_unref(r);
    }
    session_close(s);
    denoiser_close(&f->base);
}

/* ---- fixed, Dream, MaskGIT ---- */

static void expect_order(const char *order, int n, const int *want) {
    const step_record *r = first_step("fixed", SET({"order", order}, {"budget", "100"}), NULL, n);
    for (int i = 0; i < n; i++) CHECK(r->writes[i].pos == want[i]);
    record_unref(r);
}

static void test_fixed(void **state) {
    (void)state;
    expect_order("ltr", 5, (int[]){0, 1, 2, 3, 4});
    expect_order("rtl", 5, (int[]){4, 3, 2, 1, 0});
    expect_order("center-out", 5, (int[]){2, 1, 3, 0, 4});
    expect_order("center-out", 4, (int[]){1, 2, 0, 3});
}

static outcome dream(int m, const char *steps, const char *alg) {
    return decode_masks("dream", SET({"steps", steps}, {"dream-alg", alg}), NULL, m);
}

static void test_dream(void **state) {
    (void)state;
    outcome o = dream(8, "8", "entropy");
    expect_counts(&o, (int[]){0, 1, 1, 1, 1, 1, 1, 2}, 8);
    CHECK(near(o.nfe, 8, 0));
    o = dream(8, "4", "maskgit_plus");
    expect_counts(&o, (int[]){1, 2, 2, 3}, 4);
    o = dream(12, "5", "topk_margin");
    expect_counts(&o, (int[]){2, 2, 2, 2, 4}, 5);
    o = dream(64, "16", "entropy");
    int want[16] = {3};
    for (int k = 1; k < 16; k++) want[k] = k < 15 ? 4 : 5;
    expect_counts(&o, want, 16);
    /* origin: as many on average, each by itself. */
    int total = 0;
    for (int seed = 0; seed < 60; seed++) {
        fake *f = fake_new(false, MOST_TOKENS);
        session *s = open_masks(&f->base, "dream", SET({"steps", "4"}, {"dream-alg", "origin"}), 0, 20,
                                (uint64_t)seed);
        const step_record *r = propose(s);
        total += r->n_writes;
        record_unref(r);
        session_close(s);
        denoiser_close(&f->base);
    }
    double share = .999 / 4;
    CHECK(near(total, 1200 * share, 5 * sqrt(1200 * share * (1 - share))));
}

/* Positions drawn with weights softmax(score/temp): at a high temperature all alike. */
static void test_dream_positions(void **state) {
    (void)state;
    set_confidences(4, (double[]){.9, .6, .6, .3});
    int first[2][4] = {{0}};
    for (int hot = 0; hot < 2; hot++) {
        for (int seed = 0; seed < 400; seed++) {
            fake *f = fake_new(false, MOST_TOKENS);
            f->table = table;
            session *s = open_masks(
                &f->base, "dream",
                SET({"steps", "2"}, {"dream-alg", "maskgit_plus"}, {"alg-temp", hot ? "0.2" : "0.001"}), 0, 4,
                (uint64_t)seed);
            const step_record *r = propose(s);
            CHECK(r->n_writes == 1);
            first[hot][r->writes[0].pos]++;
            record_unref(r);
            session_close(s);
            denoiser_close(&f->base);
        }
    }
    CHECK(first[0][0] == 400);
    static const double e[] = {4.5, 3, 3, 1.5};
    double sum = 0;
    for (int i = 0; i < 4; i++) sum += exp(e[i]);
    for (int i = 0; i < 4; i++) {
        double q = exp(e[i]) / sum;
        CHECK(near(first[1][i], 400 * q, 5 * sqrt(400 * q * (1 - q))));
    }
}

static void test_maskgit(void **state) {
    (void)state;
    outcome o = decode_masks("maskgit", SET({"steps", "8"}), NULL, 16);
    expect_counts(&o, (int[]){1, 1, 1, 2, 3, 2, 3, 3}, 8);
    o = decode_masks("maskgit", SET({"steps", "4"}, {"schedule", "linear"}), NULL, 16);
    expect_counts(&o, (int[]){4, 4, 4, 4}, 4);
    o = decode_masks("maskgit", SET({"steps", "4"}, {"schedule", "square"}), NULL, 16); /* keeps 15 12 7 */
    expect_counts(&o, (int[]){1, 3, 5, 7}, 4);
    o = decode_masks("maskgit", SET({"steps", "4"}, {"schedule", "cubic"}), NULL, 16); /* 15 14 9 */
    expect_counts(&o, (int[]){1, 1, 5, 9}, 4);
    /* Without noise the score is the log of the confidence. */
    set_confidences(3, (double[]){.5, .9, .7});
    const step_record *r = first_step(
        "maskgit", SET({"steps", "3"}, {"choice-temperature", "0"}, {"temperature", "0"}), table, 3);
    for (int i = 0; i < 3; i++) CHECK(near(r->score[i], log((double[]){.5, .9, .7}[i]), 1e-6));
    CHECK(r->writes[0].pos == 1);
    record_unref(r);
    /* Noise of the first of three steps: scale 4.5·2/3; the last has none. */
    const step_record *a = first_step("maskgit", SET({"steps", "3"}, {"temperature", "0"}), table, 3);
    const step_record *b = first_step(
        "maskgit", SET({"steps", "3"}, {"temperature", "0"}, {"choice-temperature", "9"}), table, 3);
    for (int i = 0; i < 3; i++) {
        double c = log((double[]){.5, .9, .7}[i]);
        CHECK(near(2 * (a->score[i] - c), b->score[i] - c, 1e-5) && fabs(a->score[i] - c) > 0);
    }
    record_unref(a), record_unref(b);
}

/* ---- KLASS ---- */

/* Steps until something is ready, when predictions stand still: the length of the history. */
static int first_ready(const char *history) {
    for (int i = 0; i < 8; i++) set_sure(table, i, 1, .95);
    fake *f = fake_new(false, MOST_TOKENS);
    f->table = table;
    session *s = open_masks(&f->base, "klass", SET({"history", history}), 0, 8, 5);
    int k = 0;
    for (;; k++) {
        const step_record *r = propose(s);
        bool ready = r->writes[0].score > 1;
        CHECK(ready ? r->n_writes == 8 - k : r->n_writes == 1);
        commit(s, r);
        record_unref(r);
        if (ready) break;
    }
    CHECK(session_done(s));
    session_close(s);
    denoiser_close(&f->base);
    return k;
}

static void test_klass_ready(void **state) {
    (void)state;
    CHECK(first_ready("1") == 1 && first_ready("2") == 2 && first_ready("4") == 4);
}

/* Predictions that move from step to step by a known divergence. */
static bool moves_ready(const double *before, const double *now, const char *kl) {
    for (int i = 0; i < 4; i++) set_row(table, i, 2, before);
    fake *f = fake_new(false, MOST_TOKENS);
    f->table = table;
    session *s = open_masks(&f->base, "klass",
                            SET({"history", "1"}, {"threshold", "0.7"}, {"kl-threshold", kl}), 0, 4, 5);
    const step_record *r = propose(s);
    CHECK(r->n_writes == 1 && r->writes[0].score <= 1);
    commit(s, r);
    record_unref(r);
    for (int i = 0; i < 4; i++) set_row(table, i, 2, now);
    r = propose(s);
    bool ready = r->writes[0].score > 1;
    record_unref(r);
    session_close(s);
    denoiser_close(&f->base);
    return ready;
}

static void test_klass_divergence(void **state) {
    (void)state;
    static const double now[] = {.9, .1}, a[] = {.88, .12}, b[] = {.85, .15}, c[] = {.8, .2};
    CHECK(moves_ready(a, now, "0.0021") && !moves_ready(a, now, "0.0019")); /* .00199 */
    CHECK(moves_ready(b, now, "0.0111") && !moves_ready(b, now, "0.0107")); /* .0109 */
    CHECK(moves_ready(c, now, "0.0369") && !moves_ready(c, now, "0.0365")); /* .0367 */
    static const double sure[] = {.69, .31}; /* still, but not above the threshold */
    CHECK(!moves_ready(sure, sure, "1"));
}

/* Where nothing is ever ready the planned quotas hold, and nothing stays masked. */
static void test_klass_quota(void **state) {
    (void)state;
    for (int i = 0; i < 12; i++) set_sure(table, i, 1, .5);
    outcome o = decode_masks("klass", SET({"steps", "4"}), table, 10);
    expect_counts(&o, (int[]){3, 3, 2, 2}, 4);
}

/* Every step of a decode, reached by a jump. */
static void expect_counts_again(const setting *set, int n_masks, const int *counts, int n) {
    fake *f = fake_new(false, MOST_TOKENS);
    f->table = table;
    session *s = open_masks(&f->base, "klass", set, 2, n_masks, 5);
    trajectory t;
    traj_header h;
    err e = {0};
    int32_t tokens[MOST_TOKENS];
    session_header(s, &h);
    MUST(trajectory_init(&t, &h, (token_texts){0}, &e), &e);
    for (const step_record *r; (r = propose(s)) != NULL; record_unref(r)) {
        MUST(trajectory_append(&t, r, &e), &e);
        commit(s, r);
    }
    for (int k = n - 1; k >= 0; k--) {
        session_state to = session_state_of(&t, k, tokens);
        MUST(session_seek(s, &to, &e), &e);
        const step_record *r = propose(s);
        CHECK(r->n_writes == counts[k]);
        record_unref(r);
    }
    trajectory_release(&t);
    session_close(s);
    denoiser_close(&f->base);
}

/* In blocks each one's steps count from its first: predictions that stand still are ready at step 2 of the
 * first block and at step 1 of the others, whatever the planned steps of the blocks before. */
static void test_klass_blocks(void **state) {
    (void)state;
    static const int counts[] = {1, 1, 6, 1, 7, 1, 7, 1, 7};
    for (int i = 0; i < 34; i++) set_sure(table, i, 1, .95);
    outcome o = decode_masks("klass", SET({"block-length", "8"}, {"steps", "32"}), table, 32);
    expect_counts(&o, counts, 9);
    expect_counts_again(SET({"block-length", "8"}, {"steps", "32"}), 32, counts, 9);
    o = decode_masks("klass", SET({"block-length", "8"}, {"steps", "32"}, {"history", "1"}), table, 32);
    expect_counts(&o, (int[]){1, 7, 8, 8, 8}, 5);
    /* Where the second block is not sure, its quotas are its own: 8 masks in 4 steps. */
    for (int i = 10; i < 18; i++) set_sure(table, i, 1, .5);
    o = decode_masks("klass", SET({"block-length", "8"}, {"steps", "16"}), table, 32);
    expect_counts(&o, (int[]){2, 2, 4, 2, 2, 2, 2, 2, 6, 2, 6}, 11);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threshold),
        cmocka_unit_test(test_factor),
        cmocka_unit_test(test_eb),
        cmocka_unit_test(test_pc),
        cmocka_unit_test(test_fixed),
        cmocka_unit_test(test_dream),
        cmocka_unit_test(test_dream_positions),
        cmocka_unit_test(test_maskgit),
        cmocka_unit_test(test_klass_ready),
        cmocka_unit_test(test_klass_divergence),
        cmocka_unit_test(test_klass_quota),
        cmocka_unit_test(test_klass_blocks),
    };
    return finish("policies_counts", cmocka_run_group_tests(tests, NULL, NULL));
}
