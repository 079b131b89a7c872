/* product_back.c - dx = dy W from operands rounded to bfloat16, on wide vectors.
 *
 * The sum runs over rows of W, so a unit (product.h) is a pair of rows, interleaved in registers: a vector
 * holds 16 columns of both, and a token's unit of dy is broadcast over it. A backward has few rows of dx and
 * reads all weights, so what counts is how memory is read: a block of rows is walked through from left to
 * right, which are as many streams as a processor follows, while the sums of all tokens stay in the
 * second-level cache. Rows are cut into slices for the threads, whose sums are added in order.
 *
 * In float32 oneDNN's product of this shape is the faster one (docs/performance.md). */
#include "kernels/cpu/product.h"

#ifdef CPU_X86
#include <immintrin.h>
#include <stdatomic.h>

enum {
    GROUP = 32,           /* columns that are multiplied at once, */
    TOKENS = 12,          /* by so many tokens, */
    FEW_ROWS = 16,        /* over a block of so many rows of W: the fewer, the fewer streams of memory, */
    MANY_ROWS = 128,      /* the more, the less often sums are loaded, */
    FEW = 32,             /* which counts beyond so many tokens */
    AHEAD = 128,          /* columns that memory is asked for before they are wanted */
    SUM_FLOATS = 1 << 15, /* of a tile */
    MOST_COLS = 8192,     /* of a tile */
    TASKS = 8,
    SLICE_ROWS = 192
};

typedef struct job {
    float *sums;        /* [slices][groups][n][32] */
    const uint32_t *dy; /* units [n][ld_dy] */
    int ld_dy, n;
    const k_weight *w;
    int groups;            /* of 32 columns */
    int first, rows, cols; /* rows [first, first+rows) of w: below, rows count from `first` */
    int high;              /* rows of a block */
    int wide, tiles;       /* columns of a tile */
    int each, slices;      /* rows of a slice */
    atomic_int taken;      /* tasks */
} job;

static int least(int a, int b) {
    return a < b ? a : b;
}

/* ---- up to 12 tokens times 32 columns ---- */

typedef struct sums {
    float *out; /* [tokens][32] */
    const uint32_t *dy;
    int ld_dy;
    const uint32_t *w; /* [units][32] */
    int units;
    bool add;
} sums;

/* One such function for every number of tokens. */
CPU_TARGET_BF16 static inline __attribute__((always_inline)) void multiply(const sums *s, int tokens) {
    __m512 c[2 * TOKENS]; /* in registers, as long as every loop over it is unrolled */
    const uint32_t *w = s->w;
    size_t ld_dy = (size_t)s->ld_dy;
    float *out = s->out;
    bool add = s->add;
#pragma GCC unroll 24
    for (int i = 0; i < 2 * tokens; i++) c[i] = _mm512_setzero_ps();
    for (int p = 0; p < s->units; p++) {
        const uint32_t *dy = s->dy + p;
        __m512bh w0 = (__m512bh)_mm512_loadu_si512(w + p * GROUP);
        __m512bh w1 = (__m512bh)_mm512_loadu_si512(w + p * GROUP + 16);
#pragma GCC unroll 12
        for (int i = 0; i < tokens; i++) {
            __m512bh a = (__m512bh)_mm512_set1_epi32((int)dy[(size_t)i * ld_dy]);
            c[2 * i] = _mm512_dpbf16_ps(c[2 * i], a, w0);
            c[2 * i + 1] = _mm512_dpbf16_ps(c[2 * i + 1], a, w1);
        }
    }
#pragma GCC unroll 24
    for (int i = 0; i < 2 * tokens; i++) {
        __m512 before = add ? _mm512_loadu_ps(out + 16 * i) : _mm512_setzero_ps();
        _mm512_storeu_ps(out + 16 * i, _mm512_add_ps(before, c[i]));
    }
}

#define OF_TOKENS(n)                                                                                         \
    CPU_TARGET_BF16 static void multiply_##n(const sums *s) {                                                \
        multiply(s, n);                                                                                      \
    }
OF_TOKENS(1)
OF_TOKENS(2)
OF_TOKENS(3)
OF_TOKENS(4)
OF_TOKENS(5)
OF_TOKENS(6)
OF_TOKENS(7)
OF_TOKENS(8)
OF_TOKENS(9)
OF_TOKENS(10)
OF_TOKENS(11)
OF_TOKENS(12)

static void multiply_tokens(const sums *s, int tokens) {
    static void (*const of[TOKENS])(const sums *) = {multiply_1, multiply_2,  multiply_3,  multiply_4,
                                                     multiply_5, multiply_6,  multiply_7,  multiply_8,
                                                     multiply_9, multiply_10, multiply_11, multiply_12};
    of[tokens - 1](s);
}

/* ---- a block ---- */

/* A block's rows, an even number: a row of zeros where the slice ends with an odd one. */
typedef struct block {
    const bf16 *w;
    size_t ld;
    int rows;
} block;

/* Where they lie, if the block is in one part and of that type; else brought into `room`. */
static block block_at(const job *j, bf16 *room, int row, int rows, int c, int cols) {
    int in_part = j->first + row, ld = j->wide + GROUP;
    const k_matrix *m = cpu_find_part(j->w, &in_part);
    bool readable = m->dtype == K_BF16 && (uintptr_t)m->data % sizeof(bf16) == 0;
    if (readable && rows % 2 == 0 && in_part + rows <= m->rows)
        return (block){(const bf16 *)m->data + at(in_part, m->cols) + c, (size_t)m->cols, rows};
    for (int i = 0; i < rows; i++) {
        int r = j->first + row + i;
        m = cpu_find_part(j->w, &r);
        cpu_narrow_weight(room + at(i, ld), m, r, c, cols);
    }
    if (rows % 2) memset(room + at(rows, ld), 0, (size_t)cols * sizeof *room);
    return (block){room, (size_t)ld, rows + rows % 2};
}

/* 32 columns of a block's rows, a pair of rows after the other. Memory is asked for columns further right, or
 * at the end of the rows for the first ones of the next block. */
CPU_TARGET_BF16 static void pack(uint32_t *out, const block *b, int c, int cols) {
    const __m512i low = _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8, 39, 7,
                                         38, 6, 37, 5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0);
    const __m512i high = _mm512_add_epi16(low, _mm512_set1_epi16(16));
    __mmask32 m = (__mmask32)cpu_lanes(cols - c) | (__mmask32)cpu_lanes(cols - c - 16) << 16;
    const bf16 *w = b->w + c, *next = w + AHEAD;
    if (c + AHEAD >= cols) next += (size_t)b->rows * b->ld - (size_t)cols;
    for (int r = 0; r < b->rows; r += 2, w += 2 * b->ld, next += 2 * b->ld, out += GROUP) {
        __builtin_prefetch(next, 0, 2);
        __builtin_prefetch(next + b->ld, 0, 2);
        __m512i x = _mm512_maskz_loadu_epi16(m, w), y = _mm512_maskz_loadu_epi16(m, w + b->ld);
        _mm512_store_si512(out, _mm512_permutex2var_epi16(x, low, y));
        _mm512_store_si512(out + 16, _mm512_permutex2var_epi16(x, high, y));
    }
}

/* All tokens, in shares of about equal size; sums of the block's first column are at `out`. */
static void multiply_block(const job *j, const block *b, float *out, int row, int cols, bool add) {
    _Alignas(64) uint32_t units[MANY_ROWS / 2 * GROUP];
    int shares = (j->n + TOKENS - 1) / TOKENS;
    for (int g = 0; g < cols; g += GROUP) {
        pack(units, b, g, cols);
        for (int first = 0, left = shares, n; left > 0; first += n, left--) {
            n = (j->n - first + left - 1) / left;
            multiply_tokens(&(sums){.out = out + at(g, j->n) + at(first, GROUP),
                                    .dy = j->dy + at(first, j->ld_dy) + row / 2,
                                    .ld_dy = j->ld_dy,
                                    .w = units,
                                    .units = b->rows / 2,
                                    .add = add},
                            n);
        }
    }
}

/* A tile of columns over a slice of rows. */
static void run(const job *j, int task) {
    int slice = task / j->tiles, c = task % j->tiles * j->wide, cols = least(j->cols - c, j->wide);
    int first = slice * j->each, end = least(first + j->each, j->rows);
    float *out = j->sums + at(slice * j->groups, j->n * GROUP) + at(c, j->n);
    bf16 *room = (bf16 *)(void *)cpu_scratch(SLOT_TILE, at(j->high + 1, j->wide + GROUP) / 2 + 1);
    for (int row = first; row < end; row += j->high) {
        block b = block_at(j, room, row, least(end - row, j->high), c, cols);
        multiply_block(j, &b, out, row, cols, row > first);
    }
}

static void take_tasks(job *j) {
    for (int i; (i = atomic_fetch_add(&j->taken, 1)) < j->tiles * j->slices;) run(j, i);
}

/* ---- all of it ---- */

static int round_up(int n, int to) {
    return (n + to - 1) / to * to;
}

/* Into tiles whose sums stay in the cache, and slices of whole blocks where that is too few tasks. */
static void cut(job *j) {
    enum { BLOCKS = 256 }; /* columns of the largest block of a weight */
    int fit = SUM_FLOATS / j->n / BLOCKS * BLOCKS;
    j->groups = (j->cols + GROUP - 1) / GROUP;
    j->high = j->n <= FEW ? FEW_ROWS : MANY_ROWS;
    j->wide = fit < BLOCKS ? BLOCKS : least(fit, MOST_COLS);
    j->wide = least(j->wide, round_up(j->cols, GROUP));
    j->tiles = (j->cols + j->wide - 1) / j->wide;
    int slices = 1;
    while (j->tiles * slices < TASKS && j->rows / (2 * slices) >= SLICE_ROWS) slices *= 2;
    j->each = round_up((j->rows + slices - 1) / slices, j->high);
    j->slices = (j->rows + j->each - 1) / j->each;
}

/* Slices of one group of a token's columns, and what was there where tiles of rows came before. */
static void add_group(const job *j, float *dx, const float *from, int cols) {
    size_t apart = at(j->groups, j->n * GROUP);
    for (int c = 0; c < cols; c++) {
        float s = j->first ? dx[c] : 0;
        for (int k = 0; k < j->slices; k++) s += from[(size_t)k * apart + (size_t)c];
        dx[c] = s;
    }
}

static void add_slices(const job *j, float *dx) {
    PARALLEL_FOR(at(j->n, j->cols) >= PARALLEL_MIN)
    for (int i = 0; i < j->n; i++) {
        for (int c = 0; c < j->cols; c += GROUP)
            add_group(j, dx + at(i, j->cols) + c, j->sums + at(c, j->n) + at(i, GROUP),
                      least(j->cols - c, GROUP));
    }
}

/* dy in units; an odd last row gets a zero beside it. */
static void pack_tokens(job *j, uint32_t *out, const float *dy, int ldy) {
    j->dy = out;
    PARALLEL_FOR(at(j->n, j->rows) >= PARALLEL_MIN)
    for (int i = 0; i < j->n; i++) {
        uint32_t *to = out + at(i, j->ld_dy);
        if (j->rows % 2) to[j->rows / 2] = 0;
        cpu_round_bf16((bf16 *)to, dy + at(i, ldy), (size_t)j->rows);
    }
}

void cpu_wide_back(float *dx, const float *dy, int ldy, int n, const k_weight *w, int first, int rows) {
    job j = {.n = n, .w = w, .first = first, .rows = rows, .cols = w->cols};
    j.ld_dy = round_up((rows + 1) / 2, 16) + 16; /* so that tokens do not share cache sets */
    pack_tokens(&j, (uint32_t *)(void *)cpu_scratch(SLOT_ACTS, at(n, j.ld_dy)), dy, ldy);
    cut(&j);
    j.sums = cpu_scratch(SLOT_SUMS, at(j.slices * j.groups, n * GROUP));
    PARALLEL(cpu_worth_threads(n, rows, w->cols))
    take_tasks(&j);
    add_slices(&j, dx);
}
#endif
