/* attention_back.c - attention backward on the active query rows alone.
 *
 * With P = softmax(S), S = q·kᵀ/sqrt(hd) recomputed from the saved log-sum-exp,
 *     dP_ik = do_i·v_k,   dS_ik = P_ik (dP_ik - do_i·o_i)/sqrt(hd),
 *     dq_i = Σ_k dS_ik k_k over all keys,
 *     dk_k = Σ_i dS_ik q_i and dv_k = Σ_i P_ik do_i over active i, for active k only.
 * One task is a key/value head: it alone writes that head's dk and dv. */
#include "kernels/cpu/cpu.h"

#include <assert.h>
#include <math.h>

enum { QUERY_BLOCK = 64 };

/* A block of queries of one head, while it is worked on. */
typedef struct block {
    const k_attn_back *a;
    int h, kv;     /* query head; key/value head */
    int first, n;  /* query rows */
    size_t q0, k0; /* offsets of the block in query-shaped arrays, of the head in key-shaped ones */
    int qw, kw;    /* row strides */
    float *p, *ds; /* [n][n_k] */
    bool fresh;    /* first block of this kv head: dk and dv are overwritten */
} block;

static double dot(const float *x, const float *y, int n) {
    double s = 0;
    for (int i = 0; i < n; i++) s += (double)x[i] * y[i];
    return s;
}

/* p: scores become P; ds: dP becomes dS. */
CPU_CLONES static void score_row(float *restrict p, float *restrict ds, int n, float lse, float delta,
                                 float scale) {
    for (int k = 0; k < n; k++) {
        p[k] = cpu_expf(p[k] - lse);
        ds[k] = p[k] * (ds[k] - delta) * scale;
    }
}

/* p = P and ds = dS of the block. */
static void probabilities(const block *b) {
    const k_attn_back *a = b->a;
    float scale = 1.0f / sqrtf((float)a->hd);
    cpu_gemm(&(cpu_product){.tb = true,
                            .m = b->n,
                            .n = a->n_k,
                            .k = a->hd,
                            .alpha = scale,
                            .a = a->q + b->q0,
                            .lda = b->qw,
                            .b = a->k + b->k0,
                            .ldb = b->kw,
                            .c = b->p,
                            .ldc = a->n_k});
    cpu_gemm(&(cpu_product){.tb = true,
                            .m = b->n,
                            .n = a->n_k,
                            .k = a->hd,
                            .alpha = 1,
                            .a = a->do_ + b->q0,
                            .lda = b->qw,
                            .b = a->v + b->k0,
                            .ldb = b->kw,
                            .c = b->ds,
                            .ldc = a->n_k});
    for (int i = 0; i < b->n; i++) {
        size_t row = b->q0 + at(i, b->qw);
        float lse = a->lse[at(b->first + i, a->H) + (size_t)b->h];
        float delta = (float)dot(a->do_ + row, a->o + row, a->hd);
        float *p = b->p + at(i, a->n_k), *ds = b->ds + at(i, a->n_k);
        score_row(p, ds, a->n_k, lse, delta, scale);
    }
}

/* out[j] (+)= Σ_i m_i,q_pos[j] · rows_i for every active j. */
static void columns_times(const block *b, const float *m, const float *rows, float *out) {
    const k_attn_back *a = b->a;
    float *cols = cpu_scratch(SLOT_COLS, at(b->n, a->n_q));
    for (int i = 0; i < b->n; i++) {
        for (int j = 0; j < a->n_q; j++)
            cols[at(i, a->n_q) + (size_t)j] = m[at(i, a->n_k) + (size_t)a->q_pos[j]];
    }
    cpu_gemm(&(cpu_product){.ta = true,
                            .m = a->n_q,
                            .n = a->hd,
                            .k = b->n,
                            .alpha = 1,
                            .a = cols,
                            .lda = a->n_q,
                            .b = rows + b->q0,
                            .ldb = b->qw,
                            .beta = b->fresh ? 0.0f : 1.0f,
                            .c = out + b->k0,
                            .ldc = b->kw});
}

/* The same for the diagonal alone: out[i] += m_i,q_pos[i] · rows_i. */
static void diagonal_times(const block *b, const float *m, const float *rows, float *out) {
    const k_attn_back *a = b->a;
    for (int i = 0; i < b->n; i++) {
        int j = b->first + i;
        float c = m[at(i, a->n_k) + (size_t)a->q_pos[j]];
        const float *src = rows + b->q0 + at(i, b->qw);
        float *dst = out + b->k0 + at(j, b->kw);
        for (int t = 0; t < a->hd; t++) dst[t] += c * src[t];
    }
}

static void back_block(const block *b) {
    const k_attn_back *a = b->a;
    probabilities(b);
    cpu_gemm(&(cpu_product){.m = b->n,
                            .n = a->hd,
                            .k = a->n_k,
                            .alpha = 1,
                            .a = b->ds,
                            .lda = a->n_k,
                            .b = a->k + b->k0,
                            .ldb = b->kw,
                            .c = a->dq + b->q0,
                            .ldc = b->qw});
    void (*keys)(const block *, const float *, const float *, float *) =
        a->local ? diagonal_times : columns_times;
    keys(b, b->ds, a->q, a->dk);
    keys(b, b->p, a->do_, a->dv);
}

static void zero_head(float *x, int n, int width, int hd) {
    for (int i = 0; i < n; i++) memset(x + at(i, width), 0, (size_t)hd * sizeof *x);
}

static void back_kv_head(const k_attn_back *a, int kv) {
    int group = a->H / a->KV, qw = a->H * a->hd, kw = a->KV * a->hd;
    int most = a->n_q < QUERY_BLOCK ? a->n_q : QUERY_BLOCK;
    size_t k0 = at(kv, a->hd);
    block b = {.a = a, .kv = kv, .k0 = k0, .qw = qw, .kw = kw, .fresh = true};
    b.p = cpu_scratch(SLOT_SCORES, at(most, a->n_k));
    b.ds = cpu_scratch(SLOT_GRADS, at(most, a->n_k));
    if (a->local) {
        zero_head(a->dk + k0, a->n_q, kw, a->hd);
        zero_head(a->dv + k0, a->n_q, kw, a->hd);
    }
    for (b.h = kv * group; b.h < (kv + 1) * group; b.h++) {
        for (b.first = 0; b.first < a->n_q; b.first += QUERY_BLOCK) {
            b.n = a->n_q - b.first < QUERY_BLOCK ? a->n_q - b.first : QUERY_BLOCK;
            b.q0 = at(b.first, qw) + at(b.h, a->hd);
            back_block(&b);
            b.fresh = false;
        }
    }
}

void cpu_attention_back(const k_attn_back *a, k_counts *c) {
    if (c) c->attn_calls++, c->attn_rows += a->n_q;
    if (a->n_q <= 0) return;
    assert(a->n_k > 0 && a->KV > 0 && a->H % a->KV == 0);
    for (int i = 0; i < a->n_q; i++) assert(a->q_pos[i] >= 0 && a->q_pos[i] < a->n_k);
    PARALLEL_FOR(at(a->n_q, a->n_k * a->H) >= PARALLEL_MIN)
    for (int kv = 0; kv < a->KV; kv++) back_kv_head(a, kv);
}
