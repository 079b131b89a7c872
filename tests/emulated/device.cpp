// device.cpp - settings, errors and properties of the emulated device.
#include "device.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

namespace emulated {

device gpu;

static thread_local cudaError_t last_error = cudaSuccess;

static int64_t from_environment(const char *name, int64_t otherwise) {
    const char *text = getenv(name);
    return text && *text ? strtoll(text, nullptr, 0) : otherwise;
}

device::device() {
    set.seed = static_cast<uint64_t>(from_environment("TABES_EMULATOR_SEED", 1));
    set.memory_bytes = static_cast<size_t>(from_environment("TABES_EMULATOR_MEMORY", int64_t(4) << 30));
    set.fail_at = from_environment("TABES_EMULATOR_FAIL_AFTER", 0);
    set.devices = static_cast<int>(from_environment("TABES_EMULATOR_DEVICES", 1));
    set.async = from_environment("TABES_EMULATOR_ASYNC", 1) != 0;
    set.abort = from_environment("TABES_EMULATOR_ABORT", 0) != 0;
    const char *refuse = getenv("TABES_EMULATOR_REFUSE");
    snprintf(set.refuse, sizeof set.refuse, "%s", refuse ? refuse : "");
}

void report(const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(gpu.last_report, sizeof gpu.last_report, format, args);
    va_end(args);
    fprintf(stderr, "emulator: %s\n", gpu.last_report);
    if (gpu.set.abort) abort();
}

cudaError_t answer(cudaError_t e) {
    if (gpu.lost != cudaSuccess) return gpu.lost;
    if (e != cudaSuccess && e != cudaErrorNotReady) last_error = e;
    return e;
}

cudaError_t lose(cudaError_t e) {
    if (gpu.lost == cudaSuccess) gpu.lost = e;
    return gpu.lost;
}

bool refuses(const char *what) {
    return strcmp(gpu.set.refuse, what) == 0;
}

bool count_launch(int64_t *counter) {
    if (gpu.lost != cudaSuccess) return false;
    ++*counter;
    int64_t n = gpu.counts.launches + gpu.counts.products;
    if (gpu.set.fail_at == 0 || n < gpu.set.fail_at) return true;
    report("launch %lld fails, as was asked for", static_cast<long long>(n));
    lose(cudaErrorIllegalAddress);
    return false;
}

} // namespace emulated

using namespace emulated;

// ---- errors ----

cudaError_t cudaGetLastError() {
    locked guard;
    cudaError_t e = gpu.lost != cudaSuccess ? gpu.lost : last_error;
    last_error = cudaSuccess;
    return e;
}

cudaError_t cudaPeekAtLastError() {
    locked guard;
    return gpu.lost != cudaSuccess ? gpu.lost : last_error;
}

const char *cudaGetErrorName(cudaError_t e) {
#define CASE(name, value, text)                                                                              \
    if (e == name) return #name;
    EMULATED_ERRORS(CASE)
#undef CASE
    return "unrecognized error code";
}

const char *cudaGetErrorString(cudaError_t e) {
#define CASE(name, value, text)                                                                              \
    if (e == name) return text;
    EMULATED_ERRORS(CASE)
#undef CASE
    return "unrecognized error code";
}

// ---- properties ----

cudaError_t cudaDriverGetVersion(int *version) {
    *version = refuses("driver") ? 11020 : CUDART_VERSION;
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version) {
    *version = CUDART_VERSION;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int *count) {
    locked guard;
    *count = gpu.set.devices;
    if (refuses("driver")) return answer(cudaErrorInsufficientDriver);
    return gpu.set.devices > 0 ? cudaSuccess : answer(cudaErrorNoDevice);
}

static cudaError_t check_device(int n) {
    return n >= 0 && n < gpu.set.devices ? answer(cudaSuccess) : answer(cudaErrorInvalidDevice);
}

cudaError_t cudaSetDevice(int n) {
    locked guard;
    return check_device(n);
}

cudaError_t cudaGetDevice(int *n) {
    locked guard;
    *n = 0;
    return check_device(0);
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *p, int n) {
    locked guard;
    cudaError_t e = check_device(n);
    if (e != cudaSuccess) return e;
    *p = {};
    snprintf(p->name, sizeof p->name, "emulated GPU");
    p->totalGlobalMem = gpu.set.memory_bytes;
    p->sharedMemPerBlock = SHARED_PLAIN;
    p->sharedMemPerBlockOptin = SHARED_MOST;
    p->sharedMemPerMultiprocessor = SHARED_MOST + 1024;
    p->major = refuses("code") ? 7 : 8;
    p->multiProcessorCount = PROCESSORS;
    p->warpSize = 32;
    p->maxThreadsPerBlock = MOST_THREADS;
    p->maxThreadsPerMultiProcessor = 1536;
    for (int i = 0; i < 3; i++) p->maxThreadsDim[i] = i < 2 ? 1024 : 64;
    for (int i = 0; i < 3; i++) p->maxGridSize[i] = i == 0 ? 2147483647 : 65535;
    p->l2CacheSize = 4 << 20;
    return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int n) {
    cudaDeviceProp p;
    cudaError_t e = cudaGetDeviceProperties(&p, n);
    if (e != cudaSuccess) return e;
    switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock:
        *value = p.maxThreadsPerBlock;
        break;
    case cudaDevAttrMaxSharedMemoryPerBlock:
        *value = static_cast<int>(p.sharedMemPerBlock);
        break;
    case cudaDevAttrWarpSize:
        *value = p.warpSize;
        break;
    case cudaDevAttrMultiProcessorCount:
        *value = p.multiProcessorCount;
        break;
    case cudaDevAttrComputeCapabilityMajor:
        *value = p.major;
        break;
    case cudaDevAttrComputeCapabilityMinor:
        *value = p.minor;
        break;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
        *value = static_cast<int>(p.sharedMemPerMultiprocessor);
        break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
        *value = static_cast<int>(p.sharedMemPerBlockOptin);
        break;
    default:
        return answer(cudaErrorInvalidValue);
    }
    return cudaSuccess;
}

// ---- what tests may set ----

void emulator_set_seed(uint64_t seed) {
    locked guard;
    gpu.set.seed = seed;
}

void emulator_set_memory(size_t bytes) {
    locked guard;
    gpu.set.memory_bytes = bytes;
}

void emulator_set_fail_after(int64_t n) {
    locked guard;
    gpu.set.fail_at = n > 0 ? gpu.counts.launches + gpu.counts.products + n : 0;
}

void emulator_set_devices(int n) {
    locked guard;
    gpu.set.devices = n;
}

void emulator_set_async(int async) {
    cudaDeviceSynchronize();
    locked guard;
    gpu.set.async = async != 0;
}

void emulator_set_refuse(const char *what) {
    locked guard;
    snprintf(gpu.set.refuse, sizeof gpu.set.refuse, "%s", what);
}

void emulator_revive(void) {
    locked guard;
    gpu.lost = cudaSuccess;
    gpu.set.fail_at = 0;
    last_error = cudaSuccess;
    gpu.last_report[0] = '\0';
}

void emulator_count(emulator_counts *out) {
    locked guard;
    *out = gpu.counts;
}

const char *emulator_report(void) {
    locked guard;
    return gpu.last_report;
}
