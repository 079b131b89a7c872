// block.h - runs one block of threads as fibers, in an order drawn from a seed.
//
// A thread runs until a barrier or a warp-wide operation holds it. Half of the blocks let whoever was freed
// last go on (one warp runs far ahead of the others), half draw from all that can run.
#pragma once

#include "include/emulated/launch.h"

namespace emulated {

// Copies that this thread has issued with cp.async; see tensor.cpp.
struct pending_copy {
    void *to;
    const void *from; // NULL: zeros
    int group;
};
struct pending_copies {
    std::vector<pending_copy> list; // oldest first
    int open_group = 0;
};

// False when the block broke a rule; that has been reported. `shared` is shared_bytes of the launch.
bool block_run(const launch_request &launch, uint3 block, void *shared, uint64_t seed);

// For device functions. Reports with kernel, block and thread put in front, and does not return.
[[noreturn]] __attribute__((format(printf, 1, 2))) void thread_fail(const char *format, ...);
pending_copies *thread_copies();
// Is this inside the block's shared memory?
bool block_shares(const void *p, size_t bytes);

} // namespace emulated
