// swiglu.cu - SwiGLU, forward and backward: h = silu(g) ⊙ u, silu(g) = g·σ(g), silu'(g) = σ(g)(1 + g(1 -
// σ(g))). A block handles a stretch of one row.
#include "kernels/cuda/operations.cuh"
#include "kernels/cuda/queue.cuh"
#include "kernels/cuda/vector.cuh"

enum { SWIGLU_THREADS = 256 };

__device__ __forceinline__ float sigmoid(float x) {
    return 1.0f / (1.0f + expf(-x));
}

template <typename T, int N> __global__ void swiglu_kernel(T *h, const T *gu, int f) {
    int j = static_cast<int>(blockIdx.y * blockDim.x + threadIdx.x) * N;
    if (j >= f) return;
    const T *gate = gu + size_t(blockIdx.x) * 2 * f + j;
    pack<float, N> g = load<N>(gate), u = load<N>(gate + f), out;
    for (int i = 0; i < N; i++) out.v[i] = g.v[i] * sigmoid(g.v[i]) * u.v[i];
    store<N>(h + size_t(blockIdx.x) * f + j, out);
}

template <typename T, int N>
__global__ void swiglu_back_kernel(T *dgu, const T *dh, const T *gu, const int *rows, int f) {
    int j = static_cast<int>(blockIdx.y * blockDim.x + threadIdx.x) * N;
    if (j >= f) return;
    size_t row = blockIdx.x, from = rows ? static_cast<size_t>(rows[row]) : row;
    const T *gate = gu + from * 2 * f + j;
    pack<float, N> g = load<N>(gate), u = load<N>(gate + f), d = load<N>(dh + row * f + j), dg, du;
    for (int i = 0; i < N; i++) {
        float s = sigmoid(g.v[i]);
        dg.v[i] = d.v[i] * u.v[i] * s * (1.0f + g.v[i] * (1.0f - s));
        du.v[i] = d.v[i] * g.v[i] * s;
    }
    store<N>(dgu + row * 2 * f + j, dg);
    store<N>(dgu + row * 2 * f + f + j, du);
}

// Rows across, stretches of a row down: a grid may be much wider than high.
static dim3 stretches(int n, size_t items, unsigned threads) {
    return dim3(static_cast<unsigned>(n), blocks_for(items, threads));
}

template <typename T> static void swiglu_of(queue *q, k_act *h, const k_act *gu, int n, int f) {
    T *to = reinterpret_cast<T *>(h);
    const T *from = reinterpret_cast<const T *>(gu);
    size_t width = static_cast<size_t>(f);
    bool packs = packs_fit(width, sizeof(T), h) && packs_fit(width, sizeof(T), gu);
    size_t items = packs ? width / 4 : width;
    unsigned threads = threads_for(items, SWIGLU_THREADS);
    dim3 grid = stretches(n, items, threads);
    if (packs) {
        LAUNCH((swiglu_kernel<T, 4>), grid, threads, 0, queue_stream(q), to, from, f);
    } else {
        LAUNCH((swiglu_kernel<T, 1>), grid, threads, 0, queue_stream(q), to, from, f);
    }
}

void cuda_swiglu(kernels *k, k_act *h, const k_act *gu, int n, int f) {
    queue *q = queue_of(k);
    if (n <= 0 || f <= 0 || !queue_ready(q)) return;
    if (queue_bf16(q)) {
        swiglu_of<bf16>(q, h, gu, n, f);
    } else {
        swiglu_of<float>(q, h, gu, n, f);
    }
    queue_check(q, "swiglu");
}

template <typename T>
static void swiglu_back_of(queue *q, k_act *dgu, const k_act *dh, const k_act *gu, const int *rows, int n,
                           int f) {
    T *to = reinterpret_cast<T *>(dgu);
    const T *d = reinterpret_cast<const T *>(dh), *from = reinterpret_cast<const T *>(gu);
    size_t width = static_cast<size_t>(f);
    bool packs = packs_fit(width, sizeof(T), dgu) && packs_fit(width, sizeof(T), dh) &&
                 packs_fit(width, sizeof(T), gu);
    size_t items = packs ? width / 4 : width;
    unsigned threads = threads_for(items, SWIGLU_THREADS);
    dim3 grid = stretches(n, items, threads);
    if (packs) {
        LAUNCH((swiglu_back_kernel<T, 4>), grid, threads, 0, queue_stream(q), to, d, from, rows, f);
    } else {
        LAUNCH((swiglu_back_kernel<T, 1>), grid, threads, 0, queue_stream(q), to, d, from, rows, f);
    }
}

void cuda_swiglu_back(kernels *k, k_act *dgu, const k_act *dh, const k_act *gu, const int *rows, int n,
                      int f) {
    queue *q = queue_of(k);
    if (n <= 0 || f <= 0 || !queue_ready(q)) return;
    if (queue_bf16(q)) {
        swiglu_back_of<bf16>(q, dgu, dh, gu, rows, n, f);
    } else {
        swiglu_back_of<float>(q, dgu, dh, gu, rows, n, f);
    }
    queue_check(q, "swiglu_back");
}
