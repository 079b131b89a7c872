/* test_denoiser.c - the transformer against saved float64 results (tests/vectors, written by
 * tests/vectors/oracle.py), against finite differences of itself, and against its own counts.
 *
 * Bounds: logits 1e-4 and derived scores 1e-3 of the largest magnitude of their list. float32
 * products over width 64 err by about 1e-6; entropies' gradients amplify that by the condition of
 * three layers, which random weights make large. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/base/strbuf.h"
#include "engine/denoiser_impl.h"
#include "device.h"

enum { MAX = 64, D = 64, V = 48 };

static int n_checks, n_failed;
static double worst_logit, worst_score;

static void check_at(bool ok, int line, const char *what) {
    n_checks++;
    if (ok) return;
    n_failed++;
    print_error("test_denoiser.c:%d: %s\n", line, what);
}
#define CHECK(cond) check_at((cond), __LINE__, #cond)

/* Every value within tol of the largest expected magnitude. */
static void close_at(const double *got, const double *want, int n, double tol, double *worst,
                     const char *what, int line) {
    double top = 1e-9, err_max = 0;
    int at = 0;
    for (int i = 0; i < n; i++) top = fmax(top, fabs(want[i]));
    for (int i = 0; i < n; i++) {
        double e = fabs(got[i] - want[i]) / top;
        if (!(e <= err_max)) err_max = e, at = i;
    }
    n_checks++;
    if (worst && top > 1e-6) *worst = fmax(*worst, err_max);
    if (err_max <= tol || (top <= 1e-6 && err_max * top < 1e-5)) return;
    n_failed++;
    print_error("test_denoiser.c:%d: %s[%d]: %.9g, expected %.9g (distance %.3g of the largest)\n", line,
                what, at, got[at], want[at], err_max);
}
#define CLOSE(got, want, n, tol, worst, what) close_at(got, want, n, tol, worst, what, __LINE__)

/* ---- a saved case ---- */

typedef struct model_case {
    const cJSON *json;
    int n, n_m, n_c;
    int32_t tokens[MAX];
    int masked[MAX], cand[MAX];
    double entropy[MAX];
} model_case;

typedef struct list {
    int n, at[MAX];
} list;

static int read_ints(const cJSON *a, int *out) {
    int n = 0;
    const cJSON *i;
    cJSON_ArrayForEach(i, a) out[n++] = i->valueint;
    assert_true(n <= MAX);
    return n;
}

static int read_doubles(const cJSON *a, double *out) {
    int n = 0;
    const cJSON *i;
    cJSON_ArrayForEach(i, a) out[n++] = i->valuedouble;
    return n;
}

static const cJSON *field(const model_case *c, const char *key) {
    const cJSON *f = cJSON_GetObjectItemCaseSensitive(c->json, key);
    assert_non_null(f);
    return f;
}

static model_case read_case(const cJSON *json) {
    model_case c = {.json = json};
    int tokens[MAX];
    c.n = read_ints(field(&c, "tokens"), tokens);
    for (int i = 0; i < c.n; i++) c.tokens[i] = tokens[i];
    c.n_m = read_ints(field(&c, "masked"), c.masked);
    c.n_c = read_ints(field(&c, "candidates"), c.cand);
    read_doubles(field(&c, "entropy"), c.entropy);
    return c;
}

static bool in(const int *a, int n, int x) {
    for (int i = 0; i < n; i++) {
        if (a[i] == x) return true;
    }
    return false;
}

/* rows ∪ emit(rows) ∪ {extra}, ascending */
static list closed(const denoiser *d, const int *rows, int n, int n_seq, int extra) {
    bool has[MAX] = {false};
    list out = {0};
    for (int i = 0; i < n; i++) has[rows[i]] = has[denoiser_emit(d, rows[i])] = true;
    if (extra >= 0) has[extra] = true;
    for (int i = 0; i < n_seq; i++) {
        if (has[i]) out.at[out.n++] = i;
    }
    return out;
}

/* C and as many of the most uncertain masks. */
static list with_uncertain(const model_case *c) {
    bool has[MAX] = {false};
    list out = {0};
    for (int k = 0; k < c->n_c; k++) {
        int best = -1;
        for (int m = 0; m < c->n_m; m++) {
            if (!has[m] && (best < 0 || c->entropy[m] > c->entropy[best])) best = m;
        }
        has[best] = true;
    }
    for (int m = 0; m < c->n_m; m++) {
        if (has[m] || in(c->cand, c->n_c, c->masked[m])) out.at[out.n++] = c->masked[m];
    }
    return out;
}

/* ---- the engine's side ---- */

typedef struct bench {
    denoiser *d;
    pass *p, *p2;
    const model_case *c;
    row_ref rows[MAX];
    float soft[MAX][D]; /* per candidate */
    double delta[MAX][D];
    k_counts counts;
} bench;

static void forward(bench *b, pass *p, const injection *inject, int n_inject) {
    err e = {0};
    sequence s = {b->c->tokens, b->c->n};
    for (int m = 0; m < b->c->n_m; m++) b->rows[m] = (row_ref){0, b->c->masked[m]};
    forward_req q = {.seqs = &s,
                     .n_seqs = 1,
                     .rows = b->rows,
                     .n_rows = b->c->n_m,
                     .inject = inject,
                     .n_inject = n_inject,
                     .keep = true};
    if (denoiser_forward(b->d, &q, p, &e) || pass_read(p, NULL, 0, &e)) fail_msg("%s", e.msg);
}

static void check_forward(bench *b) {
    const model_case *c = b->c;
    double got[MAX * V], want[MAX * V], conf[MAX], margin[MAX], h[MAX];
    int argmax[MAX], n = 0, mask = denoiser_get_info(b->d)->mask_id;
    const cJSON *row;
    cJSON_ArrayForEach(row, field(c, "logits")) n += read_doubles(row, want + n);
    int k = 0;
    for (int m = 0; m < c->n_m; m++) {
        for (int v = 0; v < V; v++) {
            if (v != mask) got[k++] = (double)pass_logits(b->p, m)[v];
        }
        CHECK(isinf(pass_logits(b->p, m)[mask]) && pass_logits(b->p, m)[mask] < 0);
    }
    CHECK(k == n);
    CLOSE(got, want, n, 1e-4, &worst_logit, "logits");
    read_ints(field(c, "argmax"), argmax);
    for (int m = 0; m < c->n_m; m++) {
        const k_row_stats *s = pass_stats(b->p, m);
        h[m] = s->entropy, conf[m] = s->confidence, margin[m] = s->margin;
        CHECK(s->argmax == argmax[m] && !s->bad);
    }
    CLOSE(h, c->entropy, c->n_m, 1e-4, NULL, "entropy");
    read_doubles(field(c, "confidence"), want);
    CLOSE(conf, want, c->n_m, 1e-4, NULL, "confidence");
    read_doubles(field(c, "margin"), want);
    CLOSE(margin, want, c->n_m, 1e-3, NULL, "margin");
}

static void soft_writes(bench *b) {
    const model_case *c = b->c;
    float e_m[D];
    double norm[MAX], want[MAX];
    err e = {0};
    denoiser_embedding(b->d, denoiser_get_info(b->d)->mask_id, e_m);
    for (int i = 0; i < c->n_c; i++) {
        int row = 0;
        while (c->masked[row] != c->cand[i]) row++;
        if (denoiser_soft_write(b->d, b->p, &row, 1, b->soft[i], &e)) fail_msg("%s", e.msg);
        norm[i] = 0;
        for (int j = 0; j < D; j++) {
            b->delta[i][j] = (double)b->soft[i][j] - (double)e_m[j];
            norm[i] += b->delta[i][j] * b->delta[i][j];
        }
        norm[i] = sqrt(norm[i]);
    }
    read_doubles(field(c, "delta_e_norm"), want);
    CLOSE(norm, want, c->n_c, 1e-4, NULL, "delta_e_norm");
}

/* scores[s·n_c + i] = -<∂ seed s/∂e_i, Δe_i> */
static void scores(bench *b, const pass *p, const float *weights, int n_seeds, const list *active, bool local,
                   double *out) {
    const model_case *c = b->c;
    err e = {0};
    float *g = mem_new((size_t)(n_seeds * c->n_c * D), sizeof *g);
    backward_req q = {.n_seeds = n_seeds,
                      .weights = weights,
                      .active = active ? active->at : NULL,
                      .n_active = active ? active->n : 0,
                      .wrt = c->cand,
                      .n_wrt = c->n_c,
                      .local = local};
    b->counts = (k_counts){0};
    if (denoiser_backward(b->d, p, &q, g, &b->counts, &e)) fail_msg("%s", e.msg);
    for (int s = 0; s < n_seeds; s++) {
        for (int i = 0; i < c->n_c; i++) {
            double dot = 0;
            for (int j = 0; j < D; j++) dot += (double)g[(s * c->n_c + i) * D + j] * b->delta[i][j];
            out[s * c->n_c + i] = -dot;
        }
    }
    free(g);
}

/* Weights of Σ over M, without position `but` (or -1). */
static void all_masks(const model_case *c, int but, float *w) {
    for (int m = 0; m < c->n_m; m++) w[m] = c->masked[m] == but ? 0.0f : 1.0f;
}

static void expect_tis(bench *b, const char *key, const double *got) {
    double want[MAX];
    int n = read_doubles(cJSON_GetObjectItemCaseSensitive(field(b->c, "tis"), key), want);
    CHECK(n == b->c->n_c);
    CLOSE(got, want, n, 1e-3, &worst_score, key);
}

/* Each product ran once per layer, on the rows of A alone, and the head on those of its objective. */
static void check_counts(bench *b, int n_seeds, int n_active, int n_head) {
    int L = denoiser_get_info(b->d)->n_layers;
    if (n_head == 0) {
        CHECK(b->counts.linear_rows == 0 && b->counts.attn_rows == 0 && b->counts.head_rows == 0);
        return;
    }
    CHECK(b->counts.linear_calls == 4 * L + 1);
    CHECK(b->counts.linear_rows == 4LL * L * n_seeds * n_active + n_head);
    CHECK(b->counts.attn_calls == L);
    CHECK(b->counts.attn_rows == (int64_t)L * n_seeds * n_active);
    CHECK(b->counts.head_rows == n_head && n_head <= n_active);
}

/* Network rows of A that predict one of `rows`. */
static int head_rows(const denoiser *d, const list *active, const int *rows, int n) {
    bool seen[MAX] = {false};
    int count = 0;
    for (int i = 0; i < n; i++) {
        int e = denoiser_emit(d, rows[i]);
        if (!seen[e] && (!active || in(active->at, active->n, e))) count++;
        seen[e] = true;
    }
    return count;
}

static void check_gradients(bench *b, const char *name, const list *active) {
    const model_case *c = b->c;
    float w[MAX * MAX];
    double got[MAX * MAX], diag[MAX];
    char key[64];
    int n_active = active ? active->n : c->n;
    all_masks(c, -1, w);
    scores(b, b->p, w, 1, active, false, got);
    snprintf(key, sizeof key, "mask/masked/%s", name);
    expect_tis(b, key, got);
    check_counts(b, 1, n_active, head_rows(b->d, active, c->masked, c->n_m));

    for (int i = 0; i < c->n_c; i++) all_masks(c, c->cand[i], w + i * c->n_m);
    scores(b, b->p, w, c->n_c, active, false, got);
    for (int i = 0; i < c->n_c; i++) diag[i] = got[i * c->n_c + i];
    snprintf(key, sizeof key, "mask/others/%s", name);
    expect_tis(b, key, diag);
    check_counts(b, c->n_c, n_active, head_rows(b->d, active, c->masked, c->n_m));

    injection inject[MAX];
    for (int i = 0; i < c->n_c; i++) inject[i] = (injection){0, c->cand[i], b->soft[i]};
    forward(b, b->p2, inject, c->n_c);
    for (int m = 0; m < c->n_m; m++) w[m] = in(c->cand, c->n_c, c->masked[m]) ? 0.0f : 1.0f;
    scores(b, b->p2, w, 1, active, false, got);
    snprintf(key, sizeof key, "soft/remaining/%s", name);
    expect_tis(b, key, got);
}

static void check_midpoint(bench *b) {
    const model_case *c = b->c;
    float e_m[D], half[D], w[MAX];
    double got[MAX], all[MAX];
    denoiser_embedding(b->d, denoiser_get_info(b->d)->mask_id, e_m);
    for (int i = 0; i < c->n_c; i++) {
        for (int j = 0; j < D; j++) half[j] = e_m[j] + 0.5f * (float)b->delta[i][j];
        forward(b, b->p2, &(injection){0, c->cand[i], half}, 1);
        all_masks(c, c->cand[i], w);
        scores(b, b->p2, w, 1, NULL, false, all);
        got[i] = all[i];
    }
    expect_tis(b, "mid/others/dense", got);
}

static void check_restricted(bench *b, const char *name, const list *rows) {
    const model_case *c = b->c;
    restricted_case cases[MAX];
    list rec[MAX];
    double h[MAX * MAX], got[MAX];
    char key[64];
    err e = {0};
    for (int i = 0; i < c->n_c; i++) {
        rec[i] = closed(b->d, rows->at, rows->n, c->n, c->cand[i]);
        cases[i] = (restricted_case){.pos = c->cand[i],
                                     .vector = b->soft[i],
                                     .recompute = rec[i].at,
                                     .n_recompute = rec[i].n,
                                     .want = rows->at,
                                     .n_want = rows->n};
    }
    restricted_req q = {.cases = cases, .n_cases = c->n_c};
    if (denoiser_restricted(b->d, b->p, &q, h, &e)) fail_msg("%s", e.msg);
    for (int i = 0; i < c->n_c; i++) {
        got[i] = 0;
        for (int j = 0; j < rows->n; j++) {
            int m = 0;
            while (c->masked[m] != rows->at[j]) m++;
            if (rows->at[j] != c->cand[i]) got[i] += pass_stats(b->p, m)->entropy - h[i * rows->n + j];
        }
    }
    snprintf(key, sizeof key, "rows/others/%s", name);
    expect_tis(b, key, got);
}

static void check_self_and_influence(bench *b) {
    const model_case *c = b->c;
    float w[MAX * MAX] = {0};
    double got[MAX * MAX], want[MAX * MAX], diag[MAX];
    list active = closed(b->d, c->cand, c->n_c, c->n, -1);
    for (int i = 0; i < c->n_c; i++) {
        for (int m = 0; m < c->n_m; m++) w[i * c->n_m + m] = c->masked[m] == c->cand[i] ? 1.0f : 0.0f;
    }
    scores(b, b->p, w, c->n_c, &active, true, got);
    for (int i = 0; i < c->n_c; i++) diag[i] = got[i * c->n_c + i];
    read_doubles(field(c, "self_row_local"), want);
    CLOSE(diag, want, c->n_c, 1e-3, &worst_score, "self_row_local");

    memset(w, 0, sizeof w);
    for (int m = 0; m < c->n_m; m++) w[m * c->n_m + m] = 1;
    scores(b, b->p, w, c->n_m, NULL, false, got);
    check_counts(b, c->n_m, c->n, head_rows(b->d, NULL, c->masked, c->n_m));
    int n = 0;
    const cJSON *row;
    cJSON_ArrayForEach(row, field(c, "influence")) n += read_doubles(row, want + n);
    CLOSE(got, want, n, 1e-3, &worst_score, "influence");
}

/* Σ of the other masks' entropies of sequence s in a batch where each sequence asks for all masks. */
static double others(const pass *p, const model_case *c, int s, int but) {
    double sum = 0;
    for (int m = 0; m < c->n_m; m++) {
        if (c->masked[m] != but) sum += pass_stats(p, s * c->n_m + m)->entropy;
    }
    return sum;
}

/* One sequence per injected vector, all in one batch. */
static void forward_batch(bench *b, const injection *inject, int n) {
    const model_case *c = b->c;
    sequence *s = mem_new((size_t)n, sizeof *s);
    row_ref *rows = mem_new((size_t)(n * c->n_m), sizeof *rows);
    err e = {0};
    for (int i = 0; i < n; i++) {
        s[i] = (sequence){c->tokens, c->n};
        for (int m = 0; m < c->n_m; m++) rows[i * c->n_m + m] = (row_ref){i, c->masked[m]};
    }
    forward_req q = {
        .seqs = s, .n_seqs = n, .inject = inject, .n_inject = n, .rows = rows, .n_rows = n * c->n_m};
    if (denoiser_forward(b->d, &q, b->p2, &e) || pass_read(b->p2, NULL, 0, &e)) fail_msg("%s", e.msg);
    free(s);
    free(rows);
}

static void check_reductions(bench *b) {
    const model_case *c = b->c;
    static float E[V][D];
    injection inject[V];
    double soft[MAX], hard[MAX], want[MAX];
    int mask = denoiser_get_info(b->d)->mask_id;
    for (int v = 0; v < V; v++) denoiser_embedding(b->d, v, E[v]);
    for (int i = 0; i < c->n_c; i++) inject[i] = (injection){i, c->cand[i], b->soft[i]};
    forward_batch(b, inject, c->n_c);
    for (int i = 0; i < c->n_c; i++)
        soft[i] = others(b->p, c, 0, c->cand[i]) - others(b->p2, c, i, c->cand[i]);
    for (int i = 0; i < c->n_c; i++) {
        int n = 0, row = 0;
        while (c->masked[row] != c->cand[i]) row++;
        for (int v = 0; v < V; v++) {
            if (v != mask) inject[n] = (injection){n, c->cand[i], E[v]}, n++;
        }
        forward_batch(b, inject, n);
        hard[i] = others(b->p, c, 0, c->cand[i]);
        for (int k = 0; k < n; k++) {
            double z = (double)pass_logits(b->p, row)[k < mask ? k : k + 1];
            hard[i] -= exp(z - pass_stats(b->p, row)->lse) * others(b->p2, c, k, c->cand[i]);
        }
    }
    read_doubles(field(c, "reduction_soft"), want);
    CLOSE(soft, want, c->n_c, 1e-3, &worst_score, "reduction_soft");
    read_doubles(field(c, "reduction_hard_expected"), want);
    CLOSE(hard, want, c->n_c, 1e-3, &worst_score, "reduction_hard_expected");
}

static void check_case(denoiser *d, const cJSON *json) {
    model_case c = read_case(json);
    bench b = {.d = d, .p = pass_new(), .p2 = pass_new(), .c = &c};
    list m = closed(d, c.masked, c.n_m, c.n, -1), k = closed(d, c.cand, c.n_c, c.n, -1),
         u = with_uncertain(&c);
    list uc = closed(d, u.at, u.n, c.n, -1), plain_m = {.n = c.n_m}, plain_c = {.n = c.n_c};
    memcpy(plain_m.at, c.masked, sizeof c.masked);
    memcpy(plain_c.at, c.cand, sizeof c.cand);
    forward(&b, b.p, NULL, 0);
    check_forward(&b);
    soft_writes(&b);
    check_gradients(&b, "dense", NULL);
    check_gradients(&b, "masked", &m);
    check_gradients(&b, "candidates", &k);
    check_gradients(&b, "uncertain", &uc);
    check_midpoint(&b);
    check_restricted(&b, "masked", &plain_m);
    check_restricted(&b, "candidates", &plain_c);
    check_restricted(&b, "uncertain", &u);
    check_self_and_influence(&b);
    check_reductions(&b);
    pass_free(b.p);
    pass_free(b.p2);
}

static denoiser *open_vectors(const char *arch) {
    char path[80];
    denoiser *d;
    err e = {0};
    snprintf(path, sizeof path, "tests/vectors/%s", arch);
    if (denoiser_load(&d, path, test_device(), &e)) fail_msg("%s", e.msg);
    return d;
}

static void test_vectors(void **state) {
    const char *arch = *state;
    char path[80];
    strbuf text;
    err e = {0};
    denoiser *d = open_vectors(arch);
    snprintf(path, sizeof path, "tests/vectors/%s/cases.json", arch);
    if (strbuf_read_file(&text, path, 1 << 24, &e)) fail_msg("%s", e.msg);
    cJSON *root = cJSON_Parse(text.data);
    const cJSON *c;
    int before = n_failed;
    cJSON_ArrayForEach(c, cJSON_GetObjectItemCaseSensitive(root, "cases")) check_case(d, c);
    cJSON_Delete(root);
    strbuf_release(&text);
    denoiser_close(d);
    assert_int_equal(n_failed, before);
}

/* ---- beyond the saved cases ---- */

/* A sequence with masks at every third position. */
static sequence some_tokens(const denoiser *d, int32_t *tokens, int n, int salt) {
    for (int i = 0; i < n; i++) tokens[i] = i % 3 == 0 ? denoiser_get_info(d)->mask_id : (i * 7 + salt) % 45;
    return (sequence){tokens, n};
}

static int all_rows(row_ref *rows, int seq, int n) {
    for (int i = 0; i < n; i++) rows[i] = (row_ref){seq, i};
    return n;
}

static void run(denoiser *d, const forward_req *q, pass *p) {
    err e = {0};
    if (denoiser_forward(d, q, p, &e) || pass_read(p, NULL, 0, &e)) fail_msg("%s", e.msg);
}

static void same_rows(const pass *a, int from_a, const pass *b, int n) {
    double x[V * MAX], y[V * MAX];
    int k = 0, mask = V - 1;
    for (int r = 0; r < n; r++) {
        for (int v = 0; v < mask; v++, k++) {
            x[k] = (double)pass_logits(a, from_a + r)[v];
            y[k] = (double)pass_logits(b, r)[v];
        }
    }
    CLOSE(x, y, k, 1e-6, NULL, "logits of a batch");
}

/* Sequences of different lengths in one batch give what each gives alone, kept or not. */
static void test_batch(void **state) {
    denoiser *d = open_vectors(*state);
    int32_t tokens[3][MAX];
    int lengths[3] = {17, 1, 40}, first[3], n = 0;
    sequence s[3];
    row_ref rows[3 * MAX];
    pass *batch = pass_new(), *alone = pass_new();
    for (int i = 0; i < 3; i++) {
        s[i] = some_tokens(d, tokens[i], lengths[i], i);
        first[i] = n;
        n += all_rows(rows + n, i, lengths[i]);
    }
    for (int keep = 0; keep < 2; keep++) {
        run(d, &(forward_req){.seqs = s, .n_seqs = 3, .rows = rows, .n_rows = n, .keep = keep}, batch);
        CHECK(pass_n_rows(batch) == n && pass_row(batch, first[2]).seq == 2);
        for (int i = 0; i < 3; i++) {
            row_ref own[MAX];
            int m = all_rows(own, 0, lengths[i]);
            run(d, &(forward_req){.seqs = &s[i], .n_seqs = 1, .rows = own, .n_rows = m, .keep = !keep},
                alone);
            same_rows(batch, first[i], alone, m);
        }
    }
    CHECK(d->n_forwards == 2 * (3 + 3));
    pass_free(batch);
    pass_free(alone);
    denoiser_close(d);
}

/* Gradients and lookahead of the second sequence of a batch are those of the sequence alone. */
static void test_batch_backward(void **state) {
    denoiser *d = open_vectors(*state);
    int32_t tokens[2][MAX];
    sequence s[2] = {some_tokens(d, tokens[0], 11, 1), some_tokens(d, tokens[1], 20, 2)};
    row_ref rows[2 * MAX], own[MAX];
    int n = all_rows(rows, 0, 11), active[] = {0, 2, 3, 5, 6, 8, 9}, wrt[] = {3, 6, 9};
    n += all_rows(rows + n, 1, 20);
    pass *batch = pass_new(), *alone = pass_new();
    run(d, &(forward_req){.seqs = s, .n_seqs = 2, .rows = rows, .n_rows = n, .keep = true}, batch);
    all_rows(own, 0, 20);
    run(d, &(forward_req){.seqs = s + 1, .n_seqs = 1, .rows = own, .n_rows = 20, .keep = true}, alone);
    float w[2 * MAX], g[2][3 * D], vector[D];
    for (int i = 0; i < n; i++)
        w[i] = 0.1f * (float)(i % 11); /* the first sequence's weights must not matter */
    err e = {0};
    backward_req q = {
        .seq = 1, .n_seeds = 1, .weights = w, .active = active, .n_active = 7, .wrt = wrt, .n_wrt = 3};
    CHECK(denoiser_backward(d, batch, &q, g[0], NULL, &e) == 0);
    q.seq = 0, q.weights = w + 11;
    CHECK(denoiser_backward(d, alone, &q, g[1], NULL, &e) == 0);
    double x[3 * D], y[3 * D], h[2][3];
    for (int i = 0; i < 3 * D; i++) x[i] = (double)g[0][i], y[i] = (double)g[1][i];
    CLOSE(x, y, 3 * D, 1e-4, NULL, "gradient in a batch");
    for (int j = 0; j < D; j++) vector[j] = 0.3f * (float)(j % 5 - 2);
    restricted_case c = {
        .pos = 3, .vector = vector, .recompute = active, .n_recompute = 7, .want = wrt, .n_want = 3};
    CHECK(denoiser_restricted(d, batch, &(restricted_req){.seq = 1, .cases = &c, .n_cases = 1}, h[0], &e) ==
          0);
    CHECK(denoiser_restricted(d, alone, &(restricted_req){.seq = 0, .cases = &c, .n_cases = 1}, h[1], &e) ==
          0);
    CLOSE(h[0], h[1], 3, 1e-5, NULL, "lookahead in a batch");
    pass_free(batch);
    pass_free(alone);
    denoiser_close(d);
}

/* Σ w·H with `vector` injected at `pos`. */
static double objective(denoiser *d, const sequence *s, const row_ref *rows, int n, const float *w, int pos,
                        const float *vector) {
    pass *p = pass_new();
    double sum = 0;
    injection in_one = {0, pos, vector};
    run(d,
        &(forward_req){.seqs = s, .n_seqs = 1, .inject = &in_one, .n_inject = 1, .rows = rows, .n_rows = n},
        p);
    for (int r = 0; r < n; r++) sum += (double)w[r] * pass_stats(p, r)->entropy;
    pass_free(p);
    return sum;
}

/* The dense gradient against central differences of the engine's own forward. Steps of 2e-3 in float32:
 * rounding 1e-6/2e-3, truncation 4e-6 times third derivatives; 1 % of the largest component. */
static void test_finite_differences(void **state) {
    denoiser *d = open_vectors(*state);
    int32_t tokens[MAX];
    sequence s = some_tokens(d, tokens, 13, 5);
    row_ref rows[MAX];
    int n = all_rows(rows, 0, 13), wrt[] = {0, 4, 6, 12};
    float w[MAX], g[4 * D], e0[D];
    double got[D], want[D];
    err e = {0};
    pass *p = pass_new();
    for (int i = 0; i < n; i++) w[i] = i % 2 ? 0.5f : 1.0f - 0.1f * (float)i;
    run(d, &(forward_req){.seqs = &s, .n_seqs = 1, .rows = rows, .n_rows = n, .keep = true}, p);
    backward_req q = {.n_seeds = 1, .weights = w, .wrt = wrt, .n_wrt = 4};
    CHECK(denoiser_backward(d, p, &q, g, NULL, &e) == 0);
    for (int i = 0; i < 4; i++) {
        denoiser_embedding(d, tokens[wrt[i]], e0);
        for (int j = 0; j < D; j++) {
            float keep = e0[j], h = 2e-3f;
            e0[j] = keep + h;
            double up = objective(d, &s, rows, n, w, wrt[i], e0), at_up = (double)e0[j];
            e0[j] = keep - h;
            want[j] = (up - objective(d, &s, rows, n, w, wrt[i], e0)) / (at_up - (double)e0[j]);
            e0[j] = keep;
            got[j] = (double)g[i * D + j];
        }
        CLOSE(got, want, D, 1e-2, NULL, "finite differences");
    }
    pass_free(p);
    denoiser_close(d);
}

/* Many seeds, more than a chunk holds, give what each gives alone. */
static void test_many_seeds(void **state) {
    denoiser *d = open_vectors(*state);
    enum { SEEDS = 700, N = 48 };
    int32_t tokens[MAX];
    sequence s = some_tokens(d, tokens, N, 3);
    row_ref rows[MAX];
    int n = all_rows(rows, 0, N), wrt[] = {5};
    float *w = mem_new(SEEDS * N, sizeof *w), *g = mem_new(SEEDS * D, sizeof *g), one[D];
    err e = {0};
    pass *p = pass_new();
    for (int i = 0; i < SEEDS; i++) w[i * N + i % N] = 1 + (float)i / SEEDS;
    run(d, &(forward_req){.seqs = &s, .n_seqs = 1, .rows = rows, .n_rows = n, .keep = true}, p);
    backward_req q = {.n_seeds = SEEDS, .weights = w, .wrt = wrt, .n_wrt = 1};
    CHECK(denoiser_backward(d, p, &q, g, NULL, &e) == 0);
    for (int i = 0; i < SEEDS; i += 233) {
        double x[D], y[D];
        q.n_seeds = 1, q.weights = w + i * N;
        CHECK(denoiser_backward(d, p, &q, one, NULL, &e) == 0);
        for (int j = 0; j < D; j++) x[j] = (double)g[i * D + j], y[j] = (double)one[j];
        CLOSE(x, y, D, 1e-4, NULL, "seed of many");
    }
    q.n_seeds = 0;
    CHECK(denoiser_backward(d, p, &q, g, NULL, &e) == 0);
    free(w);
    free(g);
    pass_free(p);
    denoiser_close(d);
}

/* An injected embedding row is the token itself; two positions may share a row; a row may be asked for twice.
 */
static void test_injection_and_rows(void **state) {
    denoiser *d = open_vectors(*state);
    int32_t tokens[MAX], other[MAX];
    sequence s = some_tokens(d, tokens, 9, 1), t;
    memcpy(other, tokens, sizeof other);
    other[4] = 33;
    t = (sequence){other, 9};
    float row[D];
    denoiser_embedding(d, 33, row);
    row_ref rows[] = {{0, 0}, {0, 1}, {0, 0}, {0, 8}};
    injection in_one = {0, 4, row};
    pass *a = pass_new(), *b = pass_new();
    run(d,
        &(forward_req){.seqs = &s, .n_seqs = 1, .rows = rows, .n_rows = 4, .inject = &in_one, .n_inject = 1},
        a);
    run(d, &(forward_req){.seqs = &t, .n_seqs = 1, .rows = rows, .n_rows = 4}, b);
    for (int r = 0; r < 4; r++) CHECK(memcmp(pass_logits(a, r), pass_logits(b, r), V * sizeof(float)) == 0);
    CHECK(memcmp(pass_logits(a, 0), pass_logits(a, 2), V * sizeof(float)) == 0);
    bool shared = memcmp(pass_logits(a, 0), pass_logits(a, 1), V * sizeof(float)) == 0;
    CHECK(shared == denoiser_get_info(d)->shifted);
    run(d, &(forward_req){.seqs = &t, .n_seqs = 1, .rows = rows, .n_rows = 4}, a);
    for (int r = 0; r < 4; r++) { /* repeatable to the bit */
        CHECK(memcmp(pass_logits(a, r), pass_logits(b, r), V * sizeof(float)) == 0);
    }
    run(d, &(forward_req){.seqs = &t, .n_seqs = 1}, a);
    CHECK(pass_n_rows(a) == 0);
    pass_free(a);
    pass_free(b);
    denoiser_close(d);
}

static void test_top(void **state) {
    denoiser *d = open_vectors(*state);
    int32_t tokens[MAX], ids[K_TOP];
    double probs[K_TOP];
    sequence s = some_tokens(d, tokens, 9, 1);
    row_ref row = {0, 3};
    pass *p = pass_new();
    run(d, &(forward_req){.seqs = &s, .n_seqs = 1, .rows = &row, .n_rows = 1}, p);
    CHECK(pass_top(p, 0, 0, ids, probs) == 0);
    CHECK(pass_top(p, 0, 5, ids, probs) == 5);
    CHECK(ids[0] == pass_stats(p, 0)->argmax && fabs(probs[0] - pass_stats(p, 0)->confidence) < 1e-12);
    CHECK(fabs(probs[0] - probs[1] - pass_stats(p, 0)->margin) < 1e-12);
    CHECK(pass_top(p, 0, K_TOP, ids, probs) == K_TOP);
    const float *z = pass_logits(p, 0);
    for (int i = 0; i < K_TOP; i++) {
        int better = 0;
        for (int v = 0; v < V; v++) better += z[v] > z[ids[i]] || (v < ids[i] && !(z[v] < z[ids[i]]));
        CHECK(better == i);
        CHECK(fabs(probs[i] - exp((double)z[ids[i]] - pass_stats(p, 0)->lse)) < 1e-12);
    }
    pass_free(p);
    denoiser_close(d);
}

static void refuses(int rc, const err *e, int code, const char *msg, int line) {
    n_checks++;
    if (rc == code && e->code == code && strstr(e->msg, msg)) return;
    n_failed++;
    print_error("test_denoiser.c:%d: code %d \"%s\", expected %d \"%s\"\n", line, rc, e->msg, code, msg);
}
#define REFUSES(call, code, msg)                                                                             \
    do {                                                                                                     \
        err e = {0};                                                                                         \
        int rc_ = (call);                                                                                    \
        refuses(rc_, &e, code, msg, __LINE__);                                                               \
    } while (0)

static void test_bad_forward(void **state) {
    denoiser *d = open_vectors(*state);
    int32_t tokens[300] = {0}, bad[2] = {1, 48}, negative[1] = {-1};
    sequence s = {tokens, 300}, vocab = {bad, 2}, below = {negative, 1}, none = {tokens, 0}, ok = {tokens, 5};
    row_ref row = {0, 5};
    injection in_one = {1, 0, NULL};
    atomic_bool stop = true;
    pass *p = pass_new();
    forward_req q = {.seqs = &s, .n_seqs = 1};
    REFUSES(denoiser_forward(d, &q, p, &e), ERR_BAD_ARGUMENT,
            "sequence of 300 tokens is longer than the model's context of 256");
    q.seqs = &vocab;
    REFUSES(denoiser_forward(d, &q, p, &e), ERR_BAD_ARGUMENT,
            "token 48 at position 1 is outside the vocabulary of 48");
    q.seqs = &below;
    REFUSES(denoiser_forward(d, &q, p, &e), ERR_BAD_ARGUMENT, "token -1");
    q.seqs = &none;
    REFUSES(denoiser_forward(d, &q, p, &e), ERR_BAD_ARGUMENT, "sequence 0 is empty");
    q.seqs = &ok, q.rows = &row, q.n_rows = 1;
    REFUSES(denoiser_forward(d, &q, p, &e), ERR_BAD_ARGUMENT, "row for position 5");
    q.n_rows = 0, q.inject = &in_one, q.n_inject = 1;
    REFUSES(denoiser_forward(d, &q, p, &e), ERR_BAD_ARGUMENT, "injection at position 0 of sequence 1");
    q.n_inject = 0, q.cancel = &stop, q.keep = true;
    REFUSES(denoiser_forward(d, &q, p, &e), ERR_CANCELLED, "cancelled");
    backward_req b = {0};
    REFUSES(denoiser_backward(d, p, &b, NULL, NULL, &e), ERR_BAD_ARGUMENT,
            "not kept"); /* the pass is empty now */
    float nan_vector[D];
    for (int j = 0; j < D; j++) nan_vector[j] = j == 3 ? NAN : 0;
    in_one = (injection){0, 2, nan_vector};
    q.n_inject = 1, q.cancel = NULL;
    REFUSES(denoiser_forward(d, &q, p, &e), ERR_BAD_FORMAT,
            "NaN in the output of the embedding, row 2 (sequence 0)");
    CHECK(pass_n_rows(p) == 0);
    pass_free(p);
    denoiser_close(d);
}

static void test_bad_requests(void **state) {
    denoiser *d = open_vectors(*state);
    int32_t tokens[MAX];
    sequence s = some_tokens(d, tokens, 9, 1);
    row_ref rows[MAX];
    int n = all_rows(rows, 0, 9), two[] = {3, 4}, unsorted[] = {4, 3}, beyond[] = {3, 9}, wrt[] = {5};
    float w[MAX] = {1, 1, 1, 1, 1, 1, 1, 1, 1}, g[D], vector[D] = {0};
    double h[2];
    atomic_bool stop = true;
    pass *p = pass_new();
    run(d, &(forward_req){.seqs = &s, .n_seqs = 1, .rows = rows, .n_rows = n, .keep = true}, p);
    backward_req b = {.n_seeds = 1, .weights = w, .active = two, .n_active = 2, .wrt = wrt, .n_wrt = 1};
    REFUSES(denoiser_backward(d, p, &b, g, NULL, &e), ERR_BAD_ARGUMENT,
            "position 5, which is not an active row");
    b.active = unsorted;
    REFUSES(denoiser_backward(d, p, &b, g, NULL, &e), ERR_BAD_ARGUMENT, "ascending");
    b.active = beyond;
    REFUSES(denoiser_backward(d, p, &b, g, NULL, &e), ERR_BAD_ARGUMENT, "active row 9");
    b.active = NULL, b.seq = 1;
    REFUSES(denoiser_backward(d, p, &b, g, NULL, &e), ERR_BAD_ARGUMENT, "sequence 1");
    b.seq = 0, b.cancel = &stop;
    REFUSES(denoiser_backward(d, p, &b, g, NULL, &e), ERR_CANCELLED, "cancelled");
    restricted_case c = {
        .pos = 5, .vector = vector, .recompute = two, .n_recompute = 2, .want = two + 1, .n_want = 1};
    restricted_req r = {.cases = &c, .n_cases = 1};
    REFUSES(denoiser_restricted(d, p, &r, h, &e), ERR_BAD_ARGUMENT, "does not recompute its own position 5");
    c.pos = 4, c.want = wrt;
    REFUSES(denoiser_restricted(d, p, &r, h, &e), ERR_BAD_ARGUMENT,
            denoiser_get_info(d)->shifted ? "" : "predicts position 5");
    c.recompute = unsorted;
    REFUSES(denoiser_restricted(d, p, &r, h, &e), ERR_BAD_ARGUMENT, "ascending");
    c.recompute = two, c.want = two + 1, r.cancel = &stop;
    REFUSES(denoiser_restricted(d, p, &r, h, &e), ERR_CANCELLED, "cancelled");
    pass *plain = pass_new();
    run(d, &(forward_req){.seqs = &s, .n_seqs = 1, .rows = rows, .n_rows = n}, plain);
    REFUSES(denoiser_restricted(d, plain, &r, h, &e), ERR_BAD_ARGUMENT, "not kept");
    REFUSES(denoiser_soft_write(d, plain, (int[]){9}, 1, g, &e), ERR_BAD_ARGUMENT, "row 9");
    pass_free(plain);
    pass_free(p);
    denoiser_close(d);
}

/* An emulated device is a thousand times slower. There the vectors run through the public command alone
 * (tests/cli/test_vectors.py), and what derivations check was checked once, on the CPU. */
static bool too_slow(const char *name) {
    return getenv("TABES_DEVICE") &&
           (strstr(name, "vectors") || strstr(name, "finite") || strstr(name, "seeds"));
}

int main(void) {
    static char llada[] = "llada", gqa[] = "llada-gqa", dream[] = "dream";
    const struct CMUnitTest tests[] = {
        {"vectors llada", test_vectors, NULL, NULL, llada},
        {"vectors llada-gqa", test_vectors, NULL, NULL, gqa},
        {"vectors dream", test_vectors, NULL, NULL, dream},
        {"batch llada-gqa", test_batch, NULL, NULL, gqa},
        {"batch dream", test_batch, NULL, NULL, dream},
        {"batch backward llada", test_batch_backward, NULL, NULL, llada},
        {"finite differences llada-gqa", test_finite_differences, NULL, NULL, gqa},
        {"finite differences dream", test_finite_differences, NULL, NULL, dream},
        {"many seeds", test_many_seeds, NULL, NULL, llada},
        {"injection and rows llada", test_injection_and_rows, NULL, NULL, llada},
        {"injection and rows dream", test_injection_and_rows, NULL, NULL, dream},
        {"top", test_top, NULL, NULL, llada},
        {"bad forward", test_bad_forward, NULL, NULL, llada},
        {"bad requests", test_bad_requests, NULL, NULL, llada},
    };
    struct CMUnitTest chosen[sizeof tests / sizeof *tests];
    size_t n = 0;
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        if (!too_slow(tests[i].name)) chosen[n++] = tests[i];
    }
    int rc = _cmocka_run_group_tests("denoiser", chosen, n, NULL, NULL);
    printf("denoiser: %d checks, %d failed (worst logit error %.1e, worst score error %.1e of the largest)\n",
           n_checks, n_failed, worst_logit, worst_score);
    return rc || n_failed;
}
