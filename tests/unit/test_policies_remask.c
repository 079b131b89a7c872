/* test_policies_remask.c - policies that put tokens back: rates, phases and plans of P2, ReMDM, ReMDM-LLaDA
 * and the correctors, against the numbers of their papers and codes. */
#include "policy_steps.h"

static float table[MOST_TOKENS * FAKE_V];

/* ---- P2 ---- */

/* Four free positions: 0 is clean, the model gives it .6; masks .9, .5, .3. Two of four stay masked. */
static void p2_example(const char *eta, const int *written, int n_written, int n_back) {
    static const double c[] = {.6, .9, .5, .3};
    for (int i = 0; i < 4; i++) set_row(table, i, 3, (double[]){c[i], (1 - c[i]) / 2, (1 - c[i]) / 2});
    for (int i = 0; i < 4; i++) { /* the named probability is that of the best token, also at .3 */
        if (c[i] < .4) set_row(table, i, 5, (double[]){.3, .175, .175, .175, .175});
    }
    fake *f = fake_new(false, MOST_TOKENS);
    f->table = table;
    session *s = open_masks(&f->base, "p2", SET({"steps", "4"}, {"path-eta", eta}), 0, 4, 5);
    int32_t tokens[4] = {1, FAKE_MASK, FAKE_MASK, FAKE_MASK};
    err e = {0};
    MUST(session_seek(s, &(session_state){tokens, 4, 1, 1, NULL, NULL}, &e), &e);
    const step_record *r = propose(s);
    CHECK(count_writes(r, false) == n_written && count_writes(r, true) == n_back);
    for (int i = 0; i < n_written; i++) CHECK(r->writes[i].pos == written[i] && r->writes[i].token == 0);
    if (n_back) {
        CHECK(r->writes[n_written].pos == 0 && r->writes[n_written].token == FAKE_MASK);
        CHECK(near(r->writes[n_written].score, 2 * log(.6), 1e-6));
    }
    for (int i = 0; i < 3; i++) CHECK(near(r->score[i], log(c[i + 1]), 1e-6));
    record_unref(r);
    session_close(s);
    denoiser_close(&f->base);
}

/* Masks that are left after each step. */
static void expect_left(const setting *set, int n, const int *left) {
    outcome o = decode_masks("p2", set, NULL, n);
    int masks = n;
    for (int k = 0; k < o.steps; k++) {
        masks += o.back[k] - o.written[k];
        if (!CHECK(masks == left[k])) print_error("step %d: %d masks, expected %d\n", k, masks, left[k]);
    }
}

static void test_p2(void **state) {
    (void)state;
    p2_example("1", (int[]){1}, 1, 0);
    p2_example("2", (int[]){1, 2}, 2, 1);
    expect_left(SET({"steps", "4"}), 8, (int[]){6, 4, 2, 0});
    expect_left(SET({"steps", "4"}), 10, (int[]){7, 5, 2, 0});
    expect_left(SET({"steps", "4"}, {"kappa", "sine"}), 10, (int[]){6, 2, 0, 0});   /* .383 .707 .924 */
    expect_left(SET({"steps", "4"}, {"kappa", "square"}), 10, (int[]){9, 7, 4, 0}); /* .0625 .25 .5625 */
    expect_left(SET({"steps", "4"}, {"kappa", "log"}), 10, (int[]){6, 4, 1, 0});    /* .322 .585 .807 */
    expect_left(SET({"steps", "4"}, {"kappa", "root"}), 10, (int[]){5, 2, 1, 0});   /* .5 .707 .866 */
    expect_left(SET({"steps", "4"}, {"kappa", "early"}), 10, (int[]){5, 2, 0, 0});  /* .4375 .75 .9375 */
    for (int m = 1; m < 40; m += 7) { /* eta 0 protects what is written */
        outcome o = decode_masks("p2", SET({"steps", "9"}, {"path-eta", "0"}), NULL, m);
        for (int k = 0; k < o.steps; k++) CHECK(o.back[k] == 0);
    }
    /* A large eta exposes them. */
    outcome o = decode_masks("p2", SET({"steps", "9"}, {"path-eta", "50"}), NULL, 18);
    int back = 0;
    for (int k = 0; k < o.steps; k++) back += o.back[k];
    CHECK(back > 0 && o.steps == 9 && near(o.nfe, 9, 0));
}

/* ---- ReMDM ---- */

/* Share of masks written and of clean tokens put back at step k of T, over many seeds; `clean` of 60
 * positions are clean, written with probability p. */
typedef struct shares {
    double written, back;
} shares;

enum { SPOTS = 60, SEEDS = 120 };

static shares shares_at(const char *name, const setting *set, int k, int clean, const double *p) {
    long n = 0, n_back = 0;
    err e = {0};
    fake *f = fake_new(false, MOST_TOKENS);
    for (int seed = 0; seed < SEEDS; seed++) {
        session *s = open_masks(&f->base, name, set, 0, SPOTS, (uint64_t)(1000 + seed));
        traj_header h;
        trajectory t;
        session_header(s, &h);
        MUST(trajectory_init(&t, &h, (token_texts){0}, &e), &e);
        for (int i = 0; i <= k - 1; i++) { /* all that is clean was written by the first step */
            step_record *r = record_new();
            step_write *w = arena_new(&r->mem, SPOTS, sizeof *w);
            for (int j = 0; j < clean && i == 0; j++)
                w[r->n_writes++] = (step_write){.pos = j, .token = 1, .p = p ? p[j] : 1};
            r->step = i;
            r->writes = w;
            MUST(trajectory_append(&t, r, &e), &e);
            record_unref(r);
        }
        int32_t tokens[SPOTS];
        session_state to = session_state_of(&t, k, tokens);
        MUST(session_seek(s, &to, &e), &e);
        const step_record *r = propose(s);
        n += count_writes(r, false);
        n_back += count_writes(r, true);
        record_unref(r);
        trajectory_release(&t);
        session_close(s);
    }
    denoiser_close(&f->base);
    return (shares){(double)n / SEEDS / (clean < SPOTS ? SPOTS - clean : 1),
                    (double)n_back / SEEDS / (clean ? clean : 1)};
}

/* A measured share, of n draws, against its probability. */
static void expect_share(double got, double want, double n, const char *what, int k) {
    double slack = 4.5 * sqrt(want * (1 - want) / n) + 1e-4;
    if (!CHECK(near(got, want, slack))) print_error("%s, step %d: %g, expected %g\n", what, k, got, want);
}

static void expect_rates(const char *name, const setting *set, const double *written, const double *back) {
    for (int k = 0; k < 8; k++) {
        int clean = k ? SPOTS / 2 : 0;
        shares got = shares_at(name, set, k, clean, NULL);
        expect_share(got.written, written[k], SEEDS * (SPOTS - clean), "written", k);
        if (clean) expect_share(got.back, back[k], SEEDS * clean, "back", k);
    }
}

static void test_remdm_rates(void **state) {
    (void)state;
    expect_rates("remdm", SET({"steps", "8"}, {"eta", "0.1"}),
                 (double[]){.125, .1571, .2, .26, .35, .5, .8, 1},
                 (double[]){.1, .1, .1, .1, .1, .1, .1, .00001});
    expect_rates("remdm", SET({"steps", "8"}, {"eta", "0.1"}, {"remdm-mode", "rescale"}),
                 (double[]){.125, .1571, .2, .26, .325, .4, .55, .9999},
                 (double[]){.1, .1, .1, .1, .075, .04, .0167, .000001});
    /* eta 0 is MDLM's sampler: (t-s)/t. */
    expect_rates("remdm", SET({"steps", "8"}, {"eta", "0"}),
                 (double[]){.125, 1 / 7., 1 / 6., .2, .25, 1 / 3., .5, 1}, (double[8]){0});
    CHECK(near(remask_reveal((remask_rates){.5, .625, .075}), .325, 1e-9));
    CHECK(near(remask_reveal((remask_rates){.875, .99999, .00001}), 1, 1e-3));
    CHECK(near(remask_reveal((remask_rates){1, 1, 0}), 1, 0));
}

/* conf: the bound, shared out by e^-p; masks are written at MDLM's rate. */
static void test_remdm_conf(void **state) {
    (void)state;
    double p[SPOTS], want[3] = {.2219, .3311, .4469}, sum = 0;
    static const double psi[] = {.9, .5, .2};
    for (int i = 0; i < 3; i++) sum += exp(-psi[i]);
    for (int i = 0; i < 3; i++) CHECK(near(exp(-psi[i]) / sum, want[i], 1e-4));
    for (int i = 0; i < 3; i++) p[i] = psi[i];
    shares got = shares_at("remdm", SET({"steps", "8"}, {"remdm-mode", "conf"}), 6, 3, p);
    double bound = .125 / .75; /* alpha .75 -> .875: one token of the three with this probability */
    expect_share(got.back * 3, bound, SEEDS, "conf", 6);
    expect_share(got.written, .5, SEEDS * 57, "conf", 6);
}

/* Phases of the loop: 461 steps before it, 512 in it, 51 after. */
static void test_remdm_loop(void **state) {
    (void)state;
    int phase[3] = {0};
    double dt = (1 - 1e-5) / 1024;
    for (int k = 0; k < 1024; k++) {
        double t = 1 - k * dt;
        phase[t > .55 ? 0 : t > .05 ? 1 : 2]++;
    }
    CHECK(phase[0] == 461 && phase[1] == 512 && phase[2] == 51);
    const setting *set = SET({"steps", "1024"}, {"remdm-mode", "loop"}, {"eta", "0.02"});
    static const int steps[] = {0, 460, 461, 700, 972, 973, 1023};
    for (int i = 0; i < 7; i++) {
        int k = steps[i];
        double t = 1 - k * dt, s = t - dt, written, back = 0;
        if (k <= 460)
            written = (t - s) * .9 / .45 / (1 - (1 - t) * .9 / .45);
        else if (k <= 972)
            written = .18, back = .02;
        else
            written = (t - s) / t;
        shares got = shares_at("remdm", set, k, k ? 30 : 0, NULL);
        expect_share(got.written, written, SEEDS * (k ? 30 : 60), "loop", k);
        if (k) expect_share(got.back, back, SEEDS * 30, "loop back", k);
    }
    /* A rate above its bound is cut to it. */
    shares got =
        shares_at("remdm", SET({"steps", "1024"}, {"remdm-mode", "loop"}, {"eta", "0.9"}), 700, 30, NULL);
    expect_share(got.back, 1 / 9., SEEDS * 30, "loop bound", 700);
    expect_share(got.written, 1, SEEDS * 30, "loop bound", 700);
}

/* ---- correctors ---- */

static void test_fb(void **state) {
    (void)state;
    expect_rates("fb", SET({"steps", "8"}), (double[]){.125, .2857, .3333, .4, .5, .6667, .99996, 1},
                 (double[]){0, 1, .5, 1 / 3., .25, .2, 1 / 6., 1 / 7.});
}

static void test_dfm(void **state) {
    (void)state;
    static const struct { int S, steps; } plans[] = {{8, 29}, {16, 38}, {128, 133}, {1024, 1025}};
    const policy *p = policy_find("dfm");
    dfm_step x;
    for (size_t i = 0; i < 4; i++) CHECK(p->plan(plans[i].S) == plans[i].steps);
    CHECK(dfm_at(8, 0, &x) && near(x.t, 1, 0) && near(x.d, .125, 0) && near(x.written, .125, 0) &&
          near(x.back, 0, 0));
    CHECK(dfm_at(8, 1, &x) && near(x.t, .875, 1e-12) && near(x.d, .01861, 1e-5) &&
          near(x.written, .1436, 1e-4) && near(x.back, .8564, 1e-4));
    for (int k = 0; dfm_at(8, k, &x); k++) CHECK(x.written <= 1 && x.back <= 1 && x.d <= .125 && x.d > 0);
    CHECK(!dfm_at(8, 29, &x) && dfm_at(8, 28, &x));
    CHECK(p->plan(1) >= 1 && p->plan(2) >= 2);
    shares got = shares_at("dfm", SET({"steps", "8"}), 1, 30, NULL);
    expect_share(got.written, .1436, SEEDS * 30, "dfm", 1);
    expect_share(got.back, .8564, SEEDS * 30, "dfm", 1);
    /* The last step may leave masks; one more forward writes them. */
    outcome o = decode_masks("dfm", SET({"steps", "8"}), NULL, 20);
    CHECK(o.T == 29 && (o.steps == 29 || o.steps == 30) && near(o.nfe, o.steps, 0));
}

/* First steps draw with the rate of the S that was asked for, also where other plans have as many steps. */
static void expect_plan(const setting *set, int n_masks, int in_scope, int S) {
    dfm_step x;
    fake *f = fake_new(false, MOST_TOKENS);
    CHECK(dfm_at(S, 0, &x));
    for (uint64_t seed = 0; seed < 60; seed++) {
        session *s = open_masks(&f->base, "dfm", set, 0, n_masks, seed);
        const step_record *r = propose(s);
        int want = 0;
        for (uint64_t i = 0; i < (uint64_t)in_scope; i++)
            want += rng_uniform(seed, 0, i, 0, RNG_PATH) < x.written;
        CHECK(r->n_writes == want);
        record_unref(r);
        session_close(s);
    }
    denoiser_close(&f->base);
}

static void test_dfm_plans(void **state) {
    (void)state;
    for (int S = 16; S < 30; S++) {
        char steps[16];
        snprintf(steps, sizeof steps, "%d", S);
        expect_plan(SET({"steps", steps}), SPOTS, SPOTS, S);
    }
    expect_plan(SET({"budget", "2"}), 34, 34, 17);
    expect_plan(SET({"steps", "33"}, {"block-length", "30"}), SPOTS, 30, 17);
}

/* ---- ReMDM-LLaDA ---- */

static void test_remdm_llada(void **state) {
    (void)state;
    outcome o = decode_masks("remdm-llada", SET({"steps", "32"}), NULL, 32);
    CHECK(o.T == 64 && o.steps == 64 && near(o.nfe, 64, 0));
    int masks = 32;
    for (int k = 0; k < 64; k++) {
        masks += o.back[k] - o.written[k];
        /* 28 that fill, the last of which prepares the first round; 32 rounds, the last one without; 4 */
        int want = k < 27 ? 31 - k : k < 59 ? 5 : k == 59 ? 4 : 63 - k;
        if (!CHECK(masks == want)) print_error("step %d: %d masks, expected %d\n", k, masks, want);
        CHECK(o.written[k] <= 1 && o.back[k] <= 1);
        if (k < 27 || k > 59) CHECK(o.back[k] == 0);
    }
    /* The least sure tokens go back, by the probability with which they were written. */
    static const double c[] = {.9, .5, .8, .7, .6, .95, .85, .75};
    for (int i = 0; i < 8; i++) set_sure(table, i, 1, c[i]);
    fake *f = fake_new(false, MOST_TOKENS);
    f->table = table;
    session *s = open_masks(&f->base, "remdm-llada",
                            SET({"steps", "4"}, {"temperature", "0"}, {"loop-tokens", "2"}), 0, 8, 5);
    static const int written[3][2] = {{5, 0}, {6, 2}, {7, 3}};
    for (int k = 0; k < 3; k++) {
        const step_record *r = propose(s);
        /* The loop starts at step 3: what step 2 writes are the least sure, so they are not written. */
        CHECK(r->n_writes == (k < 2 ? 2 : 0) && r->T == 8);
        for (int i = 0; i < r->n_writes; i++) CHECK(r->writes[i].pos == written[k][i]);
        commit(s, r);
        record_unref(r);
    }
    session_close(s);
    denoiser_close(&f->base);
    /* Two blocks, each with its own loop. */
    o = decode_masks("remdm-llada", SET({"steps", "16"}, {"block-length", "8"}), NULL, 16);
    CHECK(o.T == 32 && o.steps == 32);
    int left = 16;
    for (int k = 0; k < 32; k++) {
        left += o.back[k] - o.written[k];
        CHECK(k < 15 ? left > 8 : k == 15 ? left == 8 : left <= 8);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_p2),         cmocka_unit_test(test_remdm_rates),
        cmocka_unit_test(test_remdm_conf), cmocka_unit_test(test_remdm_loop),
        cmocka_unit_test(test_fb),         cmocka_unit_test(test_dfm),
        cmocka_unit_test(test_dfm_plans),  cmocka_unit_test(test_remdm_llada),
    };
    return finish("policies_remask", cmocka_run_group_tests(tests, NULL, NULL));
}
