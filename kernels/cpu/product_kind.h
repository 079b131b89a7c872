/* product_kind.h - private to the products: the inner loops of one kind of vectors and operands.
 *
 * product.c and product_back.c cut a product into pieces that fit the caches and share them out to threads;
 * what a piece does with vectors is here. Kinds differ in what a unit (product.h) is: a pair of bfloat16 or a
 * float32. */
#ifndef TABES_KERNELS_CPU_PRODUCT_KIND_H
#define TABES_KERNELS_CPU_PRODUCT_KIND_H

#include "kernels/cpu/product.h"

/* Weights that are wanted next, asked for while others are multiplied: `step` bytes a row for every 16 units,
 * or for every 32. */
typedef struct cpu_ahead {
    const char *p; /* NULL: none */
    size_t ld, step;
    int within; /* units but one */
} cpu_ahead;

/* Where sums of a tile go: rows [row, row+rows) of y's rows of `ld`, times scale, plus bias. */
typedef struct cpu_store {
    float *y;
    int ld, row, rows, tokens; /* rows, tokens: any, what is beyond a block is left to others */
    float scale;
    const float *bias; /* NULL: none */
} cpu_store;

/* y = x Wᵀ. A panel of tokens is two vectors wide, the last one only one where that is enough. */
struct cpu_kind {
    bool pairs;        /* a unit is a pair of columns */
    bool rounded;      /* operands are rounded to bfloat16 */
    int lanes;         /* of a vector: tokens, and rows that are transposed at once */
    int sub;           /* rows of W that are multiplied at once; */
    int few, few_sub;  /* and where a panel has at most so many tokens; 0: no such thing */
    int low, low_rows; /* for so many panels so many rows are brought into the cache at a time */
    int slice;         /* units of W's rows in a tile */
    int stride;        /* between a tile's rows, so that they do not share cache sets */
    int step;          /* columns that `pack` takes */
    /* Columns [c, c+step) of up to `lanes` tokens, as units: a unit of all tokens after the other, ld apart.
     */
    void (*pack)(uint32_t *out, int ld, const float *x, int tokens, int cols, int c);
    /* sum[sub][lanes·vectors] (+)= `sub` rows of a tile from w on, times a panel's units from x on; for one
     * and for two vectors. */
    void (*multiply[2])(float *sum, const uint32_t *w, const uint32_t *x, int units, bool add,
                        cpu_ahead next);
    /* The same of `few_sub` rows for the first of a single vector's tokens: in the same order, so the same
     * bits. */
    void (*multiply_few)(float *sum, const uint32_t *w, const uint32_t *x, int units, bool add,
                         cpu_ahead next, int tokens);
    /* `lanes` rows' sums of up to `lanes` tokens, `ld` apart, to where they belong. */
    void (*store)(const float *sum, int ld, const cpu_store *to);
};

enum {
    CPU_TILE_ROWS = 96, /* whole subs and lanes of every kind */
    CPU_TOKENS = 512    /* packed at once: what a tile's sums leave of the second-level cache */
};

/* One share of tokens times 32 columns of some pairs of rows, for dx = dy W. */
typedef struct cpu_share {
    float *out;          /* [tokens][32] */
    const uint32_t *dy;  /* [units][tokens], units as the kind has them */
    const uint32_t *w;   /* [pairs][32], interleaved; NULL: */
    const float *floats; /* [2·pairs] rows of 32, ld apart */
    size_t ld;
    int pairs;
    bool add;
    const char *next;  /* memory that is wanted next, asked for meanwhile; NULL: none */
    size_t step, half; /* two lines */
    int every;         /* for so many pairs of rows, so that memory is busy as long as arithmetic is */
} cpu_share;

struct cpu_back_kind {
    bool rounded; /* operands are rounded to bfloat16 */
    int tokens;   /* most of a share */
    int units;    /* of dy in a pair of rows: 1 where they are pairs, else 2 */
    /* Columns [row, row+32) of dy for some tokens, as units of all of them, one after the other. */
    void (*pack)(uint32_t *out, const cpu_rows_of *dy, int row);
    void (*multiply)(const cpu_share *s, int tokens);
};

#ifdef CPU_X86
extern const cpu_kind cpu_pairs_512, cpu_floats_512, cpu_floats_256, cpu_rounded_256;
extern const cpu_back_kind cpu_back_pairs_512, cpu_back_floats_256, cpu_back_rounded_256;
#endif

#endif
