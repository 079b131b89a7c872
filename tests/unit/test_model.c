/* test_model.c - opening a checkpoint as a whole: what is optional, what is refused, and that a failure
 * leaves nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/model.h"

static int n_checks, n_failed;
static char dir[] = "/tmp/tabes-model-XXXXXX";

static void check_at(bool ok, int line, const char *what) {
    n_checks++;
    if (ok) return;
    n_failed++;
    print_error("test_model.c:%d: %s\n", line, what);
}
#define CHECK(cond) check_at((cond), __LINE__, #cond)

static void in_dir(const char *name, char *path, size_t size) {
    snprintf(path, size, "%s/%s", dir, name);
}

static void put(const char *name, const char *text) {
    char path[PATH_MAX];
    in_dir(name, path, sizeof path);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void drop(const char *name) {
    char path[PATH_MAX];
    in_dir(name, path, sizeof path);
    unlink(path);
}

/* The weights and config of the llada vectors, by link; tests add the optional files. */
static int make_dir(void **state) {
    (void)state;
    static const char *const names[] = {"config.json", "model.safetensors"};
    char from[PATH_MAX], to[PATH_MAX], root[PATH_MAX / 2];
    if (!mkdtemp(dir) || !getcwd(root, sizeof root)) return -1;
    for (int i = 0; i < 2; i++) {
        snprintf(from, sizeof from, "%s/tests/vectors/llada/%s", root, names[i]);
        in_dir(names[i], to, sizeof to);
        if (symlink(from, to)) return -1;
    }
    return 0;
}

static int remove_dir(void **state) {
    (void)state;
    drop("config.json");
    drop("model.safetensors");
    drop("tokenizer.json");
    drop("tabes.json");
    return rmdir(dir);
}

static void test_plain(void **state) {
    (void)state;
    model m;
    err e = {0};
    int32_t *ids;
    int n;
    assert_int_equal(model_open(&m, dir, NULL, &e), 0);
    CHECK(m.d && !m.tok && !m.tuning.tuned);
    CHECK(model_prompt(&m, "x", 1, &ids, &n, &e) == ERR_UNSUPPORTED && !ids &&
          strstr(e.msg, "--prompt-tokens"));
    token_texts texts = model_texts(&m);
    size_t len;
    bool special;
    CHECK(!texts.text(texts.ctx, 1, &len, &special));
    model_close(&m);
    CHECK(!m.d);
    model_close(&m);
}

static void test_tuning(void **state) {
    (void)state;
    static const struct {
        const char *text, *message; /* NULL: accepted */
        double lambda, h_max;
    } cases[] = {
        {"{\"boe\":{\"lambda\":0.05,\"h_max\":2.5}}", NULL, 0.05, 2.5},
        {"{\"boe\":{\"lambda\":0,\"h_max\":0,\"how\":\"sweep\"},\"other\":[1]}", NULL, 0, 0},
        {"", "tabes.json: not a JSON object", 0, 0},
        {"[1]", "tabes.json: not a JSON object", 0, 0},
        {"{\"boe\":3}", "boe: expected an object", 0, 0},
        {"{\"boe\":{\"h_max\":1}}", "boe.lambda: missing", 0, 0},
        {"{\"boe\":{\"lambda\":1}}", "boe.h_max: missing", 0, 0},
        {"{\"boe\":{\"lambda\":\"1\",\"h_max\":1}}", "boe.lambda: not in range", 0, 0},
        {"{\"boe\":{\"lambda\":-1,\"h_max\":1}}", "boe.lambda: not in range", 0, 0},
        {"{\"boe\":{\"lambda\":1,\"h_max\":1e999}}", "boe.h_max: not in range", 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        model m;
        err e = {0};
        put("tabes.json", cases[i].text);
        int rc = model_open(&m, dir, NULL, &e);
        if (cases[i].message) {
            CHECK(rc && !m.d && !m.tok && strstr(e.msg, cases[i].message));
        } else {
            CHECK(!rc && m.tuning.tuned);
            CHECK(!(m.tuning.lambda < cases[i].lambda) && !(m.tuning.lambda > cases[i].lambda));
            CHECK(!(m.tuning.h_max < cases[i].h_max) && !(m.tuning.h_max > cases[i].h_max));
        }
        model_close(&m);
    }
    put("tabes.json", "{\"later\":{}}");
    model m;
    err e = {0};
    CHECK(!model_open(&m, dir, NULL, &e) && !m.tuning.tuned);
    model_close(&m);
    drop("tabes.json");
}

static void test_with_tokenizer(void **state) {
    (void)state;
    model m;
    err e = {0};
    int32_t *ids;
    int n;
    put("tokenizer.json",
        "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a b\"]},"
        "\"added_tokens\":[{\"id\":47,\"content\":\"[M]\",\"special\":true}]}");
    assert_int_equal(model_open(&m, dir, NULL, &e), 0);
    CHECK(model_prompt(&m, "ab<mask>b[M]", 12, &ids, &n, &e) == 0);
    CHECK(n == 4 && ids[0] == 2 && ids[1] == 47 && ids[2] == 1 && ids[3] == 47);
    free(ids);
    CHECK(model_prompt(&m, "abc", 3, &ids, &n, &e) == ERR_BAD_ARGUMENT && !ids &&
          strstr(e.msg, "prompt: byte 2"));
    model_close(&m);

    put("tokenizer.json", "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":48}}}");
    CHECK(model_open(&m, dir, NULL, &e) == ERR_BAD_FORMAT && !m.d &&
          strstr(e.msg, "ids up to 48, the model only 0..47"));
    put("tokenizer.json", "{");
    CHECK(model_open(&m, dir, NULL, &e) == ERR_BAD_FORMAT && !m.d && strstr(e.msg, "tokenizer.json"));
    drop("tokenizer.json");
}

static void test_missing(void **state) {
    (void)state;
    model m;
    err e = {0};
    CHECK(model_open(&m, "/nonexistent/model", NULL, &e) && !m.d && strstr(e.msg, "/nonexistent/model"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_tuning),
        cmocka_unit_test(test_with_tokenizer),
        cmocka_unit_test(test_missing),
    };
    int rc = cmocka_run_group_tests(tests, make_dir, remove_dir);
    printf("model: %d checks, %d failed\n", n_checks, n_failed);
    return rc || n_failed;
}
