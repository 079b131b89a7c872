/* fake_gpu.h - the fake denoiser as if it ran on a GPU: its forks overlap, it has memory, and it fails when
 * it is told to.
 *
 * What the forks share is `gpu`, one for the test program; fake_gpu_new() resets it. All but the settings
 * made before any thread runs is read and written under its lock.
 */
#ifndef TABES_FAKE_GPU_H
#define TABES_FAKE_GPU_H

#include <pthread.h>
#include <time.h>

#include "fake_denoiser.h"

enum { GPU_PATIENCE = 10 }; /* seconds that a forward waits for company */

typedef struct fake_gpu {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int inside, most;  /* forwards running now, and at once so far */
    int company;       /* a forward waits until so many have been inside at once */
    bool hold;         /* forwards stay inside until this is false or they are cancelled */
    bool deaf;         /* and being cancelled changes nothing */
    int failures;      /* so many of the coming forwards fail: */
    int code;          /* with this status */
    const char *cause; /* and message */
    bool refuse_fork;
    int forks, closed;
} fake_gpu;

static fake_gpu gpu;

static inline void gpu_lock(void) {
    pthread_mutex_lock(&gpu.lock);
}

static inline void gpu_unlock(void) {
    pthread_cond_broadcast(&gpu.changed);
    pthread_mutex_unlock(&gpu.lock);
}

static inline void gpu_fail(int times, int code, const char *cause) {
    gpu_lock();
    gpu.failures = times;
    gpu.code = code;
    gpu.cause = cause;
    gpu_unlock();
}

static inline void gpu_hold(bool hold) {
    gpu_lock();
    gpu.hold = hold;
    gpu_unlock();
}

static inline int gpu_inside(void) {
    gpu_lock();
    int n = gpu.inside;
    gpu_unlock();
    return n;
}

/* Under the lock: a moment without it, or less when something changes. */
static inline void gpu_wait(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_nsec += 2000000;
    if (t.tv_nsec >= 1000000000) t.tv_sec++, t.tv_nsec -= 1000000000;
    pthread_cond_timedwait(&gpu.changed, &gpu.lock, &t);
}

/* One wait in vain is enough. */
static inline bool gpu_stays(const forward_req *q, time_t until) {
    if (!gpu.deaf && q->cancel && atomic_load(q->cancel)) return false;
    if (time(NULL) >= until) gpu.company = 0;
    return gpu.hold || gpu.most < gpu.company;
}

static inline int gpu_forward(denoiser *d, const forward_req *q, pass *p, err *e) {
    time_t until = time(NULL) + GPU_PATIENCE;
    int rc = 0;
    gpu_lock();
    if (gpu.failures > 0) {
        gpu.failures--;
        rc = err_set(e, gpu.code, "%s", gpu.cause);
    }
    gpu.inside++;
    if (gpu.inside > gpu.most) gpu.most = gpu.inside;
    pthread_cond_broadcast(&gpu.changed);
    while (!rc && gpu_stays(q, until)) gpu_wait();
    gpu_unlock();
    if (!rc) rc = fake_forward(d, q, p, e);
    gpu_lock();
    gpu.inside--;
    gpu_unlock();
    return rc;
}

static inline int gpu_fork(denoiser **out, denoiser *d, err *e) {
    *out = NULL;
    if (gpu.refuse_fork) return err_set(e, ERR_NO_MEMORY, "cuda:0: out of memory: 33 MB more needed");
    fake *f = mem_copy(d, 1, sizeof *f);
    gpu_lock();
    gpu.forks++;
    gpu_unlock();
    *out = &f->base;
    return 0;
}

static inline void gpu_close(denoiser *d) {
    gpu_lock();
    gpu.closed++;
    gpu_unlock();
    fake_close(d);
}

static inline void gpu_memory(kernels *k, k_memory *out) {
    (void)k;
    *out = (k_memory){.free_bytes = 62800000000, .total_bytes = 80000000000, .used_bytes = 17000000000};
}

static inline fake *fake_gpu_new(void) {
    static denoiser_ops ops;
    static kernels device;
    fake *f = fake_new(false, 64);
    gpu = (fake_gpu){.company = 0};
    pthread_mutex_init(&gpu.lock, NULL);
    pthread_cond_init(&gpu.changed, NULL);
    ops = *f->base.ops;
    ops.forward = gpu_forward;
    ops.fork = gpu_fork;
    ops.close = gpu_close;
    device = *f->base.k;
    device.memory = gpu_memory;
    f->base.ops = &ops;
    f->base.k = &device;
    f->base.info.overlaps = true;
    snprintf(f->base.info.device, sizeof f->base.info.device, "cuda:0");
    snprintf(f->base.info.precision, sizeof f->base.info.precision, "bf16");
    return f;
}

#endif
