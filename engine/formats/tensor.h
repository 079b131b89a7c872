/* tensor.h - one named array of a checkpoint file, whatever the file's format.
 *
 * Row-major, little endian; the last dimension is the contiguous one. `data` points into the file's mapping,
 * lives as long as the file is open, and has no promised alignment.
 */
#ifndef TABES_FORMATS_TENSOR_H
#define TABES_FORMATS_TENSOR_H

#include <stddef.h>
#include <stdint.h>

enum { TENSOR_MAX_DIMS = 8 };

typedef struct tensor {
    const char *name;
    const char *dtype; /* "F32", "BF16", "Q4_K", ... */
    int n_dims;
    int64_t shape[TENSOR_MAX_DIMS];
    const unsigned char *data;
    size_t begin, bytes; /* range in the file's data section */
} tensor;

#endif
