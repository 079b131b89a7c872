/* attention.c - attention of spans of query rows, each over its own key rows.
 *
 * One task is a span, a head and a block of queries: scores by a strided product, softmax in place
 * (maximum subtracted, denominator summed in double), then a second strided product. Keys and
 * values are read where they lie, unless the span lays recomputed rows over them. */
#include "kernels/cpu/cpu.h"

#include <assert.h>
#include <math.h>

enum { QUERY_BLOCK = 64, MOST_SCORES = 1 << 16 };

static inline float highest(const float *s, int n) {
    float m[CPU_LANES];
    int whole = n - n % CPU_LANES;
    for (int i = 0; i < CPU_LANES; i++) m[i] = s[i < n ? i : 0];
    for (int j = 0; j < whole; j += CPU_LANES) {
        for (int i = 0; i < CPU_LANES; i++) m[i] = s[j + i] > m[i] ? s[j + i] : m[i];
    }
    for (int j = whole; j < n; j++) m[0] = s[j] > m[0] ? s[j] : m[0];
    for (int i = 1; i < CPU_LANES; i++) m[0] = m[i] > m[0] ? m[i] : m[0];
    return m[0];
}

/* s becomes its softmax; returns log Σ exp s. */
CPU_CLONES static float softmax_row(float *s, int n) {
    float max = highest(s, n);
    for (int j = 0; j < n; j++) s[j] -= max;
    cpu_exp_floats(s, n);
    double lanes[CPU_LANES] = {0};
    int whole = n - n % CPU_LANES;
    for (int j = 0; j < whole; j += CPU_LANES) {
        for (int i = 0; i < CPU_LANES; i++) lanes[i] += (double)s[j + i];
    }
    for (int j = whole; j < n; j++) lanes[j % CPU_LANES] += (double)s[j];
    double sum = cpu_add_lanes(lanes);
    float inv = (float)(1.0 / sum);
    for (int j = 0; j < n; j++) s[j] *= inv;
    return (float)((double)max + log(sum));
}

/* Keys and values of one head. */
typedef struct head {
    const float *k, *v;
    int ld;
} head;

/* Copies of the span's keys and values, with recomputed rows in place of kept ones. */
static head overlaid(const k_attn *a, const k_span *s, int row_width, int k_at, int v_at) {
    float *k = cpu_scratch(SLOT_KEYS, at(s->n_k, 2 * a->hd)), *v = k + a->hd;
    size_t bytes = (size_t)a->hd * sizeof *k;
    for (int j = 0; j < s->n_k; j++) {
        int over = a->overlay[s->over + j];
        const float *row = over >= 0 ? cpu_const_floats(a->qkv) + at(over, row_width)
                                     : cpu_const_floats(a->keys) + at(s->k0 + j, row_width);
        memcpy(k + at(j, 2 * a->hd), row + k_at, bytes);
        memcpy(v + at(j, 2 * a->hd), row + v_at, bytes);
    }
    return (head){k, v, 2 * a->hd};
}

static head head_of_span(const k_attn *a, const k_span *s, int h) {
    int width = (a->H + 2 * a->KV) * a->hd, kv = h / (a->H / a->KV);
    int k_at = (a->H + kv) * a->hd, v_at = k_at + a->KV * a->hd;
    if (s->over >= 0) return overlaid(a, s, width, k_at, v_at);
    const float *first = cpu_const_floats(a->keys) + at(s->k0, width);
    return (head){first + k_at, first + v_at, width};
}

/* Query rows [first, first+n) of head h over the span's keys. */
static void attend_block(const k_attn *a, const k_span *span, int h, int first, int n) {
    int width = (a->H + 2 * a->KV) * a->hd, n_k = span->n_k;
    head kv = head_of_span(a, span, h);
    float *s = cpu_scratch(SLOT_SCORES, at(n, n_k));
    cpu_gemm_small(&(cpu_product){.tb = true,
                                  .m = n,
                                  .n = n_k,
                                  .k = a->hd,
                                  .alpha = 1.0f / sqrtf((float)a->hd),
                                  .a = cpu_const_floats(a->qkv) + at(first, width) + at(h, a->hd),
                                  .lda = width,
                                  .b = kv.k,
                                  .ldb = kv.ld,
                                  .c = s,
                                  .ldc = n_k});
    for (int i = 0; i < n; i++) a->lse[at(first + i, a->H) + (size_t)h] = softmax_row(s + at(i, n_k), n_k);
    cpu_gemm_small(&(cpu_product){.m = n,
                                  .n = a->hd,
                                  .k = n_k,
                                  .alpha = 1,
                                  .a = s,
                                  .lda = n_k,
                                  .b = kv.v,
                                  .ldb = kv.ld,
                                  .c = cpu_floats(a->o) + at(first, a->H * a->hd) + at(h, a->hd),
                                  .ldc = a->H * a->hd});
}

static size_t score_count(const k_attn *a) {
    size_t n = 0;
    for (int s = 0; s < a->n_spans; s++) n += at(a->spans[s].n_q, a->spans[s].n_k * a->H);
    return n;
}

/* Queries of a task: twice as many where there are tasks enough and the scores stay in a core's cache,
 * because keys and values are packed for each. */
static int queries_at_once(const k_attn *a) {
    int longest = 0, blocks = (a->max_q + 2 * QUERY_BLOCK - 1) / (2 * QUERY_BLOCK);
    for (int s = 0; s < a->n_spans; s++) longest = a->spans[s].n_k > longest ? a->spans[s].n_k : longest;
    bool enough = a->n_spans * a->H * blocks >= 4 * kernels_threads();
    return enough && 2 * QUERY_BLOCK * longest <= MOST_SCORES ? 2 * QUERY_BLOCK : QUERY_BLOCK;
}

void cpu_attention(kernels *k, const k_attn *a) {
    (void)k;
    assert(a->KV > 0 && a->H % a->KV == 0);
    if (cpu_failed()) return;
    int most = queries_at_once(a), blocks = (a->max_q + most - 1) / most;
    PARALLEL_FOR(score_count(a) >= PARALLEL_MIN)
    for (int t = 0; t < a->n_spans * a->H * blocks; t++) {
        const k_span *s = a->spans + t / blocks / a->H;
        int first = t % blocks * most, left = s->n_q - first;
        if (left <= 0) continue;
        assert(s->n_k > 0 && s->n_q <= a->max_q);
        attend_block(a, s, t / blocks % a->H, s->q0 + first, left < most ? left : most);
    }
}
