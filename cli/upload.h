/* upload.h - progress of a model's weights on their way to a GPU, on standard error when that is a terminal:
 * "weights to cuda:0: 3.2 of 16.1 GB, 2.4 GB/s, ETA 0:05", cleared in the end.
 *
 *     upload u;
 *     upload_begin(&u, "cuda:0", quiet);
 *     rc = model_open(m, path, &(denoiser_opts){.progress = upload_progress, .ctx = &u}, e);
 *     upload_end(&u);       (also when opening failed half way)
 */
#ifndef TABES_UPLOAD_H
#define TABES_UPLOAD_H

#include <stdbool.h>
#include <stddef.h>

typedef struct upload {
    const char *device; /* borrowed */
    bool wanted, shown;
    double started, last; /* clock_now() of the first and the last line */
    size_t before;        /* bytes done at the first line */
} upload;

void upload_begin(upload *u, const char *device, bool quiet);
void upload_progress(void *u, size_t done, size_t total);
void upload_end(upload *u);

#endif
