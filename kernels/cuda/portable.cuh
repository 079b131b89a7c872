// portable.cuh - the CUDA that kernels here may use: what nvcc and the emulator in tests/emulated both offer.
//
// The same sources are compiled by nvcc for a GPU and by a C++ compiler against tests/emulated/include,
// whose cuda_runtime.h, cublas_v2.h and cuda_bf16.h run kernels on the CPU. To stay portable a kernel
//   - is started with LAUNCH, never with <<<>>>;
//   - takes all its shared memory from SHARED (dynamic; LAUNCH names its size in bytes);
//   - uses threadIdx, blockIdx, blockDim, gridDim, __syncthreads, __syncwarp, the __shfl_*_sync family,
//     __ballot_sync, __any_sync, __all_sync, atomicAdd, atomicMin, atomicMax, __ldg, the float functions
//     of <math.h>, float2/float4/uint2/uint4/int4 and their make_ functions, __nv_bfloat16 and
//     __nv_bfloat162 conversions, and what tensor.cuh wraps.
#pragma once

#include <cublas_v2.h>
#include <cuda_bf16.h>
#include <cuda_runtime.h>
#include <stdint.h>

typedef __nv_bfloat16 bf16;

#ifdef __CUDACC__
#define LAUNCH(kernel, grid, block, shared_bytes, stream, ...)                                               \
    kernel<<<(grid), (block), (shared_bytes), (stream)>>>(__VA_ARGS__)
// A pointer to the block's dynamic shared memory, 16-byte aligned.
#define SHARED(type, name)                                                                                   \
    extern __shared__ __align__(16) unsigned char shared_bytes_[];                                           \
    type *name = reinterpret_cast<type *>(shared_bytes_)
#endif
// The emulator's cuda_runtime.h defines LAUNCH and SHARED itself.

enum { WARP = 32 };

__device__ __forceinline__ float to_float(float x) {
    return x;
}
__device__ __forceinline__ float to_float(bf16 x) {
    return __bfloat162float(x);
}
template <typename T> __device__ __forceinline__ T from_float(float x);
template <> __device__ __forceinline__ float from_float<float>(float x) {
    return x;
}
template <> __device__ __forceinline__ bf16 from_float<bf16>(float x) {
    return __float2bfloat16(x);
}
