// entropy.cu - the entropy's gradient: dz = -scale·π(log π + H), π from the logits and their log-sum-exp
// again.
#include "kernels/cuda/head.cuh"
#include "kernels/cuda/operations.cuh"
#include "kernels/cuda/queue.cuh"
#include "kernels/cuda/vector.cuh"

enum { ENTROPY_THREADS = 256 };

template <typename T, int N>
__global__ void entropy_back_kernel(T *dz, const float *logits, const k_row_stats *stats, const int *rows,
                                    int V, int mask, float scale) {
    int v = static_cast<int>(blockIdx.y * blockDim.x + threadIdx.x) * N;
    if (v >= V) return;
    size_t row = rows ? static_cast<size_t>(rows[blockIdx.x]) : blockIdx.x;
    split lse = split_of(stats[row].lse);
    float H = static_cast<float>(stats[row].entropy);
    pack<float, N> z = load<N>(logits + row * V + v), out;
    for (int i = 0; i < N; i++) {
        float lp = log_prob(z.v[i], lse), p = expf(lp); // 0 where lp may be -inf
        bool none = v + i == mask || p == 0 || fabsf(z.v[i]) == INFINITY;
        out.v[i] = none ? 0.0f : -scale * p * (lp + H);
    }
    store<N>(dz + size_t(blockIdx.x) * V + v, out);
}

template <typename T>
static void entropy_back_of(queue *q, k_act *dz, const float *logits, const k_row_stats *stats,
                            const int *rows, int n, int V, int mask, float scale) {
    T *to = reinterpret_cast<T *>(dz);
    size_t width = static_cast<size_t>(V);
    bool packs = packs_fit(width, sizeof(T), dz) && packs_fit(width, 4, logits);
    size_t items = packs ? width / 4 : width;
    dim3 grid(static_cast<unsigned>(n), blocks_for(items, ENTROPY_THREADS));
    if (packs) {
        LAUNCH((entropy_back_kernel<T, 4>), grid, ENTROPY_THREADS, 0, queue_stream(q), to, logits, stats,
               rows, V, mask, scale);
    } else {
        LAUNCH((entropy_back_kernel<T, 1>), grid, ENTROPY_THREADS, 0, queue_stream(q), to, logits, stats,
               rows, V, mask, scale);
    }
}

void cuda_entropy_back(kernels *k, k_act *dz, const float *logits, const k_row_stats *stats, const int *rows,
                       int n, int V, int mask, float scale, k_counts *c) {
    queue *q = queue_of(k);
    if (c) c->head_calls++, c->head_rows += n;
    if (n <= 0 || V <= 0 || !queue_ready(q)) return;
    if (queue_bf16(q)) {
        entropy_back_of<bf16>(q, dz, logits, stats, rows, n, V, mask, scale);
    } else {
        entropy_back_of<float>(q, dz, logits, stats, rows, n, V, mask, scale);
    }
    queue_check(q, "entropy_back");
}
