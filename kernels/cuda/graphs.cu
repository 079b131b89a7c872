// graphs.cu - work that comes again is recorded, and replayed with one launch.
//
// A key runs as it is the first time (which also loads every kernel and allocates every scratch), is recorded
// the second time, and replayed from then on. The least recently used of a few graphs makes room.
#include "kernels/cuda/queue_impl.cuh"

#include <stdlib.h>
#include <string.h>

static void graph_clear(graph *g) {
    if (g->exec) cudaGraphExecDestroy(g->exec);
    free(g->key);
    *g = graph();
}

void graphs_close(queue *q) {
    for (graph &g : q->graphs) graph_clear(&g);
}

static graph *graph_find(queue *q, const void *key, size_t bytes) {
    for (graph &g : q->graphs) {
        if (g.key && g.key_bytes == bytes && memcmp(g.key, key, bytes) == 0) return &g;
    }
    return nullptr;
}

// Remembers a new key, in the place that was used longest ago.
static graph *graph_add(queue *q, const void *key, size_t bytes) {
    graph *oldest = &q->graphs[0];
    for (graph &g : q->graphs) {
        if (g.last_used < oldest->last_used) oldest = &g;
    }
    if (oldest->exec) cudaStreamSynchronize(q->stream); // it may still run
    graph_clear(oldest);
    oldest->key = malloc(bytes);
    if (!oldest->key) return nullptr;
    memcpy(oldest->key, key, bytes);
    oldest->key_bytes = bytes;
    oldest->last_used = ++q->graph_clock;
    return oldest;
}

bool cuda_graph_begin(kernels *k, const void *key, size_t key_bytes) {
    queue *q = queue_of(k);
    if (!queue_ready(q) || q->eager) return false;
    graph *g = graph_find(q, key, key_bytes);
    if (!g) {
        q->trying = graph_add(q, key, key_bytes);
        return false;
    }
    g->last_used = ++q->graph_clock;
    if (g->exec) {
        cudaGraphLaunch(g->exec, q->stream);
        queue_check(q, "a replay");
        return true;
    }
    recordings.lock_shared();
    if (cudaStreamBeginCapture(q->stream, cudaStreamCaptureModeThreadLocal) == cudaSuccess) {
        q->recording = g;
        q->recording_broken = false;
    } else {
        recordings.unlock_shared();
        cudaGetLastError();
        q->eager = true;
    }
    return false;
}

// What was recorded as a graph that may be launched; NULL when it cannot be.
static cudaGraphExec_t recorded_graph(queue *q) {
    cudaGraph_t recorded = nullptr;
    cudaGraphExec_t exec = nullptr;
    cudaError_t e = cudaStreamEndCapture(q->stream, &recorded);
    recordings.unlock_shared();
    bool good = e == cudaSuccess && recorded && !q->recording_broken && q->fault.kind == K_OK;
    if (good && cudaGraphInstantiateWithFlags(&exec, recorded, 0) != cudaSuccess) exec = nullptr;
    if (recorded) cudaGraphDestroy(recorded);
    return exec;
}

// When a recording fails nothing of it has run: the caller queues it again, and this queue records no more. A
// device that was lost is met by that work.
bool cuda_graph_end(kernels *k) {
    queue *q = queue_of(k);
    graph *g = q->recording;
    if (q->trying && q->fault.kind != K_OK) graph_clear(q->trying); // it may not have allocated all it needs
    q->trying = nullptr;
    if (!g) return false;
    q->recording = nullptr;
    cudaSetDevice(q->shared->ordinal);
    g->exec = recorded_graph(q);
    if (g->exec && cudaGraphLaunch(g->exec, q->stream) == cudaSuccess) return false;
    cudaGetLastError();
    q->eager = true;
    return queue_ready(q);
}
