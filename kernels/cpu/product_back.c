/* product_back.c - dx = dy W from operands rounded to bfloat16, on wide vectors.
 *
 * The sum runs over rows of W, so a unit (product.h) is a pair of rows, interleaved: a vector holds 16
 * columns of both, and a token's unit of dy is broadcast over it. A backward has few rows of dx and reads all
 * weights, so what counts is how memory is read. A packed weight (packed.c) is read straight ahead, a block
 * of rows of 32 columns after the other. Of others a block of rows is walked through from left to right,
 * which are as many streams as a processor follows, and interleaved on the way. The sums of all tokens stay
 * in the second-level cache meanwhile. Rows are cut into slices for the threads where columns are too few,
 * and the slices' sums are added in order.
 *
 * In float32 oneDNN's product of this shape is the faster one (docs/performance.md). */
#include "kernels/cpu/product.h"

#ifdef CPU_X86
#include <immintrin.h>
#include <stdatomic.h>

enum {
    GROUP = CPU_GROUP,    /* columns that are multiplied at once, */
    TOKENS = 12,          /* by so many tokens, */
    FEW_ROWS = 16,        /* over a block of so many rows of W: the fewer, the fewer streams of memory, */
    MANY_ROWS = 128,      /* the more, the less often sums are loaded, */
    FEW = 32,             /* which counts beyond so many tokens */
    PACKED_ROWS = 256,    /* of a block of a packed weight */
    AHEAD = 128,          /* columns that memory is asked for before they are wanted */
    SUM_FLOATS = 1 << 15, /* of a tile, or where that is less, */
    MOST_COLS = 8192,     /* columns of it, */
    PACKED_COLS = 512,    /* and of a packed weight's, */
    LEAST_COLS = 64,      /* which is made narrower to have so many */
    TASKS = 8,
    SLICE_ROWS = 192
};

typedef struct job {
    float *sums;        /* [slices][groups][n][32] */
    const uint32_t *dy; /* panels of up to 12 tokens [units][tokens], one behind the other */
    int n, units;
    const k_weight *w;
    bool packed;
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
    float *out;         /* [tokens][32] */
    const uint32_t *dy; /* [units][tokens] */
    const uint32_t *w;  /* [units][32] */
    int units;
    bool add;
    const char *next;  /* memory that is wanted next, asked for meanwhile; NULL: none */
    size_t step, half; /* two lines for each unit */
} sums;

/* One such function for every number of tokens. */
CPU_TARGET_BF16 static inline __attribute__((always_inline)) void multiply(const sums *s, int tokens) {
    __m512 c[2 * TOKENS]; /* in registers, as long as every loop over it is unrolled */
    const uint32_t *w = s->w, *dy = s->dy;
    const char *next = s->next;
    size_t step = s->step, half = s->half;
    float *out = s->out;
    bool add = s->add;
#pragma GCC unroll 24
    for (int i = 0; i < 2 * tokens; i++) c[i] = _mm512_setzero_ps();
    for (int p = 0; p < s->units; p++, dy += tokens) {
        if (next) {
            __builtin_prefetch(next, 0, 2);
            __builtin_prefetch(next + half, 0, 2);
            next += step;
        }
        __m512bh w0 = (__m512bh)_mm512_loadu_si512(w + p * GROUP);
        __m512bh w1 = (__m512bh)_mm512_loadu_si512(w + p * GROUP + 16);
#pragma GCC unroll 12
        for (int i = 0; i < tokens; i++) {
            __m512bh a = (__m512bh)_mm512_set1_epi32((int)dy[i]);
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

/* All tokens, in shares of about equal size, times 32 columns of a block. */
static void multiply_shares(const job *j, sums s, int row) {
    int shares = (j->n + TOKENS - 1) / TOKENS;
    float *out = s.out;
    for (int first = 0, left = shares, n; left > 0; first += n, left--) {
        n = (j->n - first + left - 1) / left;
        s.out = out + at(first, GROUP);
        s.dy = j->dy + at(first, j->units) + at(row / 2, n);
        multiply_tokens(&s, n);
        s.next = NULL;
    }
}

/* Sums of the block's first column are at `out`. */
static void multiply_block(const job *j, const cpu_block *b, float *out, int row, int cols, bool add) {
    _Alignas(64) uint32_t units[MANY_ROWS / 2 * GROUP];
    sums s = {.w = units, .units = b->rows / 2, .add = add, .step = 4 * b->ld, .half = 2 * b->ld};
    for (int g = 0; g < cols; g += GROUP) {
        int ahead = g + AHEAD;
        s.next = (const char *)(b->w + ahead);
        if (ahead >= cols) s.next += 2 * ((size_t)b->rows * b->ld - (size_t)cols);
        s.out = out + at(g, j->n);
        cpu_pack_group(units, b, g, cols);
        multiply_shares(j, s, row);
    }
}

/* The same where a weight is packed: rows [row, end). */
static void multiply_packed(const job *j, float *out, int row, int end, int c, int cols, bool add) {
    sums s = {.units = (end - row + 1) / 2, .add = add, .step = 128, .half = 64};
    for (int g = 0; g < cols; g += GROUP) {
        bool last = g + GROUP >= cols;
        s.w = cpu_packed_at(j->w, j->first + row, c + g);
        s.out = out + at(g, j->n);
        s.next = (const char *)cpu_packed_at(j->w, j->first + (last ? end : row), last ? c : c + g + GROUP);
        multiply_shares(j, s, row);
    }
}

/* A tile of columns over a slice of rows. */
static void run(const job *j, int task) {
    int slice = task / j->tiles, c = task % j->tiles * j->wide, cols = least(j->cols - c, j->wide);
    int first = slice * j->each, end = least(first + j->each, j->rows);
    size_t ld = (size_t)j->wide + GROUP;
    float *out = j->sums + at(slice * j->groups, j->n * GROUP) + at(c, j->n);
    bf16 *room =
        j->packed ? NULL : (bf16 *)(void *)cpu_scratch(SLOT_TILE, (size_t)(j->high + 1) * ld / 2 + 1);
    for (int row = first; row < end; row += j->high) {
        int rows = least(end - row, j->high);
        if (j->packed) {
            multiply_packed(j, out, row, row + rows, c, cols, row > first);
            continue;
        }
        cpu_block b = cpu_block_at(j->w, room, ld, j->first + row, rows, c, cols);
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

static int tiles_of(const job *j) {
    return (j->cols + j->wide - 1) / j->wide;
}

/* Into tiles whose sums stay in the cache, and slices of whole blocks where that is too few tasks. */
static void cut(job *j) {
    enum { BLOCKS = 256 }; /* columns of the largest block of a weight */
    int fit = SUM_FLOATS / j->n / BLOCKS * BLOCKS, most = j->packed ? PACKED_COLS : MOST_COLS;
    j->groups = (j->cols + GROUP - 1) / GROUP;
    j->high = j->packed ? PACKED_ROWS : j->n <= FEW ? FEW_ROWS : MANY_ROWS;
    j->wide = fit < BLOCKS ? BLOCKS : least(fit, most);
    j->wide = least(j->wide, round_up(j->cols, GROUP));
    while (j->packed && tiles_of(j) < TASKS && j->wide >= 2 * LEAST_COLS)
        j->wide = round_up(j->wide / 2, GROUP);
    j->tiles = tiles_of(j);
    int slices = 1;
    while (j->tiles * slices < TASKS && j->rows / (2 * slices) >= SLICE_ROWS) slices *= 2;
    j->each = round_up((j->rows + slices - 1) / slices, j->high);
    j->slices = (j->rows + j->each - 1) / j->each;
}

/* Slices of one group of a token's columns, and what was there where tiles of rows came before. */
CPU_TARGET_BF16 static void add_group(const job *j, float *dx, const float *from, int cols) {
    size_t apart = at(j->groups, j->n * GROUP);
    for (int v = 0; v < GROUP; v += 16) {
        __mmask16 m = cpu_lanes(cols - v);
        __m512 s = j->first ? _mm512_maskz_loadu_ps(m, dx + v) : _mm512_setzero_ps();
        for (int k = 0; k < j->slices; k++)
            s = _mm512_add_ps(s, _mm512_loadu_ps(from + (size_t)k * apart + v));
        _mm512_mask_storeu_ps(dx + v, m, s);
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

/* Panels of tokens; an odd last row gets a zero beside it. */
static void pack_tokens(job *j, uint32_t *out, const float *dy, int ldy) {
    int shares = (j->n + TOKENS - 1) / TOKENS, few = j->n / shares, more = j->n % shares;
    j->dy = out;
    PARALLEL_FOR(at(j->n, j->rows) >= PARALLEL_MIN)
    for (int s = 0; s < shares; s++) {
        int first = s * few + least(s, more), n = few + (s < more);
        cpu_rows_of t = {dy + at(first, ldy), ldy, n, j->rows};
        uint32_t *panel = out + at(first, j->units);
        for (int row = 0; row < j->rows; row += 32) cpu_pack_pairs(panel + at(row / 2, n), n, &t, row, n);
    }
}

void cpu_wide_back(float *dx, const float *dy, int ldy, int n, const k_weight *w, int first, int rows) {
    job j = {.n = n, .w = w, .first = first, .rows = rows, .cols = w->cols};
    j.units = (rows + 1) / 2;
    j.packed = w->device && first % 2 == 0 && (rows % 2 == 0 || first + rows == w->rows);
    pack_tokens(&j, (uint32_t *)(void *)cpu_scratch(SLOT_ACTS, at(n, j.units)), dy, ldy);
    cut(&j);
    j.sums = cpu_scratch(SLOT_SUMS, at(j.slices * j.groups, n * GROUP));
    PARALLEL(cpu_worth_threads(n, rows, w->cols))
    take_tasks(&j);
    add_slices(&j, dx);
}
#endif
