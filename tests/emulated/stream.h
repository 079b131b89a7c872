// stream.h - ordered queues of work, and what may not be called while one is being captured.
//
// Work waits in its stream until somebody waits for it (or, now and then by the seed, runs at once); which
// stream goes on is drawn too. A host that reads a result without waiting, or two streams that miss an event
// between them, then compute with what was there before.
#pragma once

#include "include/emulated/runtime.h"

#include <functional>
#include <memory>
#include <vector>

namespace emulated {

// False: it waits for an event and is tried again later.
typedef std::function<bool()> operation;
typedef std::vector<operation> operations;

// Queues, records, or runs at once. The caller holds the lock.
cudaError_t stream_submit(cudaStream_t stream, operation work);
bool stream_exists(cudaStream_t stream);
bool stream_is_capturing(cudaStream_t stream);
void stream_finish(cudaStream_t stream); // runs what is queued there, and perhaps more
void streams_finish();

// For calls that may not be made while this thread captures (or any, in global mode): the error, and the
// capture is spoilt. cudaSuccess when there is none.
cudaError_t capture_refuses(const char *call);
// For calls that wait for the whole device: spoils every capture there, whoever captures and in whatever
// mode.
cudaError_t captures_break(const char *call);
// The same for a call that concerns one capturing stream.
cudaError_t capture_break(cudaStream_t stream, const char *call);

} // namespace emulated
