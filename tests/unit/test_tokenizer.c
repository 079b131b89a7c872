/* test_tokenizer.c - tokenizer.json files against ids from the reference library (tests/tokenizer, written by
 * make_vectors.py there), then files and texts that must be refused, then damaged files that must not crash.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utf8proc.h>

#include "engine/base/clock.h"
#include "engine/base/rng.h"
#include "engine/base/strbuf.h"
#include "engine/tokenizer.h"
#include "engine/tokenizer/impl.h"

static int n_checks, n_failed;
static char temp_dir[] = "/tmp/tabes-tokenizer-XXXXXX";

static void check_at(bool ok, int line, const char *what) {
    n_checks++;
    if (ok) return;
    n_failed++;
    print_error("test_tokenizer.c:%d: %s\n", line, what);
}
#define CHECK(cond) check_at((cond), __LINE__, #cond)

/* Vectors -------------------------------------------------------------- */

static void print_ids(const char *what, const int32_t *ids, int n) {
    print_error("  %s:", what);
    for (int i = 0; i < n; i++) print_error(" %d", (int)ids[i]);
    print_error("\n");
}

static void same_ids(const tokenizer *t, const char *name, const char *text, bool special,
                     const cJSON *want) {
    int32_t *got, list[4096];
    int n, n_want = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, want) list[n_want++] = item->valueint;
    err e = {0};
    n_checks++;
    if (tokenizer_encode(t, text, strlen(text), -1, special, &got, &n, &e)) {
        n_failed++;
        print_error("%s: \"%s\": %s\n", name, text, e.msg);
        return;
    }
    if (n != n_want || memcmp(got, list, (size_t)n * sizeof *got) != 0) {
        n_failed++;
        print_error("%s: \"%s\" gives other ids\n", name, text);
        print_ids("got", got, n);
        print_ids("expected", list, n_want);
    }
    free(got);
}

static void same_text(const tokenizer *t, const char *name, const cJSON *ids, const char *want) {
    int32_t list[4096];
    int n = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, ids) list[n++] = item->valueint;
    strbuf text;
    strbuf_init(&text, 1 << 20);
    tokenizer_decode(t, list, n, false, &text);
    n_checks++;
    if (strcmp(text.data, want) != 0) {
        n_failed++;
        print_error("%s: decodes to \"%s\", expected \"%s\"\n", name, text.data, want);
    }
    strbuf_release(&text);
}

static void test_vectors(void **state) {
    const char *name = *state;
    char dir[200], path[256];
    snprintf(dir, sizeof dir, "tests/tokenizer/%s", name);
    snprintf(path, sizeof path, "%s/vectors.json", dir);
    err e = {0};
    tokenizer *t;
    strbuf text;
    if (tokenizer_load(&t, dir, &e) || strbuf_read_file(&text, path, 1 << 24, &e)) fail_msg("%s", e.msg);
    cJSON *root = cJSON_Parse(text.data);
    assert_true(cJSON_GetArraySize(root) > 30);
    const cJSON *item;
    cJSON_ArrayForEach(item, root) {
        const char *s = cJSON_GetStringValue(cJSON_GetObjectItem(item, "text"));
        const cJSON *ids = cJSON_GetObjectItem(item, "ids");
        same_ids(t, name, s, true, ids);
        same_ids(t, name, s, false, cJSON_GetObjectItem(item, "plain"));
        const char *decoded = cJSON_GetStringValue(cJSON_GetObjectItem(item, "decoded"));
        if (decoded) same_text(t, name, ids, decoded);
    }
    cJSON_Delete(root);
    strbuf_release(&text);
    tokenizer_close(t);
}

/* Texts ---------------------------------------------------------------- */

/* As utf8proc has it, and in time that grows with the text: a quarter of a megabyte of marks took it half a
 * minute. */
static void test_nfc(void **state) {
    (void)state;
    static const char *const parts[] = {"a",      "e",      "\u0301", "\u0323",    "\u0327",
                                        "\u0345", "\u1e9b", "\u1100", "\u1161",    "\u11a8",
                                        "\u0f73", "\u212b", "\u5b57", "\U0001d15e"};
    err e = {0};
    char *ours;
    size_t len;
    for (int round = 0; round < 300; round++) {
        strbuf text;
        utf8proc_uint8_t *theirs;
        strbuf_init(&text, 1 << 16);
        int n = 1 + round % 60, odd = round % 7;
        for (int i = 0; i < n; i++) {
            double u = rng_uniform(7, (uint64_t)round, (uint64_t)i, 0, RNG_TOKEN);
            strbuf_puts(&text, parts[(int)(u * (odd ? 14 : 4)) + (odd ? 0 : 2)]); /* marks alone, sometimes */
        }
        utf8proc_ssize_t k = utf8proc_map((const utf8proc_uint8_t *)text.data, (utf8proc_ssize_t)text.len,
                                          &theirs, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
        assert_int_equal(text_nfc(text.data, text.len, &ours, &len, &e), 0);
        CHECK((size_t)k == len && !memcmp(ours, theirs, len));
        free(ours);
        free(theirs);
        strbuf_release(&text);
    }
    strbuf marks;
    strbuf_init(&marks, 1 << 20);
    for (int i = 0; i < 1 << 16; i++) strbuf_puts(&marks, "\u0301\u0323");
    double started = clock_now();
    assert_int_equal(text_nfc(marks.data, marks.len, &ours, &len, &e), 0);
    CHECK(len == marks.len && clock_now() - started < 5);
    CHECK(!memcmp(ours, "\u0323\u0323", 4) && !memcmp(ours + len - 4, "\u0301\u0301", 4));
    free(ours);
    strbuf_release(&marks);
}

static void test_mask_word(void **state) {
    (void)state;
    tokenizer *t;
    err e = {0};
    int32_t *ids;
    int n;
    assert_int_equal(tokenizer_load(&t, "tests/tokenizer/sudoku", &e), 0);
    assert_int_equal(tokenizer_encode(t, "1<mask>.2", 9, 12, true, &ids, &n, &e), 0);
    CHECK(n == 5 && ids[0] == 10 && ids[1] == 0 && ids[2] == 12 && ids[3] == 12 && ids[4] == 1);
    free(ids);
    CHECK(tokenizer_encode(t, "1<mask>", 7, -1, true, &ids, &n, &e) ==
          ERR_BAD_ARGUMENT); /* no mask: '<' has no token */
    CHECK(!ids && strstr(e.msg, "byte 1"));
    tokenizer_close(t);

    /* A short text must not stand for all memory. */
    assert_int_equal(tokenizer_load(&t, "tests/tokenizer/sudoku", &e), 0);
    assert_int_equal(tokenizer_encode(t, "<mask:2>1", 9, 12, false, &ids, &n, &e), 0);
    CHECK(n == 3 && ids[1] == 12);
    free(ids);
    CHECK(tokenizer_encode(t, "<mask:999999><mask:999999>", 26, 12, false, &ids, &n, &e) == ERR_BAD_ARGUMENT);
    CHECK(!ids && strstr(e.msg, "more than 1048576"));
    tokenizer_close(t);

    /* In the story vocabulary `<mask>` is a token of its own; the model's mask id still wins. */
    assert_int_equal(tokenizer_load(&t, "tests/tokenizer/story", &e), 0);
    assert_int_equal(tokenizer_encode(t, "<mask> a", 8, 77, false, &ids, &n, &e), 0);
    CHECK(n >= 2 && ids[0] == 77);
    free(ids);
    CHECK(tokenizer_vocab_size(t) == 420);
    token_texts texts = tokenizer_texts(t);
    size_t len;
    bool special;
    const char *bos = texts.text(texts.ctx, 0, &len, &special);
    CHECK(bos && len == 5 && !memcmp(bos, "<bos>", 5) && special);
    CHECK(!texts.text(texts.ctx, 420, &len, &special) && !texts.text(texts.ctx, -1, &len, &special));
    texts = tokenizer_no_texts();
    CHECK(!texts.text(texts.ctx, 0, &len, &special));
    tokenizer_close(t);
}

static void test_bad_texts(void **state) {
    (void)state;
    static const struct {
        const char *text, *where;
    } cases[] = {{"ab\xff", "byte 2"},    {"\xc0\x80", "byte 0"},         {"a\xed\xa0\x80", "byte 1"},
                 {"x\xe2\x82", "byte 1"}, {"\xf4\x90\x80\x80", "byte 0"}, {"ok \x80", "byte 3"}};
    tokenizer *t;
    err e = {0};
    int32_t *ids;
    int n;
    assert_int_equal(tokenizer_load(&t, "tests/tokenizer/story", &e), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK(tokenizer_encode(t, cases[i].text, strlen(cases[i].text), -1, true, &ids, &n, &e) ==
              ERR_BAD_ARGUMENT);
        CHECK(!ids && n == 0 && strstr(e.msg, cases[i].where));
    }
    CHECK(tokenizer_encode(t, "", 0, -1, false, &ids, &n, &e) == 0 && ids && n == 0);
    free(ids);
    CHECK(tokenizer_encode(t, "a\0b", 3, -1, false, &ids, &n, &e) == 0 &&
          n == 3); /* NUL is a byte like any other */
    strbuf out;
    strbuf_init(&out, 100);
    tokenizer_decode(t, ids, n, false, &out);
    CHECK(out.len == 3 && !memcmp(out.data, "a\0b", 3));
    strbuf_release(&out);
    free(ids);
    tokenizer_close(t);
}

/* One pre-token of a million bytes must not take quadratic time: the suite's own limit would end it. */
static void test_long_text(void **state) {
    (void)state;
    enum { N = 1000000 };
    char *text = malloc(N);
    tokenizer *t;
    err e = {0};
    int32_t *ids;
    int n;
    for (int i = 0; i < N; i++) text[i] = "the cat"[i % 3];
    assert_int_equal(tokenizer_load(&t, "tests/tokenizer/story", &e), 0);
    CHECK(tokenizer_encode(t, text, N, -1, false, &ids, &n, &e) == 0 && n > 1000);
    strbuf out;
    strbuf_init(&out, 2 * N);
    tokenizer_decode(t, ids, n, true, &out);
    CHECK(out.len == N && !memcmp(out.data, text, N));
    strbuf_release(&out);
    free(ids);
    free(text);
    tokenizer_close(t);
}

/* Files ---------------------------------------------------------------- */

static int load_text(const char *json, size_t n, tokenizer **t, err *e) {
    char path[200];
    snprintf(path, sizeof path, "%s/tokenizer.json", temp_dir);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(json, 1, n, f), n);
    fclose(f);
    return tokenizer_load(t, temp_dir, e);
}

#define BPE(vocab, rest) "{\"model\":{\"type\":\"BPE\",\"vocab\":{" vocab "}" rest "}}"
#define AB               "\"a\":0,\"b\":1,\"ab\":2"
#define WITH(rest)       "{\"model\":{\"type\":\"BPE\",\"vocab\":{" AB "}}," rest "}"

static void test_bad_files(void **state) {
    (void)state;
    static const struct {
        const char *json, *message;
    } cases[] = {
        {"", "not valid JSON"},
        {"{", "not valid JSON"},
        {"[]", "not a JSON object"},
        {"{}", "model: missing"},
        {"{\"model\":{\"type\":\"Unigram\"}}", "'Unigram' is not supported"},
        {"{\"model\":{\"type\":\"BPE\"}}", "model.vocab: missing"},
        {BPE("", ""), "no tokens"},
        {BPE("\"a\":-1", ""), "whole number"},
        {BPE("\"a\":1.5", ""), "whole number"},
        {BPE("\"a\":1e300", ""), "whole number"},
        {BPE("\"a\":99999999", ""), "whole number"},
        {BPE("\"a\":\"0\"", ""), "whole number"},
        {BPE("\"a\":0,\"b\":0", ""), "id 0 is given"},
        {BPE("\"a\":0,\"a\":1", ""), "appears twice"},
        {BPE(AB, ",\"merges\":[\"a b\",\"b c\"]"), "model.merges[1]"},
        {BPE(AB, ",\"merges\":[\"ab\"]"), "model.merges[0]"},
        {BPE(AB, ",\"merges\":[\"a b c\"]"), "model.merges[0]"},
        {BPE(AB, ",\"merges\":[[\"a\"]]"), "model.merges[0]"},
        {BPE(AB, ",\"merges\":[[\"a\",1]]"), "model.merges[0]"},
        {BPE(AB, ",\"merges\":[\"b a\"]"), "lacks"},
        {BPE(AB, ",\"merges\":{\"a\":1}"), "expected a list"},
        {BPE(AB, ",\"byte_fallback\":true"), "byte_fallback"},
        {BPE(AB, ",\"dropout\":0.1"), "dropout"},
        {BPE(AB, ",\"unk_token\":\"?\""), "unk_token"},
        {BPE(AB, ",\"end_of_word_suffix\":\"</w>\""), "end_of_word_suffix"},
        {WITH("\"added_tokens\":[{\"id\":3}]"), "added_tokens"},
        {WITH("\"added_tokens\":[{\"id\":-3,\"content\":\"x\"}]"), "added_tokens"},
        {WITH("\"added_tokens\":[{\"id\":1,\"content\":\"a\"}]"), "has id 1 here and 0"},
        {WITH("\"normalizer\":{\"type\":\"Lowercase\"}"), "'Lowercase'"},
        {WITH("\"normalizer\":{}"), "normalizer"},
        {WITH("\"pre_tokenizer\":{\"type\":\"Metaspace\"}"), "'Metaspace'"},
        {WITH("\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(\"},\"behavior\":"
              "\"Isolated\"}"),
         "pattern '('"},
        {WITH("\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"[a&&b]\"},\"behavior\":"
              "\"Isolated\"}"),
         "&&"},
        {WITH("\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"a\"},\"behavior\":"
              "\"Sideways\"}"),
         "'Sideways'"},
        {WITH("\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"String\":\"\"},\"behavior\":"
              "\"Isolated\"}"),
         "pattern"},
        {WITH("\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"ByteLevel\"},"
              "{\"type\":\"Digits\"}]}"),
         "after ByteLevel"},
        {WITH("\"decoder\":{\"type\":\"WordPiece\"}"), "'WordPiece'"},
        {WITH("\"post_processor\":{\"type\":\"BertProcessing\"}"), "'BertProcessing'"},
        {WITH("\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[]}"), "text is missing"},
        {WITH("\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":"
              "\"x\"}}]}"),
         "without ids"},
        {WITH("\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":"
              "\"x\"}}],"
              "\"special_tokens\":{\"x\":{\"ids\":[7]}}}"),
         "out of range"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tokenizer *t = NULL;
        err e = {0};
        int rc = load_text(cases[i].json, strlen(cases[i].json), &t, &e);
        n_checks++;
        if (rc && !t && strstr(e.msg, cases[i].message) && strstr(e.msg, "tokenizer.json")) continue;
        n_failed++;
        print_error("%s\n  gives \"%s\", expected \"%s\"\n", cases[i].json, e.msg, cases[i].message);
        tokenizer_close(t);
    }
    tokenizer *t;
    err e = {0};
    CHECK(tokenizer_load(&t, "tests/unit", &e) == ERR_NOT_FOUND && !t);
}

/* Nested brackets as deep as the parser allows, and deeper. */
static void test_deep_file(void **state) {
    (void)state;
    static char text[200000];
    memset(text, '[', sizeof text);
    tokenizer *t;
    err e = {0};
    CHECK(load_text(text, sizeof text, &t, &e) == ERR_BAD_FORMAT && !t);
}

static void test_slow_pattern(void **state) {
    (void)state;
    const char *json =
        WITH("\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(?:a|a|aa)+[cd]\"},"
             "\"behavior\":\"Isolated\"}");
    char text[61];
    tokenizer *t;
    err e = {0};
    int32_t *ids;
    int n;
    memset(text, 'a', sizeof text);
    assert_int_equal(load_text(json, strlen(json), &t, &e), 0);
    CHECK(tokenizer_encode(t, text, sizeof text, -1, false, &ids, &n, &e) == ERR_UNSUPPORTED);
    CHECK(!ids && strstr(e.msg, "too long"));
    tokenizer_close(t);
}

/* Whatever a damaged file says, loading it and encoding with it ends well or with a message. */
static void test_damaged_files(void **state) {
    static const char *const names[] = {"story", "qwen", "behaviors", "chars"};
    uint64_t seed = getenv("SEED") ? strtoull(getenv("SEED"), NULL, 10) : 81731;
    (void)state;
    int loaded = 0;
    for (uint64_t k = 0; k < 400; k++) {
        char path[200];
        strbuf b;
        err e = {0};
        snprintf(path, sizeof path, "tests/tokenizer/%s/tokenizer.json", names[k % 4]);
        assert_int_equal(strbuf_read_file(&b, path, 1 << 24, &e), 0);
        for (uint64_t i = 0; i < 1 + (k % 4 ? 0 : k % 3); i++) {
            uint64_t at = rng_bits(seed, k, i, 0, RNG_TRUTH) % b.len, to = rng_bits(seed, k, i, 1, RNG_TRUTH);
            if (k % 2) at %= 1500; /* the part that is not vocabulary */
            b.data[at] = to % 4 ? "0123456789-[]{}\":,aN\\"[to / 4 % 21] : (char)(to >> 8);
        }
        if (k % 7 == 0) b.len = rng_bits(seed, k, 9, 2, RNG_TRUTH) % b.len;
        tokenizer *t;
        int32_t *ids;
        int n;
        n_checks++;
        if (!load_text(b.data, b.len, &t, &e)) {
            loaded++;
            if (!tokenizer_encode(t, "the word 42 <bos>[X] e\xcc\x81t", 24, 3, true, &ids, &n, &e)) free(ids);
            tokenizer_close(t);
        }
        strbuf_release(&b);
    }
    CHECK(loaded > 20 && loaded < 380);
    if (n_failed) print_error("damaged files: seed %llu, %d loaded\n", (unsigned long long)seed, loaded);
}

int main(void) {
    static char story[] = "story", sudoku[] = "sudoku", gpt2[] = "gpt2", qwen[] = "qwen", ling[] = "ling",
                digits[] = "digits", behaviors[] = "behaviors", chars[] = "chars";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(test_vectors, story),
        cmocka_unit_test_prestate(test_vectors, sudoku),
        cmocka_unit_test_prestate(test_vectors, gpt2),
        cmocka_unit_test_prestate(test_vectors, qwen),
        cmocka_unit_test_prestate(test_vectors, ling),
        cmocka_unit_test_prestate(test_vectors, digits),
        cmocka_unit_test_prestate(test_vectors, behaviors),
        cmocka_unit_test_prestate(test_vectors, chars),
        cmocka_unit_test(test_mask_word),
        cmocka_unit_test(test_nfc),
        cmocka_unit_test(test_bad_texts),
        cmocka_unit_test(test_long_text),
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_deep_file),
        cmocka_unit_test(test_slow_pattern),
        cmocka_unit_test(test_damaged_files),
    };
    if (!mkdtemp(temp_dir)) return 1;
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    char path[200];
    snprintf(path, sizeof path, "%s/tokenizer.json", temp_dir);
    unlink(path);
    rmdir(temp_dir);
    printf("tokenizer: %d checks, %d failed\n", n_checks, n_failed);
    return rc || n_failed;
}
