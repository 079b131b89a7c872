/* test_score.c - scores against saved float64 results (tests/vectors), against identities that hold
 * on a denoiser small enough to check by hand, and against the costs that docs/scoring.md lists. */
#include "checks.h"
#include "device.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/strbuf.h"
#include "engine/score.h"
#include "fake_denoiser.h"

enum { MAX = 32, MAX_D = 64 };

/* A state, its kept pass and its candidates. */
typedef struct bench {
    denoiser *d;
    score_state s;
    int32_t tokens[MAX];
    int masked[MAX], cand[MAX], n_cand;
    row_ref rows[MAX];
    float soft[MAX * MAX_D];
    double norm[MAX];
    score_cost cost;
} bench;

static void open_bench(bench *b, denoiser *d, const int32_t *tokens, int n) {
    err e = {0};
    int n_masked = 0;
    b->d = d;
    memcpy(b->tokens, tokens, (size_t)n * sizeof *tokens);
    for (int i = 0; i < n; i++) {
        if (tokens[i] != denoiser_get_info(d)->mask_id) continue;
        b->rows[n_masked] = (row_ref){0, i};
        b->masked[n_masked++] = i;
    }
    pass *p = pass_new();
    sequence seq = {b->tokens, n};
    forward_req q = {.seqs = &seq, .n_seqs = 1, .rows = b->rows, .n_rows = n_masked, .keep = true};
    MUST(denoiser_forward(d, &q, p, &e), &e);
    MUST(pass_read(p, NULL, 0, &e), &e);
    b->s = (score_state){d, p, b->tokens, n, b->masked, n_masked, NULL, NULL};
}

static void choose(bench *b, double rho, int budget) {
    err e = {0};
    b->n_cand = score_candidates(&b->s, CAND_CONFIDENCE, rho, budget, b->cand);
    MUST(score_soft(&b->s, b->cand, b->n_cand, b->soft, b->norm, &e), &e);
}

static void close_bench(bench *b) {
    pass_free((pass *)(uintptr_t)b->s.p);
}

static score_triple parse(const char *name) {
    score_triple t;
    err e = {0};
    MUST(triple_parse(&t, name, &e), &e);
    return t;
}

/* TIS by name; costs are counted from zero. */
static void tis_with(bench *b, const char *name, double alpha, int points, double *out) {
    err e = {0};
    b->cost = (score_cost){0};
    score_opts o = {alpha, points};
    MUST(score_tis(&b->s, parse(name), o, b->cand, b->n_cand, b->soft, out, &b->cost, &e), &e);
}

static void tis(bench *b, const char *name, double *out) {
    tis_with(b, name, 1, 1, out);
}

/* ---- names ---- */

static const char *const legal[] = {
    "mask/masked/dense",
    "mask/masked/masked",
    "mask/masked/candidates",
    "mask/masked/uncertain",
    "mask/others/dense",
    "mask/others/masked",
    "mask/others/candidates",
    "mask/others/uncertain",
    "mask/others-local/dense",
    "mask/others-local/masked",
    "mask/others-local/candidates",
    "mask/others-local/uncertain",
    "soft/remaining/dense",
    "soft/remaining/masked",
    "soft/remaining/uncertain",
    "soft/remaining/candidates",
    "mid/others/dense",
    "rows/others/masked",
    "rows/others/candidates",
    "rows/others/uncertain",
    "full/others/dense",
};
enum { N_LEGAL = sizeof legal / sizeof *legal };

static bool listed(const char *name, bool shifted) {
    if (!shifted && strcmp(name, "soft/remaining/candidates") == 0) return false;
    for (int i = 0; i < N_LEGAL; i++) {
        if (strcmp(legal[i], name) == 0) return true;
    }
    return false;
}

static void test_names(void **state) {
    (void)state;
    int n_legal = 0;
    char name[TRIPLE_NAME];
    for (int i = 0; i < 5 * 4 * 4; i++) {
        score_triple t = {(lookahead)(i / 16), (objective)(i / 4 % 4), (active_rows)(i % 4)}, back;
        err e = {0};
        triple_name(t, name);
        CHECK(triple_parse(&back, name, &e) == 0 && back.look == t.look && back.obj == t.obj &&
              back.act == t.act);
        for (int shifted = 0; shifted < 2; shifted++) {
            int rc = triple_check(t, shifted, &e);
            CHECK((rc == 0) == listed(name, shifted));
            n_legal += rc == 0;
            if (rc) CHECK(rc == ERR_BAD_ARGUMENT && strstr(e.msg, name) && strlen(e.msg) > strlen(name) + 30);
        }
    }
    CHECK(n_legal == 2 * N_LEGAL - 1);
    err e = {0};
    CHECK(triple_check(parse("soft/remaining/candidates"), false, &e) && strstr(e.msg, "detached"));
    score_triple t;
    static const char *const bad[] = {"",
                                      "mask",
                                      "mask/masked",
                                      "mask/masked/dense/x",
                                      "mask//dense",
                                      "Mask/masked/dense",
                                      "mask/masked/rows",
                                      "mask/masked/"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK(triple_parse(&t, bad[i], &e) == ERR_BAD_ARGUMENT);
    CHECK(triple_parse(&t, "mask/masked/rows", &e) && strstr(e.msg, "\"rows\""));
}

/* ---- candidates, gate, annealing ---- */

/* Logits of a position whose two best probabilities are given; the others share the rest. */
static void set_probs(float *z, double first, double second) {
    for (int v = 0; v < FAKE_V; v++) z[v] = (float)log((1 - first - second) / (FAKE_V - 3));
    z[1] = (float)log(first);
    z[4] = (float)log(second);
}

static void expect_set(const score_state *s, cand_rule rule, double rho, int budget, const int *want,
                       int n_want) {
    int got[MAX];
    int n = score_candidates(s, rule, rho, budget, got);
    CHECK(n == n_want && memcmp(got, want, (size_t)n * sizeof *got) == 0);
}

static void test_candidates(void **state) {
    (void)state;
    float table[6 * FAKE_V];
    /* Confidence .5 .51 .5 .51 .505 .4, margin .45 .1 .45 .1 .01 .39; equal rows tie exactly. */
    static const double p[6][2] = {{.5, .05},  {.51, .41},          {.5, .05},
                                   {.51, .41}, {.505, .495 - 1e-9}, {.4, .01}};
    for (int i = 0; i < 6; i++) set_probs(table + i * FAKE_V, p[i][0], p[i][1]);
    fake *f = fake_new(false, 6);
    f->table = table;
    bench b;
    open_bench(&b, &f->base, (int32_t[]){8, 8, 8, 8, 8, 8}, 6);
    expect_set(&b.s, CAND_CONFIDENCE, 0.25, 1, (int[]){1, 3}, 2); /* ceil(1.5) */
    expect_set(&b.s, CAND_CONFIDENCE, 0.1, 1, (int[]){1}, 1);     /* tie of 1 and 3: the lower */
    expect_set(&b.s, CAND_CONFIDENCE, 0, 4, (int[]){0, 1, 3, 4}, 4);
    expect_set(&b.s, CAND_CONFIDENCE, 1, 1, (int[]){0, 1, 2, 3, 4, 5}, 6);
    expect_set(&b.s, CAND_CONFIDENCE, 0.5, 99, (int[]){0, 1, 2, 3, 4, 5}, 6);
    expect_set(&b.s, CAND_MARGIN, 0.1, 1, (int[]){0}, 1);  /* tie of 0 and 2 */
    expect_set(&b.s, CAND_ENTROPY, 0.1, 1, (int[]){4}, 1); /* two tokens only: least entropy */
    expect_set(&b.s, CAND_ALL, 0.1, 1, (int[]){0, 1, 2, 3, 4, 5}, 6);
    close_bench(&b);
    denoiser_close(&f->base);
}

static void test_gate_and_anneal(void **state) {
    (void)state;
    CHECK(near(score_gate(0, 48), 1, 0) && near(score_gate(log(47), 48), 0, 1e-15));
    CHECK(near(score_gate(log(47) / 2, 48), 0.5, 1e-15) && near(score_gate(99, 48), 0, 0));
    CHECK(near(score_gate(-1e-9, 48), 1, 0) && near(score_gate(0, 2), 1, 0));
    double lambda, h;
    score_anneal(&(anti_collapse){.lambda = 0.4, .h_max = 2}, 8, 8, &lambda, &h);
    CHECK(near(lambda, 0.4, 0) && near(h, 2, 0));
    score_anneal(&(anti_collapse){.lambda = 0.4, .h_max = 2}, 2, 8, &lambda, &h);
    CHECK(near(lambda, 0.1, 1e-15) && near(h, 0.5, 1e-15));
    score_anneal(&(anti_collapse){.lambda = 0.4, .h_max = 2, .constant = true}, 2, 8, &lambda, &h);
    CHECK(near(lambda, 0.4, 0) && near(h, 0.5, 1e-15));
}

/* ---- costs ---- */

/* |set ∪ emit(set)| for the positions marked. */
static int closed_size(const denoiser *d, const bool *has, int n) {
    bool all[MAX] = {false};
    int count = 0;
    for (int i = 0; i < n; i++) {
        if (has[i]) all[i] = all[denoiser_emit(d, i)] = true;
    }
    for (int i = 0; i < n; i++) count += all[i];
    return count;
}

/* The rows a name's last part means; returns |R|, and |A| through *active. */
static int rows_of(const bench *b, active_rows act, int *active) {
    bool has[MAX] = {false}, taken[MAX] = {false};
    int n = b->s.n_tokens, count = 0;
    for (int m = 0; m < b->s.n_masked && act == ACTIVE_MASKED; m++) has[b->masked[m]] = true;
    for (int i = 0; i < b->n_cand; i++) has[b->masked[b->cand[i]]] = true;
    for (int k = 0; k < b->n_cand && act == ACTIVE_UNCERTAIN; k++) {
        int best = -1;
        for (int m = 0; m < b->s.n_masked; m++) {
            if (taken[m] ||
                (best >= 0 && !(pass_stats(b->s.p, m)->entropy > pass_stats(b->s.p, best)->entropy)))
                continue;
            best = m;
        }
        taken[best] = has[b->masked[best]] = true;
    }
    for (int i = 0; i < n; i++) count += has[i];
    *active = act == ACTIVE_DENSE ? n : closed_size(b->d, has, n);
    return count;
}

/* The table of docs/scoring.md. */
static void expect_cost(const bench *b, const char *name, int points, double *forwards, int64_t *rows) {
    score_triple t = parse(name);
    int A, R = rows_of(b, t.act, &A), C = b->n_cand, N = b->s.n_tokens, own = 0;
    for (int i = 0; i < C; i++) own += denoiser_emit(b->d, b->masked[b->cand[i]]) == b->masked[b->cand[i]];
    *forwards = 0;
    *rows = 0;
    switch (t.look) {
    case LOOK_MASK:
        *rows = t.obj == OBJ_OTHERS ? (int64_t)C * A : t.obj == OBJ_OTHERS_LOCAL ? A + own : A;
        break;
    case LOOK_SOFT:
        *forwards = 1;
        *rows = A;
        break;
    case LOOK_MID:
        *forwards = points * C;
        *rows = (int64_t)points * C * N;
        break;
    case LOOK_ROWS:
        *forwards = (double)C * R / N;
        break;
    case LOOK_FULL:
        *forwards = C;
        break;
    }
}

static const int32_t mixed[12] = {8, 2, 8, 8, 5, 8, 8, 0, 8, 8, 1, 8};

static void test_costs(void **state) {
    (void)state;
    for (int shifted = 0; shifted < 2; shifted++) {
        fake *f = fake_new(shifted, 12);
        bench b;
        open_bench(&b, &f->base, mixed, 12);
        for (int budget = 1; budget < 8; budget += 2) {
            choose(&b, 0, budget);
            CHECK(b.n_cand == budget);
            for (int i = 0; i < N_LEGAL; i++) {
                if (!listed(legal[i], shifted)) continue;
                double got[MAX], forwards;
                int64_t rows, before = f->base.n_forwards;
                int points = strncmp(legal[i], "mid", 3) == 0 ? 3 : 1;
                tis_with(&b, legal[i], 1, points, got);
                expect_cost(&b, legal[i], points, &forwards, &rows);
                /* Where no other row is looked at, nothing is computed and the score is 0. */
                double all = 0;
                for (int j = 0; j < b.n_cand; j++) all += fabs(got[j]);
                if (strstr(legal[i], "/candidates") && !(all > 0)) {
                    CHECK(strstr(legal[i], "remaining") || budget == 1);
                    forwards = b.cost.forwards < forwards ? 0 : forwards;
                    rows = b.cost.backward_rows ? rows : 0;
                }
                if (!CHECK(near(b.cost.forwards, forwards, 1e-12) && b.cost.backward_rows == rows)) {
                    print_error("%s with %d candidates: %g forwards (%g), %lld rows (%lld)\n", legal[i],
                                budget, b.cost.forwards, forwards, (long long)b.cost.backward_rows,
                                (long long)rows);
                }
                if (strncmp(legal[i], "rows", 4))
                    CHECK(near((double)(f->base.n_forwards - before), forwards, 0));
            }
        }
        close_bench(&b);
        denoiser_close(&f->base);
    }
}

/* One mask left: nothing else to settle, so what looks at the others alone costs nothing and is 0. */
static void test_last_mask(void **state) {
    (void)state;
    fake *f = fake_new(false, 12);
    bench b;
    open_bench(&b, &f->base, (int32_t[]){1, 2, 8, 3}, 4);
    choose(&b, 0.25, 1);
    for (int i = 0; i < N_LEGAL; i++) {
        double got[1] = {77};
        if (!listed(legal[i], false)) continue;
        tis(&b, legal[i], got);
        bool own = strstr(legal[i], "/masked/") != NULL && strncmp(legal[i], "mask/", 5) == 0;
        if (own || strstr(legal[i], "others-local")) continue;
        CHECK(near(got[0], 0, 0) && !signbit(got[0]));
        CHECK(near(b.cost.forwards, 0, 0) && b.cost.backward_rows == 0);
    }
    close_bench(&b);
    /* All masks are candidates: nothing remains. */
    open_bench(&b, &f->base, (int32_t[]){1, 8, 8, 3}, 4);
    choose(&b, 1, 1);
    double got[2] = {77, 77};
    tis(&b, "soft/remaining/dense", got);
    CHECK(near(got[0], 0, 0) && near(got[1], 0, 0) && near(b.cost.forwards, 0, 0) &&
          b.cost.backward_rows == 0);
    close_bench(&b);
    denoiser_close(&f->base);
}

/* ---- identities on the fake ---- */

static void test_identities(void **state) {
    (void)state;
    for (int shifted = 0; shifted < 2; shifted++) {
        fake *f = fake_new(shifted, 12);
        bench b;
        open_bench(&b, &f->base, mixed, 12);
        choose(&b, 0.5, 1);
        int n = b.n_cand, nm = b.s.n_masked;
        double others[MAX], masked[MAX], got[MAX], self[MAX], D[MAX * MAX], sum[MAX], diag[MAX];
        err e = {0};
        tis(&b, "mask/others/dense", others);
        tis(&b, "mask/masked/dense", masked);
        MUST(score_influence(&b.s, b.cand, n, b.soft, D, NULL, &e), &e);
        for (int i = 0; i < n; i++) {
            sum[i] = 0;
            for (int j = 0; j < nm; j++) sum[i] += D[j * n + i];
            diag[i] = sum[i] - D[b.cand[i] * n + i];
        }
        CLOSE(sum, masked, n, 1e-5, "influence columns");
        CLOSE(diag, others, n, 1e-5, "influence columns without own row");
        /* One layer has no paths i -> j -> i. */
        MUST(score_self_local(&b.s, b.cand, n, b.soft, self, &b.cost, &e), &e);
        tis(&b, "mask/others-local/dense", got);
        for (int i = 0; i < n; i++) {
            bool own = !shifted || b.masked[b.cand[i]] == 0;
            CHECK(near(got[i], masked[i] - self[i], 1e-9));
            if (own)
                CHECK(near(got[i], others[i], 1e-5));
            else
                CHECK(near(self[i], 0, 0) && !signbit(self[i]));
        }
        /* One layer: rows outside M change nothing that is looked at. */
        double full[MAX], rows[MAX];
        tis(&b, "full/others/dense", full);
        tis(&b, "rows/others/masked", rows);
        CLOSE(rows, full, n, 1e-5, "rows/others/masked");
        /* The path integral of the gradient is the reduction. */
        tis_with(&b, "mid/others/dense", 1, 64, got);
        CLOSE(got, full, n, 2e-3, "mid with 64 points");
        /* soft at α = 0 is the gradient on the state itself, over what remains. */
        tis_with(&b, "soft/remaining/dense", 0, 1, got);
        for (int i = 0; i < n; i++) {
            sum[i] = 0;
            for (int j = 0, k = 0; j < nm; j++) {
                if (k < n && b.cand[k] == j)
                    k++;
                else
                    sum[i] += D[j * n + i];
            }
        }
        CLOSE(got, sum, n, 1e-5, "soft at 0");
        close_bench(&b);
        denoiser_close(&f->base);
    }
}

static void test_failures(void **state) {
    (void)state;
    fake *f = fake_new(false, 12);
    bench b;
    open_bench(&b, &f->base, mixed, 12);
    choose(&b, 1, 1);
    double got[MAX];
    err e = {0};
    f->poison = 5;
    int rc = score_tis(&b.s, parse("mask/masked/candidates"), (score_opts){1, 1}, b.cand, b.n_cand, b.soft,
                       got, NULL, &e);
    CHECK(rc == ERR_BAD_FORMAT && strstr(e.msg, "position 5 is not a number"));
    f->poison = -1;
    rc = score_tis(&b.s, parse("full/others/dense"), (score_opts){1, 1}, b.cand, 0, b.soft, got, NULL, &e);
    CHECK(rc == 0);
    rc = score_tis(&b.s, parse("mid/others/dense"), (score_opts){1, 0}, b.cand, b.n_cand, b.soft, got, NULL,
                   &e);
    CHECK(rc == ERR_BAD_ARGUMENT);
    rc = score_tis(&b.s, parse("mask/remaining/dense"), (score_opts){1, 1}, b.cand, b.n_cand, b.soft, got,
                   NULL, &e);
    CHECK(rc == ERR_BAD_ARGUMENT);
    atomic_bool stop = true;
    b.s.cancel = &stop;
    for (int i = 0; i < N_LEGAL; i++) {
        if (!listed(legal[i], false)) continue;
        rc = score_tis(&b.s, parse(legal[i]), (score_opts){1, 1}, b.cand, 3, b.soft, got, NULL, &e);
        CHECK(rc == ERR_CANCELLED);
    }
    close_bench(&b);
    denoiser_close(&f->base);
}

/* ---- sampling above 1024 tokens ---- */

enum { WIDE = 1100 };

/* What a wide denoiser says at any position: depends on the sum of tokens other than the mask. */
static void wide_row(const int32_t *tokens, int n, float *z) {
    int sum = 0;
    for (int i = 0; i < n; i++) sum += tokens[i] == WIDE - 1 ? 0 : tokens[i];
    for (int v = 0; v < WIDE; v++) z[v] = v < 6 ? 0.4f * (float)((sum + 3 * v) % 7) : -30.0f;
}

static int wide_forward(denoiser *d, const forward_req *q, pass *p, err *e) {
    (void)d, (void)e;
    for (int r = 0; r < q->n_rows; r++) {
        const sequence *s = &q->seqs[q->rows[r].seq];
        wide_row(s->tokens, s->n, p->logits + (size_t)r * WIDE);
    }
    return 0;
}

static void wide_embedding(const denoiser *d, int32_t token, float *out) {
    (void)d;
    out[0] = (float)token;
}

static void test_sampled_truth(void **state) {
    (void)state;
    static const denoiser_ops ops = {.forward = wide_forward, .embedding = wide_embedding};
    denoiser d = {
        .ops = &ops,
        .k = kernels_cpu(),
        .info = {
            .arch = "wide", .n_vocab = WIDE, .d_model = 1, .n_layers = 1, .max_len = 8, .mask_id = WIDE - 1}};
    bench b;
    open_bench(&b, &d, (int32_t[]){4, WIDE - 1, 7, WIDE - 1, WIDE - 1}, 5);
    choose(&b, 1, 1);
    double red[3], se[3], again[3], want[3];
    err e = {0};
    for (int i = 0; i < 3; i++) { /* all positions alike: enumerate by hand */
        double before = 2 * pass_stats(b.s.p, 0)->entropy;
        want[i] = before;
        for (int v = 0; v < 6; v++) {
            int32_t tokens[5];
            memcpy(tokens, b.tokens, sizeof tokens);
            tokens[b.masked[i]] = v;
            float z[WIDE];
            k_row_stats st;
            wide_row(tokens, 5, z);
            d.k->head_stats(d.k, &st, NULL, z, 1, WIDE, WIDE - 1);
            want[i] -= exp((double)pass_logits(b.s.p, i)[v] - pass_stats(b.s.p, i)->lse) * 2 * st.entropy;
        }
    }
    b.cost = (score_cost){0};
    MUST(score_truth(&b.s, b.cand, 3, b.soft, NULL, red, se, 400, 5, &b.cost, &e), &e);
    for (int i = 0; i < 3; i++) CHECK(se[i] > 0 && se[i] < 0.1 && near(red[i], want[i], 5 * se[i]));
    CHECK(b.cost.forwards > 3 && b.cost.forwards <= 18); /* tokens drawn again cost nothing */
    MUST(score_truth(&b.s, b.cand, 3, b.soft, NULL, again, NULL, 400, 5, NULL, &e), &e);
    CHECK(memcmp(red, again, sizeof red) == 0);
    MUST(score_truth(&b.s, b.cand, 3, b.soft, NULL, again, NULL, 400, 6, NULL, &e), &e);
    CHECK(memcmp(red, again, sizeof red) != 0);
    CHECK(score_truth(&b.s, b.cand, 3, b.soft, NULL, red, se, 1, 5, NULL, &e) == ERR_BAD_ARGUMENT);
    close_bench(&b);
}

/* ---- saved float64 results ---- */

static int read_doubles(const cJSON *a, double *out) {
    int n = 0;
    const cJSON *i;
    cJSON_ArrayForEach(i, a) {
        if (cJSON_IsArray(i))
            n += read_doubles(i, out + n);
        else
            out[n++] = i->valuedouble;
    }
    return n;
}

static const cJSON *field(const cJSON *json, const char *key) {
    const cJSON *f = cJSON_GetObjectItemCaseSensitive(json, key);
    assert_non_null(f);
    return f;
}

/* The largest distances met, for the report. */
static double worst_tis, worst_self, worst_influence, worst_soft, worst_hard, worst_norm, worst_gate;

static void keep_worst(double *worst, double x) {
    *worst = fmax(*worst, x);
}

/* Each backward product ran on the rows of A alone: seven linear layers and one attention per layer and seed.
 */
static void check_kernel_counts(const bench *b, const char *name) {
    score_triple t = parse(name);
    if (t.look != LOOK_MASK || t.obj == OBJ_OTHERS_LOCAL) return;
    int A, L = denoiser_get_info(b->d)->n_layers, seeds = t.obj == OBJ_OTHERS ? b->n_cand : 1;
    rows_of(b, t.act, &A);
    const k_counts *c = &b->cost.counts;
    if (c->head_rows == 0) return; /* nothing passes: no product ran */
    CHECK(c->attn_rows == (int64_t)L * seeds * A && b->cost.backward_rows == (int64_t)seeds * A);
    CHECK(c->linear_rows == 4LL * L * seeds * A + c->head_rows);
    CHECK(c->head_rows <= A);
}

static void check_tis(bench *b, const cJSON *want_all) {
    const cJSON *key;
    cJSON_ArrayForEach(key, want_all) {
        double want[MAX], got[MAX];
        err e = {0};
        CHECK(read_doubles(key, want) == b->n_cand);
        if (triple_check(parse(key->string), denoiser_get_info(b->d)->shifted, &e)) {
            CHECK(strcmp(key->string, "soft/remaining/candidates") == 0);
            for (int i = 0; i < b->n_cand; i++) CHECK(near(want[i], 0, 1e-12)); /* what the refusal says */
            continue;
        }
        tis(b, key->string, got);
        keep_worst(&worst_tis, CLOSE(got, want, b->n_cand, 1e-3, key->string));
        check_kernel_counts(b, key->string);
    }
}

static void check_truth(bench *b, const cJSON *json) {
    double want[MAX], soft[MAX], hard[MAX], se[MAX], full[MAX];
    err e = {0};
    b->cost = (score_cost){0};
    MUST(score_truth(&b->s, b->cand, b->n_cand, b->soft, soft, hard, se, 0, 1, &b->cost, &e), &e);
    for (int i = 0; i < b->n_cand; i++) CHECK(near(se[i], 0, 0));
    CHECK(near(b->cost.forwards, b->n_cand * (1.0 + denoiser_get_info(b->d)->n_vocab - 1), 0));
    read_doubles(field(json, "reduction_soft"), want);
    keep_worst(&worst_soft, CLOSE(soft, want, b->n_cand, 1e-3, "reduction_soft"));
    tis(b, "full/others/dense", full);
    keep_worst(&worst_soft, CLOSE(full, want, b->n_cand, 1e-3, "full/others/dense"));
    read_doubles(field(json, "reduction_hard_expected"), want);
    keep_worst(&worst_hard, CLOSE(hard, want, b->n_cand, 1e-3, "reduction_hard_expected"));
}

static void check_derived(bench *b, const cJSON *json) {
    double want[MAX * MAX], got[MAX * MAX], sum[MAX], others[MAX];
    err e = {0};
    int n = b->n_cand;
    read_doubles(field(json, "delta_e_norm"), want);
    keep_worst(&worst_norm, CLOSE(b->norm, want, n, 1e-3, "delta_e_norm"));
    read_doubles(field(json, "gate"), want);
    for (int i = 0; i < n; i++) {
        got[i] = score_gate(pass_stats(b->s.p, b->cand[i])->entropy, denoiser_get_info(b->d)->n_vocab);
    }
    keep_worst(&worst_gate, CLOSE(got, want, n, 1e-3, "gate"));
    read_doubles(field(json, "self_row_local"), want);
    MUST(score_self_local(&b->s, b->cand, n, b->soft, got, &b->cost, &e), &e);
    keep_worst(&worst_self, CLOSE(got, want, n, 1e-3, "self_row_local"));
    int n_want = read_doubles(field(json, "influence"), want);
    CHECK(n_want == n * b->s.n_masked);
    MUST(score_influence(&b->s, b->cand, n, b->soft, got, &b->cost, &e), &e);
    keep_worst(&worst_influence, CLOSE(got, want, n_want, 1e-3, "influence"));
    tis(b, "mask/others/dense", others);
    for (int i = 0; i < n; i++) {
        sum[i] = 0;
        for (int j = 0; j < b->s.n_masked; j++) sum[i] += j == b->cand[i] ? 0 : got[j * n + i];
    }
    CLOSE(sum, others, n, 1e-4, "influence columns without own row");
}

/* Dense is active with all rows: a case where every position is masked and a candidate. */
static void check_dense(bench *b) {
    double dense[MAX], masked[MAX];
    if (b->s.n_masked < b->s.n_tokens) return;
    static const char *const pairs[][2] = {{"mask/masked/dense", "mask/masked/masked"},
                                           {"mask/others/dense", "mask/others/candidates"}};
    for (int i = 0; i < 2; i++) {
        tis(b, pairs[i][0], dense);
        tis(b, pairs[i][1], masked);
        CLOSE(masked, dense, b->n_cand, 1e-6, pairs[i][1]);
    }
}

static void check_case(denoiser *d, const cJSON *json) {
    bench b;
    double x[MAX];
    int32_t tokens[MAX] = {0};
    int n = read_doubles(field(json, "tokens"), x);
    for (int i = 0; i < n; i++) tokens[i] = (int32_t)x[i];
    open_bench(&b, d, tokens, n);
    choose(&b, field(json, "rho")->valuedouble, field(json, "budget")->valueint);
    CHECK(read_doubles(field(json, "candidates"), x) == b.n_cand);
    for (int i = 0; i < b.n_cand; i++) CHECK(b.masked[b.cand[i]] == (int)x[i]);
    check_derived(&b, json);
    check_tis(&b, field(json, "tis"));
    check_truth(&b, json);
    check_dense(&b);
    close_bench(&b);
}

static void test_vectors(void **state) {
    (void)state;
    static const char *const archs[] = {"llada", "llada-gqa", "dream"};
    for (int a = 0; a < 3; a++) {
        char path[128];
        strbuf text;
        denoiser *d;
        err e = {0};
        snprintf(path, sizeof path, "tests/vectors/%s", archs[a]);
        MUST(denoiser_load(&d, path, test_device(), &e), &e);
        snprintf(path, sizeof path, "tests/vectors/%s/cases.json", archs[a]);
        MUST(strbuf_read_file(&text, path, 64 << 20, &e), &e);
        cJSON *json = cJSON_ParseWithLength(text.data, text.len);
        assert_non_null(json);
        const cJSON *c;
        cJSON_ArrayForEach(c, field(json, "cases")) check_case(d, c);
        cJSON_Delete(json);
        strbuf_release(&text);
        denoiser_close(d);
    }
    printf("largest distances: tis %.2g, self %.2g, influence %.2g, reductions soft %.2g hard %.2g, |delta "
           "e| %.2g, "
           "gate %.2g\n",
           worst_tis, worst_self, worst_influence, worst_soft, worst_hard, worst_norm, worst_gate);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),           cmocka_unit_test(test_candidates),
        cmocka_unit_test(test_gate_and_anneal), cmocka_unit_test(test_costs),
        cmocka_unit_test(test_last_mask),       cmocka_unit_test(test_identities),
        cmocka_unit_test(test_failures),        cmocka_unit_test(test_sampled_truth),
        cmocka_unit_test(test_vectors),
    };
    return finish("score", cmocka_run_group_tests(tests, NULL, NULL));
}
