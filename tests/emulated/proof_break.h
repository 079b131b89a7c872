// proof_break.h - included before a kernel's source to break it in one way; see test_proofs.cpp.
#pragma once

#include "cuda_runtime.h"

#ifdef DROP_BARRIER
#define __syncthreads() static_cast<void>(0)
#endif

// Odd lanes go elsewhere.
#ifdef HALF_BARRIER
inline void half_barrier() {
    if (threadIdx.x % 2 == 0) {
        __syncthreads();
    } else {
        __syncwarp();
    }
}
#define __syncthreads() half_barrier()
#endif

// Every block takes the row after its own.
#ifdef SHIFT_INDEX
inline uint3 shifted_block() {
    uint3 index = blockIdx;
    index.x++;
    return index;
}
#define blockIdx shifted_block()
#endif
