/* buffer.h - device memory that only grows, and faults of a device as errors.
 *
 * Zeroed storage is an empty buffer. A buffer belongs to the device of its first reservation and
 * must be released before that is closed.
 */
#ifndef TABES_BUFFER_H
#define TABES_BUFFER_H

#include "engine/base/status.h"
#include "kernels/kernels.h"

typedef struct buffer {
    kernels *k;
    void *data; /* device memory */
    size_t bytes;
} buffer;

/* At least `bytes`, contents undefined after growth. On failure the buffer is empty; `what` completes
 * "out of memory for ...". */
int buffer_reserve(buffer *b, kernels *k, size_t bytes, const char *what, err *e) MUST_CHECK;
void buffer_release(buffer *b);

/* 0, or what went wrong on the device since it was last asked (ERR_NO_MEMORY, ERR_NO_DEVICE); waits for it.
 */
int device_check(kernels *k, err *e) MUST_CHECK;

/* A fault as an error. */
int device_error(const k_fault *f, err *e);

#endif
