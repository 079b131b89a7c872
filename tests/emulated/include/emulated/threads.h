// threads.h - what a kernel's thread sees of its block: indices, barriers, warp operations, atomics.
//
// Threads are fibers of one host thread; they give way at barriers and at warp-wide operations only, so an
// atomic is an ordinary read and write. A warp-wide operation is a meeting: every lane brings a record on its
// own stack, and the last to come fills in everyone's answers.
#pragma once

#include "language.h"

// Those of the running thread; the scheduler sets them at every switch.
extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;
enum { warpSize = 32 };

namespace emulated {

void *shared_memory(); // the running block's, 16-byte aligned
void block_barrier();

// lanes[i] is what lane i brought, NULL for lanes outside the mask.
typedef void meet_fn(void *const lanes[32], unsigned mask);
void warp_meet(const char *operation, unsigned mask, void *mine, meet_fn *answer);
unsigned lane_id();

struct shuffled {
    uint64_t value;
    unsigned source;
    uint64_t answer;
};
uint64_t shuffle(const char *operation, unsigned mask, uint64_t value, unsigned source);

// The widths and clamps of the four shuffles; source is a lane of this warp.
unsigned shuffle_up_source(unsigned delta, int width);
unsigned shuffle_down_source(unsigned delta, int width);
unsigned shuffle_xor_source(int lane_mask, int width);
unsigned shuffle_source(int lane, int width);

template <typename T> T shuffle_as(const char *operation, unsigned mask, T value, unsigned source) {
    static_assert(sizeof(T) == 4 || sizeof(T) == 8, "shuffles move 4 or 8 bytes");
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof value);
    bits = shuffle(operation, mask, bits, source);
    memcpy(&value, &bits, sizeof value);
    return value;
}

} // namespace emulated

inline void __syncthreads() {
    emulated::block_barrier();
}
void __syncwarp(unsigned mask = 0xffffffffu);
unsigned __ballot_sync(unsigned mask, int predicate);
int __any_sync(unsigned mask, int predicate);
int __all_sync(unsigned mask, int predicate);

template <typename T> T __shfl_sync(unsigned mask, T value, int lane, int width = warpSize) {
    return emulated::shuffle_as("__shfl_sync", mask, value, emulated::shuffle_source(lane, width));
}
template <typename T> T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = warpSize) {
    return emulated::shuffle_as("__shfl_xor_sync", mask, value,
                                emulated::shuffle_xor_source(lane_mask, width));
}
template <typename T> T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = warpSize) {
    return emulated::shuffle_as("__shfl_up_sync", mask, value, emulated::shuffle_up_source(delta, width));
}
template <typename T> T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = warpSize) {
    return emulated::shuffle_as("__shfl_down_sync", mask, value, emulated::shuffle_down_source(delta, width));
}

// The overloads that CUDA has, so that a missing cast shows here too.
#define EMULATED_ATOMIC(name, type, expression)                                                              \
    inline type name(type *at, type value) {                                                                 \
        type old = *at;                                                                                      \
        *at = (expression);                                                                                  \
        return old;                                                                                          \
    }
EMULATED_ATOMIC(atomicAdd, int, static_cast<int>(static_cast<unsigned>(old) + static_cast<unsigned>(value)))
EMULATED_ATOMIC(atomicAdd, unsigned, old + value)
EMULATED_ATOMIC(atomicAdd, unsigned long long, old + value)
EMULATED_ATOMIC(atomicAdd, float, old + value)
EMULATED_ATOMIC(atomicAdd, double, old + value)
EMULATED_ATOMIC(atomicMin, int, value < old ? value : old)
EMULATED_ATOMIC(atomicMin, unsigned, value < old ? value : old)
EMULATED_ATOMIC(atomicMin, unsigned long long, value < old ? value : old)
EMULATED_ATOMIC(atomicMin, long long, value < old ? value : old)
EMULATED_ATOMIC(atomicMax, int, value > old ? value : old)
EMULATED_ATOMIC(atomicMax, unsigned, value > old ? value : old)
EMULATED_ATOMIC(atomicMax, unsigned long long, value > old ? value : old)
EMULATED_ATOMIC(atomicMax, long long, value > old ? value : old)
#undef EMULATED_ATOMIC

template <typename T> T __ldg(const T *p) {
    return *p;
}

#define SHARED(type, name) type *name = static_cast<type *>(emulated::shared_memory())
