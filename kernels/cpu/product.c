/* product.c - y = scale·x Wᵀ + bias on wide vectors.
 *
 * A tile of rows of W, a slice of its columns at a time, is brought into the second-level cache row by row,
 * as it lies in the file, whatever its type. Tokens are packed once for all tiles into panels, in which a
 * unit (product.h) of 32 tokens is contiguous, so that 12 rows of W times a panel are 24 sums in registers: a
 * unit of W is broadcast to 16 tokens at once. Sums of a tile lie transposed until its last slice. */
#include "kernels/cpu/product.h"

#ifdef CPU_X86
#include <immintrin.h>
#include <stdatomic.h>

#include "kernels/cpu/transpose.h"

enum {
    SUB = 12,            /* rows of W that are multiplied at once */
    ROWS = 96,           /* of a tile: whole groups of 12, and of the 16 that are transposed at once */
    SLICE = 1024,        /* units of W's rows: long enough that memory is read in runs of pages */
    STRIDE = SLICE + 16, /* between a tile's rows, so that they do not share cache sets */
    PANEL = 32,          /* tokens; the last panel of at most 16 is half as wide */
    TOKENS = 512         /* packed at once: what a tile's sums leave of the second-level cache */
};

typedef struct job {
    float *y; /* of the first token */
    int n;    /* tokens, at most TOKENS */
    const k_weight *w;
    float scale;
    bool rounded;      /* a unit is a pair of columns */
    int units;         /* of a row */
    const uint32_t *x; /* panels [ceil(n/32)][units][32 or 16] */
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

/* 16 units of up to 16 tokens from column c on, a unit of all tokens after the other, `ld` apart. */
static void pack_pairs(uint32_t *out, int ld, const float *x, int tokens, int cols, int c) {
    cpu_pack_pairs(out, ld, &(cpu_rows_of){x, cols, tokens, cols}, c, 16);
}

CPU_TARGET_512 static void pack_floats(uint32_t *out, int ld, const float *x, int tokens, int cols, int c) {
    __mmask16 m = cpu_lanes(cols - c);
    __m512i r[16];
    for (int t = 0; t < 16; t++)
        r[t] = _mm512_maskz_loadu_epi32(t < tokens ? m : 0, x + at(t < tokens ? t : 0, cols) + c);
    cpu_transpose_16(r);
    for (int p = 0; p < 16 && c + p < cols; p++) _mm512_storeu_si512(out + at(p, ld), r[p]);
}

static void pack_panel(const job *j, uint32_t *out, const float *x, int p) {
    int cols = j->w->cols, vectors = panel_vectors(j, p), ld = 16 * vectors, step = j->rounded ? 32 : 16;
    void (*pack)(uint32_t *, int, const float *, int, int, int) = j->rounded ? pack_pairs : pack_floats;
    for (int v = 0; v < vectors; v++) {
        int t = p * PANEL + 16 * v;
        for (int c = 0, unit = 0; c < cols; c += step, unit += 16)
            pack(out + at(unit, ld) + 16 * v, ld, x + at(t, cols), least(j->n - t, 16), cols, c);
    }
}

/* ---- 12 rows of W times a panel ---- */

/* Weights that are wanted next, asked for while others are multiplied: `step` bytes a row for every 16 units.
 */
typedef struct ahead {
    const char *p; /* NULL: none */
    size_t ld, step;
} ahead;

/* sum[12][16·vectors] (+)= 12 rows of a tile from w on, times a panel's units from x on. For every kind of
 * units and width of a panel there is one such function; `ADD` adds a product to a sum. */
#define MULTIPLY(name, target, vectors, VALUE, ADD)                                                          \
    target static void name(float *sum, const uint32_t *w, const uint32_t *x, int units, bool add,           \
                            ahead next) {                                                                    \
        __m512 c[SUB * (vectors)]; /* in registers, as long as every loop over it is unrolled */             \
        _Pragma("GCC unroll 24") for (int i = 0; i < SUB * (vectors); i++) c[i] = _mm512_setzero_ps();       \
        for (int p = 0; p < units; p++) {                                                                    \
            if (next.p && p % 16 == 0) {                                                                     \
                for (int i = 0; i < SUB; i++) __builtin_prefetch(next.p + (size_t)i * next.ld, 0, 2);        \
                next.p += next.step;                                                                         \
            }                                                                                                \
            __m512i t[vectors];                                                                              \
            for (int v = 0; v < (vectors); v++) t[v] = _mm512_loadu_si512(x + (p * (vectors) + v) * 16);     \
            _Pragma("GCC unroll 12") for (int i = 0; i < SUB; i++) {                                         \
                __m512i a = _mm512_set1_epi32((int)w[i * STRIDE + p]);                                       \
                for (int v = 0; v < (vectors); v++)                                                          \
                    c[i * (vectors) + v] = ADD(c[i * (vectors) + v], VALUE(a), VALUE(t[v]));                 \
            }                                                                                                \
        }                                                                                                    \
        _Pragma("GCC unroll 24") for (int i = 0; i < SUB * (vectors); i++) {                                 \
            __m512 before = add ? _mm512_loadu_ps(sum + 16 * i) : _mm512_setzero_ps();                       \
            _mm512_storeu_ps(sum + 16 * i, _mm512_add_ps(before, c[i]));                                     \
        }                                                                                                    \
    }

#define PAIRS(v)            ((__m512bh)(v))
#define FLOATS(v)           _mm512_castsi512_ps(v)
#define ADD_FLOATS(c, a, b) _mm512_fmadd_ps(a, b, c)
MULTIPLY(multiply_pairs_16, CPU_TARGET_BF16, 1, PAIRS, _mm512_dpbf16_ps)
MULTIPLY(multiply_pairs_32, CPU_TARGET_BF16, 2, PAIRS, _mm512_dpbf16_ps)
MULTIPLY(multiply_floats_16, CPU_TARGET_512, 1, FLOATS, ADD_FLOATS)
MULTIPLY(multiply_floats_32, CPU_TARGET_512, 2, FLOATS, ADD_FLOATS)

/* ---- a tile ---- */

/* Units [k, k+n) of some rows of W. */
typedef struct piece {
    int first, rows, k, n;
} piece;

/* 32 columns at a time; rows past an odd last one are zeros. */
static void unpack_tile(const job *j, uint32_t *out, const piece *p) {
    for (int u = 0; u < p->n; u += CPU_GROUP / 2)
        cpu_unpack_group(out + u, STRIDE, cpu_packed_at(j->w, p->first, 2 * (p->k + u)), p->rows);
}

/* Row by row; an odd last column gets a zero beside it. */
static void fill_tile(const job *j, uint32_t *out, const piece *p) {
    if (j->rounded && j->w->device) {
        unpack_tile(j, out, p);
        return;
    }
    for (int i = 0; i < p->rows; i++, out += STRIDE) {
        int row = p->first + i;
        const k_matrix *m = cpu_find_part(j->w, &row);
        if (j->rounded) {
            int c = 2 * p->k, n = least(2 * p->n, j->w->cols - c);
            if (n % 2) out[n / 2] = 0;
            cpu_narrow_weight((bf16 *)out, m, row, c, n);
        } else {
            cpu_widen_part((float *)(void *)out, m, row, p->k, p->n);
        }
    }
}

/* After `now`: the tile's next slice, or the first one of the tile that this thread takes next (at row
 * j->w->rows: none). */
static piece piece_after(const job *j, const piece *now, int next_tile) {
    piece p = *now;
    p.k += now->n;
    if (p.k >= j->units) p.k = 0, p.first = next_tile;
    return p;
}

static void multiply_tile(const job *j, float *sums, const uint32_t *w, const piece *now, const piece *next) {
    static void (*const kinds[2][2])(float *, const uint32_t *, const uint32_t *, int, bool, ahead) = {
        {multiply_floats_16, multiply_floats_32}, {multiply_pairs_16, multiply_pairs_32}};
    int panels = (j->n + PANEL - 1) / PANEL, columns = j->rounded ? 2 : 1;
    for (int p = 0; p < panels; p++) {
        int vectors = panel_vectors(j, p);
        const uint32_t *x = j->x + at(p * PANEL, j->units) + at(now->k, 16 * vectors);
        for (int r = 0; r < now->rows; r += SUB) {
            ahead to = {0};
            if (p + 1 == panels)
                to.p = cpu_weight_at(j->w, next->first + r, SUB, columns * next->k, &to.ld, &to.step);
            if (!j->rounded) to.step /= 2; /* it is that of 32 columns */
            float *sum = sums + at(p * PANEL, ROWS) + at(r, 16 * vectors);
            kinds[j->rounded][vectors - 1](sum, w + at(r, STRIDE), x, now->n, now->k > 0, to);
        }
    }
}

/* 16 rows' sums of up to 16 tokens, `ld` apart, to y. */
CPU_TARGET_512 static void store_block(const job *j, const float *sum, int ld, float *y, int row, int rows,
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
    uint32_t *w = (uint32_t *)(void *)cpu_scratch(SLOT_TILE, at(ROWS, STRIDE));
    float *sums = cpu_scratch(SLOT_SUMS, at(ROWS, TOKENS));
    int rows = least(j->tile_rows, j->w->rows - first);
    int most = (rows + SUB - 1) / SUB * SUB; /* rows past the last are multiplied and never stored */
    if (rows < most) memset(w + at(rows, STRIDE), 0, at(most - rows, STRIDE) * sizeof *w);
    for (int k = 0; k < j->units; k += SLICE) {
        piece now = {first, rows, k, least(j->units - k, SLICE)}, next = piece_after(j, &now, next_tile);
        fill_tile(j, w, &now);
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
    int most = (share + SUB - 1) / SUB * SUB;
    return least(most, ROWS);
}

static void multiply_tokens(job *j, const float *x) {
    int panels = (j->n + PANEL - 1) / PANEL;
    uint32_t *packed = (uint32_t *)(void *)cpu_scratch(SLOT_ACTS, at(panels * PANEL, j->units));
    bool many = cpu_worth_threads(j->n, j->w->rows, j->w->cols);
    atomic_int taken = 0;
    j->x = packed;
    j->tile_rows = rows_of_tile(j->w->rows);
    PARALLEL_FOR(many)
    for (int p = 0; p < panels; p++) pack_panel(j, packed + at(p * PANEL, j->units), x, p);
    PARALLEL(many)
    take_tiles(j, &taken);
}

void cpu_wide_product(float *y, const float *x, int n, const k_weight *w, float scale, bool rounded) {
    for (int t = 0; t < n; t += TOKENS) {
        job j = {
            .y = y + at(t, w->rows), .n = least(n - t, TOKENS), .w = w, .scale = scale, .rounded = rounded};
        j.units = rounded ? (w->cols + 1) / 2 : w->cols;
        multiply_tokens(&j, x + at(t, w->cols));
    }
}
#endif
