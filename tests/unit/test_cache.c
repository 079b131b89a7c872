/* test_cache.c - kv-cache: passes of few rows over a kept pass, and decodes made of them. Which rows a step
 * may compute, that refreshing at every step is the exact decode, and that a jump changes nothing. */
#include "device.h"
#include "policy_steps.h"

/* ---- passes ---- */

enum { N = 14, MASK = 47, WIDE = 64 };

typedef struct canvas {
    denoiser *d;
    pass *kept, *p;
    int32_t before[N], now[N]; /* a token is written between them */
    row_ref rows[N];
    int n_rows; /* masks before */
    int written;
} canvas;

static canvas open_canvas(const char *path) {
    canvas c = {.kept = pass_new(), .p = pass_new(), .written = 6};
    err e = {0};
    MUST(denoiser_load(&c.d, path, test_device(), &e), &e);
    for (int i = 0; i < N; i++) {
        bool mask = i == 1 || i == 4 || (i >= 6 && i != 9);
        c.before[i] = c.now[i] = mask ? MASK : 3 + 2 * i;
        if (mask) c.rows[c.n_rows++] = (row_ref){0, i};
    }
    c.now[c.written] = 11;
    sequence seq = {c.before, N};
    forward_req q = {.seqs = &seq, .n_seqs = 1, .rows = c.rows, .n_rows = c.n_rows, .keep = true};
    MUST(denoiser_forward(c.d, &q, c.kept, &e), &e);
    return c;
}

static void close_canvas(canvas *c) {
    pass_free(c->kept);
    pass_free(c->p);
    denoiser_close(c->d);
}

/* Statistics of the rows asked for when `rows` are computed over the kept pass. */
static int compute(canvas *c, const int32_t *tokens, const int *rows, int n, err *e) {
    sequence seq = {tokens, N};
    forward_req q = {.seqs = &seq,
                     .n_seqs = 1,
                     .rows = c->rows,
                     .n_rows = c->n_rows,
                     .over = c->kept,
                     .recompute = rows,
                     .n_recompute = n};
    return denoiser_forward(c->d, &q, c->p, e);
}

static void entropies(const pass *p, double *out) {
    for (int r = 0; r < pass_n_rows(p); r++) out[r] = pass_stats(p, r)->entropy;
}

/* All rows: what a pass of the sequence says. */
static void check_all_rows(canvas *c) {
    double got[N], want[N];
    int all[N];
    err e = {0};
    pass *whole = pass_new();
    sequence seq = {c->now, N};
    forward_req q = {.seqs = &seq, .n_seqs = 1, .rows = c->rows, .n_rows = c->n_rows};
    for (int i = 0; i < N; i++) all[i] = i;
    int64_t before = c->d->n_forwards;
    MUST(compute(c, c->now, all, N, &e), &e);
    CHECK(c->d->n_forwards == before + 1);
    MUST(denoiser_forward(c->d, &q, whole, &e), &e);
    entropies(c->p, got);
    entropies(whole, want);
    CLOSE(got, want, c->n_rows, 1e-5, "all rows");
    pass_free(whole);
}

/* Some rows: those computed are what a lookahead with the written token's embedding says, the others are the
 * kept pass's own. */
static void check_some_rows(canvas *c) {
    const int rows[] = {3, 4, 5, 6, 7, 8}; /* emit rows of shifted models included */
    enum { COMPUTED = sizeof rows / sizeof *rows };
    float vector[WIDE];
    int want[N], n_want = 0;
    double after[N], got[N];
    err e = {0};
    denoiser_embedding(c->d, c->now[c->written], vector);
    for (int r = 0; r < c->n_rows; r++) {
        if (c->rows[r].pos >= 4 && c->rows[r].pos <= 8) want[n_want++] = c->rows[r].pos;
    }
    restricted_case look = {c->written, vector, rows, COMPUTED, want, n_want};
    restricted_req q = {.cases = &look, .n_cases = 1};
    MUST(denoiser_restricted(c->d, c->kept, &q, after, &e), &e);
    MUST(compute(c, c->now, rows, COMPUTED, &e), &e);
    MUST(pass_read(c->p, NULL, 0, &e), &e);
    MUST(pass_read(c->kept, NULL, 0, &e), &e);
    int k = 0;
    for (int r = 0; r < c->n_rows; r++) {
        int pos = c->rows[r].pos, emit = denoiser_emit(c->d, pos);
        if (emit >= rows[0] && emit <= rows[COMPUTED - 1]) {
            if (pos >= 4 && pos <= 8) got[k++] = pass_stats(c->p, r)->entropy;
            continue;
        }
        CHECK(near(pass_stats(c->p, r)->entropy, pass_stats(c->kept, r)->entropy, 0));
        CHECK(!memcmp(pass_logits(c->p, r), pass_logits(c->kept, r), MASK * sizeof(float)));
        int32_t a[3], b[3];
        double x[3], y[3];
        CHECK(pass_top(c->p, r, 3, a, x) == 3 && pass_top(c->kept, r, 3, b, y) == 3 && a[2] == b[2]);
    }
    CHECK(k == n_want && k == 4);
    CLOSE(got, after, k, 1e-5, "computed rows");
}

static void check_refusals(canvas *c) {
    const struct {
        int rows[3], n;
        const char *what;
    } bad[] = {{{0}, 0, "computes no rows"},
               {{3, 2}, 2, "not ascending"},
               {{3, N}, 2, "not ascending"},
               {{-1}, 1, "not ascending"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        err e = {0};
        CHECK(compute(c, c->now, bad[i].rows, bad[i].n, &e) == ERR_BAD_ARGUMENT &&
              strstr(e.msg, bad[i].what));
        CHECK(pass_n_rows(c->p) == 0);
    }
    err e = {0};
    float soft[WIDE];
    MUST(compute(c, c->now, (int[]){5, 6}, 2, &e), &e);
    CHECK(denoiser_soft_write(c->d, c->p, (int[]){0}, 1, soft, &e) == ERR_UNSUPPORTED);
    row_ref unknown = {0, 0};
    sequence seq = {c->now, N};
    forward_req q = {.seqs = &seq, .n_seqs = 1, .rows = &unknown, .n_rows = 1, .over = c->kept};
    q.recompute = (int[]){5, 6}, q.n_recompute = 2;
    CHECK(denoiser_forward(c->d, &q, c->p, &e) == ERR_BAD_ARGUMENT && strstr(e.msg, "neither computed nor"));
    q.rows = c->rows, q.over = c->p;
    CHECK(denoiser_forward(c->d, &q, c->kept, &e) == ERR_BAD_ARGUMENT && strstr(e.msg, "not kept"));
}

static void test_passes(void **state) {
    (void)state;
    const char *models[] = {"tests/vectors/llada", "tests/vectors/dream"};
    for (int i = 0; i < 2; i++) {
        canvas c = open_canvas(models[i]);
        check_all_rows(&c);
        check_some_rows(&c);
        check_refusals(&c);
        close_canvas(&c);
    }
}

/* ---- decodes ---- */

/* Two blanks in the prompt, then 12 masks. */
enum { P = 6, L = 12, ALL = P + L };
static const int32_t prompt[P] = {2, 8, 5, 8, 0, 1};

static session *open_decode(denoiser *d, const char *name, const setting *set) {
    session_opts o = options_of(name, set);
    session *s;
    err e = {0};
    o.prompt = prompt;
    o.n_prompt = P;
    o.length = L;
    MUST(session_open(&s, d, &o, &e), &e);
    return s;
}

static void record_decode(session *s, trajectory *t) {
    traj_header h;
    err e = {0};
    session_header(s, &h);
    MUST(trajectory_init(t, &h, (token_texts){0}, &e), &e);
    for (const step_record *r; (r = propose(s)) != NULL;) {
        MUST(trajectory_append(t, r, &e), &e);
        commit(s, r);
        record_unref(r);
    }
}

static bool same_step(const step_record *a, const step_record *b) {
    bool same = a->n_writes == b->n_writes && a->n_masked == b->n_masked && near(a->nfe, b->nfe, 0);
    for (int i = 0; same && i < a->n_writes; i++)
        same = a->writes[i].pos == b->writes[i].pos && a->writes[i].token == b->writes[i].token &&
               near(a->writes[i].score, b->writes[i].score, 0);
    for (int i = 0; same && i < a->n_masked; i++) same = near(a->entropy[i], b->entropy[i], 0);
    return same;
}

static bool caches(const policy *p) {
    session_opts o = options_of(p->name, SET({"kv-cache", "dual"}));
    denoiser_info info = {.n_vocab = FAKE_V, .mask_id = FAKE_MASK, .max_len = MOST_TOKENS};
    err e = {0};
    return policy_check(p, &o.params, &info, &e) == 0;
}

#define FOR_EVERY(p, kind, blocks)                                                                           \
    for (int p = 0; policies[p]; p++)                                                                        \
        for (int kind = 0; kind < 2 && caches(policies[p]); kind++)                                          \
            for (int blocks = 0; blocks < 2; blocks++)
static const char *const kinds[] = {"prefix", "dual"}, *const lengths[] = {"0", "5"};

/* Then no step reads another's keys, and everything is the exact decode's to the bit. */
static void test_refresh_every_step(void **state) {
    (void)state;
    FOR_EVERY(p, kind, blocks) {
        fake *f = fake_new(kind, MOST_TOKENS);
        trajectory exact, cached;
        session *a = open_decode(&f->base, policies[p]->name, SET({"block-length", lengths[blocks]}));
        session *b = open_decode(
            &f->base, policies[p]->name,
            SET({"block-length", lengths[blocks]}, {"kv-cache", kinds[kind]}, {"kv-refresh", "1"}));
        record_decode(a, &exact);
        record_decode(b, &cached);
        CHECK(exact.n_records == cached.n_records && f->n_cached == 0);
        for (int k = 0; k < exact.n_records && k < cached.n_records; k++)
            CHECK(same_step(exact.records[k], cached.records[k]));
        trajectory_release(&exact);
        trajectory_release(&cached);
        session_close(a);
        session_close(b);
        denoiser_close(&f->base);
    }
}

/* Of a real network, and the cached steps in between differ. */
static void test_network(void **state) {
    (void)state;
    denoiser *d;
    err e = {0};
    MUST(denoiser_load(&d, "tests/vectors/llada", test_device(), &e), &e);
    trajectory t[3];
    for (int i = 0; i < 3; i++) {
        const char *kind = i ? "dual" : "none", *every = i == 1 ? "1" : "0";
        session_opts o = options_of("confidence", SET({"kv-cache", kind}, {"kv-refresh", every}));
        const int32_t start[] = {5, 47, 7, 9};
        session *s;
        o.prompt = start, o.n_prompt = 4, o.length = 12;
        MUST(session_open(&s, d, &o, &e), &e);
        record_decode(s, &t[i]);
        session_close(s);
    }
    bool differs = false;
    for (int k = 0; k < t[0].n_records; k++) {
        CHECK(same_step(t[0].records[k], t[1].records[k]));
        differs |= !same_step(t[0].records[k], t[2].records[k]);
    }
    CHECK(differs && same_step(t[0].records[0], t[2].records[0]));
    for (int i = 0; i < 3; i++) trajectory_release(&t[i]);
    denoiser_close(d);
}

/* Rows that cached steps compute: shifted models one more at the front of what is computed. */
static void test_rows(void **state) {
    (void)state;
    const struct {
        const char *kind, *length, *every;
        int rows;
    } want[] = {
        /* 14 masks, positions 1, 3 and 6..17, highest score first at positions that the fake decides: without
         * blocks dual computes the 14 blanks at all steps but the first */
        {"dual", "0", "0", 13 * 14},
        /* from the prompt's end on, and its own two blanks while they are masked or new: all 14 as well */
        {"prefix", "0", "0", 13 * 14},
        /* every third step is a full one: steps 0, 3, 6, 9, 12 of 14. Blanks that were written before the
         * full pass are not computed again: 14 at steps 1-2, 11 at 4-5, 8, 5, 2 */
        {"dual", "0", "3", 2 * (14 + 11 + 8 + 5) + 2},
    };
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        fake *f = fake_new(false, MOST_TOKENS);
        session *s = open_decode(
            &f->base, "confidence",
            SET({"kv-cache", want[i].kind}, {"block-length", want[i].length}, {"kv-refresh", want[i].every}));
        outcome o = decode_on(s);
        CHECK(near(o.nfe, 14, 0) && f->base.n_forwards == 14); /* a step is one, however few its rows */
        if (!CHECK(f->n_cached == want[i].rows)) print_error("%zu: %d rows\n", i, (int)f->n_cached);
        session_close(s);
        denoiser_close(&f->base);
    }
}

/* In blocks the rows behind a dual block's end are not computed, and masks there are described as the full
 * pass saw them. */
static void test_blocks(void **state) {
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        fake *f = fake_new(false, MOST_TOKENS);
        session *s =
            open_decode(&f->base, "left-to-right", SET({"kv-cache", kinds[kind]}, {"block-length", "4"}));
        trajectory t;
        record_decode(s, &t);
        /* Blocks of 4 from position 6 on; the first has the prompt's two blanks, too: 6 + 4 + 4 steps. */
        int rows = kind ? 5 * 6 + 3 * 4 + 3 * 4 : 5 * 14 + 3 * 8 + 3 * 4;
        CHECK(t.n_records == 14);
        if (!CHECK(f->n_cached == rows)) print_error("%s: %d rows\n", kinds[kind], (int)f->n_cached);
        for (int k = 1; k < 6; k++) {
            const step_record *r = t.records[k];
            int last = record_masked_index(r, ALL - 1), then = record_masked_index(t.records[0], ALL - 1);
            bool same = near(r->entropy[last], t.records[0]->entropy[then], 0);
            CHECK(same == (kind == 1));
        }
        trajectory_release(&t);
        session_close(s);
        denoiser_close(&f->base);
    }
}

/* ---- jumps ---- */

/* Proposes and commits from each state on, as the decode from the start had it. */
static void jump_about(session *s, const trajectory *t, const char *name) {
    int32_t tokens[ALL];
    err e = {0};
    for (int round = 0; round < 2 * t->n_records; round++) {
        int k = round * 7 % t->n_records;
        session_state to = session_state_of(t, k, tokens);
        MUST(session_seek(s, &to, &e), &e);
        for (int i = round % 4; i > 0 && k < t->n_records - 1; i--)
            commit(s, t->records[k++]); /* not proposed anew, as after undo */
        for (int j = k; j < k + 3 && j < t->n_records; j++) {
            const step_record *r = propose(s);
            if (!CHECK(same_step(r, t->records[j]))) print_error("%s: step %d from %d\n", name, j, k);
            commit(s, r);
            record_unref(r);
        }
    }
}

static void test_jumps(void **state) {
    (void)state;
    const char *const every[] = {"0", "1", "3"};
    FOR_EVERY(p, kind, blocks) {
        for (int i = 0; i < 3; i++) {
            fake *f = fake_new(i == 1, MOST_TOKENS);
            session *s = open_decode(
                &f->base, policies[p]->name,
                SET({"block-length", lengths[blocks]}, {"kv-cache", kinds[kind]}, {"kv-refresh", every[i]}));
            trajectory t;
            record_decode(s, &t);
            jump_about(s, &t, policies[p]->name);
            trajectory_release(&t);
            session_close(s);
            denoiser_close(&f->base);
        }
    }
}

/* A token by hand: the step after it computes everything, also when it is reached by a jump. */
static void test_hands(void **state) {
    (void)state;
    fake *f = fake_new(false, MOST_TOKENS);
    session *s = open_decode(&f->base, "confidence", SET({"kv-cache", "dual"}, {"kv-refresh", "4"}));
    trajectory t;
    traj_header h;
    err e = {0};
    session_header(s, &h);
    MUST(trajectory_init(&t, &h, (token_texts){0}, &e), &e);
    for (int k = 0; k < 12; k++) {
        const step_record *r = NULL;
        step_record *hand = NULL;
        if (k != 6) {
            r = propose(s);
        } else {
            int pos = 0;
            while (t.last[pos] != FAKE_MASK) pos++;
            MUST(intervene_write(&hand, &t, k, &(step_write){.pos = pos, .token = 3}, 1, &e), &e);
            r = hand;
        }
        MUST(trajectory_append(&t, r, &e), &e);
        commit(s, r);
        record_unref(r);
        if (k != 6) continue;
        int64_t few = f->n_cached;
        record_unref(propose(s));
        CHECK(f->n_cached == few);
    }
    int32_t tokens[ALL];
    for (int k = 11; k >= 0; k--) {
        if (k == 6) continue;
        session_state to = session_state_of(&t, k, tokens);
        MUST(session_seek(s, &to, &e), &e);
        const step_record *r = propose(s);
        CHECK(same_step(r, t.records[k]));
        record_unref(r);
    }
    trajectory_release(&t);
    session_close(s);
    denoiser_close(&f->base);
}

/* A full pass that was cut short leaves nothing behind. */
static void test_cancel(void **state) {
    (void)state;
    fake *f = fake_new(false, MOST_TOKENS);
    atomic_bool flag = false;
    session_opts o = options_of("confidence", SET({"kv-cache", "dual"}, {"kv-refresh", "3"}));
    session *s;
    trajectory t;
    err e = {0};
    o.prompt = prompt, o.n_prompt = P, o.length = L, o.cancel = &flag;
    MUST(session_open(&s, &f->base, &o, &e), &e);
    record_decode(s, &t);
    f->cancel_flag = &flag;
    int32_t tokens[ALL];
    for (int k = 0; k < t.n_records; k++) {
        const step_record *r;
        session_state to = session_state_of(&t, k, tokens);
        MUST(session_seek(s, &to, &e), &e);
        atomic_store(&flag, true);
        CHECK(session_propose(s, &r, &e) == ERR_CANCELLED && !r);
        atomic_store(&flag, false);
        r = propose(s);
        CHECK(same_step(r, t.records[k]));
        record_unref(r);
    }
    trajectory_release(&t);
    session_close(s);
    denoiser_close(&f->base);
}

/* ---- what does not go together ---- */

static void test_refused(void **state) {
    (void)state;
    denoiser_info info = {.n_vocab = FAKE_V, .mask_id = FAKE_MASK, .max_len = MOST_TOKENS};
    int n = 0;
    for (int p = 0; policies[p]; p++) {
        session_opts o = options_of(policies[p]->name, SET({"kv-cache", "prefix"}));
        err e = {0};
        bool own = policies[p]->own_passes || (policies[p]->keeps && policies[p]->keeps(&o.params));
        int rc = policy_check(policies[p], &o.params, &info, &e);
        CHECK(own == (rc == ERR_BAD_ARGUMENT && !strncmp(e.msg, "kv-cache: ", 10)));
        n += !own;
    }
    CHECK(n == 18);
    session_opts o = options_of("confidence", SET({"kv-cache", "dual"}, {"cfg", "1"}));
    err e = {0};
    CHECK(policy_check(o.policy, &o.params, &info, &e) == ERR_BAD_ARGUMENT && strstr(e.msg, "cfg"));
    /* Observation needs gradients, and is left out. */
    fake *f = fake_new(false, MOST_TOKENS);
    session *s;
    o = options_of("confidence", SET({"kv-cache", "dual"}));
    o.prompt = prompt, o.n_prompt = P, o.length = L, o.observe_tis = true;
    MUST(session_open(&s, &f->base, &o, &e), &e);
    const step_record *r = propose(s);
    CHECK(r->n_observed == 0 && f->n_backward_calls == 0);
    record_unref(r);
    session_close(s);
    denoiser_close(&f->base);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_passes),  cmocka_unit_test(test_refresh_every_step),
        cmocka_unit_test(test_network), cmocka_unit_test(test_rows),
        cmocka_unit_test(test_blocks),  cmocka_unit_test(test_jumps),
        cmocka_unit_test(test_hands),   cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_refused),
    };
    return finish("cache", cmocka_run_group_tests(tests, NULL, NULL));
}
