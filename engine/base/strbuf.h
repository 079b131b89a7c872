/* strbuf.h - a growing byte string with a maximum.
 *
 * Invariants: `data` is never NULL after strbuf_init and always NUL-terminated at data[len]
 * (it may also hold NUL bytes before that). A buffer that outgrew `max` or met a failed
 * allocation has `failed` set and ignores further appends, so one check at the end suffices.
 * Zeroed storage may be released. The buffer looks at nothing else in the project.
 */
#ifndef TABES_BASE_STRBUF_H
#define TABES_BASE_STRBUF_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/status.h"

typedef struct strbuf {
    char *data;
    size_t len;
    size_t cap; /* private */
    size_t max; /* largest allowed len */
    bool failed;
    bool no_memory; /* why it failed; else it outgrew max */
} strbuf;

void strbuf_init(strbuf *b, size_t max);
void strbuf_release(strbuf *b);
void strbuf_clear(strbuf *b);
void strbuf_add(strbuf *b, const void *bytes, size_t n);
void strbuf_puts(strbuf *b, const char *s);
void strbuf_putc(strbuf *b, char c);
void strbuf_printf(strbuf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Transfers the bytes to the caller (free()); the buffer is empty afterwards. NULL if failed. */
char *strbuf_take(strbuf *b, size_t *len);

/* What made a failed buffer fail, as an error about `what`: ERR_NO_MEMORY or, too large, ERR_BAD_FORMAT. */
int strbuf_fault(const strbuf *b, const char *what, err *e);

/* `part`, which goes into `b`, met a failed allocation: then `b` did, too. */
void strbuf_share_fault(strbuf *b, const strbuf *part);

/* Reads a whole file of at most `max` bytes into a fresh buffer (initialised here).
 * ERR_NOT_FOUND, ERR_IO, ERR_NO_MEMORY or ERR_BAD_FORMAT (too large); the buffer is released on failure. */
int strbuf_read_file(strbuf *b, const char *path, size_t max, err *e) MUST_CHECK;

#endif
