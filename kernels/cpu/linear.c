/* linear.c - products with a weight, and embedding rows.
 *
 * Weights that are not float32 are widened (widen.c) a tile of output rows at a time: the tile stays in cache
 * between its widening and its product, and no float32 copy of a whole matrix ever exists. */
#include "kernels/cpu/cpu.h"

#include <assert.h>

enum { TILE_FLOATS = 1 << 20 };

/* Rows that the product can read where they lie. */
static bool readable(const k_matrix *w) {
    return w->dtype == K_F32 && (uintptr_t)w->data % sizeof(float) == 0;
}

static int tile_rows(const k_matrix *w) {
    if (readable(w)) return w->rows;
    int n = TILE_FLOATS / w->cols;
    return n < 16 ? 16 : n;
}

static const float *widened(const k_matrix *w, int first, int n) {
    if (readable(w)) return (const float *)w->data + at(first, w->cols);
    float *tile = cpu_scratch(SLOT_TILE, at(n, w->cols));
    PARALLEL_FOR(at(n, w->cols) >= PARALLEL_MIN / 4)
    for (int i = 0; i < n; i++) cpu_widen(tile + at(i, w->cols), w, first + i);
    return tile;
}

/* The part that holds row *row, which becomes a row of that part. */
static const k_matrix *find_part(const k_weight *w, int *row) {
    assert(*row >= 0 && *row < w->rows);
    const k_matrix *m = w->part;
    for (; *row >= m->rows; m++) *row -= m->rows;
    return m;
}

static int least(int a, int b) {
    return a < b ? a : b;
}

bool cpu_next_tile(const k_weight *w, int end, int most, cpu_tile *t) {
    t->first += t->n;
    if (t->first >= end) return false;
    int row = t->first;
    const k_matrix *m = find_part(w, &row);
    t->n = least(least(least(tile_rows(m), most), m->rows - row), end - t->first);
    t->data = widened(m, row, t->n);
    return true;
}

/* y[n][w.rows] = scale·x Wᵀ */
static void product(float *y, const float *x, int n, const k_weight *w, float scale) {
    for (cpu_tile t = {0}; cpu_next_tile(w, w->rows, w->rows, &t);) {
        cpu_gemm(&(cpu_product){.tb = true,
                                .m = n,
                                .n = t.n,
                                .k = w->cols,
                                .alpha = scale,
                                .a = x,
                                .lda = w->cols,
                                .b = t.data,
                                .ldb = w->cols,
                                .c = y + t.first,
                                .ldc = w->rows});
    }
}

static void add_bias(float *y, const float *bias, int n, int width) {
    for (int i = 0; i < n; i++) {
        float *row = y + at(i, width);
        for (int j = 0; j < width; j++) row[j] += bias[j];
    }
}

void cpu_linear(kernels *k, k_act *y, const k_act *x, int n, const k_weight *w) {
    (void)k;
    if (n <= 0 || cpu_failed()) return;
    product(cpu_floats(y), cpu_const_floats(x), n, w, 1);
    if (w->bias) add_bias(cpu_floats(y), w->bias, n, w->rows);
}

void cpu_logits(kernels *k, float *z, const k_act *x, int n, const k_weight *w, float scale) {
    (void)k;
    if (n <= 0 || cpu_failed()) return;
    product(z, cpu_const_floats(x), n, w, scale);
    if (w->bias) add_bias(z, w->bias, n, w->rows);
}

void cpu_linear_back(kernels *k, k_act *dx, const k_act *dy, int n, const k_weight *w, k_counts *c) {
    (void)k;
    if (c) c->linear_calls++, c->linear_rows += n;
    if (n <= 0 || cpu_failed()) return;
    for (cpu_tile t = {0}; cpu_next_tile(w, w->rows, w->rows, &t);) {
        cpu_gemm(&(cpu_product){.m = n,
                                .n = w->cols,
                                .k = t.n,
                                .alpha = 1,
                                .a = cpu_const_floats(dy) + t.first,
                                .lda = w->rows,
                                .b = t.data,
                                .ldb = w->cols,
                                .beta = t.first ? 1.0f : 0.0f,
                                .c = cpu_floats(dx),
                                .ldc = w->cols});
    }
}

void cpu_embed(kernels *k, float *x, const int32_t *ids, int n, const k_weight *w, float scale) {
    (void)k;
    if (cpu_failed()) return;
    for (int i = 0; i < n; i++) {
        int row = ids[i];
        const k_matrix *m = find_part(w, &row);
        float *out = x + at(i, w->cols);
        cpu_widen(out, m, row);
        for (int j = 0; j < w->cols && scale != 1.0f; j++) out[j] *= scale;
    }
}
