/* test_kernels.c - every CPU operation against a naive double reference on random odd shapes
 * (empty and single rows among them), with guard floats round every output; backward operations
 * also against central differences of the double forward.
 *
 * Bounds: float32 products over k terms of size about 1 err by 1e-7·sqrt(k) per unit of partial sum; 2e-5
 * absolute plus relative, grown with k beyond a few hundred, covers every shape here. Usage: test_kernels
 * [seed] */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/base/rng.h"
#include "kernels/kernels.h"

enum { GUARD = 16, ROUNDS = 40 };

static const kernels *K;
static uint64_t seed = 81731, draws;
static int n_checks, n_failed;

static double uniform(void) {
    return rng_uniform(seed, draws++, 0, 0, RNG_TOKEN);
}

static double normal(void) {
    return sqrt(-2 * log(uniform())) * cos(6.283185307179586 * uniform());
}

static int pick(int low, int high) {
    return low + (int)(uniform() * (high - low + 1));
}

static void check_at(bool ok, int line, const char *what) {
    n_checks++;
    if (ok) return;
    n_failed++;
    print_error("test_kernels.c:%d: %s (seed %llu)\n", line, what, (unsigned long long)seed);
}
#define CHECK(cond) check_at((cond), __LINE__, #cond)

/* ---- arrays with guards ---- */

static float *guarded(size_t n) {
    float *p = mem_new(n + 2 * GUARD, sizeof *p);
    assert_non_null(p);
    for (size_t i = 0; i < n + 2 * GUARD; i++) p[i] = NAN; /* unwritten output is noticed */
    for (size_t i = 0; i < GUARD; i++) p[i] = p[GUARD + n + i] = 12345.0f;
    return p + GUARD;
}

static void release(float *p, size_t n, int line) {
    bool ok = true;
    for (size_t i = 0; i < GUARD; i++) ok = ok && p[n + i] == 12345.0f && (p - GUARD)[i] == 12345.0f;
    check_at(ok, line, "guard floats were overwritten");
    free(p - GUARD);
}
#define RELEASE(p, n) release(p, n, __LINE__)

static float *randoms(size_t n, double scale) {
    float *p = guarded(n);
    for (size_t i = 0; i < n; i++) p[i] = (float)(scale * normal());
    return p;
}

static void close_at(const float *got, const double *want, size_t n, double tol, int line, const char *what) {
    n_checks++;
    for (size_t i = 0; i < n; i++) {
        if (fabs((double)got[i] - want[i]) <= tol * (1 + fabs(want[i]))) continue;
        n_failed++;
        print_error("test_kernels.c:%d: %s[%zu of %zu]: %.9g, expected %.9g (seed %llu)\n", line, what, i, n,
                    (double)got[i], want[i], (unsigned long long)seed);
        return;
    }
}
#define CLOSE(got, want, n, tol, what) close_at(got, want, n, tol, __LINE__, what)

static double *doubles(size_t n) {
    double *p = mem_new(n, sizeof *p);
    assert_non_null(p);
    return p;
}

static size_t size(int a, int b) {
    return (size_t)a * (size_t)b;
}

/* ---- weights of every type ---- */

static float f16_value(uint16_t h) {
    int exponent = h >> 10 & 31, mantissa = h & 1023;
    double v = exponent ? ldexp(1024 + mantissa, exponent - 25) : ldexp(mantissa, -24);
    return (float)(h & 0x8000 ? -v : v);
}

static float bf16_value(uint16_t h) {
    uint32_t u = (uint32_t)h << 16;
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

typedef struct weights {
    k_matrix m;
    double *exact;
    unsigned char *bytes;
} weights;

/* Random weights about 1 in size; narrow types lie at an odd address. */
static weights make_weights(int rows, int cols, k_dtype type) {
    weights w = {.m = {.dtype = type, .rows = rows, .cols = cols}, .exact = doubles(size(rows, cols))};
    size_t n = size(rows, cols), odd = type == K_F32 ? 0 : 1;
    w.bytes = mem_new(n * 4 + 1, 1);
    assert_non_null(w.bytes);
    w.m.data = w.bytes + odd;
    for (size_t i = 0; i < n; i++) {
        float f = (float)normal();
        int exponent = pick(0, 15), half = pick(0, 1) << 15 | exponent << 10 | (int)(i * 37 % 1024);
        uint16_t h = (uint16_t)half; /* subnormals among them */
        if (type == K_BF16) {
            uint32_t u;
            memcpy(&u, &f, sizeof u);
            h = (uint16_t)(u >> 16);
        }
        if (type == K_F32)
            memcpy(w.bytes + 4 * i, &f, sizeof f);
        else
            memcpy(w.bytes + odd + 2 * i, &h, sizeof h);
        w.exact[i] = (double)(type == K_F32 ? f : type == K_F16 ? f16_value(h) : bf16_value(h));
    }
    return w;
}

static void free_weights(weights *w) {
    free(w->exact);
    free(w->bytes);
}

static k_dtype any_type(void) {
    return (k_dtype)pick(0, 2);
}

/* ---- linear ---- */

static void test_widening(void **state) {
    (void)state;
    for (int type = K_F16; type <= K_BF16; type++) {
        static uint16_t all[65536];
        for (int i = 0; i < 65536; i++) all[i] = (uint16_t)i;
        k_matrix m = {.data = all, .dtype = (k_dtype)type, .rows = 65536, .cols = 1};
        int wrong = 0;
        for (int32_t i = 0; i < 65536; i++) {
            float got;
            K->embed(&got, &i, 1, &m);
            bool f16_special = type == K_F16 && (i >> 10 & 31) == 31;
            float want = type == K_BF16 ? bf16_value(all[i]) : f16_value(all[i]);
            if (f16_special) want = i & 1023 ? NAN : i & 0x8000 ? -INFINITY : INFINITY;
            bool same = isnan(want) ? isnan(got) : got == want && signbit(got) == signbit(want);
            wrong += !same;
        }
        CHECK(wrong == 0);
    }
}

static void linear_once(int n, int in, int out, k_dtype type) {
    weights w = make_weights(out, in, type);
    float *x = randoms(size(n, in), 1), *bias = randoms((size_t)out, 1), *y = guarded(size(n, out));
    double *want = doubles(size(n, out));
    bool biased = pick(0, 1);
    for (int i = 0; i < n; i++) {
        for (int o = 0; o < out; o++) {
            double s = biased ? (double)bias[o] : 0;
            for (int j = 0; j < in; j++)
                s += (double)x[size(i, in) + (size_t)j] * w.exact[size(o, in) + (size_t)j];
            want[size(i, out) + (size_t)o] = s;
        }
    }
    K->linear(y, x, n, &w.m, biased ? bias : NULL);
    CLOSE(y, want, size(n, out), 2e-5 * (1 + in / 1000.0), "linear");
    RELEASE(x, size(n, in));
    RELEASE(bias, (size_t)out);
    RELEASE(y, size(n, out));
    free(want);
    free_weights(&w);
}

static void linear_back_once(int n, int in, int out, k_dtype type) {
    weights w = make_weights(out, in, type);
    bool accumulate = pick(0, 1);
    float *dy = randoms(size(n, out), 1), *dx = accumulate ? randoms(size(n, in), 1) : guarded(size(n, in));
    double *want = doubles(size(n, in));
    k_counts c = {.linear_calls = 3, .linear_rows = 100};
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < in; j++) {
            double s = accumulate ? (double)dx[size(i, in) + (size_t)j] : 0;
            for (int o = 0; o < out; o++)
                s += (double)dy[size(i, out) + (size_t)o] * w.exact[size(o, in) + (size_t)j];
            want[size(i, in) + (size_t)j] = s;
        }
    }
    K->linear_back(dx, dy, n, &w.m, accumulate, &c);
    CLOSE(dx, want, size(n, in), 2e-5 * (1 + out / 1000.0), "linear_back");
    CHECK(c.linear_calls == 4 && c.linear_rows == 100 + n && c.attn_rows == 0);
    RELEASE(dy, size(n, out));
    RELEASE(dx, size(n, in));
    free(want);
    free_weights(&w);
}

static void test_linear(void **state) {
    (void)state;
    for (int r = 0; r < ROUNDS; r++) {
        int n = r < 4 ? r % 2 : pick(0, 70);
        linear_once(n, pick(1, 90), pick(1, 130), any_type());
        linear_back_once(n, pick(1, 90), pick(1, 130), any_type());
    }
    for (int type = K_F32; type <= K_BF16; type++) { /* several tiles of output rows */
        linear_once(3, 4099, 150, (k_dtype)type);
        linear_back_once(3, 4099, 150, (k_dtype)type);
        linear_once(150, 260, 300, (k_dtype)type); /* large enough for threads */
        linear_back_once(150, 260, 300, (k_dtype)type);
    }
}

/* ---- norm ---- */

static void norm_double(double *y, const double *x, const float *w, int d, double eps) {
    double s = 0;
    for (int j = 0; j < d; j++) s += x[j] * x[j];
    for (int j = 0; j < d; j++) y[j] = x[j] / sqrt(s / d + eps) * (double)w[j];
}

/* Central difference of Σ dy·norm(x) with respect to x[j]. */
static double norm_slope(double *x, const float *w, const float *dy, int d, double eps, int j) {
    double *y = doubles((size_t)d), keep = x[j], sum[2] = {0, 0}, h = 1e-5;
    for (int side = 0; side < 2; side++) {
        x[j] = keep + (side ? h : -h);
        norm_double(y, x, w, d, eps);
        for (int k = 0; k < d; k++) sum[side] += y[k] * (double)dy[k];
    }
    x[j] = keep;
    free(y);
    return (sum[1] - sum[0]) / (2 * h);
}

static void test_norm(void **state) {
    (void)state;
    for (int r = 0; r < ROUNDS; r++) {
        int n = r < 2 ? r : pick(1, 9), d = pick(1, 150);
        size_t total = size(n, d);
        float eps = r % 3 ? 1e-5f : 1e-6f;
        float *x = randoms(total, r % 5 ? 1 : 1e-3), *w = randoms((size_t)d, 1), *y = guarded(total);
        float *dy = randoms(total, 1), *dx = randoms(total, 1);
        double *xd = doubles(total), *want = doubles(total), *grad = doubles(total);
        for (size_t i = 0; i < total; i++) xd[i] = (double)x[i], grad[i] = (double)dx[i];
        for (int i = 0; i < n; i++) {
            size_t o = size(i, d);
            norm_double(want + o, xd + o, w, d, (double)eps);
            for (int j = 0; j < d; j++)
                grad[o + (size_t)j] += norm_slope(xd + o, w, dy + o, d, (double)eps, j);
        }
        K->rmsnorm(y, x, w, n, d, eps);
        CLOSE(y, want, total, 1e-5, "rmsnorm");
        K->rmsnorm_back(dx, dy, x, w, n, d, eps);
        CLOSE(dx, grad, total, r % 5 ? 1e-4 : 2e-3, "rmsnorm_back"); /* slopes near 1000 at x = 1e-3 */
        RELEASE(x, total);
        RELEASE(w, (size_t)d);
        RELEASE(y, total);
        RELEASE(dy, total);
        RELEASE(dx, total);
        free(xd);
        free(want);
        free(grad);
    }
}

/* ---- rope ---- */

static void test_rope(void **state) {
    (void)state;
    for (int r = 0; r < ROUNDS; r++) {
        int n = r < 2 ? r : pick(1, 20), heads = pick(1, 5), hd = 2 * pick(1, 33), half = hd / 2;
        double theta = r % 2 ? 10000 : 500000;
        size_t total = size(n, heads * hd);
        int *pos = mem_new((size_t)n, sizeof *pos);
        float *x = randoms(total, 1);
        double *want = doubles(total), *back = doubles(total);
        for (int i = 0; i < n; i++) pos[i] = pick(0, r % 4 ? 100 : 5000);
        for (size_t i = 0; i < total; i++) back[i] = (double)x[i];
        for (int i = 0; i < n * heads; i++) {
            for (int j = 0; j < half; j++) {
                double a = pos[i / heads] * pow(theta, -2.0 * j / hd);
                double u = back[size(i, hd) + (size_t)j], v = back[size(i, hd) + (size_t)(half + j)];
                want[size(i, hd) + (size_t)j] = u * cos(a) - v * sin(a);
                want[size(i, hd) + (size_t)(half + j)] = u * sin(a) + v * cos(a);
            }
        }
        K->rope(x, pos, n, heads, hd, theta, false);
        CLOSE(x, want, total, 1e-6, "rope");
        K->rope(x, pos, n, heads, hd, theta, true);
        CLOSE(x, back, total, 1e-6, "inverse rope");
        RELEASE(x, total);
        free(pos);
        free(want);
        free(back);
    }
}

/* ---- attention ---- */

typedef struct shape {
    int n_q, n_k, H, KV, hd;
} shape;

/* o and lse in double. q: [n_q][H·hd], k, v: [n_k][KV·hd]. */
static void attention_double(shape s, const double *q, const double *k, const double *v, double *o,
                             double *lse) {
    double *p = doubles((size_t)s.n_k);
    for (int i = 0; i < s.n_q; i++) {
        for (int h = 0; h < s.H; h++) {
            const double *qi = q + size(i, s.H * s.hd) + size(h, s.hd);
            size_t head = size(h / (s.H / s.KV), s.hd), row = size(s.KV, s.hd);
            double sum = 0;
            for (int j = 0; j < s.n_k; j++) {
                double dot = 0;
                for (int t = 0; t < s.hd; t++) dot += qi[t] * k[(size_t)j * row + head + (size_t)t];
                p[j] = exp(dot / sqrt(s.hd));
                sum += p[j];
            }
            lse[size(i, s.H) + (size_t)h] = log(sum);
            for (int t = 0; t < s.hd; t++) {
                double acc = 0;
                for (int j = 0; j < s.n_k; j++) acc += p[j] / sum * v[(size_t)j * row + head + (size_t)t];
                o[size(i, s.H * s.hd) + size(h, s.hd) + (size_t)t] = acc;
            }
        }
    }
    free(p);
}

static shape random_shape(int n_q_max, int n_k_max, int hd_max) {
    shape s = {.n_k = pick(1, n_k_max), .KV = pick(1, 3), .hd = pick(1, hd_max)};
    s.H = s.KV * pick(1, 3);
    s.n_q = pick(1, s.n_k < n_q_max ? s.n_k : n_q_max);
    return s;
}

static double *widen(const float *x, size_t n) {
    double *d = doubles(n);
    for (size_t i = 0; i < n; i++) d[i] = (double)x[i];
    return d;
}

static void attention_once(shape s) {
    size_t nq = size(s.n_q, s.H * s.hd), nk = size(s.n_k, s.KV * s.hd), nl = size(s.n_q, s.H);
    float *q = randoms(nq, 1.5), *k = randoms(nk, 1.5), *v = randoms(nk, 1), *o = guarded(nq),
          *lse = guarded(nl);
    double *qd = widen(q, nq), *kd = widen(k, nk), *vd = widen(v, nk), *od = doubles(nq), *ld = doubles(nl);
    attention_double(s, qd, kd, vd, od, ld);
    K->attention(&(k_attn){s.n_q, s.n_k, s.H, s.KV, s.hd, q, k, v, o, lse});
    CLOSE(o, od, nq, 2e-5, "attention");
    CLOSE(lse, ld, nl, 2e-5, "lse");
    RELEASE(q, nq);
    RELEASE(k, nk);
    RELEASE(v, nk);
    RELEASE(o, nq);
    RELEASE(lse, nl);
    double *all[] = {qd, kd, vd, od, ld};
    for (int i = 0; i < 5; i++) free(all[i]);
}

static void test_attention(void **state) {
    (void)state;
    for (int r = 0; r < ROUNDS; r++) {
        shape s = random_shape(140, 140, 40);
        if (r == 0) s.n_q = 0;
        attention_once(s);
    }
    attention_once((shape){150, 160, 6, 2, 16}); /* large enough for threads */
}

/* Σ do·o as a function of the rows' q, k and v, with all else fixed. With `local`, a moved key or value
 * is seen by its own row alone. */
typedef struct probe {
    shape s;
    const int *q_pos;
    bool local;
    double *q, *k, *v, *k0, *v0;
    const float *dout;
} probe;

static double probe_value(const probe *p) {
    size_t nq = size(p->s.n_q, p->s.H * p->s.hd), kw = size(p->s.KV, p->s.hd), qw = size(p->s.H, p->s.hd);
    double *o = doubles(nq), *lse = doubles(size(p->s.n_q, p->s.H)), sum = 0;
    if (!p->local) attention_double(p->s, p->q, p->k, p->v, o, lse);
    for (int i = 0; p->local && i < p->s.n_q; i++) {
        double *k = doubles(size(p->s.n_k, (int)kw)), *v = doubles(size(p->s.n_k, (int)kw));
        size_t own = (size_t)p->q_pos[i] * kw;
        memcpy(k, p->k0, (size_t)p->s.n_k * kw * sizeof *k);
        memcpy(v, p->v0, (size_t)p->s.n_k * kw * sizeof *v);
        memcpy(k + own, p->k + own, kw * sizeof *k);
        memcpy(v + own, p->v + own, kw * sizeof *v);
        shape one = p->s;
        one.n_q = 1;
        attention_double(one, p->q + (size_t)i * qw, k, v, o + (size_t)i * qw, lse + size(i, p->s.H));
        free(k);
        free(v);
    }
    for (size_t i = 0; i < nq; i++) sum += o[i] * (double)p->dout[i];
    free(o);
    free(lse);
    return sum;
}

static double probe_slope(const probe *p, double *at) {
    double keep = *at, h = 1e-5;
    *at = keep + h;
    double up = probe_value(p);
    *at = keep - h;
    double down = probe_value(p);
    *at = keep;
    return (up - down) / (2 * h);
}

/* n_q distinct ascending positions of n_k. */
static int *choose_rows(int n_q, int n_k) {
    int *pos = mem_new((size_t)n_q, sizeof *pos), left = n_q, at = 0;
    for (int i = 0; i < n_k && left; i++) {
        if (uniform() * (n_k - i) < left) pos[at++] = i, left--;
    }
    return pos;
}

static void attention_back_once(shape s, bool local) {
    size_t qw = size(s.H, s.hd), kw = size(s.KV, s.hd), nq = (size_t)s.n_q * qw, nk = (size_t)s.n_k * kw;
    size_t na = (size_t)s.n_q * kw, nl = size(s.n_q, s.H);
    int *pos = choose_rows(s.n_q, s.n_k);
    float *q = randoms(nq, 1), *k = randoms(nk, 1), *v = randoms(nk, 1), *dout = randoms(nq, 1);
    float *o = guarded(nq), *lse = guarded(nl), *dq = guarded(nq), *dk = guarded(na), *dv = guarded(na);
    K->attention(&(k_attn){s.n_q, s.n_k, s.H, s.KV, s.hd, q, k, v, o, lse});
    k_counts c = {0};
    k_attn_back a = {s.n_q, s.n_k, s.H, s.KV, s.hd, local, pos, q, k, v, o, lse, dout, dq, dk, dv};
    K->attention_back(&a, &c);
    CHECK(c.attn_calls == 1 && c.attn_rows == s.n_q && c.linear_rows == 0);
    probe p = {.s = s, .q_pos = pos, .local = local, .dout = dout};
    p.q = widen(q, nq), p.k = widen(k, nk), p.v = widen(v, nk), p.k0 = widen(k, nk), p.v0 = widen(v, nk);
    double *gq = doubles(nq), *gk = doubles(na), *gv = doubles(na);
    for (size_t i = 0; i < nq; i++) gq[i] = probe_slope(&p, p.q + i);
    for (size_t i = 0; i < na; i++) {
        size_t at = (size_t)pos[i / kw] * kw + i % kw;
        gk[i] = probe_slope(&p, p.k + at);
        gv[i] = probe_slope(&p, p.v + at);
    }
    CLOSE(dq, gq, nq, 5e-5, local ? "local dq" : "dq");
    CLOSE(dk, gk, na, 5e-5, local ? "local dk" : "dk");
    CLOSE(dv, gv, na, 5e-5, local ? "local dv" : "dv");
    float *floats[] = {q, dout, o, dq};
    for (int i = 0; i < 4; i++) RELEASE(floats[i], nq);
    RELEASE(k, nk);
    RELEASE(v, nk);
    RELEASE(lse, nl);
    RELEASE(dk, na);
    RELEASE(dv, na);
    double *all[] = {p.q, p.k, p.v, p.k0, p.v0, gq, gk, gv};
    for (int i = 0; i < 8; i++) free(all[i]);
    free(pos);
}

static void test_attention_back(void **state) {
    (void)state;
    for (int r = 0; r < ROUNDS; r++) attention_back_once(random_shape(6, 9, 5), r % 2);
    attention_back_once((shape){70, 75, 1, 1, 2}, false); /* two query blocks */
    attention_back_once((shape){70, 75, 2, 1, 1}, true);
    k_counts c = {0};
    K->attention_back(&(k_attn_back){.n_q = 0, .n_k = 3, .H = 1, .KV = 1, .hd = 2}, &c);
    CHECK(c.attn_calls == 1 && c.attn_rows == 0);
}

/* Threads share heads; the result must not depend on how. */
static void test_attention_back_threads(void **state) {
    (void)state;
    enum { N = 130, HEADS = 8, HD = 8, W = HEADS * HD };
    int pos[N];
    for (int i = 0; i < N; i++) pos[i] = i;
    float *q = randoms(N * W, 1), *k = randoms(N * W, 1), *v = randoms(N * W, 1), *dout = randoms(N * W, 1);
    float *o = guarded(N * W), *lse = guarded(N * HEADS), *g[2][3];
    K->attention(&(k_attn){N, N, HEADS, HEADS, HD, q, k, v, o, lse});
    for (int t = 0; t < 2; t++) {
        kernels_set_threads(t + 1);
        for (int i = 0; i < 3; i++) g[t][i] = guarded(N * W);
        K->attention_back(&(k_attn_back){N, N, HEADS, HEADS, HD, false, pos, q, k, v, o, lse, dout, g[t][0],
                                         g[t][1], g[t][2]},
                          NULL);
    }
    kernels_set_threads(0);
    for (int i = 0; i < 3; i++) CHECK(memcmp(g[0][i], g[1][i], N * W * sizeof(float)) == 0);
    for (int i = 0; i < 6; i++) RELEASE(g[i / 3][i % 3], N * W);
    float *rest[] = {q, k, v, dout, o};
    for (int i = 0; i < 5; i++) RELEASE(rest[i], N * W);
    RELEASE(lse, N * HEADS);
}

/* ---- mlp ---- */

static double swiglu_double(double g, double u) {
    return g / (1 + exp(-g)) * u;
}

static void test_swiglu(void **state) {
    (void)state;
    for (int r = 0; r < ROUNDS; r++) {
        int n = r < 2 ? r : pick(1, 9), f = pick(1, 99);
        size_t total = size(n, f);
        float *g = randoms(total, r % 4 ? 2 : 60), *u = randoms(total, 1), *h = guarded(total),
              *dh = randoms(total, 1);
        float *dg = guarded(total), *du = guarded(total);
        double *want = doubles(total), *wg = doubles(total), *wu = doubles(total);
        for (size_t i = 0; i < total; i++) {
            double a = (double)g[i], b = (double)u[i], e = 1e-5;
            want[i] = swiglu_double(a, b);
            wg[i] = (double)dh[i] * (swiglu_double(a + e, b) - swiglu_double(a - e, b)) / (2 * e);
            wu[i] = (double)dh[i] * swiglu_double(a, 1);
        }
        K->swiglu_back(dg, du, dh, g, u, n, f);
        CLOSE(dg, wg, total, 1e-5, "dgate");
        CLOSE(du, wu, total, 1e-5, "dup");
        K->swiglu(h, g, u, n, f);
        CLOSE(h, want, total, 1e-5, "swiglu");
        K->swiglu(g, g, u, n, f);
        CHECK(memcmp(g, h, total * sizeof *g) == 0); /* in place */
        float *all[] = {g, u, h, dh, dg, du};
        for (int i = 0; i < 6; i++) RELEASE(all[i], total);
        free(want);
        free(wg);
        free(wu);
    }
}

/* ---- head ---- */

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

static void stats_row(const float *z, int n, int mask, const k_row_stats *s, double *pi) {
    double *zd = widen(z, (size_t)n), best = -1, second = 0;
    double h = entropy_double(zd, n, mask, pi);
    int argmax = -1;
    for (int v = 0; v < n; v++) {
        if (v == mask) continue;
        if (pi[v] > best)
            second = fmax(best, 0), best = pi[v], argmax = v;
        else if (pi[v] > second)
            second = pi[v];
    }
    CHECK(!s->bad && s->argmax == argmax);
    CHECK(fabs(s->entropy - h) < 1e-9 && fabs(s->confidence - best) < 1e-12);
    CHECK(fabs(s->margin - (best - second)) < 1e-12);
    CHECK(fabs((double)z[argmax] - s->lse - log(best)) < 1e-9);
    free(zd);
}

static void entropy_back_row(const float *z, const float *dz, int n, int mask, double weight) {
    double *zd = widen(z, (size_t)n), *pi = doubles((size_t)n), *want = doubles((size_t)n);
    for (int v = 0; v < n; v++) {
        double keep = zd[v], e = 1e-5;
        zd[v] = keep + e;
        double up = entropy_double(zd, n, mask, pi);
        zd[v] = keep - e;
        want[v] = v == mask ? 0 : weight * (up - entropy_double(zd, n, mask, pi)) / (2 * e);
        zd[v] = keep;
    }
    CLOSE(dz, want, (size_t)n, 1e-6, "entropy_back");
    free(zd);
    free(pi);
    free(want);
}

static void soft_write_rows(const float *z, const k_row_stats *s, const double *pi, int n, int vocab,
                            int mask) {
    int d = pick(1, 40);
    weights E = make_weights(vocab + pick(0, 2), d, any_type());
    float *out = guarded(size(n, d));
    double *want = doubles(size(n, d));
    for (int i = 0; i < n; i++) {
        for (int v = 0; v < vocab; v++) {
            for (int j = 0; j < d; j++) {
                want[size(i, d) + (size_t)j] +=
                    pi[size(i, vocab) + (size_t)v] * E.exact[size(v, d) + (size_t)j];
            }
        }
    }
    K->soft_write(out, z, s, n, vocab, mask, &E.m);
    CLOSE(out, want, size(n, d), 1e-5, "soft_write");
    RELEASE(out, size(n, d));
    free(want);
    free_weights(&E);
}

static void test_head(void **state) {
    (void)state;
    for (int r = 0; r < ROUNDS; r++) {
        int n = r < 2 ? r : pick(1, 9), vocab = pick(2, 60), mask = pick(-1, vocab - 1);
        size_t total = size(n, vocab);
        float *z = randoms(total, 3), *dz = guarded(total), *weight = randoms((size_t)n, 1);
        double *pi = doubles(total);
        k_row_stats *s = mem_new((size_t)n, sizeof *s);
        k_counts c = {0};
        for (int i = 0; i < n && mask >= 0 && r % 2; i++) z[size(i, vocab) + (size_t)mask] = -INFINITY;
        K->head_stats(s, z, n, vocab, mask);
        K->entropy_back(dz, z, s, weight, n, vocab, mask, &c);
        for (int i = 0; i < n; i++) {
            size_t o = size(i, vocab);
            stats_row(z + o, vocab, mask, &s[i], pi + o);
            entropy_back_row(z + o, dz + o, vocab, mask, (double)weight[i]);
        }
        CHECK(c.head_calls == 1 && c.head_rows == n);
        soft_write_rows(z, s, pi, n, vocab, mask);
        RELEASE(z, total);
        RELEASE(dz, total);
        RELEASE(weight, (size_t)n);
        free(pi);
        free(s);
    }
}

static void test_head_extremes(void **state) {
    (void)state;
    k_row_stats s;
    float one_hot[4] = {0, 800, -200, 0}, tie[4] = {1, 2, 2, -1}, flat[4] = {5, 5, 5, 5}, dz[4];
    float bad[4] = {0, NAN, 0, 0}, inf[4] = {0, 0, INFINITY, 0}, none[2] = {-INFINITY, -INFINITY};
    K->head_stats(&s, one_hot, 1, 4, 3);
    CHECK(s.entropy == 0 && s.confidence == 1 && s.margin == 1 && s.argmax == 1);
    K->entropy_back(dz, one_hot, &s, &(float){1}, 1, 4, 3, NULL);
    CHECK(dz[0] == 0 && dz[1] == 0 && dz[2] == 0 && dz[3] == 0);
    K->head_stats(&s, tie, 1, 4, -1);
    CHECK(s.argmax == 1 && s.margin == 0);
    K->head_stats(&s, flat, 1, 4, 0);
    CHECK(s.argmax == 1 && fabs(s.entropy - log(3)) < 1e-15);
    K->head_stats(&s, bad, 1, 4, 3);
    CHECK(s.bad && s.entropy == 0 && s.argmax == 0);
    K->head_stats(&s, bad, 1, 4, 1); /* the mask's own logit is never read */
    CHECK(!s.bad);
    K->head_stats(&s, inf, 1, 4, 3);
    CHECK(s.bad);
    K->head_stats(&s, none, 1, 2, -1);
    CHECK(s.bad);
}

static void test_large_soft_write(void **state) {
    (void)state;
    int n = 3, vocab = 9001, mask = 8999; /* more than one tile */
    float *z = randoms(size(n, vocab), 2);
    k_row_stats s[3];
    double *pi = doubles(size(n, vocab));
    K->head_stats(s, z, n, vocab, mask);
    for (int i = 0; i < n; i++) stats_row(z + size(i, vocab), vocab, mask, &s[i], pi + size(i, vocab));
    for (int r = 0; r < 3; r++) soft_write_rows(z, s, pi, n, vocab, mask);
    RELEASE(z, size(n, vocab));
    free(pi);
}

static void test_threads(void **state) {
    (void)state;
    int before = kernels_threads();
    kernels_set_threads(1);
    CHECK(kernels_threads() == 1);
    kernels_set_threads(0);
    CHECK(kernels_threads() == before && before >= 1);
}

int main(int argc, char **argv) {
    if (argc > 1) seed = strtoull(argv[1], NULL, 10);
    K = kernels_cpu();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads),        cmocka_unit_test(test_widening),
        cmocka_unit_test(test_linear),         cmocka_unit_test(test_norm),
        cmocka_unit_test(test_rope),           cmocka_unit_test(test_attention),
        cmocka_unit_test(test_attention_back), cmocka_unit_test(test_attention_back_threads),
        cmocka_unit_test(test_swiglu),         cmocka_unit_test(test_head),
        cmocka_unit_test(test_head_extremes),  cmocka_unit_test(test_large_soft_write),
    };
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    printf("kernels: %d checks, %d failed (seed %llu)\n", n_checks, n_failed, (unsigned long long)seed);
    return rc || n_failed;
}
