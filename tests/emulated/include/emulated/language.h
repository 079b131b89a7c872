// language.h - CUDA's qualifiers, dim3 and vector types in plain C++.
//
// There is no __shared__: kernels take shared memory from SHARED alone (portable.cuh).
#pragma once

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))

struct uint3 {
    unsigned x, y, z;
};

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {
    }
};

// Alignment is as on the device, so that the alignment sanitizer sees what would be a fault there.
#define EMULATED_VECTOR2(name, type)                                                                         \
    struct alignas(2 * sizeof(type)) name {                                                                  \
        type x, y;                                                                                           \
    };                                                                                                       \
    inline name make_##name(type x, type y) {                                                                \
        return {x, y};                                                                                       \
    }
#define EMULATED_VECTOR4(name, type)                                                                         \
    struct alignas(4 * sizeof(type)) name {                                                                  \
        type x, y, z, w;                                                                                     \
    };                                                                                                       \
    inline name make_##name(type x, type y, type z, type w) {                                                \
        return {x, y, z, w};                                                                                 \
    }

EMULATED_VECTOR2(float2, float)
EMULATED_VECTOR2(int2, int)
EMULATED_VECTOR2(uint2, unsigned)
EMULATED_VECTOR2(double2, double)
EMULATED_VECTOR4(float4, float)
EMULATED_VECTOR4(int4, int)
EMULATED_VECTOR4(uint4, unsigned)

#undef EMULATED_VECTOR2
#undef EMULATED_VECTOR4
