/* attention.c - attention of some query rows over all key rows.
 *
 * One task is a head and a block of queries: scores by a strided product, softmax in place
 * (maximum subtracted, denominator summed in double), then a second strided product. */
#include "kernels/cpu/cpu.h"

#include <assert.h>
#include <math.h>

enum { QUERY_BLOCK = 64 };

/* s becomes its softmax; returns log Σ exp s. */
CPU_CLONES static float softmax_row(float *s, int n) {
    float max = s[0];
    for (int j = 1; j < n; j++) max = s[j] > max ? s[j] : max;
    for (int j = 0; j < n; j++) s[j] = cpu_expf(s[j] - max);
    double sum = 0;
    for (int j = 0; j < n; j++) sum += (double)s[j];
    float inv = (float)(1.0 / sum);
    for (int j = 0; j < n; j++) s[j] *= inv;
    return (float)((double)max + log(sum));
}

static void attend_block(const k_attn *a, int h, int first, int n) {
    int qw = a->H * a->hd, kw = a->KV * a->hd, kv = (h / (a->H / a->KV)) * a->hd;
    size_t q0 = at(first, qw) + at(h, a->hd);
    float *s = cpu_scratch(SLOT_SCORES, at(n, a->n_k));
    cpu_gemm(&(cpu_product){.tb = true,
                            .m = n,
                            .n = a->n_k,
                            .k = a->hd,
                            .alpha = 1.0f / sqrtf((float)a->hd),
                            .a = a->q + q0,
                            .lda = qw,
                            .b = a->k + kv,
                            .ldb = kw,
                            .c = s,
                            .ldc = a->n_k});
    for (int i = 0; i < n; i++)
        a->lse[at(first + i, a->H) + (size_t)h] = softmax_row(s + at(i, a->n_k), a->n_k);
    cpu_gemm(&(cpu_product){.m = n,
                            .n = a->hd,
                            .k = a->n_k,
                            .alpha = 1,
                            .a = s,
                            .lda = a->n_k,
                            .b = a->v + kv,
                            .ldb = kw,
                            .c = a->o + q0,
                            .ldc = qw});
}

void cpu_attention(const k_attn *a) {
    if (a->n_q <= 0) return;
    assert(a->n_k > 0 && a->KV > 0 && a->H % a->KV == 0);
    int blocks = (a->n_q + QUERY_BLOCK - 1) / QUERY_BLOCK;
    PARALLEL_FOR(at(a->n_q, a->n_k * a->H) >= PARALLEL_MIN)
    for (int t = 0; t < a->H * blocks; t++) {
        int first = t % blocks * QUERY_BLOCK, left = a->n_q - first;
        attend_block(a, t / blocks, first, left < QUERY_BLOCK ? left : QUERY_BLOCK);
    }
}
