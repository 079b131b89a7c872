/* test_session.c - whole decodes: schedules, reproducibility, branching, cancellation, and the saved
 * decodes of tests/vectors token for token. */
#include "checks.h"
#include "device.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/strbuf.h"
#include "engine/engine.h"
#include "fake_denoiser.h"

enum { N = 12, MAX = 64 };

static const int32_t prompt[N] = {8, 2, 8, 8, 5, 8, 8, 0, 8, 8, 1, 8};

typedef struct setting {
    const char *name, *value;
} setting;

static session_opts options(const char *name, const setting *set) {
    err e = {0};
    session_opts o = {.prompt = prompt, .n_prompt = N, .policy = policy_find(name), .seed = 3};
    policy_defaults(o.policy, NULL, &o.params);
    for (; set && set->name; set++) MUST(param_parse(&o.params, set->name, set->value, &e), &e);
    return o;
}

static session *open_session(denoiser *d, const session_opts *o) {
    session *s;
    err e = {0};
    MUST(session_open(&s, d, o, &e), &e);
    return s;
}

static const step_record *propose(session *s) {
    const step_record *r;
    err e = {0};
    MUST(session_propose(s, &r, &e), &e);
    return r;
}

static void commit(session *s, const step_record *r) {
    err e = {0};
    MUST(session_commit(s, r, &e), &e);
}

/* ---- schedule ---- */

static void expect_quotas(int m0, int T, const int *want) {
    for (int k = 0; k < T; k++) CHECK(session_quota(m0, T, 1, k) == want[k]);
}

static void test_quota(void **state) {
    (void)state;
    expect_quotas(10, 4, (int[]){3, 3, 2, 2});
    expect_quotas(32, 12, (int[]){3, 3, 3, 3, 3, 3, 3, 3, 2, 2, 2, 2});
    expect_quotas(5, 8, (int[]){1, 1, 1, 1, 1, 0, 0, 0});
    CHECK(session_quota(10, 0, 3, 0) == 3 && session_quota(10, 0, 3, 99) == 3);
    for (int m0 = 1; m0 < 40; m0++) {
        for (int T = 1; T < 50; T++) {
            int sum = 0;
            for (int k = 0; k < T; k++) sum += session_quota(m0, T, 1, k);
            CHECK(sum == m0);
        }
    }
}

/* Decode to the end; returns the number of steps, with the tokens written in each. */
static int decode(session *s, int *writes) {
    int k = 0;
    for (const step_record *r; (r = propose(s)) != NULL; k++) {
        CHECK(r->step == k && r->kind == STEP_DECODE && r->t == (r->T - k > 1 ? r->T - k : 1));
        if (writes) writes[k] = r->n_writes;
        commit(s, r);
        record_unref(r);
        assert_true(k < MAX);
    }
    CHECK(session_done(s) && session_step_index(s) == k);
    return k;
}

static void test_schedules(void **state) {
    (void)state;
    static const struct {
        setting set[3];
        int steps, T, writes[8];
    } cases[] = {
        {{{0}}, 8, 8, {1, 1, 1, 1, 1, 1, 1, 1}},
        {{{"budget", "3"}}, 3, 3, {3, 3, 2}},
        {{{"budget", "100"}}, 1, 1, {8}},
        {{{"steps", "3"}}, 3, 3, {3, 3, 2}},
        {{{"steps", "3"}, {"budget", "5"}}, 3, 3, {3, 3, 2}},
        {{{"steps", "8"}}, 8, 8, {1, 1, 1, 1, 1, 1, 1, 1}},
        {{{"steps", "11"}}, 8, 11, {1, 1, 1, 1, 1, 1, 1, 1}}, /* empty steps come last and are not taken */
    };
    fake *f = fake_new(false, N);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        session_opts o = options("confidence", cases[i].set);
        session *s = open_session(&f->base, &o);
        int writes[MAX] = {0};
        const step_record *r = propose(s);
        CHECK(r->T == cases[i].T && r->t == cases[i].T);
        record_unref(r);
        int64_t before = f->base.n_forwards;
        CHECK(decode(s, writes) == cases[i].steps && f->base.n_forwards - before == cases[i].steps);
        CHECK(memcmp(writes, cases[i].writes, sizeof cases[i].writes) == 0);
        session_close(s);
    }
    denoiser_close(&f->base);
}

/* Policies that write the quota, no more and no less, and put nothing back. */
static bool keeps_quota(const policy *p) {
    static const char *const others[] = {"threshold", "factor", "eb", "klass", "maskgit"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (strcmp(p->name, others[i]) == 0) return false;
    }
    return !p->write || strcmp(p->name, "lookum") == 0;
}

/* Writes of tokens are in rank order, and what is put back follows them. */
static void check_rank_order(const step_record *r) {
    for (int i = 1; i < r->n_writes; i++) {
        const step_write *a = &r->writes[i - 1], *b = &r->writes[i];
        if (b->token == FAKE_MASK) continue;
        CHECK(a->token != FAKE_MASK && (b->score < a->score || (b->score <= a->score && b->pos > a->pos)));
    }
}

/* Every policy finishes and leaves the rest alone; records are filled. What each writes is its own tests'. */
static void test_every_policy(void **state) {
    (void)state;
    for (int p = 0; policies[p]; p++) {
        for (int shifted = 0; shifted < 2; shifted++) {
            fake *f = fake_new(shifted, N + 3);
            session_opts o =
                options(policies[p]->name, (setting[]){{"budget", "2"}, {"temperature", "0.7"}, {0}});
            o.length = 3;
            session *s = open_session(&f->base, &o);
            int n;
            for (const step_record *r; (r = propose(s)) != NULL;) {
                const int32_t *tokens = session_tokens(s, &n);
                CHECK(n == N + 3 && r->top_k == RECORD_TOP_K);
                if (keeps_quota(policies[p])) CHECK(r->n_writes <= 2 && r->n_cand >= r->n_writes);
                for (int m = 0; m < r->n_masked; m++) {
                    CHECK(tokens[r->masked[m]] == FAKE_MASK && r->argmax[m] == r->top[m * r->top_k].id);
                    CHECK(near(r->confidence[m], r->top[m * r->top_k].p, 1e-12) &&
                          r->top[m * r->top_k + 7].id >= 0);
                }
                check_rank_order(r);
                CHECK(r->ms > 0 && near(r->observe_ms, 0, 0) && !r->observed);
                commit(s, r);
                record_unref(r);
            }
            const int32_t *tokens = session_tokens(s, &n);
            for (int i = 0; i < n; i++) {
                CHECK(tokens[i] != FAKE_MASK);
                if (i < N && prompt[i] != FAKE_MASK) CHECK(tokens[i] == prompt[i]);
            }
            if (keeps_quota(policies[p])) CHECK(session_step_index(s) == 6);
            CHECK(session_done(s));
            session_close(s);
            denoiser_close(&f->base);
        }
    }
}

/* ---- same again ---- */

static bool same_doubles(const double *a, const double *b, int n) {
    return !a == !b && (!a || memcmp(a, b, (size_t)n * sizeof *a) == 0);
}

/* Everything but timings, to the last bit. */
static bool same_record(const step_record *a, const step_record *b) {
    int n = a->n_masked, c = a->n_cand;
    if (n != b->n_masked || c != b->n_cand || a->step != b->step || a->t != b->t || a->T != b->T)
        return false;
    if (a->n_writes != b->n_writes || a->n_observed != b->n_observed || a->backward_rows != b->backward_rows)
        return false;
    for (int i = 0; i < a->n_writes; i++) {
        const step_write *x = &a->writes[i], *y = &b->writes[i];
        if (x->pos != y->pos || x->token != y->token || !near(x->p, y->p, 0) || !near(x->score, y->score, 0))
            return false;
    }
    for (int i = 0; i < n * a->top_k; i++) {
        if (a->top[i].id != b->top[i].id || !near(a->top[i].p, b->top[i].p, 0)) return false;
    }
    return same_doubles(a->entropy, b->entropy, n) && same_doubles(a->confidence, b->confidence, n) &&
           same_doubles(a->margin, b->margin, n) && same_doubles(a->score, b->score, c) &&
           same_doubles(a->tis, b->tis, c) && same_doubles(a->gate, b->gate, c) &&
           same_doubles(a->penalty, b->penalty, c) && same_doubles(a->delta_e_norm, b->delta_e_norm, c) &&
           same_doubles(a->observed_tis, b->observed_tis, a->n_observed) && near(a->nfe, b->nfe, 0) &&
           near(a->total_entropy, b->total_entropy, 0) && near(a->h_t, b->h_t, 0);
}

/* A decode proposed twice at every step, with its trajectory. */
static void record_decode(session *s, trajectory *t) {
    traj_header h;
    err e = {0};
    session_header(s, &h);
    MUST(trajectory_init(t, &h, (token_texts){0}, &e), &e);
    for (const step_record *r; (r = propose(s)) != NULL;) {
        const step_record *again = propose(s);
        CHECK(same_record(r, again));
        commit(s, r);
        MUST(trajectory_append(t, r, &e), &e);
        record_unref(again);
        record_unref(r);
        assert_true(t->n_records < 4 * MAX);
    }
    CHECK(session_done(s));
}

static void test_repeat(void **state) {
    (void)state;
    for (int p = 0; policies[p]; p++) {
        fake *f = fake_new(false, N);
        session_opts o = options(policies[p]->name, (setting[]){{"temperature", "1"}, {0}});
        o.observe_tis = true;
        session *s = open_session(&f->base, &o);
        trajectory t;
        err e = {0};
        int32_t tokens[N];
        record_decode(s, &t);
        for (int k = t.n_records - 1; k >= 0; k--) { /* undo step by step: the same decision at every state */
            session_state to = session_state_of(&t, k, tokens);
            MUST(session_seek(s, &to, &e), &e);
            const step_record *again = propose(s);
            if (!CHECK(session_step_index(s) == k && same_record(t.records[k], again)))
                print_error("%s, step %d\n", policies[p]->name, k);
            record_unref(again);
        }
        for (int k = 0; k < t.n_records; k++) { /* and forth again */
            const step_record *again = propose(s);
            CHECK(same_record(t.records[k], again));
            commit(s, again);
            record_unref(again);
        }
        CHECK(session_done(s));
        trajectory_release(&t);
        session_close(s);
        denoiser_close(&f->base);
    }
}

static void run_to_end(const session_opts *o, int32_t *out) {
    fake *f = fake_new(false, N);
    session *s = open_session(&f->base, o);
    int n;
    decode(s, NULL);
    memcpy(out, session_tokens(s, &n), N * sizeof *out);
    session_close(s);
    denoiser_close(&f->base);
}

static void test_seeds(void **state) {
    (void)state;
    int32_t a[N], b[N], c[N];
    session_opts o = options("boe", (setting[]){{"temperature", "1"}, {0}});
    run_to_end(&o, a);
    run_to_end(&o, b);
    CHECK(memcmp(a, b, sizeof a) == 0);
    int differ = 0;
    for (uint64_t seed = 10; seed < 14; seed++) {
        o.seed = seed;
        run_to_end(&o, c);
        differ += memcmp(a, c, sizeof a) != 0;
    }
    CHECK(differ == 4);
    o = options("boe", NULL); /* without noise the seed changes nothing */
    run_to_end(&o, a);
    o.seed = 99;
    run_to_end(&o, b);
    CHECK(memcmp(a, b, sizeof a) == 0);
}

/* ---- branching, cancelling, refusing ---- */

static step_record *by_hand(int step, step_kind kind, int pos, int32_t token) {
    step_record *r = record_new();
    step_write *w = arena_new(&r->mem, 1, sizeof *w);
    assert_non_null(w);
    *w = (step_write){.pos = pos, .token = token};
    r->step = step;
    r->kind = kind;
    r->n_writes = 1;
    r->writes = w;
    return r;
}

static void expect_refused(session *s, int step, step_kind kind, int pos, int32_t token, const char *says) {
    step_record *r = by_hand(step, kind, pos, token);
    err e = {0};
    int rc = session_commit(s, r, &e);
    if (!CHECK(rc == ERR_BAD_ARGUMENT && strstr(e.msg, says))) print_error("got: %s\n", e.msg);
    record_unref(r);
}

static void test_branching(void **state) {
    (void)state;
    fake *f = fake_new(false, N);
    session_opts o = options("confidence", (setting[]){{"steps", "4"}, {0}});
    session *s = open_session(&f->base, &o);
    int n, writes[MAX] = {0};
    expect_refused(s, 1, STEP_DECODE, 0, 3, "step 0 is next");
    expect_refused(s, 0, STEP_DECODE, 1, 3, "writes position 1, which is not masked");
    expect_refused(s, 0, STEP_DECODE, 0, FAKE_MASK, "puts back position 0, which is masked");
    expect_refused(s, 0, STEP_REMASK, 1, 3, "writes a token");
    expect_refused(s, 0, STEP_DECODE, N, 3, "position 12");
    expect_refused(s, 0, STEP_FORCE, 0, FAKE_V, "token 9");
    CHECK(session_step_index(s) == 0 && memcmp(session_tokens(s, &n), prompt, sizeof prompt) == 0);
    step_record *force = by_hand(0, STEP_FORCE, 1, 7), *back = by_hand(1, STEP_REMASK, 4, FAKE_MASK);
    commit(s, force);
    commit(s, back);
    CHECK(session_tokens(s, &n)[1] == 7 && session_tokens(s, &n)[4] == FAKE_MASK &&
          session_step_index(s) == 2);
    record_unref(force);
    record_unref(back);
    for (const step_record *r;
         (r = propose(s)) != NULL;) { /* nine masks; interventions take no planned step */
        writes[r->step] = r->n_writes;
        CHECK(r->T == 4 && r->t == (r->step < 5 ? 6 - r->step : 1));
        commit(s, r);
        record_unref(r);
    }
    CHECK(session_step_index(s) == 7 && writes[2] == 2 && writes[5] == 2 && writes[6] == 1);
    err e = {0};
    CHECK(session_seek(s, &(session_state){prompt, N - 1, 0, 0, NULL, NULL}, &e) == ERR_BAD_ARGUMENT &&
          session_seek(s, &(session_state){prompt, N, -1, 0, NULL, NULL}, &e));
    int32_t wild[N];
    memcpy(wild, prompt, sizeof wild);
    wild[3] = FAKE_V;
    CHECK(session_seek(s, &(session_state){wild, N, 0, 0, NULL, NULL}, &e) == ERR_BAD_ARGUMENT &&
          session_done(s));
    session_close(s);
    session_close(NULL);
    denoiser_close(&f->base);
}

static void test_cancel(void **state) {
    (void)state;
    static const char *const names[] = {"confidence", "boe", "boe-others", "boe-mid", "boe-rows", "oracle"};
    for (int i = 0; i < 6; i++) {
        for (int after = 0; after < 2; after++) {
            fake *f = fake_new(false, N);
            atomic_bool stop = after == 0;
            session_opts o = options(names[i], NULL);
            o.cancel = &stop;
            session *s = open_session(&f->base, &o);
            if (after) { /* in the middle of the step: at the lookahead's forwards */
                f->cancel_after = 1;
                f->cancel_flag = &stop;
            }
            const step_record *r = (const step_record *)&stop;
            err e = {0};
            int n, rc = session_propose(s, &r, &e);
            bool reaches = after == 0 || i == 3 || i == 5;
            CHECK(rc == (reaches ? ERR_CANCELLED : 0) && (reaches ? r == NULL : r != NULL));
            CHECK(session_step_index(s) == 0 && memcmp(session_tokens(s, &n), prompt, sizeof prompt) == 0);
            if (!rc) record_unref(r);
            atomic_store(&stop, false);
            f->cancel_after = -1;
            r = propose(s);
            CHECK(r && r->n_writes == 1);
            record_unref(r);
            session_close(s);
            denoiser_close(&f->base);
        }
    }
}

static void refused(denoiser *d, const session_opts *o, const char *says) {
    session *s = (session *)d;
    err e = {0};
    int rc = session_open(&s, d, o, &e);
    if (!CHECK(rc == ERR_BAD_ARGUMENT && s == NULL && strstr(e.msg, says))) print_error("got: %s\n", e.msg);
}

static void test_open_refusals(void **state) {
    (void)state;
    fake *f = fake_new(false, N);
    session_opts o = options("boe", NULL);
    o.length = 1;
    refused(&f->base, &o, "prompt of 12 and generation of 1 tokens exceed the model's context of 12");
    o.length = -1;
    refused(&f->base, &o, "negative length");
    o.length = 0;
    o.prompt = (const int32_t[]){1, 2, 3};
    o.n_prompt = 3;
    refused(&f->base, &o, "nothing to generate");
    o.prompt = (const int32_t[]){1, 9, 8};
    refused(&f->base, &o, "token 9 at position 1 is outside the vocabulary of 9");
    o = options("boe", NULL);
    o.top_k = RECORD_TOP_K + 1;
    refused(&f->base, &o, "top-k 9");
    o.top_k = 0;
    o.policy = policy_find("confidence");
    refused(&f->base, &o, "not those of policy confidence");
    o.policy = NULL;
    refused(&f->base, &o, "choose one of confidence, margin");
    denoiser_close(&f->base);
}

/* A NaN in a gradient names the position and writes nothing. */
static void test_nan(void **state) {
    (void)state;
    fake *f = fake_new(false, N);
    session_opts o = options("boe", (setting[]){{"rho", "1"}, {0}});
    session *s = open_session(&f->base, &o);
    const step_record *r;
    err e = {0};
    f->poison = 9;
    CHECK(session_propose(s, &r, &e) == ERR_BAD_FORMAT && !r && strstr(e.msg, "position 9 is not a number"));
    f->poison = -1;
    r = propose(s);
    CHECK(r != NULL);
    record_unref(r);
    session_close(s);
    denoiser_close(&f->base);
}

/* ---- observing, header ---- */

static void test_observe(void **state) {
    (void)state;
    fake *f = fake_new(false, N);
    session_opts o = options("margin", NULL), b = options("boe", NULL);
    o.observe_tis = b.observe_tis = true;
    session *s = open_session(&f->base, &o), *boe = open_session(&f->base, &b);
    const step_record *r = propose(s), *scored = propose(boe);
    CHECK(!r->tis && r->n_observed == 2 && strcmp(r->observed_name, "mask/masked/candidates") == 0);
    CHECK(near(r->nfe, 1, 0) && r->backward_rows == 0 && r->observe_ms > 0);
    CHECK(scored->tis && scored->n_observed == 0 && !scored->observed && near(scored->observe_ms, 0, 0));
    for (int i = 0; i < 2; i++) { /* what boe itself computes at this state */
        double x;
        CHECK(r->observed[i] == scored->cand[i] && near(r->observed_tis[i], scored->tis[i], 0));
        CHECK(record_tis_at(r, r->observed[i], &x) && near(x, scored->tis[i], 0));
    }
    CHECK(f->base.n_forwards == 2);
    record_unref(r);
    record_unref(scored);
    session_close(s);
    session_close(boe);
    denoiser_close(&f->base);
}

static void test_header(void **state) {
    (void)state;
    fake *f = fake_new(true, N + 2);
    session_opts o = options("boe-others", (setting[]){{"rho", "0.5"}, {0}});
    o.length = 2;
    session *s = open_session(&f->base, &o);
    traj_header h;
    trajectory t;
    err e = {0};
    session_header(s, &h);
    CHECK(strcmp(h.policy, "boe-others") == 0 && strcmp(h.model_arch, "fake") == 0 && h.seed == 3 &&
          h.shifted);
    CHECK(h.n_prompt == N && h.n_tokens == N + 2 && h.mask_id == FAKE_MASK && h.n_vocab == FAKE_V &&
          h.eos_id == -1);
    CHECK(strcmp(h.device, "cpu") == 0 && strcmp(h.precision, "f32") == 0 && h.threads >= 1);
    CHECK(strlen(h.created) == 20 && h.created[10] == 'T' && h.created[19] == 'Z' &&
          strcmp(h.dtype, "F32") == 0);
    CHECK(memcmp(h.start, prompt, sizeof prompt) == 0 && h.start[N] == FAKE_MASK &&
          h.start[N + 1] == FAKE_MASK);
    CHECK(near(param_real(&h.params, "rho"), 0.5, 0) && h.params.given[param_find(&h.params, "rho")]);
    MUST(trajectory_init(&t, &h, (token_texts){0}, &e), &e);
    for (const step_record *r; (r = propose(s)) != NULL;) {
        trajectory_set_pending(&t, r);
        MUST(trajectory_append(&t, r, &e), &e);
        commit(s, r);
        record_unref(r);
    }
    int n;
    CHECK(t.complete && t.n_records == 10 &&
          memcmp(t.last, session_tokens(s, &n), (N + 2) * sizeof *t.last) == 0);
    traj_totals sum = trajectory_totals(&t, t.n_records);
    CHECK(near(sum.nfe, 10, 0) && sum.backward_rows > 0 && sum.n_written == 10);
    trajectory_release(&t);
    session_close(s);
    denoiser_close(&f->base);
}

/* ---- saved decodes ---- */

static double worst_score, worst_entropy;

static const cJSON *field(const cJSON *json, const char *key) {
    const cJSON *f = cJSON_GetObjectItemCaseSensitive(json, key);
    assert_non_null(f);
    return f;
}

static double number(const cJSON *json, const char *key) {
    return field(json, key)->valuedouble;
}

static session_opts saved_options(const cJSON *json, int32_t *ids) {
    session_opts o = {.prompt = ids, .length = (int)number(json, "gen_length")};
    const cJSON *id;
    cJSON_ArrayForEach(id, field(json, "prompt")) ids[o.n_prompt++] = id->valueint;
    o.policy = policy_find(field(json, "policy")->valuestring);
    assert_non_null(o.policy);
    policy_defaults(o.policy, NULL, &o.params);
    err e = {0};
    char text[40];
    snprintf(text, sizeof text, "%d", (int)number(json, "steps"));
    MUST(param_parse(&o.params, "steps", text, &e), &e);
    if (strcmp(o.policy->name, "boe")) return o;
    MUST(param_parse(&o.params, "objective", field(json, "objective")->valuestring, &e), &e);
    MUST(param_parse(&o.params, "active", field(json, "active")->valuestring, &e), &e);
    MUST(param_parse(&o.params, "lambda-schedule", "constant", &e), &e);
    static const char *const keys[][2] = {{"rho", "rho"}, {"lam", "lambda"}, {"h_max", "h-max"}};
    for (int i = 0; i < 3; i++) {
        snprintf(text, sizeof text, "%.17g", number(json, keys[i][0]));
        MUST(param_parse(&o.params, keys[i][1], text, &e), &e);
    }
    return o;
}

static void check_step(const step_record *r, const cJSON *json) {
    double got[MAX], want[MAX];
    int n = 0;
    const cJSON *x;
    CHECK(r->step == (int)number(json, "step") && r->n_writes == cJSON_GetArraySize(field(json, "wrote")));
    cJSON_ArrayForEach(x, field(json, "wrote")) { /* saved by position, ours by rank */
        const step_write *w = r->writes;
        while (w < r->writes + r->n_writes && w->pos != cJSON_GetArrayItem(x, 0)->valueint) w++;
        CHECK(w < r->writes + r->n_writes && w->token == cJSON_GetArrayItem(x, 1)->valueint);
    }
    for (int i = 1; i < r->n_writes; i++) CHECK(r->writes[i].score <= r->writes[i - 1].score);
    cJSON_ArrayForEach(x, field(json, "scores")) {
        if (!CHECK(n < r->n_cand && r->cand[n] == cJSON_GetArrayItem(x, 0)->valueint)) return;
        got[n] = r->score[n];
        want[n++] = cJSON_GetArrayItem(x, 1)->valuedouble;
    }
    CHECK(n == r->n_cand);
    worst_score = fmax(worst_score, CLOSE(got, want, n, 1e-3, "scores"));
    worst_entropy = fmax(worst_entropy,
                         CLOSE(&r->total_entropy, (double[]){number(json, "entropy_before")}, 1, 1e-4, "H"));
}

static void check_decode(denoiser *d, const cJSON *json) {
    int32_t ids[MAX];
    session_opts o = saved_options(json, ids);
    session *s = open_session(d, &o);
    const cJSON *x;
    int n, i = 0;
    cJSON_ArrayForEach(x, field(json, "trace")) {
        const step_record *r = propose(s);
        assert_non_null(r);
        check_step(r, x);
        commit(s, r);
        record_unref(r);
    }
    CHECK(session_done(s));
    const int32_t *tokens = session_tokens(s, &n);
    cJSON_ArrayForEach(x, field(json, "result")) CHECK(i < n && tokens[i] == x->valueint), i++;
    CHECK(i == n);
    session_close(s);
}

static void test_saved_decodes(void **state) {
    (void)state;
    static const char *const archs[] = {"llada", "llada-gqa", "dream"};
    int n_decodes = 0;
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
        const cJSON *x;
        cJSON_ArrayForEach(x, field(json, "decodes")) check_decode(d, x), n_decodes++;
        cJSON_Delete(json);
        strbuf_release(&text);
        denoiser_close(d);
    }
    CHECK(n_decodes == 21);
    printf("%d saved decodes; largest distances: scores %.2g, total entropy %.2g\n", n_decodes, worst_score,
           worst_entropy);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quota),        cmocka_unit_test(test_schedules),
        cmocka_unit_test(test_every_policy), cmocka_unit_test(test_repeat),
        cmocka_unit_test(test_seeds),        cmocka_unit_test(test_branching),
        cmocka_unit_test(test_cancel),       cmocka_unit_test(test_open_refusals),
        cmocka_unit_test(test_nan),          cmocka_unit_test(test_observe),
        cmocka_unit_test(test_header),       cmocka_unit_test(test_saved_decodes),
    };
    return finish("session", cmocka_run_group_tests(tests, NULL, NULL));
}
