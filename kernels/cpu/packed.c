/* packed.c - operands in units (product.h): tokens, and pairs of a weight's rows, interleaved, a block at a
 * time or a weight once and for all.
 *
 * A backward product reads all weights for few rows of dx, and sums over rows of W, so that what it takes
 * from memory has to be interleaved first; and a file's rows, one after the other each on pages of its own,
 * are no good way to read memory. So where there is room for a copy, weights of 16 or 32 bits are interleaved
 * when they are loaded: 32 columns of all rows lie together, on large pages, and backward products read
 * straight ahead; forward products take the pairs apart again as they bring a tile into the cache. */
#include "kernels/cpu/product.h"

#include <stdatomic.h>
#include <stdlib.h>

#ifdef CPU_X86
#include CPU_INTRINSICS

#include "kernels/cpu/transpose.h"

/* ---- tokens ---- */

CPU_TARGET_BF16 void cpu_pack_pairs(uint32_t *out, int ld, const cpu_rows_of *t, int c, int lanes) {
    __mmask16 low = cpu_lanes(t->cols - c), high = cpu_lanes(t->cols - c - 16), all = cpu_lanes(lanes);
    __m512i r[16];
    for (int i = 0; i < 16; i++) {
        const float *row = t->x + at(i < t->n ? i : 0, t->ld) + c;
        __mmask16 l = i < t->n ? low : 0, h = i < t->n ? high : 0;
        r[i] =
            (__m512i)_mm512_cvtne2ps_pbh(_mm512_maskz_loadu_ps(h, row + 16), _mm512_maskz_loadu_ps(l, row));
    }
    cpu_transpose_16(r);
    for (int p = 0; p < 16 && c + 2 * p < t->cols; p++) _mm512_mask_storeu_epi32(out + at(p, ld), all, r[p]);
}

/* ---- blocks of rows ---- */

cpu_block cpu_block_at(const k_weight *w, bf16 *room, size_t ld, int row, int rows, int c, int cols) {
    int in_part = row;
    const k_matrix *m = cpu_find_part(w, &in_part);
    bool readable = m->dtype == K_BF16 && (uintptr_t)m->data % sizeof(bf16) == 0;
    if (readable && rows % 2 == 0 && in_part + rows <= m->rows)
        return (cpu_block){(const bf16 *)m->data + at(in_part, m->cols) + c, (size_t)m->cols, rows};
    for (int i = 0; i < rows; i++) {
        int r = row + i;
        m = cpu_find_part(w, &r);
        cpu_narrow_weight(room + (size_t)i * ld, m, r, c, cols);
    }
    if (rows % 2) memset(room + (size_t)rows * ld, 0, (size_t)cols * sizeof *room);
    return (cpu_block){room, ld, rows + rows % 2};
}

static void pack_group_plain(uint32_t *restrict out, const cpu_block *b, int c, int cols) {
    int n = cols - c < CPU_GROUP ? cols - c : CPU_GROUP;
    const bf16 *w = b->w + c;
    for (int r = 0; r < b->rows; r += 2, w += 2 * b->ld, out += CPU_GROUP) {
        for (int i = 0; i < n; i++) out[i] = w[i] | (uint32_t)w[b->ld + (size_t)i] << 16;
        for (int i = n; i < CPU_GROUP; i++) out[i] = 0;
    }
}

CPU_TARGET_BF16 static void pack_group_512(uint32_t *out, const cpu_block *b, int c, int cols) {
    const __m512i low = _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8, 39, 7,
                                         38, 6, 37, 5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0);
    const __m512i high = _mm512_add_epi16(low, _mm512_set1_epi16(16));
    __mmask32 m = (__mmask32)cpu_lanes(cols - c) | (__mmask32)cpu_lanes(cols - c - 16) << 16;
    const bf16 *w = b->w + c;
    for (int r = 0; r < b->rows; r += 2, w += 2 * b->ld, out += CPU_GROUP) {
        __m512i x = _mm512_maskz_loadu_epi16(m, w), y = _mm512_maskz_loadu_epi16(m, w + b->ld);
        _mm512_store_si512(out, _mm512_permutex2var_epi16(x, low, y));
        _mm512_store_si512(out + 16, _mm512_permutex2var_epi16(x, high, y));
    }
}

void cpu_pack_group(uint32_t *out, const cpu_block *b, int c, int cols) {
    (cpu_has_bf16() ? pack_group_512 : pack_group_plain)(out, b, c, cols);
}

CPU_TARGET_BF16 void cpu_unpack_group(uint32_t *out, size_t ld, const uint32_t *units, int rows) {
    const __m512i even = _mm512_set_epi16(62, 60, 58, 56, 54, 52, 50, 48, 46, 44, 42, 40, 38, 36, 34, 32, 30,
                                          28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
    const __m512i odd = _mm512_add_epi16(even, _mm512_set1_epi16(1));
    for (int r = 0; r < rows; r += 2, out += 2 * ld, units += CPU_GROUP) {
        __m512i x = _mm512_load_si512(units), y = _mm512_load_si512(units + 16);
        _mm512_storeu_si512(out, _mm512_permutex2var_epi16(x, even, y));
        _mm512_storeu_si512(out + ld, _mm512_permutex2var_epi16(x, odd, y));
    }
}

CPU_TARGET_256 void cpu_unpack_floats(float *out, size_t ld, const uint32_t *units, int rows) {
    const __m256i high = _mm256_set1_epi32((int)0xffff0000u);
    for (int r = 0; r < rows; r += 2, out += 2 * ld, units += CPU_GROUP) {
        for (int i = 0; i < CPU_GROUP; i += 8) {
            __m256i u = _mm256_loadu_si256((const __m256i *)(const void *)(units + i));
            _mm256_storeu_ps(out + i, _mm256_castsi256_ps(_mm256_slli_epi32(u, 16)));
            _mm256_storeu_ps(out + ld + i, _mm256_castsi256_ps(_mm256_and_si256(u, high)));
        }
    }
}

/* ---- whole weights ---- */

static atomic_size_t packed; /* bytes */

static size_t packed_bytes(const k_weight *w) {
    return cpu_packed_group(w) * (size_t)((w->cols + CPU_GROUP - 1) / CPU_GROUP) * sizeof(uint32_t);
}

/* Beyond what copies may take weights stay where they are. */
static bool take(size_t bytes) {
    size_t most = cpu_copy_bytes();
    size_t now = atomic_fetch_add(&packed, bytes);
    if (now <= most && bytes <= most - now) return true;
    atomic_fetch_sub(&packed, bytes);
    return false;
}

static void pack_rows(uint32_t *out, const k_weight *w, int row) {
    enum { ROWS = CPU_PACKED_ROWS };
    size_t ld = (size_t)w->cols + CPU_GROUP;
    bf16 *room = (bf16 *)(void *)cpu_scratch(SLOT_TILE, (ROWS + 1) * ld / 2 + 1);
    int rows = w->rows - row < ROWS ? w->rows - row : ROWS;
    cpu_block b = cpu_block_at(w, room, ld, row, rows, 0, w->cols);
    out += at(row / 2, CPU_GROUP);
    for (int c = 0; c < w->cols; c += CPU_GROUP, out += cpu_packed_group(w))
        cpu_pack_group(out, &b, c, w->cols);
}

/* Blocks of 4 to 8 bits would grow, and operands in float32 want all bits. Where there are products of
 * bfloat16, those in float32 are for small models. */
static bool worth_packing(const k_weight *w, bool rounded) {
    for (int i = 0; i < w->n_parts; i++) {
        k_dtype type = w->part[i].dtype;
        if (rounded ? k_is_block(type) : type != K_BF16) return false;
    }
    return cpu_back_kind_of(rounded, w, 1) && (rounded || !cpu_has_bf16());
}

void cpu_pack(k_weight *w, bool rounded) {
    size_t bytes = packed_bytes(w);
    if (!worth_packing(w, rounded) || !take(bytes)) return;
    uint32_t *to = cpu_pages(bytes, 64);
    if (!to) {
        atomic_fetch_sub(&packed, bytes);
        return;
    }
    PARALLEL_FOR(cpu_worth_threads(1, w->rows, w->cols))
    for (int r = 0; r < w->rows; r += CPU_PACKED_ROWS) pack_rows(to, w, r);
    w->device = to;
}

void cpu_unpack(k_weight *w) {
    if (!w->device) return;
    atomic_fetch_sub(&packed, packed_bytes(w));
    free((void *)(uintptr_t)w->device);
    w->device = NULL;
}
#endif
