/* utf8.c - decoding, encoding, and taming what strangers wrote. */
#include "engine/base/utf8.h"

#include <string.h>

int utf8_decode(const char *s, size_t n, uint32_t *cp) {
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    if (!n) return -1;
    unsigned char b = (unsigned char)s[0];
    int len = b < 0x80                ? 1
              : b >= 0xC2 && b < 0xE0 ? 2
              : b >= 0xE0 && b < 0xF0 ? 3
              : b >= 0xF0 && b < 0xF5 ? 4
                                      : 0;
    if (!len) return 0;
    uint32_t v = len == 1 ? b : b & (0x7FU >> len);
    for (int i = 1; i < len; i++) {
        if ((size_t)i >= n) return -1;
        unsigned char c = (unsigned char)s[i];
        if ((c & 0xC0) != 0x80) return 0;
        v = v << 6 | (c & 0x3F);
    }
    if (v < least[len] || v > 0x10FFFF || (v >= 0xD800 && v < 0xE000)) return 0;
    *cp = v;
    return len;
}

int utf8_encode(uint32_t cp, char buf[4]) {
    if (cp < 0x80) {
        buf[0] = (char)cp;
        return 1;
    }
    int len = cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
    static const unsigned char lead[5] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (int i = len - 1; i > 0; i--, cp >>= 6) buf[i] = (char)(0x80 | (cp & 0x3F));
    buf[0] = (char)(lead[len] | cp);
    return len;
}

bool utf8_control(uint32_t cp) {
    return cp < 0x20 || (cp >= 0x7F && cp < 0xA0);
}

bool utf8_steers(uint32_t cp) {
    return utf8_control(cp) || cp == 0x61C || cp == 0x200E || cp == 0x200F ||
           (cp >= 0x2028 && cp <= 0x202E) || (cp >= 0x2066 && cp <= 0x2069) || (cp >= 0xFFF9 && cp <= 0xFFFB);
}

void utf8_tame(char *s) {
    char *to = s;
    for (size_t n = strlen(s); n;) {
        uint32_t cp = 0;
        int len = utf8_decode(s, n, &cp);
        size_t used = len > 0 ? (size_t)len : 1;
        if (len <= 0 || utf8_steers(cp)) {
            *to++ = '?';
        } else {
            memmove(to, s, used);
            to += used;
        }
        s += used;
        n -= used;
    }
    *to = '\0';
}
