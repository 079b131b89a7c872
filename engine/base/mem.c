/* mem.c - checked allocation. */
#include "engine/base/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

bool size_mul(size_t a, size_t b, size_t *out) {
    *out = 0;
    return !__builtin_mul_overflow(a, b, out) || (*out = 0, false);
}

void *mem_new(size_t n, size_t size) {
    size_t bytes;
    if (!size_mul(n, size, &bytes)) return NULL;
    return calloc(1, bytes ? bytes : 1);
}

void *mem_copy(const void *src, size_t n, size_t size) {
    void *p = mem_new(n, size);
    if (p && n) memcpy(p, src, n * size);
    return p;
}

bool mem_grow(void **array, size_t *cap, size_t need, size_t size) {
    if (need <= *cap) return true;
    size_t want = *cap ? *cap : 8, bytes;
    while (want < need) {
        if (want > SIZE_MAX / 2) return false;
        want *= 2;
    }
    if (!size_mul(want, size, &bytes)) return false;
    void *p = realloc(*array, bytes);
    if (!p) return false;
    *array = p;
    *cap = want;
    return true;
}
