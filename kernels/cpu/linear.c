/* linear.c - products with a weight, embedding rows, and the widening of F16 and BF16 weights.
 *
 * Narrow weights are widened a tile of output rows at a time: the tile stays in cache between
 * its widening and its product, and no float32 copy of a whole matrix ever exists. */
#include "kernels/cpu/cpu.h"

#include <assert.h>

enum { TILE_FLOATS = 1 << 18 };

/* BF16 is the upper half of a float32. */
static void widen_bf16(float *restrict out, const unsigned char *restrict in, size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint16_t h;
        memcpy(&h, in + 2 * i, sizeof h);
        uint32_t u = (uint32_t)h << 16;
        memcpy(out + i, &u, sizeof u);
    }
}

/* F16: shifting exponent and mantissa into place leaves the value 2^112 too small, and the
 * multiplication that corrects it also normalises subnormals, exactly. */
static void widen_f16(float *restrict out, const unsigned char *restrict in, size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint16_t h;
        memcpy(&h, in + 2 * i, sizeof h);
        uint32_t sign = (uint32_t)(h & 0x8000u) << 16, rest = (uint32_t)(h & 0x7fffu) << 13, u;
        float f;
        memcpy(&f, &rest, sizeof f);
        f *= 0x1p112f;
        memcpy(&u, &f, sizeof u);
        u |= sign | (rest >= 0x0f800000u ? 0x7f800000u : 0u); /* infinities and NaN keep their mantissa */
        memcpy(out + i, &u, sizeof u);
    }
}

static size_t item_bytes(k_dtype t) {
    return t == K_F32 ? 4 : 2;
}

static void widen(float *out, const k_matrix *w, int first, int n) {
    const unsigned char *src = (const unsigned char *)w->data + at(first, w->cols) * item_bytes(w->dtype);
    size_t count = at(n, w->cols);
    if (w->dtype == K_BF16)
        widen_bf16(out, src, count);
    else if (w->dtype == K_F16)
        widen_f16(out, src, count);
    else
        memcpy(out, src, count * sizeof *out);
}

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
    PARALLEL_FOR(at(n, w->cols) >= PARALLEL_MIN)
    for (int i = 0; i < n; i++) widen(tile + at(i, w->cols), w, first + i, 1);
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
        widen(out, m, row, 1);
        for (int j = 0; j < w->cols && scale != 1.0f; j++) out[j] *= scale;
    }
}
