/* ceilings.h - what a device reaches at best, through the operations that the engine uses.
 *
 * Products: square ones of growing size, the best counts. Bandwidth: a copy of rows, and a product of few
 * rows with one large weight, each far larger than a GPU's cache; the better of the two counts. Everything
 * holds random numbers, since some devices draw less power on zeros and then clock higher. Sizes stop growing
 * where one call takes CEILING_SECONDS, or half of it for products (eight times as long each), so that a CPU
 * can be measured too. */
#ifndef TABES_BENCH_CEILINGS_H
#define TABES_BENCH_CEILINGS_H

#include "engine/base/status.h"
#include "kernels/kernels.h"

#define CEILING_SECONDS 0.05

typedef struct ceilings {
    double flops, bytes; /* per second: products; the better of copy and read */
    double copy, read;   /* bytes per second copied (read and written), and of one large weight read */
    int gemm;            /* rows and columns of the product that gave flops */
    double copy_mb, read_mb;
} ceilings;

/* Opens the device for itself and closes it. */
int ceilings_measure(const k_open *o, ceilings *out, err *e) MUST_CHECK;

#endif
