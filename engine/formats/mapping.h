/* mapping.h - a whole file as read-only memory. It must not be truncated by others while it is mapped. */
#ifndef TABES_FORMATS_MAPPING_H
#define TABES_FORMATS_MAPPING_H

#include <stddef.h>

#include "engine/base/status.h"

typedef struct mapping {
    unsigned char *data; /* NULL for an empty file */
    size_t size;
} mapping;

/* A regular file; ERR_NOT_FOUND or ERR_IO otherwise, the message starting with the path. */
int mapping_open(mapping *m, const char *path, err *e) MUST_CHECK;
void mapping_close(mapping *m);

#endif
