/* linear.c - products with a weight matrix, and the widening of F16 and BF16 weights.
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

int cpu_tile_rows(const k_matrix *w) {
    if (w->dtype == K_F32) return w->rows;
    int n = TILE_FLOATS / w->cols;
    return n < 16 ? 16 : n;
}

const float *cpu_rows(const k_matrix *w, int first, int n) {
    assert(first >= 0 && n >= 0 && first + n <= w->rows);
    if (w->dtype == K_F32) return (const float *)w->data + at(first, w->cols);
    float *tile = cpu_scratch(SLOT_TILE, at(n, w->cols));
    PARALLEL_FOR(at(n, w->cols) >= PARALLEL_MIN)
    for (int i = 0; i < n; i++) widen(tile + at(i, w->cols), w, first + i, 1);
    return tile;
}

static void add_bias(float *y, const float *bias, int n, int width) {
    for (int i = 0; i < n; i++) {
        float *row = y + at(i, width);
        for (int j = 0; j < width; j++) row[j] += bias[j];
    }
}

void cpu_linear(float *y, const float *x, int n, const k_matrix *w, const float *bias) {
    if (n <= 0) return;
    int step = cpu_tile_rows(w);
    for (int r = 0; r < w->rows; r += step) {
        int rows = w->rows - r < step ? w->rows - r : step;
        cpu_gemm(&(cpu_product){.tb = true,
                                .m = n,
                                .n = rows,
                                .k = w->cols,
                                .alpha = 1,
                                .a = x,
                                .lda = w->cols,
                                .b = cpu_rows(w, r, rows),
                                .ldb = w->cols,
                                .c = y + r,
                                .ldc = w->rows});
    }
    if (bias) add_bias(y, bias, n, w->rows);
}

void cpu_linear_back(float *dx, const float *dy, int n, const k_matrix *w, bool add, k_counts *c) {
    if (c) c->linear_calls++, c->linear_rows += n;
    if (n <= 0) return;
    int step = cpu_tile_rows(w);
    for (int r = 0; r < w->rows; r += step) {
        int rows = w->rows - r < step ? w->rows - r : step;
        cpu_gemm(&(cpu_product){.m = n,
                                .n = w->cols,
                                .k = rows,
                                .alpha = 1,
                                .a = dy + r,
                                .lda = w->rows,
                                .b = cpu_rows(w, r, rows),
                                .ldb = w->cols,
                                .beta = add || r ? 1.0f : 0.0f,
                                .c = dx,
                                .ldc = w->cols});
    }
}

void cpu_embed(float *y, const int32_t *ids, int n, const k_matrix *w) {
    for (int i = 0; i < n; i++) {
        assert(ids[i] >= 0 && ids[i] < w->rows);
        widen(y + at(i, w->cols), w, ids[i], 1);
    }
}
