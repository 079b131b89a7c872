// block.cpp - the scheduler of a block's threads, its barrier, and meetings of a warp's lanes.
#include "block.h"

#include "device.h"
#include "fiber.h"
#include "include/emulated/threads.h"
#include "random.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace emulated {

enum thread_state { CAN_RUN, AT_BARRIER, AT_MEETING, EXITED };

struct thread {
    fiber f;
    ~thread() {
        fiber_release(&f);
    }
    uint3 index;
    unsigned lane;
    thread *warp;           // lane 0
    unsigned live, waiting; // of lane 0: bits of the warp's lanes that have not exited, that are in a meeting
    thread_state state;
    const char *operation; // of the meeting
    unsigned mask;
    void *mine;
    pending_copies copies;
};

// The block that runs. Threads keep their stacks from one block to the next.
static struct {
    thread threads[MOST_THREADS];
    thread *ready[MOST_THREADS];
    size_t n_threads, n_ready, n_live, n_at_barrier;
    thread *current;
    const launch_request *launch;
    char *shared;
    random_order order{0};
    bool run_ahead, failed;
} block;

// ---- readiness ----

static void make_ready(thread *t) {
    t->state = CAN_RUN;
    block.ready[block.n_ready++] = t;
}

// The last n that became ready are in no order.
static void shuffle_last(size_t n) {
    block.order.shuffle(block.ready + block.n_ready - n, n);
}

static thread *next_thread() {
    size_t i = block.run_ahead ? block.n_ready - 1 : block.order.below(block.n_ready);
    thread *t = block.ready[i];
    block.ready[i] = block.ready[--block.n_ready];
    return t;
}

static void barrier_open() {
    for (size_t i = 0; i < block.n_threads; i++) {
        if (block.threads[i].state == AT_BARRIER) make_ready(&block.threads[i]);
    }
    shuffle_last(block.n_at_barrier);
    block.n_at_barrier = 0;
}

// ---- reports ----

static int describe_place(char *text, size_t size) {
    return snprintf(text, size, "kernel %s, block (%u,%u,%u)", block.launch->name, blockIdx.x, blockIdx.y,
                    blockIdx.z);
}

void thread_fail(const char *format, ...) {
    char place[256], what[512];
    describe_place(place, sizeof place);
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    report("%s in %s, thread (%u,%u,%u)", what, place, threadIdx.x, threadIdx.y, threadIdx.z);
    block.failed = true;
    fiber_abandon(&block.current->f);
}

static bool same_wait(const thread *a, const thread *b) {
    if (a->state != b->state) return false;
    if (a->state != AT_MEETING) return true;
    return a->mask == b->mask && (a->operation == b->operation || strcmp(a->operation, b->operation) == 0);
}

static int describe_wait(char *text, size_t size, const thread *t) {
    switch (t->state) {
    case AT_BARRIER:
        return snprintf(text, size, "wait at __syncthreads");
    case AT_MEETING:
        return snprintf(text, size, "wait at %s with mask %08x", t->operation, t->mask);
    case EXITED:
        return snprintf(text, size, "have exited");
    case CAN_RUN:
        break;
    }
    return snprintf(text, size, "can run");
}

// The threads that wait as threads[first] does: how many, and the first few runs of them.
static int describe_threads(char *text, size_t size, size_t first) {
    size_t at = 0, n = 0, runs = 0;
    char list[100] = "";
    for (size_t i = first, end; i < block.n_threads; i = end) {
        for (end = i; end < block.n_threads && same_wait(&block.threads[first], &block.threads[end]);) end++;
        n += end - i;
        if (end == i) {
            end++;
        } else if (++runs <= 3) {
            const char *comma = runs == 1 ? "" : ", ";
            int room = end - i == 1 ? snprintf(list + at, sizeof list - at, "%s%zu", comma, i)
                                    : snprintf(list + at, sizeof list - at, "%s%zu-%zu", comma, i, end - 1);
            at += static_cast<size_t>(room);
        }
    }
    return snprintf(text, size, "%zu threads (%s%s)", n, list, runs > 3 ? ", ..." : "");
}

// Nobody can run and not everybody has exited: says who waits where.
static void report_divergence() {
    char text[800], wait[100];
    size_t at = static_cast<size_t>(describe_place(text, sizeof text));
    const char *before = ":";
    for (size_t i = 0; i < block.n_threads && at + 250 < sizeof text; i++) {
        bool told = false;
        for (size_t j = 0; j < i && !told; j++) told = same_wait(&block.threads[j], &block.threads[i]);
        if (told) continue;
        char threads[150];
        describe_threads(threads, sizeof threads, i);
        describe_wait(wait, sizeof wait, &block.threads[i]);
        at += static_cast<size_t>(snprintf(text + at, sizeof text - at, "%s %s %s", before, threads, wait));
        before = ",";
    }
    report("divergent barrier in %s", text);
    block.failed = true;
}

// ---- running ----

static void thread_main(void *argument) {
    thread *t = static_cast<thread *>(argument);
    block.launch->thread();
    t->state = EXITED;
    t->warp->live &= ~(1u << t->lane);
    block.n_live--;
    if (block.n_live > 0 && block.n_at_barrier == block.n_live) barrier_open();
}

static void thread_prepare(size_t i, dim3 size) {
    thread *t = &block.threads[i];
    unsigned n = static_cast<unsigned>(i);
    t->index = {n % size.x, n / size.x % size.y, n / size.x / size.y};
    t->lane = n % 32;
    t->warp = t - t->lane;
    if (t->lane == 0) t->live = t->waiting = 0;
    t->warp->live |= 1u << t->lane;
    t->copies.list.clear();
    t->copies.open_group = 0;
    fiber_prepare(&t->f, thread_main, t);
    make_ready(t);
}

bool block_run(const launch_request &launch, uint3 index, void *shared, uint64_t seed) {
    blockIdx = index;
    blockDim = launch.block;
    gridDim = launch.grid;
    block.launch = &launch;
    block.shared = static_cast<char *>(shared);
    block.order = random_order(seed);
    block.run_ahead = block.order.below(2) == 0;
    block.failed = false;
    block.n_ready = block.n_at_barrier = 0;
    block.n_threads = block.n_live = static_cast<size_t>(launch.block.x) * launch.block.y * launch.block.z;
    for (size_t i = 0; i < block.n_threads; i++) thread_prepare(i, launch.block);
    shuffle_last(block.n_threads);
    while (block.n_ready > 0 && !block.failed) {
        thread *t = next_thread();
        block.current = t;
        threadIdx = t->index;
        fiber_resume(&t->f);
    }
    if (!block.failed && block.n_live > 0) report_divergence();
    return !block.failed;
}

pending_copies *thread_copies() {
    return &block.current->copies;
}

bool block_shares(const void *p, size_t bytes) {
    const char *from = static_cast<const char *>(p);
    return from >= block.shared && from + bytes <= block.shared + block.launch->shared_bytes;
}

void *shared_memory() {
    return block.shared;
}

void block_barrier() {
    thread *t = block.current;
    t->state = AT_BARRIER;
    block.n_at_barrier++;
    if (block.n_at_barrier == block.n_live) barrier_open();
    fiber_yield(&t->f);
}

// ---- meetings ----

unsigned lane_id() {
    return block.current->lane;
}

static unsigned lowest(unsigned mask) {
    return static_cast<unsigned>(__builtin_ctz(mask));
}

static void check_partner(const thread *t, const thread *other) {
    if (same_wait(t, other)) return;
    thread_fail("%s with mask %08x meets %s with mask %08x of lane %u", t->operation, t->mask,
                other->operation, other->mask, other->lane);
}

// At each arrival one lane that already waits stands for the others; all are compared when the last has come.
static void check_arrival(const thread *t) {
    unsigned gone = t->mask & ~t->warp->live, others = t->mask & t->warp->waiting;
    if (!(t->mask >> t->lane & 1u)) {
        thread_fail("%s with mask %08x by lane %u, which is not in it", t->operation, t->mask, t->lane);
    }
    if (gone) {
        thread_fail("%s with mask %08x names lane %u, which has exited or never was", t->operation, t->mask,
                    lowest(gone));
    }
    if (others) check_partner(t, t->warp + lowest(others));
}

// t came last: answers everybody and lets them go on.
static void meeting_end(const thread *t, meet_fn *give_answers) {
    void *lanes[32] = {};
    size_t n = 0;
    for (unsigned lane = 0; lane < 32; lane++) {
        if (!(t->mask >> lane & 1u)) continue;
        check_partner(t, t->warp + lane);
        lanes[lane] = t->warp[lane].mine;
        n++;
    }
    give_answers(lanes, t->mask);
    t->warp->waiting &= ~t->mask;
    for (unsigned lane = 0; lane < 32; lane++) {
        if (t->mask >> lane & 1u) make_ready(&t->warp[lane]);
    }
    shuffle_last(n);
}

void warp_meet(const char *operation, unsigned mask, void *mine, meet_fn *give_answers) {
    thread *t = block.current;
    t->state = AT_MEETING;
    t->operation = operation;
    t->mask = mask;
    t->mine = mine;
    check_arrival(t);
    t->warp->waiting |= 1u << t->lane;
    if ((t->warp->waiting & mask) == mask) meeting_end(t, give_answers);
    fiber_yield(&t->f);
}

} // namespace emulated
