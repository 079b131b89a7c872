/* linear.c - products with a weight, and embedding rows.
 *
 * Float32 products: weights that are not float32 are widened (widen.c) a tile of output rows at a time: the
 * tile stays in cache between its widening and its product, and no float32 copy of a whole matrix ever
 * exists. That is for processors without the vectors that product.c and product_back.c want, and for
 * backward products of weights that are not packed. */
#include "kernels/cpu/product.h"

#include <assert.h>

enum { TILE_FLOATS = 1 << 20 };

static int least(int a, int b) {
    return a < b ? a : b;
}

/* ---- tiles of a weight as float32 ---- */

/* Some rows: a view of the weight itself, or SLOT_TILE filled. */
typedef struct tile {
    const float *data;
    int first, n; /* rows [first, first+n) of all parts */
} tile;

/* Rows that the product can read where they lie. */
static bool readable(const k_matrix *w) {
    return w->dtype == K_F32 && (uintptr_t)w->data % sizeof(float) == 0;
}

static int tile_rows(const k_matrix *w, bool rounded) {
    if (readable(w) && !rounded) return w->rows;
    int n = TILE_FLOATS / w->cols;
    return n < 16 ? 16 : n;
}

static const float *widened(const k_matrix *w, int first, int n, bool rounded) {
    if (readable(w) && !rounded) return (const float *)w->data + at(first, w->cols);
    float *rows = cpu_scratch(SLOT_TILE, at(n, w->cols));
    PARALLEL_FOR(at(n, w->cols) >= PARALLEL_MIN / 4)
    for (int i = 0; i < n; i++) {
        cpu_widen(rows + at(i, w->cols), w, first + i);
        if (rounded) cpu_round_floats(rows + at(i, w->cols), (size_t)w->cols);
    }
    return rows;
}

/* The next tile before row `end`; t->first and t->n are of the last one, or where to begin and 0. */
static bool next_tile(const k_weight *w, int end, bool rounded, tile *t) {
    t->first += t->n;
    if (t->first >= end) return false;
    int row = t->first;
    const k_matrix *m = cpu_find_part(w, &row);
    t->n = least(least(tile_rows(m, rounded), m->rows - row), end - t->first);
    t->data = widened(m, row, t->n, rounded);
    return true;
}

/* ---- products ---- */

static void add_bias(float *y, const float *bias, int n, int width) {
    for (int i = 0; i < n; i++) {
        float *row = y + at(i, width);
        for (int j = 0; j < width; j++) row[j] += bias[j];
    }
}

static void product(float *y, const float *x, int n, const k_weight *w, float scale, bool rounded) {
    for (tile t = {0}; next_tile(w, w->rows, rounded, &t);) {
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
    if (w->bias) add_bias(y, w->bias, n, w->rows);
}

static void back(float *dx, const float *dy, int ldy, int n, const k_weight *w, int first, int rows,
                 bool rounded) {
    for (tile t = {.first = first}; next_tile(w, first + rows, rounded, &t);) {
        cpu_gemm(&(cpu_product){.m = n,
                                .n = w->cols,
                                .k = t.n,
                                .alpha = 1,
                                .a = dy + (t.first - first),
                                .lda = ldy,
                                .b = t.data,
                                .ldb = w->cols,
                                .beta = t.first ? 1.0f : 0.0f,
                                .c = dx,
                                .ldc = w->cols});
    }
}

/* Rows of x, ld apart, rounded. */
static const float *rounded_rows(const float *x, int ld, int n, int width) {
    float *rows = cpu_scratch(SLOT_ACTS, at(n, width));
    for (int i = 0; i < n; i++) {
        memcpy(rows + at(i, width), x + at(i, ld), (size_t)width * sizeof *rows);
        cpu_round_floats(rows + at(i, width), (size_t)width);
    }
    return rows;
}

void cpu_back(const kernels *k, float *dx, const float *dy, int ldy, int n, const k_weight *w, int first,
              int rows) {
    bool rounded = k->product_bytes == 2;
#ifdef CPU_X86
    const cpu_back_kind *kind = cpu_back_kind_of(rounded, w, n);
    if (kind) {
        cpu_wide_back(dx, dy, ldy, n, w, first, rows, kind);
        return;
    }
#endif
    if (rounded) dy = rounded_rows(dy, ldy, n, rows), ldy = rows;
    back(dx, dy, ldy, n, w, first, rows, rounded);
}

static void forward(const kernels *k, float *y, const float *x, int n, const k_weight *w, float scale) {
    bool rounded = k->product_bytes == 2;
#ifdef CPU_X86
    const cpu_kind *kind = cpu_kind_of(rounded);
    if (kind) {
        cpu_wide_product(y, x, n, w, scale, kind);
        return;
    }
#endif
    if (rounded) x = rounded_rows(x, w->cols, n, w->cols);
    product(y, x, n, w, scale, rounded);
}

/* Rows [first, first+rows) of a weight as one, without its copy, whose groups are as long as the whole. */
static k_weight rows_of(const k_weight *w, int first, int rows) {
    k_weight some = {.rows = rows, .cols = w->cols, .bias = w->bias ? w->bias + first : NULL};
    for (int i = 0, at = 0; i < w->n_parts; at += w->part[i++].rows) {
        k_matrix m = w->part[i];
        int from = first > at ? first - at : 0, to = least(first + rows - at, m.rows);
        if (from >= to) continue;
        m.data = (const char *)m.data + (size_t)from * k_row_bytes(m.dtype, m.cols);
        m.rows = to - from;
        some.part[some.n_parts++] = m;
    }
    return some;
}

void cpu_logits_of(const kernels *k, float *z, const float *x, int n, const k_weight *w, float scale,
                   int first, int rows) {
    assert(first >= 0 && rows > 0 && first + rows <= w->rows);
    k_weight some = rows_of(w, first, rows);
    forward(k, z, x, n, &some, scale);
}

/* ---- operations ---- */

void cpu_linear(kernels *k, k_act *y, const k_act *x, int n, const k_weight *w) {
    if (n > 0 && !cpu_failed()) forward(k, cpu_floats(y), cpu_const_floats(x), n, w, 1);
}

void cpu_logits(kernels *k, float *z, const k_act *x, int n, const k_weight *w, float scale) {
    if (n > 0 && !cpu_failed()) forward(k, z, cpu_const_floats(x), n, w, scale);
}

void cpu_linear_back(kernels *k, k_act *dx, const k_act *dy, int n, const k_weight *w, k_counts *c) {
    if (c) c->linear_calls++, c->linear_rows += n;
    if (n <= 0 || cpu_failed()) return;
    cpu_back(k, cpu_floats(dx), cpu_const_floats(dy), w->rows, n, w, 0, w->rows);
}

void cpu_embed(kernels *k, float *x, const int32_t *ids, int n, const k_weight *w, float scale) {
    (void)k;
    if (cpu_failed()) return;
    PARALLEL_FOR(at(n, w->cols) >= PARALLEL_MIN)
    for (int i = 0; i < n; i++) {
        int row = ids[i];
        assert(row >= 0 && row < w->rows);
        const k_matrix *m = cpu_find_part(w, &row);
        float *out = x + at(i, w->cols);
        cpu_widen(out, m, row);
        for (int j = 0; j < w->cols && scale != 1.0f; j++) out[j] *= scale;
    }
}
