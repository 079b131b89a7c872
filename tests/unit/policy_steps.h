/* policy_steps.h - sessions over a fake denoiser of chosen distributions, for tests of policies.
 */
#ifndef TABES_POLICY_STEPS_H
#define TABES_POLICY_STEPS_H

#include "checks.h"

#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "engine/policies/policies.h"
#include "fake_denoiser.h"

enum { MOST_TOKENS = 80, MOST_STEPS = 400 };

typedef struct setting {
    const char *name, *value;
} setting;
#define SET(...) ((const setting[]){__VA_ARGS__, {0}})

/* Logits of probabilities on tokens from 0 on; the rest is impossible. */
static inline void set_row(float *table, int pos, int n, const double *p) {
    for (int v = 0; v < FAKE_V; v++)
        table[pos * FAKE_V + v] = v < n && p[v] > 0 ? (float)log(p[v]) : -INFINITY;
}

/* The most probable token is `token`, with probability c; the rest is shared by the others. */
static inline void set_sure(float *table, int pos, int token, double c) {
    double p[FAKE_V];
    for (int v = 0; v < FAKE_V; v++) p[v] = v == token ? c : v == FAKE_MASK ? 0 : (1 - c) / (FAKE_V - 2);
    set_row(table, pos, FAKE_V, p);
}

/* Two tokens whose entropy is H nats (at most ln 2). */
static inline void set_entropy(float *table, int pos, double H) {
    double low = 0.5, high = 1;
    for (int i = 0; i < 200; i++) {
        double c = (low + high) / 2, h = c < 1 ? -c * log(c) - (1 - c) * log(1 - c) : 0;
        if (h > H)
            low = c;
        else
            high = c;
    }
    set_row(table, pos, 2, (double[]){low, 1 - low});
}

static inline session_opts options_of(const char *name, const setting *set) {
    err e = {0};
    session_opts o = {.policy = policy_find(name), .seed = 5};
    assert_non_null(o.policy);
    policy_defaults(o.policy, NULL, &o.params);
    for (; set && set->name; set++) MUST(param_parse(&o.params, set->name, set->value, &e), &e);
    return o;
}

/* n masks after n_prompt tokens 1. */
static inline session *open_masks(denoiser *d, const char *name, const setting *set, int n_prompt, int n,
                                  uint64_t seed) {
    int32_t prompt[MOST_TOKENS];
    session *s;
    err e = {0};
    session_opts o = options_of(name, set);
    for (int i = 0; i < n_prompt; i++) prompt[i] = 1;
    o.prompt = prompt;
    o.n_prompt = n_prompt;
    o.length = n;
    o.seed = seed;
    MUST(session_open(&s, d, &o, &e), &e);
    return s;
}

static inline const step_record *propose(session *s) {
    const step_record *r;
    err e = {0};
    MUST(session_propose(s, &r, &e), &e);
    return r;
}

static inline void commit(session *s, const step_record *r) {
    err e = {0};
    MUST(session_commit(s, r, &e), &e);
}

/* Tokens that a step writes, or puts back. */
static inline int count_writes(const step_record *r, bool back) {
    int n = 0;
    for (int i = 0; i < r->n_writes; i++) n += (r->writes[i].token == FAKE_MASK) == back;
    return n;
}

/* What a whole decode came to. */
typedef struct outcome {
    int steps, T;
    int written[MOST_STEPS], back[MOST_STEPS]; /* by step */
    double nfe;
    int64_t backward_rows;
    int32_t tokens[MOST_TOKENS];
} outcome;

static inline outcome decode_on(session *s) {
    outcome o = {0};
    for (const step_record *r; (r = propose(s)) != NULL; o.steps++) {
        assert_true(o.steps < MOST_STEPS);
        o.T = r->T;
        o.written[o.steps] = count_writes(r, false);
        o.back[o.steps] = count_writes(r, true);
        o.nfe += r->nfe;
        o.backward_rows += r->backward_rows;
        commit(s, r);
        record_unref(r);
    }
    CHECK(session_done(s));
    int n;
    const int32_t *tokens = session_tokens(s, &n);
    memcpy(o.tokens, tokens, (size_t)n * sizeof *tokens);
    return o;
}

/* A decode of n masks by a policy, with a table of logits or (NULL) the fake's own. */
static inline outcome decode_masks(const char *name, const setting *set, const float *table, int n) {
    fake *f = fake_new(false, MOST_TOKENS);
    f->table = table;
    session *s = open_masks(&f->base, name, set, 2, n, 5);
    outcome o = decode_on(s);
    session_close(s);
    denoiser_close(&f->base);
    return o;
}

/* The first step of n masks from position 0 on. */
static inline const step_record *first_step(const char *name, const setting *set, const float *table, int n) {
    fake *f = fake_new(false, MOST_TOKENS);
    f->table = table;
    session *s = open_masks(&f->base, name, set, 0, n, 5);
    const step_record *r = propose(s);
    session_close(s);
    denoiser_close(&f->base);
    return r;
}

static inline int first_count(const char *name, const setting *set, const float *table, int n) {
    const step_record *r = first_step(name, set, table, n);
    int count = r->n_writes;
    record_unref(r);
    return count;
}

static inline void expect_counts(const outcome *o, const int *want, int n) {
    CHECK(o->steps == n);
    for (int k = 0; k < n && k < o->steps; k++) {
        if (!CHECK(o->written[k] == want[k]))
            print_error("step %d: %d, expected %d\n", k, o->written[k], want[k]);
    }
}

#endif
