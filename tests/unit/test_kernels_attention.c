/* test_kernels_attention.c - attention over spans, with and without overlays, and its backward for several
 * seeds, against double references; the reference of the backward is itself held to central differences.
 *
 * Bounds: the magnitude of an output is the sum of magnitudes of its terms, P·|v| and so on. A float32 score
 * of about 20 errs by 1e-6 and its exponential as much, with hd and n_k terms added on top: ATTN. A bf16
 * device may also round P and dS to bf16 on their way into tensor cores: rounding() of the magnitude. */
#include "tests/unit/kernels/rig.h"

#define ATTN 1e-5

typedef struct shape {
    int H, KV, hd;
} shape;

static int width_of(shape s) {
    return (s.H + 2 * s.KV) * s.hd;
}

static shape random_shape(void) {
    static const int sizes[] = {2, 6, 64, 128}, groups[] = {1, 2, 3, 7};
    shape s = {.KV = pick(1, 3), .hd = pick(0, 3) ? sizes[pick(0, 3)] : 2 * pick(1, 20)};
    s.H = s.KV * groups[pick(0, 3)];
    return s;
}

static shape small_shape(void) {
    shape s = {.KV = pick(1, 2), .hd = 2 * pick(1, 3)};
    s.H = s.KV * pick(1, 3);
    return s;
}

/* The three sections of a row that head h reads. */
static const double *query(shape s, const double *row, int h) {
    return row + size(h, s.hd);
}
static const double *key(shape s, const double *row, int h) {
    return row + size(s.H + h / (s.H / s.KV), s.hd);
}
static const double *value(shape s, const double *row, int h) {
    return key(s, row, h) + size(s.KV, s.hd);
}

static double dot(const double *x, const double *y, int n) {
    double s = 0;
    for (int i = 0; i < n; i++) s += x[i] * y[i];
    return s;
}

/* ---- forward ---- */

/* p becomes the softmax of one query's scores over n_k key rows; returns their log-sum-exp. */
static double softmax(shape s, const double *q, const double *const *rows, int n_k, int h, double *p) {
    double most = -INFINITY, sum = 0;
    for (int j = 0; j < n_k; j++) {
        p[j] = dot(query(s, q, h), key(s, rows[j], h), s.hd) / sqrt(s.hd);
        most = fmax(most, p[j]);
    }
    for (int j = 0; j < n_k; j++) sum += p[j] = exp(p[j] - most);
    for (int j = 0; j < n_k; j++) p[j] /= sum;
    return most + log(sum);
}

/* One query row: o [H·hd] with magnitudes (may be NULL), lse [H]. */
static void attend(shape s, const double *q, const double *const *rows, int n_k, double *o, double *mag,
                   double *lse) {
    double *p = mem_new((size_t)n_k, sizeof *p);
    for (int h = 0; h < s.H; h++) {
        lse[h] = softmax(s, q, rows, n_k, h, p);
        for (int t = 0; t < s.hd; t++) {
            double sum = 0, size_sum = 0;
            for (int j = 0; j < n_k; j++) {
                double v = value(s, rows[j], h)[t];
                sum += p[j] * v;
                size_sum += p[j] * fabs(v);
            }
            o[size(h, s.hd) + (size_t)t] = sum;
            if (mag) mag[size(h, s.hd) + (size_t)t] = size_sum;
        }
    }
    free(p);
}

/* Spans and the rows they speak of, on the host. */
typedef struct scene {
    shape s;
    k_span span[4];
    int n_spans, rows, kept; /* rows of qkv and of keys */
    int *overlay, n_overlay;
} scene;

static k_attn attention_of(const scene *c, array *qkv, array *keys, array *o, array *lse) {
    k_attn a = {.H = c->s.H, .KV = c->s.KV, .hd = c->s.hd, .n_spans = c->n_spans};
    a.qkv = qkv->p, a.keys = keys->p, a.o = o->p, a.lse = lse->p;
    a.overlay = c->n_overlay ? ints(c->overlay, c->n_overlay)->p : NULL;
    a.spans = raw(c->span, c->n_spans, sizeof *c->span)->p;
    for (int i = 0; i < c->n_spans; i++) {
        if (c->span[i].n_q > a.max_q) a.max_q = c->span[i].n_q;
        if (c->span[i].n_k > a.max_k) a.max_k = c->span[i].n_k;
    }
    return a;
}

static void check_scene(const scene *c) {
    shape s = c->s;
    int width = width_of(s);
    array *qkv = acts(c->rows, width, 1.5), *keys = c->kept ? acts(c->kept, width, 1.5) : qkv;
    array *o = blank(ACTS, c->rows, s.H * s.hd), *lse = blank(FLOATS, c->rows, s.H);
    double *want = doubles(o->n), *mag = doubles(o->n), *want_lse = doubles(lse->n), *one = doubles(lse->n);
    for (size_t i = 0; i < o->n; i++) want[i] = NAN; /* rows of no span stay as they were */
    for (size_t i = 0; i < lse->n; i++) want_lse[i] = NAN, one[i] = 1;
    for (int i = 0; i < c->n_spans; i++) {
        k_span p = c->span[i];
        const double **rows = lend((size_t)p.n_k, sizeof *rows);
        for (int j = 0; j < p.n_k; j++) {
            int over = p.over >= 0 ? c->overlay[p.over + j] : -1;
            rows[j] = over >= 0 ? qkv->v + size(over, width) : keys->v + size(p.k0 + j, width);
        }
        for (int q = p.q0; q < p.q0 + p.n_q; q++) {
            size_t at = size(q, s.H * s.hd);
            attend(s, qkv->v + size(q, width), rows, p.n_k, want + at, mag + at, want_lse + size(q, s.H));
        }
    }
    k_attn a = attention_of(c, qkv, keys, o, lse);
    K->attention(K, &a);
    CLOSE(results(o), want, mag, o->n, ATTN + rounding(), rounding(), "attention");
    CLOSE(results(lse), want_lse, one, lse->n, ATTN, ATTN, "lse");
    end_round();
}

/* Sequences of different length side by side, as a forward of a batch has them. */
static void test_batches(void **state) {
    (void)state;
    for (int r = 0; r < rounds; r++) {
        scene c = {.s = random_shape(), .n_spans = pick(1, 3)};
        for (int i = 0; i < c.n_spans; i++) {
            int n = r < 3 ? r + (i > 0) : pick(1, 90);
            c.span[i] = (k_span){c.rows, n, c.rows, n, -1};
            c.rows += n + pick(0, 2);
        }
        check_scene(&c);
    }
}

/* Recomputed rows over kept ones: each span has rows of qkv, some of which stand in for rows of keys, and
 * reads a window of keys that other spans may read too. */
static void test_overlays(void **state) {
    (void)state;
    for (int r = 0; r < rounds; r++) {
        scene c = {.s = random_shape(), .n_spans = pick(1, 4), .kept = pick(20, 120)};
        c.overlay = lend(4 * 130, sizeof *c.overlay);
        for (int i = 0; i < c.n_spans; i++) {
            int n_k = pick(1, 20 + r % 2 * (c.kept - 20)), n_q = pick(1, n_k < 40 ? n_k : 40);
            int *at = choose(n_q, 0, n_k);
            c.span[i] = (k_span){c.rows, n_q, pick(0, c.kept - n_k), n_k, pick(0, 4) ? c.n_overlay : -1};
            if (c.span[i].over >= 0) {
                for (int j = 0; j < n_k; j++) c.overlay[c.n_overlay + j] = -1;
                for (int q = 0; q < n_q; q++) c.overlay[c.n_overlay + at[q]] = c.rows + q;
                c.n_overlay += n_k;
            }
            c.rows += n_q;
        }
        check_scene(&c);
    }
}

/* Row counts beside the edges of query and key blocks, at the head sizes of real models. */
static void test_block_edges(void **state) {
    (void)state;
    static const int n_q[] = {1, 15, 16, 17, 63, 64, 65, 127, 129}, n_k[] = {1, 31, 32, 33, 64, 65, 128, 130};
    for (int i = 0; i < 9; i++) {
        for (int j = i % 3; j < 8; j += K->host ? 1 : 3) {
            int heads = 1 + (i + j) % 2, hd = (i + j) % 3 ? 64 : 128,
                most = n_q[i] > n_k[j] ? n_q[i] : n_k[j];
            scene c = {.s = {.H = 2, .KV = heads, .hd = hd}, .n_spans = 1, .rows = most + 2};
            c.span[0] = (k_span){1, n_q[i], 2, n_k[j], -1};
            check_scene(&c);
        }
    }
}

/* Scores far apart: a softmax that is one-hot, and one of a single key. */
static void test_large_scores(void **state) {
    (void)state;
    shape s = {.H = 2, .KV = 1, .hd = 64};
    int n = 70, width = width_of(s);
    double *v = doubles(size(n, width));
    for (size_t i = 0; i < size(n, width); i++) v[i] = 6 * normal();
    array *qkv = of_values(ACTS, v, n, width);
    array *o = blank(ACTS, n, s.H * s.hd), *lse = blank(FLOATS, n, s.H);
    scene c = {.s = s, .n_spans = 1, .span = {{0, n, 0, n, -1}}};
    k_attn a = attention_of(&c, qkv, qkv, o, lse);
    K->attention(K, &a);
    const double **rows = lend((size_t)n, sizeof *rows);
    double *want = doubles(o->n), *mag = doubles(o->n), *want_lse = doubles(lse->n);
    for (int i = 0; i < n; i++) rows[i] = qkv->v + size(i, width);
    for (int i = 0; i < n; i++) {
        size_t at = size(i, s.H * s.hd);
        attend(s, rows[i], rows, n, want + at, mag + at, want_lse + size(i, s.H));
    }
    /* Scores reach some hundreds: 2e-5 of error in the exponent. */
    CLOSE(results(o), want, mag, o->n, 2e-4 + rounding(), rounding(), "attention of large scores");
    CLOSE(results(lse), want_lse, NULL, lse->n, 1e-6, 0, "lse of large scores");
    end_round();
}

/* ---- backward ---- */

/* One sequence and the gradients that enter it. */
typedef struct back {
    shape s;
    int n, seeds, k0, n_k, total; /* total: network rows */
    bool local;
    int *rows;
    const double *qkv, *o, *lse, *dout; /* as the device sees them */
    bool low;                           /* every score far below zero */
} back;

/* Adds c·x to `out` and its magnitude to `mag`. */
static void add_row(double *out, double *mag, double c, double c_mag, const double *x, int n) {
    for (int i = 0; i < n; i++) out[i] += c * x[i], mag[i] += c_mag * fabs(x[i]);
}

/* What query row i of A adds for one head and seed: the formulas of kernels.h. */
static void back_query(const back *b, int g, int i, int h, double *out, double *mag) {
    shape s = b->s;
    int width = width_of(s), a = b->rows[i];
    const double *q = b->qkv + size(a, width), *o = b->o + size(a, s.H * s.hd) + size(h, s.hd);
    const double *dout = b->dout + size(g * b->n + i, s.H * s.hd) + size(h, s.hd);
    double scale = 1 / sqrt(s.hd), delta = dot(dout, o, s.hd), delta_mag = 0;
    size_t mine = size(g * b->n + i, width);
    for (int t = 0; t < s.hd; t++) delta_mag += fabs(dout[t] * o[t]);
    for (int j = 0, of_a = 0; j < b->n_k; j++) {
        const double *row = b->qkv + size(b->k0 + j, width), *v = value(s, row, h);
        double p = exp(dot(query(s, q, h), key(s, row, h), s.hd) * scale - b->lse[size(a, s.H) + (size_t)h]);
        double ds = p * (dot(dout, v, s.hd) - delta) * scale, ds_mag = delta_mag;
        for (int t = 0; t < s.hd; t++) ds_mag += fabs(dout[t] * v[t]);
        ds_mag *= p * scale;
        size_t to = mine + size(h, s.hd);
        add_row(out + to, mag + to, ds, ds_mag, key(s, row, h), s.hd);
        while (of_a < b->n && b->rows[of_a] < b->k0 + j) of_a++;
        if (of_a == b->n || b->rows[of_a] != b->k0 + j || (b->local && of_a != i)) continue;
        size_t dk = size(g * b->n + of_a, width) + size(s.H + h / (s.H / s.KV), s.hd);
        size_t dv = dk + size(s.KV, s.hd);
        add_row(out + dk, mag + dk, ds, ds_mag, query(s, q, h), s.hd);
        add_row(out + dv, mag + dv, p, p, dout, s.hd);
    }
}

static void back_double(const back *b, double *out, double *mag) {
    for (int g = 0; g < b->seeds; g++) {
        for (int i = 0; i < b->n; i++) {
            for (int h = 0; h < b->s.H; h++) back_query(b, g, i, h, out, mag);
        }
    }
}

/* Σ dout·o of seed 0 as a function of row `moved`, with all else fixed. With `local`, a moved key or value is
 * seen by its own row alone (and a moved query is only ever its own row's). */
static double objective(const back *b, const double *qkv, int moved) {
    shape s = b->s;
    int width = width_of(s);
    const double **rows = mem_new((size_t)b->n_k, sizeof *rows);
    double *o = mem_new(size(s.H, s.hd), sizeof *o), *lse = mem_new((size_t)s.H, sizeof *lse), sum = 0;
    for (int i = 0; i < b->n; i++) {
        bool sees = !b->local || b->rows[i] == moved;
        const double *from = sees ? qkv : b->qkv;
        for (int j = 0; j < b->n_k; j++) rows[j] = from + size(b->k0 + j, width);
        attend(s, from + size(b->rows[i], width), rows, b->n_k, o, NULL, lse);
        sum += dot(o, b->dout + size(i, s.H * s.hd), s.H * s.hd);
    }
    free(rows);
    free(o);
    free(lse);
    return sum;
}

/* The gradient of seed 0 by central differences. */
static double *slopes(const back *b) {
    int width = width_of(b->s);
    double *moving = doubles(size(b->total, width)), *out = doubles(size(b->n, width)), step = 1e-5;
    memcpy(moving, b->qkv, size(b->total, width) * sizeof *moving);
    for (int i = 0; i < b->n; i++) {
        for (int t = 0; t < width; t++) {
            double *x = moving + size(b->rows[i], width) + t, keep = *x;
            *x = keep + step;
            double up = objective(b, moving, b->rows[i]);
            *x = keep - step;
            out[size(i, width) + (size_t)t] = (up - objective(b, moving, b->rows[i])) / (2 * step);
            *x = keep;
        }
    }
    return out;
}

/* o and lse of the sequence, from the device itself. */
static void forward(const back *b, array *qkv, array *o, array *lse) {
    scene c = {.s = b->s, .n_spans = 1, .span = {{b->k0, b->n_k, b->k0, b->n_k, -1}}};
    k_attn a = attention_of(&c, qkv, qkv, o, lse);
    K->attention(K, &a);
}

/* Scores of about -8c² at hd 64, as large key biases make them: exp(-lse) overflows, so that what tiles hold
 * past the last key must not be looked at. */
static array *low_scores(int rows, shape s) {
    int width = width_of(s), queries = s.H * s.hd, keys = s.KV * s.hd;
    double *v = doubles(size(rows, width)), c = 4.5;
    for (size_t i = 0; i < size(rows, width); i++) {
        int t = (int)(i % (size_t)width);
        v[i] = normal() + (t < queries ? c : t < queries + keys ? -c : 0);
    }
    return of_values(ACTS, v, rows, width);
}

static void back_once(back b, bool differences) {
    shape s = b.s;
    int width = width_of(s), ow = s.H * s.hd;
    b.rows = choose(b.n, b.k0, b.n_k);
    array *qkv = b.low ? low_scores(b.total, s) : acts(b.total, width, 1);
    array *o = blank(ACTS, b.total, ow), *lse = blank(FLOATS, b.total, s.H);
    array *dout = acts(b.seeds * b.n, ow, 1), *rows = ints(b.rows, b.n),
          *dqkv = blank(ACTS, b.seeds * b.n, width);
    forward(&b, qkv, o, lse);
    b.qkv = qkv->v, b.o = results(o), b.lse = results(lse), b.dout = dout->v;
    k_counts c = {0};
    K->attention_back(K,
                      &(k_attn_back){.n = b.n,
                                     .seeds = b.seeds,
                                     .k0 = b.k0,
                                     .n_k = b.n_k,
                                     .H = s.H,
                                     .KV = s.KV,
                                     .hd = s.hd,
                                     .local = b.local,
                                     .rows = rows->p,
                                     .qkv = qkv->p,
                                     .o = o->p,
                                     .lse = lse->p,
                                     .do_ = dout->p,
                                     .dqkv = dqkv->p},
                      &c);
    CHECK(c.attn_calls == 1 && c.attn_rows == b.seeds * b.n && c.linear_rows == 0);
    double *want = doubles(dqkv->n), *mag = doubles(dqkv->n);
    back_double(&b, want, mag);
    double tol = b.low ? 2e-4 : ATTN; /* a score of -160 errs by 1e-5 in float32, and P with it */
    CLOSE(results(dqkv), want, mag, dqkv->n, tol + rounding(), rounding(),
          b.local ? "local back" : "attention_back");
    /* o is float32 or bf16 in the formula and exact in the differences. */
    if (differences)
        CLOSE(want, slopes(&b), mag, size(b.n, width), ATTN + 4 * rounding(), ATTN, "the reference");
    end_round();
}

static void test_back_small(void **state) {
    (void)state;
    for (int r = 0; r < rounds; r++) {
        back b = {
            .s = small_shape(), .seeds = pick(1, 3), .k0 = pick(0, 3), .n_k = pick(1, 9), .local = r % 2};
        b.n = r == 0 ? 1 : r == 1 ? b.n_k : pick(1, b.n_k);
        b.total = b.k0 + b.n_k + pick(0, 2);
        back_once(b, true);
    }
}

static void test_back_large(void **state) {
    (void)state;
    for (int r = 0; r < rounds; r++) {
        back b = {
            .s = random_shape(), .seeds = pick(1, 4), .k0 = pick(0, 9), .n_k = pick(1, 100), .local = r % 2};
        b.n = r % 4 == 0 ? 1 : r % 4 == 1 ? b.n_k : pick(1, b.n_k);
        if (b.n > 40) b.seeds = 1;
        b.total = b.k0 + b.n_k + pick(0, 2);
        back_once(b, false);
    }
    for (int local = 0; local < 2; local++) {
        back_once((back){.s = {4, 2, 64}, .n = 70, .seeds = 2, .n_k = 75, .total = 75, .local = local},
                  false);
        back_once((back){.s = {2, 2, 128}, .n = 33, .seeds = 3, .n_k = 130, .total = 130, .local = local},
                  false);
    }
}

static void test_back_nothing(void **state) {
    (void)state;
    k_counts c = {0};
    K->attention_back(K, &(k_attn_back){.n = 0, .seeds = 2, .n_k = 3, .H = 1, .KV = 1, .hd = 2}, &c);
    CHECK(c.attn_calls == 1 && c.attn_rows == 0);
    end_round();
}

/* Neither a second run nor another number of threads changes a bit. */
static void test_back_low(void **state) {
    (void)state;
    for (int local = 0; local < 2; local++) {
        back b = {.s = {4, 2, 64}, .n = 70, .seeds = 2, .n_k = 75, .total = 75, .local = local, .low = true};
        back_once(b, false);
        b.s = (shape){2, 2, 128}, b.n = 33, b.n_k = 67, b.k0 = 2, b.total = 70;
        back_once(b, false);
        b.s = (shape){2, 1, 40}, b.seeds = 1;
        back_once(b, false);
    }
}

static void test_back_repeats(void **state) {
    (void)state;
    shape s = {.H = 8, .KV = 4, .hd = 64};
    int n = K->host ? 130 : 40, width = width_of(s), ow = s.H * s.hd;
    int *at = choose(n, 0, n);
    array *qkv = acts(n, width, 1), *o = blank(ACTS, n, ow), *lse = blank(FLOATS, n, s.H),
          *dout = acts(n, ow, 1);
    array *rows = ints(at, n), *g[2];
    forward(&(back){.s = s, .n_k = n}, qkv, o, lse);
    results(o);
    results(lse);
    for (int t = 0; t < 2; t++) {
        kernels_set_threads(t + 1);
        g[t] = blank(ACTS, n, width);
        K->attention_back(K,
                          &(k_attn_back){.n = n,
                                         .seeds = 1,
                                         .n_k = n,
                                         .H = s.H,
                                         .KV = s.KV,
                                         .hd = s.hd,
                                         .rows = rows->p,
                                         .qkv = qkv->p,
                                         .o = o->p,
                                         .lse = lse->p,
                                         .do_ = dout->p,
                                         .dqkv = g[t]->p},
                          NULL);
    }
    kernels_set_threads(0);
    CHECK(memcmp(results(g[0]), results(g[1]), g[0]->n * sizeof(double)) == 0);
    end_round();
}

int main(int argc, char **argv) {
    int rc = open_device(argc, argv);
    if (rc) return rc;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batches),      cmocka_unit_test(test_overlays),
        cmocka_unit_test(test_block_edges),  cmocka_unit_test(test_large_scores),
        cmocka_unit_test(test_back_small),   cmocka_unit_test(test_back_large),
        cmocka_unit_test(test_back_nothing), cmocka_unit_test(test_back_low),
        cmocka_unit_test(test_back_repeats),
    };
    return close_device("attention", cmocka_run_group_tests(tests, NULL, NULL));
}
