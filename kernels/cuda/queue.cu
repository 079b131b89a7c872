// queue.cu - opening, forking and closing queues, and the faults they keep.
//
// The first thing that goes wrong is the one worth telling: later errors follow from it. What CUDA calls a
// sticky error (a lost device) stays; memory that could not be had is forgotten once it was asked about.
#include "kernels/cuda/queue_impl.cuh"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <new>

queue *queue_of(kernels *k) {
    return reinterpret_cast<queue *>(k);
}

bool queue_ready(const queue *q) {
    if (q->fault.kind != K_OK) return false;
    cudaSetDevice(q->shared->ordinal);
    return true;
}

cudaStream_t queue_stream(const queue *q) {
    return q->stream;
}

bool queue_bf16(const queue *q) {
    return q->shared->bf16;
}

// ---- faults ----

void queue_fail(queue *q, cudaError_t e, const char *operation) {
    if (q->fault.kind != K_OK) return;
    if (e == cudaErrorMemoryAllocation) return queue_fail_memory(q, 1, "");
    q->fault.kind = K_LOST;
    snprintf(q->fault.text, sizeof q->fault.text,
             "%s: the device was lost during %s (%s); restart, or use --device cpu", q->shared->name,
             operation, cudaGetErrorString(e));
}

// Whole megabytes, at least one when there is something.
static size_t megabytes(size_t bytes) {
    return (bytes + 999999) / 1000000;
}

void queue_fail_memory(queue *q, size_t bytes, const char *kind) {
    if (q->fault.kind != K_OK) return;
    size_t free = 0, total = 0;
    cudaMemGetInfo(&free, &total);
    q->fault.kind = K_NO_MEMORY;
    snprintf(q->fault.text, sizeof q->fault.text, "%s: out of %smemory: %zu MB more needed, %zu MB free",
             q->shared->name, kind, megabytes(bytes), free / 1000000);
}

// While recording nothing has run yet, so an error then only means that this cannot be recorded.
void queue_check(queue *q, const char *operation) {
    q->last = operation;
    cudaError_t e = cudaGetLastError();
    if (e == cudaSuccess) return;
    if (q->recording) {
        q->recording_broken = true;
    } else {
        queue_fail(q, e, operation);
    }
}

void queue_check_blas(queue *q, cublasStatus_t status, const char *operation) {
    queue_check(q, operation);
    if (status == CUBLAS_STATUS_SUCCESS || q->fault.kind != K_OK) return;
    if (q->recording) {
        q->recording_broken = true;
        return;
    }
    if (status == CUBLAS_STATUS_ALLOC_FAILED) return queue_fail_memory(q, 1, "");
    q->fault.kind = K_LOST;
    snprintf(q->fault.text, sizeof q->fault.text,
             "%s: the device was lost during %s (cuBLAS status %d); restart, or use --device cpu",
             q->shared->name, operation, static_cast<int>(status));
}

bool queue_allow_shared(queue *q, const void *kernel, size_t bytes) {
    if (bytes <= size_t(48) << 10) return true;
    cudaError_t e =
        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes));
    if (e == cudaSuccess) return true;
    cudaGetLastError();
    queue_fail(q, e, "asking for shared memory");
    return false;
}

// An error that a wait brings up comes from the last operation or one queued before it.
bool cuda_fault(kernels *k, k_fault *f) {
    queue *q = queue_of(k);
    if (queue_ready(q)) {
        cudaError_t e = cudaStreamSynchronize(q->stream);
        if (e != cudaSuccess) queue_fail(q, e, q->last);
    }
    if (q->fault.kind == K_OK) return false;
    if (f) *f = q->fault;
    if (q->fault.kind == K_NO_MEMORY) q->fault = {};
    return true;
}

// ---- opening and closing ----

std::shared_mutex recordings;

// Where memory is what is missing, cuBLAS says that it is not initialized.
static cublasStatus_t handle_make(cublasHandle_t *out) {
    std::lock_guard<std::shared_mutex> alone(recordings);
    cublasStatus_t status = cublasCreate(out);
    return status == CUBLAS_STATUS_NOT_INITIALIZED ? CUBLAS_STATUS_ALLOC_FAILED : status;
}

static void handle_destroy(cublasHandle_t handle) {
    std::lock_guard<std::shared_mutex> alone(recordings);
    if (handle) cublasDestroy(handle);
}

// The workspace goes in after the stream: setting a stream puts cuBLAS's own workspace back.
static bool blas_open(queue *q, int major) {
    size_t bytes = (major >= 9 ? size_t(32) : size_t(4)) << 20;
    void *workspace = block_take(q, &q->blocks, bytes);
    if (!workspace) return false;
    cublasStatus_t status = handle_make(&q->blas);
    if (status == CUBLAS_STATUS_SUCCESS) status = cublasSetStream(q->blas, q->stream);
    if (status == CUBLAS_STATUS_SUCCESS) status = cublasSetWorkspace(q->blas, workspace, bytes);
    if (status == CUBLAS_STATUS_SUCCESS) {
        // Partial sums of a split product stay in float32 too.
        int mode = CUBLAS_DEFAULT_MATH | CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION;
        status = cublasSetMathMode(q->blas, static_cast<cublasMath_t>(mode));
    }
    queue_check_blas(q, status, "setting up cuBLAS");
    return queue_ready(q);
}

// What was opened so far is closed again on the way out.
int cuda_queue_open(kernels **out, card *c, k_fault *f) {
    queue *q = new (std::nothrow) queue();
    *out = nullptr;
    if (!q) {
        *f = {K_NO_MEMORY, "cuda: out of memory"};
        if (--c->queues == 0) delete c;
        return -1;
    }
    q->shared = c;
    cudaSetDevice(c->ordinal);
    cudaDeviceProp p;
    cudaError_t e = cudaGetDeviceProperties(&p, c->ordinal);
    if (e == cudaSuccess) e = cudaStreamCreateWithFlags(&q->stream, cudaStreamNonBlocking);
    if (e != cudaSuccess) queue_fail(q, e, q->last);
    if (q->fault.kind != K_OK || !blas_open(q, p.major)) {
        *f = q->fault;
        cudaGetLastError();
        cuda_close(&q->table);
        return -1;
    }
    queue_open_table(&q->table);
    q->table.name = c->name;
    q->table.act_bytes = q->table.product_bytes = c->bf16 ? 2 : 4;
    q->table.host = false;
    snprintf(q->table.title, sizeof q->table.title, "%.79s", p.name);
    *out = &q->table;
    return 0;
}

int cuda_fork(kernels *k, kernels **out, k_fault *f) {
    card *c = queue_of(k)->shared;
    c->queues++;
    return cuda_queue_open(out, c, f);
}

void cuda_close(kernels *k) {
    if (!k) return;
    queue *q = queue_of(k);
    card *c = q->shared;
    cudaSetDevice(c->ordinal);
    if (q->stream) cudaStreamSynchronize(q->stream);
    graphs_close(q);
    staging_close(&q->copies);
    handle_destroy(q->blas);
    block_free_all(c, &q->blocks);
    if (q->stream) cudaStreamDestroy(q->stream);
    delete q;
    if (--c->queues > 0) return;
    block_free_all(c, &c->weights);
    delete c;
}
