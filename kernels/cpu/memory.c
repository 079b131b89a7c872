/* memory.c - "device" memory of the CPU: ordinary memory, and this thread's fault.
 *
 * Only an allocation can fail. Its fault is the calling thread's own, because one table serves
 * all threads; bytes in use are counted over all of them. */
#include "kernels/cpu/product.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ALIGNMENT = 256 };

static _Thread_local k_fault pending;
static atomic_size_t used;

bool cpu_failed(void) {
    return pending.kind != K_OK;
}

bool cpu_fault(kernels *k, k_fault *f) {
    (void)k;
    if (!cpu_failed()) return false;
    *f = pending;
    pending = (k_fault){0};
    return true;
}

static size_t machine_bytes(void) {
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    return pages > 0 && size > 0 ? (size_t)pages * (size_t)size : SIZE_MAX / 2;
}

static atomic_int sharers = 1;

void kernels_share_memory(int processes) {
    atomic_store(&sharers, processes > 1 ? processes : 1);
}

size_t cpu_copy_bytes(void) {
    return machine_bytes() / 4 / (size_t)atomic_load(&sharers);
}

void *cpu_pages(size_t bytes, size_t alignment) {
    enum { LARGE_PAGE = 2 << 20, WORTH = 2 * LARGE_PAGE };
    if (bytes >= WORTH) alignment = LARGE_PAGE;
    size_t whole = (bytes / alignment + 1) * alignment;
    void *p = aligned_alloc(alignment, whole);
    if (p && bytes >= WORTH) (void)madvise(p, whole, MADV_HUGEPAGE); /* where not allowed, pages are small */
    return p;
}

/* More than the machine has is refused before the C library sees it: some would promise it. */
void *cpu_alloc(kernels *k, size_t bytes) {
    (void)k;
    if (cpu_failed()) return NULL;
    void *p = NULL;
    if (bytes <= machine_bytes()) p = cpu_pages(bytes, ALIGNMENT);
    if (!p) {
        pending.kind = K_NO_MEMORY;
        snprintf(pending.text, sizeof pending.text, "cpu: no memory for %.1f MiB (the machine has %.1f MiB)",
                 (double)bytes / 0x1p20, (double)machine_bytes() / 0x1p20);
        return NULL;
    }
    atomic_fetch_add(&used, malloc_usable_size(p));
    return p;
}

void cpu_free(kernels *k, void *p) {
    (void)k;
    if (p) atomic_fetch_sub(&used, malloc_usable_size(p));
    free(p);
}

void cpu_put(kernels *k, void *dst, const void *src, size_t bytes) {
    (void)k;
    if (bytes && !cpu_failed()) memcpy(dst, src, bytes);
}

void cpu_get(kernels *k, void *dst, const void *src, size_t bytes) {
    cpu_put(k, dst, src, bytes);
}

void cpu_zero(kernels *k, void *p, size_t bytes) {
    (void)k;
    if (bytes && !cpu_failed()) memset(p, 0, bytes);
}

/* What is free changes with every other process, and pages are promised before they are there. */
void cpu_memory(kernels *k, k_memory *out) {
    (void)k;
    *out = (k_memory){.used_bytes = atomic_load(&used)};
}

/* Weights stay where the caller has them; products of bfloat16 may want a copy besides. */
bool cpu_load(kernels *k, k_weight *w) {
    w->device = NULL;
    if (cpu_failed()) return false;
#ifdef CPU_X86
    cpu_pack(w, k->product_bytes == 2);
#else
    (void)k;
#endif
    return true;
}

void cpu_unload(kernels *k, k_weight *w) {
    (void)k;
#ifdef CPU_X86
    cpu_unpack(w);
#endif
    w->device = NULL;
}

const float *cpu_load_floats(kernels *k, const float *host, int n) {
    (void)k;
    (void)n;
    return cpu_failed() ? NULL : host;
}
