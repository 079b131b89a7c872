/* visible.h - bytes of tokens as text that may be shown anywhere: in a page, a figure, a table.
 *
 * Model output and prompts are hostile until filtered. Control, escape, zero-width and bidirectional
 * override characters become <U+202E>, a byte that belongs to no character becomes <E2>. What comes out is
 * valid UTF-8 of characters that XML 1.0 allows; markup is the caller's to escape. The workbench follows the
 * same rules (tui/text.h), but widths here do not depend on the locale: a file is the same for everyone.
 */
#ifndef TABES_REPLAY_VISIBLE_H
#define TABES_REPLAY_VISIBLE_H

#include <stdbool.h>
#include <stddef.h>

typedef enum visible_kind {
    VISIBLE_TEXT,
    VISIBLE_SPACE,
    VISIBLE_NEWLINE, /* text: U+21B5 */
    VISIBLE_TAB,     /* text: U+2192 */
    VISIBLE_MARK,    /* a character that may not be shown, spelt <U+202E> */
    VISIBLE_BYTE     /* a byte of no character, spelt <E2> */
} visible_kind;

typedef struct visible {
    visible_kind kind;
    int width;     /* columns: 1, 2, 0 for a mark over the character before; of a spelling its length */
    char text[20]; /* room for one character and three marks over it */
} visible;

/* A walk over bytes that belong together. Zeroed but for `s` and `n` it stands at the start. */
typedef struct visible_scan {
    const char *s;
    size_t n, at; /* bytes, and how many were taken */
    int stacked;  /* private: combining marks since the last base character, from 1; 0 without one */
} visible_scan;

/* The next piece; false at the end. */
bool visible_next(visible_scan *scan, visible *out);

#endif
