// attention.cuh - what the attention kernels share: where rows lie, and who computes what.
//
// A row of qkv is [H·hd queries][KV·hd keys][KV·hd values]. Tensor-core kernels serve bf16 and the head sizes
// that networks have; plain kernels serve everything else, and float mode, where they are the reference.
#pragma once

#include "kernels/cuda/queue.cuh"

// Sizes of a row, and where head h and its key head lie in it.
struct heads {
    int H, KV, hd;
    __host__ __device__ int group() const {
        return H / KV;
    }
    __host__ __device__ size_t q_width() const {
        return size_t(H) * hd;
    }
    __host__ __device__ size_t width() const {
        return size_t(H + 2 * KV) * hd;
    }
    __host__ __device__ size_t key(int kv) const {
        return q_width() + size_t(kv) * hd;
    }
    __host__ __device__ size_t value(int kv) const {
        return q_width() + size_t(KV + kv) * hd;
    }
};

template <typename T> struct forward_args {
    heads s;
    const T *qkv, *keys;
    const int *overlay;
    const k_span *spans;
    T *o;
    float *lse;
};

template <typename T> struct back_args {
    heads s;
    int n, k0, n_k, seeds, local; // eight ints with s: no padding
    const int *rows;
    const T *qkv, *o, *dout;
    const float *lse;
    T *dqkv;
};

// The row that holds key j of a span.
template <typename T>
__device__ __forceinline__ const T *key_row(const forward_args<T> &a, const k_span &span, int j) {
    int over = a.overlay && span.over >= 0 ? a.overlay[span.over + j] : -1;
    return over >= 0 ? a.qkv + size_t(over) * a.s.width() : a.keys + size_t(span.k0 + j) * a.s.width();
}

template <typename T> static inline forward_args<T> forward_of(const k_attn *a) {
    return {{a->H, a->KV, a->hd},
            reinterpret_cast<const T *>(a->qkv),
            reinterpret_cast<const T *>(a->keys),
            a->overlay,
            a->spans,
            reinterpret_cast<T *>(a->o),
            a->lse};
}

template <typename T> static inline back_args<T> back_of(const k_attn_back *a) {
    return {{a->H, a->KV, a->hd},
            a->n,
            a->k0,
            a->n_k,
            a->seeds,
            a->local,
            a->rows,
            reinterpret_cast<const T *>(a->qkv),
            reinterpret_cast<const T *>(a->o),
            reinterpret_cast<const T *>(a->do_),
            a->lse,
            reinterpret_cast<T *>(a->dqkv)};
}

// One file each.
template <typename T> void attention_plain(queue *q, const k_attn *a);
template <typename T> void attention_back_plain(queue *q, const k_attn_back *a);
// Gradients of keys and values alone, in plain code.
template <typename T> void attention_back_keys_plain(queue *q, const k_attn_back *a);
void attention_tensor(queue *q, const k_attn *a);
void attention_back_tensor(queue *q, const k_attn_back *a);

static inline bool tensor_head(int hd) {
    return hd == 64 || hd == 128;
}
