// memory.cu - device memory, and copies through pinned memory.
//
// A copy is asynchronous only from pinned memory, so put() copies its source there first and returns; it
// waits only when a whole half of the pinned memory has been written since. Buffers live long, so cudaMalloc
// does.
#include "kernels/cuda/queue_impl.cuh"

#include <stdlib.h>
#include <string.h>

// ---- blocks ----

void *block_take(queue *q, block **list, size_t bytes) {
    if (bytes == 0) bytes = 1;
    block *b = static_cast<block *>(malloc(sizeof *b));
    if (!b) {
        queue_fail_memory(q, bytes, "host ");
        return nullptr;
    }
    b->bytes = bytes;
    cudaError_t e = cudaMalloc(&b->at, bytes);
    if (e != cudaSuccess) {
        free(b);
        cudaGetLastError();
        if (e == cudaErrorMemoryAllocation) {
            queue_fail_memory(q, bytes, "");
        } else {
            queue_fail(q, e, q->last);
        }
        return nullptr;
    }
    b->next = *list;
    *list = b;
    q->shared->used_bytes += bytes;
    return b->at;
}

static void block_free(card *c, block **link) {
    block *b = *link;
    *link = b->next;
    c->used_bytes -= b->bytes;
    cudaFree(b->at);
    free(b);
}

void block_free_all(card *c, block **list) {
    while (*list) block_free(c, list);
}

// ---- pinned memory ----

static bool staging_open(queue *q) {
    staging *s = &q->copies;
    if (s->host) return true;
    cudaError_t e = cudaSuccess;
    for (int i = 0; i < 2 && e == cudaSuccess; i++) {
        if (!s->left[i]) e = cudaEventCreateWithFlags(&s->left[i], cudaEventDisableTiming);
    }
    void *host = nullptr;
    if (e == cudaSuccess) e = cudaHostAlloc(&host, 2 * HALF_BYTES, cudaHostAllocDefault);
    if (e == cudaSuccess) {
        s->host = static_cast<unsigned char *>(host);
        return true;
    }
    cudaGetLastError();
    if (e == cudaErrorMemoryAllocation) {
        queue_fail_memory(q, 2 * HALF_BYTES, "pinned ");
    } else {
        queue_fail(q, e, q->last);
    }
    return false;
}

void staging_close(staging *s) {
    for (int i = 0; i < 2; i++) {
        if (s->left[i]) cudaEventDestroy(s->left[i]);
    }
    if (s->host) cudaFreeHost(s->host);
}

// Goes on in the other half, once the copies that use it are done.
static bool staging_turn(queue *q) {
    staging *s = &q->copies;
    cudaError_t e = cudaEventRecord(s->left[s->half], q->stream);
    s->half = 1 - s->half;
    s->used = 0;
    if (e == cudaSuccess) e = cudaEventSynchronize(s->left[s->half]); // at once if never recorded
    if (e != cudaSuccess) queue_fail(q, e, q->last);
    return e == cudaSuccess;
}

unsigned char *staging_take(queue *q, size_t want, size_t *got) {
    staging *s = &q->copies;
    if (!staging_open(q)) return nullptr;
    if (want > HALF_BYTES) want = HALF_BYTES;
    if (s->used + want > HALF_BYTES && !staging_turn(q)) return nullptr;
    unsigned char *p = s->host + static_cast<size_t>(s->half) * HALF_BYTES + s->used;
    s->used += (want + 255) / 256 * 256;
    *got = want;
    return p;
}

unsigned char *staging_raw(queue *q, const unsigned char *host) {
    staging *s = &q->copies;
    if (!s->raw) s->raw = static_cast<unsigned char *>(block_take(q, &q->blocks, 2 * HALF_BYTES));
    return s->raw ? s->raw + (host - s->host) : nullptr;
}

// ---- the table's functions ----

void *cuda_alloc(kernels *k, size_t bytes) {
    queue *q = queue_of(k);
    return queue_ready(q) ? block_take(q, &q->blocks, bytes) : nullptr;
}

void cuda_free(kernels *k, void *p) {
    queue *q = queue_of(k);
    if (!p) return;
    cudaSetDevice(q->shared->ordinal);
    cudaStreamSynchronize(q->stream); // an error here is met again by fault()
    for (block **b = &q->blocks; *b; b = &(*b)->next) {
        if ((*b)->at != p) continue;
        block_free(q->shared, b);
        return;
    }
}

void cuda_put(kernels *k, void *dst, const void *src, size_t bytes) {
    queue *q = queue_of(k);
    unsigned char *to = static_cast<unsigned char *>(dst);
    const unsigned char *from = static_cast<const unsigned char *>(src);
    while (bytes > 0 && queue_ready(q)) {
        size_t part;
        unsigned char *host = staging_take(q, bytes, &part);
        if (!host) return;
        memcpy(host, from, part);
        cudaMemcpyAsync(to, host, part, cudaMemcpyHostToDevice, q->stream);
        queue_check(q, q->last);
        to += part, from += part, bytes -= part;
    }
}

void cuda_get(kernels *k, void *dst, const void *src, size_t bytes) {
    queue *q = queue_of(k);
    unsigned char *to = static_cast<unsigned char *>(dst);
    const unsigned char *from = static_cast<const unsigned char *>(src);
    while (bytes > 0 && queue_ready(q)) {
        size_t part;
        unsigned char *host = staging_take(q, bytes, &part);
        if (!host) return;
        cudaMemcpyAsync(host, from, part, cudaMemcpyDeviceToHost, q->stream);
        queue_check(q, q->last); // a lost device was lost before
        cudaError_t e = cudaStreamSynchronize(q->stream);
        if (e != cudaSuccess) queue_fail(q, e, q->last);
        if (!queue_ready(q)) return;
        q->copies.used = 0; // all earlier copies are done as well
        memcpy(to, host, part);
        to += part, from += part, bytes -= part;
    }
}

void cuda_zero(kernels *k, void *p, size_t bytes) {
    queue *q = queue_of(k);
    if (bytes == 0 || !queue_ready(q)) return;
    cudaMemsetAsync(p, 0, bytes, q->stream);
    queue_check(q, "zero");
}

void cuda_memory(kernels *k, k_memory *out) {
    queue *q = queue_of(k);
    *out = {};
    out->used_bytes = q->shared->used_bytes;
    cudaSetDevice(q->shared->ordinal);
    if (cudaMemGetInfo(&out->free_bytes, &out->total_bytes) != cudaSuccess) cudaGetLastError();
}
