// layer_norm.cu - norms that are centred, shifted or gated (DiT), forward and backward: one block per row.
//
// With s = x + gate ⊙ y, less its mean when centred, and r = 1/sqrt(mean(s²)+eps): h = w ⊙ s·r + b. With
// g = w ⊙ dy, ds = r·g - s·r³·mean(g ⊙ s), less mean(r·g) when centred. The mean comes first and the squares
// are those of differences, so that nothing cancels.
#include "kernels/cuda/layer_norm.cuh"
#include "kernels/cuda/operations.cuh"
#include "kernels/cuda/reduce.cuh"
#include "kernels/cuda/vector.cuh"

enum { LAYER_THREADS = 512 };

template <typename T> struct layer_args {
    const float *x;
    const T *y;
    const float *gate;
    const int *rows;
    const float *w, *b;
    float *sum;
    T *h;
    unsigned long long *bad;
    unsigned long long stage; // where it stands in *bad
    bool center;
};

// Element j of the row; what was written to `sum` is read back, by the thread that wrote it.
template <typename T>
__device__ __forceinline__ float element(const layer_args<T> &a, size_t from, size_t to, int j, bool again) {
    if (again && a.sum) return a.sum[to + j];
    float s = a.x[from + j];
    if (a.y) s += (a.gate ? a.gate[j] : 1.0f) * to_float(a.y[from + j]);
    return s;
}

template <typename T> __global__ void layer_norm_kernel(layer_args<T> a, int d, float eps) {
    SHARED(sums<float>, room);
    int row = a.rows ? a.rows[blockIdx.x] : static_cast<int>(blockIdx.x), step = static_cast<int>(blockDim.x);
    size_t from = size_t(row) * d, to = size_t(blockIdx.x) * d;
    float sum = 0, squares = 0;
    for (int j = static_cast<int>(threadIdx.x); j < d; j += step) {
        float s = element(a, from, to, j, false);
        if (a.sum) a.sum[to + j] = s;
        sum += s;
    }
    sums_gather({sum, 0.0f}, room);
    float mean = a.center ? sums_over(room).a / static_cast<float>(d) : 0.0f;
    for (int j = static_cast<int>(threadIdx.x); j < d; j += step) {
        float s = element(a, from, to, j, true) - mean;
        squares += s * s;
    }
    sums_gather({squares, 0.0f}, room + MOST_WARPS);
    float total = sums_over(room + MOST_WARPS).a, r = 1.0f / sqrtf(total / static_cast<float>(d) + eps);
    if (threadIdx.x == 0 && a.bad && !is_finite(total))
        atomicMin(a.bad, a.stage | static_cast<unsigned>(row));
    if (!a.h) return;
    for (int j = static_cast<int>(threadIdx.x); j < d; j += step) {
        float h = (element(a, from, to, j, true) - mean) * r * a.w[j];
        a.h[to + j] = from_float<T>(a.b ? h + a.b[j] : h);
    }
}

template <typename T> static void layer_norm_of(queue *q, const k_norm *a) {
    layer_args<T> args = {a->x,
                          reinterpret_cast<const T *>(a->y),
                          a->gate,
                          a->rows,
                          a->w,
                          a->b,
                          a->sum,
                          reinterpret_cast<T *>(a->h),
                          reinterpret_cast<unsigned long long *>(a->bad),
                          static_cast<unsigned long long>(a->stage) << 32,
                          a->center};
    LAUNCH((layer_norm_kernel<T>), static_cast<unsigned>(a->n),
           threads_for(static_cast<size_t>(a->d), LAYER_THREADS), 2 * MOST_WARPS * sizeof(sums<float>),
           queue_stream(q), args, a->d, a->eps);
}

void layer_norm(queue *q, const k_norm *a) {
    if (queue_bf16(q)) {
        layer_norm_of<bf16>(q, a);
    } else {
        layer_norm_of<float>(q, a);
    }
}

template <typename T> struct layer_back_args {
    const float *x;
    const int *rows;
    const float *w;
    const T *dy;
    const float *before; // dx, to which is added; or NULL
    float *dx;
    T *dx_act;
};

template <typename T> __global__ void layer_norm_back_kernel(layer_back_args<T> a, int d, float eps) {
    SHARED(sums<float>, room);
    int row = a.rows ? a.rows[blockIdx.x] : static_cast<int>(blockIdx.x), step = static_cast<int>(blockDim.x);
    size_t to = size_t(blockIdx.x) * d;
    const float *x = a.x + size_t(row) * d;
    const T *dy = a.dy + to;
    float sum = 0, grads = 0, squares = 0, products = 0, width = static_cast<float>(d);
    for (int j = static_cast<int>(threadIdx.x); j < d; j += step) {
        sum += x[j];
        grads += to_float(dy[j]) * a.w[j];
    }
    sums_gather({sum, grads}, room);
    sums<float> first = sums_over(room);
    float mean = first.a / width;
    for (int j = static_cast<int>(threadIdx.x); j < d; j += step) {
        float s = x[j] - mean;
        squares += s * s;
        products += to_float(dy[j]) * a.w[j] * s;
    }
    sums_gather({squares, products}, room + MOST_WARPS);
    sums<float> second = sums_over(room + MOST_WARPS);
    float r = 1.0f / sqrtf(second.a / width + eps), across = r * r * r * (second.b / width);
    float less = r * (first.b / width);
    for (int j = static_cast<int>(threadIdx.x); j < d; j += step) {
        float out = r * to_float(dy[j]) * a.w[j] - across * (x[j] - mean) - less;
        if (a.before) out += a.before[to + j];
        a.dx[to + j] = out;
        if (sizeof(T) == 2 && a.dx_act) a.dx_act[to + j] = from_float<T>(out);
    }
}

template <typename T> static void layer_norm_back_of(queue *q, const k_norm_back *a) {
    layer_back_args<T> args = {a->x,
                               a->rows,
                               a->w,
                               reinterpret_cast<const T *>(a->dy),
                               a->add ? a->dx : nullptr,
                               a->dx,
                               reinterpret_cast<T *>(a->dx_act)};
    LAUNCH((layer_norm_back_kernel<T>), static_cast<unsigned>(a->n),
           threads_for(static_cast<size_t>(a->d), LAYER_THREADS), 2 * MOST_WARPS * sizeof(sums<float>),
           queue_stream(q), args, a->d, a->eps);
}

void layer_norm_back(queue *q, const k_norm_back *a) {
    if (queue_bf16(q)) {
        layer_norm_back_of<bf16>(q, a);
    } else {
        layer_norm_back_of<float>(q, a);
    }
}
