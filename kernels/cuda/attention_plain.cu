// attention_plain.cu - attention forward for any head size and both element types: a warp per query and head.
//
// The softmax is taken over tiles of 32 keys, one per lane, with the maximum and the sum carried along: when
// the maximum rises, what was summed so far is scaled down. Sums over the head size live in shared memory, so
// that no size needs more registers.
#include "kernels/cuda/attention.cuh"
#include "kernels/cuda/warp_rows.cuh"

#include <math.h>

enum { PLAIN_WARPS = 4 };

// A warp's softmax so far.
struct running {
    float max, sum;
};

// Takes a tile's score of this lane in; returns its weight and scales acc[n] to the new maximum.
__device__ __forceinline__ float running_take(running *r, float score, float *acc, int n, int lane) {
    float max = fmaxf(r->max, warp_max(score));
    float weight = expf(score - max), keep = expf(r->max - max);
    r->sum = r->sum * keep + warp_sum(weight);
    r->max = max;
    for (int d = lane; d < n; d += WARP) acc[d] *= keep;
    return weight;
}

template <typename T> __global__ void attend_plain(forward_args<T> a, float scale) {
    SHARED(float, room);
    int warp = static_cast<int>(threadIdx.x) / WARP, lane = static_cast<int>(threadIdx.x) % WARP;
    int hd = a.s.hd, h = static_cast<int>(blockIdx.y), kv = h / a.s.group();
    k_span span = a.spans[blockIdx.z];
    int i = static_cast<int>(blockIdx.x) * PLAIN_WARPS + warp;
    if (i >= span.n_q) return; // warps never wait for one another here
    float *query = room + size_t(warp) * (2 * hd + WARP), *acc = query + hd, *weights = acc + hd;
    size_t row = size_t(span.q0 + i);
    warp_read(query, a.qkv + row * a.s.width() + size_t(h) * hd, hd, lane);
    warp_zero(acc, hd, lane);
    running r = {-INFINITY, 0};
    for (int first = 0; first < span.n_k; first += WARP) {
        int j = first + lane, left = span.n_k - first;
        float score = -INFINITY;
        if (j < span.n_k) score = scale * lane_dot(query, key_row(a, span, j) + a.s.key(kv), hd);
        weights[lane] = running_take(&r, score, acc, hd, lane);
        __syncwarp();
        for (int t = 0; t < WARP && t < left; t++) {
            const T *value = key_row(a, span, first + t) + a.s.value(kv);
            for (int d = lane; d < hd; d += WARP) acc[d] += weights[t] * to_float(value[d]);
        }
        __syncwarp();
    }
    T *o = a.o + row * a.s.q_width() + size_t(h) * hd;
    for (int d = lane; d < hd; d += WARP) o[d] = from_float<T>(acc[d] / r.sum);
    if (lane == 0) a.lse[row * a.s.H + h] = r.max + logf(r.sum);
}

template <typename T> void attention_plain(queue *q, const k_attn *a) {
    size_t shared = sizeof(float) * PLAIN_WARPS * (2 * static_cast<size_t>(a->hd) + WARP);
    if (!queue_allow_shared(q, reinterpret_cast<const void *>(&attend_plain<T>), shared)) return;
    dim3 grid(static_cast<unsigned>((a->max_q + PLAIN_WARPS - 1) / PLAIN_WARPS), static_cast<unsigned>(a->H),
              static_cast<unsigned>(a->n_spans));
    float scale = 1.0f / sqrtf(static_cast<float>(a->hd));
    LAUNCH((attend_plain<T>), grid, PLAIN_WARPS * WARP, shared, queue_stream(q), forward_of<T>(a), scale);
}

template void attention_plain<float>(queue *q, const k_attn *a);
template void attention_plain<bf16>(queue *q, const k_attn *a);
