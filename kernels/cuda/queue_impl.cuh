// queue_impl.cuh - what a queue is made of: read by the files that make, feed and record queues.
//
// A `card` is what a device and its forks share: the weights, the count of bytes, the name. A `queue` is one
// of them: a stream, a cuBLAS handle with its own workspace (so that products are reproducible and can be
// captured), pinned memory that copies pass through, and recorded graphs. Its first member is the table of
// operations, so a `kernels *` of ours is a `queue *`.
#pragma once

#include <atomic>
#include <mutex>
#include <shared_mutex>

#include "kernels/cuda/queue.cuh"

// Device memory that was asked for, in a list so that closing frees what is left.
struct block {
    block *next;
    void *at;
    size_t bytes;
};

struct card {
    int ordinal;
    bool bf16;
    char name[16];
    std::atomic<int> queues{1};
    std::atomic<size_t> used_bytes{0};
    std::mutex lock; // over weights
    block *weights = nullptr;
};

// Pinned memory in two halves. Small copies share a half; `left[h]` is recorded when half h is full, and h is
// written again only after that. `raw` is the same on the device, for weights that must be converted.
enum : size_t { HALF_BYTES = size_t(8) << 20 };
struct staging {
    unsigned char *host = nullptr;
    unsigned char *raw = nullptr;
    cudaEvent_t left[2] = {};
    int half = 0;
    size_t used = 0; // bytes of the current half
};

// A piece of work that was seen, and perhaps recorded.
enum { GRAPHS = 8 };
struct graph {
    void *key = nullptr;
    size_t key_bytes = 0;
    cudaGraphExec_t exec = nullptr; // NULL until recorded
    uint64_t last_used = 0;
};

// Probabilities on their way into a product (soft_write.cu); taken whole at first use, so that recorded
// graphs may hold its address.
enum : size_t { SCRATCH_BYTES = size_t(64) << 20 };

struct queue {
    kernels table = {}; // first, see queue_of
    card *shared = nullptr;
    cudaStream_t stream = nullptr;
    cublasHandle_t blas = nullptr;
    block *blocks = nullptr;
    staging copies;
    graph graphs[GRAPHS];
    uint64_t graph_clock = 0;
    graph *trying = nullptr; // runs for the first time, unrecorded
    graph *recording = nullptr;
    bool recording_broken = false; // something in it cannot be recorded
    bool eager = false;            // recording failed once: never again
    void *scratch = nullptr;
    const char *last = "opening"; // the operation that was queued last
    k_fault fault = {};
};

// A cuBLAS handle that is made or destroyed may wait for the whole device, which spoils whatever any thread
// records there: who records holds this with others, who makes or destroys a handle holds it alone.
extern std::shared_mutex recordings;

// queue.cu: keep the first thing that goes wrong as the fault.
void queue_fail(queue *q, cudaError_t e, const char *operation);
void queue_fail_memory(queue *q, size_t bytes, const char *kind);
void queue_check_blas(queue *q, cublasStatus_t status, const char *operation);
void queue_open_table(kernels *k); // table.cu

// memory.cu
void *block_take(queue *q, block **list, size_t bytes); // NULL, with a fault
void block_free_all(card *c, block **list);
void staging_close(staging *s);
// At most `want` bytes of pinned memory that no copy uses; *got says how many. NULL with a fault.
unsigned char *staging_take(queue *q, size_t want, size_t *got);
// The same place in `raw`; NULL with a fault.
unsigned char *staging_raw(queue *q, const unsigned char *host);
void *cuda_alloc(kernels *k, size_t bytes);
void cuda_free(kernels *k, void *p);
void cuda_put(kernels *k, void *dst, const void *src, size_t bytes);
void cuda_get(kernels *k, void *dst, const void *src, size_t bytes);
void cuda_zero(kernels *k, void *p, size_t bytes);
void cuda_memory(kernels *k, k_memory *out);

// weights.cu
bool cuda_load(kernels *k, k_weight *w);
void cuda_unload(kernels *k, k_weight *w);
const float *cuda_load_floats(kernels *k, const float *host, int n);

// graphs.cu
bool cuda_graph_begin(kernels *k, const void *key, size_t key_bytes);
bool cuda_graph_end(kernels *k);
void graphs_close(queue *q);

// queue.cu
void cuda_close(kernels *k);
// A first or further queue of c, whose count of queues includes it; *out NULL and *f set when it cannot be
// had.
int cuda_queue_open(kernels **out, card *c, k_fault *f);
int cuda_fork(kernels *k, kernels **out, k_fault *f);
bool cuda_fault(kernels *k, k_fault *f);
