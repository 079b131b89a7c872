/* text.c - UTF-8, widths, and the filter between token bytes and the screen. */
#define _XOPEN_SOURCE_EXTENDED 1
#include "tui/text.h"

#include <langinfo.h>
#include <locale.h>
#include <string.h>
#include <wchar.h>

enum { NEWLINE_MARK = 0x21B5, TAB_MARK = 0x2192 };

/* Characters that steer, or that nobody can see. */
static bool is_unsafe(uint32_t cp) {
    return utf8_steers(cp) || cp == 0xAD || cp == 0x180E || (cp >= 0x200B && cp <= 0x200F) ||
           (cp >= 0x2060 && cp <= 0x206F) || cp == 0xFEFF || (cp >= 0xE0000 && cp <= 0xE0FFF) ||
           (cp >= 0xFE00 && cp <= 0xFE0F);
}

static bool only_ascii;

void text_use_locale(void) {
    setlocale(LC_CTYPE, "");
    only_ascii = strcmp(nl_langinfo(CODESET), "UTF-8") != 0;
    if (only_ascii) setlocale(LC_CTYPE, "C.UTF-8");
}

bool text_only_ascii(void) {
    return only_ascii;
}

int text_width(uint32_t cp) {
    return is_unsafe(cp) ? -1 : wcwidth((wchar_t)cp);
}

static int spell(const char *text, int n, glyph *out) {
    for (int i = 0; i < n; i++) out[i] = (glyph){.cp = {(unsigned char)text[i]}, .width = 1};
    return n;
}

static int spell_hex(const char *before, uint32_t value, int min_digits, glyph *out) {
    char text[TEXT_MAX_GLYPHS];
    int n = 0, digits = min_digits;
    while (digits < 8 && value >> (4 * digits)) digits++;
    while (*before) text[n++] = *before++;
    for (int i = digits - 1; i >= 0; i--) text[n++] = "0123456789ABCDEF"[value >> (4 * i) & 0xF];
    text[n++] = '>';
    return spell(text, n, out);
}

static bool combine(glyph *last, uint32_t cp) {
    if (!last) return false;
    for (int i = 1; i < GLYPH_POINTS; i++) {
        if (last->cp[i]) continue;
        last->cp[i] = cp;
        return true;
    }
    return true; /* more marks than a cell holds: the rest is not drawn */
}

int text_next(const char *s, size_t n, glyph *last, glyph *out, size_t *used) {
    uint32_t cp = 0;
    int len = utf8_decode(s, n, &cp);
    *used = len > 0 ? (size_t)len : 1;
    if (len <= 0) return spell_hex("<", (unsigned char)s[0], 2, out);
    int width = text_width(cp);
    if (width < 0) return spell_hex("<U+", cp, 4, out);
    if (!width) {
        if (combine(last, cp)) return 0;
        *out = (glyph){.cp = {0x25CC, cp}, .width = 1}; /* a mark with nothing to sit on: dotted circle */
        return 1;
    }
    *out = (glyph){.cp = {cp}, .width = width};
    return 1;
}

int text_glyphs(const char *s, size_t n, glyph *out, int max) {
    int count = 0;
    while (n && count < max) {
        glyph next[TEXT_MAX_GLYPHS];
        size_t used = 1;
        int k = 1;
        if (*s == '\n' || *s == '\t') {
            next[0] = (glyph){.cp = {*s == '\n' ? NEWLINE_MARK : TAB_MARK}, .width = 1};
        } else {
            k = text_next(s, n, count ? &out[count - 1] : NULL, next, &used);
        }
        for (int i = 0; i < k && count < max; i++) out[count++] = next[i];
        s += used;
        n -= used;
    }
    return count;
}
