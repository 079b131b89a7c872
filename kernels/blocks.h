/* blocks.h - the storage types of weights: how many elements and bytes a block has, and half precision.
 *
 * Plain types are blocks of one element. The formulas of the others are in docs/formats.md;
 * kernels/cpu/widen.c and kernels/cuda/blocks.cuh decode them, and tests/unit/test_kernels_blocks.c
 * holds both against a third, plain reading of the formulas. */
#ifndef TABES_BLOCKS_H
#define TABES_BLOCKS_H

#include <string.h>

#include "kernels/kernels.h"

typedef struct k_block_type {
    const char *name; /* as GGUF and safetensors call it */
    int elements, bytes;
} k_block_type;

static inline k_block_type k_block_of(k_dtype t) {
    static const k_block_type types[K_DTYPES] = {
        {"F32", 1, 4},      {"F16", 1, 2},      {"BF16", 1, 2},     {"Q8_0", 32, 34},  {"Q4_0", 32, 18},
        {"Q4_1", 32, 20},   {"Q5_0", 32, 22},   {"Q5_1", 32, 24},   {"Q2_K", 256, 84}, {"Q3_K", 256, 110},
        {"Q4_K", 256, 144}, {"Q5_K", 256, 176}, {"Q6_K", 256, 210},
    };
    return types[t];
}

static inline int k_block_size(k_dtype t) {
    return k_block_of(t).elements;
}

/* Bytes of `cols` elements, a multiple of the block's. */
static inline size_t k_row_bytes(k_dtype t, int cols) {
    k_block_type b = k_block_of(t);
    return (size_t)(cols / b.elements) * (size_t)b.bytes;
}

static inline bool k_is_block(k_dtype t) {
    return t >= K_Q8_0;
}

/* IEEE half: shifting exponent and mantissa into place leaves the value 2^112 too small, and the
 * multiplication that corrects it also normalises subnormals, exactly. */
static inline float k_half_value(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16, rest = (uint32_t)(h & 0x7fffu) << 13, u;
    float f;
    memcpy(&f, &rest, sizeof f);
    f *= 5192296858534827628530496329220096.0f; /* 2^112 */
    memcpy(&u, &f, sizeof u);
    u |= sign | (rest >= 0x0f800000u ? 0x7f800000u : 0u); /* infinities and NaN keep their mantissa */
    memcpy(&f, &u, sizeof f);
    return f;
}

#endif
