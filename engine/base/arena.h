/* arena.h - memory that is freed all at once.
 *
 * One arena per lifetime (a model's tables, a step record). Allocation is 16-byte aligned and
 * zeroed; nothing is freed singly. Zeroed storage is a valid empty arena.
 */
#ifndef TABES_BASE_ARENA_H
#define TABES_BASE_ARENA_H

#include <stddef.h>

typedef struct arena {
    struct arena_chunk *head; /* private */
    size_t used, total;       /* bytes handed out; bytes held */
} arena;

/* n zeroed items of `size` bytes; NULL on overflow or when memory is short. */
void *arena_new(arena *a, size_t n, size_t size);
void *arena_copy(arena *a, const void *src, size_t n, size_t size);
char *arena_strdup(arena *a, const char *s);
void arena_release(arena *a);

#endif
