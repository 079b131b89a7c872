// head_norm.cu - RMS norm of every head of a row, in place, forward and backward: one warp per head.
#include "kernels/cuda/operations.cuh"
#include "kernels/cuda/queue.cuh"
#include "kernels/cuda/vector.cuh"
#include "kernels/cuda/warp_rows.cuh"

enum { HEAD_WARPS = 4 };

template <typename T>
__global__ void head_norm_kernel(T *x, int ld, T *raw, const float *w, int heads, int hd, float eps) {
    int head = static_cast<int>(blockIdx.y * HEAD_WARPS + threadIdx.x / WARP);
    int lane = static_cast<int>(threadIdx.x % WARP);
    if (head >= heads) return;
    T *at = x + size_t(blockIdx.x) * ld + size_t(head) * hd;
    T *keep = raw ? raw + (size_t(blockIdx.x) * heads + head) * hd : nullptr;
    float squares = 0;
    for (int j = lane; j < hd; j += WARP) {
        float v = to_float(at[j]);
        squares += v * v;
        if (keep) keep[j] = at[j];
    }
    float r = 1.0f / sqrtf(warp_sum(squares) / static_cast<float>(hd) + eps);
    for (int j = lane; j < hd; j += WARP)
        at[j] = from_float<T>(to_float(at[j]) * r * w[size_t(head) * hd + j]);
}

template <typename T>
__global__ void head_norm_back_kernel(T *dx, int ld, const T *raw, const int *rows, const float *w, int heads,
                                      int hd, float eps) {
    int head = static_cast<int>(blockIdx.y * HEAD_WARPS + threadIdx.x / WARP);
    int lane = static_cast<int>(threadIdx.x % WARP);
    if (head >= heads) return;
    size_t row = blockIdx.x, from = rows ? static_cast<size_t>(rows[row]) : row;
    T *at = dx + row * ld + size_t(head) * hd;
    const T *x = raw + (from * heads + head) * hd;
    const float *scale = w + size_t(head) * hd;
    float squares = 0, products = 0, width = static_cast<float>(hd);
    for (int j = lane; j < hd; j += WARP) {
        float v = to_float(x[j]);
        squares += v * v;
        products += to_float(at[j]) * scale[j] * v;
    }
    float r = 1.0f / sqrtf(warp_sum(squares) / width + eps),
          across = r * r * r * (warp_sum(products) / width);
    for (int j = lane; j < hd; j += WARP)
        at[j] = from_float<T>(r * to_float(at[j]) * scale[j] - across * to_float(x[j]));
}

static dim3 warps_for(int n, int heads) {
    return dim3(static_cast<unsigned>(n), blocks_for(static_cast<size_t>(heads), HEAD_WARPS));
}

template <typename T> static void head_norm_of(queue *q, const k_head_norm *a) {
    LAUNCH((head_norm_kernel<T>), warps_for(a->n, a->heads), HEAD_WARPS * WARP, 0, queue_stream(q),
           reinterpret_cast<T *>(a->x), a->ld, reinterpret_cast<T *>(a->raw), a->w, a->heads, a->hd, a->eps);
}

void cuda_head_norm(kernels *k, const k_head_norm *a) {
    queue *q = queue_of(k);
    if (a->n <= 0 || a->heads <= 0 || !queue_ready(q)) return;
    if (queue_bf16(q)) {
        head_norm_of<bf16>(q, a);
    } else {
        head_norm_of<float>(q, a);
    }
    queue_check(q, "head_norm");
}

template <typename T> static void head_norm_back_of(queue *q, const k_head_norm_back *a) {
    LAUNCH((head_norm_back_kernel<T>), warps_for(a->n, a->heads), HEAD_WARPS * WARP, 0, queue_stream(q),
           reinterpret_cast<T *>(a->dx), a->ld, reinterpret_cast<const T *>(a->raw), a->rows, a->w, a->heads,
           a->hd, a->eps);
}

void cuda_head_norm_back(kernels *k, const k_head_norm_back *a) {
    queue *q = queue_of(k);
    if (a->n <= 0 || a->heads <= 0 || !queue_ready(q)) return;
    if (queue_bf16(q)) {
        head_norm_back_of<bf16>(q, a);
    } else {
        head_norm_back_of<float>(q, a);
    }
    queue_check(q, "head_norm_back");
}
