/* ceiling.h - what a device reaches at best, through the operations that the engine uses.
 *
 * Products: square ones of growing size, the best counts. Bandwidth: a copy of rows, and a product of few
 * rows with one large weight, each far larger than a GPU's cache; the better of the two counts. Everything
 * holds random numbers, since some devices draw less power on zeros and then clock higher. Sizes stop growing
 * where one call takes CEILING_SECONDS, so that a CPU can be measured too. */
#ifndef TABES_TEST_CEILING_H
#define TABES_TEST_CEILING_H

#include "tests/gpu/floor.h"

#define CEILING_SECONDS 0.05

/* Opens the device for itself and closes it. */
int ceilings_measure(const k_open *o, ceilings *out, err *e) MUST_CHECK;

#endif
