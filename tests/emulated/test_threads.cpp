// test_threads.cpp - what a block's threads may do together: barriers, shuffles, votes, atomics, shared
// memory.
#include "checks.h"
#include "cuda_runtime.h"

enum { THREADS = 96, SEEDS = 20 };

// What a kernel wrote, n ints.
static int *results;

static void start() {
    cudaMalloc(&results, 4096 * sizeof(int));
    cudaMemset(results, 0, 4096 * sizeof(int));
}

static int result(int i) {
    int value;
    cudaMemcpy(&value, results + i, sizeof value, cudaMemcpyDeviceToHost);
    return value;
}

// ---- barriers ----

__global__ static void reverse_kernel(int *out) {
    SHARED(int, s);
    s[threadIdx.x] = static_cast<int>(threadIdx.x);
    __syncthreads();
    out[blockIdx.x * blockDim.x + threadIdx.x] = s[blockDim.x - 1 - threadIdx.x];
}

__global__ static void early_exit_kernel(int *out) {
    if (threadIdx.x >= 40) return;
    __syncthreads();
    out[threadIdx.x] = 1;
}

__global__ static void split_barrier_kernel(int *out) {
    if (threadIdx.x < 32) {
        __syncthreads();
    } else if (threadIdx.x < 64) {
        __shfl_sync(0xffffffffu, 0, 0); // comes and goes
        if (threadIdx.x == 32) __syncwarp();
    } else {
        __syncthreads();
    }
    out[threadIdx.x] = 1;
}

static void test_barriers() {
    for (int seed = 1; seed <= SEEDS; seed++) {
        emulator_set_seed(static_cast<uint64_t>(seed));
        LAUNCH(reverse_kernel, 3, THREADS, THREADS * sizeof(int), nullptr, results);
        CHECK(cudaDeviceSynchronize() == cudaSuccess);
        CHECK(result(0) == THREADS - 1 && result(2 * THREADS + 5) == THREADS - 6);
        LAUNCH(early_exit_kernel, 1, THREADS, 0, nullptr, results);
        CHECK(cudaGetLastError() == cudaSuccess);
        LAUNCH(split_barrier_kernel, 1, THREADS, 0, nullptr, results);
        CHECK_REPORTED(cudaErrorLaunchFailure, "split_barrier_kernel");
    }
}

__global__ static void half_barrier_kernel(int *out) {
    if (threadIdx.x % 2) {
        __syncthreads();
    } else {
        __syncwarp();
    }
    *out = 1;
}

static void test_divergent_barrier() {
    LAUNCH(half_barrier_kernel, 1, THREADS, 0, nullptr, results);
    CHECK(strstr(emulator_report(), "half_barrier_kernel, block (0,0,0)"));
    CHECK(strstr(emulator_report(), "48 threads (1, 3, 5, ...) wait at __syncthreads"));
    CHECK(cudaGetLastError() == cudaErrorLaunchFailure);
    CHECK(cudaGetLastError() == cudaErrorLaunchFailure); // it stays
    void *p;
    CHECK(cudaMalloc(&p, 16) == cudaErrorLaunchFailure || cudaFree(p) != cudaSuccess);
    CHECK_REPORTED(cudaErrorLaunchFailure, "divergent barrier");
}

// ---- warps ----

__global__ static void shuffle_kernel(int *out) {
    int lane = static_cast<int>(threadIdx.x % 32), *mine = out + 8 * threadIdx.x;
    unsigned all = 0xffffffffu;
    mine[0] = __shfl_sync(all, lane, 7);
    mine[1] = __shfl_sync(all, lane, 3, 8); // lane 3 of each group of 8
    mine[2] = __shfl_xor_sync(all, lane, 16);
    mine[3] = __shfl_up_sync(all, lane, 3u);
    mine[4] = __shfl_down_sync(all, lane, 3u, 16);
    mine[5] = static_cast<int>(__ballot_sync(all, lane % 3 == 0));
    mine[6] = __any_sync(all, lane == 31) + 2 * __all_sync(all, lane < 31) + 4 * __all_sync(all, 1);
    mine[7] = static_cast<int>(__shfl_xor_sync(all, 1e10 * lane, 1) / 1e10 + 0.5);
}

static void test_shuffles() {
    LAUNCH(shuffle_kernel, 1, 64, 0, nullptr, results);
    for (int i = 0; i < 64; i++) {
        int lane = i % 32;
        CHECK(result(8 * i) == 7);
        CHECK(result(8 * i + 1) == lane / 8 * 8 + 3);
        CHECK(result(8 * i + 2) == (lane ^ 16));
        CHECK(result(8 * i + 3) == (lane < 3 ? lane : lane - 3));
        CHECK(result(8 * i + 4) == (lane % 16 < 13 ? lane + 3 : lane));
        CHECK(result(8 * i + 5) == 0x49249249);
        CHECK(result(8 * i + 6) == 5);
        CHECK(result(8 * i + 7) == (lane ^ 1));
    }
}

__global__ static void half_warps_kernel(int *out) {
    unsigned lane = threadIdx.x % 32, mask = lane < 16 ? 0xffffu : 0xffff0000u;
    for (unsigned i = 0; i < lane / 16; i++) __syncwarp(mask); // the halves need not agree
    out[threadIdx.x] = static_cast<int>(__ballot_sync(mask, 1));
}

__global__ static void exited_kernel(int *out) {
    if (threadIdx.x == 5) return;
    *out = __any_sync(0xffffffffu, 0);
}

__global__ static void mixed_kernel(int *out) {
    *out = threadIdx.x < 16 ? __any_sync(0xffffffffu, 0) : __all_sync(0xffffffffu, 0);
    if (threadIdx.x < 16) __syncwarp();
    if (threadIdx.x >= 16) __shfl_sync(0xffffffffu, 0, 0);
}

__global__ static void not_in_mask_kernel(int *out) {
    *out = __any_sync(0xffffu, 0);
}

static void test_masks() {
    LAUNCH(half_warps_kernel, 1, 32, 0, nullptr, results);
    CHECK(result(3) == 0xffff && static_cast<unsigned>(result(20)) == 0xffff0000u);
    for (int seed = 1; seed <= SEEDS; seed++) {
        emulator_set_seed(static_cast<uint64_t>(seed));
        LAUNCH(exited_kernel, 1, 32, 0, nullptr, results);
        CHECK(cudaDeviceSynchronize() == cudaErrorLaunchFailure);
        CHECK(strstr(emulator_report(), "exited"));
        emulator_revive();
        LAUNCH(mixed_kernel, 1, 32, 0, nullptr, results);
        CHECK_REPORTED(cudaErrorLaunchFailure, "meets __");
        LAUNCH(not_in_mask_kernel, 1, 32, 0, nullptr, results);
        CHECK_REPORTED(cudaErrorLaunchFailure, "which is not in it");
        LAUNCH(exited_kernel, 1, 20, 0, nullptr, results); // half a warp is not a full one
        CHECK(cudaDeviceSynchronize() == cudaErrorLaunchFailure);
        emulator_revive();
    }
}

// ---- order, atomics, shared memory ----

__global__ static void order_kernel(int *out, unsigned *turn) {
    out[threadIdx.x] = static_cast<int>(atomicAdd(turn, 1u));
}

static void test_order() {
    int first[SEEDS], distinct = 0;
    for (int seed = 0; seed < SEEDS; seed++) {
        emulator_set_seed(static_cast<uint64_t>(seed));
        cudaMemset(results + 2048, 0, sizeof(unsigned));
        LAUNCH(order_kernel, 1, THREADS, 0, nullptr, results, reinterpret_cast<unsigned *>(results + 2048));
        first[seed] = result(0);
        bool new_one = true;
        for (int i = 0; i < seed; i++) new_one = new_one && first[i] != first[seed];
        distinct += new_one;
        CHECK(result(2048) == THREADS);
    }
    CHECK(distinct > SEEDS / 2);
}

__global__ static void atomics_kernel(int *out, float *sum, unsigned long long *least) {
    atomicAdd(out, 2);
    atomicMax(out + 1, static_cast<int>(threadIdx.x));
    atomicMin(out + 2, -static_cast<int>(threadIdx.x));
    atomicAdd(sum, 0.5f);
    atomicMin(least, 1000ull - threadIdx.x);
}

static void test_atomics() {
    cudaMemset(results, 0, 64);
    float *sum = reinterpret_cast<float *>(results + 4);
    unsigned long long *least = reinterpret_cast<unsigned long long *>(results + 8);
    cudaMemset(least, 0xff, 8);
    LAUNCH(atomics_kernel, 2, 50, 0, nullptr, results, sum, least);
    CHECK(result(0) == 200 && result(1) == 49 && result(2) == -49 && result(8) == 951 && result(9) == 0);
    CHECK(__int_as_float(result(4)) == 50.0f);
}

__global__ static void read_shared_kernel(float *out, bool write) {
    SHARED(float, s);
    if (write) s[threadIdx.x] = 1;
    out[threadIdx.x] = s[threadIdx.x] + 1;
}

// Nothing of an earlier block or launch is left in shared memory.
static void test_fresh_shared() {
    float value, *out = reinterpret_cast<float *>(results);
    for (int write = 1; write >= 0; write--) {
        LAUNCH(read_shared_kernel, 2, 32, 32 * sizeof(float), nullptr, out, write != 0);
        cudaMemcpy(&value, out, sizeof value, cudaMemcpyDeviceToHost);
        CHECK(write ? value == 2.0f : value != value);
    }
}

__global__ static void coordinates_kernel(int *out) {
    unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
    unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    atomicAdd(out + block * 24 + thread, 1);
}

static void test_coordinates() {
    cudaMemset(results, 0, 4096 * sizeof(int));
    LAUNCH(coordinates_kernel, dim3(2, 3, 2), dim3(4, 3, 2), 0, nullptr, results);
    bool each_once = true;
    for (int i = 0; i < 12 * 24; i++) each_once = each_once && result(i) == 1;
    CHECK(each_once && result(12 * 24) == 0);
}

int main() {
    start();
    test_barriers();
    test_divergent_barrier();
    test_shuffles();
    test_masks();
    test_order();
    test_atomics();
    test_fresh_shared();
    test_coordinates();
    cudaFree(results);
    return checks_end();
}
