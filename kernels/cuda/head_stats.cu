// head_stats.cu - what a row of logits says, in two readings: one block per row.
//
// With m the maximum, S = Σ exp(z-m) and T = Σ (z-m)exp(z-m): lse = m + log S, H = log S - T/S. A thread adds
// a pack in float32 and packs in double.
//
// Highest logits. Every thread keeps only its best element of the first reading. The best of the row is the
// best of those; when it has been taken, only the thread it came from can have a better second one than what
// the others hold, so one warp reads that thread's elements again and goes on. Ids say whose they are.
#include "kernels/cuda/operations.cuh"
#include "kernels/cuda/queue.cuh"
#include "kernels/cuda/reduce.cuh"
#include "kernels/cuda/vector.cuh"

enum { STATS_THREADS = 512, STATS_THREADS_SMALL = 128, STATS_SMALL = 4096, NO_ID = 0x7fffffff };

struct entry {
    float z;
    int id;
};

__device__ __forceinline__ entry no_entry() {
    return {-INFINITY, NO_ID};
}

__device__ __forceinline__ bool before(entry a, entry b) {
    return a.z > b.z || (a.z == b.z && a.id < b.id);
}

__device__ __forceinline__ entry warp_first(entry e) {
    for (int step = WARP / 2; step > 0; step /= 2) {
        entry o = {__shfl_xor_sync(ALL_LANES, e.z, step), __shfl_xor_sync(ALL_LANES, e.id, step)};
        if (before(o, e)) e = o;
    }
    return e;
}

// A row in packs; thread t owns packs t, t + threads, ...
struct row {
    const float *z;
    int V, mask, threads;
};

// The first reading: a thread's best element. Sets *bad on NaN and +inf.
template <int N> __device__ __forceinline__ entry best_of(const row &r, int thread, bool *bad) {
    entry best = no_entry();
    for (int v = thread * N; v < r.V; v += r.threads * N) {
        pack<float, N> z = load<N>(r.z + v);
        for (int i = 0; i < N; i++) {
            if (v + i == r.mask) continue;
            if (!(z.v[i] < INFINITY)) *bad = true;
            if (z.v[i] > best.z) best = {z.v[i], v + i};
        }
    }
    return best;
}

// A warp finds the best of `owner`'s elements that come after `last`.
template <int N> __device__ __forceinline__ entry best_after(const row &r, int owner, entry last) {
    int lane = threadIdx.x % WARP;
    entry best = no_entry();
    for (size_t v = size_t(owner + lane * r.threads) * N; v < size_t(r.V);
         v += size_t(WARP) * r.threads * N) {
        pack<float, N> z = load<N>(r.z + v);
        for (int i = 0; i < N; i++) {
            entry e = {z.v[i], static_cast<int>(v) + i};
            if (e.id != r.mask && e.z > -INFINITY && before(last, e) && before(e, best)) best = e;
        }
    }
    return warp_first(best);
}

// The best entry among every WARP-th of a list from `lane` on.
__device__ __forceinline__ entry best_held(const entry *held, int n, int lane) {
    entry best = no_entry();
    for (int t = lane; t < n; t += WARP) {
        if (before(held[t], best)) best = held[t];
    }
    return best;
}

// One warp: the `count` highest in order to `top` (from lane 0, when not NULL); returns the second highest
// logit, -inf when there is none. `held` has every thread's best.
template <int N> __device__ float take_top(const row &r, entry *held, int count, k_top *top) {
    int lane = threadIdx.x % WARP;
    float second = -INFINITY;
    entry mine = best_held(held, r.threads, lane);
    for (int i = 0; i < count; i++) {
        entry e = warp_first(mine);
        bool some = e.id != NO_ID;
        if (i == 1) second = e.z;
        if (top && lane == 0) top->id[i] = some ? e.id : -1, top->z[i] = e.z;
        if (!some || i + 1 == count) continue;
        int owner = e.id / N % r.threads;
        entry next = best_after<N>(r, owner, e);
        if (lane == owner % WARP) {
            held[owner] = next;
            mine = best_held(held, r.threads, lane);
        }
    }
    return second;
}

// S and T over the elements of this thread. p is 0 for -inf, where x·p would be NaN.
template <int N> __device__ __forceinline__ sums<double> sums_of(const row &r, float m) {
    sums<double> total = {0, 0};
    for (int v = threadIdx.x * N; v < r.V; v += r.threads * N) {
        pack<float, N> z = load<N>(r.z + v);
        float s = 0, t = 0;
        for (int i = 0; i < N; i++) {
            float x = z.v[i] - m, p = v + i == r.mask ? 0.0f : expf(x);
            s += p;
            if (p > 0) t += x * p;
        }
        total.a += s;
        total.b += t;
    }
    return total;
}

__device__ __forceinline__ void write_bad(k_row_stats *s, k_top *top) {
    *s = {0, 0, 0, 0, 0, 1};
    if (!top) return;
    for (int i = 0; i < K_TOP; i++) top->id[i] = -1, top->z[i] = -INFINITY;
}

__device__ __forceinline__ void write_stats(k_row_stats *s, entry first, float second, sums<double> total) {
    double S = total.a, T = total.b, H = log(S) - T / S;
    s->lse = static_cast<double>(first.z) + log(S);
    s->entropy = H > 0 ? H : 0;
    s->confidence = 1 / S;
    s->margin = (1 - exp(static_cast<double>(second) - static_cast<double>(first.z))) / S;
    s->argmax = first.id;
    s->bad = 0;
}

// Shared memory: sums' room, every thread's best, every warp's best, every warp's bad.
static size_t stats_shared(unsigned threads) {
    return MOST_WARPS * sizeof(sums<double>) + (threads + MOST_WARPS) * sizeof(entry) +
           MOST_WARPS * sizeof(int);
}

template <int N>
__global__ void head_stats_kernel(k_row_stats *stats, k_top *tops, const float *logits, int V, int mask) {
    SHARED(sums<double>, room);
    int threads = static_cast<int>(blockDim.x), lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    entry *held = reinterpret_cast<entry *>(room + MOST_WARPS), *warps = held + threads;
    int *warp_bad = reinterpret_cast<int *>(warps + MOST_WARPS);
    row r = {logits + size_t(blockIdx.x) * V, V, mask, threads};
    k_top *top = tops ? tops + blockIdx.x : nullptr;

    bool bad = false;
    entry best = best_of<N>(r, static_cast<int>(threadIdx.x), &bad);
    held[threadIdx.x] = best;
    best = warp_first(best);
    int any = __any_sync(ALL_LANES, bad);
    if (lane == 0) warps[warp] = best, warp_bad[warp] = any;
    __syncthreads();
    entry first = warp_first(lane < threads / WARP ? warps[lane] : no_entry());
    any = __any_sync(ALL_LANES, lane < threads / WARP && warp_bad[lane]);
    if (any || first.id == NO_ID) {
        if (threadIdx.x == 0) write_bad(stats + blockIdx.x, top);
        return;
    }

    float second = -INFINITY;
    if (warp == 0) second = take_top<N>(r, held, top ? K_TOP : 2, top);
    sums_gather(sums_of<N>(r, first.z), room);
    if (threadIdx.x == 0) write_stats(stats + blockIdx.x, first, second, sums_over(room));
}

void cuda_head_stats(kernels *k, k_row_stats *stats, k_top *top, const float *logits, int n, int V,
                     int mask) {
    queue *q = queue_of(k);
    if (n <= 0 || V <= 0 || !queue_ready(q)) return;
    unsigned threads = V > STATS_SMALL ? STATS_THREADS : STATS_THREADS_SMALL, grid = static_cast<unsigned>(n);
    if (packs_fit(static_cast<size_t>(V), 4, logits)) {
        LAUNCH((head_stats_kernel<4>), grid, threads, stats_shared(threads), queue_stream(q), stats, top,
               logits, V, mask);
    } else {
        LAUNCH((head_stats_kernel<1>), grid, threads, stats_shared(threads), queue_stream(q), stats, top,
               logits, V, mask);
    }
    queue_check(q, "head_stats");
}
