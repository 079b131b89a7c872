/* test_split.c - what a hostile pre-tokenizer may not do: run on for ever, or part characters. */
#include <string.h>

#include "engine/base/clock.h"
#include "engine/tokenizer/impl.h"
#include "tests/unit/checks.h"

static int split(const split_step *s, const char *text, err *e) {
    arena mem = {0};
    piece_list pieces = {0};
    int rc = pre_tokenize(s, 1, text, strlen(text), &mem, &pieces, e);
    free(pieces.v);
    arena_release(&mem);
    return rc;
}

/* Each position is given up below the limit on steps; together they would take minutes. */
static void test_no_match_takes_too_long(void **state) {
    (void)state;
    split_step s = {.splits = true};
    err e = {0};
    MUST(split_compile(&s, "(?:.|..){0,21}[\\x{1}\\x{2}]", &e), &e);
    double start = clock_now();
    int rc = split(&s, "The quick brown fox jumps over the lazy dog, and then it does so again.", &e);
    CHECK(rc == ERR_UNSUPPORTED && strstr(e.msg, "takes too long"));
    CHECK(clock_now() - start < 30);
    split_release(&s);
}

static void test_half_a_character(void **state) {
    (void)state;
    split_step s = {.splits = true};
    err e = {0};
    MUST(split_compile(&s, "[^\\r]+", &e), &e);
    MUST(split(&s, "a\xf0\x9f\x99\x82", &e), &e);
    CHECK(split(&s, "a\xf0\x9f\x99", &e) == ERR_UNSUPPORTED && strstr(e.msg, "cuts a character in two"));
    split_release(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_no_match_takes_too_long),
                                       cmocka_unit_test(test_half_a_character)};
    return finish("split", cmocka_run_group_tests(tests, NULL, NULL));
}
