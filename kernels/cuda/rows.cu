// rows.cu - rows from here to there: embedding rows, gathered and scattered rows, rows as activations.
#include "kernels/cuda/blocks.cuh"
#include "kernels/cuda/operations.cuh"
#include "kernels/cuda/queue.cuh"
#include "kernels/cuda/vector.cuh"

enum { ROW_THREADS = 256 };

// ---- embed ----

template <typename T, int N>
__global__ void embed_kernel(float *x, const int32_t *ids, const T *w, int d, float scale) {
    const T *from = w + size_t(ids[blockIdx.x]) * d;
    float *to = x + size_t(blockIdx.x) * d;
    for (int j = threadIdx.x * N; j < d; j += blockDim.x * N) {
        pack<float, N> e = load<N>(from + j);
        for (int i = 0; i < N; i++) e.v[i] *= scale;
        store<N>(to + j, e);
    }
}

template <typename T>
static void embed_of(queue *q, float *x, const int32_t *ids, int n, const k_weight *w, float scale) {
    const T *from = static_cast<const T *>(w->device);
    size_t d = static_cast<size_t>(w->cols);
    unsigned grid = static_cast<unsigned>(n);
    if (packs_fit(d, 4, x) && packs_fit(d, sizeof(T), from)) {
        LAUNCH((embed_kernel<T, 4>), grid, threads_for(d / 4, ROW_THREADS), 0, queue_stream(q), x, ids, from,
               w->cols, scale);
    } else {
        LAUNCH((embed_kernel<T, 1>), grid, threads_for(d, ROW_THREADS), 0, queue_stream(q), x, ids, from,
               w->cols, scale);
    }
}

void cuda_embed(kernels *k, float *x, const int32_t *ids, int n, const k_weight *w, float scale) {
    queue *q = queue_of(k);
    if (n <= 0 || !queue_ready(q)) return;
    if (!w->device) {
        blocks_embed(q, x, ids, n, w, scale);
    } else if (queue_bf16(q)) {
        embed_of<bf16>(q, x, ids, n, w, scale);
    } else {
        embed_of<float>(q, x, ids, n, w, scale);
    }
    queue_check(q, "embed");
}

// ---- rows ----

template <int N>
__global__ void rows_kernel(float *y, const int *dst, const float *x, const int *src, const float *coef,
                            int d) {
    int i = static_cast<int>(blockIdx.x);
    const float *from = x + size_t(src ? src[i] : i) * d;
    float *to = y + size_t(dst ? dst[i] : i) * d;
    float c = coef ? coef[i] : 1.0f;
    for (int j = threadIdx.x * N; j < d; j += blockDim.x * N) {
        pack<float, N> v = load<N>(from + j);
        for (int e = 0; e < N; e++) v.v[e] *= c;
        store<N>(to + j, v);
    }
}

void cuda_rows(kernels *k, float *y, const int *dst, const float *x, const int *src, const float *coef, int n,
               int d) {
    queue *q = queue_of(k);
    if (n <= 0 || d <= 0 || !queue_ready(q)) return;
    size_t width = static_cast<size_t>(d);
    unsigned grid = static_cast<unsigned>(n);
    if (packs_fit(width, 4, y) && packs_fit(width, 4, x)) {
        LAUNCH((rows_kernel<4>), grid, threads_for(width / 4, ROW_THREADS), 0, queue_stream(q), y, dst, x,
               src, coef, d);
    } else {
        LAUNCH((rows_kernel<1>), grid, threads_for(width, ROW_THREADS), 0, queue_stream(q), y, dst, x, src,
               coef, d);
    }
    queue_check(q, "rows");
}

// ---- narrow ----

template <typename T, int N> __global__ void narrow_kernel(T *y, const float *x, size_t n) {
    size_t i = (size_t(blockIdx.x) * blockDim.x + threadIdx.x) * N;
    if (i < n) store<N>(y + i, load<N>(x + i));
}

template <typename T> static void narrow_of(queue *q, k_act *y, const float *x, size_t n) {
    T *to = reinterpret_cast<T *>(y);
    if (packs_fit(n, 4, x) && packs_fit(n, sizeof(T), y)) {
        LAUNCH((narrow_kernel<T, 4>), blocks_for(n / 4, ROW_THREADS), ROW_THREADS, 0, queue_stream(q), to, x,
               n);
    } else {
        LAUNCH((narrow_kernel<T, 1>), blocks_for(n, ROW_THREADS), ROW_THREADS, 0, queue_stream(q), to, x, n);
    }
}

void cuda_narrow(kernels *k, k_act *y, const float *x, size_t n) {
    queue *q = queue_of(k);
    if (n == 0 || !queue_ready(q)) return;
    if (queue_bf16(q)) {
        narrow_of<bf16>(q, y, x, n);
    } else {
        narrow_of<float>(q, y, x, n);
    }
    queue_check(q, "narrow");
}

// ---- gate ----

template <typename T> __global__ void gate_kernel(T *y, const float *x, const float *w, int d) {
    int j = static_cast<int>(blockIdx.y * blockDim.x + threadIdx.x);
    size_t at = size_t(blockIdx.x) * d + j;
    if (j < d) y[at] = from_float<T>(x[at] * w[j]);
}

void cuda_gate(kernels *k, k_act *y, const float *x, const float *w, int n, int d) {
    queue *q = queue_of(k);
    if (n <= 0 || d <= 0 || !queue_ready(q)) return;
    dim3 grid(static_cast<unsigned>(n), blocks_for(static_cast<size_t>(d), ROW_THREADS));
    if (queue_bf16(q)) {
        LAUNCH((gate_kernel<bf16>), grid, ROW_THREADS, 0, queue_stream(q), reinterpret_cast<bf16 *>(y), x, w,
               d);
    } else {
        LAUNCH((gate_kernel<float>), grid, ROW_THREADS, 0, queue_stream(q), reinterpret_cast<float *>(y), x,
               w, d);
    }
    queue_check(q, "gate");
}

// ---- blend ----

__global__ void blend_kernel(float *z, const float *u, float s, size_t n) {
    size_t i = size_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float a = z[i], b = u[i];
    bool none = fabsf(a) > 3.402823466e38f || fabsf(b) > 3.402823466e38f;
    z[i] = none ? __uint_as_float(0xff800000u) : b + s * (a - b);
}

void cuda_blend(kernels *k, float *z, const float *u, float s, size_t n) {
    queue *q = queue_of(k);
    if (n == 0 || !queue_ready(q)) return;
    LAUNCH((blend_kernel), blocks_for(n, ROW_THREADS), ROW_THREADS, 0, queue_stream(q), z, u, s, n);
    queue_check(q, "blend");
}
