/* gemm_wide.h - small float32 products of strided matrices in one thread, as attention has them; the body of
 * gemm_256.c and gemm_512.c, which say what a vector is:
 *
 *     VEC, LANES, TARGET, LOAD(p), STORE(p, v), SET(x), ZERO, FMA(a, b, c), ADD(a, b), MUL(a, b)
 *     SUB: rows of c that are computed at once; two vectors of columns times SUB rows are sums in registers
 *     PACK_COLUMNS(out, b, ldb, columns, k): out[k][2·LANES] = bᵀ of up to 2·LANES rows of b
 *
 * b is packed a panel of 2·LANES columns at a time; elements of a are broadcast from where they lie. An
 * element of c is summed over k in order, whatever else is computed with it. */

enum { PANEL = 2 * LANES };

/* Rows of a: element (i, p) is at a[i·row + p·step]. */
typedef struct operand {
    const float *a;
    size_t row, step;
} operand;

TARGET static inline __attribute__((always_inline)) void
columns(float *c, size_t ldc, const operand *o, const float *b, int k, const cpu_product *p, int rows) {
    VEC s[2 * SUB]; /* in registers, as long as every loop over it is unrolled */
    const float *a = o->a;
    size_t row = o->row, step = o->step;
#pragma GCC unroll 24
    for (int i = 0; i < 2 * rows; i++) s[i] = ZERO;
    for (int q = 0; q < k; q++, a += step, b += PANEL) {
        VEC b0 = LOAD(b), b1 = LOAD(b + LANES);
#pragma GCC unroll 12
        for (int i = 0; i < rows; i++) {
            VEC x = SET(a[(size_t)i * row]);
            s[2 * i] = FMA(x, b0, s[2 * i]);
            s[2 * i + 1] = FMA(x, b1, s[2 * i + 1]);
        }
    }
    VEC alpha = SET(p->alpha), beta = SET(p->beta);
    bool add = p->beta < 0 || p->beta > 0;
#pragma GCC unroll 24
    for (int i = 0; i < 2 * rows; i++) {
        float *to = c + (size_t)(i / 2) * ldc + (i % 2) * LANES;
        VEC v = MUL(alpha, s[i]);
        STORE(to, add ? ADD(v, MUL(beta, LOAD(to))) : v);
    }
}

/* Up to SUB rows of a whole panel. */
TARGET static void some_rows(float *c, size_t ldc, const operand *o, const float *b, int k,
                             const cpu_product *p, int rows) {
#define OF_ROWS(n)                                                                                           \
    case n:                                                                                                  \
        columns(c, ldc, o, b, k, p, n);                                                                      \
        break;
    switch (rows) {
        OF_ROWS(1)
        OF_ROWS(2)
        OF_ROWS(3)
        OF_ROWS(4)
        OF_ROWS(5)
        OF_ROWS(6)
#if SUB_ROWS > 6
        OF_ROWS(7)
        OF_ROWS(8)
        OF_ROWS(9)
        OF_ROWS(10)
        OF_ROWS(11)
        OF_ROWS(12)
#endif
    }
#undef OF_ROWS
}

/* A panel that c has not all columns of: by way of a full one. */
static void narrow_rows(float *c, size_t ldc, const operand *o, const float *b, int k, const cpu_product *p,
                        int rows, int cols) {
    float full[SUB * PANEL] = {0};
    for (int i = 0; i < rows; i++) memcpy(full + i * PANEL, c + (size_t)i * ldc, (size_t)cols * sizeof *c);
    some_rows(full, PANEL, o, b, k, p, rows);
    for (int i = 0; i < rows; i++) memcpy(c + (size_t)i * ldc, full + i * PANEL, (size_t)cols * sizeof *c);
}

static void pack_rows(float *out, const float *b, size_t ldb, int cols, int k) {
    for (int q = 0; q < k; q++, out += PANEL, b += ldb) {
        if (cols == PANEL) {
            memcpy(out, b, PANEL * sizeof *out);
            continue;
        }
        memcpy(out, b, (size_t)cols * sizeof *out);
        memset(out + cols, 0, (size_t)(PANEL - cols) * sizeof *out);
    }
}

static void multiply_panel(const cpu_product *p, const float *b, int first, int cols) {
    operand o = {p->a, p->ta ? 1 : (size_t)p->lda, p->ta ? (size_t)p->lda : 1};
    size_t ldc = (size_t)p->ldc;
    for (int i = 0; i < p->m; i += SUB) {
        int rows = p->m - i < SUB ? p->m - i : SUB;
        float *c = p->c + (size_t)i * ldc + first;
        o.a = p->a + (size_t)i * o.row;
        if (cols == PANEL)
            some_rows(c, ldc, &o, b, p->k, p, rows);
        else
            narrow_rows(c, ldc, &o, b, p->k, p, rows, cols);
    }
}

static void product(const cpu_product *p) {
    float *b = cpu_scratch(SLOT_PANEL, at(p->k, PANEL));
    size_t ldb = (size_t)p->ldb;
    for (int first = 0; first < p->n; first += PANEL) {
        int cols = p->n - first < PANEL ? p->n - first : PANEL;
        if (p->tb)
            PACK_COLUMNS(b, p->b + (size_t)first * ldb, ldb, cols, p->k);
        else
            pack_rows(b, p->b + first, ldb, cols, p->k);
        multiply_panel(p, b, first, cols);
    }
}
