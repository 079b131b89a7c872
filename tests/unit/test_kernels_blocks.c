/* test_kernels_blocks.c - weights in blocks: every type decoded, multiplied forward and back, mixed with
 * plain parts, and as an embedding, against a plain reading of the formulas and sums in double. */
#include "tests/unit/kernels/blocks.h"

static k_dtype any_block(void) {
    return (k_dtype)pick(K_Q8_0, K_Q6_K);
}

typedef struct block_weights {
    k_weight w;
    double *v; /* [rows][cols] */
} block_weights;

/* One to three parts; each but `forced` of any type. On a bf16 device values are rounded on the way. */
static block_weights some_weights(int rows, int cols, k_dtype forced, int n_parts, const float *bias) {
    block_weights b = {.v = doubles(size(rows, cols))};
    k_matrix part[K_PARTS];
    for (int p = 0, first = 0; p < n_parts; p++) {
        int left = rows - first, n = p == n_parts - 1 ? left : pick(1, left - (n_parts - 1 - p));
        double *v = b.v + size(first, cols);
        bool plain = p && pick(0, 2) == 0;
        part[p] = plain ? random_matrix(n, cols, any_type(), v)
                        : random_blocks(v, n, cols, p ? any_block() : forced);
        for (size_t i = 0; i < size(n, cols); i++) v[i] = as_operand(as_activation(v[i]));
        first += n;
    }
    b.w = k_stack(part, n_parts);
    b.w.bias = bias;
    load(&b.w);
    CHECK(K->host || (!b.w.device && b.w.blocks[0]));
    return b;
}

/* ---- products ---- */

/* Where a weight is first a float32 and then rounded, a tie may go the other way now and then. */
static double slack(void) {
    return K->host && K->product_bytes == 2 ? 1e-3 : 0;
}

static void forward_once(int n, const block_weights *b, const float *bias) {
    int in = b->w.cols, out = b->w.rows;
    array *x = acts(n, in, 1), *y = blank(ACTS, n, out), *z = blank(FLOATS, n, out);
    double *want = doubles(y->n), *mag = doubles(y->n);
    round_operands(x->v, x->n);
    for (int i = 0; i < n; i++) {
        for (int o = 0; o < out; o++) {
            size_t at = size(i, out) + (size_t)o;
            for (int j = 0; j < in; j++) {
                double term = x->v[size(i, in) + (size_t)j] * b->v[size(o, in) + (size_t)j];
                want[at] += term, mag[at] += fabs(term);
            }
            want[at] += (double)bias[o], mag[at] += fabs((double)bias[o]);
        }
    }
    K->linear(K, y->p, x->p, n, &b->w);
    CLOSE(results(y), want, mag, y->n, SUM + rounding() + slack(), rounding(), "linear");
    K->logits(K, z->p, x->p, n, &b->w, 1);
    CLOSE(results(z), want, mag, z->n, SUM + slack(), 0, "logits");
}

static void backward_once(int n, const block_weights *b) {
    int in = b->w.cols, out = b->w.rows;
    array *dy = acts(n, out, 1), *dx = blank(ACTS, n, in);
    double *want = doubles(dx->n), *mag = doubles(dx->n);
    k_counts c = {0};
    round_operands(dy->v, dy->n);
    for (int i = 0; i < n; i++) {
        for (int o = 0; o < out; o++) {
            for (int j = 0; j < in; j++) {
                double term = dy->v[size(i, out) + (size_t)o] * b->v[size(o, in) + (size_t)j];
                want[size(i, in) + (size_t)j] += term, mag[size(i, in) + (size_t)j] += fabs(term);
            }
        }
    }
    K->linear_back(K, dx->p, dy->p, n, &b->w, &c);
    CLOSE(results(dx), want, mag, dx->n, SUM + slack(), rounding(), "linear_back");
    CHECK(c.linear_rows == n);
}

static void products_once(int n, int rows, int blocks, k_dtype type, int n_parts) {
    float *bias = lend((size_t)rows, sizeof *bias);
    for (int i = 0; i < rows; i++) bias[i] = (float)normal();
    block_weights b = some_weights(rows, 256 * blocks, type, n_parts, bias);
    forward_once(n, &b, bias);
    backward_once(n, &b);
    end_round();
}

static void test_products(void **state) {
    (void)state;
    for (int type = K_Q8_0; type < K_DTYPES; type++) {
        for (int n_parts = 1; n_parts <= K_PARTS; n_parts++)
            products_once(pick(1, 9), pick(K_PARTS, 40), pick(1, 2), (k_dtype)type, n_parts);
    }
}

/* Several tiles of rows on the CPU. */
static void test_tall(void **state) {
    (void)state;
    products_once(2, 1500, 1, K_Q4_K, 2);
    products_once(2, 1100, 2, K_Q6_K, 3);
}

/* One-hot tokens bring out weights as a product has them: those of an embedding, rounded to an operand to the
 * bit. Several columns of blocks, and more rows than a tile. */
static void operands_once(k_dtype type, int rows, int cols) {
    double *v = doubles(size(rows, cols));
    k_matrix m = k_is_block(type) ? random_blocks(v, rows, cols, type) : random_matrix(rows, cols, type, v);
    k_weight w = k_stack(&m, 1);
    load(&w);
    int *id = lend((size_t)rows, sizeof *id), wrong = 0;
    for (int i = 0; i < rows; i++) id[i] = i;
    double *one = doubles(size(cols, cols));
    for (int i = 0; i < cols; i++) one[size(i, cols) + (size_t)i] = 1;
    array *ids = ints(id, rows), *whole = blank(FLOATS, rows, cols);
    array *x = of_values(ACTS, one, cols, cols), *z = blank(FLOATS, cols, rows);
    K->embed(K, whole->p, ids->p, rows, &w, 1);
    K->logits(K, z->p, x->p, cols, &w, 1);
    const double *want = results(whole), *got = results(z);
    for (int r = 0; r < rows; r++) {
        for (int c = 0; c < cols; c++)
            wrong +=
                fabs(got[size(c, rows) + (size_t)r] - as_operand(want[size(r, cols) + (size_t)c])) > 1e-37;
    }
    CHECK(wrong == 0);
    end_round();
}

static void test_operands(void **state) {
    (void)state;
    for (int type = K_F32; K->host && type < K_DTYPES; type++)
        operands_once((k_dtype)type, pick(97, 120), 256);
    for (int type = K_F32; K->host && type < K_Q8_0; type++)
        operands_once((k_dtype)type, pick(1, 40), pick(1, 200));
}

/* ---- embeddings ---- */

/* Blocks come as they are, rounded to no activation's type. */
static void test_embed(void **state) {
    (void)state;
    for (int type = K_Q8_0; type < K_DTYPES; type++) {
        int rows = pick(2, 20), d = 256 * pick(1, 2), n = pick(1, 12), *id = any_of(n, rows);
        double *v = doubles(size(rows, d));
        k_matrix m = random_blocks(v, rows, d, (k_dtype)type);
        k_weight w = k_stack(&m, 1);
        load(&w);
        array *ids = ints(id, n), *x = blank(FLOATS, n, d);
        double *want = doubles(x->n), *mag = doubles(x->n);
        for (size_t i = 0; i < x->n; i++) {
            want[i] = 0.5 * v[size(id[i / (size_t)d], d) + i % (size_t)d];
            mag[i] = fabs(want[i]) + 64; /* a scale times a number less a minimum: they may cancel */
        }
        K->embed(K, x->p, ids->p, n, &w, 0.5f);
        CLOSE(results(x), want, mag, x->n, 3e-7, 0, k_block_of((k_dtype)type).name);
        end_round();
    }
}

/* Eᵀ π of a few rows. */
static void soft_write_once(int n, int V, int d, k_dtype type) {
    float *none = lend((size_t)V, sizeof *none);
    block_weights E = some_weights(V, d, type, 1, none);
    array *z = floats(n, V, 1), *out = blank(FLOATS, n, d);
    k_row_stats *s = lend((size_t)n, sizeof *s);
    double *want = doubles(out->n), *mag = doubles(out->n);
    for (int i = 0; i < n; i++) {
        double sum = 0;
        for (int v = 1; v < V; v++) sum += exp(z->v[size(i, V) + (size_t)v]);
        s[i].lse = log(sum);
        for (int v = 1; v < V; v++) {
            double p = exp(z->v[size(i, V) + (size_t)v] - s[i].lse);
            for (int j = 0; j < d; j++) {
                want[size(i, d) + (size_t)j] += p * E.v[size(v, d) + (size_t)j];
                mag[size(i, d) + (size_t)j] += p * fabs(E.v[size(v, d) + (size_t)j]);
            }
        }
    }
    array *stats = raw(s, (size_t)n, sizeof *s);
    K->soft_write(K, out->p, z->p, stats->p, NULL, n, V, 0, &E.w);
    CLOSE(results(out), want, mag, out->n, 2e-5 + (K->product_bytes == 2 ? 0x1p-8 : 0), 0, "soft_write");
    end_round();
}

static void test_soft_write(void **state) {
    (void)state;
    for (int type = K_Q8_0; type < K_DTYPES; type++)
        soft_write_once(pick(1, 5), pick(3, 60), 256, (k_dtype)type);
}

int main(int argc, char **argv) {
    int rc = open_device(argc, argv);
    if (rc) return rc;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_embed), cmocka_unit_test(test_products),   cmocka_unit_test(test_operands),
        cmocka_unit_test(test_tall),  cmocka_unit_test(test_soft_write),
    };
    return close_device("blocks", cmocka_run_group_tests(tests, NULL, NULL));
}
