/* test_verifier.c - Sudoku and arithmetic rules on texts of one character a token, and of pairs of digits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "engine/verifier.h"

enum { MASK = 300, PAIR = 400, SPECIAL = 600 };

/* Ids below 256 are characters, PAIR + k is the two digits of k, SPECIAL is a control token. */
static const char *text(const void *ctx, int32_t id, size_t *len, bool *special) {
    static char room[4];
    (void)ctx;
    *special = id == SPECIAL;
    if (id == MASK) return NULL;
    if (id >= PAIR && id < PAIR + 100) {
        snprintf(room, sizeof room, "%02d", (int)id - PAIR);
        *len = 2;
        return room;
    }
    room[0] = (char)id;
    *len = 1;
    return room;
}

static const token_texts TEXTS = {text, NULL};

/* '?' is the mask, '@' the position that `token` is tried at, '$' a control token. */
static int verdict(verify_rules v, const char *line, int32_t token) {
    int32_t tokens[400];
    int n = (int)strlen(line), pos = -1;
    for (int i = 0; i < n; i++) {
        tokens[i] = line[i] == '?' || line[i] == '@' ? MASK : line[i] == '$' ? SPECIAL : line[i];
        if (line[i] == '@') pos = i;
    }
    return verify_token(v, TEXTS, tokens, n, MASK, pos, token);
}

static void test_sudoku(void **state) {
    (void)state;
    const char *small = "$@???\n?2??\n3???\n???4\n";
    assert_int_equal(verdict(VERIFY_AUTO, small, '1'), 0);
    assert_int_equal(verdict(VERIFY_AUTO, small, '2'), -1); /* box */
    assert_int_equal(verdict(VERIFY_AUTO, small, '3'), -1); /* column */
    assert_int_equal(verdict(VERIFY_AUTO, small, '4'), 0);
    assert_int_equal(verdict(VERIFY_AUTO, small, '5'), -1); /* no digit of this size */
    assert_int_equal(verdict(VERIFY_AUTO, small, 'x'), -1);
    const char *large =
        "1????????\n?????????\n?????@???\n?????????\n?????????\n????????8\n?????7???\n?????????\n"
        "?????????\n";
    assert_int_equal(verdict(VERIFY_SUDOKU, large, '7'), -1);
    assert_int_equal(verdict(VERIFY_SUDOKU, large, '8'), 0);
    assert_int_equal(verdict(VERIFY_SUDOKU, "??@?", '1'), 0); /* no grid */
}

static void test_arithmetic(void **state) {
    (void)state;
    assert_int_equal(verdict(VERIFY_AUTO, "6*7=4@.", '2'), 1);
    assert_int_equal(verdict(VERIFY_AUTO, "6*7=4@.", '3'), -1);
    assert_int_equal(verdict(VERIFY_AUTO, "6*7=4@", '2'), 1);
    assert_int_equal(verdict(VERIFY_AUTO, "6*7=@?", '4'), 0);  /* another digit may follow */
    assert_int_equal(verdict(VERIFY_AUTO, "6@7=42,", '*'), 1); /* the operator */
    assert_int_equal(verdict(VERIFY_AUTO, "6@7=42,", '+'), -1);
    assert_int_equal(verdict(VERIFY_AUTO, "?6*7=4@.", '2'),
                     0); /* the first number may begin before the mask */
    assert_int_equal(verdict(VERIFY_AUTO, "6*7=4@.???", '2'), 1); /* masks further on do not matter */
    assert_int_equal(verdict(VERIFY_AUTO, "1+1=2,9-@=4.", '5'), 1);
    assert_int_equal(verdict(VERIFY_AUTO, "1+1=3,9-5=@.", '4'), 1); /* another equation is not asked about */
    assert_int_equal(verdict(VERIFY_AUTO, "8/2 = @ .", '4'), 1);
    assert_int_equal(verdict(VERIFY_AUTO, "8/0=@.", '4'), -1);
    assert_int_equal(verdict(VERIFY_AUTO, "84-36=@,", PAIR + 48), 1);
    assert_int_equal(verdict(VERIFY_AUTO, "84-36=@,", PAIR + 49), -1);
    assert_int_equal(verdict(VERIFY_AUTO, "no sums h@re", 'e'), 0);
    static const char *const parts[] = {
        "2+3+4=@",   "2*3 + 4=@", "-5+8=@",
        "12/2-1=@.", "9-2+3=4+@", "2+3=@+4",
        "2+3=@ - 9", "6-2=@*2",   "99999999@+1=1000000000"}; /* of sums that are longer */
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        for (int32_t digit = '0'; digit <= '9'; digit++)
            assert_int_equal(verdict(VERIFY_AUTO, parts[i], digit), 0);
    }
    assert_int_equal(verdict(VERIFY_AUTO, "5=2+3=@", '5'), 1); /* each side of an equals sign is a whole */
    assert_int_equal(verdict(VERIFY_AUTO, "1+1=2 9-5=@", '5'), -1);
    assert_int_equal(verify_token(VERIFY_AUTO, (token_texts){0}, (int32_t[]){MASK}, 1, MASK, 0, '1'), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sudoku), cmocka_unit_test(test_arithmetic)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
