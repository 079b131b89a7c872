// rope.cu - rotary positions in place: a thread rotates N pairs (i, i+hd/2), or one pair (2i, 2i+1), of one
// head of one row.
#include "kernels/cuda/operations.cuh"
#include "kernels/cuda/queue.cuh"
#include "kernels/cuda/vector.cuh"

enum { ROPE_THREADS = 256 };

// Items of a row are its heads' groups of N pairs, heads outermost.
template <typename T, int N>
__global__ void rope_kernel(T *x, int ld, const int *pos, int heads, int hd, const float *table, float sign) {
    int pairs = hd / 2, groups = pairs / N;
    int item = static_cast<int>(blockIdx.y * blockDim.x + threadIdx.x);
    if (item >= heads * groups) return;
    int head = item / groups, i = item % groups * N;
    T *at = x + size_t(blockIdx.x) * ld + size_t(head) * hd + i;
    const float *angle = table + size_t(pos[blockIdx.x]) * hd + i;
    pack<float, N> u = load<N>(at), v = load<N>(at + pairs), c = load<N>(angle), s = load<N>(angle + pairs);
    pack<float, N> a, b;
    for (int e = 0; e < N; e++) {
        float sine = sign * s.v[e];
        a.v[e] = u.v[e] * c.v[e] - v.v[e] * sine;
        b.v[e] = u.v[e] * sine + v.v[e] * c.v[e];
    }
    store<N>(at, a);
    store<N>(at + pairs, b);
}

template <typename T>
__global__ void rope_pairs_kernel(T *x, int ld, const int *pos, int heads, int hd, const float *table,
                                  float sign) {
    int pairs = hd / 2, item = static_cast<int>(blockIdx.y * blockDim.x + threadIdx.x);
    if (item >= heads * pairs) return;
    int i = item % pairs;
    T *at = x + size_t(blockIdx.x) * ld + size_t(item / pairs) * hd + 2 * i;
    const float *angle = table + size_t(pos[blockIdx.x]) * hd + i;
    float u = to_float(at[0]), v = to_float(at[1]), c = angle[0], s = sign * angle[pairs];
    at[0] = from_float<T>(u * c - v * s);
    at[1] = from_float<T>(u * s + v * c);
}

template <typename T>
static void rope_of(queue *q, k_act *x, int ld, const int *pos, int n, int heads, int hd, const float *table,
                    unsigned how) {
    T *at = reinterpret_cast<T *>(x);
    float sign = how & K_ROPE_INVERSE ? -1.0f : 1.0f;
    bool neighbours = how & K_ROPE_PAIRS;
    size_t pairs = static_cast<size_t>(hd / 2), items = static_cast<size_t>(heads) * pairs;
    bool packs = !neighbours && packs_fit(pairs, sizeof(T), x) && packs_fit(pairs, 4, table) && ld % 4 == 0;
    if (packs) items /= 4;
    unsigned threads = threads_for(items, ROPE_THREADS);
    dim3 grid(static_cast<unsigned>(n), blocks_for(items, threads));
    if (neighbours) {
        LAUNCH((rope_pairs_kernel<T>), grid, threads, 0, queue_stream(q), at, ld, pos, heads, hd, table,
               sign);
    } else if (packs) {
        LAUNCH((rope_kernel<T, 4>), grid, threads, 0, queue_stream(q), at, ld, pos, heads, hd, table, sign);
    } else {
        LAUNCH((rope_kernel<T, 1>), grid, threads, 0, queue_stream(q), at, ld, pos, heads, hd, table, sign);
    }
}

void cuda_rope(kernels *k, k_act *x, int ld, const int *pos, int n, int heads, int hd, const float *table,
               unsigned how) {
    queue *q = queue_of(k);
    if (n <= 0 || heads <= 0 || hd < 2 || !queue_ready(q)) return;
    if (queue_bf16(q)) {
        rope_of<bf16>(q, x, ld, pos, n, heads, hd, table, how);
    } else {
        rope_of<float>(q, x, ld, pos, n, heads, hd, table, how);
    }
    queue_check(q, "rope");
}
