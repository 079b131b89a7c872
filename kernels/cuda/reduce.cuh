// reduce.cuh - sums over a block in a fixed tree: lanes by halves, then warps in order.
//
// In float where a few ulp do, in double where they do not; devices for graphics do double slowly, so only
// the threads that need a sum call sums_over().
#pragma once

#include "kernels/cuda/portable.cuh"

enum : unsigned { ALL_LANES = 0xffffffffu };
enum { MOST_WARPS = 32 };

// False for NaN.
__device__ __forceinline__ bool is_finite(float v) {
    return fabsf(v) <= 3.402823466e38f;
}

template <typename T> struct sums { T a, b; };

// Brings every warp's sums of a and b to `room`, MOST_WARPS entries of shared memory.
template <typename T> __device__ __forceinline__ void sums_gather(sums<T> s, sums<T> *room) {
    for (int step = WARP / 2; step > 0; step /= 2) {
        s.a += __shfl_xor_sync(ALL_LANES, s.a, step);
        s.b += __shfl_xor_sync(ALL_LANES, s.b, step);
    }
    if (threadIdx.x % WARP == 0) room[threadIdx.x / WARP] = s;
    __syncthreads();
}

// What was gathered by all warps of the block.
template <typename T> __device__ __forceinline__ sums<T> sums_over(const sums<T> *room) {
    sums<T> s = room[0];
    for (unsigned w = 1; w < blockDim.x / WARP; w++) s.a += room[w].a, s.b += room[w].b;
    return s;
}
