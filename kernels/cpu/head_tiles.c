/* head_tiles.c - the head's product together with what its logits are for, in tiles of the vocabulary.
 *
 * Some rows' logits of a run of ids are computed, looked at and left: they stay in the caches, and memory
 * holds neither logits nor gradients of whole rows. What comes out of statistics does not depend on a tile's
 * width (head.h), and sums over the vocabulary add tile to tile, so for them the width follows from the
 * number of rows alone. */
#include <assert.h>

#include "kernels/cpu/head.h"

enum {
    TILE_FLOATS = 1 << 19, /* of a tile, for each thread: docs/performance.md */
    SUM_FLOATS = 1 << 20,  /* of a tile of a sum, for all threads */
    MOST_ROWS = 512        /* at once; a product packs no more at a time either */
};

static int least(int a, int b) {
    return a < b ? a : b;
}

/* Ids of a tile of n rows: whole chunks. */
static int tile_ids(int floats, int n, int V) {
    int chunks = floats / CPU_HEAD_CHUNK / n;
    return least(V, (chunks < 1 ? 1 : least(chunks, V / CPU_HEAD_CHUNK + 1)) * CPU_HEAD_CHUNK);
}

/* ---- statistics ---- */

/* Of rows [from, from+n) into stats[n] and top[n]. */
static void say(kernels *k, k_row_stats *stats, k_top *top, const k_head *h, int from, int n) {
    int V = h->w->rows, ids = tile_ids(TILE_FLOATS * least(kernels_threads(), 1024), n, V);
    const float *x = cpu_const_floats(h->x) + at(from, h->w->cols);
    cpu_gathered *g = (cpu_gathered *)(void *)cpu_scratch(SLOT_HEAD, (size_t)n * sizeof *g / sizeof(float));
    for (int i = 0; i < n; i++) g[i] = cpu_gather_none(top ? K_TOP : 2);
    for (int first = 0; first < V; first += ids) {
        int count = least(ids, V - first);
        float *z = cpu_scratch(SLOT_SCORES, at(n, count));
        cpu_logits_of(k, z, x, n, h->w, h->scale, first, count);
        PARALLEL_FOR(at(n, count) >= PARALLEL_MIN)
        for (int i = 0; i < n; i++) {
            cpu_gather(g + i, z + at(i, count), first, count, h->mask);
            if (h->z) memcpy(h->z + at(from + i, V) + first, z + at(i, count), (size_t)count * sizeof *z);
        }
    }
    for (int i = 0; i < n; i++) stats[i] = cpu_gather_end(g + i, top ? top + i : NULL);
}

void cpu_head(kernels *k, k_row_stats *stats, k_top *top, const k_head *h, int n) {
    if (cpu_failed()) return;
    for (int i = 0; i < n; i += MOST_ROWS)
        say(k, stats + i, top ? top + i : NULL, h, i, least(n - i, MOST_ROWS));
}

/* ---- sums over the vocabulary ---- */

/* Σ_v f(z_iv)·W_v of up to MOST_ROWS rows, f being π or its entropy's slope. */
typedef struct summing {
    kernels *k;
    const k_head *h;
    const k_row_stats *stats;
    const int *rows; /* NULL: 0, 1, 2, ... from `from` on */
    int from, n;
    bool slopes;
    const k_weight *w; /* what is summed up */
    float *out;        /* [n][w.cols] */
} summing;

static int row_of(const summing *s, int i) {
    return s->rows ? s->rows[s->from + i] : s->from + i;
}

/* The rows that enter the head's product, where logits are not stored. */
static const float *gather_inputs(const summing *s) {
    int d = s->h->w->cols;
    if (!s->rows) return cpu_const_floats(s->h->x) + at(s->from, d);
    float *x = cpu_scratch(SLOT_HEAD, at(s->n, d));
    for (int i = 0; i < s->n; i++)
        memcpy(x + at(i, d), cpu_const_floats(s->h->x) + at(row_of(s, i), d), (size_t)d * sizeof *x);
    return x;
}

/* f of `count` ids from `first` on of every row into p [n][count], which holds the logits unless those are
 * stored. */
static void fill(const summing *s, float *p, int first, int count) {
    const k_head *h = s->h;
    PARALLEL_FOR(at(s->n, count) >= PARALLEL_MIN)
    for (int i = 0; i < s->n; i++) {
        int row = row_of(s, i);
        float *to = p + at(i, count);
        const float *z = h->z ? h->z + at(row, h->w->rows) + first : to;
        if (s->slopes)
            cpu_entropy_slopes(to, z, s->stats + row, (double)h->scale, first, count, h->mask);
        else
            cpu_probabilities(to, z, s->stats + row, first, count, h->mask);
    }
}

static void sum_rows(const summing *s) {
    const k_head *h = s->h;
    int V = h->w->rows, ids = tile_ids(SUM_FLOATS, s->n, V);
    const float *x = h->z ? NULL : gather_inputs(s);
    for (int first = 0; first < V; first += ids) {
        int count = least(ids, V - first);
        float *p = cpu_scratch(SLOT_SCORES, at(s->n, count));
        if (x) cpu_logits_of(s->k, p, x, s->n, h->w, h->scale, first, count);
        fill(s, p, first, count);
        cpu_back(s->k, s->out, p, count, s->n, s->w, first, count);
    }
}

static void sum_all(summing *s, float *out, int n) {
    if (cpu_failed()) return;
    assert(s->h->w->rows <= s->w->rows);
    for (s->from = 0; s->from < n; s->from += MOST_ROWS) {
        s->n = least(n - s->from, MOST_ROWS);
        s->out = out + at(s->from, s->w->cols);
        sum_rows(s);
    }
}

void cpu_head_back(kernels *k, k_act *dx, const k_head *h, const k_row_stats *stats, const int *rows, int n,
                   k_counts *c) {
    if (c) c->head_calls++, c->head_rows += n, c->linear_calls++, c->linear_rows += n;
    summing s = {.k = k, .h = h, .stats = stats, .rows = rows, .slopes = true, .w = h->w};
    sum_all(&s, cpu_floats(dx), n);
}

void cpu_head_soft(kernels *k, float *out, const k_head *h, const k_row_stats *stats, const int *rows, int n,
                   const k_weight *E) {
    summing s = {.k = k, .h = h, .stats = stats, .rows = rows, .w = E};
    sum_all(&s, out, n);
}
