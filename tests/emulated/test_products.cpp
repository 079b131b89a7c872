// test_products.cpp - cuBLAS's products against loops, and what they refuse.
#include "checks.h"
#include "cublas_v2.h"
#include "cuda_bf16.h"
#include "cuda_runtime.h"

#include <vector>

static cublasHandle_t handle;
static cudaStream_t stream;

// A matrix on both sides, column-major, of small whole numbers, so that sums are exact.
struct matrix {
    cudaDataType type;
    int ld, columns;
    std::vector<float> values;
    char *device;

    size_t bytes() const {
        return values.size() * (type == CUDA_R_32F ? 4 : 2);
    }
    float &at(int row, int column) {
        return values[static_cast<size_t>(column) * static_cast<size_t>(ld) + static_cast<size_t>(row)];
    }
    void put() {
        std::vector<__nv_bfloat16> narrow;
        for (float v : values) narrow.push_back(__float2bfloat16(v));
        const void *from = type == CUDA_R_32F ? static_cast<void *>(values.data()) : narrow.data();
        cudaMemcpy(device, from, bytes(), cudaMemcpyHostToDevice);
    }
    std::vector<float> get() const {
        std::vector<float> wide(values.size());
        std::vector<__nv_bfloat16> narrow(values.size());
        void *to = type == CUDA_R_32F ? static_cast<void *>(wide.data()) : narrow.data();
        cudaStreamSynchronize(stream);
        cudaMemcpy(to, device, bytes(), cudaMemcpyDeviceToHost);
        for (size_t i = 0; i < wide.size() && type != CUDA_R_32F; i++) wide[i] = __bfloat162float(narrow[i]);
        return wide;
    }
    matrix(cudaDataType type_, int ld_, int columns_, int salt)
        : type(type_), ld(ld_), columns(columns_),
          values(static_cast<size_t>(ld_) * static_cast<size_t>(columns_)) {
        for (size_t i = 0; i < values.size(); i++) {
            values[i] = static_cast<float>((i * 13 + static_cast<size_t>(salt)) % 9) - 4.0f;
        }
        cudaMalloc(&device, bytes());
        put();
    }
    ~matrix() {
        cudaFree(device);
    }
    matrix(const matrix &) = delete;
    matrix &operator=(const matrix &) = delete;
};

static cublasStatus_t multiply(int ta, int tb, int m, int n, int k, float alpha, float beta, matrix &a,
                               matrix &b, matrix &c) {
    return cublasGemmEx(handle, ta ? CUBLAS_OP_T : CUBLAS_OP_N, tb ? CUBLAS_OP_T : CUBLAS_OP_N, m, n, k,
                        &alpha, a.device, a.type, a.ld, b.device, b.type, b.ld, &beta, c.device, c.type, c.ld,
                        CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT);
}

static float round_as(cudaDataType type, float x) {
    return type == CUDA_R_32F ? x : __bfloat162float(__float2bfloat16(x));
}

static void test_product(cudaDataType in, cudaDataType out, int ta, int tb, float beta) {
    const int m = 5, n = 7, k = 11;
    matrix a(in, (ta ? k : m) + 2, ta ? m : k, 1), b(in, (tb ? n : k) + 1, tb ? k : n, 2),
        c(out, m + 3, n, 3);
    if (beta == 0) { // C is then not read
        for (float &v : c.values) v = NAN;
        c.put();
    }
    CHECK(multiply(ta, tb, m, n, k, 0.5f, beta, a, b, c) == CUBLAS_STATUS_SUCCESS);
    std::vector<float> result = c.get();
    for (int column = 0; column < n; column++) {
        for (int row = 0; row < m + 3; row++) {
            float got = result[static_cast<size_t>(column * (m + 3) + row)], old = c.at(row, column), sum = 0;
            for (int i = 0; i < k && row < m; i++) {
                sum += (ta ? a.at(i, row) : a.at(row, i)) * (tb ? b.at(column, i) : b.at(i, column));
            }
            float expected = row >= m ? old : round_as(out, 0.5f * sum + (beta == 0 ? 0 : beta * old));
            CHECK(got == expected || (got != got && expected != expected));
        }
    }
}

static void test_batch() {
    matrix a(CUDA_R_32F, 2, 6, 1), b(CUDA_R_32F, 2, 6, 5), c(CUDA_R_32F, 2, 6, 7);
    float one = 1, zero = 0;
    CHECK(cublasGemmStridedBatchedEx(handle, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 2, &one, a.device, CUDA_R_32F, 2,
                                     4, b.device, CUDA_R_32F, 2, 4, &zero, c.device, CUDA_R_32F, 2, 4, 3,
                                     CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT) == CUBLAS_STATUS_SUCCESS);
    std::vector<float> result = c.get();
    for (int i = 0; i < 12; i++) {
        int first = i / 4 * 2, row = i % 2, column = i / 2;
        float sum = a.at(row, first) * b.at(0, column) + a.at(row, first + 1) * b.at(1, column);
        CHECK(result[static_cast<size_t>(i)] == sum);
    }
}

static void test_refusals() {
    matrix a(CUDA_R_32F, 4, 4, 1), b(CUDA_R_32F, 4, 4, 2), c(CUDA_R_32F, 4, 4, 3),
        narrow(CUDA_R_16BF, 4, 4, 4);
    CHECK(multiply(0, 0, 5, 4, 4, 1, 0, a, b, c) == CUBLAS_STATUS_INVALID_VALUE); // lda < m
    CHECK(multiply(0, 0, 4, 4, 4, 1, 0, a, narrow, c) == CUBLAS_STATUS_NOT_SUPPORTED);
    CHECK(multiply(0, 0, 4, 4, 4, 1, 0, a, b, narrow) == CUBLAS_STATUS_NOT_SUPPORTED);
    CHECK(multiply(0, 0, 4, 5, 4, 1, 0, a, b, c) != CUBLAS_STATUS_SUCCESS); // B and C have 4 columns
    CHECK_REPORTED(cudaErrorIllegalAddress, "matrix B");
    CHECK(cublasSetWorkspace(handle, a.device + 4, 16) == CUBLAS_STATUS_INVALID_VALUE); // alignment
    CHECK(strcmp(cublasGetStatusString(CUBLAS_STATUS_NOT_SUPPORTED), "CUBLAS_STATUS_NOT_SUPPORTED") == 0);
}

static void test_capture() {
    matrix a(CUDA_R_32F, 1, 1, 1), b(CUDA_R_32F, 1, 1, 2), c(CUDA_R_32F, 1, 1, 3);
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal) == cudaSuccess);
    CHECK(multiply(0, 0, 1, 1, 1, 1, 1, a, b, c) == CUBLAS_STATUS_SUCCESS);
    CHECK(cudaStreamEndCapture(stream, &graph) == cudaSuccess);
    CHECK(cudaGraphInstantiateWithFlags(&exec, graph, 0) == cudaSuccess && c.get()[0] == c.values[0]);
    for (int i = 0; i < 2; i++) CHECK(cudaGraphLaunch(exec, stream) == cudaSuccess);
    CHECK(c.get()[0] == c.values[0] + 2 * a.values[0] * b.values[0]);
    cudaGraphExecDestroy(exec);
    cudaGraphDestroy(graph);
}

int main() {
    cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    CHECK(cublasCreate(&handle) == CUBLAS_STATUS_SUCCESS);
    CHECK(cublasSetStream(handle, stream) == CUBLAS_STATUS_SUCCESS);
    for (int i = 0; i < 8; i++) {
        float beta = i & 4 ? 2.0f : 0.0f;
        test_product(CUDA_R_32F, CUDA_R_32F, i & 1, i >> 1 & 1, beta);
        test_product(CUDA_R_16BF, CUDA_R_32F, i & 1, i >> 1 & 1, beta);
        test_product(CUDA_R_16BF, CUDA_R_16BF, i & 1, i >> 1 & 1, beta);
    }
    test_batch();
    test_refusals();
    test_capture();
    cublasDestroy(handle);
    cudaStreamDestroy(stream);
    return checks_end();
}
