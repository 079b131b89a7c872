/* arena.c - chunked bump allocator. */
#include "engine/base/arena.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"

struct arena_chunk {
    struct arena_chunk *next;
    size_t used, cap;
    _Alignas(16) unsigned char data[];
};

enum { CHUNK = 16 * 1024 };

void *arena_new(arena *a, size_t n, size_t size) {
    size_t bytes;
    if (!size_mul(n, size, &bytes) || bytes > (size_t)-1 - 64) return NULL;
    bytes = (bytes + 15) & ~(size_t)15;
    struct arena_chunk *c = a->head;
    if (!c || c->cap - c->used < bytes) {
        size_t cap = bytes > CHUNK ? bytes : CHUNK;
        c = calloc(1, sizeof *c + cap);
        if (!c) return NULL;
        c->cap = cap;
        c->next = a->head;
        a->head = c;
        a->total += cap;
    }
    void *p = c->data + c->used;
    c->used += bytes;
    a->used += bytes;
    return p;
}

void *arena_copy(arena *a, const void *src, size_t n, size_t size) {
    void *p = arena_new(a, n, size);
    if (p && n) memcpy(p, src, n * size);
    return p;
}

char *arena_strdup(arena *a, const char *s) {
    return arena_copy(a, s, strlen(s) + 1, 1);
}

void arena_release(arena *a) {
    for (struct arena_chunk *c = a->head; c;) {
        struct arena_chunk *next = c->next;
        free(c);
        c = next;
    }
    *a = (arena){0};
}
