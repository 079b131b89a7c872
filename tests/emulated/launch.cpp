// launch.cpp - checks a launch as the runtime does, and runs its blocks one after the other in a drawn order.
#include "include/emulated/launch.h"

#include "block.h"
#include "device.h"
#include "memory.h"
#include "random.h"
#include "stream.h"

#include <map>
#include <memory>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

namespace emulated {

// Dynamic shared memory that cudaFuncSetAttribute allowed, by kernel.
static std::map<const void *, size_t> allowed_shared;

// ---- checks ----

static bool grid_is_legal(const launch_request &r) {
    uint64_t threads = static_cast<uint64_t>(r.block.x) * r.block.y * r.block.z;
    return r.grid.x > 0 && r.grid.y > 0 && r.grid.z > 0 && r.grid.x <= 2147483647u && r.grid.y <= 65535 &&
           r.grid.z <= 65535 && threads > 0 && threads <= MOST_THREADS && r.block.z <= 64;
}

static bool shared_is_legal(const launch_request &r) {
    std::map<const void *, size_t>::const_iterator i = allowed_shared.find(r.kernel);
    return r.shared_bytes <= (i == allowed_shared.end() ? size_t(SHARED_PLAIN) : i->second);
}

// Is this the address of something in the host's memory? A word of a struct may look like an address and be
// two numbers; few of those name a mapped page above where AddressSanitizer keeps its shadow, and counts in
// the lower half are below a million.
static bool is_mapped(const void *p) {
    uintptr_t page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE)), at = reinterpret_cast<uintptr_t>(p);
    if (at < uintptr_t(0x100080000000) || at >> 48 || static_cast<uint32_t>(at) < 1u << 20) return false;
    unsigned char resident;
    return mincore(reinterpret_cast<void *>(at / page * page), 1, &resident) == 0;
}

static bool arguments_are_legal(const launch_request &r) {
    for (const argument &a : r.arguments) {
        if (!a.word || memory_holds(a.word, 0) || memory_is_pinned(a.word, 0)) continue;
        if (!a.certain && !is_mapped(a.word)) continue;
        report("host pointer passed to kernel %s: %s %d (%p) is not within live device memory", r.name,
               a.certain ? "argument" : "a word of argument", a.index, a.word);
        return false;
    }
    return true;
}

// ---- running ----

// One shared memory serves all blocks of a launch in turn; each finds it full of NaN.
static bool run_block(const launch_request &r, uint64_t n, guarded *shared, uint64_t seed) {
    uint3 index = {static_cast<unsigned>(n % r.grid.x), static_cast<unsigned>(n / r.grid.x % r.grid.y),
                   static_cast<unsigned>(n / r.grid.x / r.grid.y)};
    memset(shared->at, 0xff, shared->bytes);
    if (!block_run(r, index, shared->at, seed)) return false;
    if (guarded_intact(shared)) return true;
    report("kernel %s, block (%u,%u,%u) wrote outside its %zu bytes of shared memory", r.name, index.x,
           index.y, index.z, shared->bytes);
    return false;
}

static bool run_blocks(const launch_request &r, guarded *shared) {
    uint64_t seed = gpu.set.seed * 1000003u + static_cast<uint64_t>(gpu.counts.launches);
    size_t n = static_cast<size_t>(r.grid.x) * r.grid.y * r.grid.z;
    std::vector<uint32_t> order(n);
    for (size_t i = 0; i < n; i++) order[i] = static_cast<uint32_t>(i);
    random_order(seed).shuffle(order.data(), n);
    for (size_t i = 0; i < n; i++) {
        if (!run_block(r, order[i], shared, seed * 7919u + i)) return false;
    }
    return true;
}

static bool launch_run(const launch_request &r) {
    if (!count_launch(&gpu.counts.launches)) return true;
    if (!arguments_are_legal(r)) {
        lose(cudaErrorIllegalAddress);
        return true;
    }
    guarded shared;
    if (!guarded_take(&shared, r.shared_bytes, 16)) {
        lose(cudaErrorLaunchFailure);
        return true;
    }
    bool good;
    {
        device_access access;
        good = run_blocks(r, &shared);
    }
    guarded_free(&shared);
    if (!good) lose(cudaErrorLaunchFailure);
    if (!memory_intact(r.name)) lose(cudaErrorIllegalAddress);
    return true;
}

// As with a real launch, all there is to see of an error is what cudaGetLastError answers.
void launch_submit(launch_request request, cudaStream_t stream) {
    locked guard;
    if (gpu.lost != cudaSuccess) return;
    if (!grid_is_legal(request)) {
        answer(cudaErrorInvalidConfiguration);
    } else if (!shared_is_legal(request)) {
        report("kernel %s wants %zu bytes of shared memory, more than it was allowed", request.name,
               request.shared_bytes);
        answer(cudaErrorInvalidValue);
    } else if (!arguments_are_legal(request)) {
        lose(cudaErrorIllegalAddress);
    } else {
        std::shared_ptr<launch_request> r = std::make_shared<launch_request>(std::move(request));
        stream_submit(stream, [r] { return launch_run(*r); });
    }
}

} // namespace emulated

using namespace emulated;

cudaError_t cudaFuncSetAttribute(const void *kernel, cudaFuncAttribute attribute, int value) {
    locked guard;
    if (attribute == cudaFuncAttributePreferredSharedMemoryCarveout) return answer(cudaSuccess);
    if (value < 0 || static_cast<size_t>(value) > SHARED_MOST) return answer(cudaErrorInvalidValue);
    allowed_shared[kernel] = static_cast<size_t>(value);
    return answer(cudaSuccess);
}

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes *attributes, const void *kernel) {
    locked guard;
    std::map<const void *, size_t>::const_iterator i = allowed_shared.find(kernel);
    size_t shared = i == allowed_shared.end() ? size_t(SHARED_PLAIN) : i->second;
    *attributes = {MOST_THREADS, static_cast<int>(shared), 64, 80, 80};
    return answer(cudaSuccess);
}
