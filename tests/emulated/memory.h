// memory.h - device and pinned memory: who owns an address, and when the host may touch it.
//
// Device memory is the host's heap, filled with NaN bytes and, under AddressSanitizer, poisoned whenever no
// device work runs. Without it, guard bytes around every allocation are looked at after every launch.
#pragma once

#include <stddef.h>

namespace emulated {

// Do bytes from p on lie within one live allocation? Zero bytes may stand at its end.
bool memory_holds(const void *p, size_t bytes);     // device memory
bool memory_is_pinned(const void *p, size_t bytes); // pinned host memory, which kernels may use too
// Like memory_holds, but p alone matters: does it point into device memory?
bool memory_is_device(const void *p);

// Device memory is accessible while one of these lives.
struct device_access {
    device_access();
    ~device_access();
    device_access(const device_access &) = delete;
    device_access &operator=(const device_access &) = delete;
};

// A buffer between guard bytes, or exact under AddressSanitizer. Filled with 0xff.
struct guarded {
    char *at;
    size_t bytes;
};
bool guarded_take(guarded *g, size_t bytes, size_t alignment);
void guarded_free(guarded *g);
bool guarded_intact(const guarded *g);
// Looks at the nearest bytes only, where nearly every overrun leaves a trace.
bool guarded_near_intact(const guarded *g);

// False when something was written outside an allocation; that has been reported, after `what`.
bool memory_intact(const char *what);

} // namespace emulated
