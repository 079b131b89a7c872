/* device.h - where a test's denoisers run: the CPU, or what TABES_DEVICE names, in float32. */
#ifndef TABES_TEST_DEVICE_H
#define TABES_TEST_DEVICE_H

#include <stdlib.h>

#include "engine/denoiser.h"

static inline const denoiser_opts *test_device(void) {
    static denoiser_opts o = {.precision = K_PRECISION_F32};
    o.device = getenv("TABES_DEVICE");
    return &o;
}

#endif
