// gelu.cu - GELU in its tanh form, forward and backward: h = x·σ(2s), s = sqrt(2/π)(x + 0.044715x³), whose
// slope is σ + 2x·σ(1-σ)·s'. A thread has one element of a row.
#include "kernels/cuda/operations.cuh"
#include "kernels/cuda/queue.cuh"
#include "kernels/cuda/vector.cuh"

enum { GELU_THREADS = 256 };

#define GELU_SCALE 1.5957691216057308f // 2·sqrt(2/π)
#define GELU_CUBIC 0.044715f

__device__ __forceinline__ float gelu_gate(float x) {
    return 1.0f / (1.0f + expf(-GELU_SCALE * (x + GELU_CUBIC * x * x * x)));
}

template <typename T> __global__ void gelu_kernel(T *h, const T *x, int f) {
    int j = static_cast<int>(blockIdx.y * blockDim.x + threadIdx.x);
    if (j >= f) return;
    size_t at = size_t(blockIdx.x) * f + j;
    float v = to_float(x[at]);
    h[at] = from_float<T>(v * gelu_gate(v));
}

template <typename T>
__global__ void gelu_back_kernel(T *dx, const T *dh, const T *x, const int *rows, int f) {
    int j = static_cast<int>(blockIdx.y * blockDim.x + threadIdx.x);
    if (j >= f) return;
    size_t row = blockIdx.x, from = rows ? static_cast<size_t>(rows[row]) : row;
    float v = to_float(x[from * f + j]), s = gelu_gate(v);
    float slope = GELU_SCALE * (1.0f + 3.0f * GELU_CUBIC * v * v);
    dx[row * f + j] = from_float<T>(to_float(dh[row * f + j]) * (s + v * s * (1.0f - s) * slope));
}

static dim3 stretches(int n, int f) {
    return dim3(static_cast<unsigned>(n), blocks_for(static_cast<size_t>(f), GELU_THREADS));
}

template <typename T> static void gelu_of(queue *q, k_act *h, const k_act *x, int n, int f) {
    LAUNCH((gelu_kernel<T>), stretches(n, f), GELU_THREADS, 0, queue_stream(q), reinterpret_cast<T *>(h),
           reinterpret_cast<const T *>(x), f);
}

void cuda_gelu(kernels *k, k_act *h, const k_act *x, int n, int f) {
    queue *q = queue_of(k);
    if (n <= 0 || f <= 0 || !queue_ready(q)) return;
    if (queue_bf16(q)) {
        gelu_of<bf16>(q, h, x, n, f);
    } else {
        gelu_of<float>(q, h, x, n, f);
    }
    queue_check(q, "gelu");
}

template <typename T>
static void gelu_back_of(queue *q, k_act *dx, const k_act *dh, const k_act *x, const int *rows, int n,
                         int f) {
    LAUNCH((gelu_back_kernel<T>), stretches(n, f), GELU_THREADS, 0, queue_stream(q),
           reinterpret_cast<T *>(dx), reinterpret_cast<const T *>(dh), reinterpret_cast<const T *>(x), rows,
           f);
}

void cuda_gelu_back(kernels *k, k_act *dx, const k_act *dh, const k_act *x, const int *rows, int n, int f) {
    queue *q = queue_of(k);
    if (n <= 0 || f <= 0 || !queue_ready(q)) return;
    if (queue_bf16(q)) {
        gelu_back_of<bf16>(q, dx, dh, x, rows, n, f);
    } else {
        gelu_back_of<float>(q, dx, dh, x, rows, n, f);
    }
    queue_check(q, "gelu_back");
}
