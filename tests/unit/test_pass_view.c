/* test_pass_view.c - a sequence of a batch, looked at as a pass of its own, is the pass that it would have
 * been: to the bit where rows of products do not see each other, else nearly. */
#include "tests/unit/checks.h"

#include <string.h>

#include "tests/unit/device.h"
#include "tests/unit/fake_denoiser.h"

enum { N = 48, MOST_D = 256, SEQS = 3, LAYER = 0 };

static const char *const dirs[] = {"tests/vectors/llada", "tests/vectors/dream", "tests/vectors/qwen3",
                                   "tests/vectors/mdlm"};

typedef struct bench {
    denoiser *d;
    int32_t tokens[SEQS][N];
    sequence seqs[SEQS];
    row_ref rows[SEQS * N];
    int first[SEQS + 1]; /* rows of each */
    bool exact;
    double apart; /* worst distance so far */
} bench;

/* One start of which other positions have been written, as many in each. */
static void lay_out(bench *b, denoiser *d) {
    int32_t mask = denoiser_get_info(d)->mask_id;
    int n = 0;
    *b = (bench){.d = d, .exact = true};
    for (int s = 0; s < SEQS; s++) {
        b->first[s] = n;
        for (int i = 0; i < N; i++) {
            bool blank = i >= 16 && i < 40 && i / 8 != 4 - s;
            b->tokens[s][i] = blank ? mask : i % 7;
            if (blank) b->rows[n++] = (row_ref){s, i};
        }
        b->seqs[s] = (sequence){b->tokens[s], N};
    }
    b->first[SEQS] = n;
    for (int s = 1; s < SEQS; s++) b->exact &= denoiser_batches(d, &b->seqs[0], &b->seqs[s]);
}

/* Equal to the bit, or not far off. */
static void agree(bench *b, const float *x, const float *y, size_t n) {
    double most = 0, apart = 0;
    for (size_t i = 0; i < n; i++) {
        if (isinf(x[i]) && isinf(y[i])) continue;
        most = fmax(most, fabs((double)y[i])), apart = fmax(apart, fabs((double)x[i] - (double)y[i]));
    }
    CHECK(b->exact ? !memcmp(x, y, n * sizeof *x) : apart <= 2e-4 * most);
    if (most > 0) b->apart = fmax(b->apart, apart / most);
}

static void compare_rows(bench *b, const pass *view, const pass *alone) {
    err e = {0};
    size_t V = (size_t)denoiser_get_info(b->d)->n_vocab;
    MUST(pass_read(view, NULL, 0, &e), &e);
    MUST(pass_read(alone, NULL, 0, &e), &e);
    if (!CHECK(pass_n_rows(view) == pass_n_rows(alone))) return;
    for (int r = 0; r < pass_n_rows(view); r++) {
        const k_row_stats *x = pass_stats(view, r), *y = pass_stats(alone, r);
        int32_t ids[2][3];
        double probs[2][3];
        CHECK(pass_row(view, r).seq == 0 && pass_row(view, r).pos == pass_row(alone, r).pos);
        CHECK(pass_top(view, r, 3, ids[0], probs[0]) == 3 && pass_top(alone, r, 3, ids[1], probs[1]) == 3);
        agree(b, pass_logits(view, r), pass_logits(alone, r), V);
        if (!b->exact) continue;
        CHECK(near(x->entropy, y->entropy, 0) && near(x->confidence, y->confidence, 0) &&
              x->argmax == y->argmax);
        for (int i = 0; i < 3; i++) CHECK(ids[0][i] == ids[1][i] && near(probs[0][i], probs[1][i], 0));
    }
}

static void compare_gradients(bench *b, const pass *view, const pass *alone) {
    static float g[2][N * MOST_D], soft[2][N * MOST_D];
    float weights[N];
    int active[N], rows[N], n = pass_n_rows(alone), d = denoiser_get_info(b->d)->d_model;
    err e = {0};
    for (int r = 0; r < n; r++) weights[r] = 1.0f / (float)(1 + r), rows[r] = r;
    for (int r = 0; r < n; r++) active[r] = pass_row(alone, r).pos;
    backward_req q = {.n_seeds = 1, .weights = weights, .active = active, .n_active = n};
    q.wrt = active, q.n_wrt = n;
    k_counts counts[2] = {0};
    MUST(denoiser_backward(b->d, view, &q, g[0], &counts[0], &e), &e);
    MUST(denoiser_backward(b->d, alone, &q, g[1], &counts[1], &e), &e);
    agree(b, g[0], g[1], (size_t)n * (size_t)d);
    CHECK(!memcmp(&counts[0], &counts[1], sizeof counts[0]));
    MUST(denoiser_soft_write(b->d, view, rows, n, soft[0], &e), &e);
    MUST(denoiser_soft_write(b->d, alone, rows, n, soft[1], &e), &e);
    agree(b, soft[0], soft[1], (size_t)n * (size_t)d);
}

static void compare_lookaheads(bench *b, const pass *view, const pass *alone) {
    float vector[MOST_D] = {0.25f, -0.5f}, attention[2][64 * N], h[2][2];
    double entropies[2][2];
    int pos = pass_row(alone, 3).pos, recompute[] = {pos - 1, pos, pos + 1}, want[] = {pos, pos + 1};
    restricted_case c = {.pos = pos, .vector = vector, .recompute = recompute, .n_recompute = 3};
    c.want = want, c.n_want = 2;
    restricted_req q = {.cases = &c, .n_cases = 1};
    err e = {0};
    MUST(denoiser_restricted(b->d, view, &q, entropies[0], &e), &e);
    MUST(denoiser_restricted(b->d, alone, &q, entropies[1], &e), &e);
    for (int i = 0; i < 4; i++) h[i / 2][i % 2] = (float)entropies[i / 2][i % 2];
    agree(b, h[0], h[1], 2);
    MUST(denoiser_attention(b->d, view, 0, pos, LAYER, attention[0], &e), &e);
    MUST(denoiser_attention(b->d, alone, 0, pos, LAYER, attention[1], &e), &e);
    agree(b, attention[0], attention[1], (size_t)denoiser_get_info(b->d)->n_heads * N);
}

/* What only the whole pass can do. */
static void check_refusals(bench *b, const pass *view) {
    err e = {0};
    float out[64 * N], g[MOST_D], weights[N] = {1};
    int pos = pass_row(view, 0).pos;
    pass *p = pass_new();
    CHECK(denoiser_attention(b->d, view, 1, pos, LAYER, out, &e) == ERR_BAD_ARGUMENT);
    backward_req back = {.seq = 1, .n_seeds = 1, .weights = weights, .wrt = &pos, .n_wrt = 1};
    CHECK(denoiser_backward(b->d, view, &back, g, NULL, &e) == ERR_BAD_ARGUMENT);
    forward_req q = {.seqs = b->seqs, .n_seqs = 1, .rows = b->rows, .n_rows = b->first[1], .over = view};
    q.recompute = &pos, q.n_recompute = 1;
    CHECK(denoiser_forward(b->d, &q, p, &e) == ERR_BAD_ARGUMENT);
    pass_free(p);
}

static void check_parts(bench *b, bool asked) {
    pass *whole = pass_new(), *alone = pass_new(), *view = pass_new();
    err e = {0};
    forward_req q = {
        .seqs = b->seqs, .n_seqs = SEQS, .rows = b->rows, .n_rows = b->first[SEQS], .keep = true};
    q.keep_asked = asked;
    MUST(denoiser_forward(b->d, &q, whole, &e), &e);
    for (int s = 0; s < SEQS; s++) {
        row_ref own[N];
        int n = b->first[s + 1] - b->first[s];
        for (int r = 0; r < n; r++) own[r] = (row_ref){0, b->rows[b->first[s] + r].pos};
        forward_req one = {.seqs = &b->seqs[s], .n_seqs = 1, .rows = own, .n_rows = n, .keep = true};
        one.keep_asked = asked;
        MUST(denoiser_forward(b->d, &one, alone, &e), &e);
        pass_view(view, whole, s);
        compare_rows(b, view, alone);
        compare_gradients(b, view, alone);
        compare_lookaheads(b, view, alone);
        check_refusals(b, view);
    }
    pass_free(view); /* before or after the whole */
    pass_free(whole);
    pass_free(alone);
}

static void check_denoiser(denoiser *d, const char *name) {
    bench b;
    lay_out(&b, d);
    for (int spares = 0; spares < 2; spares++) { /* logits that are stored, and that are computed again */
        d->spares_logits = spares;
        check_parts(&b, true);
        check_parts(&b, false);
    }
    printf("pass view: %s: %s\n", name,
           b.exact ? "equal to the bit" : "rows are not exact here: nearly equal");
    if (!b.exact) printf("pass view: %s: at most %.2g apart\n", name, b.apart);
    denoiser_close(d);
}

static void test_models(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++) {
        denoiser *d;
        err e = {0};
        MUST(denoiser_load(&d, dirs[i], test_device(), &e), &e);
        bool exact = kernels_exact_rows(d->k);
        bench b;
        lay_out(&b, d);
        CHECK(b.exact == exact);
        check_denoiser(d, dirs[i]);
    }
}

static void test_fakes(void **state) {
    (void)state;
    for (int shifted = 0; shifted < 2; shifted++) {
        fake *f = fake_new(shifted, N);
        check_denoiser(&f->base, shifted ? "a shifted fake" : "a fake");
    }
}

/* A model that is told the noise level is told one for all sequences. */
static void test_noise(void **state) {
    (void)state;
    denoiser *d;
    bench b;
    err e = {0};
    MUST(denoiser_load(&d, "tests/vectors/mdlm-time", test_device(), &e), &e);
    lay_out(&b, d);
    sequence fewer = {b.tokens[1], N};
    CHECK(b.exact == kernels_exact_rows(d->k));
    b.tokens[1][b.rows[b.first[1]].pos] = 1;
    CHECK(!denoiser_batches(d, &b.seqs[0], &fewer));
    denoiser_close(d);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_models), cmocka_unit_test(test_fakes),
                                       cmocka_unit_test(test_noise)};
    return finish("pass view", cmocka_run_group_tests(tests, NULL, NULL));
}
