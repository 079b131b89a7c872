// test_memory.cpp - memory of the emulated device: allocation, copies, launches' limits, and faults.
#include "asan.h"
#include "checks.h"
#include "cuda_runtime.h"

#include <vector>

__global__ static void set_kernel(int *out, int i, int value) {
    out[i] = value;
}

struct by_value {
    int n;
    int *out;
};

__global__ static void struct_kernel(by_value a) {
    a.out[0] = a.n;
}

__global__ static void large_shared_kernel(int *out) {
    SHARED(int, s);
    s[25343] = 7;
    *out = s[25343];
}

static int get(const int *p) {
    int value = -1;
    CHECK(cudaMemcpy(&value, p, sizeof value, cudaMemcpyDeviceToHost) == cudaSuccess);
    return value;
}

static void test_allocation() {
    emulator_counts before, after;
    emulator_count(&before);
    emulator_set_memory(before.live_bytes + 1000);
    void *a, *b;
    CHECK(cudaMalloc(&a, 600) == cudaSuccess && reinterpret_cast<uintptr_t>(a) % 256 == 0);
    CHECK(cudaMalloc(&b, 600) == cudaErrorMemoryAllocation && b == nullptr);
    CHECK(cudaGetLastError() == cudaErrorMemoryAllocation);
    CHECK(cudaGetLastError() == cudaSuccess); // forgotten
    size_t free_bytes, total;
    CHECK(cudaMemGetInfo(&free_bytes, &total) == cudaSuccess && free_bytes == 400);
    CHECK(cudaFree(a) == cudaSuccess && cudaFree(nullptr) == cudaSuccess);
    CHECK(cudaFree(&total) == cudaErrorInvalidValue && cudaGetLastError() == cudaErrorInvalidValue);
    emulator_count(&after);
    CHECK(after.live_allocations == before.live_allocations && after.live_bytes == before.live_bytes);
    emulator_set_memory(size_t(4) << 30);
}

static void test_copies() {
    int *d, *e, host[4] = {1, 2, 3, 4}, back[4];
    cudaMalloc(&d, sizeof host);
    cudaMalloc(&e, sizeof host);
    CHECK((get(d) & 0xff) == 0xff); // not zeros
    CHECK(cudaMemcpy(d, host, sizeof host, cudaMemcpyHostToDevice) == cudaSuccess);
    CHECK(cudaMemcpy(e, d, sizeof host, cudaMemcpyDeviceToDevice) == cudaSuccess);
    CHECK(cudaMemset(d, 0, sizeof host) == cudaSuccess && get(d + 3) == 0);
    CHECK(cudaMemcpy(back, e, sizeof host, cudaMemcpyDefault) == cudaSuccess && back[3] == 4);
    CHECK(cudaMemcpy(d, host, sizeof host + 4, cudaMemcpyHostToDevice) == cudaErrorInvalidValue);
    CHECK(cudaMemcpy(d + 1, host, sizeof host, cudaMemcpyHostToDevice) == cudaErrorInvalidValue);
    CHECK(cudaMemcpy(host, d, sizeof host, cudaMemcpyHostToDevice) == cudaErrorInvalidValue);
    CHECK(cudaMemcpy(host, host, 4, cudaMemcpyDeviceToHost) == cudaErrorInvalidValue);
    CHECK(cudaMemset(host, 0, 4) == cudaErrorInvalidValue);
    CHECK(cudaGetLastError() == cudaErrorInvalidValue);
    cudaFree(d);
    CHECK(cudaMemcpy(e, d, 4, cudaMemcpyDeviceToDevice) == cudaErrorInvalidValue);
    cudaGetLastError();
    cudaFree(e);
}

static void test_arguments() {
    int *d, *pinned, host = 0;
    cudaMalloc(&d, 16);
    cudaMallocHost(&pinned, 16);
    LAUNCH(struct_kernel, 1, 1, 0, nullptr, by_value{5, d});
    CHECK(get(d) == 5);
    LAUNCH(struct_kernel, 1, 1, 0, nullptr, by_value{6, pinned});
    cudaDeviceSynchronize();
    CHECK(*pinned == 6);
    LAUNCH(set_kernel, 1, 1, 0, nullptr, &host, 0, 1);
    CHECK_REPORTED(cudaErrorIllegalAddress, "host pointer passed to kernel set_kernel: argument 0");
    LAUNCH(struct_kernel, 1, 1, 0, nullptr, by_value{5, &host});
    CHECK_REPORTED(cudaErrorIllegalAddress, "host pointer passed to kernel struct_kernel");
    CHECK(host == 0);
    cudaFreeHost(pinned);
    cudaFree(d);
    LAUNCH(set_kernel, 1, 1, 0, nullptr, d, 0, 1);
    CHECK_REPORTED(cudaErrorIllegalAddress, "is not within live device memory");
}

static void test_launch_limits() {
    int *d;
    cudaMalloc(&d, 16);
    LAUNCH(set_kernel, 1, 1025, 0, nullptr, d, 0, 1);
    CHECK(cudaGetLastError() == cudaErrorInvalidConfiguration);
    LAUNCH(set_kernel, 0, 32, 0, nullptr, d, 0, 1);
    CHECK(cudaGetLastError() == cudaErrorInvalidConfiguration);
    LAUNCH(set_kernel, dim3(1, 65536), 32, 0, nullptr, d, 0, 1);
    CHECK(cudaGetLastError() == cudaErrorInvalidConfiguration);
    CHECK(cudaGetLastError() == cudaSuccess);
    int most = 99 * 1024;
    LAUNCH(large_shared_kernel, 1, 1, most, nullptr, d);
    CHECK(cudaGetLastError() == cudaErrorInvalidValue);
    CHECK(cudaFuncSetAttribute(large_shared_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, most + 1) ==
          cudaErrorInvalidValue);
    CHECK(cudaFuncSetAttribute(large_shared_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, most) ==
          cudaSuccess);
    cudaGetLastError();
    LAUNCH(large_shared_kernel, 1, 1, most, nullptr, d);
    CHECK(cudaGetLastError() == cudaSuccess && get(d) == 7);
    cudaFree(d);
}

#ifndef EMULATED_ASAN // which ends the program at such a write; test_proofs.cpp sees to that
__global__ static void beyond_shared_kernel(int i) {
    SHARED(char, s);
    s[i] = 7;
}

static void test_guards() {
    int *d;
    cudaMalloc(&d, 16);
    LAUNCH(beyond_shared_kernel, 1, 1, 100, nullptr, 100);
    CHECK_REPORTED(cudaErrorLaunchFailure, "wrote outside its 100 bytes of shared memory");
    LAUNCH(set_kernel, 1, 1, 0, nullptr, d, 4, 1);
    CHECK_REPORTED(cudaErrorIllegalAddress, "wrote outside a device allocation of 16 bytes");
    LAUNCH(set_kernel, 1, 1, 0, nullptr, d, 0, 1);
    CHECK_REPORTED(cudaErrorIllegalAddress, "wrote outside a device allocation of 16 bytes");
    CHECK(cudaFree(d) == cudaErrorIllegalAddress);
    emulator_revive();
}
#endif

#ifdef EMULATED_ASAN
// Host code that follows a device pointer is stopped, also when the device has just worked there.
static void test_hidden() {
    char *d, *large;
    size_t bytes = 1 << 20;
    cudaMalloc(&d, 100);
    cudaMalloc(&large, bytes);
    cudaMemset(d, 0, 100);
    CHECK(__asan_address_is_poisoned(d) && __asan_address_is_poisoned(d + 99));
    CHECK(__asan_address_is_poisoned(large) && __asan_address_is_poisoned(large + bytes - 1));
    cudaFree(large);
    cudaFree(d);
}
#endif

static void test_lost_device() {
    int *d, count;
    cudaMalloc(&d, 16);
    emulator_set_fail_after(2);
    LAUNCH(set_kernel, 1, 1, 0, nullptr, d, 0, 1);
    CHECK(get(d) == 1);
    LAUNCH(set_kernel, 1, 1, 0, nullptr, d, 0, 2);
    CHECK(cudaDeviceSynchronize() == cudaErrorIllegalAddress);
    CHECK(cudaMemset(d, 0, 16) == cudaErrorIllegalAddress && cudaGetLastError() == cudaErrorIllegalAddress);
    CHECK(cudaGetLastError() == cudaErrorIllegalAddress);
    emulator_revive();
    CHECK(get(d) == 1);
    emulator_set_devices(0);
    CHECK(cudaGetDeviceCount(&count) == cudaErrorNoDevice && count == 0);
    emulator_set_devices(1);
    cudaGetLastError();
    CHECK(cudaGetDeviceCount(&count) == cudaSuccess && count == 1);
    cudaFree(d);
}

int main() {
    test_allocation();
    test_copies();
    test_arguments();
    test_launch_limits();
#ifdef EMULATED_ASAN
    test_hidden();
#else
    test_guards();
#endif
    test_lost_device();
    return checks_end();
}
