// weights.cu - weights on the device: parts joined and converted to the activation type on the way, or, where
// one is in blocks, each on its own.
//
// A chunk goes from the checkpoint's mapping to pinned memory, from there to the device, and a kernel writes
// it converted to its place, while the host already copies the next chunk to the other pinned half.
#include "kernels/blocks.h"
#include "kernels/cuda/queue_impl.cuh"

#include <string.h>

// ---- conversion ----

// Bits of an IEEE half as a float: rebias the exponent, then let a float multiplication renormalise.
__device__ __forceinline__ float half_to_float(uint16_t h) {
    uint32_t sign = static_cast<uint32_t>(h & 0x8000u) << 16, rest = h & 0x7fffu;
    if (rest >= 0x7c00u) return __uint_as_float(sign | 0x7f800000u | (rest & 0x3ffu) << 13);
    float magnitude = __uint_as_float(rest << 13) * __uint_as_float(0x77800000u); // 2^112
    return sign ? -magnitude : magnitude;
}

template <int TYPE> __device__ __forceinline__ float widen(const void *from, size_t i) {
    if (TYPE == K_F32) return static_cast<const float *>(from)[i];
    uint16_t bits = static_cast<const uint16_t *>(from)[i];
    if (TYPE == K_F16) return half_to_float(bits);
    return __uint_as_float(static_cast<uint32_t>(bits) << 16);
}

template <typename T, int TYPE> __global__ void convert_kernel(T *to, const void *from, size_t n) {
    size_t i = size_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (i < n) to[i] = from_float<T>(widen<TYPE>(from, i));
}

template <typename T>
static void convert(queue *q, void *to, size_t first, const void *from, k_dtype type, size_t n) {
    T *at = static_cast<T *>(to) + first;
    unsigned grid = static_cast<unsigned>((n + 255) / 256);
    if (type == K_F32) LAUNCH((convert_kernel<T, K_F32>), grid, 256, 0, q->stream, at, from, n);
    if (type == K_F16) LAUNCH((convert_kernel<T, K_F16>), grid, 256, 0, q->stream, at, from, n);
    if (type == K_BF16) LAUNCH((convert_kernel<T, K_BF16>), grid, 256, 0, q->stream, at, from, n);
    queue_check(q, "load");
}

// ---- loading ----

static size_t dtype_bytes(k_dtype type) {
    return type == K_F32 ? 4 : 2;
}

// Elements [first, first+n) of `to` from pinned memory.
static void load_chunk(queue *q, void *to, size_t first, const unsigned char *host, k_dtype type, size_t n) {
    size_t bytes = n * dtype_bytes(type);
    if (type == (q->shared->bf16 ? K_BF16 : K_F32)) {
        unsigned char *at = static_cast<unsigned char *>(to) + first * dtype_bytes(type);
        cudaMemcpyAsync(at, host, bytes, cudaMemcpyHostToDevice, q->stream);
        queue_check(q, "load");
        return;
    }
    unsigned char *raw = staging_raw(q, host);
    if (!raw) return;
    cudaMemcpyAsync(raw, host, bytes, cudaMemcpyHostToDevice, q->stream);
    queue_check(q, "load");
    if (q->shared->bf16) {
        convert<bf16>(q, to, first, raw, type, n);
    } else {
        convert<float>(q, to, first, raw, type, n);
    }
}

static void load_part(queue *q, void *to, size_t first, const k_matrix *m) {
    size_t left = static_cast<size_t>(m->rows) * static_cast<size_t>(m->cols) * dtype_bytes(m->dtype);
    const unsigned char *from = static_cast<const unsigned char *>(m->data);
    while (left > 0 && queue_ready(q)) {
        size_t bytes;
        unsigned char *host = staging_take(q, left, &bytes);
        if (!host) return;
        size_t n = bytes / dtype_bytes(m->dtype);
        memcpy(host, from, bytes);
        load_chunk(q, to, first, host, m->dtype, n);
        first += n, from += bytes, left -= bytes;
    }
}

// Memory that lives as long as the card.
static void *weight_take(queue *q, size_t bytes) {
    std::lock_guard<std::mutex> hold(q->shared->lock);
    return block_take(q, &q->shared->weights, bytes);
}

// Other queues may use what was loaded as soon as this returns.
static bool load_wait(queue *q) {
    cudaError_t e = cudaStreamSynchronize(q->stream);
    if (e != cudaSuccess) queue_fail(q, e, "load");
    return queue_ready(q);
}

const float *cuda_load_floats(kernels *k, const float *host, int n) {
    queue *q = queue_of(k);
    if (!queue_ready(q)) return nullptr;
    size_t bytes = static_cast<size_t>(n) * sizeof *host;
    void *at = weight_take(q, bytes);
    if (!at) return nullptr;
    cuda_put(k, at, host, bytes);
    return load_wait(q) ? static_cast<float *>(at) : nullptr;
}

// Every part in memory of its own.
static bool load_blocks(queue *q, k_weight *w) {
    for (int i = 0; i < w->n_parts; i++) {
        const k_matrix *m = &w->part[i];
        size_t rows = static_cast<size_t>(m->rows), act = q->shared->bf16 ? 2 : 4;
        bool raw = k_is_block(m->dtype);
        size_t bytes = rows * (raw ? k_row_bytes(m->dtype, m->cols) : static_cast<size_t>(m->cols) * act);
        void *at = weight_take(q, bytes);
        if (!at) return false;
        if (raw) {
            cuda_put(&q->table, at, m->data, bytes);
        } else {
            load_part(q, at, 0, m);
        }
        w->blocks[i] = at;
    }
    return queue_ready(q);
}

static bool has_blocks(const k_weight *w) {
    for (int i = 0; i < w->n_parts; i++) {
        if (k_is_block(w->part[i].dtype)) return true;
    }
    return false;
}

// All parts joined, or NULL.
static void *load_joined(queue *q, const k_weight *w) {
    size_t cols = static_cast<size_t>(w->cols), rows = 0;
    void *at = weight_take(q, static_cast<size_t>(w->rows) * cols * (q->shared->bf16 ? 2 : 4));
    if (!at) return nullptr;
    for (int i = 0; i < w->n_parts; i++) {
        load_part(q, at, rows * cols, &w->part[i]);
        rows += static_cast<size_t>(w->part[i].rows);
    }
    return at;
}

/* What load made is freed with the last queue. */
void cuda_unload(kernels *, k_weight *) {
}

bool cuda_load(kernels *k, k_weight *w) {
    queue *q = queue_of(k);
    if (!queue_ready(q)) return false;
    bool apart = has_blocks(w);
    void *at = apart ? nullptr : load_joined(q, w);
    if (apart ? !load_blocks(q, w) : !at) return false;
    const float *bias = w->bias ? cuda_load_floats(k, w->bias, w->rows) : nullptr;
    if (!load_wait(q)) return false;
    w->device = at;
    w->bias = bias;
    return true;
}
