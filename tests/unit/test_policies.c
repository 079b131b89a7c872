/* test_policies.c - what each policy ranks by, against values computed by hand, and what a step of it costs.
 */
#include "checks.h"

#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "fake_denoiser.h"

enum { N = 12 };

static const int32_t prompt[N] = {8, 2, 8, 8, 5, 8, 8, 0, 8, 8, 1, 8};

/* ---- the table ---- */

static void test_table(void **state) {
    (void)state;
    static const char *const names[] = {
        "confidence", "margin",      "entropy",     "random",     "left-to-right", "boe",   "boe-others",
        "boe-mid",    "boe-rows",    "boe-horizon", "boe-verify", "oracle",        "fixed", "threshold",
        "factor",     "eb",          "pc",          "klass",      "maskgit",       "dream", "p2",
        "remdm",      "remdm-llada", "fb",          "dfm",        "lookum"};
    enum { N_NAMES = sizeof names / sizeof *names };
    char all[320] = "";
    for (int i = 0; i < N_NAMES; i++) {
        size_t at = strlen(all);
        snprintf(all + at, sizeof all - at, "%s%s", i ? ", " : "", names[i]);
        CHECK(policies[i] && strcmp(policies[i]->name, names[i]) == 0);
        CHECK(policy_find(names[i]) == policies[i]);
    }
    CHECK(policies[N_NAMES] == NULL && strcmp(policy_names(), all) == 0);
    CHECK(policy_find("ltr") == policy_find("left-to-right") && policy_find("greedy") == NULL);
}

static void expect_triple(const char *name, const char *look, const char *obj, const char *act) {
    param_set s;
    policy_defaults(policy_find(name), NULL, &s);
    CHECK(strcmp(param_choice(&s, "lookahead"), look) == 0);
    CHECK(strcmp(param_choice(&s, "objective"), obj) == 0);
    CHECK(strcmp(param_choice(&s, "active"), act) == 0);
    CHECK(param_bool(&s, "gate") && param_bool(&s, "anti-collapse") && near(param_real(&s, "rho"), 0.25, 0));
    CHECK(near(param_real(&s, "lambda"), 0, 0) && near(param_real(&s, "alpha"), 1, 0));
    CHECK(param_int(&s, "path-points") == 1 && strcmp(param_choice(&s, "lambda-schedule"), "linear") == 0);
    CHECK(strcmp(param_choice(&s, "candidate-rule"), "confidence") == 0);
}

/* Whether a name is in a list of words. */
static bool is_one_of(const char *name, const char *words) {
    size_t n = strlen(name);
    for (const char *at = words; (at = strstr(at, name)); at += n) {
        if ((at == words || at[-1] == ' ') && (at[n] == ' ' || !at[n])) return true;
    }
    return false;
}

static void test_defaults(void **state) {
    (void)state;
    expect_triple("boe", "mask", "masked", "candidates");
    expect_triple("boe-others", "mask", "others", "dense");
    expect_triple("boe-mid", "mid", "others", "dense");
    expect_triple("boe-rows", "rows", "others", "masked");
    model_tuning tuning = {.tuned = true, .lambda = 0.05, .h_max = 3};
    for (int i = 0; policies[i]; i++) {
        param_set s;
        policy_defaults(policies[i], &tuning, &s);
        bool steered = strncmp(policies[i]->name, "boe", 3) == 0;
        CHECK((param_find(&s, "lambda") >= 0) == steered);
        if (steered) CHECK(near(param_real(&s, "lambda"), 0.05, 0) && near(param_real(&s, "h-max"), 3, 0));
        bool samples = is_one_of(policies[i]->name, "maskgit remdm remdm-llada fb dfm");
        bool nucleus = is_one_of(policies[i]->name, "remdm fb dfm");
        CHECK(param_int(&s, "steps") == 0 && param_int(&s, "block-length") == 0);
        CHECK(param_int(&s, "budget") == (is_one_of(policies[i]->name, "lookum") ? 2 : 1));
        CHECK(near(param_real(&s, "temperature"), samples, 0) && near(param_real(&s, "cfg"), 0, 0));
        CHECK(near(param_real(&s, "top-p"), nucleus ? 0.9 : 1, 0) && param_int(&s, "top-k") == 0);
        CHECK(!param_bool(&s, "eos-last") && !param_bool(&s, "eos-ban"));
        tuning.tuned = false;
        policy_defaults(policies[i], &tuning, &s);
        if (steered) CHECK(near(param_real(&s, "lambda"), 0, 0));
        tuning.tuned = true;
    }
    tuning.lambda = -4;
    tuning.h_max = 1e9;
    param_set s;
    policy_defaults(policy_find("boe"), &tuning, &s);
    CHECK(near(param_real(&s, "lambda"), 0, 0) && near(param_real(&s, "h-max"), 100, 0));
}

/* ---- one step through a session ---- */

typedef struct setting {
    const char *name, *value;
} setting;

static const step_record *step_at(denoiser *d, const char *name, const setting *set, uint64_t seed, int k) {
    err e = {0};
    session *s;
    const step_record *r;
    session_opts o = {.prompt = prompt, .n_prompt = N, .policy = policy_find(name), .seed = seed};
    policy_defaults(o.policy, NULL, &o.params);
    for (; set && set->name; set++) MUST(param_parse(&o.params, set->name, set->value, &e), &e);
    MUST(session_open(&s, d, &o, &e), &e);
    MUST(session_seek(s, &(session_state){prompt, N, k, k, NULL, NULL}, &e), &e);
    MUST(session_propose(s, &r, &e), &e);
    session_close(s);
    return r;
}

static const step_record *step(denoiser *d, const char *name, const setting *set) {
    return step_at(d, name, set, 1, 0);
}

/* Probabilities of one row: given ones on tokens from 0 on. */
static void row(float *z, int n, const double *p) {
    for (int v = 0; v < FAKE_V; v++) z[v] = v < n ? (float)log(p[v]) : -INFINITY;
}

/* Masked positions are 0 2 3 5 6 8 9 11. */
static void hand_table(float *table) {
    static const double a[] = {.50, .49, .01},
                        b[] = {.5, 1 / 14., 1 / 14., 1 / 14., 1 / 14., 1 / 14., 1 / 14., 1 / 14.};
    static const double c[] = {.625, .1875, .1875}, flat[] = {.125, .125, .125, .125, .125, .125, .125, .125};
    for (int i = 0; i < N; i++) row(table + i * FAKE_V, 8, flat);
    row(table + 2 * FAKE_V, 3, a);
    row(table + 3 * FAKE_V, 8, b);
    row(table + 5 * FAKE_V, 3, c);
    row(table + 9 * FAKE_V, 3, c);
}

static double score_at(const step_record *r, int pos) {
    int i = record_cand_index(r, pos);
    CHECK(i >= 0);
    return r->score[i];
}

static void test_greedy_scores(void **state) {
    (void)state;
    float table[N * FAKE_V];
    fake *f = fake_new(false, N);
    hand_table(table);
    f->table = table;
    const step_record *r = step(&f->base, "confidence", NULL);
    CHECK(r->n_cand == 8 && r->n_masked == 8 && !r->tis && !r->gate && !r->penalty && !r->tis_name &&
          !r->delta_e_norm);
    CHECK(near(score_at(r, 2), .5, 1e-6) && near(score_at(r, 3), .5, 1e-6) &&
          near(score_at(r, 5), .625, 1e-6));
    CHECK(near(score_at(r, 0), .125, 1e-6));
    CHECK(r->n_writes == 1 && r->writes[0].pos == 5 && r->writes[0].token == 0); /* 5 and 9 tie */
    CHECK(near(r->writes[0].p, .625, 1e-6) && near(r->writes[0].score, score_at(r, 5), 0));
    record_unref(r);
    r = step(&f->base, "margin", NULL);
    CHECK(near(score_at(r, 2), .01, 1e-6) && near(score_at(r, 3), .5 - 1 / 14., 1e-6) &&
          near(score_at(r, 9), .4375, 1e-6));
    CHECK(near(score_at(r, 0), 0, 0) && r->writes[0].pos == 5);
    record_unref(r);
    r = step(&f->base, "entropy", NULL);
    CHECK(near(score_at(r, 2), -.742, 1e-3) && near(score_at(r, 5), -.9215, 1e-3) &&
          near(score_at(r, 0), -log(8), 1e-6));
    CHECK(r->writes[0].pos == 2 && near(r->total_entropy, .742 + 2 * .9215 + 1.6661 + 4 * log(8), 2e-3));
    record_unref(r);
    r = step(&f->base, "ltr", (setting[]){{"budget", "3"}, {0}});
    CHECK(near(score_at(r, 0), 0, 0) && !signbit(score_at(r, 0)) && near(score_at(r, 11), -11, 0));
    CHECK(r->n_writes == 3 && r->writes[0].pos == 0 && r->writes[1].pos == 2 && r->writes[2].pos == 3);
    record_unref(r);
    /* All four orders in one go: rank order of the writes, ties to the lower position. */
    r = step(&f->base, "confidence", (setting[]){{"budget", "8"}, {0}});
    static const int order[8] = {5, 9, 2, 3, 0, 6, 8, 11};
    bool tied = fabs(score_at(r, 2) - score_at(r, 3)) > 0; /* .5 of two rows may differ in the last bit */
    for (int i = 0; i < 8; i++) CHECK(r->writes[i].pos == order[i] || (tied && (i == 2 || i == 3)));
    record_unref(r);
    denoiser_close(&f->base);
}

static void test_random(void **state) {
    (void)state;
    fake *f = fake_new(false, N);
    const step_record *a = step_at(&f->base, "random", NULL, 1, 0),
                      *b = step_at(&f->base, "random", NULL, 1, 0);
    const step_record *c = step_at(&f->base, "random", NULL, 2, 0),
                      *d = step_at(&f->base, "random", NULL, 1, 1);
    int differ_seed = 0, differ_step = 0;
    for (int i = 0; i < a->n_cand; i++) {
        CHECK(a->score[i] > 0 && a->score[i] < 1 && near(a->score[i], b->score[i], 0));
        differ_seed += fabs(a->score[i] - c->score[i]) > 0;
        differ_step += fabs(a->score[i] - d->score[i]) > 0;
        if (i) CHECK(fabs(a->score[i] - a->score[i - 1]) > 0);
    }
    CHECK(differ_seed == 8 && differ_step == 8);
    record_unref(a), record_unref(b), record_unref(c), record_unref(d);
    denoiser_close(&f->base);
}

/* ---- the BoE score ---- */

static void check_parts(const step_record *r, double lambda_t, double h_t, bool gated) {
    CHECK(near(r->lambda_t, lambda_t, 1e-15) && near(r->h_t, h_t, 1e-15));
    CHECK(r->tis && r->gate && r->penalty && r->delta_e_norm);
    for (int i = 0; i < r->n_cand; i++) {
        double H = r->entropy[record_masked_index(r, r->cand[i])], low = h_t - H > 0 ? h_t - H : 0;
        CHECK(near(r->gate[i], gated ? 1 - H / log(FAKE_V - 1) : 1, 1e-12));
        CHECK(near(r->penalty[i], lambda_t * low * low, 1e-12));
        CHECK(near(r->score[i], r->gate[i] * r->tis[i] - r->penalty[i], 0));
        CHECK(r->delta_e_norm[i] > 0);
    }
}

static void test_boe_parts(void **state) {
    (void)state;
    fake *f = fake_new(false, N);
    const step_record *r = step(&f->base, "boe", NULL); /* T = 8 */
    CHECK(strcmp(r->tis_name, "mask/masked/candidates") == 0 && r->T == 8 && r->t == 8 && r->n_cand == 2);
    check_parts(r, 0, 0, true);
    record_unref(r);
    r = step(&f->base, "boe", (setting[]){{"lambda", "0.5"}, {"h-max", "2"}, {"gate", "off"}, {0}});
    check_parts(r, 0.5, 2, false);
    record_unref(r);
    r = step_at(&f->base, "boe", (setting[]){{"lambda", "0.5"}, {"h-max", "3"}, {0}}, 1, 6);
    CHECK(r->t == 2 && r->step == 6);
    check_parts(r, 0.125, 0.75, true);
    record_unref(r);
    r = step_at(&f->base, "boe", (setting[]){{"lambda", "0.5"}, {"lambda-schedule", "constant"}, {0}}, 1, 6);
    check_parts(r, 0.5, 0.5, true);
    record_unref(r);
    r = step(&f->base, "boe", (setting[]){{"lambda", "0.5"}, {"anti-collapse", "off"}, {0}});
    check_parts(r, 0, 0, true);
    record_unref(r);
    r = step_at(&f->base, "boe", NULL, 1, 40); /* past the plan */
    CHECK(r->t == 1 && r->step == 40);
    record_unref(r);
    r = step(&f->base, "boe", (setting[]){{"candidate-rule", "all"}, {"active", "dense"}, {0}});
    CHECK(r->n_cand == 8 && strcmp(r->tis_name, "mask/masked/dense") == 0);
    record_unref(r);
    r = step(&f->base, "oracle", (setting[]){{"rho", "1"}, {0}});
    CHECK(r->n_cand == 8 && strcmp(r->tis_name, "full/others/dense") == 0 && r->score == r->tis && !r->gate);
    record_unref(r);
    denoiser_close(&f->base);
}

static void test_refusals(void **state) {
    (void)state;
    static const struct {
        bool shifted;
        setting set[4];
        const char *says;
    } bad[] = {
        {false, {{"objective", "remaining"}}, "goes with the lookahead soft"},
        {false, {{"lookahead", "soft"}}, "its objective is remaining"},
        {false, {{"lookahead", "soft"}, {"objective", "remaining"}}, "detached from the candidates"},
        {false, {{"lookahead", "mid"}, {"objective", "others"}}, "active dense only"},
        {false, {{"lookahead", "full"}}, "its objective is others"},
        {true, {{"lookahead", "rows"}, {"objective", "others"}, {"active", "dense"}}, "full/others/dense"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        fake *f = fake_new(bad[i].shifted, N);
        session *s;
        err e = {0};
        session_opts o = {.prompt = prompt, .n_prompt = N, .policy = policy_find("boe")};
        policy_defaults(o.policy, NULL, &o.params);
        for (const setting *p = bad[i].set; p->name; p++)
            MUST(param_parse(&o.params, p->name, p->value, &e), &e);
        int rc = session_open(&s, &f->base, &o, &e);
        if (!CHECK(rc == ERR_BAD_ARGUMENT && s == NULL && strstr(e.msg, bad[i].says)))
            print_error("got: %s\n", e.msg);
        denoiser_close(&f->base);
    }
}

/* ---- costs ---- */

/* What a step of each policy costs with 8 masks of 12, 2 candidates: forwards and backward rows. */
static void test_step_costs(void **state) {
    (void)state;
    static const struct {
        const char *name;
        double nfe, nfe_shifted;
        int rows, rows_shifted; /* -1: |C ∪ emit(C)| */
    } want[] = {
        {"confidence", 1, 1, 0, 0},
        {"margin", 1, 1, 0, 0},
        {"entropy", 1, 1, 0, 0},
        {"random", 1, 1, 0, 0},
        {"left-to-right", 1, 1, 0, 0},
        {"boe", 1, 1, 2, -1},
        {"boe-others", 1, 1, 24, 24},
        {"boe-mid", 3, 3, 24, 24},
        {"boe-rows", 1 + 16. / 12, 1 + 16. / 12, 0, 0},
        {"boe-horizon", 5, 5, 2, -1},
        {"boe-verify", 1, 1, 2, -1},
        {"oracle", 3, 3, 0, 0},
    };
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        for (int shifted = 0; shifted < 2; shifted++) {
            fake *f = fake_new(shifted, N);
            const step_record *r = step(&f->base, want[i].name, NULL);
            int rows = shifted ? want[i].rows_shifted : want[i].rows;
            if (rows < 0) {
                bool has[N] = {false};
                rows = 0;
                for (int c = 0; c < r->n_cand; c++)
                    has[r->cand[c]] = has[denoiser_emit(&f->base, r->cand[c])] = true;
                for (int p = 0; p < N; p++) rows += has[p];
            }
            double nfe = shifted ? want[i].nfe_shifted : want[i].nfe;
            if (!CHECK(near(r->nfe, nfe, 1e-12) && r->backward_rows == rows)) {
                print_error("%s: nfe %g (%g), rows %lld (%d)\n", want[i].name, r->nfe, nfe,
                            (long long)r->backward_rows, rows);
            }
            bool whole = strcmp(want[i].name, "boe-rows") != 0;
            if (whole)
                CHECK(near((double)f->base.n_forwards, nfe, 0)); /* the fake's own count */
            else
                CHECK(f->base.n_forwards == 1 && f->n_restricted >= 16);
            record_unref(r);
            denoiser_close(&f->base);
        }
    }
}

/* ---- temperature ---- */

static void test_temperature(void **state) {
    (void)state;
    float table[N * FAKE_V];
    static const double p[] = {.5, .25, .15, .06, .04};
    enum { DRAWS = 4000 };
    int count[FAKE_V] = {0}, cold[FAKE_V] = {0};
    fake *f = fake_new(false, N);
    for (int i = 0; i < N; i++) row(table + i * FAKE_V, 5, p);
    f->table = table;
    for (int k = 0; k < DRAWS / 8; k++) {
        const step_record *r =
            step_at(&f->base, "ltr", (setting[]){{"budget", "8"}, {"temperature", "1"}, {0}}, 7, k);
        for (int i = 0; i < r->n_writes; i++) {
            count[r->writes[i].token]++;
            CHECK(near(r->writes[i].p, p[r->writes[i].token], 1e-6));
        }
        record_unref(r);
        r = step_at(&f->base, "ltr", (setting[]){{"budget", "8"}, {"temperature", "0.5"}, {0}}, 7, k);
        for (int i = 0; i < r->n_writes; i++) cold[r->writes[i].token]++;
        record_unref(r);
    }
    double squares = 0;
    for (int v = 0; v < 5; v++) squares += p[v] * p[v];
    for (int v = 0; v < FAKE_V; v++) {
        double q = v < 5 ? p[v] : 0, sharp = q * q / squares; /* softmax(z/T) at T = 1 and 1/2 */
        CHECK(near(count[v], DRAWS * q, 5 * sqrt(DRAWS * q * (1 - q))));
        CHECK(near(cold[v], DRAWS * sharp, 5 * sqrt(DRAWS * sharp * (1 - sharp))));
    }
    /* confidence ranks by the proposed token's own probability */
    const step_record *r =
        step(&f->base, "confidence", (setting[]){{"budget", "8"}, {"temperature", "1"}, {0}});
    int below = 0;
    for (int i = 0; i < r->n_writes; i++) {
        CHECK(near(r->writes[i].score, r->writes[i].p, 0) &&
              near(r->writes[i].p, p[r->writes[i].token], 1e-6));
        below += r->writes[i].token != 0;
    }
    CHECK(below > 0);
    record_unref(r);
    denoiser_close(&f->base);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),         cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_greedy_scores), cmocka_unit_test(test_random),
        cmocka_unit_test(test_boe_parts),     cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_step_costs),    cmocka_unit_test(test_temperature),
    };
    return finish("policies", cmocka_run_group_tests(tests, NULL, NULL));
}
