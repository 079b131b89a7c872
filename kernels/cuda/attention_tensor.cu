// attention_tensor.cu - attention forward on tensor cores: bf16, head sizes 64 and 128.
//
// A block takes 64 queries of one head, a warp 16 of them, and walks over tiles of 64 keys; the next tile is
// copied while this one is worked on. Scores and output stay in registers in the accumulators' layout, in
// which a row's numbers are shared by four neighbouring lanes, so a row's maximum and sum take two exchanges;
// the scores' layout is also that of an A operand, so probabilities go into the second product as they are.
// Shared memory: queries and two tiles of keys and of values, 5·64 rows: 80 KiB at head size 128, 40 KiB
// at 64.
#include "kernels/cuda/attention.cuh"
#include "kernels/cuda/tiles.cuh"

#include <math.h>

enum { QUERIES = 64, KEYS = 64, FORWARD_THREADS = 128, KEY_BLOCKS = KEYS / 8 };

// What a warp carries along for its 16 rows; each thread holds rows g and g+8.
template <int HD> struct rows16 {
    float o[HD / 8][4];
    float max[2], sum[2];
};

// scores = queries of this warp times the keys of a tile.
template <int HD>
__device__ __forceinline__ void score_tile(float (&s)[KEY_BLOCKS][4], const uint32_t (&q)[HD / 16][4],
                                           bf16 *keys) {
    clear(s);
#pragma unroll
    for (int step = 0; step < HD / 16; step++) {
#pragma unroll
        for (int pair = 0; pair < KEY_BLOCKS / 2; pair++) {
            uint32_t b[4];
            fragment_rows<HD>(b, keys, pair * 16, step);
            mma_pair(s[2 * pair], s[2 * pair + 1], q[step], b);
        }
    }
}

// Keys from `left` on are none.
__device__ __forceinline__ void mask_tail(float (&s)[KEY_BLOCKS][4], int left) {
    int t = static_cast<int>(threadIdx.x) % 4;
#pragma unroll
    for (int b = 0; b < KEY_BLOCKS; b++) {
        int column = b * 8 + 2 * t;
        if (column >= left) s[b][0] = s[b][2] = -INFINITY;
        if (column + 1 >= left) s[b][1] = s[b][3] = -INFINITY;
    }
}

// Scores become weights 2^(scale·(s - max)); the output so far is scaled to the new maximum.
template <int HD>
__device__ __forceinline__ void soften(rows16<HD> &r, float (&s)[KEY_BLOCKS][4], float scale) {
#pragma unroll
    for (int half = 0; half < 2; half++) {
        float max = r.max[half], sum = 0;
#pragma unroll
        for (int b = 0; b < KEY_BLOCKS; b++) max = fmaxf(max, fmaxf(s[b][2 * half], s[b][2 * half + 1]));
        max = fmaxf(max, __shfl_xor_sync(0xffffffffu, max, 1));
        max = fmaxf(max, __shfl_xor_sync(0xffffffffu, max, 2));
        float keep = exp2f(scale * (r.max[half] - max));
#pragma unroll
        for (int b = 0; b < KEY_BLOCKS; b++) {
            s[b][2 * half] = exp2f(scale * (s[b][2 * half] - max));
            s[b][2 * half + 1] = exp2f(scale * (s[b][2 * half + 1] - max));
            sum += s[b][2 * half] + s[b][2 * half + 1];
        }
        r.sum[half] = r.sum[half] * keep + sum; // of this lane's columns; lanes are summed at the end
        r.max[half] = max;
#pragma unroll
        for (int b = 0; b < HD / 8; b++) r.o[b][2 * half] *= keep, r.o[b][2 * half + 1] *= keep;
    }
}

// o += weights times the values of a tile.
template <int HD>
__device__ __forceinline__ void add_values(rows16<HD> &r, const float (&s)[KEY_BLOCKS][4], bf16 *values) {
#pragma unroll
    for (int step = 0; step < KEYS / 16; step++) {
        uint32_t p[4];
        accumulators_as_a(p, s[2 * step], s[2 * step + 1]);
#pragma unroll
        for (int pair = 0; pair < HD / 16; pair++) {
            uint32_t b[4];
            fragment_cols<HD>(b, values, step * 16, pair);
            mma_pair(r.o[2 * pair], r.o[2 * pair + 1], p, b);
        }
    }
}

template <int HD>
__device__ __forceinline__ void write_rows(const forward_args<bf16> &a, const k_span &span, int first, int h,
                                           rows16<HD> &r, float scale) {
    int lane = static_cast<int>(threadIdx.x) % WARP, g = lane / 4, t = lane % 4;
#pragma unroll
    for (int half = 0; half < 2; half++) {
        float sum = r.sum[half];
        sum += __shfl_xor_sync(0xffffffffu, sum, 1);
        sum += __shfl_xor_sync(0xffffffffu, sum, 2);
        int i = first + g + 8 * half;
        if (i >= span.n_q) continue;
        size_t row = size_t(span.q0 + i);
        uint32_t *o = reinterpret_cast<uint32_t *>(a.o + row * a.s.q_width() + size_t(h) * HD + 2 * t);
        float inverse = 1.0f / sum;
#pragma unroll
        for (int b = 0; b < HD / 8; b++)
            o[b * 4] = pack_bf16(r.o[b][2 * half] * inverse, r.o[b][2 * half + 1] * inverse);
        if (t == 0) a.lse[row * a.s.H + h] = scale * r.max[half] + logf(sum);
    }
}

// Keys and values [first, first+64) of the span on their way into one stage.
template <int HD>
__device__ __forceinline__ void fetch_keys(const forward_args<bf16> &a, const k_span &span, int first, int kv,
                                           bf16 *keys, bf16 *values) {
    int left = span.n_k - first;
    tile_load<HD, KEYS, FORWARD_THREADS>(keys, left,
                                         [&](int r) { return key_row(a, span, first + r) + a.s.key(kv); });
    tile_load<HD, KEYS, FORWARD_THREADS>(values, left,
                                         [&](int r) { return key_row(a, span, first + r) + a.s.value(kv); });
}

template <int HD>
__global__ void __launch_bounds__(FORWARD_THREADS) attend_tensor(forward_args<bf16> a, float scale) {
    SHARED(bf16, room);
    bf16 *queries = room, *stages = room + QUERIES * HD;
    int warp = static_cast<int>(threadIdx.x) / WARP, h = static_cast<int>(blockIdx.y), kv = h / a.s.group();
    int first = static_cast<int>(blockIdx.x) * QUERIES;
    k_span span = a.spans[blockIdx.z];
    if (first >= span.n_q) return;
    tile_load<HD, QUERIES, FORWARD_THREADS>(queries, span.n_q - first, [&](int r) {
        return a.qkv + size_t(span.q0 + first + r) * a.s.width() + size_t(h) * HD;
    });
    fetch_keys<HD>(a, span, 0, kv, stages, stages + KEYS * HD);
    cp_async_commit();
    uint32_t q[HD / 16][4];
    rows16<HD> r;
    clear(r.o);
    r.max[0] = r.max[1] = -INFINITY;
    r.sum[0] = r.sum[1] = 0;
    const float log2_scale = scale * 1.44269504088896341f;
    for (int from = 0, tile = 0; from < span.n_k; from += KEYS, tile++) {
        bf16 *now = stages + (tile & 1) * 2 * KEYS * HD, *next = stages + (~tile & 1) * 2 * KEYS * HD;
        if (from + KEYS < span.n_k) fetch_keys<HD>(a, span, from + KEYS, kv, next, next + KEYS * HD);
        cp_async_commit();
        cp_async_wait<1>();
        __syncthreads();
        if (tile == 0) {
#pragma unroll
            for (int step = 0; step < HD / 16; step++) fragment_a<HD>(q[step], queries, warp * 16, step);
        }
        float s[KEY_BLOCKS][4];
        score_tile<HD>(s, q, now);
        if (from + KEYS > span.n_k) mask_tail(s, span.n_k - from);
        soften<HD>(r, s, log2_scale);
        add_values<HD>(r, s, now + KEYS * HD);
        __syncthreads(); // everyone is done with `now` before it is filled again
    }
    write_rows<HD>(a, span, first + warp * 16, h, r, scale);
}

template <int HD> static void launch(queue *q, const k_attn *a) {
    size_t shared = sizeof(bf16) * HD * (QUERIES + 4 * KEYS);
    if (!queue_allow_shared(q, reinterpret_cast<const void *>(&attend_tensor<HD>), shared)) return;
    dim3 grid(static_cast<unsigned>((a->max_q + QUERIES - 1) / QUERIES), static_cast<unsigned>(a->H),
              static_cast<unsigned>(a->n_spans));
    LAUNCH((attend_tensor<HD>), grid, FORWARD_THREADS, shared, queue_stream(q), forward_of<bf16>(a),
           1.0f / sqrtf(static_cast<float>(HD)));
}

void attention_tensor(queue *q, const k_attn *a) {
    if (a->hd == 64) {
        launch<64>(q, a);
    } else {
        launch<128>(q, a);
    }
}
