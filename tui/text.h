/* text.h - bytes of tokens into what may be shown.
 *
 * Model output and prompts are hostile until filtered: control, escape, zero-width and
 * bidirectional override characters never reach the terminal. They become visible text, <U+202E>;
 * a byte that belongs to no UTF-8 character becomes <E2>.
 *
 * A glyph is what one screen cell (or two, for a wide character) holds: a base code point and up
 * to three combining ones.
 */
#ifndef TABES_TUI_TEXT_H
#define TABES_TUI_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/utf8.h"

enum { GLYPH_POINTS = 4 };

typedef struct glyph {
    uint32_t cp[GLYPH_POINTS]; /* 0 ends the list */
    int width;                 /* 1 or 2 columns */
} glyph;

/* Takes the environment's locale for characters. One that is no UTF-8 knows no widths but those of its own,
 * so the tables of C.UTF-8 stand in for it, and the screen is to be ASCII. */
void text_use_locale(void);
bool text_only_ascii(void);

/* Columns of a code point on screen: 1, 2, 0 for a combining mark, -1 when it may not be shown. Fixed tables
 * of the C library's locale are used, so call text_use_locale (or setlocale) first. */
int text_width(uint32_t cp);

/* Takes one character off the text: appends glyphs to out (room for TEXT_MAX_GLYPHS) and returns how many;
 * *used gets the bytes consumed. A combining mark is added to `last` when given (then 0 glyphs come back).
 * Newlines and tabs are the caller's to treat. */
enum { TEXT_MAX_GLYPHS = 12 };
int text_next(const char *s, size_t n, glyph *last, glyph *out, size_t *used);

/* The whole text as glyphs, newline as U+21B5 and tab as U+2192; returns how many of at most `max`. */
int text_glyphs(const char *s, size_t n, glyph *out, int max);

#endif
