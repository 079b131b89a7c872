/* test_inspect.c - closer looks at a state: against identities that tie them to the scores and records that
 * other tests check, and against probabilities that were chosen by hand. */
#include "checks.h"

#include <stdlib.h>
#include <string.h>

#include "engine/correlation.h"
#include "engine/engine.h"
#include "fake_denoiser.h"

enum { N = 12 };

static const int32_t prompt[N] = {8, 2, 8, 8, 5, 8, 8, 0, 8, 8, 1, 8};

static session *open_session(fake *f, const char *name, const atomic_bool *cancel) {
    session *s;
    err e = {0};
    session_opts o = {.prompt = prompt, .n_prompt = N, .policy = policy_find(name), .seed = 3};
    policy_defaults(o.policy, NULL, &o.params);
    MUST(param_parse(&o.params, "budget", "2", &e), &e);
    o.observe_tis = true;
    o.cancel = cancel;
    MUST(session_open(&s, &f->base, &o, &e), &e);
    return s;
}

static const inspection *look(session *s, inspect_kind kind) {
    const inspection *x;
    err e = {0};
    MUST(session_inspect(s, &(inspect_req){.kind = kind, .key = 77}, &x, &e), &e);
    CHECK(x->kind == kind && x->key == 77);
    return x;
}

static const step_record *propose(session *s) {
    const step_record *r;
    err e = {0};
    MUST(session_propose(s, &r, &e), &e);
    assert_non_null(r);
    return r;
}

/* Correlations ----------------------------------------------------------- */

static void test_correlation(void **state) {
    (void)state;
    const double x[] = {1, 2, 3, 4, 5}, down[] = {9, 7, 5, 3, 1}, flat[] = {2, 2, 2, 2, 2};
    CHECK(near(correlation_spearman(x, x, 5), 1, 1e-12) && near(correlation_kendall(x, x, 5), 1, 1e-12));
    CHECK(near(correlation_spearman(x, down, 5), -1, 1e-12) &&
          near(correlation_kendall(x, down, 5), -1, 1e-12));
    CHECK(isnan(correlation_spearman(x, flat, 5)) && isnan(correlation_kendall(flat, x, 5)));
    CHECK(isnan(correlation_spearman(x, x, 1)) && isnan(correlation_kendall(x, x, 0)));
    const double broken[] = {1, 2, NAN, 4, 5};
    CHECK(isnan(correlation_spearman(broken, x, 5)) && isnan(correlation_spearman(x, broken, 5)));
    CHECK(isnan(correlation_kendall(broken, x, 5)) && isnan(correlation_kendall(x, broken, 5)));
    /* Ranks 1 2.5 2.5 4 against 1 2 3 4; 5 pairs agree, one is tied on the left. */
    const double tied[] = {10, 20, 20, 30}, y[] = {1, 2, 3, 4};
    CHECK(near(correlation_spearman(tied, y, 4), 4.5 / sqrt(4.5 * 5), 1e-12));
    CHECK(near(correlation_kendall(tied, y, 4), 5 / sqrt(5.0 * 6), 1e-12));
}

static void test_curvature(void **state) {
    (void)state;
    /* f = 3α² - α has f'' = 6 everywhere. */
    double f[5], line[] = {4, 3, 2, 1, 0};
    for (int k = 0; k <= 4; k++) f[k] = 3 * (k / 4.0) * (k / 4.0) - k / 4.0;
    CHECK(near(score_curvature(f, 4), 6, 1e-9) && near(score_curvature(line, 4), 0, 1e-12));
}

/* Influence --------------------------------------------------------------- */

/* Columns without the diagonal sum up to mask/others/dense. */
static void test_stable(void **state) {
    (void)state;
    const double tis[] = {5, 3, 2, 4.5};
    const bool first[] = {true, false, false, false}, two[] = {true, false, false, true}, none[4] = {false};
    CHECK(score_stable(tis, first, 4, 1.9, 1) && score_stable(tis, first, 4, 1.9, 2));
    CHECK(!score_stable(tis, first, 4, 2, 1)); /* exactly the bound is not more than it */
    CHECK(!score_stable(tis, first, 4, 1.9, 3) && !score_stable(tis, first, 4, 0, 0));
    CHECK(score_stable(tis, two, 4, 1.4, 1) &&
          !score_stable(tis, two, 4, 1.6, 1)); /* each chosen one has to */
    CHECK(!score_stable(tis, none, 4, 0, 1));
}

static void test_influence(void **state) {
    (void)state;
    fake *f = fake_new(false, 64);
    session *s = open_session(f, "boe-others", NULL);
    const inspection *x = look(s, INSPECT_INFLUENCE);
    const step_record *r = propose(s);
    const influence_view *v = &x->influence;
    CHECK(v->n == 8 && v->n == r->n_masked && x->forwards > 0 && x->backward_rows > 0);
    for (int c = 0; c < r->n_cand; c++) {
        double sum = 0;
        int i = record_masked_index(r, r->cand[c]);
        for (int j = 0; j < v->n; j++) {
            CHECK(v->pos[j] == r->masked[j]);
            if (j != i) sum += v->D[j * v->n + i];
        }
        CHECK(near(sum, r->tis[c], 1e-5));
    }
    inspection_unref(x);
    record_unref(r);
    session_close(s);
    denoiser_close(&f->base);
}

/* Rows of clean tokens ------------------------------------------------------ */

/* A session of masks alone, brought to the canvas of another one. */
static session *open_long(fake *f, const char *name, int n, const session *like) {
    session *s;
    err e = {0};
    session_opts o = {.length = n, .policy = policy_find(name), .seed = 3, .observe_tis = true};
    policy_defaults(o.policy, NULL, &o.params);
    MUST(param_parse(&o.params, "budget", "8", &e), &e);
    MUST(session_open(&s, &f->base, &o, &e), &e);
    if (!like) return s;
    int all, k = session_step_index(like);
    const int32_t *tokens = session_tokens(like, &all);
    MUST(session_seek(s, &(session_state){tokens, all, k, k, NULL, NULL}, &e), &e);
    return s;
}

static const policy_ranks *ranks_of(const inspection *x, const char *name) {
    for (int i = 0; i < x->ranks.n; i++) {
        if (x->ranks.at[i].policy == policy_find(name)) return &x->ranks.at[i];
    }
    return NULL;
}

static void same_looks(session *planner, session *plain) {
    const inspection *x = look(planner, INSPECT_INFLUENCE), *y = look(plain, INSPECT_INFLUENCE);
    int n = x->influence.n;
    CHECK(n > 64 && n == y->influence.n &&
          !memcmp(x->influence.D, y->influence.D, (size_t)n * (size_t)n * sizeof *x->influence.D));
    inspection_unref(x), inspection_unref(y);
    x = look(planner, INSPECT_RANKS), y = look(plain, INSPECT_RANKS);
    for (const char *const *name = (const char *const[]){"boe", "boe-others", "oracle", NULL}; *name;
         name++) {
        const policy_ranks *a = ranks_of(x, *name), *b = ranks_of(y, *name);
        CHECK(!memcmp(a->rank, b->rank, (size_t)n * sizeof *a->rank) &&
              !memcmp(a->score, b->score, (size_t)n * sizeof *a->score));
    }
    inspection_unref(x), inspection_unref(y);
}

/* P2's pass holds rows of clean tokens, too: entropies of masks alone are summed up. */
static void test_clean_rows(void **state) {
    (void)state;
    enum { LONG = 96 };
    for (int shifted = 0; shifted < 2; shifted++) {
        fake *f = fake_new(shifted, LONG);
        session *s = open_long(f, "p2", LONG, NULL);
        err e = {0};
        for (int k = 0; k < 2; k++) {
            const step_record *r = propose(s);
            MUST(session_commit(s, r, &e), &e);
            record_unref(r);
        }
        session *plain = open_long(f, "confidence", LONG, s);
        const step_record *a = propose(s), *b = propose(plain);
        CHECK(a->n_observed == b->n_observed && a->n_masked < LONG);
        for (int i = 0; i < a->n_observed; i++) CHECK(near(a->observed_tis[i], b->observed_tis[i], 0));
        record_unref(a), record_unref(b);
        same_looks(s, plain);
        session_close(s), session_close(plain);
        denoiser_close(&f->base);
    }
}

/* Truth -------------------------------------------------------------------- */

static void test_truth(void **state) {
    (void)state;
    fake *f = fake_new(false, 64);
    session *s = open_session(f, "oracle", NULL);
    const inspection *x = look(s, INSPECT_TRUTH);
    const step_record *r = propose(s);
    const truth_view *v = &x->truth;
    CHECK(v->n == r->n_cand && v->enumerated && !strcmp(v->tis_name, "full/others/dense"));
    double most = 0;
    int chosen = 0;
    for (int i = 0; i < v->n; i++) {
        CHECK(v->pos[i] == r->cand[i] && near(v->relaxed[i], r->tis[i], 1e-6));
        CHECK(v->discrete_se[i] <= 0 && isfinite(v->discrete[i]));
        most = fmax(most, v->curvature[i]);
        chosen += v->chosen[i];
    }
    CHECK(near(v->bound, most, 0) && v->bound > 0 && chosen == 2);
    CHECK(near(v->spearman_relaxed, 1, 1e-9) &&
          near(v->kendall_relaxed, 1, 1e-9)); /* the oracle is the truth */
    CHECK(near(v->spearman_discrete, correlation_spearman(v->tis, v->discrete, v->n), 0));
    inspection_unref(x);
    record_unref(r);
    session_close(s);
    denoiser_close(&f->base);
}

/* A policy without TIS is checked at what a session shows of it. */
static void test_truth_of_greedy(void **state) {
    (void)state;
    fake *f = fake_new(true, 64);
    session *s = open_session(f, "confidence", NULL);
    const inspection *x = look(s, INSPECT_TRUTH);
    const step_record *r = propose(s);
    CHECK(x->truth.n == r->n_observed && !strcmp(x->truth.tis_name, r->observed_name));
    for (int i = 0; i < x->truth.n; i++) {
        CHECK(x->truth.pos[i] == r->observed[i] && near(x->truth.tis[i], r->observed_tis[i], 1e-9));
    }
    inspection_unref(x);
    record_unref(r);
    session_close(s);
    denoiser_close(&f->base);
}

/* Ranks -------------------------------------------------------------------- */

static void test_ranks(void **state) {
    (void)state;
    fake *f = fake_new(false, 64);
    session *s = open_session(f, "margin", NULL);
    const inspection *x = look(s, INSPECT_RANKS);
    const step_record *r = propose(s);
    const ranks_view *v = &x->ranks;
    int n = 0;
    for (int i = 0; policies[i]; i++) n += !policies[i]->ranks_like; /* one of each kind */
    CHECK(v->n == n && v->n_masked == r->n_masked && v->at[0].policy == policy_find("margin"));
    CHECK(v->at[0].pos == r->writes[0].pos && v->at[0].token == r->writes[0].token);
    CHECK(v->at[0].rank[record_masked_index(r, r->writes[1].pos)] == 2);
    for (int i = 0; i < v->n; i++) {
        const policy_ranks *p = &v->at[i];
        int ones = 0, seen = 0;
        assert_non_null(p->rank);
        for (int m = 0; m < v->n_masked; m++) ones += p->rank[m] == 1, seen += p->rank[m] > 0;
        CHECK(ones == 1 && seen >= 2 && p->rank[record_masked_index(r, p->pos)] == 1);
        if (strcmp(p->policy->name, "left-to-right")) continue;
        for (int m = 0; m < v->n_masked; m++) CHECK(p->rank[m] == m + 1);
    }
    inspection_unref(x);
    record_unref(r);
    session_close(s);
    denoiser_close(&f->base);
}

/* Six masks. */
static session *open_ends(fake *f, const char *name, const char *last) {
    session *s;
    err e = {0};
    session_opts o = {.length = 6, .policy = policy_find(name), .seed = 3};
    policy_defaults(o.policy, NULL, &o.params);
    MUST(param_parse(&o.params, "eos-last", last, &e), &e);
    MUST(session_open(&s, &f->base, &o, &e), &e);
    return s;
}

/* With eos-last the session's own policy puts ends of text off; the others have their defaults. */
static void test_ranks_of_ends(void **state) {
    (void)state;
    enum { EOS = 4 };
    float ends[6 * FAKE_V] = {0};
    for (int i = 0; i < 6; i++) ends[i * FAKE_V + (i % 3 ? 1 : EOS)] = (float)(9 - i);
    fake *f = fake_new(false, 6);
    f->table = ends;
    f->base.info.eos_id = EOS;
    session *s = open_ends(f, "confidence", "on"), *plain = open_ends(f, "confidence", "off");
    const inspection *x = look(s, INSPECT_RANKS), *y = look(plain, INSPECT_RANKS);
    const step_record *r = propose(s);
    CHECK(x->ranks.at[0].pos == 1 && x->ranks.at[0].token == 1 && r->writes[0].pos == 1);
    CHECK(!memcmp(x->ranks.at[0].rank, (const int[]){5, 1, 2, 6, 3, 4}, 6 * sizeof(int)));
    CHECK(y->ranks.at[0].pos == 0 && x->ranks.n == y->ranks.n);
    for (int i = 1; i < x->ranks.n; i++)
        CHECK(!memcmp(x->ranks.at[i].rank, y->ranks.at[i].rank, 6 * sizeof(int)));
    record_unref(r);
    inspection_unref(x), inspection_unref(y);
    session_close(s), session_close(plain);
    s = open_ends(f, "p2", "on"); /* which eos-last has no hold on */
    x = look(s, INSPECT_RANKS);
    CHECK(x->ranks.at[0].pos == 0 && x->ranks.at[0].rank[3] == 4);
    inspection_unref(x);
    session_close(s);
    denoiser_close(&f->base);
}

/* Lock-in ------------------------------------------------------------------- */

static float table[N * FAKE_V];

/* Position 0 prefers token 3 (p = e^2 / (e^2 + 7)), the others are undecided and take token 0. */
static void test_lock_in(void **state) {
    (void)state;
    err e = {0};
    fake *f = fake_new(false, 64);
    memset(table, 0, sizeof table);
    table[3] = 2;
    f->table = table;
    session *s = open_session(f, "confidence", NULL);
    const inspection *x = look(s, INSPECT_LOCK_IN);
    CHECK(x->lock_in.n == 0); /* nothing is written yet */
    inspection_unref(x);
    int32_t tokens[N];
    memcpy(tokens, prompt, sizeof tokens);
    tokens[0] = 5;
    tokens[2] = 0;
    MUST(session_seek(s, &(session_state){tokens, N, 2, 2, NULL, NULL}, &e), &e);
    x = look(s, INSPECT_LOCK_IN);
    const lock_in_view *v = &x->lock_in;
    double all = exp(2) + 7;
    CHECK(v->n == 2 && v->pos[0] == 0 && v->pos[1] == 2 && v->token[0] == 5 && v->n_disagree == 1);
    CHECK(v->argmax[0] == 3 && near(v->p[0], 1 / all, 1e-6) && near(v->p_argmax[0], exp(2) / all, 1e-6));
    CHECK(v->argmax[1] == 0 && near(v->p[1], 1.0 / 8, 1e-6) && near(v->entropy[1], log(8), 1e-6));
    CHECK(near(x->forwards, 2, 0));
    inspection_unref(x);
    session_close(s);
    denoiser_close(&f->base);
}

/* The session --------------------------------------------------------------- */

static void test_changes_nothing(void **state) {
    (void)state;
    fake *f = fake_new(false, 64);
    session *s = open_session(f, "boe", NULL);
    const step_record *before = propose(s);
    for (int k = 0; k < N_INSPECT; k++) inspection_unref(look(s, (inspect_kind)k));
    const step_record *after = propose(s);
    CHECK(session_step_index(s) == 0 && before->n_cand == after->n_cand &&
          before->n_writes == after->n_writes);
    CHECK(!memcmp(before->score, after->score, (size_t)before->n_cand * sizeof *before->score));
    CHECK(!memcmp(before->writes, after->writes, (size_t)before->n_writes * sizeof *before->writes));
    record_unref(before);
    record_unref(after);
    session_close(s);
    denoiser_close(&f->base);
}

static void test_cancel(void **state) {
    (void)state;
    fake *f = fake_new(false, 64);
    atomic_bool stop = true;
    session *s = open_session(f, "boe", &stop);
    for (int k = 0; k < N_INSPECT; k++) {
        const inspection *x;
        err e = {0};
        if (k == INSPECT_LOCK_IN) continue; /* nothing is written, nothing is computed */
        CHECK(session_inspect(s, &(inspect_req){.kind = (inspect_kind)k}, &x, &e) == ERR_CANCELLED && !x);
    }
    session_close(s);
    denoiser_close(&f->base);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_correlation),     cmocka_unit_test(test_curvature),
        cmocka_unit_test(test_stable),          cmocka_unit_test(test_influence),
        cmocka_unit_test(test_clean_rows),      cmocka_unit_test(test_truth),
        cmocka_unit_test(test_truth_of_greedy), cmocka_unit_test(test_ranks),
        cmocka_unit_test(test_ranks_of_ends),   cmocka_unit_test(test_lock_in),
        cmocka_unit_test(test_changes_nothing), cmocka_unit_test(test_cancel),
    };
    return finish("inspect", cmocka_run_group_tests(tests, NULL, NULL));
}
