/* test_kernels_products.c - products with weights of every type, in one to three parts, against sums in
 * double; and embedding rows, which are weights widened and read directly. */
#include "tests/unit/kernels/rig.h"

/* want = scale·x Wᵀ + bias, mag = the same of magnitudes. x and W were rounded where products round them. */
static void product(double *want, double *mag, const array *x, int n, const weights *w, double scale,
                    const float *bias) {
    int in = w->w.cols, out = w->w.rows;
    for (int i = 0; i < n; i++) {
        for (int o = 0; o < out; o++) {
            const double *a = x->v + size(i, in), *b = w->v + size(o, in);
            double s = 0, m = 0;
            for (int j = 0; j < in; j++) s += scale * a[j] * b[j], m += fabs(scale * a[j] * b[j]);
            size_t at = size(i, out) + (size_t)o;
            want[at] = s + (bias ? (double)bias[o] : 0);
            mag[at] = m + (bias ? fabs((double)bias[o]) : 0);
        }
    }
}

/* On a bf16 device the product may be stored before the bias is added: another rounding of about the
 * magnitude of the sum, which `mag` bounds. */
static void linear_once(int n, weights *w) {
    int in = w->w.cols, out = w->w.rows;
    array *x = acts(n, in, 1), *y = blank(ACTS, n, out), *z = blank(FLOATS, n, out);
    double *want = doubles(y->n), *mag = doubles(y->n);
    round_operands(x->v, x->n);
    round_operands(w->v, size(out, in));
    product(want, mag, x, n, w, 1, w->bias);
    K->linear(K, y->p, x->p, n, &w->w);
    CLOSE(results(y), want, mag, y->n, SUM + (w->bias ? rounding() : 0), rounding(), "linear");
    float scale = (float)normal();
    product(want, mag, x, n, w, (double)scale, w->bias);
    K->logits(K, z->p, x->p, n, &w->w, scale);
    CLOSE(results(z), want, mag, z->n, SUM, 0, "logits");
    end_round();
}

static void linear_back_once(int n, weights *w) {
    int in = w->w.cols, out = w->w.rows;
    array *dy = acts(n, out, 1), *dx = blank(ACTS, n, in);
    double *want = doubles(dx->n), *mag = doubles(dx->n);
    k_counts c = {.linear_calls = 3, .linear_rows = 100};
    round_operands(dy->v, dy->n);
    round_operands(w->v, size(out, in));
    for (int i = 0; i < n; i++) {
        for (int o = 0; o < out; o++) {
            for (int j = 0; j < in; j++) {
                double term = dy->v[size(i, out) + (size_t)o] * w->v[size(o, in) + (size_t)j];
                want[size(i, in) + (size_t)j] += term;
                mag[size(i, in) + (size_t)j] += fabs(term);
            }
        }
    }
    K->linear_back(K, dx->p, dy->p, n, &w->w, &c);
    CLOSE(results(dx), want, mag, dx->n, SUM, rounding(), "linear_back");
    CHECK(c.linear_calls == 4 && c.linear_rows == 100 + n && c.attn_rows == 0);
    end_round();
}

static void test_random(void **state) {
    (void)state;
    for (int r = 0; r < rounds; r++) {
        int n = r < 4 ? r % 2 : pick(0, 70);
        linear_once(n, random_weights(pick(1, 130), pick(1, 90)));
        linear_back_once(n, random_weights(pick(1, 130), pick(1, 90)));
    }
}

/* Widths that vector loads and product libraries like, and some they do not. */
static void test_sizes(void **state) {
    (void)state;
    static const int width[] = {1, 2, 7, 8, 64, 128, 129, 256};
    for (int i = 0; i < 8; i++) {
        for (int j = i & 1; j < 8; j += 2) linear_once(5, random_weights(width[i], width[j]));
        linear_back_once(i, random_weights(width[i], width[7 - i]));
    }
}

/* Several tiles of output rows on the CPU, in parts that are no multiple of a tile; and enough for threads.
 */
static void test_large(void **state) {
    (void)state;
    for (int type = K_F32; type <= K_BF16; type++) {
        linear_once(3, weights_of(150, 4099, (k_dtype)type, 1 + type, true));
        linear_back_once(3, weights_of(150, 4099, (k_dtype)type, 3 - type, true));
        linear_once(150, weights_of(300, 260, (k_dtype)type, 3, false));
        linear_back_once(150, weights_of(300, 260, (k_dtype)type, 3, false));
    }
}

/* Whether a weight lies as it did or was brought into another order: a forward product is the same bits. */
static void order_once(int n, int rows, int cols, k_dtype type) {
    weights *w = weights_of(rows, cols, type, pick(1, rows < K_PARTS ? rows : K_PARTS), true);
    array *x = acts(n, cols, 1), *y = blank(ACTS, n, rows), *z = blank(ACTS, n, rows);
    k_weight again = w->w;
    again.bias = w->bias; /* on the host again */
    K->linear(K, y->p, x->p, n, &w->w);
    CHECK(K->load(K, &again));
    K->linear(K, z->p, x->p, n, &again);
    const double *a = results(y), *b = results(z);
    CHECK(!memcmp(a, b, y->n * sizeof *a));
    K->unload(K, &again);
    end_round();
}

static void test_order(void **state) {
    (void)state;
    for (int r = 0; r < rounds; r++) order_once(pick(1, 40), pick(1, 300), pick(1, 200), any_type());
    order_once(70, 99, 2500, K_BF16);
}

static void embed_once(int n, weights *w, float scale) {
    int d = w->w.cols;
    int *id = any_of(n, w->w.rows);
    array *ids = ints(id, n), *x = blank(FLOATS, n, d);
    double *want = doubles(x->n);
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < d; j++)
            want[size(i, d) + (size_t)j] = (double)scale * w->v[size(id[i], d) + (size_t)j];
    }
    K->embed(K, x->p, ids->p, n, &w->w, scale);
    CLOSE(results(x), want, NULL, x->n, 1e-7, 0, "embed");
    end_round();
}

static void test_embed(void **state) {
    (void)state;
    for (int r = 0; r < rounds; r++) {
        embed_once(r < 2 ? r : pick(0, 40), random_weights(pick(1, 60), pick(1, 140)),
                   r % 3 ? 1 : (float)normal());
    }
}

/* All 65536 values of a narrow type, to the bit (as activations, on a bf16 device). */
static void test_widening(void **state) {
    (void)state;
    enum { SIDE = 256 };
    static uint16_t all[SIDE * SIDE];
    int id[SIDE];
    for (int i = 0; i < SIDE * SIDE; i++) all[i] = (uint16_t)i;
    for (int i = 0; i < SIDE; i++) id[i] = i;
    for (int type = K_F16; type <= K_BF16; type++) {
        k_weight w = k_stack(&(k_matrix){all, (k_dtype)type, SIDE, SIDE}, 1);
        load(&w);
        array *ids = ints(id, SIDE), *x = blank(FLOATS, SIDE, SIDE);
        K->embed(K, x->p, ids->p, SIDE, &w, 1);
        const double *got = results(x);
        int wrong = 0;
        for (int i = 0; i < SIDE * SIDE; i++) {
            double want = as_activation((double)(type == K_BF16 ? bf16_value(all[i]) : f16_value(all[i])));
            wrong += isnan(want) ? !isnan(got[i]) : !(got[i] == want && signbit(got[i]) == signbit(want));
        }
        CHECK(wrong == 0);
        end_round();
    }
}

int main(int argc, char **argv) {
    int rc = open_device(argc, argv);
    if (rc) return rc;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_widening), cmocka_unit_test(test_embed), cmocka_unit_test(test_random),
        cmocka_unit_test(test_sizes),    cmocka_unit_test(test_large), cmocka_unit_test(test_order),
    };
    return close_device("products", cmocka_run_group_tests(tests, NULL, NULL));
}
