/* test_eval_results.c - plans, their keys, and the results file: what is found again, what is not counted
 * twice, and what a killed run leaves. Then tables and charts from outcomes. */
#include "checks.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "eval/eval.h"
#include "fake_denoiser.h"

static eval_plan plan;
static outcome outcomes[64];
static char path[] = "/tmp/test_eval_results_XXXXXX";

/* Two policies, three examples, two seeds: 12 items. */
static void make_plan(const char *identity) {
    err e = {0};
    eval_config pair[2] = {{.label = "confidence"}, {.label = "boe"}};
    for (int i = 0; i < 2; i++) {
        pair[i].policy = policy_find(pair[i].label);
        policy_defaults(pair[i].policy, NULL, &pair[i].params);
    }
    eval_wish w = {.policies = pair,
                   .n_policies = 2,
                   .lengths = {8},
                   .n_lengths = 1,
                   .rates = {1},
                   .n_rates = 1,
                   .seeds = {0, 7},
                   .n_seeds = 2};
    plan_release(&plan);
    plan.task = task_find("countdown");
    MUST(task_examples(plan.task, &(task_opts){.n = 3}, &plan.examples, &e), &e);
    MUST(plan_configs(&plan, &w, &(denoiser_info){.n_vocab = 10}, &e), &e);
    plan.identity = strdup(identity);
    CHECK(plan_items(&plan) == 12);
}

static outcome some_outcome(int item) {
    return (outcome){.known = true,
                     .verdict = item % 2 ? VERDICT_RIGHT : VERDICT_WRONG,
                     .masks = 8,
                     .steps = 8,
                     .rate = 1,
                     .nfe = 8.1 + item,
                     .seconds = 0.25,
                     .backward_rows = item,
                     .elbo = NAN,
                     .judge = NAN,
                     .entropy = NAN,
                     .diversity = NAN,
                     .text = strdup("44-15=29 \xf0\x9f\x98\x80 \"\\\n")};
}

static void forget(void) {
    for (int i = 0; i < 64; i++) outcome_release(&outcomes[i]);
}

static int open_file(results_file **f, int *found, bool *torn, err *e) {
    forget();
    *e = (err){0};
    return results_open(f, path, &plan, outcomes, found, torn, e);
}

static void append(results_file *f, int item) {
    err e = {0};
    strbuf line;
    outcome o = some_outcome(item);
    strbuf_init(&line, 1 << 16);
    MUST(outcome_write(&plan, item, &o, &line, &e), &e);
    MUST(results_append(f, &line, &e), &e);
    strbuf_release(&line);
    outcome_release(&o);
}

static void put(const char *text) {
    FILE *f = fopen(path, "a");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void keys(void **state) {
    (void)state;
    make_plan("model a");
    char a[EVAL_KEY], b[EVAL_KEY];
    for (int i = 0; i < 12; i++) {
        plan_key(&plan, i, a);
        CHECK(strlen(a) == 32);
        for (int j = 0; j < i; j++) {
            plan_key(&plan, j, b);
            CHECK(strcmp(a, b) != 0);
        }
    }
    make_plan("model b");
    plan_key(&plan, 11, b);
    CHECK(strcmp(a, b) != 0); /* another model */
    make_plan("model a");
    plan_key(&plan, 11, b);
    CHECK(!strcmp(a, b)); /* the same again */
    plan.configs[plan_config(&plan, 11)].params.v[0] = 3;
    plan_key(&plan, 11, b);
    CHECK(strcmp(a, b) != 0); /* another parameter */
    eval_hash("", 0, a);
    eval_hash("a", 1, b);
    CHECK(strcmp(a, b) != 0 && strncmp(b, b + 16, 16) != 0);
}

/* Where answers end is part of what a result is. */
static void identities(void **state) {
    (void)state;
    fake *f = fake_new(false, 8);
    err e = {0};
    eval_plan p[3] = {
        {.task = task_find("gsm8k")}, {.task = task_find("gsm8k")}, {.task = task_find("gsm8k")}};
    for (int i = 0; i < 3; i++)
        MUST(plan_identity(&p[i], &(model){.d = &f->base, .stop_id = i < 2 ? -1 : 5}, NULL, false, &e), &e);
    CHECK(!strcmp(p[0].identity, p[1].identity) && strcmp(p[0].identity, p[2].identity) != 0);
    for (int i = 0; i < 3; i++) plan_release(&p[i]);
    denoiser_close(&f->base);
}

static void bad_plans(void **state) {
    (void)state;
    err e = {0};
    eval_config twice[2] = {{.label = "boe"}, {.label = "boe"}};
    for (int i = 0; i < 2; i++) {
        twice[i].policy = policy_find("boe");
        policy_defaults(twice[i].policy, NULL, &twice[i].params);
    }
    eval_plan p = {.examples = {.n = 1}};
    eval_wish w = {.policies = twice, .n_policies = 2, .n_lengths = 1, .seeds = {0}, .n_seeds = 1};
    CHECK(plan_configs(&p, &w, &(denoiser_info){.n_vocab = 10}, &e) == ERR_BAD_ARGUMENT);
    CHECK(strstr(e.msg, "twice") != NULL);
    w.n_policies = 1;
    w.rates[0] = 2;
    w.n_rates = 1;
    MUST(param_parse(&twice[0].params, "steps", "4", &e), &e);
    CHECK(plan_configs(&p, &w, &(denoiser_info){.n_vocab = 10}, &e) == ERR_BAD_ARGUMENT);
}

static void resume(void **state) {
    (void)state;
    make_plan("model a");
    results_file *f, *g;
    int found;
    bool torn;
    err e;
    MUST(open_file(&f, &found, &torn, &e), &e);
    CHECK(found == 0 && !torn);
    CHECK(results_open(&g, path, &plan, outcomes, &found, NULL, &e) == ERR_BAD_ARGUMENT); /* locked */
    append(f, 5);
    append(f, 0);
    append(f, 5); /* the same item again counts once */
    results_close(f);
    MUST(open_file(&f, &found, &torn, &e), &e);
    CHECK(found == 2 && !torn && outcomes[5].known && outcomes[0].known && !outcomes[1].known);
    outcome want = some_outcome(5);
    CHECK(outcomes[5].verdict == want.verdict && outcomes[5].backward_rows == 5 && outcomes[5].masks == 8);
    CHECK(near(outcomes[5].nfe, want.nfe, 0) && isnan(outcomes[5].elbo) &&
          !strcmp(outcomes[5].text, want.text));
    outcome_release(&want);
    results_close(f);
    put("{\"key\":\"0123"); /* killed while it wrote */
    MUST(open_file(&f, &found, &torn, &e), &e);
    CHECK(found == 2 && torn);
    append(f, 1);
    results_close(f);
    MUST(open_file(&f, &found, &torn, &e), &e);
    CHECK(found == 3 && !torn);
    results_close(f);
    make_plan("model b"); /* another model's results stay, and do not count */
    MUST(open_file(&f, &found, &torn, &e), &e);
    CHECK(found == 0);
    append(f, 2);
    results_close(f);
    make_plan("model a");
    MUST(open_file(&f, &found, &torn, &e), &e);
    CHECK(found == 3);
    results_close(f);
}

static void damaged(void **state) {
    (void)state;
    results_file *f;
    int found;
    err e;
    put("{\"key\":\"00000000000000000000000000000000\",\"text\":\"\"}\n");
    CHECK(open_file(&f, &found, NULL, &e) == ERR_BAD_FORMAT && !f);
    CHECK(strstr(e.msg, path) && strstr(e.msg, "out of range"));
    CHECK(!truncate(path, 0));
    put("notes to keep");
    CHECK(open_file(&f, &found, NULL, &e) == ERR_BAD_FORMAT && !f);
    CHECK(!truncate(path, 0));
    put("notes to keep\n");
    CHECK(open_file(&f, &found, NULL, &e) == ERR_BAD_FORMAT && !f);
    static const char *const mistaken[] = {"{\"model_type\": \"llada\"}", "{", "one line\nand another",
                                           "{}\n{\"key\":\"0"};
    for (size_t i = 0; i < sizeof mistaken / sizeof *mistaken; i++) { /* nothing of them is lost */
        struct stat st;
        CHECK(!truncate(path, 0));
        put(mistaken[i]);
        int rc = open_file(&f, &found, NULL, &e);
        CHECK(rc == ERR_BAD_FORMAT || (i == 1 && !rc));
        if (!rc) results_close(f);
        CHECK(i == 1 || (!stat(path, &st) && st.st_size == (off_t)strlen(mistaken[i])));
    }
    CHECK(results_open(&f, "/nonexistent/file", &plan, outcomes, &found, NULL, &e) == ERR_IO && !f);
}

static void tables(void **state) {
    (void)state;
    make_plan("model a");
    forget();
    /* Items of example x: confidence seed 0, seed 7, boe seed 0, seed 7. Confidence: right in all but one. */
    for (int i = 0; i < 12; i++) {
        outcomes[i] = some_outcome(i);
        outcomes[i].verdict = i % 4 < 2 ? (i == 0 ? VERDICT_WRONG : VERDICT_RIGHT) : VERDICT_WRONG;
        outcomes[i].nfe = i % 4 < 2 ? 8 : 16;
    }
    summary s;
    err e = {0};
    MUST(summary_make(&s, &plan, outcomes, &e), &e);
    CHECK(s.n_rows == 4 && s.n_pairs == 2);
    CHECK(s.rows[0].n == 3 && s.rows[0].correct == 2 && s.rows[1].correct == 3 && s.rows[2].correct == 0);
    CHECK(near(s.rows[0].accuracy, 2 / 3.0, 1e-12) && near(s.rows[2].nfe, 16, 0) &&
          near(s.rows[0].seconds, 0.75, 1e-12));
    CHECK(s.pairs[0].a == &s.rows[0] && s.pairs[0].b == &s.rows[2] && s.pairs[0].only_a == 2 &&
          s.pairs[0].only_b == 0);
    CHECK(near(s.pairs[0].p, 0.5, 1e-12) && near(s.pairs[1].p, 0.25, 1e-12) &&
          near(s.pairs[1].difference, -1, 0));
    CHECK(summary_is_best(&s, 1) && !summary_is_best(&s, 0) && !summary_is_best(&s, 3));
    strbuf text;
    strbuf_init(&text, 1 << 20);
    plot_svg(&s, "a < b & c", &text);
    CHECK(strstr(text.data, "a &lt; b &amp; c") && strstr(text.data, "</svg>"));
    strbuf_clear(&text);
    plot_text(&s, 40, 9, &text);
    CHECK(strstr(text.data, "100%") && strstr(text.data, "a confidence"));
    strbuf_release(&text);
    summary_release(&s);
}

int main(void) {
    int fd = mkstemp(path);
    if (fd < 0) return 1;
    close(fd);
    const struct CMUnitTest tests[] = {cmocka_unit_test(keys),      cmocka_unit_test(identities),
                                       cmocka_unit_test(bad_plans), cmocka_unit_test(resume),
                                       cmocka_unit_test(damaged),   cmocka_unit_test(tables)};
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    forget();
    plan_release(&plan);
    unlink(path);
    return finish("eval_results", rc);
}
