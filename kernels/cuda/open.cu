// open.cu - the module's one exported function: is the device that is asked for there, and is there code for
// it?
#include "kernels/cuda/queue_impl.cuh"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <new>

#ifndef TABES_CUDA_ARCHITECTURES
#define TABES_CUDA_ARCHITECTURES "any device"
#endif

__attribute__((format(printf, 3, 4))) static int refuse(k_fault *f, k_fault_kind kind, const char *format,
                                                        ...) {
    va_list args;
    va_start(args, format);
    f->kind = kind;
    vsnprintf(f->text, sizeof f->text, format, args);
    va_end(args);
    return -1;
}

// The N of "cuda:N", the turn for "cuda", -1 for anything else.
static int ordinal_of(const k_open *o) {
    const char *device = o->device;
    if (!device || strncmp(device, "cuda", 4) != 0) return -1;
    if (device[4] == '\0') return o->turn;
    if (device[4] != ':' || device[5] < '0' || device[5] > '9' || strlen(device) > 8) return -1;
    char *end;
    long n = strtol(device + 5, &end, 10);
    return *end ? -1 : static_cast<int>(n);
}

static int count_devices(int *count, k_fault *f) {
    cudaError_t e = cudaGetDeviceCount(count);
    if (e == cudaSuccess && *count > 0) return 0;
    cudaGetLastError();
    *count = 0;
    if (e == cudaSuccess || e == cudaErrorNoDevice)
        return refuse(f, K_NO_DEVICE, "cuda: this machine has no CUDA device");
    if (e != cudaErrorInsufficientDriver)
        return refuse(f, K_UNUSABLE, "cuda: no device: %s", cudaGetErrorString(e));
    int driver = 0;
    cudaDriverGetVersion(&driver);
    if (driver == 0) return refuse(f, K_NO_DEVICE, "cuda: this machine has no NVIDIA driver");
    return refuse(f, K_UNUSABLE,
                  "cuda: the driver knows CUDA %d.%d, and this build needs %d.%d: update the driver",
                  driver / 1000, driver % 1000 / 10, CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
}

__global__ static void probe_kernel(int *out) {
    if (out) *out = 1;
}

// A device for which the module holds neither code nor PTX fails at its first kernel; ask before that.
static int check_code(int ordinal, k_fault *f) {
    cudaDeviceProp p;
    cudaFuncAttributes a;
    cudaError_t e = cudaSetDevice(ordinal);
    if (e == cudaSuccess) e = cudaGetDeviceProperties(&p, ordinal);
    if (e != cudaSuccess) {
        cudaGetLastError();
        return refuse(f, K_UNUSABLE, "cuda:%d: the device cannot be used: %s", ordinal,
                      cudaGetErrorString(e));
    }
    e = cudaFuncGetAttributes(&a, reinterpret_cast<const void *>(probe_kernel));
    if (e == cudaSuccess && p.major >= 8) return 0;
    cudaGetLastError();
    if (e == cudaErrorMemoryAllocation) {
        *f = {K_NO_MEMORY, ""};
        snprintf(f->text, sizeof f->text, "cuda:%d: out of memory: none left to start with", ordinal);
        return -1;
    }
    return refuse(f, K_UNUSABLE, "cuda:%d: %.80s has compute capability %d.%d; this build has code for %s",
                  ordinal, p.name, p.major, p.minor, TABES_CUDA_ARCHITECTURES);
}

extern "C" __attribute__((visibility("default"))) int kernels_module_open(kernels **out, const k_open *o,
                                                                          k_fault *f) {
    *out = nullptr;
    int ordinal = ordinal_of(o), count = 0;
    if (ordinal < 0) {
        return refuse(f, K_NO_DEVICE, "%.80s: no such device; try cuda or cuda:0",
                      o->device ? o->device : "cpu");
    }
    if (count_devices(&count, f)) return -1;
    if (o->device[4] == '\0') ordinal %= count;
    if (ordinal >= count) {
        return refuse(f, K_NO_DEVICE, "cuda:%d: no such device; this machine has %d", ordinal, count);
    }
    if (check_code(ordinal, f)) return -1;
    card *c = new (std::nothrow) card();
    if (!c) {
        *f = {K_NO_MEMORY, "cuda: out of memory"};
        return -1;
    }
    c->ordinal = ordinal;
    c->bf16 = o->precision == K_PRECISION_BF16;
    snprintf(c->name, sizeof c->name, "cuda:%d", ordinal);
    return cuda_queue_open(out, c, f);
}
