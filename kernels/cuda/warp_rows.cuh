// warp_rows.cuh - vectors of one head, worked on by a warp: any length, lanes taking turns at its elements.
#pragma once

#include "kernels/cuda/portable.cuh"

enum : unsigned { WHOLE_WARP = 0xffffffffu };

__device__ __forceinline__ float warp_max(float x) {
    for (int step = WARP / 2; step > 0; step /= 2) x = fmaxf(x, __shfl_xor_sync(WHOLE_WARP, x, step));
    return x;
}

__device__ __forceinline__ float warp_sum(float x) {
    for (int step = WARP / 2; step > 0; step /= 2) x += __shfl_xor_sync(WHOLE_WARP, x, step);
    return x;
}

// to[d] = from[d] as float; the warp waits for all of it.
template <typename T> __device__ __forceinline__ void warp_read(float *to, const T *from, int n, int lane) {
    for (int d = lane; d < n; d += WARP) to[d] = to_float(from[d]);
    __syncwarp();
}

__device__ __forceinline__ void warp_zero(float *to, int n, int lane) {
    for (int d = lane; d < n; d += WARP) to[d] = 0;
    __syncwarp();
}

// One lane's own product of a vector in shared memory with one in device memory.
template <typename T> __device__ __forceinline__ float lane_dot(const float *x, const T *y, int n) {
    float s = 0;
    for (int d = 0; d < n; d++) s += x[d] * to_float(y[d]);
    return s;
}
