// stream.cpp - streams, events, and capture into graphs.
//
// The legacy stream (NULL) is emulated as one that never holds work back: it waits for all streams that were
// not created non-blocking, and runs.
#include "stream.h"

#include "device.h"
#include "random.h"

#include <chrono>
#include <deque>
#include <pthread.h>

using namespace emulated;

struct CUgraph_st {
    operations nodes;
};

struct CUgraphExec_st {
    std::shared_ptr<const operations> nodes;
};

struct CUstream_st {
    unsigned flags;
    std::deque<operation> queue;
    cudaStreamCaptureStatus capture;
    cudaStreamCaptureMode mode;
    pthread_t capturer;
    operations recorded;
};

// Counts, since an event may be recorded again: `recorded` at the calls, `done` when they ran.
struct CUevent_st {
    int64_t recorded, done;
    bool captured;
    std::chrono::steady_clock::time_point when;
};

static std::vector<CUstream_st *> streams;

namespace emulated {

// ---- running ----

static uint64_t decisions;

// In 0..n-1, by the seed.
static size_t decide(size_t n) {
    return random_order(gpu.set.seed * 31 + decisions++).below(n);
}

bool stream_exists(cudaStream_t stream) {
    for (CUstream_st *s : streams) {
        if (s == stream) return true;
    }
    return stream == nullptr;
}

// One operation; false when there is none or it waits for an event.
static bool stream_step(CUstream_st *s) {
    if (s->queue.empty()) return false;
    if (gpu.lost == cudaSuccess && !s->queue.front()()) return false;
    s->queue.pop_front();
    return true;
}

// Lets streams go on, in a drawn order, until done() or nothing can go on (which loses the device).
template <typename F> static void work_until(F done) {
    while (!done()) {
        size_t n = streams.size(), first = decide(n), tried = 0;
        while (tried < n && !stream_step(streams[(first + tried) % n])) tried++;
        if (tried < n) continue;
        report("streams wait for each other, or for an event that was never recorded");
        lose(cudaErrorLaunchFailure);
        for (CUstream_st *s : streams) s->queue.clear();
        return;
    }
}

static void blocking_streams_finish() {
    work_until([] {
        for (CUstream_st *s : streams) {
            if (!(s->flags & cudaStreamNonBlocking) && !s->queue.empty()) return false;
        }
        return true;
    });
}

void stream_finish(cudaStream_t stream) {
    if (!stream) return blocking_streams_finish();
    work_until([stream] { return stream->queue.empty(); });
}

void streams_finish() {
    work_until([] {
        for (CUstream_st *s : streams) {
            if (!s->queue.empty()) return false;
        }
        return true;
    });
}

// ---- queueing ----

bool stream_is_capturing(cudaStream_t stream) {
    return stream && stream_exists(stream) && stream->capture != cudaStreamCaptureStatusNone;
}

cudaError_t capture_break(cudaStream_t stream, const char *call) {
    report("%s is not permitted while a stream is captured", call);
    stream->capture = cudaStreamCaptureStatusInvalidated;
    return answer(cudaErrorStreamCaptureUnsupported);
}

cudaError_t capture_refuses(const char *call) {
    for (CUstream_st *s : streams) {
        if (s->capture == cudaStreamCaptureStatusNone || s->mode == cudaStreamCaptureModeRelaxed) continue;
        if (s->mode == cudaStreamCaptureModeThreadLocal && !pthread_equal(s->capturer, pthread_self()))
            continue;
        return capture_break(s, call);
    }
    return answer(cudaSuccess);
}

cudaError_t captures_break(const char *call) {
    cudaError_t e = cudaSuccess;
    for (CUstream_st *s : streams) {
        if (s->capture != cudaStreamCaptureStatusNone) e = capture_break(s, call);
    }
    return answer(e);
}

static cudaError_t submit_legacy(const operation &work) {
    for (CUstream_st *s : streams) {
        if (s->flags & cudaStreamNonBlocking || s->capture == cudaStreamCaptureStatusNone) continue;
        capture_break(s, "work in the legacy stream");
        return answer(cudaErrorStreamCaptureImplicit);
    }
    blocking_streams_finish();
    if (gpu.lost == cudaSuccess) work();
    return answer(cudaSuccess);
}

enum : size_t { LONGEST_QUEUE = 512 };

cudaError_t stream_submit(cudaStream_t stream, operation work) {
    if (gpu.lost != cudaSuccess) return gpu.lost;
    if (!stream) return submit_legacy(work);
    if (!stream_exists(stream)) return answer(cudaErrorInvalidResourceHandle);
    switch (stream->capture) {
    case cudaStreamCaptureStatusInvalidated:
        return answer(cudaErrorStreamCaptureInvalidated);
    case cudaStreamCaptureStatusActive:
        stream->recorded.push_back(std::move(work));
        return cudaSuccess;
    case cudaStreamCaptureStatusNone:
        break;
    }
    stream->queue.push_back(std::move(work));
    if (!gpu.set.async || stream->queue.size() > LONGEST_QUEUE || decide(16) == 0) stream_finish(stream);
    return answer(cudaSuccess);
}

} // namespace emulated

// ---- streams ----

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags) {
    locked guard;
    *stream = nullptr;
    cudaError_t e = answer(cudaSuccess);
    if (e != cudaSuccess) return e;
    *stream = new CUstream_st{flags, {}, cudaStreamCaptureStatusNone, {}, {}, {}};
    streams.push_back(*stream);
    return cudaSuccess;
}

cudaError_t cudaStreamCreate(cudaStream_t *stream) {
    return cudaStreamCreateWithFlags(stream, cudaStreamDefault);
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    locked guard;
    if (!stream || !stream_exists(stream)) return answer(cudaErrorInvalidResourceHandle);
    stream_finish(stream);
    for (size_t i = 0; i < streams.size(); i++) {
        if (streams[i] != stream) continue;
        streams.erase(streams.begin() + static_cast<ptrdiff_t>(i));
        break;
    }
    delete stream;
    return answer(cudaSuccess);
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    locked guard;
    if (!stream_exists(stream)) return answer(cudaErrorInvalidResourceHandle);
    if (stream_is_capturing(stream)) return capture_break(stream, "cudaStreamSynchronize");
    stream_finish(stream);
    return answer(cudaSuccess);
}

cudaError_t cudaStreamQuery(cudaStream_t stream) {
    locked guard;
    if (!stream_exists(stream)) return answer(cudaErrorInvalidResourceHandle);
    if (stream_is_capturing(stream)) return capture_break(stream, "cudaStreamQuery");
    if (!stream || stream->queue.empty()) return answer(cudaSuccess);
    stream_step(stream);
    return answer(cudaErrorNotReady);
}

cudaError_t cudaDeviceSynchronize() {
    locked guard;
    cudaError_t e = captures_break("cudaDeviceSynchronize");
    if (e != cudaSuccess) return e;
    streams_finish();
    return answer(cudaSuccess);
}

// ---- events ----

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned) {
    locked guard;
    *event = nullptr;
    cudaError_t e = answer(cudaSuccess);
    if (e == cudaSuccess) *event = new CUevent_st{0, 0, false, {}};
    return e;
}

cudaError_t cudaEventCreate(cudaEvent_t *event) {
    return cudaEventCreateWithFlags(event, cudaEventDefault);
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
    locked guard;
    if (!event) return answer(cudaErrorInvalidResourceHandle);
    work_until([event] { return event->done == event->recorded || gpu.lost != cudaSuccess; });
    if (gpu.lost != cudaSuccess) {
        for (CUstream_st *s : streams) s->queue.clear(); // they may name the event
    }
    delete event;
    return answer(cudaSuccess);
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    locked guard;
    if (!event) return answer(cudaErrorInvalidResourceHandle);
    event->captured = stream_is_capturing(stream);
    if (event->captured) return answer(cudaSuccess);
    int64_t turn = event->recorded + 1;
    cudaError_t e = stream_submit(stream, [event, turn] {
        event->done = turn;
        event->when = std::chrono::steady_clock::now();
        return true;
    });
    if (e == cudaSuccess) event->recorded = turn;
    return e;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
    locked guard;
    if (!event) return answer(cudaErrorInvalidResourceHandle);
    if (stream_is_capturing(stream))
        return capture_break(stream, "cudaStreamWaitEvent (not emulated in a capture)");
    if (event->captured) return answer(cudaErrorCapturedEvent);
    int64_t turn = event->recorded;
    return stream_submit(stream, [event, turn] { return event->done >= turn; });
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
    locked guard;
    cudaError_t e = capture_refuses("cudaEventQuery");
    if (e != cudaSuccess) return e;
    if (event->captured) return answer(cudaErrorCapturedEvent);
    if (event->done == event->recorded) return answer(cudaSuccess);
    for (CUstream_st *s : streams) stream_step(s);
    return answer(cudaErrorNotReady);
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    locked guard;
    cudaError_t e = capture_refuses("cudaEventSynchronize");
    if (e != cudaSuccess) return e;
    if (event->captured) return answer(cudaErrorCapturedEvent);
    work_until([event] { return event->done == event->recorded || gpu.lost != cudaSuccess; });
    return answer(cudaSuccess);
}

cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t start, cudaEvent_t end) {
    locked guard;
    if (!start->recorded || !end->recorded) return answer(cudaErrorInvalidResourceHandle);
    if (start->done != start->recorded || end->done != end->recorded) return answer(cudaErrorNotReady);
    *milliseconds = std::chrono::duration<float, std::milli>(end->when - start->when).count();
    return answer(cudaSuccess);
}

// ---- capture and graphs ----

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
    locked guard;
    if (!stream) return answer(cudaErrorStreamCaptureUnsupported);
    if (!stream_exists(stream)) return answer(cudaErrorInvalidResourceHandle);
    if (stream->capture != cudaStreamCaptureStatusNone) return answer(cudaErrorIllegalState);
    cudaError_t e = answer(cudaSuccess);
    if (e != cudaSuccess) return e;
    stream->capture = cudaStreamCaptureStatusActive;
    stream->mode = mode;
    stream->capturer = pthread_self();
    stream->recorded.clear();
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph) {
    locked guard;
    *graph = nullptr;
    if (!stream_is_capturing(stream)) return answer(cudaErrorStreamCaptureUnmatched);
    if (stream->mode != cudaStreamCaptureModeRelaxed && !pthread_equal(stream->capturer, pthread_self())) {
        return answer(cudaErrorStreamCaptureWrongThread);
    }
    bool spoilt = stream->capture == cudaStreamCaptureStatusInvalidated;
    stream->capture = cudaStreamCaptureStatusNone;
    operations recorded = std::move(stream->recorded);
    stream->recorded = operations();
    if (spoilt) return answer(cudaErrorStreamCaptureInvalidated);
    cudaError_t e = answer(cudaSuccess);
    if (e == cudaSuccess) *graph = new CUgraph_st{std::move(recorded)};
    return e;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus *status) {
    locked guard;
    if (!stream_exists(stream)) return answer(cudaErrorInvalidResourceHandle);
    *status = stream ? stream->capture : cudaStreamCaptureStatusNone;
    return answer(cudaSuccess);
}

cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long) {
    locked guard;
    *exec = nullptr;
    if (!graph) return answer(cudaErrorInvalidValue);
    cudaError_t e = answer(refuses("graphs") ? cudaErrorNotSupported : cudaSuccess);
    if (e == cudaSuccess) *exec = new CUgraphExec_st{std::make_shared<const operations>(graph->nodes)};
    return e;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long flags) {
    return cudaGraphInstantiateWithFlags(exec, graph, flags);
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
    locked guard;
    if (!exec) return answer(cudaErrorInvalidValue);
    std::shared_ptr<const operations> nodes = exec->nodes;
    return stream_submit(stream, [nodes] {
        gpu.counts.graph_launches++;
        for (const operation &node : *nodes) {
            if (gpu.lost == cudaSuccess) node();
        }
        return true;
    });
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    locked guard;
    delete graph;
    return answer(cudaSuccess);
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
    locked guard;
    delete exec;
    return answer(cudaSuccess);
}
