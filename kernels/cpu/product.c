/* product.c - y = scale·x Wᵀ + bias on wide vectors, cut into pieces for caches and threads.
 *
 * A tile of rows of W, a slice of its columns at a time, is brought into the second-level cache row by row,
 * as it lies in the file, whatever its type. Tokens are packed once for all tiles into panels, in which a
 * unit (product.h) of all tokens of a panel is contiguous; the inner loops (product_kind.h) multiply a few
 * rows of W by a panel. Sums of a tile lie transposed until its last slice. */
#include "kernels/cpu/product_kind.h"

#ifdef CPU_X86
#include <stdatomic.h>

typedef struct job {
    const cpu_kind *kind;
    float *y; /* of the first token */
    int n;    /* tokens, at most CPU_TOKENS */
    const k_weight *w;
    float scale;
    int units;         /* of a row */
    const uint32_t *x; /* panels of 2·lanes tokens, [units][2·lanes or lanes] each */
    int tile_rows;
} job;

static int least(int a, int b) {
    return a < b ? a : b;
}

static int panel_tokens(const job *j) {
    return 2 * j->kind->lanes;
}

static int panels_of(const job *j) {
    return (j->n + panel_tokens(j) - 1) / panel_tokens(j);
}

/* Vectors of tokens of panel p. */
static int panel_vectors(const job *j, int p) {
    return j->n - p * panel_tokens(j) > j->kind->lanes ? 2 : 1;
}

static void pack_panel(const job *j, uint32_t *out, const float *x, int p) {
    const cpu_kind *k = j->kind;
    int cols = j->w->cols, vectors = panel_vectors(j, p), ld = k->lanes * vectors;
    int units = k->pairs ? k->step / 2 : k->step;
    for (int v = 0; v < vectors; v++) {
        int t = p * panel_tokens(j) + k->lanes * v;
        for (int c = 0, unit = 0; c < cols; c += k->step, unit += units)
            k->pack(out + at(unit, ld) + k->lanes * v, ld, x + at(t, cols), least(j->n - t, k->lanes), cols,
                    c);
    }
}

/* ---- a tile ---- */

/* Units [k, k+n) of some rows of W. */
typedef struct piece {
    int first, rows, k, n;
} piece;

/* 32 columns at a time; rows past an odd last one are zeros. */
static void unpack_pairs(const job *j, uint32_t *out, const piece *p) {
    for (int u = 0; u < p->n; u += CPU_GROUP / 2)
        cpu_unpack_group(out + u, (size_t)j->kind->stride, cpu_packed_at(j->w, p->first, 2 * (p->k + u)),
                         p->rows);
}

static void unpack_floats(const job *j, uint32_t *out, const piece *p) {
    for (int u = 0; u < p->n; u += CPU_GROUP)
        cpu_unpack_floats((float *)(void *)(out + u), (size_t)j->kind->stride,
                          cpu_packed_at(j->w, p->first, p->k + u), p->rows);
}

/* An odd last column gets a zero beside it. */
static void fill_pairs(const job *j, bf16 *out, const k_matrix *m, int row, const piece *p) {
    int c = 2 * p->k, n = least(2 * p->n, j->w->cols - c);
    if (n % 2) out[n] = 0;
    cpu_narrow_weight(out, m, row, c, n);
}

static void fill_floats(const job *j, float *out, const k_matrix *m, int row, const piece *p) {
    cpu_widen_part(out, m, row, p->k, p->n);
    if (j->kind->rounded && m->dtype != K_BF16) cpu_round_floats(out, (size_t)p->n);
}

static void fill_tile(const job *j, uint32_t *out, const piece *p) {
    if (j->w->device) {
        (j->kind->pairs ? unpack_pairs : unpack_floats)(j, out, p);
        return;
    }
    for (int i = 0; i < p->rows; i++, out += j->kind->stride) {
        int row = p->first + i;
        const k_matrix *m = cpu_find_part(j->w, &row);
        if (j->kind->pairs)
            fill_pairs(j, (bf16 *)out, m, row, p);
        else
            fill_floats(j, (float *)(void *)out, m, row, p);
    }
}

/* Rows of W that a panel is multiplied by at once. */
static int rows_at_once(const job *j, int panel) {
    return j->n - panel * panel_tokens(j) <= j->kind->few ? j->kind->few_sub : j->kind->sub;
}

/* From unit u of some rows on; elements that are not packed lie in runs of 16 as well. */
static cpu_ahead ahead_at(const job *j, int row, int rows, int u) {
    const cpu_kind *k = j->kind;
    cpu_ahead to = {.within = k->pairs || !j->w->device ? 15 : 31};
    to.p = cpu_weight_at(j->w, row, rows, k->pairs ? 2 * u : u, &to.ld, &to.step);
    if (!k->pairs && !j->w->device) to.step /= 2; /* it is that of 32 columns */
    return to;
}

/* `above`: rows of the tile that come before the piece. */
static void multiply_piece(const job *j, float *sums, const uint32_t *w, const piece *now, int above,
                           const piece *next) {
    const cpu_kind *k = j->kind;
    int panels = panels_of(j);
    for (int p = 0; p < panels; p++) {
        int vectors = panel_vectors(j, p), first = p * panel_tokens(j), rows = rows_at_once(j, p);
        const uint32_t *x = j->x + at(first, j->units) + at(now->k, k->lanes * vectors);
        for (int r = 0; r < now->rows; r += rows) {
            cpu_ahead to = p + 1 == panels ? ahead_at(j, next->first + r, rows, next->k) : (cpu_ahead){0};
            float *sum = sums + at(first, CPU_TILE_ROWS) + at(above + r, k->lanes * vectors);
            if (rows == k->sub)
                k->multiply[vectors - 1](sum, w + at(r, k->stride), x, now->n, now->k > 0, to);
            else
                k->multiply_few(sum, w + at(r, k->stride), x, now->n, now->k > 0, to, j->n - first);
        }
    }
}

static void store_tile(const job *j, const float *sums, int first, int rows) {
    int lanes = j->kind->lanes;
    for (int t = 0; t < j->n; t += lanes) {
        int p = t / panel_tokens(j), ld = lanes * panel_vectors(j, p);
        const float *from = sums + at(p * panel_tokens(j), CPU_TILE_ROWS) + (t - p * panel_tokens(j));
        cpu_store to = {.y = j->y + at(t, j->w->rows),
                        .ld = j->w->rows,
                        .tokens = j->n - t,
                        .scale = j->scale,
                        .bias = j->w->bias};
        for (int r = 0; r < rows; r += lanes) {
            to.row = first + r, to.rows = rows - r;
            j->kind->store(from + at(r, ld), ld, &to);
        }
    }
}

/* After `now`: the next rows of a tile that ends at row `end`, its next slice, or the first rows of the tile
 * that this thread takes next (at row j->w->rows: none). */
static piece piece_after(const job *j, const piece *now, const piece *whole, int next_tile) {
    piece p = *now;
    p.first += now->rows;
    if (p.first < whole->first + whole->rows) return p;
    p.first = whole->first, p.k += now->n;
    if (p.k >= j->units) p.k = 0, p.first = next_tile;
    return p;
}

/* Rows behind the last one, which are multiplied with it and never stored. */
static void clear_behind(const job *j, uint32_t *w, const piece *p) {
    const cpu_kind *k = j->kind;
    for (int i = p->rows; i % k->sub || (k->few && i % k->few_sub); i++)
        memset(w + at(i, k->stride), 0, (size_t)p->n * sizeof *w);
}

/* All rows of a slice. Where few panels come, so few at a time that they stay in the first-level cache. */
static void slice(const job *j, float *sums, const piece *whole, int next_tile) {
    const cpu_kind *k = j->kind;
    uint32_t *w = (uint32_t *)(void *)cpu_scratch(SLOT_TILE, at(CPU_TILE_ROWS, k->stride));
    int end = whole->first + whole->rows, high = panels_of(j) <= k->low ? k->low_rows : CPU_TILE_ROWS;
    for (int row = whole->first; row < end; row += high) {
        piece now = {row, least(high, end - row), whole->k, whole->n};
        piece next = piece_after(j, &now, whole, next_tile);
        fill_tile(j, w, &now);
        clear_behind(j, w, &now);
        multiply_piece(j, sums, w, &now, row - whole->first, &next);
    }
}

static void tile(const job *j, int first, int next_tile) {
    float *sums = cpu_scratch(SLOT_SUMS, at(CPU_TILE_ROWS, CPU_TOKENS));
    int rows = least(j->tile_rows, j->w->rows - first);
    for (int k = 0; k < j->units; k += j->kind->slice) {
        piece whole = {first, rows, k, least(j->units - k, j->kind->slice)};
        slice(j, sums, &whole, next_tile);
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
static int rows_of_tile(int rows, int sub) {
    int share = (rows + kernels_threads() - 1) / kernels_threads();
    int most = (share + sub - 1) / sub * sub;
    return least(most, CPU_TILE_ROWS);
}

/* What each of the threads does. */
static void take_part(const job *j, uint32_t *packed, const float *x, atomic_int *taken) {
    int panels = panels_of(j);
    SHARE_FOR
    for (int p = 0; p < panels; p++) pack_panel(j, packed + at(p * panel_tokens(j), j->units), x, p);
    take_tiles(j, taken);
}

static void multiply_tokens(job *j, const float *x) {
    int rows = panels_of(j) * panel_tokens(j);
    uint32_t *packed = (uint32_t *)(void *)cpu_scratch(SLOT_ACTS, at(rows, j->units));
    atomic_int taken = 0;
    j->x = packed;
    j->tile_rows = rows_of_tile(j->w->rows, j->kind->sub);
    PARALLEL(cpu_worth_threads(j->n, j->w->rows, j->w->cols))
    take_part(j, packed, x, &taken);
}

void cpu_wide_product(float *y, const float *x, int n, const k_weight *w, float scale, const cpu_kind *kind) {
    for (int t = 0; t < n; t += CPU_TOKENS) {
        job j = {
            .kind = kind, .y = y + at(t, w->rows), .n = least(n - t, CPU_TOKENS), .w = w, .scale = scale};
        j.units = kind->pairs ? (w->cols + 1) / 2 : w->cols;
        multiply_tokens(&j, x + at(t, w->cols));
    }
}
#endif
