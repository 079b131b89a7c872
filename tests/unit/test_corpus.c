/* test_corpus.c - 15 000 texts of every script, white space, code, emoji, contractions and added tokens
 * against the ids of the reference library (tests/tokenizer/corpus, written by corpus.py), back to text, and
 * bytes that are not UTF-8, which must be refused where they go wrong.
 *
 * The same small vocabulary under three patterns, always; the Qwen2 vocabulary of Dream where it is: in the
 * folder that TABES_QWEN2_TOKENIZER names, or in tests/tokenizer/qwen2-dream. Without it that part is
 * skipped.
 */
#include "checks.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/base/strbuf.h"
#include "engine/tokenizer.h"

enum { MAX_IDS = 4096, MAX_SHOWN = 10 };

#define FOLDER "tests/tokenizer/corpus/"

/* A file's lines, without their ends. */
typedef struct lines {
    strbuf text;
    char **at;
    int n;
} lines;

static lines read_lines(const char *name) {
    char path[120];
    lines l = {0};
    err e = {0};
    snprintf(path, sizeof path, FOLDER "%s", name);
    MUST(strbuf_read_file(&l.text, path, 1 << 24, &e), &e);
    int most = 0;
    for (size_t i = 0; i < l.text.len; i++) most += l.text.data[i] == '\n';
    l.at = mem_new((size_t)most + 1, sizeof *l.at);
    for (char *p = l.text.data, *end; (end = strchr(p, '\n')); p = end + 1) {
        *end = 0;
        l.at[l.n++] = p;
    }
    assert_int_equal(l.n, most);
    return l;
}

static void free_lines(lines *l) {
    free(l->at);
    strbuf_release(&l->text);
}

/* The texts, and what each decodes to under NFC: itself, or the text that nfc.jsonl gives. */
typedef struct corpus {
    lines raw, raw_normal;
    cJSON **text, **normal;
    const char **decoded;
    int n;
} corpus;

static corpus read_corpus(void) {
    corpus c = {.raw = read_lines("lines.jsonl"), .raw_normal = read_lines("nfc.jsonl")};
    c.n = c.raw.n;
    c.text = mem_new((size_t)c.n, sizeof *c.text);
    c.normal = mem_new((size_t)c.raw_normal.n, sizeof *c.normal);
    c.decoded = mem_new((size_t)c.n, sizeof *c.decoded);
    for (int i = 0; i < c.n; i++) {
        c.text[i] = cJSON_Parse(c.raw.at[i]);
        assert_true(cJSON_IsString(c.text[i]));
        c.decoded[i] = c.text[i]->valuestring;
    }
    for (int i = 0; i < c.raw_normal.n; i++) {
        c.normal[i] = cJSON_Parse(c.raw_normal.at[i]);
        const cJSON *at = cJSON_GetArrayItem(c.normal[i], 0), *text = cJSON_GetArrayItem(c.normal[i], 1);
        assert_true(cJSON_IsNumber(at) && cJSON_IsString(text) && at->valueint < c.n);
        c.decoded[at->valueint] = text->valuestring;
    }
    return c;
}

static void free_corpus(corpus *c) {
    for (int i = 0; i < c->n; i++) cJSON_Delete(c->text[i]);
    for (int i = 0; i < c->raw_normal.n; i++) cJSON_Delete(c->normal[i]);
    free(c->text);
    free(c->normal);
    free(c->decoded);
    free_lines(&c->raw);
    free_lines(&c->raw_normal);
}

static int read_ids(const char *line, int32_t *ids) {
    int n = 0;
    for (char *end; *line; line = end + (*end == ' ')) {
        assert_true(n < MAX_IDS);
        ids[n++] = (int32_t)strtol(line, &end, 10);
        assert_true(end != line);
    }
    return n;
}

static void show_ids(const char *what, const int32_t *ids, int n) {
    print_error("  %s:", what);
    for (int i = 0; i < n; i++) print_error(" %d", (int)ids[i]);
    print_error("\n");
}

/* Counts a check of text i; the first failures are shown. */
static bool expect(bool ok, const corpus *c, int i, const char *what) {
    n_checks++;
    if (ok) return true;
    if (++n_failed <= MAX_SHOWN) print_error("%s of text %d, %s\n", what, i, c->raw.at[i]);
    return false;
}

static void check_text(const tokenizer *t, const corpus *c, int i, const char *want_line, bool normalised) {
    static int32_t want[MAX_IDS];
    int32_t *got;
    int n, n_want = read_ids(want_line, want);
    const char *text = c->text[i]->valuestring, *back = normalised ? c->decoded[i] : text;
    err e = {0};
    if (!expect(!tokenizer_encode(t, text, strlen(text), -1, false, &got, &n, &e), c, i, e.msg)) return;
    if (!expect(n == n_want && !memcmp(got, want, (size_t)n * sizeof *got), c, i, "other ids") &&
        n_failed <= MAX_SHOWN) {
        show_ids("got", got, n);
        show_ids("expected", want, n_want);
    }
    strbuf out;
    strbuf_init(&out, 1 << 20);
    tokenizer_decode(t, got, n, true, &out);
    expect(out.len == strlen(back) && !memcmp(out.data, back, out.len), c, i, "another decoded text");
    strbuf_release(&out);
    free(got);
}

static void check_all(const tokenizer *t, const char *ids_file, bool normalised) {
    corpus c = read_corpus();
    lines ids = read_lines(ids_file);
    assert_int_equal(ids.n, c.n);
    CHECK(c.n >= 10000);
    for (int i = 0; i < c.n; i++) check_text(t, &c, i, ids.at[i], normalised);
    free_lines(&ids);
    free_corpus(&c);
}

/* Each line: the bytes in hexadecimal, and where they stop being UTF-8. */
static void check_invalid(const tokenizer *t) {
    lines l = read_lines("invalid.txt");
    CHECK(l.n > 50);
    for (int i = 0; i < l.n; i++) {
        char bytes[64], where[32];
        size_t n = 0;
        const char *p = l.at[i];
        for (unsigned byte; *p != ' ' && n < sizeof bytes; p += 2) {
            assert_true(sscanf(p, "%2x", &byte) == 1);
            bytes[n++] = (char)byte;
        }
        assert_true(*p == ' ');
        snprintf(where, sizeof where, "byte %s", p + 1);
        int32_t *ids;
        int n_ids;
        err e = {0};
        int rc = tokenizer_encode(t, bytes, n, -1, false, &ids, &n_ids, &e);
        if (!CHECK(rc == ERR_BAD_ARGUMENT && !ids && n_ids == 0 && strstr(e.msg, where)))
            print_error("  %s: \"%s\"\n", l.at[i], e.msg);
    }
    free_lines(&l);
}

static void test_pattern(void **state) {
    const char *name = *state;
    char dir[80], ids[40];
    tokenizer *t;
    err e = {0};
    snprintf(dir, sizeof dir, FOLDER "%s", name);
    snprintf(ids, sizeof ids, "%s/ids.txt", name);
    MUST(tokenizer_load(&t, dir, &e), &e);
    check_all(t, ids, name[0] != 'g');
    check_invalid(t);
    tokenizer_close(t);
}

static void test_qwen2(void **state) {
    (void)state;
    const char *named = getenv("TABES_QWEN2_TOKENIZER");
    tokenizer *t;
    err e = {0};
    int rc = tokenizer_load(&t, named ? named : "tests/tokenizer/qwen2-dream", &e);
    if (rc == ERR_NOT_FOUND && !named) {
        printf("no Qwen2 vocabulary in tests/tokenizer/qwen2-dream, and TABES_QWEN2_TOKENIZER names none\n");
        skip();
    }
    MUST(rc, &e);
    check_all(t, "ids-qwen2-dream.txt", true);
    check_invalid(t);
    tokenizer_close(t);
}

int main(void) {
    static char q[] = "q", b[] = "b", g[] = "g";
    const struct CMUnitTest tests[] = {
        {"pattern of Qwen2", test_pattern, NULL, NULL, q},
        {"pattern of Ling", test_pattern, NULL, NULL, b},
        {"pattern of GPT-2", test_pattern, NULL, NULL, g},
        cmocka_unit_test(test_qwen2),
    };
    return finish("corpus", cmocka_run_group_tests_name("corpus", tests, NULL, NULL));
}
