/* visible.c - decoding, the list of what may not be shown, and spellings. */
#include "replay/visible.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <utf8proc.h>

/* Marks that may stand over one character; more would climb over the lines around it. */
enum { MAX_STACKED = 3 };

/* Characters that steer a reader's screen or reading order, or that nobody can see. */
static bool is_unsafe(int32_t cp) {
    switch (utf8proc_category(cp)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
        return true;
    default:
        return (cp >= 0xFE00 && cp <= 0xFE0F) || (cp >= 0xE0000 && cp <= 0xE0FFF);
    }
}

static void spell(visible *out, visible_kind kind, int32_t value) {
    out->kind = kind;
    out->width = kind == VISIBLE_BYTE ? snprintf(out->text, sizeof out->text, "<%02X>", (unsigned)value)
                                      : snprintf(out->text, sizeof out->text, "<U+%04X>", (unsigned)value);
}

static void put(visible *out, visible_kind kind, int width, const char *text) {
    out->kind = kind;
    out->width = width;
    snprintf(out->text, sizeof out->text, "%s", text);
}

/* A mark that combines with the character before it; a dotted circle carries one that has none. */
static void combine(visible_scan *scan, visible *out, const char *text, int32_t cp) {
    if (!scan->stacked) {
        put(out, VISIBLE_TEXT, 1, "\u25CC");
        memcpy(out->text + 3, text, strlen(text) + 1);
        scan->stacked = 2;
    } else if (scan->stacked <= MAX_STACKED) {
        put(out, VISIBLE_TEXT, 0, text);
        scan->stacked++;
    } else {
        spell(out, VISIBLE_MARK, cp);
    }
}

static void show(visible_scan *scan, visible *out, const char *text, int32_t cp) {
    int width = utf8proc_charwidth(cp);
    if (is_unsafe(cp)) {
        scan->stacked = 0;
        spell(out, VISIBLE_MARK, cp);
    } else if (width <= 0) {
        combine(scan, out, text, cp);
    } else {
        scan->stacked = 1;
        put(out, VISIBLE_TEXT, width > 1 ? 2 : 1, text);
    }
}

bool visible_next(visible_scan *scan, visible *out) {
    if (scan->at >= scan->n) return false;
    const char *s = scan->s + scan->at;
    utf8proc_int32_t cp = -1;
    utf8proc_ssize_t len =
        utf8proc_iterate((const utf8proc_uint8_t *)s, (utf8proc_ssize_t)(scan->n - scan->at), &cp);
    scan->at += len > 0 ? (size_t)len : 1;
    if (len <= 0) {
        scan->stacked = 0;
        spell(out, VISIBLE_BYTE, (unsigned char)*s);
    } else if (cp == '\n' || cp == '\t' || cp == ' ') {
        scan->stacked = 0;
        put(out,
            cp == ' '    ? VISIBLE_SPACE
            : cp == '\n' ? VISIBLE_NEWLINE
                         : VISIBLE_TAB,
            1,
            cp == ' '    ? " "
            : cp == '\n' ? "\u21B5"
                         : "\u2192");
    } else {
        char text[5] = {0};
        memcpy(text, s, (size_t)len);
        show(scan, out, text, cp);
    }
    return true;
}
