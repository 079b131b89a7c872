/* test_device.c - a device against the CPU on whole networks of random shape: logits, statistics, gradients,
 * soft writes, row-restricted lookahead and attention, in float32 and bfloat16; forks, repeated passes
 * (recorded graphs), and two queues at work at once. TABES_DEVICE names the device; without it there is
 * nothing to compare.
 *
 * Bounds are relative to the largest of a list. float32: 1e-4 for logits, 1e-3 for what is derived from them,
 * as for the vectors. bfloat16 keeps 8 bits, so that each of some 30 roundings along a network's depth moves
 * a value by up to 2^-9 of its size: 4e-2 for logits, 8e-2 for entropies, and gradients, which pass twice as
 * many, must point the same way (cosine 0.97). Usage: test_device [seed] */
#include "checks.h"
#include "device.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/base/rng.h"
#include "engine/denoiser.h"
#include "engine/synthetic.h"

enum { MOST = 80, SEQS = 3, WIDEST = 6 * 128 };

static uint64_t seed = 20260, draws;

static double uniform(void) {
    return rng_uniform(seed, draws++, 0, 0, RNG_TOKEN);
}

static int pick(int low, int high) {
    return low + (int)(uniform() * (high - low + 1));
}

/* ---- a network on two devices ---- */

typedef struct twins {
    denoiser *cpu, *dev;
    pass *a, *b;
    bool wide; /* float32 on the device too */
    int d, V;
} twins;

static synthetic_shape random_shape(int round) {
    static const int head_sizes[] = {2, 6, 16, 64, 128, 10};
    synthetic_shape s = synthetic_named("tiny");
    s.KV = pick(1, 2);
    s.H = s.KV * pick(1, 3);
    int hd = head_sizes[round % 6];
    s.d = s.H * hd;
    s.L = pick(1, 3);
    s.f = pick(3, 90);
    s.V = pick(5, 200);
    s.shifted = round % 2;
    s.bias = round % 3 == 0;
    s.tied = round % 4 == 1;
    s.seed = (uint64_t)(1000 + round);
    s.max_len = MOST;
    return s;
}

static twins open_twins(const synthetic_shape *s, k_precision precision) {
    twins t = {.a = pass_new(), .b = pass_new(), .wide = precision == K_PRECISION_F32};
    err e = {0};
    denoiser_opts o = {.device = getenv("TABES_DEVICE"), .precision = precision, .plan_rows = MOST};
    MUST(denoiser_synthetic(&t.cpu, s, NULL, &e), &e);
    MUST(denoiser_synthetic(&t.dev, s, &o, &e), &e);
    t.d = s->d;
    t.V = denoiser_get_info(t.cpu)->n_vocab;
    CHECK(strcmp(denoiser_get_info(t.cpu)->device, "cpu") == 0);
    CHECK(strcmp(denoiser_get_info(t.dev)->precision, t.wide ? "f32" : "bf16") == 0);
    return t;
}

static void close_twins(twins *t) {
    pass_free(t->a);
    pass_free(t->b);
    denoiser_close(t->cpu);
    denoiser_close(t->dev);
}

/* Distance in units of the largest; for gradients of a narrow device the angle. */
static void close_floats(const twins *t, const float *got, const float *want, size_t n, double tol,
                         double narrow, const char *what, int line) {
    double top = 1e-6, worst = 0;
    for (size_t i = 0; i < n; i++) {
        if (isfinite(want[i])) top = fmax(top, fabs((double)want[i]));
    }
    for (size_t i = 0; i < n; i++) {
        bool same = isinf(want[i]) && isinf(got[i]);
        double off = same ? 0 : fabs((double)got[i] - (double)want[i]) / top;
        if (!(off <= worst)) worst = off;
    }
    char text[120];
    snprintf(text, sizeof text, "%s: %.3g of the largest (seed %llu)", what, worst, (unsigned long long)seed);
    check_at(worst <= (t->wide ? tol : narrow), __FILE__, line, text);
}
#define NEAR(t, got, want, n, tol, narrow, what) close_floats(t, got, want, n, tol, narrow, what, __LINE__)

/* Gradients: entries on float32, direction and length on bfloat16. */
static void close_gradients(const twins *t, const float *got, const float *want, size_t n, const char *what) {
    if (t->wide) {
        NEAR(t, got, want, n, 1e-3, 0, what);
        return;
    }
    double dot = 0, a = 0, b = 0;
    for (size_t i = 0; i < n; i++) {
        dot += (double)got[i] * (double)want[i];
        a += (double)got[i] * (double)got[i];
        b += (double)want[i] * (double)want[i];
    }
    if (b < 1e-16) return;
    double cosine = dot / sqrt(a * b + 1e-300);
    char text[120];
    snprintf(text, sizeof text, "%s: cosine %.4f, length %.3f (seed %llu)", what, cosine, sqrt(a / b),
             (unsigned long long)seed);
    check_at(cosine > 0.97 && fabs(sqrt(a / b) - 1) < 0.2, __FILE__, __LINE__, text);
}

/* ---- a batch ---- */

typedef struct batch {
    int32_t tokens[SEQS][MOST];
    sequence seqs[SEQS];
    row_ref rows[SEQS * MOST];
    float vector[2][WIDEST];
    injection inject[2];
    forward_req q;
} batch;

static void random_batch(batch *b, const twins *t, int n_seqs) {
    int mask = denoiser_get_info(t->cpu)->mask_id, n = 0;
    for (int s = 0; s < n_seqs; s++) {
        int len = s == 0 && n_seqs > 1 ? 1 : pick(2, MOST);
        for (int i = 0; i < len; i++) {
            bool masked = i == 0 || uniform() < 0.4;
            b->tokens[s][i] = masked ? mask : pick(0, t->V - 1);
            if (masked) b->rows[n++] = (row_ref){s, i};
        }
        b->seqs[s] = (sequence){b->tokens[s], len};
    }
    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < t->d; j++) b->vector[i][j] = (float)(uniform() - 0.5);
        b->inject[i] = (injection){n_seqs - 1, pick(0, b->seqs[n_seqs - 1].n - 1), b->vector[i]};
    }
    if (b->inject[0].pos == b->inject[1].pos) memcpy(b->vector[1], b->vector[0], sizeof b->vector[0]);
    b->q = (forward_req){.seqs = b->seqs,
                         .n_seqs = n_seqs,
                         .inject = b->inject,
                         .n_inject = pick(0, 2),
                         .rows = b->rows,
                         .n_rows = n,
                         .keep = true};
}

static void compare_rows(const twins *t) {
    err e = {0};
    MUST(pass_read(t->a, NULL, 0, &e), &e);
    MUST(pass_read(t->b, NULL, 0, &e), &e);
    for (int r = 0; r < pass_n_rows(t->a); r++) {
        const k_row_stats *x = pass_stats(t->b, r), *y = pass_stats(t->a, r);
        double top = log(t->V);
        NEAR(t, pass_logits(t->b, r), pass_logits(t->a, r), (size_t)t->V, 1e-4, 4e-2, "logits");
        CHECK(fabs(x->entropy - y->entropy) <= (t->wide ? 1e-4 : 8e-2) * top);
        CHECK(fabs(x->confidence - y->confidence) <= (t->wide ? 1e-3 : 8e-2));
        CHECK(x->argmax == y->argmax || y->margin < (t->wide ? 1e-4 : 8e-2));
        int32_t ids[K_TOP];
        double probs[K_TOP];
        int n = pass_top(t->b, r, 8, ids, probs);
        CHECK(n == (t->V - 1 < 8 ? t->V - 1 : 8) && ids[0] == x->argmax &&
              fabs(probs[0] - x->confidence) < 1e-6);
    }
}

/* ---- what is derived from a kept pass ---- */

static void compare_backward(const twins *t, const batch *b, int seq) {
    int n = b->seqs[seq].n, n_active = 0, n_wrt = 0, active[MOST], wrt[MOST], seeds = pick(1, 3);
    bool dense = pick(0, 2) == 0, one = pick(0, 3) == 0, local = pick(0, 3) == 0;
    for (int i = 0; i < n; i++) {
        if (dense || (one ? i == n / 2 : uniform() < 0.5)) active[n_active++] = i;
    }
    for (int i = 0; i < n_active; i += 2) wrt[n_wrt++] = active[i];
    if (n_active == 0) return;
    size_t n_rows = (size_t)pass_n_rows(t->a), floats = (size_t)(seeds * n_wrt * t->d);
    float *w = mem_new((size_t)seeds * n_rows, sizeof *w), *x = mem_new(floats, sizeof *x),
          *y = mem_new(floats, sizeof *y);
    for (size_t i = 0; i < (size_t)seeds * n_rows; i++) w[i] = pick(0, 2) ? (float)(uniform() + 0.5) : 0;
    backward_req q = {.seq = seq, .n_seeds = seeds, .weights = w, .n_active = n_active, .local = local};
    q.active = dense ? NULL : active, q.wrt = wrt, q.n_wrt = n_wrt;
    k_counts c[2] = {{0}, {0}};
    err e = {0};
    MUST(denoiser_backward(t->cpu, t->a, &q, x, &c[0], &e), &e);
    MUST(denoiser_backward(t->dev, t->b, &q, y, &c[1], &e), &e);
    close_gradients(t, y, x, floats, local ? "local gradients" : "gradients");
    CHECK(c[0].linear_rows == c[1].linear_rows && c[0].attn_rows == c[1].attn_rows);
    CHECK(c[0].head_rows == c[1].head_rows);
    free(w);
    free(x);
    free(y);
}

static void compare_soft(const twins *t) {
    int rows[3], n = pass_n_rows(t->a) < 3 ? pass_n_rows(t->a) : 3;
    float x[3 * WIDEST], y[3 * WIDEST];
    err e = {0};
    for (int i = 0; i < n; i++) rows[i] = pass_n_rows(t->a) - 1 - i;
    MUST(denoiser_soft_write(t->cpu, t->a, rows, n, x, &e), &e);
    MUST(denoiser_soft_write(t->dev, t->b, rows, n, y, &e), &e);
    NEAR(t, y, x, (size_t)(n * t->d), 1e-4, 8e-2, "soft writes");
}

static void compare_restricted(const twins *t, const batch *b, int seq) {
    int n = b->seqs[seq].n, n_re[2] = {0, 0}, re[2][MOST];
    restricted_case cases[2];
    for (int c = 0; c < 2; c++) {
        int pos = pick(0, n - 1);
        for (int i = 0; i < n; i++) {
            if (i == pos || uniform() < 0.4) re[c][n_re[c]++] = i;
        }
        int want =
            denoiser_get_info(t->cpu)->shifted ? pos + 1 : pos; /* the position that row pos predicts */
        static int wants[2];
        wants[c] = want < n ? want : 0;
        bool has_want = want < n || re[c][0] == 0;
        cases[c] =
            (restricted_case){.pos = pos, .vector = b->vector[c], .recompute = re[c], .n_recompute = n_re[c]};
        cases[c].want = &wants[c], cases[c].n_want = has_want;
    }
    double x[2] = {0}, y[2] = {0};
    restricted_req q = {.seq = seq, .cases = cases, .n_cases = 2};
    err e = {0};
    MUST(denoiser_restricted(t->cpu, t->a, &q, x, &e), &e);
    MUST(denoiser_restricted(t->dev, t->b, &q, y, &e), &e);
    for (int c = 0; c < 2; c++) CHECK(fabs(x[c] - y[c]) <= (t->wide ? 1e-4 : 0.1) * log(t->V));
}

/* Probabilities: their distance counts as it is, since a head may spread over all positions. */
static void compare_attention(const twins *t, const batch *b, int seq) {
    const denoiser_info *info = denoiser_get_info(t->cpu);
    int n = b->seqs[seq].n, pos = pick(0, n - 1), layer = pick(0, info->n_layers - 1);
    float x[6 * MOST], y[6 * MOST];
    double worst = 0;
    err e = {0};
    MUST(denoiser_attention(t->cpu, t->a, seq, pos, layer, x, &e), &e);
    MUST(denoiser_attention(t->dev, t->b, seq, pos, layer, y, &e), &e);
    for (int i = 0; i < info->n_heads * n; i++) {
        double off = fabs((double)x[i] - (double)y[i]);
        if (!(off <= worst)) worst = off;
    }
    CHECK(worst <= (t->wide ? 1e-4 : 4e-2));
}

static void compare_shape(int round, k_precision precision) {
    synthetic_shape s = random_shape(round);
    twins t = open_twins(&s, precision);
    static batch b;
    err e = {0};
    for (int i = 0; i < 3; i++) {
        random_batch(&b, &t, 1 + i % SEQS);
        MUST(denoiser_forward(t.cpu, &b.q, t.a, &e), &e);
        MUST(denoiser_forward(t.dev, &b.q, t.b, &e), &e);
        compare_rows(&t);
        for (int seq = 0; seq < b.q.n_seqs; seq++) {
            compare_backward(&t, &b, seq);
            compare_restricted(&t, &b, seq);
            compare_attention(&t, &b, seq);
        }
        compare_soft(&t);
    }
    close_twins(&t);
}

static void test_shapes_f32(void **state) {
    (void)state;
    for (int r = 0; r < 12; r++) compare_shape(r, K_PRECISION_F32);
}

static void test_shapes_bf16(void **state) {
    (void)state;
    for (int r = 0; r < 12; r++) compare_shape(r, K_PRECISION_BF16);
}

/* ---- repeated passes and forks ---- */

/* The same request again and again is recorded and replayed; other contents must still count. */
static void test_repeats(void **state) {
    (void)state;
    synthetic_shape s = random_shape(3);
    twins t = open_twins(&s, K_PRECISION_F32);
    static batch b;
    err e = {0};
    random_batch(&b, &t, 2);
    b.q.n_inject = 0;
    for (int i = 0; i < 6; i++) {
        b.tokens[1][b.seqs[1].n - 1] = i % t.V;
        b.q.n_rows = b.q.n_rows > 2 && i % 2 ? b.q.n_rows - 1 : b.q.n_rows;
        MUST(denoiser_forward(t.cpu, &b.q, t.a, &e), &e);
        MUST(denoiser_forward(t.dev, &b.q, t.b, &e), &e);
        compare_rows(&t);
    }
    close_twins(&t);
}

typedef struct lane {
    denoiser *d;
    pass *p;
    const forward_req *q;
    err e;
    int rc;
} lane;

static void *run_lane(void *arg) {
    lane *l = arg;
    for (int i = 0; i < 5 && !l->rc; i++) l->rc = denoiser_forward(l->d, l->q, l->p, &l->e);
    if (!l->rc) l->rc = pass_read(l->p, NULL, 0, &l->e);
    return NULL;
}

static void test_forks(void **state) {
    (void)state;
    synthetic_shape s = random_shape(4);
    twins t = open_twins(&s, K_PRECISION_BF16);
    static batch b;
    err e = {0};
    denoiser *fork;
    random_batch(&b, &t, 2);
    MUST(denoiser_fork(&fork, t.dev, &e), &e);
    CHECK(denoiser_get_info(fork)->overlaps && strcmp(denoiser_get_info(fork)->device, "cpu") != 0);
    lane lanes[2] = {{t.dev, pass_new(), &b.q, {0}, 0}, {fork, pass_new(), &b.q, {0}, 0}};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) assert_int_equal(pthread_create(&threads[i], NULL, run_lane, &lanes[i]), 0);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < 2; i++) MUST(lanes[i].rc, &lanes[i].e);
    for (int r = 0; r < b.q.n_rows; r++) {
        CHECK(memcmp(pass_logits(lanes[0].p, r), pass_logits(lanes[1].p, r), (size_t)t.V * 4) == 0);
    }
    k_memory m;
    denoiser_memory(fork, &m);
    CHECK(m.used_bytes > 0 && m.used_bytes <= m.total_bytes && m.free_bytes < m.total_bytes);
    for (int i = 0; i < 2; i++) pass_free(lanes[i].p);
    denoiser_close(fork);
    close_twins(&t);
}

/* Not-a-numbers are found on the device, with layer and row, and the next pass is fine. */
static void test_bad_numbers(void **state) {
    (void)state;
    synthetic_shape s = random_shape(2);
    twins t = open_twins(&s, K_PRECISION_F32);
    static batch b;
    err e = {0};
    random_batch(&b, &t, 2);
    b.q.n_inject = 1;
    b.vector[0][1] = NAN;
    CHECK(denoiser_forward(t.dev, &b.q, t.b, &e) == ERR_BAD_FORMAT);
    char want[80];
    snprintf(want, sizeof want, "NaN in the output of the embedding, row %d (sequence 1)", b.inject[0].pos);
    CHECK(strcmp(e.msg, want) == 0);
    b.q.n_inject = 0;
    MUST(denoiser_forward(t.cpu, &b.q, t.a, &e), &e);
    MUST(denoiser_forward(t.dev, &b.q, t.b, &e), &e);
    compare_rows(&t);
    close_twins(&t);
}

int main(int argc, char **argv) {
    if (!getenv("TABES_DEVICE")) {
        puts("device: skipped: TABES_DEVICE names no device to compare with the CPU");
        return 77;
    }
    if (argc > 1) seed = strtoull(argv[1], NULL, 10);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes_f32), cmocka_unit_test(test_shapes_bf16), cmocka_unit_test(test_repeats),
        cmocka_unit_test(test_forks),      cmocka_unit_test(test_bad_numbers),
    };
    return finish("device", cmocka_run_group_tests(tests, NULL, NULL));
}
