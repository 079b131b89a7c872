/* test_properties.c - what must hold of scores whatever the state: on random states of the saved vectors'
 * models, on the device that TABES_DEVICE names. Distances are relative to the largest of their kind. */
#include "checks.h"
#include "device.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/rng.h"
#include "engine/rank.h"
#include "engine/score.h"

enum { MAX = 24, MAX_D = 64, ROUNDS = 6 };

/* Float32 sums of other seeds, or over other rows. */
static const double SUM_TOLERANCE = 2e-5; /* oneDNN's sums depend on how many rows there are: 1.03e-5 */

/* ---- random numbers ---- */

static uint64_t drawn;

static double uniform(void) {
    return rng_uniform(2026, drawn++, 0, 0, RNG_TOKEN);
}

static int pick(int low, int high) {
    return low + (int)(uniform() * (high - low + 1));
}

static void shuffle(int *a, int n) {
    for (int i = n - 1; i > 0; i--) {
        int j = pick(0, i), x = a[i];
        a[i] = a[j], a[j] = x;
    }
}

/* ---- a random state and its candidates ---- */

typedef struct bench {
    denoiser *d;
    score_state s;
    pass *p;
    int n, n_cand, width;
    int32_t tokens[MAX];
    int masked[MAX], cand[MAX];
    row_ref rows[MAX];
    float soft[MAX * MAX_D];
} bench;

static void forward(bench *b, pass *p) {
    err e = {0};
    sequence seq = {b->tokens, b->n};
    forward_req q = {.seqs = &seq, .n_seqs = 1, .rows = b->rows, .n_rows = b->s.n_masked, .keep = true};
    MUST(denoiser_forward(b->d, &q, p, &e), &e);
    MUST(pass_read(p, NULL, 0, &e), &e);
}

static void open_bench(bench *b, denoiser *d, int n, double mask_rate) {
    const denoiser_info *info = denoiser_get_info(d);
    err e = {0};
    int n_masked = 0, must = pick(0, n - 1);
    *b = (bench){.d = d, .n = n, .width = info->d_model};
    for (int i = 0; i < n; i++) {
        bool masked = i == must || uniform() < mask_rate;
        b->tokens[i] = masked ? info->mask_id : (int32_t)pick(0, info->mask_id - 1);
        if (!masked) continue;
        b->rows[n_masked] = (row_ref){0, i};
        b->masked[n_masked++] = i;
    }
    b->p = pass_new();
    b->s = (score_state){.d = d, .p = b->p, .tokens = b->tokens, .n_tokens = n};
    b->s.masked = b->masked, b->s.n_masked = n_masked;
    forward(b, b->p);
    b->n_cand = score_candidates(&b->s, CAND_CONFIDENCE, 0.2 + 0.8 * uniform(), 1, b->cand);
    MUST(score_soft(&b->s, b->cand, b->n_cand, b->soft, NULL, &e), &e);
}

static void open_random(bench *b, denoiser *d) {
    open_bench(b, d, pick(2, MAX), uniform());
}

static void close_bench(bench *b) {
    pass_free(b->p);
}

static void tis(const bench *b, const char *name, const int *cand, const float *soft, double *out) {
    score_triple t;
    score_cost cost = {0};
    err e = {0};
    MUST(triple_parse(&t, name, &e), &e);
    MUST(score_tis(&b->s, t, (score_opts){1, 1}, cand, b->n_cand, soft, out, &cost, &e), &e);
}

/* Positions of a random set that holds the candidates and is closed under the rows that predict. */
static int random_active(const bench *b, int *out) {
    bool has[MAX] = {false};
    int n = 0;
    for (int i = 0; i < b->n_cand; i++) has[b->masked[b->cand[i]]] = true;
    for (int i = 0; i < b->n; i++) has[i] = has[i] || uniform() < 0.4;
    for (int i = 0; i < b->n; i++) has[denoiser_emit(b->d, i)] |= has[i];
    for (int i = 0; i < b->n; i++) {
        if (has[i]) out[n++] = i;
    }
    return n;
}

/* -<Σ_r w_r ∂H_r/∂e_i, Δe_i> of the candidates. active NULL: dense. */
static void weighted(const bench *b, const float *w, const int *active, int n_active, bool local,
                     double *out) {
    static float grads[MAX * MAX_D], e_m[MAX_D];
    int wrt[MAX];
    k_counts counts = {0};
    err e = {0};
    for (int i = 0; i < b->n_cand; i++) wrt[i] = b->masked[b->cand[i]];
    backward_req q = {.n_seeds = 1, .weights = w, .active = active, .n_active = n_active, .local = local};
    q.wrt = wrt, q.n_wrt = b->n_cand;
    MUST(denoiser_backward(b->d, b->p, &q, grads, &counts, &e), &e);
    denoiser_embedding(b->d, denoiser_get_info(b->d)->mask_id, e_m);
    for (int i = 0; i < b->n_cand; i++) {
        out[i] = 0;
        for (int j = 0; j < b->width; j++) {
            double delta = (double)b->soft[i * b->width + j] - (double)e_m[j];
            out[i] -= (double)grads[i * b->width + j] * delta;
        }
    }
}

static void random_weights(const bench *b, float *w) {
    for (int r = 0; r < b->s.n_masked; r++) w[r] = (float)(2 * uniform() - 1);
}

/* ---- properties ---- */

static double worst_permuted, worst_linear, worst_dense, worst_influence, worst_self;

static void keep_worst(double *worst, double x) {
    *worst = fmax(*worst, x);
}

/* A score belongs to its candidate, in whatever order they are given. */
static void permuted_candidates(const bench *b) {
    static const char *const names[] = {
        "mask/masked/dense",       "mask/masked/candidates", "mask/others/dense",     "mask/others/masked",
        "mask/others-local/dense", "soft/remaining/dense",   "soft/remaining/masked", "mid/others/dense",
        "rows/others/masked",      "rows/others/uncertain",  "full/others/dense",     "mask/masked/uncertain",
    };
    static float soft[MAX * MAX_D];
    int order[MAX], cand[MAX], n = b->n_cand;
    size_t width = (size_t)b->width;
    for (int i = 0; i < n; i++) order[i] = i;
    shuffle(order, n);
    for (int i = 0; i < n; i++) {
        cand[i] = b->cand[order[i]];
        memcpy(soft + (size_t)i * width, b->soft + (size_t)order[i] * width, width * sizeof *soft);
    }
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        double plain[MAX], other[MAX], want[MAX];
        tis(b, names[k], b->cand, b->soft, plain);
        tis(b, names[k], cand, soft, other);
        for (int i = 0; i < n; i++) want[i] = plain[order[i]];
        keep_worst(&worst_permuted, CLOSE(other, want, n, SUM_TOLERANCE, names[k]));
    }
}

/* AQA leaves the forward alone: a backward through any rows changes neither logits nor statistics, nor what a
 * later forward or the same backward gives. */
static void untouched_forward(bench *b) {
    size_t bytes = (size_t)denoiser_get_info(b->d)->n_vocab * sizeof(float);
    int active[MAX], n_active = random_active(b, active), n = b->s.n_masked;
    float *logits = malloc((size_t)n * bytes), w[MAX];
    k_row_stats stats[MAX];
    double first[MAX], again[MAX];
    assert_non_null(logits);
    for (int r = 0; r < n; r++) {
        memcpy((char *)logits + (size_t)r * bytes, pass_logits(b->p, r), bytes);
        stats[r] = *pass_stats(b->p, r);
    }
    random_weights(b, w);
    weighted(b, w, active, n_active, false, first);
    weighted(b, w, NULL, 0, false, again);
    weighted(b, w, active, n_active, false, again);
    CHECK(memcmp(first, again, (size_t)b->n_cand * sizeof *first) == 0);
    pass *fresh = pass_new();
    forward(b, fresh);
    for (int r = 0; r < n; r++) {
        const char *was = (const char *)logits + (size_t)r * bytes;
        CHECK(!memcmp(pass_logits(b->p, r), was, bytes) && !memcmp(pass_logits(fresh, r), was, bytes));
        CHECK(pass_stats(b->p, r)->entropy == stats[r].entropy && pass_stats(fresh, r)->lse == stats[r].lse);
    }
    pass_free(fresh);
    free(logits);
}

/* TIS of seed weights x·u + y·v is x·TIS(u) + y·TIS(v), through any rows. */
static void linear_seeds(const bench *b) {
    int active[MAX], n_active = random_active(b, active), n = b->n_cand;
    float u[MAX], v[MAX], both[MAX], x = (float)(4 * uniform() - 2), y = (float)(4 * uniform() - 2);
    double a[MAX], c[MAX], got[MAX], want[MAX], scale[MAX], top = 1e-6;
    random_weights(b, u);
    random_weights(b, v);
    for (int r = 0; r < b->s.n_masked; r++) both[r] = x * u[r] + y * v[r];
    const int *rows = pick(0, 1) ? active : NULL;
    weighted(b, u, rows, n_active, false, a);
    weighted(b, v, rows, n_active, false, c);
    weighted(b, both, rows, n_active, false, got);
    for (int i = 0; i < n; i++) {
        want[i] = (double)x * a[i] + (double)y * c[i];
        scale[i] = fabs((double)x * a[i]) + fabs((double)y * c[i]); /* the sum may cancel */
        top = fmax(top, scale[i]);
    }
    keep_worst(&worst_linear, close_at(got, want, n, SUM_TOLERANCE, top, "linear seeds", __FILE__, __LINE__));
}

/* A of all rows is no detachment at all. */
static void dense_is_all(const bench *b) {
    int all[MAX];
    float w[MAX];
    double dense[MAX], active[MAX];
    for (int i = 0; i < b->n; i++) all[i] = i;
    random_weights(b, w);
    weighted(b, w, NULL, 0, false, dense);
    weighted(b, w, all, b->n, false, active);
    keep_worst(&worst_dense, CLOSE(active, dense, b->n_cand, SUM_TOLERANCE, "all rows"));
}

/* Σ_j w_j D[j][i] is the TIS of seed weights w; with ones, of the masked objective. */
static void influence_columns(const bench *b) {
    double D[MAX * MAX], sum[MAX], want[MAX];
    float w[MAX];
    score_cost cost = {0};
    err e = {0};
    int n = b->n_cand;
    MUST(score_influence(&b->s, b->cand, n, b->soft, D, &cost, &e), &e);
    for (int r = 0; r < 2; r++) {
        double top = 1e-6;
        random_weights(b, w);
        for (int j = 0; !r && j < b->s.n_masked; j++) w[j] = 1;
        for (int i = 0; i < n; i++) {
            double terms = 0;
            sum[i] = 0;
            for (int j = 0; j < b->s.n_masked; j++) {
                sum[i] += (double)w[j] * D[j * n + i];
                terms += fabs((double)w[j] * D[j * n + i]);
            }
            top = fmax(top, terms);
        }
        if (r)
            weighted(b, w, NULL, 0, false, want);
        else
            tis(b, "mask/masked/dense", b->cand, b->soft, want);
        keep_worst(&worst_influence,
                   close_at(sum, want, n, SUM_TOLERANCE, top, "influence columns", __FILE__, __LINE__));
    }
}

/* Rows do not mix in the row-local pass: alone, a candidate has the term that it has among others. */
static void self_terms(const bench *b) {
    double all[MAX], alone[MAX];
    score_cost cost = {0};
    err e = {0};
    MUST(score_self_local(&b->s, b->cand, b->n_cand, b->soft, all, &cost, &e), &e);
    for (int i = 0; i < b->n_cand; i++) {
        MUST(score_self_local(&b->s, b->cand + i, 1, b->soft + i * b->width, alone + i, &cost, &e), &e);
        bool own = denoiser_emit(b->d, b->masked[b->cand[i]]) == b->masked[b->cand[i]];
        CHECK(own || near(all[i], 0, 0));
    }
    keep_worst(&worst_self, CLOSE(alone, all, b->n_cand, SUM_TOLERANCE, "self terms"));
}

/* A sequence of one mask has no other row: its TIS is its self term, and nothing is left for others. */
static void single_row(denoiser *d) {
    bench b;
    double whole, self, others;
    score_cost cost = {0};
    err e = {0};
    open_bench(&b, d, 1, 1);
    tis(&b, "mask/masked/dense", b.cand, b.soft, &whole);
    tis(&b, "mask/others/dense", b.cand, b.soft, &others);
    MUST(score_self_local(&b.s, b.cand, 1, b.soft, &self, &cost, &e), &e);
    CLOSE(&self, &whole, 1, SUM_TOLERANCE, "self term of a single row");
    CHECK(near(others, 0, 0));
    close_bench(&b);
}

static void test_scores(void **state) {
    (void)state;
    static const char *const archs[] = {"llada", "llada-gqa", "dream", "qwen3"};
    for (int a = 0; a < 4; a++) {
        char path[64];
        denoiser *d;
        err e = {0};
        snprintf(path, sizeof path, "tests/vectors/%s", archs[a]);
        MUST(denoiser_load(&d, path, test_device(), &e), &e);
        assert_true(denoiser_get_info(d)->d_model <= MAX_D);
        for (int r = 0; r < ROUNDS; r++) {
            bench b;
            open_random(&b, d);
            permuted_candidates(&b);
            untouched_forward(&b);
            linear_seeds(&b);
            dense_is_all(&b);
            influence_columns(&b);
            self_terms(&b);
            close_bench(&b);
        }
        single_row(d);
        denoiser_close(d);
    }
    printf("largest distances: permuted %.2g, linear %.2g, dense %.2g, influence %.2g, self %.2g\n",
           worst_permuted, worst_linear, worst_dense, worst_influence, worst_self);
}

/* ---- ranking ---- */

static double key_of(const void *ctx, int i) {
    return ((const double *)ctx)[i];
}

/* Numbers from the highest down, then what is no number; equals by index. */
static void test_rank(void **state) {
    (void)state;
    static const double some[] = {NAN, -NAN, INFINITY, -INFINITY, 0, -0.0, 1, 2, 2, -1e300};
    for (int r = 0; r < 400; r++) {
        double key[MAX];
        int n = pick(1, MAX), order[MAX];
        bool seen[MAX] = {false}, any = false, sorted = true;
        for (int i = 0; i < n; i++) {
            key[i] = some[pick(0, 9)];
            any = any || !isnan(key[i]);
        }
        rank_order(key_of, key, n, order);
        for (int i = 0; i < n; i++) {
            sorted = sorted && !seen[order[i]];
            seen[order[i]] = true;
            if (i == 0) continue;
            double x = key[order[i - 1]], y = key[order[i]];
            bool equal = isnan(x) ? isnan(y) : !(x < y) && !(x > y) && !isnan(y);
            sorted = sorted && (equal ? order[i - 1] < order[i] : x > y || isnan(y));
        }
        CHECK(sorted);
        CHECK(!any || !isnan(key[order[0]]));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_scores), cmocka_unit_test(test_rank)};
    return finish("properties", cmocka_run_group_tests(tests, NULL, NULL));
}
