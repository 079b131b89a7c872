// gemm.cu - products with weights, by cuBLAS.
//
// cuBLAS reads arrays by columns: a row-major [n][width] is to it a column-major width x n. So y = x Wᵀ
// becomes yᵀ = W xᵀ, and W, read by columns, is Wᵀ: hence "transposed" for the forward and not for the
// backward. Without TF32: CUBLAS_COMPUTE_32F in default math keeps float32 operands whole.
#include "kernels/cuda/gemm.cuh"
#include "kernels/cuda/blocks.cuh"
#include "kernels/cuda/operations.cuh"
#include "kernels/cuda/queue_impl.cuh"
#include "kernels/cuda/vector.cuh"

void queue_multiply(queue *q, const product *p, const char *operation) {
    cudaDataType_t act = q->shared->bf16 ? CUDA_R_16BF : CUDA_R_32F;
    cublasStatus_t status = cublasGemmEx(
        q->blas, p->transposed ? CUBLAS_OP_T : CUBLAS_OP_N, CUBLAS_OP_N, p->width, p->n, p->inner, &p->alpha,
        p->a, act, p->transposed ? p->inner : p->width, p->b, act, p->inner, &p->beta, p->c,
        p->wide ? CUDA_R_32F : act, p->ldc ? p->ldc : p->width, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT);
    queue_check_blas(q, status, operation);
}

// ---- bias ----

enum { BIAS_THREADS = 256 };

template <typename T> __global__ void bias_kernel(T *y, const float *bias, int width) {
    int j = static_cast<int>(blockIdx.y * blockDim.x + threadIdx.x);
    if (j >= width) return;
    T *at = y + size_t(blockIdx.x) * width + j;
    *at = from_float<T>(to_float(*at) + bias[j]);
}

static void add_bias(queue *q, k_act *y, bool narrow, int n, const k_weight *w) {
    dim3 grid(static_cast<unsigned>(n), blocks_for(static_cast<size_t>(w->rows), BIAS_THREADS));
    if (narrow) {
        LAUNCH((bias_kernel<bf16>), grid, BIAS_THREADS, 0, q->stream, reinterpret_cast<bf16 *>(y), w->bias,
               w->rows);
    } else {
        LAUNCH((bias_kernel<float>), grid, BIAS_THREADS, 0, q->stream, reinterpret_cast<float *>(y), w->bias,
               w->rows);
    }
    queue_check(q, "linear");
}

// ---- the table's functions ----

void cuda_linear(kernels *k, k_act *y, const k_act *x, int n, const k_weight *w) {
    queue *q = queue_of(k);
    if (n <= 0 || !queue_ready(q)) return;
    if (w->device) {
        product p = {n, w->rows, w->cols, true, false, 1, 0, w->device, x, y, 0};
        queue_multiply(q, &p, "linear");
    } else {
        blocks_multiply(q, y, false, x, n, w, 1);
    }
    if (w->bias && queue_ready(q)) add_bias(q, y, q->shared->bf16, n, w);
}

void cuda_logits(kernels *k, float *z, const k_act *x, int n, const k_weight *w, float scale) {
    queue *q = queue_of(k);
    if (n <= 0 || !queue_ready(q)) return;
    if (w->device) {
        product p = {n, w->rows, w->cols, true, true, scale, 0, w->device, x, z, 0};
        queue_multiply(q, &p, "logits");
    } else {
        blocks_multiply(q, z, true, x, n, w, scale);
    }
    if (w->bias && queue_ready(q)) add_bias(q, reinterpret_cast<k_act *>(z), false, n, w);
}

void cuda_linear_back(kernels *k, k_act *dx, const k_act *dy, int n, const k_weight *w, k_counts *c) {
    queue *q = queue_of(k);
    if (c) c->linear_calls++, c->linear_rows += n;
    if (n <= 0 || !queue_ready(q)) return;
    if (!w->device) {
        blocks_multiply_back(q, dx, dy, n, w);
        return;
    }
    product p = {n, w->cols, w->rows, false, false, 1, 0, w->device, dy, dx, 0};
    queue_multiply(q, &p, "linear_back");
}
