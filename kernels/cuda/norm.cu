// norm.cu - RMS norm with the residual's addition, forward and backward: one block per row.
//
// h = w ⊙ s·r with s = x + y and r = 1/sqrt(mean(s²)+eps). With g = w ⊙ dy, dx = r·g - x·r³·mean(g ⊙ x).
// Sums are float32 trees: a thread's own elements, then reduce.cuh. Norms with more to them are
// layer_norm.cu's.
#include "kernels/cuda/layer_norm.cuh"
#include "kernels/cuda/operations.cuh"
#include "kernels/cuda/queue.cuh"
#include "kernels/cuda/reduce.cuh"
#include "kernels/cuda/vector.cuh"

enum { NORM_THREADS = 512 };

template <int N, typename T>
__device__ __forceinline__ pack<float, N> sum_at(const float *x, const T *y, size_t at) {
    pack<float, N> s = load<N>(x + at);
    if (!y) return s;
    pack<float, N> b = load<N>(y + at);
    for (int i = 0; i < N; i++) s.v[i] += b.v[i];
    return s;
}

// The arrays of a k_norm, typed.
template <typename T> struct norm_args {
    const float *x;
    const T *y;
    const int *rows;
    const float *w;
    float *sum;
    T *h;
    unsigned long long *bad;
};

// `stage` stands where it does in *bad. `sum` may be x, so a sum that was written is read back rather than
// added up again; threads read only what they wrote themselves.
template <typename T, int N>
__global__ void norm_kernel(norm_args<T> a, unsigned long long stage, int d, float eps) {
    SHARED(sums<float>, room);
    int row = a.rows ? a.rows[blockIdx.x] : static_cast<int>(blockIdx.x);
    size_t from = size_t(row) * d, to = size_t(blockIdx.x) * d;
    float squares = 0;
    for (int j = threadIdx.x * N; j < d; j += blockDim.x * N) {
        pack<float, N> s = sum_at<N>(a.x, a.y, from + j);
        if (a.sum) store<N>(a.sum + to + j, s);
        for (int i = 0; i < N; i++) squares += s.v[i] * s.v[i];
    }
    sums_gather({squares, 0.0f}, room);
    float total = sums_over(room).a, r = 1.0f / sqrtf(total / static_cast<float>(d) + eps);
    bool suspect = a.bad && !is_finite(total);
    if (!a.h && !suspect) return;
    for (int j = threadIdx.x * N; j < d; j += blockDim.x * N) {
        pack<float, N> s = a.sum ? load<N>(a.sum + to + j) : sum_at<N>(a.x, a.y, from + j);
        for (int i = 0; i < N; i++) {
            if (suspect && !is_finite(s.v[i])) atomicMin(a.bad, stage | static_cast<unsigned>(row));
        }
        if (!a.h) continue;
        pack<float, N> w = load<N>(a.w + j);
        for (int i = 0; i < N; i++) s.v[i] = s.v[i] * r * w.v[i];
        store<N>(a.h + to + j, s);
    }
}

template <typename T> static void norm_of(queue *q, const k_norm *a) {
    norm_args<T> args = {a->x,
                         reinterpret_cast<const T *>(a->y),
                         a->rows,
                         a->w,
                         a->sum,
                         reinterpret_cast<T *>(a->h),
                         reinterpret_cast<unsigned long long *>(a->bad)};
    unsigned long long stage = static_cast<unsigned long long>(a->stage) << 32;
    size_t d = static_cast<size_t>(a->d);
    unsigned n = static_cast<unsigned>(a->n);
    size_t room = MOST_WARPS * sizeof(sums<float>);
    bool packs = packs_fit(d, 4, a->x) && packs_fit(d, sizeof(T), a->y) && packs_fit(d, 4, a->w) &&
                 packs_fit(d, 4, a->sum) && packs_fit(d, sizeof(T), a->h);
    if (packs) {
        LAUNCH((norm_kernel<T, 4>), n, threads_for(d / 4, NORM_THREADS), room, queue_stream(q), args, stage,
               a->d, a->eps);
    } else {
        LAUNCH((norm_kernel<T, 1>), n, threads_for(d, NORM_THREADS), room, queue_stream(q), args, stage, a->d,
               a->eps);
    }
}

void cuda_norm(kernels *k, const k_norm *a) {
    queue *q = queue_of(k);
    if (a->n <= 0 || a->d <= 0 || !queue_ready(q)) return;
    if (a->center || a->gate || a->b) {
        layer_norm(q, a);
    } else if (queue_bf16(q)) {
        norm_of<bf16>(q, a);
    } else {
        norm_of<float>(q, a);
    }
    queue_check(q, "norm");
}

template <typename T> struct norm_back_args {
    const float *x;
    const int *rows;
    const float *w;
    const T *dy;
    const float *before; // dx, to which is added; or NULL
    float *dx;
    T *dx_act;
};

template <typename T, int N> __global__ void norm_back_kernel(norm_back_args<T> a, int d, float eps) {
    SHARED(sums<float>, room);
    int row = a.rows ? a.rows[blockIdx.x] : static_cast<int>(blockIdx.x);
    size_t to = size_t(blockIdx.x) * d;
    const float *x = a.x + size_t(row) * d;
    const T *dy = a.dy + to;
    float squares = 0, products = 0;
    for (int j = threadIdx.x * N; j < d; j += blockDim.x * N) {
        pack<float, N> s = load<N>(x + j), g = load<N>(dy + j), w = load<N>(a.w + j);
        for (int i = 0; i < N; i++) {
            squares += s.v[i] * s.v[i];
            products += g.v[i] * w.v[i] * s.v[i];
        }
    }
    sums_gather({squares, products}, room);
    sums<float> total = sums_over(room);
    float width = static_cast<float>(d), r = 1.0f / sqrtf(total.a / width + eps);
    float across = r * r * r * (total.b / width);
    for (int j = threadIdx.x * N; j < d; j += blockDim.x * N) {
        pack<float, N> s = load<N>(x + j), g = load<N>(dy + j), w = load<N>(a.w + j);
        pack<float, N> out = {};
        if (a.before) out = load<N>(a.before + to + j);
        for (int i = 0; i < N; i++) out.v[i] += r * g.v[i] * w.v[i] - across * s.v[i];
        store<N>(a.dx + to + j, out);
        if (sizeof(T) == 2 && a.dx_act) store<N>(a.dx_act + to + j, out);
    }
}

template <typename T> static void norm_back_of(queue *q, const k_norm_back *a) {
    norm_back_args<T> args = {a->x,
                              a->rows,
                              a->w,
                              reinterpret_cast<const T *>(a->dy),
                              a->add ? a->dx : nullptr,
                              a->dx,
                              reinterpret_cast<T *>(a->dx_act)};
    size_t d = static_cast<size_t>(a->d);
    unsigned n = static_cast<unsigned>(a->n);
    size_t room = MOST_WARPS * sizeof(sums<float>);
    bool packs = packs_fit(d, 4, a->x) && packs_fit(d, sizeof(T), a->dy) && packs_fit(d, 4, a->w) &&
                 packs_fit(d, 4, a->dx) && packs_fit(d, sizeof(T), a->dx_act);
    if (packs) {
        LAUNCH((norm_back_kernel<T, 4>), n, threads_for(d / 4, NORM_THREADS), room, queue_stream(q), args,
               a->d, a->eps);
    } else {
        LAUNCH((norm_back_kernel<T, 1>), n, threads_for(d, NORM_THREADS), room, queue_stream(q), args, a->d,
               a->eps);
    }
}

void cuda_norm_back(kernels *k, const k_norm_back *a) {
    queue *q = queue_of(k);
    if (a->n <= 0 || a->d <= 0 || !queue_ready(q)) return;
    if (a->center) {
        layer_norm_back(q, a);
    } else if (queue_bf16(q)) {
        norm_back_of<bf16>(q, a);
    } else {
        norm_back_of<float>(q, a);
    }
    queue_check(q, "norm_back");
}
