/* Characters at their bounds, and lines that are tame afterwards. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>

#include <cmocka.h>

#include <string.h>

#include "engine/base/utf8.h"

static void bounds(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        int len;
        uint32_t cp;
    } cases[] = {{"\x7f", 1, 0x7F},
                 {"\xc2\x80", 2, 0x80},
                 {"\xdf\xbf", 2, 0x7FF},
                 {"\xe0\xa0\x80", 3, 0x800},
                 {"\xed\x9f\xbf", 3, 0xD7FF},
                 {"\xee\x80\x80", 3, 0xE000},
                 {"\xf0\x90\x80\x80", 4, 0x10000},
                 {"\xf4\x8f\xbf\xbf", 4, 0x10FFFF},
                 {"\xc1\xbf", 0, 0},         /* overlong */
                 {"\xe0\x9f\xbf", 0, 0},     /* overlong */
                 {"\xed\xa0\x80", 0, 0},     /* a surrogate */
                 {"\xf4\x90\x80\x80", 0, 0}, /* past the last */
                 {"\x9b", 0, 0},             /* C1 by itself */
                 {"\xc2", -1, 0},
                 {"\xf0\x90\x80", -1, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t cp = 0;
        char back[4];
        int len = utf8_decode(cases[i].bytes, strlen(cases[i].bytes), &cp);
        assert_int_equal(len, cases[i].len);
        if (len <= 0) continue;
        assert_int_equal(cp, cases[i].cp);
        assert_int_equal(utf8_encode(cp, back), len);
        assert_memory_equal(back, cases[i].bytes, (size_t)len);
    }
}

static void tame(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"", ""},
        {"plain \xe4\xb8\xad e\xcc\x81", "plain \xe4\xb8\xad e\xcc\x81"},
        {"a\x1b[31m\x07\x7f\n\t", "a?[31m????"},
        {"\xc2\x9b"
         "31m\x9b",
         "?31m?"},                                                /* C1, as a character and as a byte */
        {"\xe2\x80\xae\xe2\x81\xa6\xd8\x9c\xe2\x80\x8f", "????"}, /* bidirectional controls */
        {"\xe2\x80\xa8\xe2\x80\xa9\xef\xbf\xb9", "???"},          /* separators, annotation */
        {"cut \xe2\x80", "cut ??"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char line[80];
        memcpy(line, cases[i][0], strlen(cases[i][0]) + 1);
        utf8_tame(line);
        assert_string_equal(line, cases[i][1]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(bounds), cmocka_unit_test(tame)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
