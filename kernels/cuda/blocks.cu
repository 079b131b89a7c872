// blocks.cu - see blocks.cuh. A thread widens one element: the formulas of docs/formats.md, by index.
//
// The forward takes tiles of whole rows. The backward takes tiles of columns over all rows, so that every
// product sums over all it has to and nothing is added up in narrow activations.
#include "kernels/cuda/blocks.cuh"
#include "kernels/blocks.h"
#include "kernels/cuda/gemm.cuh"
#include "kernels/cuda/queue_impl.cuh"
#include "kernels/cuda/vector.cuh"

enum { WIDEN_THREADS = 256 };

typedef unsigned char byte;

// ---- one element ----

__device__ __forceinline__ float half_at(const byte *p) {
    uint32_t h = p[0] | static_cast<uint32_t>(p[1]) << 8, sign = (h & 0x8000u) << 16, rest = h & 0x7fffu;
    if (rest >= 0x7c00u) return __uint_as_float(sign | 0x7f800000u | (rest & 0x3ffu) << 13);
    float magnitude = __uint_as_float(rest << 13) * __uint_as_float(0x77800000u); // 2^112
    return sign ? -magnitude : magnitude;
}

__device__ __forceinline__ int nibble(const byte *q, int i) {
    return q[i % 16] >> (i / 16 * 4) & 15;
}

__device__ __forceinline__ int fifth_bit(const byte *high, int i) {
    return high[i / 8] >> (i % 8) & 1;
}

// Scale and minimum of sub-block j of Q4_K and Q5_K.
__device__ __forceinline__ float2 scale_k(const byte *b, int j) {
    const byte *sc = b + 4;
    int s = j < 4 ? sc[j] & 63 : (sc[j + 4] & 15) | (sc[j - 4] >> 6) << 4;
    int m = j < 4 ? sc[j + 4] & 63 : (sc[j + 4] >> 4) | (sc[j] >> 6) << 4;
    return make_float2(half_at(b) * static_cast<float>(s), half_at(b + 2) * static_cast<float>(m));
}

__device__ __forceinline__ float value_32(int type, const byte *b, int i) {
    float d = half_at(b);
    switch (type) {
    case K_Q8_0:
        return d * static_cast<float>(static_cast<signed char>(b[2 + i]));
    case K_Q4_0:
        return d * static_cast<float>(nibble(b + 2, i) - 8);
    case K_Q4_1:
        return d * static_cast<float>(nibble(b + 4, i)) + half_at(b + 2);
    case K_Q5_0:
        return d * static_cast<float>((nibble(b + 6, i) | fifth_bit(b + 2, i) << 4) - 16);
    default: // K_Q5_1
        return d * static_cast<float>(nibble(b + 8, i) | fifth_bit(b + 4, i) << 4) + half_at(b + 2);
    }
}

__device__ __forceinline__ int two_bits(const byte *q, int i) {
    return q[32 * (i / 128) + i % 32] >> (i % 128 / 32 * 2) & 3;
}

__device__ __forceinline__ float value_q3_k(const byte *b, int i) {
    int j = i / 16, low = j < 8 ? b[96 + j] & 15 : b[96 + j - 8] >> 4,
        high = b[104 + j % 4] >> (2 * (j / 4)) & 3;
    int less = b[i % 32] >> (i / 32) & 1 ? 0 : 4;
    return half_at(b + 108) * static_cast<float>((low | high << 4) - 32) *
           static_cast<float>(two_bits(b + 32, i) - less);
}

__device__ __forceinline__ float value_q6_k(const byte *b, int i) {
    int u = i / 128, g = i % 128 / 32, l = i % 32;
    int low = b[64 * u + 32 * (g % 2) + l] >> (g / 2 * 4) & 15, high = b[128 + 32 * u + l] >> (2 * g) & 3;
    return half_at(b + 208) * static_cast<float>(static_cast<signed char>(b[192 + i / 16])) *
           static_cast<float>((low | high << 4) - 32);
}

__device__ __forceinline__ float value_256(int type, const byte *b, int i) {
    int j = i / 32;
    if (type == K_Q2_K) {
        int s = b[i / 16];
        return half_at(b + 80) * static_cast<float>(s & 15) * static_cast<float>(two_bits(b + 16, i)) -
               half_at(b + 82) * static_cast<float>(s >> 4);
    }
    if (type == K_Q3_K) return value_q3_k(b, i);
    if (type == K_Q6_K) return value_q6_k(b, i);
    float2 s = scale_k(b, j);
    const byte *q = b + (type == K_Q4_K ? 16 : 48) + 32 * (j / 2);
    int n = q[i % 32] >> (j % 2 * 4) & 15;
    if (type == K_Q5_K) n += (b[16 + i % 32] >> j & 1) * 16;
    return s.x * static_cast<float>(n) - s.y;
}

// Where and how a part lies on the device.
struct part_view {
    const void *at;
    int type, elements, bytes; // type: of blocks, or -1 for activations
};

template <typename T> __device__ __forceinline__ float value_of(part_view p, size_t row, int cols, int j) {
    if (p.type < 0) return to_float(static_cast<const T *>(p.at)[row * cols + j]);
    size_t blocks = static_cast<size_t>(cols / p.elements);
    const byte *b = static_cast<const byte *>(p.at) + (row * blocks + j / p.elements) * p.bytes;
    return p.elements == 32 ? value_32(p.type, b, j % 32) : value_256(p.type, b, j % 256);
}

static part_view view_of(const k_weight *w, int part) {
    k_dtype type = w->part[part].dtype;
    k_block_type b = k_block_of(type);
    return {w->blocks[part], k_is_block(type) ? static_cast<int>(type) : -1, b.elements, b.bytes};
}

// ---- tiles ----

// to[i][j] = part[row0 + i][col0 + j], i over blocks, j < count.
template <typename T>
__global__ void widen_kernel(T *to, part_view p, int row0, int cols, int col0, int count) {
    int j = static_cast<int>(blockIdx.y * blockDim.x + threadIdx.x);
    if (j >= count) return;
    size_t i = blockIdx.x;
    to[i * count + j] = from_float<T>(value_of<T>(p, static_cast<size_t>(row0) + i, cols, col0 + j));
}

static void widen(queue *q, void *to, const k_weight *w, int part, int row0, int rows, int col0, int count) {
    dim3 grid(static_cast<unsigned>(rows), blocks_for(static_cast<size_t>(count), WIDEN_THREADS));
    part_view p = view_of(w, part);
    if (q->shared->bf16) {
        LAUNCH((widen_kernel<bf16>), grid, WIDEN_THREADS, 0, q->stream, static_cast<bf16 *>(to), p, row0,
               w->cols, col0, count);
    } else {
        LAUNCH((widen_kernel<float>), grid, WIDEN_THREADS, 0, q->stream, static_cast<float *>(to), p, row0,
               w->cols, col0, count);
    }
    queue_check(q, "widen");
}

static size_t act_bytes(const queue *q) {
    return q->shared->bf16 ? 2 : 4;
}

static void *ahead(void *p, size_t elements, size_t bytes) {
    return static_cast<byte *>(p) + elements * bytes;
}

void blocks_widen(queue *q, void *to, const k_weight *w, int first, int count) {
    int from = 0;
    for (int part = 0; part < w->n_parts && count > 0; from += w->part[part++].rows) {
        int row = first - from, rows = w->part[part].rows - row;
        if (row < 0 || rows <= 0) continue;
        if (rows > count) rows = count;
        widen(q, to, w, part, row, rows, 0, w->cols);
        to = ahead(to, static_cast<size_t>(rows) * static_cast<size_t>(w->cols), act_bytes(q));
        first += rows, count -= rows;
    }
}

static bool reserve(queue *q) {
    if (!q->scratch) q->scratch = block_take(q, &q->blocks, SCRATCH_BYTES);
    return q->scratch;
}

void blocks_multiply(queue *q, void *c, bool wide, const k_act *x, int n, const k_weight *w, float alpha) {
    if (!reserve(q)) return;
    size_t fit = SCRATCH_BYTES / act_bytes(q) / static_cast<size_t>(w->cols);
    int most = fit < 1 ? 1 : fit < 65536 ? static_cast<int>(fit) : 65536;
    for (int first = 0; first < w->rows && queue_ready(q); first += most) {
        int count = w->rows - first < most ? w->rows - first : most;
        blocks_widen(q, q->scratch, w, first, count);
        void *to = ahead(c, static_cast<size_t>(first), wide ? 4 : act_bytes(q));
        product p = {n, count, w->cols, true, wide, alpha, 0, q->scratch, x, to, w->rows};
        queue_multiply(q, &p, "linear");
    }
}

void blocks_multiply_back(queue *q, k_act *dx, const k_act *dy, int n, const k_weight *w) {
    if (!reserve(q)) return;
    size_t fit = SCRATCH_BYTES / act_bytes(q) / static_cast<size_t>(w->rows);
    int most = fit < 1 ? 1 : fit < 65536 ? static_cast<int>(fit) : 65536;
    for (int col = 0; col < w->cols && queue_ready(q); col += most) {
        int count = w->cols - col < most ? w->cols - col : most;
        void *to = q->scratch;
        for (int part = 0; part < w->n_parts; part++) {
            int rows = w->part[part].rows;
            widen(q, to, w, part, 0, rows, col, count);
            to = ahead(to, static_cast<size_t>(rows) * static_cast<size_t>(count), act_bytes(q));
        }
        void *at = ahead(dx, static_cast<size_t>(col), act_bytes(q));
        product p = {n, count, w->rows, false, false, 1, 0, q->scratch, dy, at, w->cols};
        queue_multiply(q, &p, "linear_back");
    }
}

// ---- embedding rows ----

template <typename T>
__global__ void blocks_embed_kernel(float *x, const int32_t *ids, part_view p, int d, float scale) {
    size_t row = static_cast<size_t>(ids[blockIdx.x]);
    float *to = x + size_t(blockIdx.x) * d;
    for (int j = static_cast<int>(threadIdx.x); j < d; j += static_cast<int>(blockDim.x))
        to[j] = scale * value_of<T>(p, row, d, j);
}

// An embedding is one matrix.
void blocks_embed(queue *q, float *x, const int32_t *ids, int n, const k_weight *w, float scale) {
    part_view p = view_of(w, 0);
    if (q->shared->bf16) {
        LAUNCH((blocks_embed_kernel<bf16>), static_cast<unsigned>(n), WIDEN_THREADS, 0, q->stream, x, ids, p,
               w->cols, scale);
    } else {
        LAUNCH((blocks_embed_kernel<float>), static_cast<unsigned>(n), WIDEN_THREADS, 0, q->stream, x, ids, p,
               w->cols, scale);
    }
}
