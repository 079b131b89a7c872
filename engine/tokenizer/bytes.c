/* bytes.c - GPT-2's byte-level alphabet and the few questions about characters that tokenizers ask.
 *
 * Printable Latin-1 bytes stand for themselves; the other 68, in ascending order, are U+0100 onwards. So a
 * token's text is always printable: space is U+0120, newline U+010A.
 */
#include <string.h>
#include <utf8proc.h>

#include "engine/tokenizer/impl.h"

enum { N_MOVED = 68 };

static bool stands_for_itself(int b) {
    return (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
}

static int byte_to_code_point(unsigned char byte) {
    if (stands_for_itself(byte)) return byte;
    int moved = 0;
    for (int b = 0; b < byte; b++) moved += !stands_for_itself(b);
    return 0x100 + moved;
}

static int code_point_to_byte(int32_t cp) {
    if (cp < 0x100) return stands_for_itself(cp) ? cp : -1;
    int moved = cp - 0x100;
    if (moved >= N_MOVED) return -1;
    for (int b = 0; b < 256; b++) {
        if (!stands_for_itself(b) && moved-- == 0) return b;
    }
    return -1;
}

int byte_to_char(unsigned char byte, char out[2]) {
    int cp = byte_to_code_point(byte);
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    out[0] = (char)(0xc0 | (cp >> 6));
    out[1] = (char)(0x80 | (cp & 0x3f));
    return 2;
}

bool chars_to_bytes(const char *text, size_t len, char *out, size_t *out_len) {
    size_t n = 0;
    for (size_t i = 0; i < len;) {
        int32_t cp;
        size_t step = utf8_char(text + i, len - i, &cp);
        int byte = step ? code_point_to_byte(cp) : -1;
        if (byte < 0) return false;
        out[n++] = (char)byte;
        i += step;
    }
    *out_len = n;
    return true;
}

size_t utf8_char(const char *s, size_t n, int32_t *cp) {
    utf8proc_ssize_t step = utf8proc_iterate((const utf8proc_uint8_t *)s, (utf8proc_ssize_t)n, cp);
    return step > 0 ? (size_t)step : 0;
}

size_t utf8_before(const char *s, size_t at) {
    do at--;
    while (at > 0 && ((unsigned char)s[at] & 0xc0) == 0x80);
    return at;
}

bool char_is_space(int32_t cp) {
    return (cp >= 0x09 && cp <= 0x0d) || cp == 0x20 || cp == 0x85 || cp == 0xa0 || cp == 0x1680 ||
           (cp >= 0x2000 && cp <= 0x200a) || cp == 0x2028 || cp == 0x2029 || cp == 0x202f || cp == 0x205f ||
           cp == 0x3000;
}

bool char_is_word(int32_t cp) {
    switch (utf8proc_category(cp)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
        return true;
    default:
        return false;
    }
}

bool char_is_number(int32_t cp) {
    utf8proc_category_t c = utf8proc_category(cp);
    return c == UTF8PROC_CATEGORY_ND || c == UTF8PROC_CATEGORY_NL || c == UTF8PROC_CATEGORY_NO;
}
