/* texts.h - what token ids stand for, as whoever shows or checks text sees it. */
#ifndef TABES_TEXTS_H
#define TABES_TEXTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How token ids become text. `text` returns the bytes of a token (possibly not valid UTF-8 on their
 * own, never NUL-terminated for sure) or NULL when unknown; special is set for control tokens. */
typedef struct token_texts {
    const char *(*text)(const void *ctx, int32_t id, size_t *len, bool *special);
    const void *ctx;
} token_texts;

#endif
