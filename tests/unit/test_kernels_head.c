/* test_kernels_head.c - what rows of logits say: statistics, highest logits, the entropy's gradient and soft
 * writes, against double references and central differences.
 *
 * Bounds: the CPU sums in double. Elsewhere a log-sum-exp may be a float32 tree over V terms, and an entropy
 * a difference of two such sums: LOOSE of their magnitude. */
#include "tests/unit/kernels/rig.h"

#define LOOSE 4e-6

static double head_tolerance(void) {
    return K->host ? 1e-12 : LOOSE;
}

/* Returns H; pi [V] becomes the softmax without the mask. */
static double entropy_double(const double *z, int n, int mask, double *pi) {
    double top = -INFINITY, sum = 0, h = 0;
    for (int v = 0; v < n; v++) top = v == mask ? top : fmax(top, z[v]);
    for (int v = 0; v < n; v++) sum += pi[v] = v == mask ? 0 : exp(z[v] - top);
    for (int v = 0; v < n; v++) {
        pi[v] /= sum;
        if (pi[v] > 0) h -= pi[v] * log(pi[v]);
    }
    return h;
}

/* Ids by logit, then by id, without the mask and -inf. */
static void top_double(const double *z, int n, int mask, k_top *t) {
    for (int i = 0; i < K_TOP; i++) t->id[i] = -1;
    for (int i = 0; i < K_TOP; i++) {
        for (int v = 0; v < n; v++) {
            bool before = i && (z[v] > z[t->id[i - 1]] || (z[v] == z[t->id[i - 1]] && v <= t->id[i - 1]));
            if (v == mask || isinf(z[v]) || before) continue;
            if (t->id[i] < 0 || z[v] > z[t->id[i]]) t->id[i] = v;
        }
        if (t->id[i] < 0) return;
    }
}

static void check_top(const double *z, int n, int mask, const k_top *got) {
    k_top want;
    top_double(z, n, mask, &want);
    CHECK(memcmp(got->id, want.id, sizeof want.id) == 0);
    bool same = true;
    for (int i = 0; i < K_TOP && want.id[i] >= 0; i++) same = same && (double)got->z[i] == z[want.id[i]];
    CHECK(same);
}

static void check_stats(const double *z, int n, int mask, const k_row_stats *s, double *pi) {
    double h = entropy_double(z, n, mask, pi), best = -1, second = 0;
    int argmax = -1;
    for (int v = 0; v < n; v++) {
        if (v == mask) continue;
        if (argmax < 0 || z[v] > z[argmax])
            second = fmax(best, 0), best = pi[v], argmax = v;
        else if (pi[v] > second)
            second = pi[v];
    }
    double tol = head_tolerance(), lse = z[argmax] - log(best);
    CHECK(!s->bad && s->argmax == argmax);
    CHECK(fabs(s->entropy - h) <= tol * (1 + log(n)) && s->entropy >= 0);
    CHECK(fabs(s->confidence - best) <= tol && fabs(s->margin - (best - second)) <= tol);
    CHECK(fabs(s->lse - lse) <= tol * (1 + fabs(lse)));
}

/* A term of dz is π(log π + H): a float32 log π of a logit about 20 errs by 2e-6. The formula itself is held
 * to central differences, which see no less than 1e-10. */
static void entropy_back_row(const double *z, const double *dz, int n, int mask, double scale) {
    double *at = doubles((size_t)n), *pi = doubles((size_t)n), *other = doubles((size_t)n);
    double *want = doubles((size_t)n), *mag = doubles((size_t)n), *slope = doubles((size_t)n), e = 1e-5;
    double h = entropy_double(z, n, mask, pi);
    memcpy(at, z, (size_t)n * sizeof *at);
    for (int v = 0; v < n; v++) {
        if (v == mask || isinf(z[v])) continue;
        double log_pi = log(pi[v]);
        want[v] = -scale * pi[v] * (log_pi + h);
        mag[v] = fabs(scale) * pi[v] * (1 + fabs(log_pi) + h);
        at[v] = z[v] + e;
        slope[v] = entropy_double(at, n, mask, other);
        at[v] = z[v] - e;
        slope[v] = scale * (slope[v] - entropy_double(at, n, mask, other)) / (2 * e);
        CHECK(fabs(slope[v] - want[v]) <= 1e-9 * (1 + fabs(scale)));
        at[v] = z[v];
    }
    CLOSE(dz, want, mag, (size_t)n, K->host ? 1e-6 : 1e-5, rounding(), "entropy_back");
}

/* π enters the product as an activation, or rounded. */
static double operand_rounding(void) {
    return K->product_bytes == 2 ? 0x1p-8 : 0;
}

static void soft_write_once(const array *z, const array *stats, const int *from, const array *rows, int n,
                            const double *pi, int vocab, int mask) {
    int d = pick(1, 40), extra = pick(0, 2);
    weights *E = weights_of(vocab + extra, d, any_type(), 1, false);
    array *out = blank(FLOATS, n, d);
    double *want = doubles(out->n), *mag = doubles(out->n);
    for (int i = 0; i < n; i++) {
        const double *p = pi + size(from ? from[i] : i, vocab);
        for (int v = 0; v < vocab; v++) {
            for (int j = 0; j < d; j++) {
                double term = p[v] * as_operand(E->v[size(v, d) + (size_t)j]);
                want[size(i, d) + (size_t)j] += term;
                mag[size(i, d) + (size_t)j] += fabs(term);
            }
        }
    }
    K->soft_write(K, out->p, z->p, stats->p, rows ? rows->p : NULL, n, vocab, mask, &E->w);
    CLOSE(results(out), want, mag, out->n, SUM + LOOSE + operand_rounding(), 0, "soft_write");
}

static void head_once(int n, int vocab, int mask, double spread) {
    int total = n + pick(0, 3), *chosen = pick(0, 1) ? any_of(n, total ? total : 1) : NULL;
    array *z = array_new(K, FLOATS, total, vocab, sizeof(float));
    bool mask_is_low = pick(0, 1), some_banned = pick(0, 2) == 0, coarse = pick(0, 2) == 0;
    for (size_t i = 0; i < z->n; i++) {
        double v = spread * normal();
        if (coarse) v = rint(v); /* ties */
        if (some_banned && pick(0, 3) == 0) v = -INFINITY;
        if ((int)(i % (size_t)vocab) == mask) v = mask_is_low ? -INFINITY : NAN; /* never read */
        encode(z, i, v);
    }
    for (int i = 0; i < total; i++) encode(z, size(i, vocab) + (size_t)(mask == 0), 0); /* not all banned */
    send(z);
    array *stats = raw(NULL, total, sizeof(k_row_stats)), *top = raw(NULL, total, sizeof(k_top));
    array *rows = chosen ? ints(chosen, n) : NULL, *dz = blank(ACTS, n, vocab);
    bool wants_top = pick(0, 1);
    float scale = (float)normal();
    k_counts c = {0};
    K->head_stats(K, stats->p, wants_top ? top->p : NULL, z->p, total, vocab, mask);
    K->entropy_back(K, dz->p, z->p, stats->p, rows ? rows->p : NULL, n, vocab, mask, scale, &c);
    CHECK(c.head_calls == 1 && c.head_rows == n && c.linear_rows == 0);
    const k_row_stats *s = raw_results(stats);
    const k_top *t = wants_top ? raw_results(top) : NULL;
    const double *got = results(dz);
    double *pi = doubles(z->n);
    for (int i = 0; i < total; i++) {
        check_stats(z->v + size(i, vocab), vocab, mask, s + i, pi + size(i, vocab));
        if (t) check_top(z->v + size(i, vocab), vocab, mask, t + i);
    }
    for (int i = 0; i < n && vocab < 500; i++)
        entropy_back_row(z->v + size(chosen ? chosen[i] : i, vocab), got + size(i, vocab), vocab, mask,
                         (double)scale);
    soft_write_once(z, stats, chosen, rows, n, pi, vocab, mask);
    end_round();
}

static void test_random(void **state) {
    (void)state;
    for (int r = 0; r < rounds; r++) {
        int vocab = r % 4 ? pick(2, 60) : pick(60, 300);
        head_once(r < 2 ? r : pick(1, 9), vocab, pick(-1, vocab - 1), r % 5 ? 3 : 12);
    }
}

/* More ids than a tile or a block of threads has. */
static void test_large(void **state) {
    (void)state;
    for (int r = 0; r < (K->host ? 4 : 2); r++) {
        head_once(3, 9001, r % 2 ? 8999 : 100, 2);
        head_once(2, 4096 + r, -1, 4);
    }
}

static void test_fewer_than_top(void **state) {
    (void)state;
    for (int vocab = 2; vocab < K_TOP + 3; vocab += 3) head_once(2, vocab, vocab - 1, 1);
}

/* ---- rows with nothing to settle, and rows that are broken ---- */

typedef struct said {
    k_row_stats s;
    k_top top;
    const double *dz;
} said;

static said ask(const double *v, int n, int mask) {
    array *z = of_values(FLOATS, v, 1, n), *stats = raw(NULL, 1, sizeof(k_row_stats));
    array *top = raw(NULL, 1, sizeof(k_top)), *dz = blank(ACTS, 1, n);
    K->head_stats(K, stats->p, top->p, z->p, 1, n, mask);
    K->entropy_back(K, dz->p, z->p, stats->p, NULL, 1, n, mask, 1, NULL);
    said x = {.dz = results(dz)};
    memcpy(&x.s, raw_results(stats), sizeof x.s);
    memcpy(&x.top, raw_results(top), sizeof x.top);
    return x;
}

static void test_one_hot(void **state) {
    (void)state;
    double one_hot[4] = {0, 800, -200, 0}, alone[3] = {-INFINITY, 3, 9};
    said x = ask(one_hot, 4, 3);
    CHECK(x.s.entropy == 0 && x.s.confidence == 1 && x.s.margin == 1 && x.s.argmax == 1);
    CHECK(x.dz[0] == 0 && x.dz[1] == 0 && x.dz[2] == 0 && x.dz[3] == 0);
    CHECK(x.top.id[0] == 1 && x.top.id[1] == 0 && x.top.id[2] == 2 && x.top.id[3] == -1);
    x = ask(alone, 3, 2); /* one id that may be written at all */
    CHECK(x.s.entropy == 0 && x.s.confidence == 1 && x.s.margin == 1 && x.s.argmax == 1);
    CHECK(x.dz[0] == 0 && x.dz[1] == 0 && x.dz[2] == 0 && x.top.id[0] == 1 && x.top.id[1] == -1);
    end_round();
}

static bool all_finite(const said *x, int n) {
    bool ok = !x->s.bad && isfinite(x->s.lse) && isfinite(x->s.entropy) && isfinite(x->s.confidence);
    ok = ok && isfinite(x->s.margin) && x->s.entropy >= 0 && x->s.entropy <= log(n) + 1e-5;
    for (int v = 0; v < n; v++) ok = ok && isfinite(x->dz[v]);
    return ok;
}

/* Logits as far apart as float32 has them, -inf among them: nothing overflows, H is exactly 0 where one id
 * has all, and log k where k ids share the highest logit. */
static void test_extremes(void **state) {
    (void)state;
    static const double tops[] = {1e4, -1e4, 0, 3e38, -3e38, 1e30, 88, 710};
    enum { N = 260 };
    double v[N];
    for (size_t t = 0; t < sizeof tops / sizeof *tops; t++) {
        for (int ids = 1; ids <= 256; ids *= 4) {
            double low = tops[t] > 1e29 ? -tops[t] : tops[t] - 2e4;
            if (tops[t] < -1e29) low = -INFINITY;
            for (int i = 0; i < N; i++) v[i] = i % 7 == 3 ? -(double)INFINITY : low;
            for (int k = 0, i = pick(0, N - ids); k < ids; k++) v[i + k] = tops[t];
            said x = ask(v, N, -1);
            CHECK(all_finite(&x, N) && v[x.s.argmax] >= tops[t]);
            CHECK(ids > 1 ? fabs(x.s.entropy - log(ids)) < (K->host ? 1e-13 : 1e-5) : x.s.entropy == 0);
            CHECK(fabs(x.s.confidence - 1.0 / ids) < 1e-6 && (ids > 1 ? x.s.margin == 0 : x.s.margin == 1));
        }
    }
    for (int i = 0; i < N; i++) v[i] = 6e38 * (i + 0.5) / N - 3e38; /* the whole range in one row */
    said x = ask(v, N, -1);
    CHECK(all_finite(&x, N) && x.s.argmax == N - 1 && x.s.entropy == 0 && x.dz[N - 1] == 0);
    end_round();
}

/* A constant added to all logits changes nothing but lse. Steps of 2^-6 survive the addition exactly. */
static void test_shift(void **state) {
    (void)state;
    enum { N = 97 };
    double v[N], moved[N], tol = K->host ? 1e-11 : 1e-5; /* of a double near 1e4 */
    for (int r = 0; r < rounds; r++) {
        double by = pick(-10000, 10000);
        for (int i = 0; i < N; i++) v[i] = ldexp(rint(ldexp(3 * normal(), 6)), -6), moved[i] = v[i] + by;
        v[r % N] = moved[r % N] = -INFINITY;
        said x = ask(v, N, -1), y = ask(moved, N, -1);
        CHECK(x.s.argmax == y.s.argmax && fabs(x.s.entropy - y.s.entropy) <= tol);
        CHECK(fabs(x.s.confidence - y.s.confidence) <= tol && fabs(x.s.margin - y.s.margin) <= tol);
        CHECK(fabs(x.s.lse + by - y.s.lse) <= tol * (1 + fabs(by)));
        CHECK(memcmp(x.top.id, y.top.id, sizeof x.top.id) == 0);
        end_round();
    }
}

static void test_ties(void **state) {
    (void)state;
    double tie[4] = {1, 2, 2, -1}, flat[300];
    said x = ask(tie, 4, -1);
    CHECK(x.s.argmax == 1 && x.s.margin == 0 && x.top.id[0] == 1 && x.top.id[1] == 2 && x.top.id[2] == 0);
    for (int i = 0; i < 300; i++) flat[i] = 5;
    x = ask(flat, 300, 0);
    CHECK(x.s.argmax == 1 && fabs(x.s.entropy - log(299)) < (K->host ? 1e-13 : 1e-5));
    bool in_order = true;
    for (int i = 0; i < K_TOP; i++) in_order = in_order && x.top.id[i] == i + 1;
    CHECK(in_order);
    flat[299] = flat[150] = 6;
    x = ask(flat, 300, 5);
    CHECK(x.top.id[0] == 150 && x.top.id[1] == 299 && x.top.id[2] == 0 && x.top.id[6] == 4 &&
          x.top.id[7] == 6);
    end_round();
}

static void test_bad_logits(void **state) {
    (void)state;
    double v[700];
    for (int r = 0; r < 3; r++) { /* wherever it stands, and as the mask's logit it is never read */
        for (int at = 0; at < 700; at += 233) {
            for (int i = 0; i < 700; i++) v[i] = normal();
            v[at] = r == 2 ? (double)INFINITY : r ? -(double)NAN : (double)NAN;
            said x = ask(v, 700, 3);
            CHECK(x.s.bad && x.s.entropy == 0 && x.s.argmax == 0 && x.s.lse == 0 && x.s.confidence == 0);
            x = ask(v, 700, at);
            CHECK(!x.s.bad && x.s.argmax != at);
        }
    }
    double none[2] = {-INFINITY, -INFINITY};
    CHECK(ask(none, 2, -1).s.bad);
    end_round();
}

int main(int argc, char **argv) {
    int rc = open_device(argc, argv);
    if (rc) return rc;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),   cmocka_unit_test(test_large), cmocka_unit_test(test_fewer_than_top),
        cmocka_unit_test(test_one_hot),  cmocka_unit_test(test_ties),  cmocka_unit_test(test_bad_logits),
        cmocka_unit_test(test_extremes), cmocka_unit_test(test_shift),
    };
    return close_device("head", cmocka_run_group_tests(tests, NULL, NULL));
}
