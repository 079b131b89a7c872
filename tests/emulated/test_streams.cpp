// test_streams.cpp - order of work in and between streams, events, and the rules of capture.
#include "checks.h"
#include "cublas_v2.h"
#include "cuda_runtime.h"

#include <thread>

enum { SEEDS = 40 };

static cudaStream_t stream, other;
static int *d;

__global__ static void set_kernel(int *out, int value) {
    *out = value;
}

__global__ static void double_kernel(int *out, const int *in) {
    *out = 2 * *in;
}

static int get() {
    int value = -1;
    CHECK(cudaDeviceSynchronize() == cudaSuccess);
    CHECK(cudaMemcpy(&value, d, sizeof value, cudaMemcpyDeviceToHost) == cudaSuccess);
    return value;
}

// ---- deferred work ----

// Without a wait the host sees, under some seeds, what was there before.
static void test_waiting() {
    int *pinned, early = 0;
    cudaMallocHost(&pinned, sizeof(int));
    for (int seed = 1; seed <= SEEDS; seed++) {
        emulator_set_seed(static_cast<uint64_t>(seed));
        *pinned = 0;
        LAUNCH(set_kernel, 1, 1, 0, stream, d, seed);
        cudaMemcpyAsync(pinned, d, sizeof(int), cudaMemcpyDeviceToHost, stream);
        if (*pinned != seed) early++;
        CHECK(cudaStreamSynchronize(stream) == cudaSuccess && *pinned == seed);
    }
    CHECK(early > 0);
    cudaFreeHost(pinned);
}

// A pinned source is read when the copy runs, a pageable one at the call.
static void test_sources() {
    int *pinned, pageable, changed = 0;
    cudaMallocHost(&pinned, sizeof(int));
    for (int seed = 1; seed <= SEEDS; seed++) {
        emulator_set_seed(static_cast<uint64_t>(seed));
        *pinned = 1, pageable = 1;
        cudaMemcpyAsync(d, pinned, sizeof(int), cudaMemcpyHostToDevice, stream);
        cudaMemcpyAsync(d + 1, &pageable, sizeof(int), cudaMemcpyHostToDevice, stream);
        *pinned = 2, pageable = 2;
        int back[2];
        cudaStreamSynchronize(stream);
        cudaMemcpy(back, d, sizeof back, cudaMemcpyDeviceToHost);
        changed += back[0] == 2;
        CHECK(back[1] == 1);
    }
    CHECK(changed > 0);
    cudaFreeHost(pinned);
}

static void test_events() {
    cudaEvent_t event;
    cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
    int wrong[2] = {0, 0};
    for (int seed = 0; seed < 2 * SEEDS; seed++) {
        emulator_set_seed(static_cast<uint64_t>(seed));
        bool wait = seed % 2;
        cudaMemset(d, 0, 8);
        LAUNCH(set_kernel, 1, 1, 0, stream, d + 1, 21);
        cudaEventRecord(event, stream);
        if (wait) cudaStreamWaitEvent(other, event);
        LAUNCH(double_kernel, 1, 1, 0, other, d, d + 1);
        wrong[wait] += get() != 42;
        CHECK(cudaEventSynchronize(event) == cudaSuccess && cudaEventQuery(event) == cudaSuccess);
    }
    CHECK(wrong[0] > 0 && wrong[1] == 0);
    cudaEventDestroy(event);
}

// ---- capture ----

static cudaGraphExec_t record(int value) {
    cudaGraph_t graph;
    cudaGraphExec_t exec = nullptr;
    CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal) == cudaSuccess);
    cudaMemsetAsync(d + 1, 0, sizeof(int), stream);
    LAUNCH(set_kernel, 1, 1, 0, stream, d + 1, value);
    LAUNCH(double_kernel, 1, 1, 0, stream, d, d + 1);
    value = 0; // arguments were taken by value
    CHECK(cudaStreamEndCapture(stream, &graph) == cudaSuccess);
    CHECK(cudaGraphInstantiate(&exec, graph, 0) == cudaSuccess);
    CHECK(cudaGraphDestroy(graph) == cudaSuccess);
    return exec;
}

static void test_graph() {
    cudaMemset(d, 0, 8);
    cudaGraphExec_t exec = record(17);
    CHECK(get() == 0); // recorded, not run
    CHECK(cudaGraphLaunch(exec, stream) == cudaSuccess && get() == 34);
    cudaMemset(d, 0, 8);
    CHECK(cudaGraphLaunch(exec, stream) == cudaSuccess && get() == 34);
    emulator_counts counts;
    emulator_count(&counts);
    CHECK(counts.graph_launches == 2);
    CHECK(cudaGraphExecDestroy(exec) == cudaSuccess);
}

typedef cudaError_t forbidden();
static cudaError_t waits() {
    return cudaStreamSynchronize(stream);
}
static cudaError_t waits_for_all() {
    return cudaDeviceSynchronize();
}
static cudaError_t allocates() {
    void *p;
    return cudaMalloc(&p, 16);
}
static cudaError_t copies_at_once() {
    int value;
    return cudaMemcpy(&value, d, sizeof value, cudaMemcpyDeviceToHost);
}
static cudaError_t copies_pageable() {
    int value = 0;
    return cudaMemcpyAsync(d, &value, sizeof value, cudaMemcpyHostToDevice, stream);
}

static void test_forbidden() {
    forbidden *calls[] = {waits, waits_for_all, allocates, copies_at_once, copies_pageable};
    for (forbidden *call : calls) {
        cudaGraph_t graph;
        CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal) == cudaSuccess);
        CHECK(call() == cudaErrorStreamCaptureUnsupported);
        CHECK(cudaGetLastError() == cudaErrorStreamCaptureUnsupported);
        LAUNCH(set_kernel, 1, 1, 0, stream, d, 1);
        CHECK(cudaGetLastError() == cudaErrorStreamCaptureInvalidated);
        CHECK(cudaStreamEndCapture(stream, &graph) == cudaErrorStreamCaptureInvalidated && !graph);
        CHECK(cudaGetLastError() == cudaErrorStreamCaptureInvalidated);
        LAUNCH(set_kernel, 1, 1, 0, stream, d, 3);
        CHECK(get() == 3);
    }
}

// Waiting for the whole device spoils what any thread captures, in every mode.
static void test_waits_elsewhere() {
    cublasHandle_t handle;
    CHECK(cublasCreate(&handle) == CUBLAS_STATUS_SUCCESS);
    for (int i = 0; i < 2; i++) {
        cudaGraph_t graph;
        cudaStreamBeginCapture(stream, i ? cudaStreamCaptureModeRelaxed : cudaStreamCaptureModeThreadLocal);
        std::thread elsewhere([&] {
            if (i) cublasDestroy(handle);
            if (!i) CHECK(cudaDeviceSynchronize() == cudaErrorStreamCaptureUnsupported);
        });
        elsewhere.join();
        CHECK(cudaStreamEndCapture(stream, &graph) == cudaErrorStreamCaptureInvalidated && !graph);
        cudaGetLastError();
    }
}

// The legacy stream waits for streams that were not made non-blocking; those cannot be captured beside it.
static void test_legacy() {
    cudaGraph_t graph;
    CHECK(cudaStreamBeginCapture(nullptr, cudaStreamCaptureModeGlobal) == cudaErrorStreamCaptureUnsupported);
    CHECK(cudaStreamEndCapture(stream, &graph) == cudaErrorStreamCaptureUnmatched);
    cudaStream_t blocking;
    cudaStreamCreate(&blocking);
    CHECK(cudaStreamBeginCapture(blocking, cudaStreamCaptureModeRelaxed) == cudaSuccess);
    LAUNCH(set_kernel, 1, 1, 0, nullptr, d, 1);
    cudaStreamEndCapture(blocking, &graph);
    cudaStreamDestroy(blocking);
    CHECK(cudaGetLastError() != cudaSuccess);
    CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed) == cudaSuccess);
    LAUNCH(set_kernel, 1, 1, 0, nullptr, d, 9);
    CHECK(cudaStreamEndCapture(stream, &graph) == cudaSuccess && get() == 9);
    cudaGraphDestroy(graph);
}

int main() {
    cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking);
    cudaMalloc(&d, 2 * sizeof(int));
    test_waiting();
    test_sources();
    test_events();
    test_graph();
    test_forbidden();
    test_waits_elsewhere();
    test_legacy();
    cudaFree(d);
    cudaStreamDestroy(stream);
    cudaStreamDestroy(other);
    return checks_end();
}
