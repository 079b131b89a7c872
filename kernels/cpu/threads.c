/* threads.c - how many threads kernels use, and each thread's scratch memory.
 *
 * OpenMP keeps its thread count per calling thread, so the count lives here and is handed to
 * every loop; only the product library reads OpenMP's own (see cpu_gemm). */
#include "kernels/cpu/cpu.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#ifdef _OPENMP
#include <omp.h>
#endif

static atomic_int chosen;   /* 0: the default */
static int default_threads; /* written once */
static pthread_once_t default_once = PTHREAD_ONCE_INIT;

static void find_default(void) {
#ifdef _OPENMP
    default_threads = omp_get_max_threads();
#else
    default_threads = 1;
#endif
}

void kernels_set_threads(int n) {
    pthread_once(&default_once, find_default);
#ifndef _OPENMP
    n = 0;
#endif
    atomic_store(&chosen, n > 0 ? n : 0);
}

int kernels_threads(void) {
    pthread_once(&default_once, find_default);
    int n = atomic_load(&chosen);
    return n ? n : default_threads;
}

typedef struct scratch {
    float *p[N_SLOTS];
    size_t cap[N_SLOTS];
    bool known; /* release at thread exit has been arranged */
} scratch;

static _Thread_local scratch mine;
static pthread_key_t key;
static pthread_once_t key_once = PTHREAD_ONCE_INIT;

static void release(void *p) {
    scratch *s = p;
    for (int i = 0; i < N_SLOTS; i++) free(s->p[i]);
    *s = (scratch){0};
}

static void make_key(void) {
    int rc = pthread_key_create(&key, release);
    assert(rc == 0);
    (void)rc;
}

/* Operations cannot fail halfway, in threads that are not the caller's; scratch is small beside any model. */
static void give_up(size_t bytes) {
    fprintf(stderr, "tabes: out of memory: %zu bytes of scratch for the kernels\n", bytes);
    abort();
}

float *cpu_scratch(cpu_slot slot, size_t n) {
    scratch *s = &mine;
    if (n <= s->cap[slot] && s->p[slot]) return s->p[slot];
    if (!s->known) {
        pthread_once(&key_once, make_key);
        pthread_setspecific(key, s);
        s->known = true;
    }
    size_t want = n < 1024 ? 1024 : (n + 15) / 16 * 16;
    assert(want <= SIZE_MAX / sizeof(float));
    free(s->p[slot]);
    s->p[slot] = cpu_pages(want * sizeof(float), 64);
    if (!s->p[slot]) give_up(want * sizeof(float));
    s->cap[slot] = want;
    return s->p[slot];
}
