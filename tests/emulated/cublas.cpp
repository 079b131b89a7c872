// cublas.cpp - products by oneDNN: a column-major product is the row-major product of the transposes.
//
// Extents of all three matrices are checked against device allocations when the product is queued and again
// when it runs. Products may write to the handle's workspace, so it is filled with NaN bytes each time.
#include "include/cublas_v2.h"

#include "device.h"
#include "include/cuda_bf16.h"
#include "memory.h"
#include "stream.h"

#include <oneapi/dnnl/dnnl.h>
#include <string.h>
#include <vector>

using namespace emulated;

struct cublasContext {
    cudaStream_t stream;
    void *workspace;
    size_t workspace_bytes;
    cublasPointerMode_t pointers;
};

namespace {

struct operand {
    const void *at;
    cudaDataType type;
    bool transposed;
    int rows, columns, ld; // as stored, column-major
    long long stride;
};

struct product {
    int m, n, k, count;
    float alpha, beta;
    operand a, b, c;
    void *workspace;
    size_t workspace_bytes;
};

size_t element_bytes(cudaDataType type) {
    return type == CUDA_R_16BF ? 2 : 4;
}

size_t extent(const operand &o) {
    if (o.rows == 0 || o.columns == 0) return 0;
    return static_cast<size_t>(o.ld) * static_cast<size_t>(o.columns - 1) + static_cast<size_t>(o.rows);
}

const char *matrix(const operand &o, int i) {
    return static_cast<const char *>(o.at) + i * o.stride * static_cast<long long>(element_bytes(o.type));
}

bool in_memory(const operand &o, int count, const char *name) {
    size_t bytes = extent(o) * element_bytes(o.type);
    for (int i = 0; i < count && bytes > 0; i++) {
        if (memory_holds(matrix(o, i), bytes)) continue;
        report("cublas: matrix %s (%d x %d, leading dimension %d) is not within a device allocation", name,
               o.rows, o.columns, o.ld);
        return false;
    }
    return true;
}

bool product_in_memory(const product &p) {
    return in_memory(p.a, p.k > 0 ? p.count : 0, "A") && in_memory(p.b, p.k > 0 ? p.count : 0, "B") &&
           in_memory(p.c, p.count, "C");
}

// ---- running ----

const float *widen(const operand &o, const char *at, std::vector<float> *room) {
    if (o.type == CUDA_R_32F) return reinterpret_cast<const float *>(at);
    room->resize(extent(o));
    for (size_t i = 0; i < room->size(); i++) {
        unsigned short bits;
        memcpy(&bits, at + 2 * i, sizeof bits);
        (*room)[i] = __bfloat162float(__ushort_as_bfloat16(bits));
    }
    return room->data();
}

// C = sum, or C = sum + beta C; C is not read when beta is 0.
void store(const product &p, char *c, const std::vector<float> &sum) {
    for (int column = 0; column < p.n; column++) {
        for (int row = 0; row < p.m; row++) {
            size_t at = static_cast<size_t>(column) * static_cast<size_t>(p.c.ld) + static_cast<size_t>(row);
            float value =
                sum[static_cast<size_t>(column) * static_cast<size_t>(p.m) + static_cast<size_t>(row)];
            if (p.c.type == CUDA_R_32F) {
                float *to = reinterpret_cast<float *>(c) + at;
                *to = p.beta == 0.0f ? value : value + p.beta * *to;
            } else {
                __nv_bfloat16 *to = reinterpret_cast<__nv_bfloat16 *>(c) + at;
                *to = __float2bfloat16(p.beta == 0.0f ? value : value + p.beta * __bfloat162float(*to));
            }
        }
    }
}

bool multiply(const product &p, int i) {
    std::vector<float> wide_a, wide_b, sum(static_cast<size_t>(p.m) * static_cast<size_t>(p.n));
    if (p.k > 0) {
        const float *a = widen(p.a, matrix(p.a, i), &wide_a), *b = widen(p.b, matrix(p.b, i), &wide_b);
        if (dnnl_sgemm(p.b.transposed ? 'T' : 'N', p.a.transposed ? 'T' : 'N', p.n, p.m, p.k, p.alpha, b,
                       p.b.ld, a, p.a.ld, 0.0f, sum.data(), p.m) != dnnl_success) {
            return false;
        }
    }
    store(p, const_cast<char *>(matrix(p.c, i)), sum);
    return true;
}

bool product_run(const product &p) {
    if (!count_launch(&gpu.counts.products)) return true;
    bool workspace_lives = !p.workspace || memory_holds(p.workspace, p.workspace_bytes);
    if (!workspace_lives) report("cublas: the workspace was freed before a product ran");
    if (!workspace_lives || !product_in_memory(p)) {
        lose(cudaErrorIllegalAddress);
        return true;
    }
    device_access access;
    if (p.workspace) memset(p.workspace, 0xff, p.workspace_bytes < 4096 ? p.workspace_bytes : 4096);
    for (int i = 0; i < p.count; i++) {
        if (!multiply(p, i)) lose(cudaErrorLaunchFailure);
    }
    return true;
}

// ---- checks ----

bool types_are_supported(const product &p, cublasComputeType_t compute) {
    bool f32 = p.a.type == CUDA_R_32F && p.b.type == CUDA_R_32F && p.c.type == CUDA_R_32F;
    bool bf16 = p.a.type == CUDA_R_16BF && p.b.type == CUDA_R_16BF &&
                (p.c.type == CUDA_R_32F || p.c.type == CUDA_R_16BF);
    bool plain = compute == CUBLAS_COMPUTE_32F || compute == CUBLAS_COMPUTE_32F_PEDANTIC;
    return (f32 && (plain || compute == CUBLAS_COMPUTE_32F_FAST_TF32)) || (bf16 && plain);
}

bool operand_is_legal(const operand &o) {
    return o.ld >= (o.rows > 1 ? o.rows : 1) &&
           reinterpret_cast<uintptr_t>(o.at) % element_bytes(o.type) == 0;
}

cublasStatus_t product_submit(cublasHandle_t handle, const product &p, cublasComputeType_t compute) {
    locked guard;
    if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;
    if (p.m < 0 || p.n < 0 || p.k < 0 || p.count < 0) return CUBLAS_STATUS_INVALID_VALUE;
    if (handle->pointers != CUBLAS_POINTER_MODE_HOST || !types_are_supported(p, compute)) {
        return CUBLAS_STATUS_NOT_SUPPORTED;
    }
    if (!operand_is_legal(p.a) || !operand_is_legal(p.b) || !operand_is_legal(p.c)) {
        report("cublas: a leading dimension is too small or a matrix not aligned to its elements");
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    if (p.m == 0 || p.n == 0 || p.count == 0) return CUBLAS_STATUS_SUCCESS;
    if (gpu.lost == cudaSuccess && !product_in_memory(p)) lose(cudaErrorIllegalAddress);
    if (refuses("capture") && stream_is_capturing(handle->stream)) {
        capture_break(handle->stream, "a product, as was asked for,");
        return CUBLAS_STATUS_NOT_SUPPORTED;
    }
    cudaError_t e = stream_submit(handle->stream, [p] { return product_run(p); });
    return e == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}

} // namespace

cublasStatus_t cublasGemmStridedBatchedEx(cublasHandle_t handle, cublasOperation_t op_a,
                                          cublasOperation_t op_b, int m, int n, int k, const void *alpha,
                                          const void *A, cudaDataType A_type, int lda, long long stride_a,
                                          const void *B, cudaDataType B_type, int ldb, long long stride_b,
                                          const void *beta, void *C, cudaDataType C_type, int ldc,
                                          long long stride_c, int count, cublasComputeType_t compute,
                                          cublasGemmAlgo_t) {
    bool ta = op_a != CUBLAS_OP_N, tb = op_b != CUBLAS_OP_N;
    if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;
    if (!alpha || !beta) return CUBLAS_STATUS_INVALID_VALUE;
    product p = {m,
                 n,
                 k,
                 count,
                 0,
                 0,
                 {A, A_type, ta, ta ? k : m, ta ? m : k, lda, stride_a},
                 {B, B_type, tb, tb ? n : k, tb ? k : n, ldb, stride_b},
                 {C, C_type, false, m, n, ldc, stride_c},
                 handle->workspace,
                 handle->workspace_bytes};
    if (handle->pointers == CUBLAS_POINTER_MODE_HOST) {
        p.alpha = *static_cast<const float *>(alpha);
        p.beta = *static_cast<const float *>(beta);
    }
    return product_submit(handle, p, compute);
}

cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b, int m,
                            int n, int k, const void *alpha, const void *A, cudaDataType A_type, int lda,
                            const void *B, cudaDataType B_type, int ldb, const void *beta, void *C,
                            cudaDataType C_type, int ldc, cublasComputeType_t compute,
                            cublasGemmAlgo_t algorithm) {
    return cublasGemmStridedBatchedEx(handle, op_a, op_b, m, n, k, alpha, A, A_type, lda, 0, B, B_type, ldb,
                                      0, beta, C, C_type, ldc, 0, 1, compute, algorithm);
}

cublasStatus_t cublasSgemm(cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b, int m,
                           int n, int k, const float *alpha, const float *A, int lda, const float *B, int ldb,
                           const float *beta, float *C, int ldc) {
    return cublasGemmEx(handle, op_a, op_b, m, n, k, alpha, A, CUDA_R_32F, lda, B, CUDA_R_32F, ldb, beta, C,
                        CUDA_R_32F, ldc, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT);
}

// ---- handles ----

cublasStatus_t cublasCreate(cublasHandle_t *handle) {
    locked guard;
    *handle = nullptr;
    if (refuses("handles") || capture_refuses("cublasCreate") != cudaSuccess)
        return CUBLAS_STATUS_NOT_INITIALIZED;
    *handle = new cublasContext{nullptr, nullptr, 0, CUBLAS_POINTER_MODE_HOST};
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasDestroy(cublasHandle_t handle) {
    locked guard;
    if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;
    captures_break("cublasDestroy (which waits for the device)");
    streams_finish();
    delete handle;
    return CUBLAS_STATUS_SUCCESS;
}

// As with the real one, a workspace that was set before the stream is forgotten.
cublasStatus_t cublasSetStream(cublasHandle_t handle, cudaStream_t stream) {
    locked guard;
    if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;
    if (!stream_exists(stream)) return CUBLAS_STATUS_INVALID_VALUE;
    handle->stream = stream;
    handle->workspace = nullptr;
    handle->workspace_bytes = 0;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetWorkspace(cublasHandle_t handle, void *workspace, size_t bytes) {
    locked guard;
    if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;
    if (reinterpret_cast<uintptr_t>(workspace) % 256 != 0) return CUBLAS_STATUS_INVALID_VALUE;
    if (workspace && !memory_holds(workspace, bytes)) {
        report("cublas: a workspace of %zu bytes is not within a device allocation", bytes);
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    handle->workspace = workspace;
    handle->workspace_bytes = workspace ? bytes : 0;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t) {
    return handle ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_INITIALIZED;
}

cublasStatus_t cublasSetPointerMode(cublasHandle_t handle, cublasPointerMode_t mode) {
    locked guard;
    if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;
    handle->pointers = mode;
    return CUBLAS_STATUS_SUCCESS;
}

const char *cublasGetStatusName(cublasStatus_t status) {
    switch (status) {
    case CUBLAS_STATUS_SUCCESS:
        return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_STATUS_NOT_INITIALIZED:
        return "CUBLAS_STATUS_NOT_INITIALIZED";
    case CUBLAS_STATUS_ALLOC_FAILED:
        return "CUBLAS_STATUS_ALLOC_FAILED";
    case CUBLAS_STATUS_INVALID_VALUE:
        return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_ARCH_MISMATCH:
        return "CUBLAS_STATUS_ARCH_MISMATCH";
    case CUBLAS_STATUS_MAPPING_ERROR:
        return "CUBLAS_STATUS_MAPPING_ERROR";
    case CUBLAS_STATUS_EXECUTION_FAILED:
        return "CUBLAS_STATUS_EXECUTION_FAILED";
    case CUBLAS_STATUS_INTERNAL_ERROR:
        return "CUBLAS_STATUS_INTERNAL_ERROR";
    case CUBLAS_STATUS_NOT_SUPPORTED:
        return "CUBLAS_STATUS_NOT_SUPPORTED";
    }
    return "unknown cublas status";
}

const char *cublasGetStatusString(cublasStatus_t status) {
    return cublasGetStatusName(status);
}
