/* test_kernels_rows.c - operations that treat every row alone: moving rows, norms, rotary positions and the
 * gated activation, against double references; backward operations against central differences. */
#include "tests/unit/kernels/rig.h"

static void rows_once(int n, int d) {
    int total = n + pick(0, 3);
    int *to = choose(n, 0, total), *from = any_of(n, total ? total : 1);
    array *x = floats(total, d, 1), *y = floats(total, d, 1), *coef = floats(1, n, 1);
    array *dst = pick(0, 2) ? ints(to, n) : NULL, *src = pick(0, 2) ? ints(from, n) : NULL;
    bool scaled = pick(0, 1);
    double *want = doubles(y->n);
    for (size_t i = 0; i < y->n; i++) want[i] = y->v[i];
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < d; j++) {
            double v = x->v[size(src ? from[i] : i, d) + (size_t)j];
            want[size(dst ? to[i] : i, d) + (size_t)j] = scaled ? coef->v[i] * v : v;
        }
    }
    K->rows(K, y->p, dst ? dst->p : NULL, x->p, src ? src->p : NULL, scaled ? coef->p : NULL, n, d);
    CLOSE(results(y), want, NULL, y->n, scaled ? 1e-7 : 0, 0, "rows");
    array *a = blank(ACTS, total, d);
    double *narrow = doubles(a->n);
    for (size_t i = 0; i < a->n; i++) narrow[i] = as_activation(x->v[i]);
    K->narrow(K, a->p, x->p, a->n);
    CLOSE(results(a), narrow, NULL, a->n, 0, 0, "narrow");
    end_round();
}

static void test_rows(void **state) {
    (void)state;
    for (int r = 0; r < rounds; r++) rows_once(r < 2 ? r : pick(0, 30), pick(1, 150));
}

/* Rounding to bf16 is to nearest even, whatever the value. */
static void test_narrow_extremes(void **state) {
    (void)state;
    uint32_t bits[] = {0,          0x80000000, 0x00000001, 0x807fffff, 0x3f808000, 0x3f818000, 0x3f808001,
                       0x7f7fffff, 0x7f800000, 0xff800000, 0x7fc00000, 0x7f800001, 0xbf80ffff};
    int n = (int)(sizeof bits / sizeof *bits);
    double v[16], want[16];
    for (int i = 0; i < n; i++) v[i] = (double)float_of_bits(bits[i]), want[i] = as_activation(v[i]);
    array *x = of_values(FLOATS, v, 1, n), *y = blank(ACTS, 1, n);
    K->narrow(K, y->p, x->p, (size_t)n);
    CLOSE(results(y), want, NULL, (size_t)n, 0, 0, "narrow");
    end_round();
}

/* ---- norm ---- */

static bool centred; /* which norm is under test */

static void norm_double(double *h, const double *x, const double *w, int d, double eps) {
    double s = 0, mean = 0;
    for (int j = 0; j < d && centred; j++) mean += x[j] / d;
    for (int j = 0; j < d; j++) s += (x[j] - mean) * (x[j] - mean);
    for (int j = 0; j < d; j++) h[j] = (x[j] - mean) / sqrt(s / d + eps) * w[j];
}

static void norm_once(int n, int d, double scale) {
    int total = n + pick(0, 4);
    bool picked = pick(0, 1), in_place = !picked && pick(0, 1), added = pick(0, 2) > 0;
    bool gated = added && pick(0, 1), shifted = pick(0, 1);
    array *gate = floats(1, d, 1), *b = floats(1, d, 1);
    int *from = any_of(n, total ? total : 1);
    array *x = floats(total, d, scale), *y = acts(total, d, scale), *w = floats(1, d, 1);
    array *sum = in_place ? x : blank(FLOATS, n, d), *h = blank(ACTS, n, d), *rows = ints(from, n);
    uint64_t none = UINT64_MAX;
    array *bad = raw(&none, 1, sizeof none);
    float eps = pick(0, 1) ? 1e-5f : 1e-6f;
    double *want = doubles(size(n, d)), *normed = doubles(h->n);
    for (int i = 0; i < n; i++) {
        size_t to = size(i, d), at = size(picked ? from[i] : i, d);
        for (int j = 0; j < d; j++) /* the sum is a float32, and h is the norm of that */
            want[to + (size_t)j] =
                (double)(float)(x->v[at + (size_t)j] +
                                (gated ? (double)(float)gate->v[j] : 1) * (added ? y->v[at + (size_t)j] : 0));
        norm_double(normed + to, want + to, w->v, d, (double)eps);
        for (int j = 0; j < d && shifted; j++) normed[to + (size_t)j] += b->v[j];
    }
    k_norm a = {.n = n, .d = d, .eps = eps, .x = x->p, .y = added ? y->p : NULL, .w = w->p, .stage = 3};
    a.center = centred, a.gate = gated ? gate->p : NULL, a.b = shifted ? b->p : NULL;
    a.rows = picked ? rows->p : NULL, a.h = h->p, a.bad = pick(0, 1) ? bad->p : NULL;
    a.sum = in_place || pick(0, 2) ? sum->p : NULL;
    K->norm(K, &a);
    double *mag = doubles(h->n), *whole = doubles(size(n, d));
    for (size_t i = 0; i < h->n; i++) /* a difference of terms, when there is a mean or a shift */
        mag[i] = fabs(normed[i]) + (centred || gated ? fabs(w->v[i % (size_t)d]) : 0) +
                 (shifted ? 2 * fabs(b->v[i % (size_t)d]) : 0);
    for (size_t i = 0; i < size(n, d); i++) /* x and gate ⊙ y may cancel */
        whole[i] = fabs(want[i]) + (gated ? 8 * scale * fabs(gate->v[i % (size_t)d]) : 0);
    if (d == 1 && centred) {
        end_round(); /* all noise */
        return;
    }
    if (a.sum) CLOSE(results(sum), want, whole, size(n, d), gated ? 2.5e-7 : 1e-7, 0, "sum");
    CLOSE(results(h), normed, mag, h->n, 1e-5, rounding(), "norm");
    if (a.sum && !in_place) {
        a.h = NULL;
        K->norm(K, &a);
        CLOSE(results(sum), want, whole, size(n, d), gated ? 2.5e-7 : 1e-7, 0, "sum alone");
    }
    end_round();
}

static void test_norm(void **state) {
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        centred = kind;
        for (int r = 0; r < rounds; r++)
            norm_once(r < 2 ? r : pick(1, 9), pick(centred ? 5 : 1, 150), r % 5 ? 1 : 1e-3);
        norm_once(3, 4096, 1);
        norm_once(200, 700, 1);
    }
    centred = false;
}

/* The lowest bad row of the lowest stage stays. */
static void test_bad_rows(void **state) {
    (void)state;
    static const float odd[] = {NAN, INFINITY, -INFINITY};
    enum { N = 70, D = 37 };
    for (int r = 0; r < 6; r++) {
        double *v = doubles(N * D);
        for (int i = 0; i < N * D; i++) v[i] = r == 3 ? 3e38 : normal();
        int *from = choose(N - 20, 0, N), first = r == 3 ? from[0] : from[10 + r];
        if (r != 3) v[size(first, D) + 36] = v[size(from[40], D)] = (double)odd[r % 3];
        array *x = of_values(FLOATS, v, N, D), *y = of_values(ACTS, v, N, D), *w = floats(1, D, 1);
        array *rows = ints(from, N - 20), *h = blank(ACTS, N - 20, D);
        uint64_t held = r < 4 ? UINT64_MAX : (uint64_t)(r == 4 ? 4 : 9) << 32, want = 7ull << 32;
        array *bad = raw(&held, 1, sizeof held);
        K->norm(K, &(k_norm){.n = N - 20,
                             .d = D,
                             .eps = 1e-5f,
                             .x = x->p,
                             .y = r ? y->p : NULL,
                             .rows = rows->p,
                             .w = w->p,
                             .h = h->p,
                             .bad = bad->p,
                             .stage = 7});
        want += (uint64_t)first;
        CHECK(*(const uint64_t *)raw_results(bad) == (held < want ? held : want));
        results(h);
        end_round();
    }
}

/* Central difference of Σ dy·norm(x) with respect to x[j]. */
static double norm_slope(double *x, const double *w, const double *dy, int d, double eps, int j,
                         double step) {
    double *h = doubles((size_t)d), keep = x[j], sum[2] = {0, 0};
    for (int side = 0; side < 2; side++) {
        x[j] = keep + (side ? step : -step);
        norm_double(h, x, w, d, eps);
        for (int k = 0; k < d; k++) sum[side] += h[k] * dy[k];
    }
    x[j] = keep;
    return (sum[1] - sum[0]) / (2 * step);
}

/* The gradient of a row is a difference of terms as large as the row's largest slope. */
static void norm_back_once(int n, int d, double scale) {
    int total = n + pick(0, 4);
    bool picked = pick(0, 1), add = pick(0, 1);
    int *from = any_of(n, total ? total : 1);
    float eps = pick(0, 1) ? 1e-5f : 1e-6f;
    array *x = floats(total, d, scale), *w = floats(1, d, 1), *dy = acts(n, d, 1), *rows = ints(from, n);
    array *dx = add ? floats(n, d, 1) : blank(FLOATS, n, d), *dx_act = blank(ACTS, n, d);
    double *want = doubles(dx->n), *mag = doubles(dx->n);
    for (int i = 0; i < n; i++) {
        double *row = x->v + size(picked ? from[i] : i, d), most = 0;
        size_t o = size(i, d);
        for (int j = 0; j < d; j++) {
            want[o + (size_t)j] = norm_slope(row, w->v, dy->v + o, d, (double)eps, j, 1e-5 * scale);
            if (add) want[o + (size_t)j] += dx->v[o + (size_t)j];
            most = fmax(most, fabs(want[o + (size_t)j]) + fabs(dy->v[o + (size_t)j] / scale));
        }
        for (int j = 0; j < d; j++) mag[o + (size_t)j] = most;
    }
    K->norm_back(K, &(k_norm_back){.n = n,
                                   .d = d,
                                   .eps = eps,
                                   .center = centred,
                                   .x = x->p,
                                   .rows = picked ? rows->p : NULL,
                                   .w = w->p,
                                   .dy = dy->p,
                                   .dx = dx->p,
                                   .add = add,
                                   .dx_act = dx_act->p});
    const double *got = results(dx);
    CLOSE(got, want, mag, dx->n, 1e-5, 0, "norm_back");
    if (K->act_bytes == 2) {
        double *narrow = doubles(dx->n);
        for (size_t i = 0; i < dx->n; i++) narrow[i] = as_activation(got[i]);
        CLOSE(results(dx_act), narrow, NULL, dx->n, 0, 0, "norm_back as activations");
    }
    end_round();
}

static void test_norm_back(void **state) {
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        centred = kind;
        for (int r = 0; r < rounds; r++)
            norm_back_once(r < 2 ? r : pick(1, 9), pick(centred ? 5 : 1, 150), r % 5 ? 1 : 1e-2);
        norm_back_once(300, 40, 1);
    }
    centred = false;
}

/* ---- norms of heads, and gates ---- */

static void head_norm_once(int n, int heads, int hd, int rest) {
    int ld = heads * hd + rest, width = heads * hd, total = n + pick(0, 4),
        *from = any_of(n, total ? total : 1);
    float eps = 1e-6f;
    array *x = acts(total, ld, 1), *w = floats(heads, hd, 1), *raw_heads = blank(ACTS, total, width);
    double *want = doubles(x->n), *kept = doubles(raw_heads->n);
    memcpy(want, x->v, x->n * sizeof *want);
    for (int i = 0; i < total * heads; i++) {
        size_t at = size(i / heads, ld) + size(i % heads, hd);
        memcpy(kept + size(i, hd), x->v + at, (size_t)hd * sizeof *kept);
        norm_double(want + at, x->v + at, w->v + size(i % heads, hd), hd, (double)eps);
    }
    k_head_norm a = {total, ld, heads, hd, eps, w->p, x->p, raw_heads->p};
    K->head_norm(K, &a);
    CLOSE(results(x), want, NULL, x->n, 1e-5, rounding(), "head_norm");
    CLOSE(results(raw_heads), kept, NULL, raw_heads->n, 0, 0, "heads as they were");
    array *again = of_values(ACTS, kept, total, width), *dx = acts(n, ld, 1), *rows = ints(from, n);
    double *grad = doubles(dx->n), *mag = doubles(dx->n);
    memcpy(grad, dx->v, dx->n * sizeof *grad);
    for (int i = 0; i < n * heads; i++) {
        size_t o = size(i / heads, ld) + size(i % heads, hd);
        double *row = again->v + size(from[i / heads] * heads + i % heads, hd), most = 0;
        for (int j = 0; j < hd; j++) {
            grad[o + (size_t)j] =
                norm_slope(row, w->v + size(i % heads, hd), dx->v + o, hd, (double)eps, j, 1e-5);
            most = fmax(most, fabs(grad[o + (size_t)j]) + fabs(dx->v[o + (size_t)j]));
        }
        for (int j = 0; j < hd; j++) mag[o + (size_t)j] = most;
    }
    K->head_norm_back(K, &(k_head_norm_back){n, ld, heads, hd, eps, w->p, dx->p, again->p, rows->p});
    CLOSE(results(dx), grad, mag, dx->n, 2e-5, rounding(), "head_norm_back");
    end_round();
}

static void test_head_norm(void **state) {
    (void)state;
    for (int r = 0; r < rounds; r++)
        head_norm_once(r < 2 ? r : pick(1, 9), pick(1, 6), 2 * pick(2, 40), r % 2 ? pick(1, 20) : 0);
}

static void test_gate(void **state) {
    (void)state;
    for (int r = 0; r < rounds; r++) {
        int n = r < 2 ? r : pick(1, 20), d = pick(1, 300);
        array *x = floats(n, d, 1), *w = floats(1, d, 1), *y = blank(ACTS, n, d);
        double *want = doubles(y->n);
        for (size_t i = 0; i < y->n; i++) want[i] = x->v[i] * w->v[i % (size_t)d];
        K->gate(K, y->p, x->p, w->p, n, d);
        CLOSE(results(y), want, NULL, y->n, 1e-7, rounding(), "gate");
        end_round();
    }
}

/* ---- rope ---- */

/* Pairs are halves or neighbours. */
static void rope_double(double *want, const double *x, const double *cs, int hd, double sign, bool pairs) {
    int half = hd / 2;
    for (int j = 0; j < half; j++) {
        int first = pairs ? 2 * j : j, second = pairs ? 2 * j + 1 : half + j;
        double u = x[first], v = x[second], c = cs[j], s = sign * cs[half + j];
        want[first] = u * c - v * s;
        want[second] = u * s + v * c;
    }
}

/* Rotates there and back; the columns after the rotated heads stay. */
static void rope_once(int n, int heads, int hd, int rest, int positions) {
    int ld = heads * hd + rest;
    double *angles = doubles(size(positions, hd));
    for (int p = 0; p < positions; p++) {
        for (int j = 0; j < hd / 2; j++) {
            double a = p * pow(10000, -2.0 * j / hd);
            angles[size(p, hd) + (size_t)j] = cos(a);
            angles[size(p, hd) + (size_t)(hd / 2 + j)] = sin(a);
        }
    }
    int *at = any_of(n, positions);
    array *x = acts(n, ld, 1), *pos = ints(at, n), *table = of_values(FLOATS, angles, positions, hd);
    const double *now = x->v;
    bool pairs = pick(0, 1);
    for (int inverse = 0; inverse < 2; inverse++) {
        double *want = doubles(x->n), *mag = doubles(x->n);
        memcpy(want, now, x->n * sizeof *want);
        for (int i = 0; i < n * heads; i++) {
            size_t o = size(i / heads, ld) + size(i % heads, hd);
            rope_double(want + o, now + o, table->v + size(at[i / heads], hd), hd, inverse ? -1 : 1, pairs);
            for (int j = 0; j < hd; j++) {
                int other = pairs ? j ^ 1 : (j + hd / 2) % hd;
                mag[o + (size_t)j] = hypot(now[o + (size_t)j], now[o + (size_t)other]);
            }
        }
        K->rope(K, x->p, ld, pos->p, n, heads, hd, table->p,
                (inverse ? K_ROPE_INVERSE : 0u) | (pairs ? K_ROPE_PAIRS : 0u));
        now = results(x);
        CLOSE(now, want, mag, x->n, 1e-6, rounding(), inverse ? "inverse rope" : "rope");
    }
    end_round();
}

static void test_rope(void **state) {
    (void)state;
    static const int sizes[] = {2, 6, 64, 128};
    for (int r = 0; r < rounds; r++) {
        int hd = r % 2 ? sizes[r / 2 % 4] : 2 * pick(1, 33);
        rope_once(r < 2 ? r : pick(1, 20), pick(1, 5), hd, r % 3 ? pick(0, 9) : 0, r % 4 ? 100 : 3000);
    }
}

/* ---- mlp ---- */

static double swiglu_double(double g, double u) {
    return g / (1 + exp(-g)) * u;
}

/* The slope of silu has the terms σ and σ·g·(1-σ), the latter with a float32 1-σ. */
static void swiglu_once(int n, int f, double scale) {
    int total = n + pick(0, 4);
    bool picked = pick(0, 1);
    int *from = any_of(n, total ? total : 1);
    array *gu = acts(total, 2 * f, scale), *h = blank(ACTS, total, f), *rows = ints(from, n);
    array *dh = acts(n, f, 1), *dgu = blank(ACTS, n, 2 * f);
    double *want = doubles(h->n), *grad = doubles(dgu->n), *mag = doubles(dgu->n), e = 1e-5;
    for (int i = 0; i < total; i++) {
        const double *g = gu->v + size(i, 2 * f), *u = g + f;
        for (int j = 0; j < f; j++) want[size(i, f) + (size_t)j] = swiglu_double(g[j], u[j]);
    }
    for (int i = 0; i < n; i++) {
        const double *g = gu->v + size(picked ? from[i] : i, 2 * f), *u = g + f, *dy = dh->v + size(i, f);
        double *dg = grad + size(i, 2 * f), *m = mag + size(i, 2 * f);
        for (int j = 0; j < f; j++) {
            dg[j] = dy[j] * (swiglu_double(g[j] + e, u[j]) - swiglu_double(g[j] - e, u[j])) / (2 * e);
            dg[f + j] = dy[j] * swiglu_double(g[j], 1);
            m[f + j] = fabs(dy[j]) * (1 + fabs(g[j])), m[j] = m[f + j] * fabs(u[j]);
        }
    }
    K->swiglu(K, h->p, gu->p, total, f);
    CLOSE(results(h), want, NULL, h->n, 1e-6, rounding(), "swiglu");
    K->swiglu_back(K, dgu->p, dh->p, gu->p, picked ? rows->p : NULL, n, f);
    CLOSE(results(dgu), grad, mag, dgu->n, 1e-6, rounding(), "swiglu_back");
    end_round();
}

static double gelu_double(double x) {
    return 0.5 * x * (1 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
}

static void gelu_once(int n, int f, double scale) {
    int total = n + pick(0, 4);
    bool picked = pick(0, 1);
    int *from = any_of(n, total ? total : 1);
    array *x = acts(total, f, scale), *h = blank(ACTS, total, f), *rows = ints(from, n);
    array *dh = acts(n, f, 1), *dx = blank(ACTS, n, f);
    double *want = doubles(h->n), *mag = doubles(h->n), *grad = doubles(dx->n), *big = doubles(dx->n),
           e = 1e-5;
    for (size_t i = 0; i < h->n; i++) want[i] = gelu_double(x->v[i]), mag[i] = fabs(x->v[i]);
    for (size_t i = 0; i < dx->n; i++) {
        size_t row = i / (size_t)f, at = size(picked ? from[row] : (int)row, f) + i % (size_t)f;
        grad[i] = dh->v[i] * (gelu_double(x->v[at] + e) - gelu_double(x->v[at] - e)) / (2 * e);
        big[i] = fabs(dh->v[i]) * (1 + fabs(x->v[at]));
    }
    K->gelu(K, h->p, x->p, total, f);
    CLOSE(results(h), want, mag, h->n, 1e-6, rounding(), "gelu");
    K->gelu_back(K, dx->p, dh->p, x->p, picked ? rows->p : NULL, n, f);
    CLOSE(results(dx), grad, big, dx->n, 2e-6, rounding(), "gelu_back");
    end_round();
}

static void test_gelu(void **state) {
    (void)state;
    for (int r = 0; r < rounds; r++) gelu_once(r < 2 ? r : pick(1, 9), pick(1, 300), r % 3 ? 1 : 6);
}

static void test_swiglu(void **state) {
    (void)state;
    for (int r = 0; r < rounds; r++) swiglu_once(r < 2 ? r : pick(1, 9), pick(1, 99), r % 4 ? 2 : 20);
    swiglu_once(200, 640, 2);
}

/* ---- blend ---- */

/* z = u + s (z - u); -inf wherever one of them is, as in the mask's column. */
static void blend_once(int n, float s) {
    double *z0 = doubles((size_t)n), *u0 = doubles((size_t)n);
    for (int i = 0; i < n; i++) {
        z0[i] = pick(0, 9) ? (double)(float)(pick(-4000, 4000) / 300.) : -INFINITY;
        u0[i] = pick(0, 9) ? (double)(float)(pick(-4000, 4000) / 300.) : -INFINITY;
    }
    array *z = of_values(FLOATS, z0, 1, n), *u = of_values(FLOATS, u0, 1, n);
    K->blend(K, z->p, u->p, s, (size_t)n);
    const double *got = results(z);
    for (int i = 0; i < n; i++) {
        bool none = isinf(z0[i]) || isinf(u0[i]);
        double want = u0[i] + (double)s * (z0[i] - u0[i]);
        double size_of = fabs(u0[i]) + fabs((double)s) * (fabs(z0[i]) + fabs(u0[i])) + 1e-30;
        CHECK(none ? isinf(got[i]) && got[i] < 0 : fabs(got[i] - want) <= 3e-7 * size_of);
    }
    end_round();
}

static void test_blend(void **state) {
    (void)state;
    static const double z[] = {2, 1}, u[] = {1, 1.2}, want[] = {3.5, 0.7};
    array *a = of_values(FLOATS, z, 1, 2), *b = of_values(FLOATS, u, 1, 2);
    K->blend(K, a->p, b->p, 2.5F, 2); /* guidance 1.5 */
    CLOSE(results(a), want, NULL, 2, 1e-6, 0, "blend");
    end_round();
    for (int r = 0; r < rounds; r++) blend_once(r ? pick(1, 3000) : 0, 1 + (float)pick(0, 40) / 10);
    blend_once(126464, 2.5F);
}

int main(int argc, char **argv) {
    int rc = open_device(argc, argv);
    if (rc) return rc;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),     cmocka_unit_test(test_narrow_extremes),
        cmocka_unit_test(test_norm),     cmocka_unit_test(test_norm_back),
        cmocka_unit_test(test_bad_rows), cmocka_unit_test(test_head_norm),
        cmocka_unit_test(test_gate),     cmocka_unit_test(test_gelu),
        cmocka_unit_test(test_rope),     cmocka_unit_test(test_swiglu),
        cmocka_unit_test(test_blend),
    };
    return close_device("rows", cmocka_run_group_tests(tests, NULL, NULL));
}
