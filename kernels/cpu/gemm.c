/* gemm.c - float32 products (row-major): oneDNN's, and for small matrices in one thread our own. */
#include "kernels/cpu/product.h"

#include <assert.h>
#include <oneapi/dnnl/dnnl.h>
#ifdef _OPENMP
#include <omp.h>
#endif

/* oneDNN takes its thread count from OpenMP's setting of the calling thread. */
static void choose_threads(const cpu_product *p) {
#ifdef _OPENMP
    bool small = (double)p->m * p->n * p->k < PARALLEL_MIN_MADDS;
    int n = kernels_threads();
    if (small) n = 1;
    if (!omp_in_parallel() && omp_get_max_threads() != n) omp_set_num_threads(n);
#else
    (void)p;
#endif
}

void cpu_gemm(const cpu_product *p) {
    if (p->m <= 0 || p->n <= 0) return;
    assert(p->k > 0);
    choose_threads(p);
    dnnl_status_t rc = dnnl_sgemm(p->ta ? 'T' : 'N', p->tb ? 'T' : 'N', p->m, p->n, p->k, p->alpha, p->a,
                                  p->lda, p->b, p->ldb, p->beta, p->c, p->ldc);
    assert(rc == dnnl_success);
    (void)rc;
}

void cpu_gemm_small(const cpu_product *p) {
    if (p->m <= 0 || p->n <= 0) return;
    assert(p->k > 0);
#ifdef CPU_X86
    if (cpu_has_256()) {
        (cpu_has_512() ? cpu_gemm_512 : cpu_gemm_256)(p);
        return;
    }
#endif
    cpu_gemm(p);
}
