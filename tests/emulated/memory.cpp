// memory.cpp - allocations of the emulated device, and copies between them and the host.
#include "memory.h"

#include "asan.h"
#include "device.h"
#include "stream.h"

#include <map>
#include <memory>
#include <stdlib.h>
#include <string.h>
#include <vector>

namespace emulated {

// ---- guarded buffers ----

#ifdef EMULATED_ASAN
enum : size_t { GUARD = 0, NEAR = 0 };
#else
enum : size_t { GUARD = 4096, NEAR = 64 };
#endif
enum : unsigned char { GUARD_BYTE = 0xa5 };

bool guarded_take(guarded *g, size_t bytes, size_t alignment) {
    void *p = nullptr;
    if (posix_memalign(&p, alignment, GUARD + bytes + GUARD)) return false;
    char *raw = static_cast<char *>(p);
    memset(raw, GUARD_BYTE, GUARD);
    memset(raw + GUARD, 0xff, bytes);
    memset(raw + GUARD + bytes, GUARD_BYTE, GUARD);
    *g = {raw + GUARD, bytes};
    return true;
}

void guarded_free(guarded *g) {
    if (g->at) free(g->at - GUARD);
    *g = {nullptr, 0};
}

static bool all_guard(const char *p, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        if (static_cast<unsigned char>(p[i]) != GUARD_BYTE) return false;
    }
    return true;
}

bool guarded_intact(const guarded *g) {
    return all_guard(g->at - GUARD, GUARD) && all_guard(g->at + g->bytes, GUARD);
}

bool guarded_near_intact(const guarded *g) {
    return all_guard(g->at - NEAR, NEAR) && all_guard(g->at + g->bytes, NEAR);
}

// ---- allocations ----

typedef std::map<const char *, guarded> allocations; // by address
static allocations on_device, pinned;
static int accesses; // device_access objects that live

static const guarded *find(const allocations &in, const void *p) {
    const char *at = static_cast<const char *>(p);
    allocations::const_iterator i = in.upper_bound(at);
    if (i == in.begin()) return nullptr;
    const guarded *g = &(--i)->second;
    return at <= g->at + g->bytes ? g : nullptr;
}

static bool holds(const allocations &in, const void *p, size_t bytes) {
    const guarded *g = find(in, p);
    return g && bytes <= static_cast<size_t>(g->at + g->bytes - static_cast<const char *>(p));
}

bool memory_holds(const void *p, size_t bytes) {
    return holds(on_device, p, bytes);
}

bool memory_is_pinned(const void *p, size_t bytes) {
    return holds(pinned, p, bytes);
}

bool memory_is_device(const void *p) {
    const guarded *g = find(on_device, p);
    return g && static_cast<const char *>(p) < g->at + g->bytes;
}

// Of a large allocation only the ends change hands: poisoning costs time by size, and host code that uses a
// device pointer by mistake mostly starts near its beginning.
enum : size_t { WHOLE = size_t(256) << 10, END = size_t(64) << 10 };

template <typename F> static void each_end(const guarded &g, F poison) {
    if (g.bytes <= WHOLE) {
        poison(g.at, g.bytes);
    } else {
        poison(g.at, size_t(END));
        poison(g.at + g.bytes - END, size_t(END));
    }
}

static void hide(const guarded &g) {
    each_end(g, [](const void *p, size_t bytes) { __asan_poison_memory_region(p, bytes); });
}

static void show(const guarded &g) {
    each_end(g, [](const void *p, size_t bytes) { __asan_unpoison_memory_region(p, bytes); });
}

device_access::device_access() {
    if (accesses++ > 0) return;
    for (const auto &a : on_device) show(a.second);
}

device_access::~device_access() {
    if (--accesses > 0) return;
    for (const auto &a : on_device) hide(a.second);
}

bool memory_intact(const char *what) {
    if (GUARD == 0) return true;
    for (const auto &a : on_device) {
        if (guarded_near_intact(&a.second)) continue;
        report("%s wrote outside a device allocation of %zu bytes", what, a.second.bytes);
        return false;
    }
    return true;
}

static cudaError_t take(void **p, size_t bytes) {
    *p = nullptr;
    if (bytes == 0) return answer(cudaSuccess);
    guarded g;
    if (bytes > gpu.set.memory_bytes || gpu.counts.live_bytes > gpu.set.memory_bytes - bytes ||
        !guarded_take(&g, bytes, 256)) {
        return answer(cudaErrorMemoryAllocation);
    }
    on_device[g.at] = g;
    hide(g);
    gpu.counts.live_allocations++;
    gpu.counts.live_bytes += bytes;
    if (gpu.counts.live_bytes > gpu.counts.peak_bytes) gpu.counts.peak_bytes = gpu.counts.live_bytes;
    *p = g.at;
    return answer(cudaSuccess);
}

// Frees even when the device is lost, so that leaks of our own can be told from those.
static cudaError_t drop(void *p) {
    allocations::iterator i = on_device.find(static_cast<char *>(p));
    if (i == on_device.end()) {
        report("cudaFree of %p, which is no device allocation", p);
        return answer(cudaErrorInvalidValue);
    }
    guarded g = i->second;
    if (!guarded_intact(&g)) {
        report("a device allocation of %zu bytes was written outside of before it is freed", g.bytes);
        lose(cudaErrorIllegalAddress);
    }
    if (accesses == 0) show(g);
    on_device.erase(i);
    gpu.counts.live_allocations--;
    gpu.counts.live_bytes -= g.bytes;
    guarded_free(&g);
    return answer(cudaSuccess);
}

} // namespace emulated

using namespace emulated;

cudaError_t cudaMalloc(void **p, size_t bytes) {
    locked guard;
    *p = nullptr;
    cudaError_t e = capture_refuses("cudaMalloc");
    return e == cudaSuccess ? take(p, bytes) : e;
}

cudaError_t cudaFree(void *p) {
    locked guard;
    cudaError_t e = capture_refuses("cudaFree");
    if (e != cudaSuccess && gpu.lost == cudaSuccess) return e;
    streams_finish();
    return p ? drop(p) : answer(cudaSuccess);
}

cudaError_t cudaMallocAsync(void **p, size_t bytes, cudaStream_t stream) {
    locked guard;
    *p = nullptr;
    if (stream_is_capturing(stream)) return capture_break(stream, "cudaMallocAsync");
    return take(p, bytes);
}

cudaError_t cudaFreeAsync(void *p, cudaStream_t stream) {
    locked guard;
    if (stream_is_capturing(stream)) return capture_break(stream, "cudaFreeAsync");
    if (!p) return answer(cudaSuccess);
    return stream_submit(stream, [p] {
        drop(p);
        return true;
    });
}

cudaError_t cudaHostAlloc(void **p, size_t bytes, unsigned) {
    locked guard;
    *p = nullptr;
    cudaError_t e = capture_refuses("cudaHostAlloc");
    if (e != cudaSuccess) return e;
    guarded g;
    if (!guarded_take(&g, bytes, 256)) return answer(cudaErrorMemoryAllocation);
    pinned[g.at] = g;
    *p = g.at;
    return answer(cudaSuccess);
}

cudaError_t cudaMallocHost(void **p, size_t bytes) {
    return cudaHostAlloc(p, bytes, cudaHostAllocDefault);
}

cudaError_t cudaFreeHost(void *p) {
    locked guard;
    cudaError_t e = capture_refuses("cudaFreeHost");
    if (e != cudaSuccess && gpu.lost == cudaSuccess) return e;
    if (!p) return answer(cudaSuccess);
    streams_finish();
    allocations::iterator i = pinned.find(static_cast<char *>(p));
    if (i == pinned.end()) {
        report("cudaFreeHost of %p, which is no pinned allocation", p);
        return answer(cudaErrorInvalidValue);
    }
    guarded_free(&i->second);
    pinned.erase(i);
    return answer(cudaSuccess);
}

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total_bytes) {
    locked guard;
    size_t total = gpu.set.memory_bytes, used = gpu.counts.live_bytes;
    *total_bytes = total;
    *free_bytes = used < total ? total - used : 0;
    return answer(cudaSuccess);
}

// ---- copies ----

namespace {

struct copy {
    void *to;
    const void *from;
    size_t bytes;
    bool to_device, from_device;
};

// Sorts out the direction; false, after a report, when an end is not where `kind` says.
bool copy_describe(copy *c, void *to, const void *from, size_t bytes, cudaMemcpyKind kind) {
    *c = {to, from, bytes, kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice,
          kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice};
    if (kind == cudaMemcpyDefault) {
        c->to_device = memory_is_device(to);
        c->from_device = memory_is_device(from);
    }
    const char *wrong = nullptr;
    if (c->to_device && !memory_holds(to, bytes)) wrong = "its destination is not within a device allocation";
    if (c->from_device && !memory_holds(from, bytes)) wrong = "its source is not within a device allocation";
    if (!c->to_device && memory_is_device(to)) wrong = "its destination is device memory";
    if (!c->from_device && memory_is_device(from)) wrong = "its source is device memory";
    if (wrong) report("a copy of %zu bytes, kind %d: %s", bytes, static_cast<int>(kind), wrong);
    return !wrong;
}

// What was there when the copy was queued may be gone when it runs.
bool copy_run(const copy &c) {
    if ((c.to_device && !memory_holds(c.to, c.bytes)) || (c.from_device && !memory_holds(c.from, c.bytes))) {
        report("a copy of %zu bytes runs after its device memory was freed", c.bytes);
        lose(cudaErrorIllegalAddress);
        return true;
    }
    device_access access;
    memmove(c.to, c.from, c.bytes);
    return true;
}

bool pageable(const void *p, bool device, size_t bytes) {
    return !device && !memory_is_pinned(p, bytes);
}

// Pageable sources are copied at the call; pageable destinations are written before it returns.
cudaError_t copy_submit(const copy &c, cudaStream_t stream) {
    bool from_pageable = pageable(c.from, c.from_device, c.bytes),
         to_pageable = pageable(c.to, c.to_device, c.bytes);
    if ((from_pageable || to_pageable) && stream_is_capturing(stream)) {
        return capture_break(stream, "a copy with pageable host memory");
    }
    if (!from_pageable) {
        cudaError_t e = stream_submit(stream, [c] { return copy_run(c); });
        if (e == cudaSuccess && to_pageable) stream_finish(stream);
        return answer(e);
    }
    const char *from = static_cast<const char *>(c.from);
    std::shared_ptr<std::vector<char>> kept = std::make_shared<std::vector<char>>(from, from + c.bytes);
    cudaError_t e = stream_submit(stream, [c, kept] {
        copy moved = c;
        moved.from = kept->data();
        return copy_run(moved);
    });
    if (e == cudaSuccess && to_pageable) stream_finish(stream);
    return answer(e);
}

cudaError_t set_submit(void *to, int value, size_t bytes, cudaStream_t stream) {
    if (bytes == 0) return answer(cudaSuccess);
    if (!memory_holds(to, bytes)) {
        report("a memset of %zu bytes is not within a device allocation", bytes);
        return answer(cudaErrorInvalidValue);
    }
    return stream_submit(stream, [to, value, bytes] {
        if (memory_holds(to, bytes)) {
            device_access access;
            memset(to, value, bytes);
        } else {
            report("a memset of %zu bytes runs after its device memory was freed", bytes);
            lose(cudaErrorIllegalAddress);
        }
        return true;
    });
}

} // namespace

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
    locked guard;
    if (bytes == 0 || gpu.lost != cudaSuccess) return answer(cudaSuccess);
    copy c;
    if (!copy_describe(&c, to, from, bytes, kind)) return answer(cudaErrorInvalidValue);
    return copy_submit(c, stream);
}

cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, cudaMemcpyKind kind) {
    locked guard;
    cudaError_t e = capture_refuses("cudaMemcpy");
    if (e != cudaSuccess) return e;
    e = cudaMemcpyAsync(to, from, bytes, kind, nullptr);
    stream_finish(nullptr);
    return answer(e);
}

cudaError_t cudaMemsetAsync(void *to, int value, size_t bytes, cudaStream_t stream) {
    locked guard;
    return set_submit(to, value, bytes, stream);
}

cudaError_t cudaMemset(void *to, int value, size_t bytes) {
    locked guard;
    cudaError_t e = capture_refuses("cudaMemset");
    return e == cudaSuccess ? set_submit(to, value, bytes, nullptr) : e;
}
