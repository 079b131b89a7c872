/* product_back.c - dx = dy W on wide vectors, cut into pieces for caches and threads.
 *
 * The sum runs over rows of W; they are taken in pairs, interleaved (product.h), or one by one as float32: a
 * vector holds some columns, and a token's element of dy is broadcast over it (product_kind.h). A backward
 * has few rows of dx and reads all weights, so what counts is how memory is read. A packed weight (packed.c)
 * is read straight ahead, a block of rows of 32 columns after the other. Of others a block of rows is walked
 * through from left to right, which are as many streams as a processor follows, and interleaved or widened on
 * the way. The sums of all tokens stay in the second-level cache meanwhile. Rows are cut into slices for the
 * threads where columns are too few, and the slices' sums are added in order. */
#include "kernels/cpu/product_kind.h"

#ifdef CPU_X86
#include <stdatomic.h>

enum {
    GROUP = CPU_GROUP,    /* columns that are multiplied at once */
    FEW_ROWS = 16,        /* over a block of so many rows of W: the fewer, the fewer streams of memory, */
    MANY_ROWS = 128,      /* the more, the less often sums are loaded, */
    FEW = 32,             /* which counts beyond so many tokens */
    PACKED_ROWS = 256,    /* of a block of a packed weight */
    AHEAD = 128,          /* columns that memory is asked for before they are wanted */
    SUM_FLOATS = 1 << 15, /* of a tile, or where that is less, */
    MOST_COLS = 8192,     /* columns of it, */
    WIDENED_COLS = 2048,  /* of one that is widened, */
    PACKED_COLS = 512,    /* and of a packed weight's, */
    LEAST_COLS = 64,      /* which is made narrower to have so many */
    TASKS = 8,
    SLICE_ROWS = 192
};

typedef struct job {
    const cpu_back_kind *kind;
    float *dx;
    const float *from; /* rows of dy, ldy apart */
    int ldy;
    float *sums;        /* [slices][groups][n][32] */
    const uint32_t *dy; /* packed: panels of some tokens [units][tokens], one behind the other */
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

/* ---- a block ---- */

/* All tokens, in shares of about equal size, times 32 columns of a block. */
static void multiply_shares(const job *j, cpu_share s, int row) {
    int shares = (j->n + j->kind->tokens - 1) / j->kind->tokens;
    size_t part = (size_t)(s.pairs / shares) * s.step;
    float *out = s.out;
    s.every = shares;
    for (int first = 0, left = shares, n; left > 0; first += n, left--) {
        n = (j->n - first + left - 1) / left;
        s.out = out + at(first, GROUP);
        s.dy = j->dy + at(first, j->units) + at(row / 2 * j->kind->units, n);
        j->kind->multiply(&s, n);
        if (s.next) s.next += part;
    }
}

/* Sums of the block's first column are at `out`. */
static void multiply_pairs(const job *j, const cpu_block *b, float *out, int row, int cols, bool add) {
    _Alignas(64) uint32_t units[MANY_ROWS / 2 * GROUP];
    cpu_share s = {.w = units, .pairs = b->rows / 2, .add = add, .step = 4 * b->ld, .half = 2 * b->ld};
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
    cpu_share s = {.pairs = (end - row + 1) / 2, .add = add, .step = 128, .half = 64};
    for (int g = 0; g < cols; g += GROUP) {
        bool last = g + GROUP >= cols;
        s.w = cpu_packed_at(j->w, j->first + row, c + g);
        s.out = out + at(g, j->n);
        s.next = (const char *)cpu_packed_at(j->w, j->first + (last ? end : row), last ? c : c + g + GROUP);
        multiply_shares(j, s, row);
    }
}

/* And where it has to be widened: a row of zeros comes after an odd one. */
static void multiply_widened(const job *j, float *room, size_t ld, float *out, int row, int rows, int c,
                             int cols, bool add) {
    for (int i = 0; i < rows; i++) {
        int r = j->first + row + i;
        const k_matrix *m = cpu_find_part(j->w, &r);
        cpu_widen_part(room + (size_t)i * ld, m, r, c, cols);
        if (j->kind->rounded && m->dtype != K_BF16) cpu_round_floats(room + (size_t)i * ld, (size_t)cols);
    }
    if (rows % 2) memset(room + (size_t)rows * ld, 0, ld * sizeof *room);
    for (int g = 0; g < cols; g += GROUP) {
        cpu_share s = {
            .floats = room + g, .ld = ld, .out = out + at(g, j->n), .pairs = (rows + 1) / 2, .add = add};
        multiply_shares(j, s, row);
    }
}

/* Rows [row, row+rows) that are not packed. `room` is for high+1 rows of bfloat16, or as many of float32. */
static void multiply_block(const job *j, float *room, size_t ld, float *out, int row, int rows, int c,
                           int cols, bool add) {
    if (j->kind->units == 2) {
        multiply_widened(j, room, ld, out, row, rows, c, cols, add);
        return;
    }
    cpu_block b = cpu_block_at(j->w, (bf16 *)(void *)room, ld, j->first + row, rows, c, cols);
    multiply_pairs(j, &b, out, row, cols, add);
}

/* A tile of columns over a slice of rows. */
static void run(const job *j, int task) {
    int slice = task / j->tiles, c = task % j->tiles * j->wide, cols = least(j->cols - c, j->wide);
    int first = slice * j->each, end = least(first + j->each, j->rows);
    size_t ld = (size_t)j->wide + GROUP;
    float *out = j->sums + at(slice * j->groups, j->n * GROUP) + at(c, j->n);
    float *room = j->packed ? NULL : cpu_scratch(SLOT_TILE, (size_t)(j->high + 1) * ld);
    for (int row = first; row < end; row += j->high) {
        int rows = least(end - row, j->high);
        if (j->packed)
            multiply_packed(j, out, row, row + rows, c, cols, row > first);
        else
            multiply_block(j, room, ld, out, row, rows, c, cols, row > first);
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
    int fit = SUM_FLOATS / j->n / BLOCKS * BLOCKS;
    int most = j->packed ? PACKED_COLS : j->kind->units == 2 ? WIDENED_COLS : MOST_COLS;
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
CPU_CLONES static void add_group(const job *j, float *restrict dx, const float *from, int cols) {
    size_t apart = at(j->groups, j->n * GROUP);
    float s[GROUP] = {0};
    for (int v = 0; v < cols && j->first; v++) s[v] = dx[v];
    for (int k = 0; k < j->slices; k++, from += apart) {
        for (int v = 0; v < GROUP; v++) s[v] += from[v];
    }
    for (int v = 0; v < cols; v++) dx[v] = s[v];
}

static void add_slices(const job *j) {
    SHARE_FOR
    for (int g = 0; g < j->groups; g++) {
        for (int i = 0, c = g * GROUP; i < j->n; i++)
            add_group(j, j->dx + at(i, j->cols) + c, j->sums + at(c, j->n) + at(i, GROUP),
                      least(j->cols - c, GROUP));
    }
}

/* Panels of tokens; an odd last row gets a zero beside it. */
static void pack_tokens(const job *j, uint32_t *out) {
    const cpu_back_kind *k = j->kind;
    int shares = (j->n + k->tokens - 1) / k->tokens, few = j->n / shares, more = j->n % shares;
    SHARE_FOR
    for (int row = 0; row < j->rows; row += 32) {
        for (int s = 0; s < shares; s++) {
            int first = s * few + least(s, more), n = few + (s < more);
            cpu_rows_of t = {j->from + at(first, j->ldy), j->ldy, n, j->rows};
            k->pack(out + at(first, j->units) + at(row / 2 * k->units, n), &t, row);
        }
    }
}

/* What each of the threads does. */
static void take_part(job *j, uint32_t *packed) {
    pack_tokens(j, packed);
    take_tasks(j);
    WAIT_FOR_ALL
    add_slices(j);
}

/* Whether a range of rows can be read from a packed weight. */
static bool reads_packed(const k_weight *w, int first, int rows) {
    return w->device && first % 2 == 0 && (rows % 2 == 0 || first + rows == w->rows);
}

void cpu_wide_back(float *dx, const float *dy, int ldy, int n, const k_weight *w, int first, int rows,
                   const cpu_back_kind *kind) {
    job j = {.kind = kind, .n = n, .w = w, .first = first, .rows = rows, .cols = w->cols};
    j.from = dy, j.ldy = ldy, j.dx = dx;
    j.units = (rows + 1) / 2 * kind->units;
    j.packed = reads_packed(w, first, rows);
    cut(&j);
    j.sums = cpu_scratch(SLOT_SUMS, at(j.slices * j.groups, n * GROUP));
    uint32_t *packed = (uint32_t *)(void *)cpu_scratch(SLOT_ACTS, at(n, j.units));
    j.dy = packed;
    PARALLEL(cpu_worth_threads(n, rows, w->cols))
    take_part(&j, packed);
}
#endif
