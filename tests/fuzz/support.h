/* support.h - what the fuzz targets share: inputs as files that live in memory.
 *
 * Readers of this project take paths. A fuzz_file is a memfd behind /proc/self/fd, so writing an input costs
 * no disk; a fuzz_directory is a folder of such files, symbolic links under names of the caller's choice, for
 * what reads whole checkpoints. Both are made once and filled again for every input. A failure to make them
 * is a fault of the machine and ends the program.
 */
#ifndef TABES_FUZZ_SUPPORT_H
#define TABES_FUZZ_SUPPORT_H

#include <stddef.h>
#include <stdint.h>

#include "engine/denoiser.h"

typedef struct fuzz_file {
    int fd;
    char path[64];
} fuzz_file;

void fuzz_file_fill(fuzz_file *f, const void *data, size_t n);

enum { FUZZ_MAX_FILES = 6 };

typedef struct fuzz_directory {
    char path[4096];
    int n;
    fuzz_file files[FUZZ_MAX_FILES];
    const char *names[FUZZ_MAX_FILES];
    struct fuzz_directory *before; /* private: all that were made are removed in the end */
} fuzz_directory;

/* Makes or replaces the file of that name. */
void fuzz_directory_fill(fuzz_directory *d, const char *name, const void *data, size_t n);

/* The first part of an input that FUZZ_SEPARATOR divides in two; *rest gets the second, which is empty
 * without one. Returns the length of the first. */
#define FUZZ_SEPARATOR "\n====\n"
size_t fuzz_split(const uint8_t *data, size_t n, const uint8_t **rest, size_t *n_rest);

/* Reads every byte, so that the sanitizers see memory that may not be read. */
void fuzz_touch(const void *data, size_t n);

/* What every refusal owes to the person who reads it: a text, in one line, without control characters. */
void fuzz_message(const err *e);

/* Loads the checkpoint and runs the network once where that is cheap. */
void fuzz_checkpoint(const char *path);

#endif
