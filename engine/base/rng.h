/* rng.h - counter-based random numbers.
 *
 * A draw is a pure function of (seed, step, position, token, purpose), so the same decision
 * sees the same number whatever was computed before it: undo, redo and replay are exact.
 * The mixing is SplitMix64's finaliser (Steele et al., 2014) applied to each coordinate.
 */
#ifndef TABES_BASE_RNG_H
#define TABES_BASE_RNG_H

#include <stdint.h>

typedef enum rng_purpose { RNG_TOKEN, RNG_POSITION, RNG_REMASK, RNG_PATH, RNG_TRUTH } rng_purpose;

/* 64 uniform bits. */
uint64_t rng_bits(uint64_t seed, uint64_t step, uint64_t position, uint64_t token, rng_purpose purpose);

/* Uniform double in (0, 1): never 0, never 1. */
double rng_uniform(uint64_t seed, uint64_t step, uint64_t position, uint64_t token, rng_purpose purpose);

#endif
