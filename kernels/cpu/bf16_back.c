/* bf16_back.c - dx = dy W from operands rounded to bfloat16.
 *
 * The sum runs over rows of W, so its rows are taken in pairs, interleaved into the second-level cache: a
 * vector holds 16 columns of both, and a token's pair of dy is broadcast over it. A backward has few rows and
 * reads all weights, so what counts is that memory is never waited for: the next block is fetched while one
 * is multiplied. Where there are few tiles of columns the rows are cut into slices as well, whose sums are
 * added in order. */
#include "kernels/cpu/bf16.h"

#ifdef CPU_X86_BF16
#include <immintrin.h>
#include <stdatomic.h>

enum {
    BLOCK = 1 << 16, /* elements: 128 KB */
    FEW = 32,        /* tokens whose sums are few: longer runs of memory then, else fewer loads of sums */
    MOST_COLS = 512, /* of a block */
    GROUP = 32,      /* columns that are multiplied at once, */
    TOKENS = 12,     /* by so many tokens */
    TASKS = 6,
    SLICE_ROWS = 256
};

typedef struct job {
    float *out; /* [slices][n][cols] */
    const bf16 *dy;
    int ld_dy, n;
    const k_weight *w;
    int first, rows, cols;   /* rows [first, first+rows) of w: below, rows count from `first` */
    int wide, high;          /* columns and rows of a block */
    int group_ld;            /* between a block's groups, so that they do not share cache sets */
    int tiles, slices, each; /* rows of a slice */
} job;

/* A tile's columns [c, c+cols) and the rows [first, end) of a slice. */
typedef struct task {
    const job *j;
    int c, cols, first, end;
    float *out; /* at column c */
} task;

static int least(int a, int b) {
    return a < b ? a : b;
}

/* ---- interleaving ---- */

CPU_TARGET_BF16 static void interleave(uint32_t *out, int ld, const bf16 *a, const bf16 *b, int n) {
    for (int i = 0; i < n; i += 16) {
        __mmask16 m = cpu_lanes(n - i);
        __m512i low = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(m, a + i));
        __m512i high = _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(m, b + i)), 16);
        _mm512_storeu_si512(out + at(i / GROUP, ld) + i % GROUP, _mm512_or_si512(low, high));
    }
}

/* The task's columns of a row: where they lie, or narrowed into `room`. */
static const bf16 *columns_of(const task *t, int row, bf16 *room) {
    row += t->j->first;
    const k_matrix *m = cpu_find_part(t->j->w, &row);
    if (m->dtype == K_BF16 && (uintptr_t)m->data % sizeof(bf16) == 0)
        return (const bf16 *)m->data + at(row, m->cols) + t->c;
    cpu_narrow_weight(room, m, row, t->c, t->cols);
    return room;
}

static void interleave_block(const task *t, uint32_t *block, int row, int rows) {
    static const bf16 zeros[MOST_COLS];
    bf16 a[MOST_COLS], b[MOST_COLS];
    for (int i = 0; i < rows; i += 2) {
        const bf16 *second = i + 1 < rows ? columns_of(t, row + i + 1, b) : zeros;
        interleave(block + at(i / 2, GROUP), t->j->group_ld, columns_of(t, row + i, a), second, t->cols);
    }
}

/* ---- up to 12 tokens times 32 columns ---- */

typedef struct sums {
    float *out;
    int ld;
    const bf16 *dy;
    int ld_dy;
    const uint32_t *w;
    int pairs, cols;
    bool add;
    const char *ahead; /* these columns of the rows after, or NULL; ld_ahead bytes apart */
    size_t ld_ahead;
} sums;

CPU_TARGET_BF16 static inline __attribute__((always_inline)) void multiply(const sums *s, int tokens) {
    __mmask16 m[2] = {cpu_lanes(s->cols), cpu_lanes(s->cols - 16)};
    __m512 c[2 * TOKENS];
    for (int i = 0; i < 2 * tokens; i++) {
        const float *from = s->out + at(i / 2, s->ld) + 16 * (i % 2);
        c[i] = s->add ? _mm512_maskz_loadu_ps(m[i % 2], from) : _mm512_setzero_ps();
    }
    const char *ahead = s->ahead;
    for (int p = 0; p < s->pairs; p++) {
        if (ahead) {
            __builtin_prefetch(ahead, 0, 2);
            __builtin_prefetch(ahead + s->ld_ahead, 0, 2);
            ahead += 2 * s->ld_ahead;
        }
        __m512bh w0 = (__m512bh)_mm512_loadu_si512(s->w + p * GROUP);
        __m512bh w1 = (__m512bh)_mm512_loadu_si512(s->w + p * GROUP + 16);
        for (int i = 0; i < tokens; i++) {
            int32_t pair;
            memcpy(&pair, s->dy + (size_t)i * (size_t)s->ld_dy + 2 * p, sizeof pair);
            __m512bh a = (__m512bh)_mm512_set1_epi32(pair);
            c[2 * i] = _mm512_dpbf16_ps(c[2 * i], a, w0);
            c[2 * i + 1] = _mm512_dpbf16_ps(c[2 * i + 1], a, w1);
        }
    }
    for (int i = 0; i < 2 * tokens; i++)
        _mm512_mask_storeu_ps(s->out + at(i / 2, s->ld) + 16 * (i % 2), m[i % 2], c[i]);
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
    static void (*const of[])(const sums *) = {multiply_1, multiply_2,  multiply_3,  multiply_4,
                                               multiply_5, multiply_6,  multiply_7,  multiply_8,
                                               multiply_9, multiply_10, multiply_11, multiply_12};
    of[tokens - 1](s);
}

/* ---- a task ---- */

/* Where a block lies: columns from c on of some rows from `row` on. */
typedef struct place {
    int row, rows, c;
} place;

static task task_of(const job *j, int i) {
    int tile = i % j->tiles, slice = i / j->tiles;
    task t = {.j = j, .c = tile * j->wide, .cols = least(j->cols - tile * j->wide, j->wide)};
    t.first = slice * j->each, t.end = least(t.first + j->each, j->rows);
    t.out = j->out + at(slice * j->n, j->cols) + t.c;
    return t;
}

/* After `now`: the task's next block, or the first one of the task that this thread takes next. */
static place place_after(const task *t, const place *now, int next_task) {
    const job *j = t->j;
    place p = {now->row + now->rows, 0, t->c};
    task then = *t;
    if (p.row >= t->end) {
        if (next_task >= j->tiles * j->slices) return (place){.row = j->rows};
        then = task_of(j, next_task);
        p.row = then.first, p.c = then.c;
    }
    p.rows = least(then.end - p.row, j->high);
    return p;
}

/* All tokens, in shares of about equal size. */
static void multiply_block(const task *t, const uint32_t *block, const place *now, const place *next) {
    const job *j = t->j;
    int groups = (t->cols + GROUP - 1) / GROUP, shares = (j->n + TOKENS - 1) / TOKENS;
    for (int g = 0; g < groups; g++) {
        size_t ld = 0, step;
        const char *ahead =
            cpu_weight_at(j->w, j->first + next->row, next->rows, next->c + g * GROUP, &ld, &step);
        for (int s = 0; s < shares; s++) {
            int first = (int)((int64_t)s * j->n / shares), end = (int)((int64_t)(s + 1) * j->n / shares);
            multiply_tokens(&(sums){.out = t->out + at(first, j->cols) + g * GROUP,
                                    .ld = j->cols,
                                    .dy = j->dy + at(first, j->ld_dy) + now->row,
                                    .ld_dy = j->ld_dy,
                                    .w = block + at(g, j->group_ld),
                                    .pairs = (now->rows + 1) / 2,
                                    .cols = t->cols - g * GROUP,
                                    .add = now->row > t->first,
                                    .ahead = s ? NULL : ahead,
                                    .ld_ahead = ld},
                            end - first);
        }
    }
}

static void run(const job *j, int i, int next_task) {
    task t = task_of(j, i);
    uint32_t *block = (uint32_t *)(void *)cpu_scratch(SLOT_TILE, at(j->wide / GROUP, j->group_ld));
    for (int row = t.first; row < t.end; row += j->high) {
        place now = {row, least(t.end - row, j->high), t.c}, next = place_after(&t, &now, next_task);
        interleave_block(&t, block, row, now.rows);
        multiply_block(&t, block, &now, &next);
    }
}

/* Tasks as long as there are any; the next one is taken before this one is done, so that it can be fetched.
 */
static void take_tasks(const job *j, atomic_int *taken) {
    int i = atomic_fetch_add(taken, 1);
    while (i < j->tiles * j->slices) {
        int next = atomic_fetch_add(taken, 1);
        run(j, i, next);
        i = next;
    }
}

/* Slices of an even number of rows, as a block has them. */
static void cut(job *j) {
    j->wide = j->n <= FEW ? 512 : 256;
    j->high = BLOCK / j->wide;
    j->group_ld = (j->high / 2 + 1) * GROUP;
    j->tiles = (j->cols + j->wide - 1) / j->wide;
    j->slices = 1;
    while (j->tiles * j->slices < TASKS && j->rows / (2 * j->slices) >= SLICE_ROWS) j->slices *= 2;
    j->each = (j->rows + j->slices - 1) / j->slices;
    j->each = (j->each + j->high - 1) / j->high * j->high;
    j->slices = (j->rows + j->each - 1) / j->each;
}

static void add_slices(const job *j, float *dx) {
    size_t n = at(j->n, j->cols);
    PARALLEL_FOR(n >= PARALLEL_MIN)
    for (size_t i = 0; i < n; i++) {
        float s = j->first ? dx[i] : 0;
        for (size_t k = 0; k < (size_t)j->slices; k++) s += j->out[k * n + i];
        dx[i] = s;
    }
}

static void fast_back(float *dx, const float *dy, int ldy, int n, const k_weight *w, int first, int rows) {
    job j = {
        .n = n, .w = w, .first = first, .rows = rows, .cols = w->cols, .ld_dy = (rows + 31) / 32 * 32 + 32};
    bool many = (double)n * rows * w->cols >= PARALLEL_MIN_MADDS;
    bf16 *narrow = (bf16 *)(void *)cpu_scratch(SLOT_ACTS, at(n, j.ld_dy) / 2);
    PARALLEL_FOR(at(n, rows) >= PARALLEL_MIN)
    for (int i = 0; i < n; i++) {
        cpu_round_bf16(narrow + at(i, j.ld_dy), dy + at(i, ldy), (size_t)rows);
        narrow[at(i, j.ld_dy) + (size_t)rows] = 0; /* beside an odd last row */
    }
    atomic_int taken = 0;
    j.dy = narrow;
    cut(&j);
    bool apart = j.slices > 1 || first;
    j.out = apart ? cpu_scratch(SLOT_SUMS, at(j.slices * n, j.cols)) : dx;
    PARALLEL(many)
    take_tasks(&j, &taken);
    if (apart) add_slices(&j, dx);
}
#endif

void cpu_bf16_back(float *dx, const float *dy, int ldy, int n, const k_weight *w, int first, int rows) {
#ifdef CPU_X86_BF16
    if (cpu_has_bf16()) {
        fast_back(dx, dy, ldy, n, w, first, rows);
        return;
    }
#endif
    cpu_rounded_back(dx, dy, ldy, n, w, first, rows);
}
