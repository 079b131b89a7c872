// device.h - the one emulated device: its lock, its settings, its errors.
//
// Everything that the runtime does is done under one lock, by whichever host thread asks. An error of a call
// is that host thread's last error until it is asked for; a lost device is an error of every later call.
#pragma once

#include "emulator.h"
#include "include/emulated/runtime.h"

#include <mutex>

namespace emulated {

enum : size_t {
    SHARED_PLAIN = size_t(48) << 10, // without cudaFuncSetAttribute
    SHARED_MOST = size_t(99) << 10   // the least that devices from sm_80 to sm_120 offer
};
enum { MOST_THREADS = 1024, PROCESSORS = 4 };

struct settings {
    uint64_t seed;
    size_t memory_bytes;
    int64_t fail_at; // the launch, counted from 1, that loses the device; 0: none
    int devices;
    bool async, abort;
    char refuse[16]; // what is not there or does not work, see emulator_set_refuse
};

struct device {
    std::recursive_mutex lock;
    settings set;
    emulator_counts counts = {};
    cudaError_t lost = cudaSuccess;
    char last_report[1024] = "";
    device(); // from the environment
};

extern device gpu;

struct locked {
    std::lock_guard<std::recursive_mutex> guard{gpu.lock};
};

// Says what went wrong, in one line, on stderr and to emulator_report().
__attribute__((format(printf, 1, 2))) void report(const char *format, ...);
// Makes e the last error and returns it; a lost device's error wins.
cudaError_t answer(cudaError_t e);
// Loses the device: e is the answer to everything from now on.
cudaError_t lose(cudaError_t e);
// Whether tests asked that `what` be refused.
bool refuses(const char *what);
// Counts a launch or product that is about to run; false when the device is lost, perhaps by this one.
bool count_launch(int64_t *counter);

} // namespace emulated
