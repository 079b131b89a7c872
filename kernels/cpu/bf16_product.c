/* bf16_product.c - y = scale·x Wᵀ + bias from operands rounded to bfloat16.
 *
 * A tile of rows of W, a slice of its columns at a time, is narrowed into the second-level cache row by row,
 * as it lies in the file, whatever its type. Tokens are packed once for all tiles into panels, in which the
 * pair (2p, 2p+1) of 32 tokens' elements are neighbours, so that 12 rows of W times a panel are 24 sums in
 * registers: an element pair of W is broadcast to 16 tokens at once. Sums of a tile lie transposed until its
 * last slice. */
#include "kernels/cpu/bf16.h"

#ifdef CPU_X86_BF16
#include <immintrin.h>
#include <stdatomic.h>

#include "kernels/cpu/transpose.h"

enum {
    SUB = 12,            /* rows of W that are multiplied at once */
    ROWS = 96,           /* of a tile: whole groups of 12, and of the 16 that are transposed at once */
    SLICE = 2048,        /* columns of W: long enough that memory is read in runs of pages */
    STRIDE = SLICE + 32, /* between a tile's rows, so that they do not share cache sets */
    PANEL = 32,          /* tokens; the last panel of at most 16 is half as wide */
    TOKENS = 512         /* packed at once: what a tile's sums leave of the second-level cache */
};

typedef struct job {
    float *y; /* of the first token */
    int n;    /* tokens, at most TOKENS */
    const k_weight *w;
    float scale;
    const uint32_t *x; /* panels [ceil(n/32)][pairs][32 or 16] */
    int pairs;
    int tile_rows;
} job;

static int least(int a, int b) {
    return a < b ? a : b;
}

/* Vectors of 16 tokens of panel p. */
static int panel_vectors(const job *j, int p) {
    return j->n - p * PANEL > 16 ? 2 : 1;
}

/* ---- packing tokens ---- */

/* Columns [32·b, 32·b+32) of up to 16 tokens: 16 pairs, each of 16 tokens, `ld` apart. */
CPU_TARGET_BF16 static void pack_block(uint32_t *out, int ld, const float *x, int tokens, int cols, int b) {
    int left = cols - 32 * b, last = (left + 1) / 2;
    __mmask16 low = cpu_lanes(left);
    __mmask16 high = cpu_lanes(left - 16);
    __m512i r[16];
    for (int t = 0; t < 16; t++) {
        const float *row = x + at(t < tokens ? t : 0, cols) + 32 * b;
        __mmask16 l = t < tokens ? low : 0, h = t < tokens ? high : 0;
        r[t] =
            (__m512i)_mm512_cvtne2ps_pbh(_mm512_maskz_loadu_ps(h, row + 16), _mm512_maskz_loadu_ps(l, row));
    }
    cpu_transpose_16(r);
    for (int p = 0; p < 16 && p < last; p++) _mm512_storeu_si512(out + at(p, ld), r[p]);
}

CPU_TARGET_BF16 static void pack_panel(const job *j, uint32_t *out, const float *x, int p) {
    int cols = j->w->cols, vectors = panel_vectors(j, p), ld = 16 * vectors;
    for (int v = 0; v < vectors; v++) {
        int t = p * PANEL + 16 * v;
        for (int b = 0; 32 * b < cols; b++)
            pack_block(out + at(16 * b, ld) + 16 * v, ld, x + at(t, cols), least(j->n - t, 16), cols, b);
    }
}

/* ---- 12 rows of W times a panel ---- */

/* Weights that are wanted next, asked for while others are multiplied: `step` bytes a row for every 16 pairs.
 */
typedef struct ahead {
    const char *p; /* NULL: none */
    size_t ld, step;
} ahead;

/* sum[12][16·vectors] (+)= 12 rows of a tile from w on, times a panel's pairs from x on. */
CPU_TARGET_BF16 static inline __attribute__((always_inline)) void
multiply(int vectors, float *sum, const bf16 *w, const uint32_t *x, int pairs, bool add, ahead next) {
    __m512 c[2 * SUB];
    for (int i = 0; i < SUB * vectors; i++) c[i] = add ? _mm512_loadu_ps(sum + 16 * i) : _mm512_setzero_ps();
    for (int p = 0; p < pairs; p++) {
        if (next.p && p % 16 == 0) {
            for (int i = 0; i < SUB; i++) __builtin_prefetch(next.p + (size_t)i * next.ld, 0, 2);
            next.p += next.step;
        }
        __m512bh t[2];
        for (int v = 0; v < vectors; v++) t[v] = (__m512bh)_mm512_loadu_si512(x + (p * vectors + v) * 16);
        for (int i = 0; i < SUB; i++) {
            int32_t pair;
            memcpy(&pair, w + i * STRIDE + 2 * p, sizeof pair);
            __m512bh a = (__m512bh)_mm512_set1_epi32(pair);
            for (int v = 0; v < vectors; v++)
                c[i * vectors + v] = _mm512_dpbf16_ps(c[i * vectors + v], a, t[v]);
        }
    }
    for (int i = 0; i < SUB * vectors; i++) _mm512_storeu_ps(sum + 16 * i, c[i]);
}

CPU_TARGET_BF16 static void multiply_wide(float *sum, const bf16 *w, const uint32_t *x, int pairs, bool add,
                                          ahead next) {
    multiply(2, sum, w, x, pairs, add, next);
}

CPU_TARGET_BF16 static void multiply_narrow(float *sum, const bf16 *w, const uint32_t *x, int pairs, bool add,
                                            ahead next) {
    multiply(1, sum, w, x, pairs, add, next);
}

/* ---- a tile ---- */

/* Some columns of some rows of W. */
typedef struct piece {
    int first, rows, k, n;
} piece;

/* Row by row; an odd number of columns gets a zero. */
static void narrow_tile(const job *j, bf16 *out, const piece *p) {
    for (int i = 0; i < p->rows; i++, out += STRIDE) {
        int row = p->first + i;
        const k_matrix *m = cpu_find_part(j->w, &row);
        cpu_narrow_weight(out, m, row, p->k, p->n);
        if (p->n % 2) out[p->n] = 0;
    }
}

/* After `now`: the tile's next slice, or the first one of the tile that this thread takes next (at row
 * j->w->rows: none). */
static piece piece_after(const job *j, const piece *now, int next_tile) {
    piece p = *now;
    p.k += now->n;
    if (p.k >= j->w->cols) p.k = 0, p.first = next_tile;
    return p;
}

static void multiply_tile(const job *j, float *sums, const bf16 *w, const piece *now, const piece *next) {
    int panels = (j->n + PANEL - 1) / PANEL;
    for (int p = 0; p < panels; p++) {
        int vectors = panel_vectors(j, p);
        const uint32_t *x = j->x + at(p * PANEL, j->pairs) + at(now->k / 2, 16 * vectors);
        for (int r = 0; r < now->rows; r += SUB) {
            ahead to = {0};
            if (p + 1 == panels) to.p = cpu_weight_at(j->w, next->first + r, SUB, next->k, &to.ld, &to.step);
            float *sum = sums + at(p * PANEL, ROWS) + at(r, 16 * vectors);
            (vectors == 2 ? multiply_wide : multiply_narrow)(sum, w + at(r, STRIDE), x, (now->n + 1) / 2,
                                                             now->k > 0, to);
        }
    }
}

/* 16 rows' sums of up to 16 tokens, `ld` apart, to y. */
CPU_TARGET_BF16 static void store_block(const job *j, const float *sum, int ld, float *y, int row, int rows,
                                        int tokens) {
    __mmask16 mask = cpu_lanes(rows);
    __m512 scale = _mm512_set1_ps(j->scale);
    __m512 bias = j->w->bias ? _mm512_maskz_loadu_ps(mask, j->w->bias + row) : _mm512_setzero_ps();
    __m512i r[16];
    for (int i = 0; i < 16; i++) r[i] = _mm512_loadu_si512(sum + at(i, ld));
    cpu_transpose_16(r);
    for (int t = 0; t < tokens; t++) {
        __m512 v = _mm512_add_ps(_mm512_mul_ps(_mm512_castsi512_ps(r[t]), scale), bias);
        _mm512_mask_storeu_ps(y + at(t, j->w->rows) + row, mask, v);
    }
}

static void store_tile(const job *j, const float *sums, int first, int rows) {
    for (int t = 0; t < j->n; t += 16) {
        int p = t / PANEL, vectors = panel_vectors(j, p), ld = 16 * vectors;
        const float *from = sums + at(p * PANEL, ROWS) + (t - p * PANEL);
        for (int r = 0; r < rows; r += 16)
            store_block(j, from + at(r, ld), ld, j->y + at(t, j->w->rows), first + r, rows - r,
                        least(j->n - t, 16));
    }
}

static void tile(const job *j, int first, int next_tile) {
    bf16 *w = (bf16 *)(void *)cpu_scratch(SLOT_TILE, at(ROWS, STRIDE) / 2);
    float *sums = cpu_scratch(SLOT_SUMS, at(ROWS, TOKENS));
    int rows = least(j->tile_rows, j->w->rows - first);
    int most = (rows + SUB - 1) / SUB * SUB; /* rows past the last are multiplied and never stored */
    if (rows < most) memset(w + at(rows, STRIDE), 0, at(most - rows, STRIDE) * sizeof *w);
    for (int k = 0; k < j->w->cols; k += SLICE) {
        piece now = {first, rows, k, least(j->w->cols - k, SLICE)}, next = piece_after(j, &now, next_tile);
        narrow_tile(j, w, &now);
        multiply_tile(j, sums, w, &now, &next);
    }
    store_tile(j, sums, first, rows);
}

/* Tiles as long as there are any; the next one is taken before this one is done, so that it can be fetched.
 */
static void take_tiles(const job *j, atomic_int *taken) {
    int row = atomic_fetch_add(taken, j->tile_rows);
    while (row < j->w->rows) {
        int next = atomic_fetch_add(taken, j->tile_rows);
        tile(j, row, next);
        row = next;
    }
}

/* Rows of a tile: fewer where not every thread would have one. */
static int rows_of_tile(int rows) {
    int share = (rows + kernels_threads() - 1) / kernels_threads();
    int most = (share + 11) / 12 * 12;
    return least(most, ROWS);
}

static void multiply_tokens(job *j, const float *x) {
    int panels = (j->n + PANEL - 1) / PANEL;
    uint32_t *packed = (uint32_t *)(void *)cpu_scratch(SLOT_ACTS, at(panels * PANEL, j->pairs));
    bool many = cpu_worth_threads(j->n, j->w->rows, j->w->cols);
    atomic_int taken = 0;
    j->x = packed;
    j->tile_rows = rows_of_tile(j->w->rows);
    PARALLEL_FOR(many)
    for (int p = 0; p < panels; p++) pack_panel(j, packed + at(p * PANEL, j->pairs), x, p);
    PARALLEL(many)
    take_tiles(j, &taken);
}

static void fast_product(float *y, const float *x, int n, const k_weight *w, float scale) {
    for (int t = 0; t < n; t += TOKENS) {
        job j = {.y = y + at(t, w->rows), .n = least(n - t, TOKENS), .w = w, .scale = scale};
        j.pairs = (w->cols + 1) / 2;
        multiply_tokens(&j, x + at(t, w->cols));
    }
}
#endif

void cpu_bf16_product(float *y, const float *x, int n, const k_weight *w, float scale) {
#ifdef CPU_X86_BF16
    if (cpu_has_bf16()) {
        fast_product(y, x, n, w, scale);
        return;
    }
#endif
    cpu_rounded_product(y, x, n, w, scale);
}
