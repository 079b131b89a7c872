// vector.cuh - N neighbours of a row in one load or store.
//
// Kernels over rows are written once, for packs of N elements. N is 4 where every row starts at a multiple of
// a pack, and 1 where a width or an address does not allow that.
#pragma once

#include "kernels/cuda/portable.cuh"

template <typename T, int N> struct alignas(sizeof(T) * N) pack { T v[N]; };

template <int N, typename T> __device__ __forceinline__ pack<float, N> load(const T *p) {
    pack<T, N> raw = *reinterpret_cast<const pack<T, N> *>(p);
    pack<float, N> x;
    for (int i = 0; i < N; i++) x.v[i] = to_float(raw.v[i]);
    return x;
}

template <int N, typename T> __device__ __forceinline__ void store(T *p, const pack<float, N> &x) {
    pack<T, N> raw;
    for (int i = 0; i < N; i++) raw.v[i] = from_float<T>(x.v[i]);
    *reinterpret_cast<pack<T, N> *>(p) = raw;
}

// Do packs of 4 fit rows of this width at these addresses? A NULL address always fits.
static inline bool packs_fit(size_t width, size_t element_bytes, const void *p) {
    return width % 4 == 0 && reinterpret_cast<uintptr_t>(p) % (4 * element_bytes) == 0;
}

// Threads of a block for one or more `items` that they share: whole warps, at most `most`.
static inline unsigned threads_for(size_t items, unsigned most) {
    size_t threads = (items + WARP - 1) / WARP * WARP;
    return threads < most ? static_cast<unsigned>(threads) : most;
}

// Blocks of `threads` that cover `items`.
static inline unsigned blocks_for(size_t items, unsigned threads) {
    return static_cast<unsigned>((items + threads - 1) / threads);
}
