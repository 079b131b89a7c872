// attention_back_tensor.cu - attention backward on tensor cores: bf16, head sizes 64 and 128. The derivation
// is in attention_back_plain.cu.
//
// dq: a block takes 64 rows of A as queries of one head and walks over tiles of 32 keys.
// dk, dv: a block takes 64 rows of A as keys of one key head and walks over tiles of 32 rows of A as queries,
// head after head of its group, with scores transposed: keys down, queries across. P and dS are then A
// operands of the sums over queries as they stand. Tiles that are walked over are copied one ahead. Shared
// memory at head size 128: 2·64 + 4·32 rows, 64 KiB, and log-sum-exps and do·o of the queries.
#include "kernels/cuda/attention.cuh"
#include "kernels/cuda/tiles.cuh"
#include "kernels/cuda/vector.cuh"

#include <math.h>

enum { BIG = 64, SMALL = 32, BACK_THREADS = 128, SMALL_BLOCKS = SMALL / 8, PACK = 4 };

typedef back_args<bf16> args;

// Two tiles one after the other: keys and values, or queries and their gradients.
template <int HD, int ROWS> struct two_tiles {
    bf16 *first;
    __device__ __forceinline__ bf16 *second() const {
        return first + ROWS * HD;
    }
};

template <int HD> struct rooms {
    two_tiles<HD, BIG> fixed;
    bf16 *stages;
    float *lse, *delta; // [BIG]
    __device__ __forceinline__ two_tiles<HD, SMALL> stage(int i) const {
        return {stages + i * 2 * SMALL * HD};
    }
};

template <int HD> __device__ __forceinline__ rooms<HD> rooms_of(bf16 *at) {
    rooms<HD> r;
    r.fixed.first = at;
    r.stages = at + 2 * BIG * HD;
    r.lse = reinterpret_cast<float *>(r.stages + 4 * SMALL * HD);
    r.delta = r.lse + BIG;
    return r;
}

template <int HD> static size_t rooms_bytes() {
    return sizeof(bf16) * HD * (2 * BIG + 4 * SMALL) + sizeof(float) * 2 * BIG;
}

// do of row i of A for this block's seed.
template <int HD> __device__ __forceinline__ const bf16 *dout_row(const args &a, int i, int h) {
    return a.dout + (size_t(blockIdx.z) * a.n + i) * a.s.q_width() + size_t(h) * HD;
}
template <int HD> __device__ __forceinline__ const bf16 *query_row(const args &a, int i, int h) {
    return a.qkv + size_t(a.rows[i]) * a.s.width() + size_t(h) * HD;
}

// lse and do·o of `count` rows of A from `first` on. The threads of a row are neighbours and take turns at
// its packs, so that a warp reads whole sectors. Rows past the end get 0.
template <int HD>
__device__ __forceinline__ void row_numbers(const args &a, int first, int count, int h, float *lse,
                                            float *delta) {
    const int per_row = BACK_THREADS / count, turns = HD / PACK / per_row;
    int row = static_cast<int>(threadIdx.x) / per_row, part = static_cast<int>(threadIdx.x) % per_row;
    int i = first + row;
    float sum = 0;
    if (i < a.n) {
        const bf16 *o = a.o + size_t(a.rows[i]) * a.s.q_width() + size_t(h) * HD;
        const bf16 *dout = dout_row<HD>(a, i, h);
#pragma unroll 4
        for (int turn = 0; turn < turns; turn++) {
            int at = (turn * per_row + part) * PACK;
            pack<float, PACK> x = load<PACK>(o + at), y = load<PACK>(dout + at);
            for (int d = 0; d < PACK; d++) sum += x.v[d] * y.v[d];
        }
    }
    for (int step = per_row / 2; step > 0; step /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, step);
    if (part == 0) {
        lse[row] = i < a.n ? a.lse[size_t(a.rows[i]) * a.s.H + h] : 0;
        delta[row] = sum;
    }
}

// Two products of this warp's 16 rows of `left` with the 32 rows of `right`, over the head size.
template <int HD>
__device__ __forceinline__ void two_products(float (&s)[SMALL_BLOCKS][4], float (&dp)[SMALL_BLOCKS][4],
                                             two_tiles<HD, BIG> left, two_tiles<HD, SMALL> right, int row0) {
    clear(s);
    clear(dp);
#pragma unroll
    for (int step = 0; step < HD / 16; step++) {
        uint32_t x[4], y[4], b[4];
        fragment_a<HD>(x, left.first, row0, step);
        fragment_a<HD>(y, left.second(), row0, step);
#pragma unroll
        for (int pair = 0; pair < SMALL_BLOCKS / 2; pair++) {
            fragment_rows<HD>(b, right.first, pair * 16, step);
            mma_pair(s[2 * pair], s[2 * pair + 1], x, b);
            fragment_rows<HD>(b, right.second(), pair * 16, step);
            mma_pair(dp[2 * pair], dp[2 * pair + 1], y, b);
        }
    }
}

// acc += w (16 x 32, accumulator layout) times the 32 rows of a tile.
template <int HD>
__device__ __forceinline__ void add_rows(float (&acc)[HD / 8][4], const float (&w)[SMALL_BLOCKS][4],
                                         bf16 *tile) {
#pragma unroll
    for (int step = 0; step < SMALL / 16; step++) {
        uint32_t x[4], b[4];
        accumulators_as_a(x, w[2 * step], w[2 * step + 1]);
#pragma unroll
        for (int pair = 0; pair < HD / 16; pair++) {
            fragment_cols<HD>(b, tile, step * 16, pair);
            mma_pair(acc[2 * pair], acc[2 * pair + 1], x, b);
        }
    }
}

// This warp's 16 rows from `first` on, of which those below `end` exist, at `column` of dqkv.
template <int HD>
__device__ __forceinline__ void write_grads(const args &a, const float (&acc)[HD / 8][4], int first,
                                            size_t column) {
    int lane = static_cast<int>(threadIdx.x) % WARP, g = lane / 4, t = lane % 4;
#pragma unroll
    for (int half = 0; half < 2; half++) {
        int i = first + g + 8 * half;
        if (i >= a.n) continue;
        bf16 *row = a.dqkv + (size_t(blockIdx.z) * a.n + i) * a.s.width() + column + 2 * t;
#pragma unroll
        for (int b = 0; b < HD / 8; b++)
            reinterpret_cast<uint32_t *>(row)[b * 4] = pack_bf16(acc[b][2 * half], acc[b][2 * half + 1]);
    }
}

// ---- dq ----

template <int HD>
__device__ __forceinline__ void fetch_keys(const args &a, int first, int kv, two_tiles<HD, SMALL> to) {
    int left = a.n_k - first;
    tile_load<HD, SMALL, BACK_THREADS>(
        to.first, left, [&](int r) { return a.qkv + size_t(a.k0 + first + r) * a.s.width() + a.s.key(kv); });
    tile_load<HD, SMALL, BACK_THREADS>(to.second(), left, [&](int r) {
        return a.qkv + size_t(a.k0 + first + r) * a.s.width() + a.s.value(kv);
    });
}

// s: scores become dS; dp: do·v. Columns are keys, of which `left` exist; rows are queries.
__device__ __forceinline__ void query_ds(float (&s)[SMALL_BLOCKS][4], const float (&dp)[SMALL_BLOCKS][4],
                                         const float *lse, const float *delta, int row0, int left,
                                         float scale) {
    int lane = static_cast<int>(threadIdx.x) % WARP, g = lane / 4, t = lane % 4;
#pragma unroll
    for (int b = 0; b < SMALL_BLOCKS; b++) {
#pragma unroll
        for (int c = 0; c < 4; c++) {
            int row = row0 + g + 8 * (c / 2), column = b * 8 + 2 * t + c % 2;
            float p = column < left ? expf(scale * s[b][c] - lse[row]) : 0;
            s[b][c] = p * (dp[b][c] - delta[row]) * scale;
        }
    }
}

template <int HD> __global__ void __launch_bounds__(BACK_THREADS) query_grad_tensor(args a, float scale) {
    SHARED(bf16, room);
    rooms<HD> r = rooms_of<HD>(room);
    int warp = static_cast<int>(threadIdx.x) / WARP, h = static_cast<int>(blockIdx.y), kv = h / a.s.group();
    int first = static_cast<int>(blockIdx.x) * BIG;
    tile_load<HD, BIG, BACK_THREADS>(r.fixed.first, a.n - first,
                                     [&](int i) { return query_row<HD>(a, first + i, h); });
    tile_load<HD, BIG, BACK_THREADS>(r.fixed.second(), a.n - first,
                                     [&](int i) { return dout_row<HD>(a, first + i, h); });
    fetch_keys<HD>(a, 0, kv, r.stage(0));
    cp_async_commit();
    row_numbers<HD>(a, first, BIG, h, r.lse, r.delta);
    float dq[HD / 8][4];
    clear(dq);
    for (int from = 0, tile = 0; from < a.n_k; from += SMALL, tile++) {
        int now = tile & 1;
        if (from + SMALL < a.n_k) fetch_keys<HD>(a, from + SMALL, kv, r.stage(now ^ 1));
        cp_async_commit();
        cp_async_wait<1>();
        __syncthreads();
        float s[SMALL_BLOCKS][4], dp[SMALL_BLOCKS][4];
        two_products<HD>(s, dp, r.fixed, r.stage(now), warp * 16);
        query_ds(s, dp, r.lse, r.delta, warp * 16, a.n_k - from, scale);
        add_rows<HD>(dq, s, r.stage(now).first);
        __syncthreads(); // everyone is done with this stage before it is filled again
    }
    write_grads<HD>(a, dq, first + warp * 16, size_t(h) * HD);
}

// ---- dk, dv ----

// Tile t of the walk: SMALL rows of A as queries, for one head of the group after another.
struct walk {
    int tiles, heads; // tiles per head
};

template <int HD>
__device__ __forceinline__ void fetch_queries(const args &a, const walk &w, int t, int h0,
                                              two_tiles<HD, SMALL> to) {
    int first = t % w.tiles * SMALL, h = h0 + t / w.tiles, left = a.n - first;
    tile_load<HD, SMALL, BACK_THREADS>(to.first, left, [&](int i) { return query_row<HD>(a, first + i, h); });
    tile_load<HD, SMALL, BACK_THREADS>(to.second(), left,
                                       [&](int i) { return dout_row<HD>(a, first + i, h); });
}

// s: scores become P; dp: do·v becomes dS. Columns are queries, of which `left` exist.
__device__ __forceinline__ void key_ds(float (&s)[SMALL_BLOCKS][4], float (&dp)[SMALL_BLOCKS][4],
                                       const float *lse, const float *delta, int left, float scale) {
    int t = static_cast<int>(threadIdx.x) % 4;
#pragma unroll
    for (int b = 0; b < SMALL_BLOCKS; b++) {
#pragma unroll
        for (int c = 0; c < 4; c++) {
            int column = b * 8 + 2 * t + c % 2;
            float p = column < left ? expf(scale * s[b][c] - lse[column]) : 0;
            s[b][c] = p;
            dp[b][c] = p * (dp[b][c] - delta[column]) * scale;
        }
    }
}

template <int HD> __global__ void __launch_bounds__(BACK_THREADS) key_grad_tensor(args a, float scale) {
    SHARED(bf16, room);
    rooms<HD> r = rooms_of<HD>(room);
    int warp = static_cast<int>(threadIdx.x) / WARP, kv = static_cast<int>(blockIdx.y), h0 = kv * a.s.group();
    int first = static_cast<int>(blockIdx.x) * BIG;
    walk w = {(a.n + SMALL - 1) / SMALL, a.s.group()};
    tile_load<HD, BIG, BACK_THREADS>(r.fixed.first, a.n - first, [&](int j) {
        return a.qkv + size_t(a.rows[first + j]) * a.s.width() + a.s.key(kv);
    });
    tile_load<HD, BIG, BACK_THREADS>(r.fixed.second(), a.n - first, [&](int j) {
        return a.qkv + size_t(a.rows[first + j]) * a.s.width() + a.s.value(kv);
    });
    fetch_queries<HD>(a, w, 0, h0, r.stage(0));
    cp_async_commit();
    float dk[HD / 8][4], dv[HD / 8][4];
    clear(dk);
    clear(dv);
    for (int t = 0; t < w.tiles * w.heads; t++) {
        int now = t & 1, from = t % w.tiles * SMALL;
        if (t + 1 < w.tiles * w.heads) fetch_queries<HD>(a, w, t + 1, h0, r.stage(now ^ 1));
        cp_async_commit();
        row_numbers<HD>(a, from, SMALL, h0 + t / w.tiles, r.lse, r.delta);
        cp_async_wait<1>();
        __syncthreads();
        float s[SMALL_BLOCKS][4], dp[SMALL_BLOCKS][4];
        two_products<HD>(s, dp, r.fixed, r.stage(now), warp * 16);
        key_ds(s, dp, r.lse, r.delta, a.n - from, scale);
        add_rows<HD>(dv, s, r.stage(now).second());
        add_rows<HD>(dk, dp, r.stage(now).first);
        __syncthreads(); // everyone is done with this stage and the rows' numbers
    }
    write_grads<HD>(a, dk, first + warp * 16, a.s.key(kv));
    write_grads<HD>(a, dv, first + warp * 16, a.s.value(kv));
}

template <int HD> static void launch(queue *q, const k_attn_back *a) {
    size_t shared = rooms_bytes<HD>();
    float scale = 1.0f / sqrtf(static_cast<float>(HD));
    unsigned tiles = static_cast<unsigned>((a->n + BIG - 1) / BIG), seeds = static_cast<unsigned>(a->seeds);
    if (!queue_allow_shared(q, reinterpret_cast<const void *>(&query_grad_tensor<HD>), shared) ||
        !queue_allow_shared(q, reinterpret_cast<const void *>(&key_grad_tensor<HD>), shared))
        return;
    LAUNCH((query_grad_tensor<HD>), dim3(tiles, static_cast<unsigned>(a->H), seeds), BACK_THREADS, shared,
           queue_stream(q), back_of<bf16>(a), scale);
    if (a->local) {
        attention_back_keys_plain<bf16>(q, a);
        return;
    }
    LAUNCH((key_grad_tensor<HD>), dim3(tiles, static_cast<unsigned>(a->KV), seeds), BACK_THREADS, shared,
           queue_stream(q), back_of<bf16>(a), scale);
}

void attention_back_tensor(queue *q, const k_attn_back *a) {
    if (a->hd == 64) {
        launch<64>(q, a);
    } else {
        launch<128>(q, a);
    }
}
