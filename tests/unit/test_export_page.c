/* test_export_page.c - the HTML export: what a browser is given. No token's text leaves its string, the data
 * is one JSON document that says what the recording says, and nothing points outside the file. */
#include "export_run.h"

#include <cjson/cJSON.h>
#include <locale.h>

static trajectory run, other;

/* The document, and its data as a tree. */
typedef struct page {
    strbuf text;
    cJSON *data;
} page;

static page open_page(const trajectory *const *runs, int n, export_opts o) {
    page p = {0};
    must_export(&p.text, "html", runs, n, o);
    char *from = strstr(p.text.data, "id=\"recording\">"), *end = from ? strstr(from, "</script>") : NULL;
    if (!end) fail_msg("no data in the page");
    from += strlen("id=\"recording\">");
    for (const char *s = from; s < end; s++) {
        if (*s == '<') CHECK(!"a '<' in the data");
    }
    p.data = cJSON_ParseWithLength(from, (size_t)(end - from));
    if (!p.data) fail_msg("the data is no JSON");
    return p;
}

static void close_page(page *p) {
    cJSON_Delete(p->data);
    strbuf_release(&p->text);
}

static const cJSON *get(const cJSON *o, const char *key) {
    return cJSON_GetObjectItemCaseSensitive(o, key);
}

static const cJSON *run_of(const page *p, int i) {
    return cJSON_GetArrayItem(get(p->data, "runs"), i);
}

static double number_at(const cJSON *list, int i) {
    const cJSON *item = cJSON_GetArrayItem(list, i);
    return cJSON_IsNumber(item) ? item->valuedouble : -1e9;
}

static void test_nothing_escapes(void **state) {
    (void)state;
    const trajectory *runs[] = {&run, &other};
    page p = open_page(runs, 2, (export_opts){0});
    CHECK(is_harmless(&p.text));
    CHECK(count_of(&p.text, "</script") == 2 && count_of(&p.text, "<script") == 2);
    static const char *const never[] = {
        "<img",   "http:",   "https:",  "src=",     "href=",     "@import",        "url(",
        "@DATA@", "@TITLE@", "@STYLE@", "@SCRIPT@", "innerHTML", "document.write", "eval("};
    for (size_t i = 0; i < sizeof never / sizeof *never; i++) {
        const char *hit = strstr(p.text.data, never[i]);
        bool in_data = hit && !strncmp(hit, "src=x onerror", 13); /* the hostile token's own text */
        CHECK(!hit || in_data);
    }
    CHECK(strstr(p.text.data, "default-src 'none'"));
    CHECK(strstr(p.text.data, "<title>mo&lt;b&gt;del&lt;U+001B&gt;]0;x&lt;U+0007&gt;, bo|e and "));
    close_page(&p);
}

static void expect_text(const cJSON *texts, int id, const char *want) {
    char key[8];
    snprintf(key, sizeof key, "%d", id);
    const cJSON *t = get(texts, key);
    char *got = t ? cJSON_PrintUnformatted(t) : NULL;
    if (!CHECK(got && !strcmp(got, want)))
        print_error("token %d: %s, expected %s\n", id, got ? got : "nothing", want);
    cJSON_free(got);
}

static void test_texts(void **state) {
    (void)state;
    const trajectory *runs[] = {&run};
    page p = open_page(runs, 1, (export_opts){0});
    const cJSON *texts = get(run_of(&p, 0), "texts");
    expect_text(texts, EOS, "{\"s\":1,\"p\":[[\"t\",\"<eos>\"]]}");
    expect_text(texts, SCRIPT, "\"</script><img src=x onerror=alert(1)>\"");
    expect_text(
        texts, ESCAPE,
        "{\"s\":0,\"p\":[[\"m\",\"<U+001B>\"],[\"t\",\"[31mred\"],[\"m\",\"<U+0007>\"],[\"b\",\"9B\"]]}");
    expect_text(texts, BIDI, "{\"s\":0,\"p\":[[\"m\",\"<U+202E>\"],[\"t\",\"evil\"],[\"m\",\"<U+2066>\"]]}");
    expect_text(texts, HALF_1, "{\"s\":0,\"p\":[[\"t\",\"x\"],[\"b\",\"E28A\"]]}");
    expect_text(texts, HALF_2, "{\"s\":0,\"p\":[[\"b\",\"95\"],[\"t\",\"y\"]]}");
    expect_text(texts, BREAK, "{\"s\":0,\"p\":[[\"n\",\"\u21B5\"]]}");
    expect_text(texts, NO_UTF8, "{\"s\":0,\"p\":[[\"b\",\"FFFEC080\"]]}");
    expect_text(texts, NUL, "{\"s\":0,\"p\":[[\"t\",\"a\"],[\"m\",\"<U+0000>\"],[\"t\",\"b\"]]}");
    expect_text(texts, EMPTY, "\"\"");
    expect_text(texts, PLAIN, "\" plain\"");
    expect_text(texts, TOP_ID, "{\"s\":0,\"p\":[[\"m\",\"<U+FEFF><U+FFFF><U+FFFE>\"]]}");
    CHECK(!get(texts, "16")); /* UNKNOWN has none */
    close_page(&p);
}

static void test_steps(void **state) {
    (void)state;
    const trajectory *runs[] = {&run};
    page p = open_page(runs, 1, (export_opts){.at = 3, .color = EXPORT_TIS});
    const cJSON *r = run_of(&p, 0), *steps = get(r, "steps"), *first = cJSON_GetArrayItem(steps, 0);
    CHECK(get(p.data, "at")->valueint == 3 && !strcmp(get(p.data, "color")->valuestring, "tis"));
    CHECK(cJSON_GetArraySize(steps) == 4 && cJSON_GetArraySize(get(r, "start")) == N_HOSTILE);
    CHECK(!strcmp(get(r, "seed")->valuestring, "18446744073709551615"));
    CHECK(cJSON_IsTrue(get(r, "complete")));
    static const char *const kinds[] = {"decode", "force", "remask", "decode"};
    for (int k = 0; k < 4; k++)
        CHECK(!strcmp(get(cJSON_GetArrayItem(steps, k), "kind")->valuestring, kinds[k]));
    CHECK(cJSON_GetArraySize(get(first, "h")) == 21 && near(number_at(get(first, "h"), 3), 10000, 0));
    CHECK(near(number_at(get(first, "c"), 0), 75000, 0) && get(first, "cand")->valueint == 1);
    CHECK(near(number_at(get(first, "tis"), 1), -0.125, 0) && near(get(first, "gate")->valuedouble, 1, 0));
    /* The second candidate's probability would be 0. */
    CHECK(near(number_at(get(first, "k"), 0), 1, 0) && cJSON_GetArraySize(get(first, "ti")) == 21);
    CHECK(cJSON_GetArraySize(get(first, "w")) == 24 && near(number_at(get(first, "w"), 1), ESCAPE, 0));
    CHECK(near(get(get(p.data, "scale"), "tis")->valuedouble, 0.5, 0));
    CHECK(get(get(p.data, "scale"), "order")->valueint == 22);
    CHECK(cJSON_GetArraySize(get(p.data, "colors")) == N_EXPORT_COLORS);
    close_page(&p);
}

static void test_two_runs(void **state) {
    (void)state;
    const trajectory *runs[] = {&run, &other};
    page p = open_page(runs, 2, (export_opts){.at = EXPORT_END});
    CHECK(get(p.data, "at")->valueint == 4); /* of the longer one */
    CHECK(cJSON_GetArraySize(get(p.data, "runs")) == 2);
    CHECK(cJSON_GetArraySize(get(run_of(&p, 1), "steps")) == 1);
    close_page(&p);
}

/* A live run shows what it would do next. */
static void test_pending(void **state) {
    (void)state;
    trajectory t;
    const trajectory *runs[] = {&t};
    open_run(&t, (const int32_t[]){PLAIN, MASK}, 2);
    step_record *r = known(&t, STEP_DECODE);
    trajectory_set_pending(&t, r);
    record_unref(r);
    page p = open_page(runs, 1, (export_opts){.at = EXPORT_END});
    CHECK(get(p.data, "at")->valueint == 0 && cJSON_GetArraySize(get(run_of(&p, 0), "steps")) == 0);
    CHECK(cJSON_GetArraySize(get(get(run_of(&p, 0), "pending"), "h")) == 1);
    close_page(&p);
    trajectory_release(&t);
}

/* A step of a person that knew nothing, observed scores, and candidates that are not all. */
static void test_sparse(void **state) {
    (void)state;
    trajectory t;
    const trajectory *runs[] = {&t};
    open_run(&t, (const int32_t[]){PLAIN, MASK, MASK, MASK}, 4);
    step_record *r = record_new();
    r->kind = STEP_FORCE;
    commit(&t, r, 1, (const int[]){2, CDATA});
    r = known(&t, STEP_DECODE);
    r->observed = r->masked + 1;
    r->observed_tis = r->tis;
    r->n_observed = 1;
    r->observed_name = "mask/others/dense";
    r->tis = NULL;
    r->tis_name = NULL;
    r->n_cand = 1;
    commit(&t, r, 1, (const int[]){1, CDATA});
    page p = open_page(runs, 1, (export_opts){0});
    const cJSON *steps = get(run_of(&p, 0), "steps"), *force = cJSON_GetArrayItem(steps, 0),
                *decode = cJSON_GetArrayItem(steps, 1);
    CHECK(!get(force, "h") && !get(force, "cand") && !get(force, "mean"));
    CHECK(near(number_at(get(decode, "cand"), 0), 0, 0) && near(number_at(get(decode, "seen"), 0), 1, 0));
    CHECK(!get(decode, "tis") && near(get(decode, "seenTis")->valuedouble, 0.5, 0));
    CHECK(!strcmp(get(decode, "tisName")->valuestring, "mask/others/dense"));
    close_page(&p);
    trajectory_release(&t);
}

static void test_setting(void **state) {
    (void)state;
    trajectory t;
    const trajectory *runs[] = {&t};
    open_run(&t, (const int32_t[]){PLAIN, MASK}, 2);
    commit_setting(&t);
    page p = open_page(runs, 1, (export_opts){0});
    const cJSON *step = cJSON_GetArrayItem(get(run_of(&p, 0), "steps"), 0), *set = get(step, "set");
    CHECK(is_harmless(&p.text));
    CHECK(set && !strcmp(get(set, "policy")->valuestring, "mar<gin") && get(set, "T")->valueint == 9);
    CHECK(near(number_at(get(set, "pins"), 0), 0, 0) && cJSON_GetArraySize(get(set, "bans")) == 2);
    CHECK(near(number_at(cJSON_GetArrayItem(get(set, "bans"), 1), 0), -1, 0));
    CHECK(!strcmp(get(step, "note")->valuestring, "why | <U+001B>[2J</script>\u21B5because"));
    expect_text(get(run_of(&p, 0), "texts"), CDATA, "\"]]>\"");
    close_page(&p);
    trajectory_release(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_escapes), cmocka_unit_test(test_texts),   cmocka_unit_test(test_steps),
        cmocka_unit_test(test_two_runs),        cmocka_unit_test(test_pending), cmocka_unit_test(test_sparse),
        cmocka_unit_test(test_setting),
    };
    setlocale(LC_CTYPE, "C.UTF-8");
    hostile_run(&run);
    open_run(&other, (const int32_t[]){EOS, SCRIPT, MASK}, 3);
    commit(&other, known(&other, STEP_DECODE), 1, (const int[]){2, CDATA});
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    trajectory_release(&run);
    trajectory_release(&other);
    return finish("export page", rc);
}
