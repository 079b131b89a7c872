// checks.h - counts checks of the emulator and says which failed.
#pragma once

#include "emulator.h"

#include <stdio.h>
#include <string.h>

static int checks_done, checks_failed;

#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        checks_done++;                                                                                       \
        if (!(condition)) {                                                                                  \
            checks_failed++;                                                                                 \
            fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition);                          \
        }                                                                                                    \
    } while (0)

// The device was lost with a report that says `part`; brings it back.
#define CHECK_REPORTED(error, part)                                                                          \
    do {                                                                                                     \
        CHECK(cudaDeviceSynchronize() == (error));                                                           \
        CHECK(strstr(emulator_report(), part) != nullptr);                                                   \
        emulator_revive();                                                                                   \
    } while (0)

static inline int checks_end() {
    printf("emulator: %d checks, %d failed\n", checks_done, checks_failed);
    return checks_failed ? 1 : 0;
}
