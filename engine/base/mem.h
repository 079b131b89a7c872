/* mem.h - checked sizes and allocation. The only multiplication of sizes is done here. */
#ifndef TABES_BASE_MEM_H
#define TABES_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>

/* *out = a*b; false (and *out = 0) on overflow. */
bool size_mul(size_t a, size_t b, size_t *out);

/* Zeroed array of n items of `size` bytes, or NULL when n*size overflows or memory is short.
 * n == 0 gives a non-NULL pointer that must be freed. Free with free(). */
void *mem_new(size_t n, size_t size);

/* Copy of n items of `size` bytes, or NULL. Free with free(). */
void *mem_copy(const void *src, size_t n, size_t size);

/* Grow *array (cap items of `size` bytes) so that it holds at least `need`, doubling.
 * false when memory is short; the old array is then intact. */
bool mem_grow(void **array, size_t *cap, size_t need, size_t size);

#endif
