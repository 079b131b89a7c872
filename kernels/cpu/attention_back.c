/* attention_back.c - attention backward on the active query rows alone.
 *
 * With P = softmax(S), S = q·kᵀ/sqrt(hd) recomputed from the saved log-sum-exp,
 *     dP_ik = do_i·v_k,   dS_ik = P_ik (dP_ik - do_i·o_i)/sqrt(hd),
 *     dq_i = Σ_k dS_ik k_k over all keys,
 *     dk_k = Σ_i dS_ik q_i and dv_k = Σ_i P_ik do_i over active i, for active k only.
 * One task is a key/value head: it alone writes that head's dk and dv. P of a block of queries is
 * the same for every seed and computed once. */
#include "kernels/cpu/cpu.h"

#include <assert.h>
#include <math.h>

enum { QUERY_BLOCK = 64, FETCHED_BYTES = 1 << 19 };

/* A block of queries of one head, while it is worked on. Offsets are of this head in a row. */
typedef struct block {
    const k_attn_back *a;
    int h, first, n;          /* query head; rows of A */
    int row_width, out_width; /* of qkv and dqkv; of o and do_ */
    int k_at, v_at;           /* this kv head */
    const float *keys;        /* first key row of qkv */
    float *q, *p, *ds, *cols; /* [n][hd], [n][n_k] twice, [n][A] */
    bool fresh;               /* first block of this kv head: dk and dv are overwritten */
} block;

CPU_CLONES static double dot(const float *x, const float *y, int n) {
    double s[CPU_LANES] = {0};
    int whole = n - n % CPU_LANES;
    for (int j = 0; j < whole; j += CPU_LANES) {
        for (int i = 0; i < CPU_LANES; i++) s[i] += (double)x[j + i] * y[j + i];
    }
    for (int j = whole; j < n; j++) s[j % CPU_LANES] += (double)x[j] * y[j];
    return cpu_add_lanes(s);
}

static int row_of(const block *b, int i) {
    return b->a->rows[b->first + i];
}

static void gather_queries(const block *b) {
    int hd = b->a->hd;
    for (int i = 0; i < b->n; i++) {
        const float *row = cpu_const_floats(b->a->qkv) + at(row_of(b, i), b->row_width);
        memcpy(b->q + at(i, hd), row + at(b->h, hd), (size_t)hd * sizeof *row);
    }
}

CPU_CLONES static void probability_row(float *p, int n, float lse) {
    for (int k = 0; k < n; k++) p[k] -= lse;
    cpu_exp_floats(p, n);
}

/* ds: dP becomes dS. */
CPU_CLONES static void gradient_row(float *restrict ds, const float *restrict p, int n, float delta,
                                    float scale) {
    for (int k = 0; k < n; k++) ds[k] = p[k] * (ds[k] - delta) * scale;
}

/* p = P of the block. */
static void probabilities(const block *b) {
    const k_attn_back *a = b->a;
    gather_queries(b);
    cpu_gemm_small(&(cpu_product){.tb = true,
                                  .m = b->n,
                                  .n = a->n_k,
                                  .k = a->hd,
                                  .alpha = 1.0f / sqrtf((float)a->hd),
                                  .a = b->q,
                                  .lda = a->hd,
                                  .b = b->keys + b->k_at,
                                  .ldb = b->row_width,
                                  .c = b->p,
                                  .ldc = a->n_k});
    for (int i = 0; i < b->n; i++) {
        float lse = a->lse[at(row_of(b, i), a->H) + (size_t)b->h];
        probability_row(b->p + at(i, a->n_k), a->n_k, lse);
    }
}

/* ds = dS of the block for output gradients `dout` (of this head, a row out_width apart). */
static void score_gradients(const block *b, const float *dout) {
    const k_attn_back *a = b->a;
    cpu_gemm_small(&(cpu_product){.tb = true,
                                  .m = b->n,
                                  .n = a->n_k,
                                  .k = a->hd,
                                  .alpha = 1,
                                  .a = dout,
                                  .lda = b->out_width,
                                  .b = b->keys + b->v_at,
                                  .ldb = b->row_width,
                                  .c = b->ds,
                                  .ldc = a->n_k});
    for (int i = 0; i < b->n; i++) {
        const float *o = cpu_const_floats(a->o) + at(row_of(b, i), b->out_width) + at(b->h, a->hd);
        float delta = (float)dot(dout + at(i, b->out_width), o, a->hd);
        gradient_row(b->ds + at(i, a->n_k), b->p + at(i, a->n_k), a->n_k, delta, 1.0f / sqrtf((float)a->hd));
    }
}

/* out[j] (+)= Σ_i m_i,key(j) · rows_i for every row j of A. */
static void columns_times(const block *b, const float *m, const float *rows, int ld, float *out) {
    const k_attn_back *a = b->a;
    for (int i = 0; i < b->n; i++) {
        float *cols = b->cols + at(i, a->n);
        const float *from = m + at(i, a->n_k);
        for (int j = 0; j < a->n; j++) cols[j] = from[a->rows[j] - a->k0];
    }
    cpu_gemm_small(&(cpu_product){.ta = true,
                                  .m = a->n,
                                  .n = a->hd,
                                  .k = b->n,
                                  .alpha = 1,
                                  .a = b->cols,
                                  .lda = a->n,
                                  .b = rows,
                                  .ldb = ld,
                                  .beta = b->fresh ? 0.0f : 1.0f,
                                  .c = out,
                                  .ldc = b->row_width});
}

/* The same for the diagonal alone. */
static void diagonal_times(const block *b, const float *m, const float *rows, int ld, float *out) {
    const k_attn_back *a = b->a;
    for (int i = 0; i < b->n; i++) {
        float c = m[at(i, a->n_k) + (size_t)(row_of(b, i) - a->k0)];
        const float *src = rows + at(i, ld);
        float *dst = out + at(b->first + i, b->row_width);
        for (int t = 0; t < a->hd; t++) dst[t] += c * src[t];
    }
}

/* Row 0 of a seed's dqkv. */
static float *gradients(const block *b, int seed) {
    return cpu_floats(b->a->dqkv) + at(seed, b->a->n) * (size_t)b->row_width;
}

static void back_seed(const block *b, int seed) {
    const k_attn_back *a = b->a;
    float *out = gradients(b, seed);
    size_t row = at(seed, a->n) + (size_t)b->first;
    const float *dout = cpu_const_floats(a->do_) + row * (size_t)b->out_width + at(b->h, a->hd);
    score_gradients(b, dout);
    cpu_gemm_small(&(cpu_product){.m = b->n,
                                  .n = a->hd,
                                  .k = a->n_k,
                                  .alpha = 1,
                                  .a = b->ds,
                                  .lda = a->n_k,
                                  .b = b->keys + b->k_at,
                                  .ldb = b->row_width,
                                  .c = out + at(b->first, b->row_width) + at(b->h, a->hd),
                                  .ldc = b->row_width});
    void (*keys)(const block *, const float *, const float *, int, float *) =
        a->local ? diagonal_times : columns_times;
    keys(b, b->ds, b->q, a->hd, out + b->k_at);
    keys(b, b->p, dout, b->out_width, out + b->v_at);
}

static void zero_head(const block *b, int offset) {
    const k_attn_back *a = b->a;
    for (int s = 0; s < a->seeds; s++) {
        float *out = gradients(b, s) + offset;
        for (int i = 0; i < a->n; i++) memset(out + at(i, b->row_width), 0, (size_t)a->hd * sizeof *out);
    }
}

static block block_of_kv_head(const k_attn_back *a, int kv) {
    int most = a->n < QUERY_BLOCK ? a->n : QUERY_BLOCK;
    block b = {.a = a, .row_width = (a->H + 2 * a->KV) * a->hd, .out_width = a->H * a->hd, .fresh = true};
    b.k_at = (a->H + kv) * a->hd;
    b.v_at = b.k_at + a->KV * a->hd;
    b.keys = cpu_const_floats(a->qkv) + at(a->k0, b.row_width);
    b.q = cpu_scratch(SLOT_KEYS, at(most, a->hd));
    b.p = cpu_scratch(SLOT_SCORES, at(most, a->n_k));
    b.ds = cpu_scratch(SLOT_GRADS, at(most, a->n_k));
    b.cols = cpu_scratch(SLOT_COLS, at(most, a->n));
    return b;
}

static void back_kv_head(const k_attn_back *a, int kv) {
    int group = a->H / a->KV;
    block b = block_of_kv_head(a, kv);
    if (a->local) {
        zero_head(&b, b.k_at);
        zero_head(&b, b.v_at);
    }
    for (b.h = kv * group; b.h < (kv + 1) * group; b.h++) {
        for (b.first = 0; b.first < a->n; b.first += QUERY_BLOCK) {
            b.n = a->n - b.first < QUERY_BLOCK ? a->n - b.first : QUERY_BLOCK;
            probabilities(&b);
            for (int s = 0; s < a->seeds; s++) back_seed(&b, s);
            b.fresh = false;
        }
    }
}

/* A load, because processors leave out prefetches in quick succession. */
static void touch(const float *p) {
    (void)*(const volatile float *)p;
}

/* Keys and values of a few heads, which have long left the caches, into this core's: read in the order in
 * which they lie, while a head's own rows are far apart. */
static void fetch_heads(const k_attn_back *a, int kv, int n) {
    enum { LINE = 64 / sizeof(float) };
    int row_width = (a->H + 2 * a->KV) * a->hd, width = n * a->hd;
    const float *keys = cpu_const_floats(a->qkv) + at(a->k0, row_width) + at(a->H + kv, a->hd);
    for (int i = 0; i < a->n_k; i++, keys += row_width) {
        for (int j = 0; j < width; j += LINE) touch(keys + j);
        for (int j = 0; j < width; j += LINE) touch(keys + at(a->KV, a->hd) + j);
    }
}

/* Heads that are fetched at once. */
static int heads_at_once(const k_attn_back *a) {
    size_t head = 2 * at(a->n_k, a->hd) * sizeof(float), fit = FETCHED_BYTES / head;
    int share = (a->KV + kernels_threads() - 1) / kernels_threads();
    return fit < 1 ? 1 : fit < (size_t)share ? (int)fit : share;
}

static void back_heads(const k_attn_back *a, int first, int n) {
    if (first + n > a->KV) n = a->KV - first;
    fetch_heads(a, first, n);
    for (int kv = first; kv < first + n; kv++) back_kv_head(a, kv);
}

/* Reading keys and values takes about as long as multiplying them by 16 rows of A, three times. */
static bool worth_threads(const k_attn_back *a) {
    return 3.0 * ((double)a->seeds * a->n + 16) * a->n_k * a->H * a->hd >= PARALLEL_MIN_MADDS;
}

void cpu_attention_back(kernels *k, const k_attn_back *a, k_counts *c) {
    (void)k;
    if (c) c->attn_calls++, c->attn_rows += (int64_t)a->seeds * a->n;
    if (a->n <= 0 || a->seeds <= 0 || cpu_failed()) return;
    assert(a->n_k > 0 && a->KV > 0 && a->H % a->KV == 0);
    for (int i = 0; i < a->n; i++) assert(a->rows[i] >= a->k0 && a->rows[i] < a->k0 + a->n_k);
    int some = heads_at_once(a);
    PARALLEL_FOR(worth_threads(a))
    for (int kv = 0; kv < a->KV; kv += some) back_heads(a, kv, some);
}
