/* product_back.c - dx = dy W on wide vectors.
 *
 * The sum runs over rows of W. A unit (product.h) is a row's element, or of rounded operands a pair of rows',
 * interleaved in registers: a vector holds 16 columns of them, and a token's unit of dy is broadcast over it.
 * A backward has few rows of dx and reads all weights, so what counts is how memory is read: a block of rows
 * is walked through from left to right, which are as many streams as a processor follows, while the sums of
 * all tokens stay in the second-level cache. Rows are cut into slices for the threads, whose sums are added
 * in order. */
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
    float *sums; /* [slices][groups][n][32] */
    bool rounded;
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

/* For every kind of units and number of tokens there is one such function; `ADD` adds a product to a sum. */
#define MULTIPLY(name, target, tokens, VALUE, ADD)                                                           \
    target static void name(const sums *s) {                                                                 \
        __m512 c[2 * (tokens)]; /* in registers, as long as every loop over it is unrolled */                \
        const uint32_t *w = s->w;                                                                            \
        size_t ld_dy = (size_t)s->ld_dy;                                                                     \
        float *out = s->out;                                                                                 \
        bool add = s->add;                                                                                   \
        _Pragma("GCC unroll 24") for (int i = 0; i < 2 * (tokens); i++) c[i] = _mm512_setzero_ps();          \
        for (int p = 0; p < s->units; p++) {                                                                 \
            const uint32_t *dy = s->dy + p;                                                                  \
            __m512i w0 = _mm512_loadu_si512(w + p * GROUP), w1 = _mm512_loadu_si512(w + p * GROUP + 16);     \
            _Pragma("GCC unroll 12") for (int i = 0; i < (tokens); i++) {                                    \
                __m512i a = _mm512_set1_epi32((int)dy[(size_t)i * ld_dy]);                                   \
                c[2 * i] = ADD(c[2 * i], VALUE(a), VALUE(w0));                                               \
                c[2 * i + 1] = ADD(c[2 * i + 1], VALUE(a), VALUE(w1));                                       \
            }                                                                                                \
        }                                                                                                    \
        _Pragma("GCC unroll 24") for (int i = 0; i < 2 * (tokens); i++) {                                    \
            __m512 before = add ? _mm512_loadu_ps(out + 16 * i) : _mm512_setzero_ps();                       \
            _mm512_storeu_ps(out + 16 * i, _mm512_add_ps(before, c[i]));                                     \
        }                                                                                                    \
    }

#define PAIRS(v)            ((__m512bh)(v))
#define FLOATS(v)           _mm512_castsi512_ps(v)
#define ADD_FLOATS(c, a, b) _mm512_fmadd_ps(a, b, c)
#define OF_TOKENS(n)                                                                                         \
    MULTIPLY(pairs_##n, CPU_TARGET_BF16, n, PAIRS, _mm512_dpbf16_ps)                                         \
    MULTIPLY(floats_##n, CPU_TARGET_512, n, FLOATS, ADD_FLOATS)
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

static void multiply_tokens(const sums *s, int tokens, bool rounded) {
    static void (*const of[2][TOKENS])(const sums *) = {
        {floats_1, floats_2, floats_3, floats_4, floats_5, floats_6, floats_7, floats_8, floats_9, floats_10,
         floats_11, floats_12},
        {pairs_1, pairs_2, pairs_3, pairs_4, pairs_5, pairs_6, pairs_7, pairs_8, pairs_9, pairs_10, pairs_11,
         pairs_12}};
    of[rounded][tokens - 1](s);
}

/* ---- a block ---- */

/* A block's rows, of elements of `item` bytes: float32, or bfloat16. */
typedef struct block {
    const char *w;
    size_t item, ld; /* ld: bytes from row to row */
    int rows;        /* of bfloat16 an even number: a row of zeros where the slice ends with an odd one */
} block;

static void bring_row(const job *j, char *out, int row, int c, int cols) {
    row += j->first;
    const k_matrix *m = cpu_find_part(j->w, &row);
    if (j->rounded)
        cpu_narrow_weight((bf16 *)(void *)out, m, row, c, cols);
    else
        cpu_widen_part((float *)(void *)out, m, row, c, cols);
}

/* Where they lie, if the block is in one part and of that type; else brought into `room`. */
static block block_at(const job *j, char *room, int row, int rows, int c, int cols) {
    int in_part = j->first + row, extra = j->rounded ? rows % 2 : 0;
    const k_matrix *m = cpu_find_part(j->w, &in_part);
    size_t item = j->rounded ? sizeof(bf16) : sizeof(float), ld = (size_t)m->cols * item;
    bool readable = m->dtype == (j->rounded ? K_BF16 : K_F32) && (uintptr_t)m->data % item == 0;
    if (readable && !extra && in_part + rows <= m->rows)
        return (block){(const char *)m->data + (size_t)in_part * ld + (size_t)c * item, item, ld, rows};
    ld = (size_t)(j->wide + GROUP) * item;
    for (int i = 0; i < rows; i++) bring_row(j, room + (size_t)i * ld, row + i, c, cols);
    if (extra) memset(room + (size_t)rows * ld, 0, (size_t)cols * item);
    return (block){room, item, ld, rows + extra};
}

/* Pairs of rows, interleaved: columns of m. */
CPU_TARGET_BF16 static inline void interleave(uint32_t *out, const char *w, size_t ld, __mmask32 m) {
    const __m512i low = _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8, 39, 7,
                                         38, 6, 37, 5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0);
    const __m512i high = _mm512_add_epi16(low, _mm512_set1_epi16(16));
    __m512i x = _mm512_maskz_loadu_epi16(m, w), y = _mm512_maskz_loadu_epi16(m, w + ld);
    _mm512_store_si512(out, _mm512_permutex2var_epi16(x, low, y));
    _mm512_store_si512(out + 16, _mm512_permutex2var_epi16(x, high, y));
}

CPU_TARGET_BF16 static void pack_pairs(uint32_t *out, const block *b, int c, int cols, size_t ahead) {
    __mmask32 m = (__mmask32)cpu_lanes(cols - c) | (__mmask32)cpu_lanes(cols - c - 16) << 16;
    const char *w = b->w + (size_t)c * b->item;
    for (int r = 0; r < b->rows; r += 2, w += 2 * b->ld, out += GROUP) {
        __builtin_prefetch(w + ahead, 0, 2);
        __builtin_prefetch(w + ahead + b->ld, 0, 2);
        interleave(out, w, b->ld, m);
    }
}

CPU_TARGET_512 static void pack_floats(uint32_t *out, const block *b, int c, int cols, size_t ahead) {
    __mmask16 low = cpu_lanes(cols - c), high = cpu_lanes(cols - c - 16);
    const char *w = b->w + (size_t)c * b->item;
    for (int r = 0; r < b->rows; r++, w += b->ld, out += GROUP) {
        __builtin_prefetch(w + ahead, 0, 2);
        __builtin_prefetch(w + ahead + 64, 0, 2);
        _mm512_store_si512(out, _mm512_maskz_loadu_epi32(low, w));
        _mm512_store_si512(out + 16, _mm512_maskz_loadu_epi32(high, w + 64));
    }
}

/* 32 columns of a block's rows, unit after unit. Memory is asked for columns further right, or at the end of
 * the rows for the first ones of the next block. */
static void pack(uint32_t *out, const block *b, int c, int cols) {
    size_t ahead = AHEAD * b->item;
    if (c + AHEAD >= cols) ahead += (size_t)b->rows * b->ld - (size_t)cols * b->item;
    (b->item == sizeof(bf16) ? pack_pairs : pack_floats)(out, b, c, cols, ahead);
}

/* All tokens, in shares of about equal size; sums of the block's first column are at `out`. */
static void multiply_block(const job *j, const block *b, float *out, int row, int cols, bool add) {
    _Alignas(64) uint32_t units[MANY_ROWS * GROUP];
    int shares = (j->n + TOKENS - 1) / TOKENS;
    for (int g = 0; g < cols; g += GROUP) {
        pack(units, b, g, cols);
        for (int first = 0, left = shares, n; left > 0; first += n, left--) {
            n = (j->n - first + left - 1) / left;
            multiply_tokens(&(sums){.out = out + at(g, j->n) + at(first, GROUP),
                                    .dy = j->dy + at(first, j->ld_dy) + (j->rounded ? row / 2 : row),
                                    .ld_dy = j->ld_dy,
                                    .w = units,
                                    .units = j->rounded ? b->rows / 2 : b->rows,
                                    .add = add},
                            n, j->rounded);
        }
    }
}

/* A tile of columns over a slice of rows. */
static void run(const job *j, int task) {
    int slice = task / j->tiles, c = task % j->tiles * j->wide, cols = least(j->cols - c, j->wide);
    int first = slice * j->each, end = least(first + j->each, j->rows);
    float *out = j->sums + at(slice * j->groups, j->n * GROUP) + at(c, j->n);
    char *room = (char *)cpu_scratch(SLOT_TILE, at(j->high + 1, j->wide + GROUP));
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

/* dy in units, rounded if need be; an odd last row gets a zero beside it. */
static void pack_tokens(job *j, uint32_t *out, const float *dy, int ldy) {
    j->dy = out;
    PARALLEL_FOR(at(j->n, j->rows) >= PARALLEL_MIN)
    for (int i = 0; i < j->n; i++) {
        uint32_t *to = out + at(i, j->ld_dy);
        if (!j->rounded) {
            memcpy(to, dy + at(i, ldy), (size_t)j->rows * sizeof *to);
            continue;
        }
        if (j->rows % 2) to[j->rows / 2] = 0;
        cpu_round_bf16((bf16 *)to, dy + at(i, ldy), (size_t)j->rows);
    }
}

void cpu_wide_back(float *dx, const float *dy, int ldy, int n, const k_weight *w, int first, int rows,
                   bool rounded) {
    job j = {.rounded = rounded, .n = n, .w = w, .first = first, .rows = rows, .cols = w->cols};
    j.ld_dy = round_up(rounded ? (rows + 1) / 2 : rows, 16) + 16; /* so that tokens do not share cache sets */
    pack_tokens(&j, (uint32_t *)(void *)cpu_scratch(SLOT_ACTS, at(n, j.ld_dy)), dy, ldy);
    cut(&j);
    j.sums = cpu_scratch(SLOT_SUMS, at(j.slices * j.groups, n * GROUP));
    PARALLEL(cpu_worth_threads(n, rows, w->cols))
    take_tasks(&j);
    add_slices(&j, dx);
}
#endif
