/* rng.c - counter-based generator; see the header. */
#include "engine/base/rng.h"

static uint64_t mix(uint64_t z) {
    z += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t rng_bits(uint64_t seed, uint64_t step, uint64_t position, uint64_t token, rng_purpose purpose) {
    uint64_t h = mix(seed);
    h = mix(h ^ step);
    h = mix(h ^ position);
    h = mix(h ^ token);
    return mix(h ^ (uint64_t)purpose);
}

double rng_uniform(uint64_t seed, uint64_t step, uint64_t position, uint64_t token, rng_purpose purpose) {
    return ((double)(rng_bits(seed, step, position, token, purpose) >> 12) + 0.5) * 0x1p-52;
}
