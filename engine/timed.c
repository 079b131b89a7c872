/* timed.c - a device in front of another that times its operations.
 *
 * Which product an operation is about is told by the weight. A backward begins with the entropy's gradient
 * and ends where the next forward or head begins. */
#include "engine/timed.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/mem.h"
#include "engine/denoiser_impl.h"
#include "kernels/blocks.h"

typedef struct timed {
    kernels base; /* first */
    kernels *real;
    const denoiser *d;
    phase_times *times;
    bool backward;
    double began;
    k_fault fault; /* met while waiting; kept until asked for */
} timed;

/* An operation that is not wrapped below would get a device that is not its own. */
_Static_assert((sizeof(kernels) - offsetof(kernels, close)) / sizeof(void (*)(void)) == 39,
               "a new operation needs a wrapper here");

const char *phase_name(phase p) {
    static const char *const names[N_PHASES] = {
        "embedding",
        "norms",
        "qkv",
        "attention",
        "output",
        "mlp",
        "head",
        "selection",
        "soft writes",
        "backward head",
        "backward mlp",
        "backward output",
        "backward attention",
        "backward qkv",
        "backward norms",
    };
    return names[p];
}

/* ---- counting ---- */

static timed *timer(kernels *k) {
    return (timed *)k;
}

static kernels *start(kernels *k) {
    timed *t = timer(k);
    t->began = clock_now();
    return t->real;
}

/* Waits where the device is not the host. */
static void stop(kernels *k, phase p, double flops, double bytes) {
    timed *t = timer(k);
    k_fault f;
    if (!k->host && t->real->fault(t->real, &f) && t->fault.kind == K_OK) t->fault = f;
    phase_time *at = &t->times->at[p];
    at->seconds += clock_now() - t->began;
    at->flops += flops;
    at->bytes += bytes;
    at->calls++;
}

static phase either(kernels *k, phase forward, phase backward) {
    return timer(k)->backward ? backward : forward;
}

static double acts(const kernels *k, double n) {
    return n * k->act_bytes;
}

static double floats(double n) {
    return n * (double)sizeof(float);
}

/* As the weight lies in memory. */
static double weight_bytes(const kernels *k, const k_weight *w) {
    double bytes = 0;
    for (int i = 0; i < w->n_parts; i++) {
        const k_matrix *m = &w->part[i];
        bool stored = k->host || k_is_block(m->dtype);
        bytes += (double)m->rows * (stored ? (double)k_row_bytes(m->dtype, m->cols) : acts(k, m->cols));
    }
    return bytes;
}

static double product_flops(int n, const k_weight *w) {
    return 2.0 * n * w->rows * w->cols;
}

static phase phase_of(kernels *k, const k_weight *w) {
    static const phase forward[] = {PHASE_QKV, PHASE_OUTPUT, PHASE_MLP, PHASE_MLP, PHASE_HEAD},
                       backward[] = {PHASE_BACK_QKV, PHASE_BACK_OUTPUT, PHASE_BACK_MLP, PHASE_BACK_MLP,
                                     PHASE_BACK_HEAD};
    const denoiser *d = timer(k)->d;
    weight_part part = d->ops->part ? d->ops->part(d, w) : PART_OTHER;
    return timer(k)->backward ? backward[part] : forward[part];
}

/* ---- memory: not timed ---- */

static void timed_close(kernels *k) {
    timed *t = timer(k);
    t->real->close(t->real);
    free(t);
}

static int timed_fork(kernels *k, kernels **out, k_fault *f) {
    return timer(k)->real->fork(timer(k)->real, out, f);
}

static void *timed_alloc(kernels *k, size_t bytes) {
    return timer(k)->real->alloc(timer(k)->real, bytes);
}

static void timed_free(kernels *k, void *p) {
    timer(k)->real->free(timer(k)->real, p);
}

static void timed_put(kernels *k, void *dst, const void *src, size_t bytes) {
    timer(k)->real->put(timer(k)->real, dst, src, bytes);
}

static void timed_get(kernels *k, void *dst, const void *src, size_t bytes) {
    timer(k)->real->get(timer(k)->real, dst, src, bytes);
}

static void timed_zero(kernels *k, void *p, size_t bytes) {
    timer(k)->real->zero(timer(k)->real, p, bytes);
}

static void timed_memory(kernels *k, k_memory *out) {
    timer(k)->real->memory(timer(k)->real, out);
}

static bool timed_fault(kernels *k, k_fault *f) {
    timed *t = timer(k);
    if (t->fault.kind == K_OK) return t->real->fault(t->real, f);
    *f = t->fault;
    t->fault = (k_fault){0};
    return true;
}

static bool timed_load(kernels *k, k_weight *w) {
    return timer(k)->real->load(timer(k)->real, w);
}

static void timed_unload(kernels *k, k_weight *w) {
    timer(k)->real->unload(timer(k)->real, w);
}

static const float *timed_load_floats(kernels *k, const float *host, int n) {
    return timer(k)->real->load_floats(timer(k)->real, host, n);
}

/* A replayed graph would have no operations to time. */
static bool timed_graph_begin(kernels *k, const void *key, size_t key_bytes) {
    (void)k;
    (void)key;
    (void)key_bytes;
    return false;
}

static bool timed_graph_end(kernels *k) {
    (void)k;
    return false;
}

/* ---- operations ---- */

static void timed_embed(kernels *k, float *x, const int32_t *ids, int n, const k_weight *w, float scale) {
    kernels *real = start(k);
    timer(k)->backward = false;
    real->embed(real, x, ids, n, w, scale);
    stop(k, PHASE_EMBEDDING, 0, floats(2.0 * n * w->cols));
}

static void timed_rows(kernels *k, float *y, const int *dst, const float *x, const int *src,
                       const float *coef, int n, int d) {
    kernels *real = start(k);
    real->rows(real, y, dst, x, src, coef, n, d);
    stop(k, either(k, PHASE_EMBEDDING, PHASE_BACK_NORMS), 0, floats(2.0 * n * d));
}

static void timed_narrow(kernels *k, k_act *y, const float *x, size_t n) {
    kernels *real = start(k);
    real->narrow(real, y, x, n);
    stop(k, either(k, PHASE_NORMS, PHASE_BACK_NORMS), 0, floats((double)n) + acts(k, (double)n));
}

static void timed_gate(kernels *k, k_act *y, const float *x, const float *w, int n, int d) {
    kernels *real = start(k);
    real->gate(real, y, x, w, n, d);
    double cells = (double)n * d;
    stop(k, either(k, PHASE_NORMS, PHASE_BACK_NORMS), 0, floats(cells) + acts(k, cells));
}

static void timed_norm(kernels *k, const k_norm *a) {
    kernels *real = start(k);
    real->norm(real, a);
    double cells = (double)a->n * a->d;
    double bytes = floats(cells * (a->sum ? 2 : 1)) + acts(k, cells * ((a->y ? 1 : 0) + (a->h ? 1 : 0)));
    stop(k, either(k, PHASE_NORMS, PHASE_BACK_NORMS), 0, bytes);
}

static void timed_norm_back(kernels *k, const k_norm_back *a) {
    kernels *real = start(k);
    real->norm_back(real, a);
    double cells = (double)a->n * a->d;
    stop(k, PHASE_BACK_NORMS, 0, floats(cells * (a->add ? 3 : 2)) + acts(k, cells));
}

static void timed_head_norm(kernels *k, const k_head_norm *a) {
    kernels *real = start(k);
    real->head_norm(real, a);
    stop(k, PHASE_QKV, 0, acts(k, (a->raw ? 3.0 : 2.0) * a->n * a->heads * a->hd));
}

static void timed_head_norm_back(kernels *k, const k_head_norm_back *a) {
    kernels *real = start(k);
    real->head_norm_back(real, a);
    stop(k, PHASE_BACK_QKV, 0, acts(k, 3.0 * a->n * a->heads * a->hd));
}

static void timed_linear(kernels *k, k_act *y, const k_act *x, int n, const k_weight *w) {
    kernels *real = start(k);
    real->linear(real, y, x, n, w);
    stop(k, phase_of(k, w), product_flops(n, w),
         weight_bytes(k, w) + acts(k, (double)n * ((double)w->rows + w->cols)));
}

static void timed_logits(kernels *k, float *z, const k_act *x, int n, const k_weight *w, float scale) {
    kernels *real = start(k);
    timer(k)->backward = false;
    real->logits(real, z, x, n, w, scale);
    stop(k, PHASE_HEAD, product_flops(n, w),
         weight_bytes(k, w) + acts(k, (double)n * w->cols) + floats((double)n * w->rows));
}

static void timed_linear_back(kernels *k, k_act *dx, const k_act *dy, int n, const k_weight *w, k_counts *c) {
    kernels *real = start(k);
    real->linear_back(real, dx, dy, n, w, c);
    stop(k, phase_of(k, w), product_flops(n, w),
         weight_bytes(k, w) + acts(k, (double)n * ((double)w->rows + w->cols)));
}

static void timed_rope(kernels *k, k_act *x, int ld, const int *pos, int n, int heads, int hd,
                       const float *table, unsigned how) {
    kernels *real = start(k);
    real->rope(real, x, ld, pos, n, heads, hd, table, how);
    stop(k, how & K_ROPE_INVERSE ? PHASE_BACK_QKV : PHASE_QKV, 0, acts(k, 2.0 * n * heads * hd));
}

/* Spans lie in device memory: those of a batch count as if all were as long as the longest. */
static void timed_attention(kernels *k, const k_attn *a) {
    kernels *real = start(k);
    real->attention(real, a);
    double rows = (double)a->n_spans * a->max_q, keys = (double)a->n_spans * a->max_k;
    stop(k, PHASE_ATTENTION, 4 * rows * a->max_k * a->H * a->hd,
         acts(k, a->hd * (2 * rows * a->H + 2 * keys * a->KV)));
}

/* Scores again, dP and dq over all keys; dk and dv of A's own rows. */
static void timed_attention_back(kernels *k, const k_attn_back *a, k_counts *c) {
    kernels *real = start(k);
    real->attention_back(real, a, c);
    double n = a->n, own = a->local ? 1 : n, width = (double)a->H * a->hd;
    double moved = a->seeds * n * (2 * width + (a->H + 2.0 * a->KV) * a->hd) + 2.0 * a->n_k * a->KV * a->hd;
    stop(k, PHASE_BACK_ATTENTION, a->seeds * n * width * (6.0 * a->n_k + 4 * own), acts(k, moved));
}

static void timed_swiglu(kernels *k, k_act *h, const k_act *gu, int n, int f) {
    kernels *real = start(k);
    real->swiglu(real, h, gu, n, f);
    stop(k, PHASE_MLP, 0, acts(k, 3.0 * n * f));
}

static void timed_swiglu_back(kernels *k, k_act *dgu, const k_act *dh, const k_act *gu, const int *rows,
                              int n, int f) {
    kernels *real = start(k);
    real->swiglu_back(real, dgu, dh, gu, rows, n, f);
    stop(k, PHASE_BACK_MLP, 0, acts(k, 5.0 * n * f));
}

static void timed_gelu(kernels *k, k_act *h, const k_act *x, int n, int f) {
    kernels *real = start(k);
    real->gelu(real, h, x, n, f);
    stop(k, PHASE_MLP, 0, acts(k, 2.0 * n * f));
}

static void timed_gelu_back(kernels *k, k_act *dx, const k_act *dh, const k_act *x, const int *rows, int n,
                            int f) {
    kernels *real = start(k);
    real->gelu_back(real, dx, dh, x, rows, n, f);
    stop(k, PHASE_BACK_MLP, 0, acts(k, 3.0 * n * f));
}

static void timed_blend(kernels *k, float *z, const float *u, float s, size_t n) {
    kernels *real = start(k);
    real->blend(real, z, u, s, n);
    stop(k, PHASE_HEAD, 0, floats(3.0 * (double)n));
}

static void timed_head_stats(kernels *k, k_row_stats *stats, k_top *top, const float *logits, int n, int V,
                             int mask) {
    kernels *real = start(k);
    real->head_stats(real, stats, top, logits, n, V, mask);
    stop(k, PHASE_SELECTION, 0, floats((double)n * V));
}

static void timed_entropy_back(kernels *k, k_act *dz, const float *logits, const k_row_stats *stats,
                               const int *rows, int n, int V, int mask, float scale, k_counts *c) {
    kernels *real = start(k);
    timer(k)->backward = true;
    real->entropy_back(real, dz, logits, stats, rows, n, V, mask, scale, c);
    stop(k, PHASE_BACK_HEAD, 0, floats((double)n * V) + acts(k, (double)n * V));
}

static void timed_soft_write(kernels *k, float *out, const float *logits, const k_row_stats *stats,
                             const int *rows, int n, int V, int mask, const k_weight *E) {
    kernels *real = start(k);
    real->soft_write(real, out, logits, stats, rows, n, V, mask, E);
    stop(k, PHASE_SOFT, 2.0 * n * V * E->cols,
         weight_bytes(k, E) + floats((double)n * V) + floats((double)n * E->cols));
}

/* Statistics of the same logits cannot be told apart from the product. */
static void timed_head(kernels *k, k_row_stats *stats, k_top *top, const k_head *h, int n) {
    kernels *real = start(k);
    timer(k)->backward = false;
    real->head(real, stats, top, h, n);
    double stored = h->z ? (double)n * h->w->rows : 0;
    stop(k, PHASE_HEAD, product_flops(n, h->w),
         weight_bytes(k, h->w) + acts(k, (double)n * h->w->cols) + floats(stored));
}

/* Of the logits of n rows when they are needed again: arithmetic, and bytes. */
static double again_flops(const k_head *h, int n) {
    return h->z ? 0 : product_flops(n, h->w);
}

static double again_bytes(const kernels *k, const k_head *h, int n) {
    if (h->z) return floats((double)n * h->w->rows);
    return weight_bytes(k, h->w) + acts(k, (double)n * h->w->cols);
}

static void timed_head_back(kernels *k, k_act *dx, const k_head *h, const k_row_stats *stats, const int *rows,
                            int n, k_counts *c) {
    kernels *real = start(k);
    timer(k)->backward = true;
    real->head_back(real, dx, h, stats, rows, n, c);
    stop(k, PHASE_BACK_HEAD, product_flops(n, h->w) + again_flops(h, n),
         weight_bytes(k, h->w) + again_bytes(k, h, n) + acts(k, (double)n * h->w->cols));
}

static void timed_head_soft(kernels *k, float *out, const k_head *h, const k_row_stats *stats,
                            const int *rows, int n, const k_weight *E) {
    kernels *real = start(k);
    real->head_soft(real, out, h, stats, rows, n, E);
    stop(k, PHASE_SOFT, 2.0 * n * h->w->rows * E->cols + again_flops(h, n),
         weight_bytes(k, E) + again_bytes(k, h, n) + floats((double)n * E->cols));
}

static const kernels wrappers = {
    .close = timed_close,
    .fork = timed_fork,
    .alloc = timed_alloc,
    .free = timed_free,
    .put = timed_put,
    .get = timed_get,
    .zero = timed_zero,
    .memory = timed_memory,
    .fault = timed_fault,
    .load = timed_load,
    .unload = timed_unload,
    .load_floats = timed_load_floats,
    .graph_begin = timed_graph_begin,
    .graph_end = timed_graph_end,
    .embed = timed_embed,
    .rows = timed_rows,
    .narrow = timed_narrow,
    .gate = timed_gate,
    .norm = timed_norm,
    .norm_back = timed_norm_back,
    .head_norm = timed_head_norm,
    .head_norm_back = timed_head_norm_back,
    .linear = timed_linear,
    .logits = timed_logits,
    .linear_back = timed_linear_back,
    .rope = timed_rope,
    .attention = timed_attention,
    .attention_back = timed_attention_back,
    .swiglu = timed_swiglu,
    .swiglu_back = timed_swiglu_back,
    .gelu = timed_gelu,
    .gelu_back = timed_gelu_back,
    .blend = timed_blend,
    .head_stats = timed_head_stats,
    .entropy_back = timed_entropy_back,
    .soft_write = timed_soft_write,
};

int denoiser_fork_timed(denoiser **out, denoiser *d, phase_times *times, err *e) {
    *out = NULL;
    timed *t = mem_new(1, sizeof *t);
    if (!t) return err_set(e, ERR_NO_MEMORY, "out of memory");
    denoiser *fork;
    int rc = denoiser_fork(&fork, d, e);
    if (rc) {
        free(t);
        return rc;
    }
    t->base = wrappers;
    t->base.name = fork->k->name;
    t->base.act_bytes = fork->k->act_bytes;
    t->base.product_bytes = fork->k->product_bytes;
    t->base.host = fork->k->host;
    if (fork->k->head) {
        t->base.head = timed_head;
        t->base.head_back = timed_head_back;
        t->base.head_soft = timed_head_soft;
    }
    memcpy(t->base.title, fork->k->title, sizeof t->base.title);
    t->real = fork->k;
    t->d = fork;
    t->times = times;
    fork->k = &t->base;
    *out = fork;
    return 0;
}
