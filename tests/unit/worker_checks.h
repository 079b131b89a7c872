/* worker_checks.h - waiting for the worker, over a fake GPU. */
#ifndef TABES_WORKER_CHECKS_H
#define TABES_WORKER_CHECKS_H

#include <poll.h>

#include "checks.h"
#include "fake_gpu.h"
#include "tui/worker.h"

enum { N = 10, SECONDS = 30 };

static const int32_t prompt[N] = {8, 2, 8, 8, 5, 8, 8, 0, 8, 8};

/* The next event, or false when none comes in time. */
static inline bool next_event(worker *w, worker_event *ev) {
    for (int i = 0; i < SECONDS * 10; i++) {
        if (worker_next(w, ev)) return true;
        poll(&(struct pollfd){.fd = worker_fd(w), .events = POLLIN}, 1, 100);
    }
    return false;
}

/* Until n forwards are inside; a test that waits in vain fails. */
static inline void wait_inside(int n) {
    for (int i = 0; i < SECONDS * 1000 && gpu_inside() != n; i++) poll(NULL, 0, 1);
    CHECK(gpu_inside() == n);
}

#endif
