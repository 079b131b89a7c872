/* utf8.h - characters, and which of them must never reach a terminal as they are. */
#ifndef TABES_BASE_UTF8_H
#define TABES_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Length of the UTF-8 character at s (1..4) and its code point; 0 when the bytes are no character, -1 when
 * they could become one if more followed. Overlong forms and surrogates are no characters. */
int utf8_decode(const char *s, size_t n, uint32_t *cp);

/* UTF-8 of a code point into buf; returns the length. */
int utf8_encode(uint32_t cp, char buf[4]);

/* C0, DEL, C1. A trajectory file holds none in its texts. */
bool utf8_control(uint32_t cp);

/* Whether a character steers the terminal or the reading order: controls (C0, DEL, C1), line and paragraph
 * separators, the bidirectional controls and interlinear annotation. Newline and tab are among them. */
bool utf8_steers(uint32_t cp);

/* In place: '?' for every character that steers and every byte of no character. The text only gets shorter.
 */
void utf8_tame(char *s);

#endif
