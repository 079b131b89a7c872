// soft_write.cu - out = Eᵀ π: probabilities of some rows are written as activations to scratch and
// multiplied.
#include "kernels/cuda/blocks.cuh"
#include "kernels/cuda/gemm.cuh"
#include "kernels/cuda/head.cuh"
#include "kernels/cuda/operations.cuh"
#include "kernels/cuda/queue_impl.cuh"
#include "kernels/cuda/vector.cuh"

enum { SOFT_THREADS = 256 };

// p[row][v - first] = π_v for v in [first, first+count).
template <typename T>
__global__ void soft_kernel(T *p, const float *logits, const k_row_stats *stats, const int *rows, int V,
                            int mask, int first, int count) {
    int j = static_cast<int>(blockIdx.y * blockDim.x + threadIdx.x);
    if (j >= count) return;
    size_t row = rows ? static_cast<size_t>(rows[blockIdx.x]) : blockIdx.x;
    float lp = log_prob(logits[row * V + first + j], split_of(stats[row].lse));
    p[size_t(blockIdx.x) * count + j] = from_float<T>(first + j == mask ? 0.0f : expf(lp));
}

// What is left of a soft_write.
struct soft {
    float *out;
    const float *logits;
    const k_row_stats *stats;
    const int *rows;
    int V, mask;
    const k_weight *E;
};

template <typename T> static void soft_tile(queue *q, const soft *s, int n, int first, int count) {
    T *p = static_cast<T *>(q->scratch);
    size_t d = static_cast<size_t>(s->E->cols);
    dim3 grid(static_cast<unsigned>(n), blocks_for(static_cast<size_t>(count), SOFT_THREADS));
    LAUNCH((soft_kernel<T>), grid, SOFT_THREADS, 0, q->stream, p, s->logits, s->stats, s->rows, s->V, s->mask,
           first, count);
    queue_check(q, "soft_write");
    const T *E = static_cast<const T *>(s->E->device) + static_cast<size_t>(first) * d;
    if (!s->E->device) {
        T *tile = p + SCRATCH_BYTES / 2 / sizeof(T); // the other half: see soft_rows
        blocks_widen(q, tile, s->E, first, count);
        E = tile;
    }
    product m = {n, s->E->cols, count, false, true, 1, first ? 1.0f : 0.0f, E, p, s->out, 0};
    queue_multiply(q, &m, "soft_write");
}

// The first n rows, in stretches of ids that fit the scratch.
static void soft_rows(queue *q, const soft *s, int n) {
    size_t act = q->shared->bf16 ? 2 : 4;
    size_t widest = static_cast<size_t>(n), room = SCRATCH_BYTES;
    if (!s->E->device) { // half for probabilities, half for the rows that they multiply
        room /= 2;
        if (widest < static_cast<size_t>(s->E->cols)) widest = static_cast<size_t>(s->E->cols);
    }
    int step = static_cast<int>(room / act / widest);
    for (int first = 0; first < s->V && queue_ready(q); first += step) {
        int count = s->V - first < step ? s->V - first : step;
        if (q->shared->bf16) {
            soft_tile<bf16>(q, s, n, first, count);
        } else {
            soft_tile<float>(q, s, n, first, count);
        }
    }
}

void cuda_soft_write(kernels *k, float *out, const float *logits, const k_row_stats *stats, const int *rows,
                     int n, int V, int mask, const k_weight *E) {
    queue *q = queue_of(k);
    if (n <= 0 || V <= 0 || !queue_ready(q)) return;
    if (!q->scratch) q->scratch = block_take(q, &q->blocks, SCRATCH_BYTES);
    if (!q->scratch) return;
    soft s = {out, logits, stats, rows, V, mask, E};
    // Rather few rows with all ids than many with some: one product then sums over all of V.
    size_t act = q->shared->bf16 ? 2 : 4, fit = SCRATCH_BYTES / act / static_cast<size_t>(V);
    int most = fit < 1 ? 1 : fit < 4096 ? static_cast<int>(fit) : 4096;
    for (int done = 0; done < n; done += most) {
        int part = n - done < most ? n - done : most;
        soft_rows(q, &s, part);
        s.out += static_cast<size_t>(part) * static_cast<size_t>(E->cols);
        if (rows) {
            s.rows += part;
        } else {
            s.logits += static_cast<size_t>(part) * static_cast<size_t>(V);
            s.stats += part;
        }
    }
}
