// tiles.cuh - tiles of one head in shared memory, and their fragments for the tensor cores.
//
// A tile is ROWS rows of HD bf16. Its 16-byte chunks are swizzled: chunk c of row r lies at place c ^ (r %
// 8). ldmatrix reads one chunk of eight successive rows at a time, which then lie in eight different groups
// of four banks, whatever HD is; so do the chunks that a copy writes. No row is padded.
#pragma once

#include "kernels/cuda/tensor.cuh"

enum { CHUNK = 8 }; // bf16 in 16 bytes

template <int HD> __device__ __forceinline__ bf16 *tile_at(bf16 *tile, int row, int chunk) {
    return tile + row * HD + ((chunk ^ (row & 7)) * CHUNK);
}

// Starts copying rows [0, ROWS) of a tile; source(r) gives row r in device memory (any valid address when
// r >= valid; such rows become zeros). All THREADS threads take part.
template <int HD, int ROWS, int THREADS, typename Source>
__device__ __forceinline__ void tile_load(bf16 *tile, int valid, Source source) {
    for (int i = static_cast<int>(threadIdx.x); i < ROWS * (HD / CHUNK); i += THREADS) {
        int row = i / (HD / CHUNK), chunk = i % (HD / CHUNK);
        bool there = row < valid;
        cp_async_16(tile_at<HD>(tile, row, chunk), source(there ? row : 0) + chunk * CHUNK, there);
    }
}

// A operand: rows [row0, row0+16), elements [16·step, +16).
template <int HD>
__device__ __forceinline__ void fragment_a(uint32_t (&a)[4], bf16 *tile, int row0, int step) {
    int lane = static_cast<int>(threadIdx.x) % WARP, m = lane / 8;
    ldmatrix_x4(a, tile_at<HD>(tile, row0 + (m % 2) * 8 + lane % 8, step * 2 + m / 2));
}

// B operands of two neighbouring column blocks where a tile's rows are the columns: rows [row0, row0+16) as
// columns, elements [16·step, +16) as the summed index. b[0..1] is the first block, b[2..3] the second.
template <int HD>
__device__ __forceinline__ void fragment_rows(uint32_t (&b)[4], bf16 *tile, int row0, int step) {
    int lane = static_cast<int>(threadIdx.x) % WARP, m = lane / 8;
    ldmatrix_x4(b, tile_at<HD>(tile, row0 + (m / 2) * 8 + lane % 8, step * 2 + m % 2));
}

// B operands where a tile's rows are the summed index: rows [row0, row0+16), elements [16·pair, +16) as
// columns.
template <int HD>
__device__ __forceinline__ void fragment_cols(uint32_t (&b)[4], bf16 *tile, int row0, int pair) {
    int lane = static_cast<int>(threadIdx.x) % WARP, m = lane / 8;
    ldmatrix_x4_trans(b, tile_at<HD>(tile, row0 + (m % 2) * 8 + lane % 8, pair * 2 + m / 2));
}

// d0 and d1 += a times the two blocks of b.
__device__ __forceinline__ void mma_pair(float (&d0)[4], float (&d1)[4], const uint32_t (&a)[4],
                                         const uint32_t (&b)[4]) {
    const uint32_t first[2] = {b[0], b[1]}, second[2] = {b[2], b[3]};
    mma_bf16_16816(d0, a, first);
    mma_bf16_16816(d1, a, second);
}

// Accumulators of two neighbouring blocks of 8 columns as an A operand of 16 columns.
__device__ __forceinline__ void accumulators_as_a(uint32_t (&a)[4], const float (&left)[4],
                                                  const float (&right)[4]) {
    a[0] = pack_bf16(left[0], left[1]);
    a[1] = pack_bf16(left[2], left[3]);
    a[2] = pack_bf16(right[0], right[1]);
    a[3] = pack_bf16(right[2], right[3]);
}

template <int BLOCKS> __device__ __forceinline__ void clear(float (&c)[BLOCKS][4]) {
#pragma unroll
    for (int b = 0; b < BLOCKS; b++) c[b][0] = c[b][1] = c[b][2] = c[b][3] = 0;
}
