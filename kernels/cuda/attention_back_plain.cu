// attention_back_plain.cu - attention backward for any head size and both element types.
//
// With P = exp(S - lse), S = q·k/sqrt(hd), the gradient `do` of o = P v gives
//     dP_ij = do_i·v_j,   dS_ij = P_ij (dP_ij - do_i·o_i)/sqrt(hd),
//     dq_i = Σ_j dS_ij k_j over all keys j,
//     dk_j = Σ_i dS_ij q_i and dv_j = Σ_i P_ij do_i over the rows i of A, for j in A only.
// A warp owns one output row of one head: for dq it walks over the keys, for dk and dv over the queries of
// all heads of its group. So every sum has one owner and one order.
#include "kernels/cuda/attention.cuh"
#include "kernels/cuda/warp_rows.cuh"

#include <math.h>

enum { BACK_WARPS = 4 };

struct pair_grad {
    float p, ds;
};

template <typename T> __global__ void query_grad_plain(back_args<T> a, float scale) {
    SHARED(float, room);
    int warp = static_cast<int>(threadIdx.x) / WARP, lane = static_cast<int>(threadIdx.x) % WARP;
    int hd = a.s.hd, h = static_cast<int>(blockIdx.y), kv = h / a.s.group();
    int i = static_cast<int>(blockIdx.x) * BACK_WARPS + warp;
    if (i >= a.n) return; // warps never wait for one another here
    float *query = room + size_t(warp) * (3 * hd + WARP), *dout = query + hd, *acc = dout + hd;
    float *weights = acc + hd;
    size_t row = size_t(a.rows[i]), out = size_t(blockIdx.z) * a.n + i;
    const T *o = a.o + row * a.s.q_width() + size_t(h) * hd;
    warp_read(query, a.qkv + row * a.s.width() + size_t(h) * hd, hd, lane);
    warp_read(dout, a.dout + out * a.s.q_width() + size_t(h) * hd, hd, lane);
    warp_zero(acc, hd, lane);
    float part = 0;
    for (int d = lane; d < hd; d += WARP) part += dout[d] * to_float(o[d]);
    float delta = warp_sum(part), lse = a.lse[row * a.s.H + h];
    for (int first = 0; first < a.n_k; first += WARP) {
        int j = first + lane, left = a.n_k - first;
        float ds = 0;
        if (j < a.n_k) {
            const T *key = a.qkv + size_t(a.k0 + j) * a.s.width();
            float p = expf(scale * lane_dot(query, key + a.s.key(kv), hd) - lse);
            ds = p * (lane_dot(dout, key + a.s.value(kv), hd) - delta) * scale;
        }
        weights[lane] = ds;
        __syncwarp();
        for (int t = 0; t < WARP && t < left; t++) {
            const T *key = a.qkv + size_t(a.k0 + first + t) * a.s.width() + a.s.key(kv);
            for (int d = lane; d < hd; d += WARP) acc[d] += weights[t] * to_float(key[d]);
        }
        __syncwarp();
    }
    T *dq = a.dqkv + out * a.s.width() + size_t(h) * hd;
    for (int d = lane; d < hd; d += WARP) dq[d] = from_float<T>(acc[d]);
}

// P and dS of query i of A (head h) at the key whose key and value are in shared memory.
template <typename T>
__device__ __forceinline__ pair_grad pair_of(const back_args<T> &a, int i, int h, const float *key,
                                             const float *value, float scale) {
    int hd = a.s.hd;
    size_t row = size_t(a.rows[i]), at = (size_t(blockIdx.z) * a.n + i) * a.s.q_width() + size_t(h) * hd;
    const T *o = a.o + row * a.s.q_width() + size_t(h) * hd, *dout = a.dout + at;
    float delta = 0;
    for (int d = 0; d < hd; d++) delta += to_float(dout[d]) * to_float(o[d]);
    float s = scale * lane_dot(key, a.qkv + row * a.s.width() + size_t(h) * hd, hd);
    float p = expf(s - a.lse[row * a.s.H + h]);
    return {p, p * (lane_dot(value, dout, hd) - delta) * scale};
}

// dk and dv += what queries [first, first+32) below `end` give.
template <typename T>
__device__ __forceinline__ void take_queries(const back_args<T> &a, int first, int end, int h, float *shared,
                                             float scale, int lane) {
    int hd = a.s.hd, i = first + lane;
    float *key = shared, *value = key + hd, *dk = value + hd, *dv = dk + hd;
    pair_grad *pairs = reinterpret_cast<pair_grad *>(dv + hd);
    pair_grad g = {0, 0};
    if (i < end) g = pair_of(a, i, h, key, value, scale);
    pairs[lane] = g;
    __syncwarp();
    for (int t = 0; t < WARP && first + t < end; t++) {
        const T *query = a.qkv + size_t(a.rows[first + t]) * a.s.width() + size_t(h) * hd;
        const T *dout = a.dout + (size_t(blockIdx.z) * a.n + first + t) * a.s.q_width() + size_t(h) * hd;
        for (int d = lane; d < hd; d += WARP) {
            dk[d] += pairs[t].ds * to_float(query[d]);
            dv[d] += pairs[t].p * to_float(dout[d]);
        }
    }
    __syncwarp();
}

template <typename T> __global__ void key_grad_plain(back_args<T> a, float scale) {
    SHARED(float, room);
    int warp = static_cast<int>(threadIdx.x) / WARP, lane = static_cast<int>(threadIdx.x) % WARP;
    int hd = a.s.hd, kv = static_cast<int>(blockIdx.y);
    int j = static_cast<int>(blockIdx.x) * BACK_WARPS + warp;
    if (j >= a.n) return;
    float *mine = room + size_t(warp) * (4 * hd + 2 * WARP), *dk = mine + 2 * hd, *dv = dk + hd;
    const T *key = a.qkv + size_t(a.rows[j]) * a.s.width();
    warp_read(mine, key + a.s.key(kv), hd, lane);
    warp_read(mine + hd, key + a.s.value(kv), hd, lane);
    warp_zero(dk, 2 * hd, lane);
    int from = a.local ? j : 0, end = a.local ? j + 1 : a.n;
    for (int h = kv * a.s.group(); h < (kv + 1) * a.s.group(); h++) {
        for (int first = from; first < end; first += WARP) take_queries(a, first, end, h, mine, scale, lane);
    }
    T *out = a.dqkv + (size_t(blockIdx.z) * a.n + j) * a.s.width();
    for (int d = lane; d < hd; d += WARP) {
        out[a.s.key(kv) + d] = from_float<T>(dk[d]);
        out[a.s.value(kv) + d] = from_float<T>(dv[d]);
    }
}

static dim3 grid_of(const k_attn_back *a, int heads_across) {
    return dim3(static_cast<unsigned>((a->n + BACK_WARPS - 1) / BACK_WARPS),
                static_cast<unsigned>(heads_across), static_cast<unsigned>(a->seeds));
}

static float scale_of(const k_attn_back *a) {
    return 1.0f / sqrtf(static_cast<float>(a->hd));
}

template <typename T> void attention_back_keys_plain(queue *q, const k_attn_back *a) {
    size_t shared = sizeof(float) * BACK_WARPS * (4 * static_cast<size_t>(a->hd) + 2 * WARP);
    if (!queue_allow_shared(q, reinterpret_cast<const void *>(&key_grad_plain<T>), shared)) return;
    LAUNCH((key_grad_plain<T>), grid_of(a, a->KV), BACK_WARPS * WARP, shared, queue_stream(q), back_of<T>(a),
           scale_of(a));
}

template <typename T> void attention_back_plain(queue *q, const k_attn_back *a) {
    size_t shared = sizeof(float) * BACK_WARPS * (3 * static_cast<size_t>(a->hd) + WARP);
    if (!queue_allow_shared(q, reinterpret_cast<const void *>(&query_grad_plain<T>), shared)) return;
    LAUNCH((query_grad_plain<T>), grid_of(a, a->H), BACK_WARPS * WARP, shared, queue_stream(q), back_of<T>(a),
           scale_of(a));
    attention_back_keys_plain<T>(q, a);
}

template void attention_back_plain<float>(queue *q, const k_attn_back *a);
template void attention_back_plain<bf16>(queue *q, const k_attn_back *a);
template void attention_back_keys_plain<bf16>(queue *q, const k_attn_back *a);
