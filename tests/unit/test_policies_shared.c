/* test_policies_shared.c - what all policies share: drawing among the most probable tokens, blocks, guidance;
 * and LookUM's lookahead. */
#include "policy_steps.h"

static float table[MOST_TOKENS * FAKE_V];

/* ---- top-k, top-p ---- */

/* Which tokens are drawn in many draws from .5 .3 .15 .05, as a bit set; and how often the first is. */
static int drawn(const char *name, const setting *set, int *first) {
    int seen = 0;
    *first = 0;
    for (int i = 0; i < 60; i++) set_row(table, i, 4, (double[]){.5, .3, .15, .05});
    fake *f = fake_new(false, MOST_TOKENS);
    f->table = table;
    for (int seed = 0; seed < 20; seed++) {
        session *s = open_masks(&f->base, name, set, 0, 60, (uint64_t)seed);
        const step_record *r = propose(s);
        for (int i = 0; i < r->n_writes; i++) {
            seen |= 1 << r->writes[i].token;
            *first += r->writes[i].token == 0;
            CHECK(near(r->writes[i].p, (double[]){.5, .3, .15, .05}[r->writes[i].token], 1e-6));
        }
        record_unref(r);
        session_close(s);
    }
    denoiser_close(&f->base);
    return seen;
}

static void test_nucleus(void **state) {
    (void)state;
    int first;
    const setting all = {"budget", "60"}, warm = {"temperature", "1"};
    CHECK(drawn("ltr", SET(all, warm), &first) == 15 && near(first, 600, 90));
    CHECK(drawn("ltr", SET(all, warm, {"top-p", "0.9"}), &first) == 7); /* the one that crosses .9 stays */
    CHECK(near(first, 1200 * .5 / .95, 90));
    CHECK(drawn("ltr", SET(all, warm, {"top-p", "0.79"}), &first) == 3 && near(first, 1200 * .625, 90));
    CHECK(drawn("ltr", SET(all, warm, {"top-p", "0"}), &first) == 1);
    CHECK(drawn("ltr", SET(all, warm, {"top-k", "2"}), &first) == 3 && near(first, 1200 * .625, 90));
    CHECK(drawn("ltr", SET(all, warm, {"top-k", "3"}, {"top-p", "0.5"}), &first) == 1);
    CHECK(drawn("ltr", SET(all, {"top-k", "2"}), &first) == 1); /* without a temperature it changes nothing */
    /* ReMDM and the correctors drop the one that crosses; 1 in 60 is written by the first of 60 steps. */
    CHECK(drawn("remdm", SET({"steps", "1"}), &first) == 3 && near(first, 1200 * .625, 90));
    CHECK(drawn("fb", SET({"steps", "1"}, {"top-p", "0.4"}), &first) == 1);
    /* Ties with the k-th stay in. */
    for (int i = 0; i < 60; i++) set_row(table, i, 5, (double[]){.4, .2, .2, .1, .1});
    fake *f = fake_new(false, MOST_TOKENS);
    f->table = table;
    session *s = open_masks(&f->base, "ltr", SET(all, warm, {"top-k", "2"}), 0, 60, 3);
    const step_record *r = propose(s);
    int seen = 0;
    for (int i = 0; i < r->n_writes; i++) seen |= 1 << r->writes[i].token;
    CHECK(seen == 7);
    record_unref(r);
    session_close(s);
    denoiser_close(&f->base);
}

/* ---- blocks ---- */

/* Blocks are finished in order; counts per step. */
static void expect_blocks(const char *name, const setting *set, int n, int length, const int *want,
                          int steps) {
    fake *f = fake_new(false, MOST_TOKENS);
    session *s = open_masks(&f->base, name, set, 3, n, 5);
    int k = 0, m;
    for (const step_record *r; (r = propose(s)) != NULL; k++) {
        const int32_t *tokens = session_tokens(s, &m);
        int first = 3;
        while (tokens[first] != FAKE_MASK) first++;
        int end = 3 + ((first - 3) / length + 1) * length;
        CHECK(k < steps && r->n_writes == want[k < steps ? k : 0]);
        for (int i = 0; i < r->n_cand; i++) CHECK(r->cand[i] < end);
        for (int i = 0; i < r->n_writes; i++) CHECK(r->writes[i].pos < end);
        commit(s, r);
        record_unref(r);
        if (k >= steps) break;
    }
    CHECK(k == steps && session_done(s));
    session_close(s);
    denoiser_close(&f->base);
}

static void test_blocks(void **state) {
    (void)state;
    expect_blocks("confidence", SET({"block-length", "4"}), 12, 4,
                  (int[]){1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, 12);
    expect_blocks("confidence", SET({"block-length", "4"}, {"steps", "6"}), 12, 4, (int[]){2, 2, 2, 2, 2, 2},
                  6);
    /* 8 steps over 3 blocks: 3 3 2, as quotas are shared out. */
    expect_blocks("entropy", SET({"block-length", "4"}, {"steps", "8"}), 12, 4,
                  (int[]){2, 1, 1, 2, 1, 1, 2, 2}, 8);
    /* A last block that is shorter; fewer steps than blocks. */
    expect_blocks("margin", SET({"block-length", "4"}, {"steps", "3"}), 10, 4, (int[]){4, 4, 2}, 3);
    expect_blocks("margin", SET({"block-length", "4"}, {"steps", "2"}), 12, 4, (int[]){4, 4, 4}, 3);
    expect_blocks("boe", SET({"block-length", "5"}, {"budget", "2"}), 10, 5, (int[]){2, 2, 1, 2, 2, 1}, 6);
    /* One block is no block; length 1 is left to right. */
    outcome a = decode_masks("confidence", SET({"block-length", "9"}), NULL, 9);
    outcome b = decode_masks("confidence", NULL, NULL, 9);
    CHECK(memcmp(a.tokens, b.tokens, sizeof a.tokens) == 0);
    a = decode_masks("confidence", SET({"block-length", "1"}), NULL, 9);
    b = decode_masks("ltr", NULL, NULL, 9);
    CHECK(memcmp(a.tokens, b.tokens, sizeof a.tokens) == 0);
    /* Dream's schedule, anew in each block. */
    a = decode_masks("dream", SET({"block-length", "8"}, {"steps", "16"}), NULL, 16);
    expect_counts(&a, (int[]){0, 1, 1, 1, 1, 1, 1, 2, 0, 1, 1, 1, 1, 1, 1, 2}, 16);
}

/* A mask put back in an earlier block is eligible, and takes of this block's quota; blanks in the prompt
 * belong to the first block. */
static void test_leftovers(void **state) {
    (void)state;
    fake *f = fake_new(false, MOST_TOKENS);
    session *s = open_masks(&f->base, "confidence", SET({"block-length", "4"}, {"steps", "6"}), 2, 12, 5);
    for (int k = 0; k < 3; k++) {
        const step_record *r = propose(s);
        commit(s, r);
        record_unref(r);
    }
    step_record *back = record_new();
    step_write *w = arena_new(&back->mem, 1, sizeof *w);
    *w = (step_write){.pos = 3, .token = FAKE_MASK};
    back->step = 3, back->kind = STEP_REMASK, back->n_writes = 1, back->writes = w;
    commit(s, back);
    record_unref(back);
    int seen = 0, total = 0;
    for (const step_record *r; (r = propose(s)) != NULL;) {
        for (int i = 0; i < r->n_writes; i++) seen += r->writes[i].pos == 3;
        total += r->n_writes;
        CHECK(r->n_writes > 0);
        commit(s, r);
        record_unref(r);
    }
    CHECK(seen == 1 && total == 7 && session_done(s));
    session_close(s);
    denoiser_close(&f->base);
    /* Nothing after the prompt: blocks count from its first blank. */
    static const int32_t prompt[] = {1, 2, 8, 8, 3, 8, 8, 1};
    session_opts o = options_of("confidence", SET({"block-length", "3"}));
    err e = {0};
    f = fake_new(false, MOST_TOKENS);
    o.prompt = prompt, o.n_prompt = 8;
    MUST(session_open(&s, &f->base, &o, &e), &e);
    for (int k = 0; k < 4; k++) {
        const step_record *r = propose(s);
        CHECK(r->n_writes == 1 && (r->writes[0].pos < 5) == (k < 2));
        commit(s, r);
        record_unref(r);
    }
    CHECK(session_done(s));
    session_close(s);
    denoiser_close(&f->base);
}

/* Six tokens of the first block of 8 put back by hand after `at` steps: written at the plan's pace, and so is
 * what they interrupted. */
static void expect_pace(const char *steps, int at, const int *want, int n) {
    fake *f = fake_new(false, MOST_TOKENS);
    session *s = open_masks(&f->base, "confidence", SET({"block-length", "8"}, {"steps", steps}), 0, 32, 5);
    trajectory t;
    traj_header h;
    step_record *back;
    err e = {0};
    int32_t tokens[MOST_TOKENS];
    session_header(s, &h);
    MUST(trajectory_init(&t, &h, (token_texts){0}, &e), &e);
    for (int k = 0; k <= at + n; k++) {
        if (k == at) MUST(intervene_remask(&back, &t, k, (int[]){0, 1, 2, 3, 4, 5}, 6, &e), &e);
        const step_record *r = k == at ? back : propose(s);
        CHECK(k <= at || r->n_writes == want[k - at - 1]);
        MUST(trajectory_append(&t, r, &e), &e);
        commit(s, r);
        record_unref(r);
    }
    CHECK(session_done(s));
    for (int k = n; k > 0; k--) { /* the same by a jump */
        session_state to = session_state_of(&t, at + k, tokens);
        MUST(session_seek(s, &to, &e), &e);
        const step_record *r = propose(s);
        CHECK(r->n_writes == want[k - 1]);
        record_unref(r);
    }
    trajectory_release(&t);
    session_close(s);
    denoiser_close(&f->base);
}

static void test_put_back_by_hand(void **state) {
    (void)state;
    int ones[26];
    for (int k = 0; k < 26; k++) ones[k] = 1;
    expect_pace("32", 12, ones, 26);
    expect_pace("8", 3, (int[]){4, 2, 4, 4, 4, 4, 4}, 7);
}

/* ---- guidance ---- */

/* Logits of position `pos` for a sequence of tokens, by the fake's own forward. */
static void logits_of(const int32_t *tokens, int n, int pos, float *out) {
    fake *f = fake_new(false, MOST_TOKENS);
    pass *p = pass_new();
    err e = {0};
    sequence seq = {tokens, n};
    row_ref row = {0, pos};
    forward_req q = {.seqs = &seq, .n_seqs = 1, .rows = &row, .n_rows = 1};
    MUST(denoiser_forward(&f->base, &q, p, &e), &e);
    MUST(pass_read(p, NULL, 0, &e), &e);
    memcpy(out, pass_logits(p, 0), FAKE_V * sizeof *out);
    pass_free(p);
    denoiser_close(&f->base);
}

static void test_guidance(void **state) {
    (void)state;
    static const int32_t given[] = {3, 1, 8, 5, 8, 8, 0}, bare[] = {8, 8, 8, 8, 8, 8, 8};
    enum { LEN = 7 };
    session_opts o = options_of("confidence", SET({"cfg", "1.5"}));
    session *s;
    err e = {0};
    fake *f = fake_new(false, MOST_TOKENS);
    o.prompt = given, o.n_prompt = LEN;
    MUST(session_open(&s, &f->base, &o, &e), &e);
    const step_record *r = propose(s);
    CHECK(r->n_masked == 3 && near(r->nfe, 2, 0) && f->base.n_forwards == 2);
    for (int m = 0; m < 3; m++) {
        float zc[FAKE_V], zu[FAKE_V];
        double z[FAKE_V], pi[FAKE_V];
        logits_of(given, LEN, r->masked[m], zc);
        logits_of(bare, LEN, r->masked[m], zu);
        for (int v = 0; v < FAKE_V; v++)
            z[v] = v == FAKE_MASK ? -INFINITY : (double)zu[v] + 2.5 * ((double)zc[v] - (double)zu[v]);
        CHECK(near(fake_softmax(z, pi), r->entropy[m], 1e-5));
        for (int i = 0; i < r->top_k; i++) {
            const token_prob *t = &r->top[m * r->top_k + i];
            CHECK(near(t->p, pi[t->id], 1e-5));
        }
    }
    record_unref(r);
    outcome out = decode_on(s);
    CHECK(out.steps == 3 && near(out.nfe, 6, 0));
    session_close(s);
    denoiser_close(&f->base);
}

/* A workbench pane wants TIS beside every step; two passes that were mixed have none, and are no fault. */
static void test_guided_pane(void **state) {
    (void)state;
    fake *f = fake_new(false, MOST_TOKENS);
    session_opts o = options_of("confidence", SET({"cfg", "0.5"}));
    static const int32_t given[] = {3, 1};
    session *s;
    const inspection *look;
    err e = {0};
    o.prompt = given, o.n_prompt = 2, o.length = 4, o.observe_tis = true;
    MUST(session_open(&s, &f->base, &o, &e), &e);
    const step_record *r = propose(s);
    CHECK(r->n_masked == 4 && !r->tis);
    record_unref(r);
    inspect_req q = {.kind = INSPECT_INFLUENCE};
    CHECK(session_inspect(s, &q, &look, &e) == ERR_UNSUPPORTED && strstr(e.msg, "set cfg to 0"));
    outcome out = decode_on(s);
    CHECK(out.steps == 4);
    session_close(s);
    denoiser_close(&f->base);
}

/* Every policy can be guided, at two forwards a step, or says why not. */
static void test_guided_policies(void **state) {
    (void)state;
    for (int p = 0; policies[p]; p++) {
        fake *f = fake_new(false, MOST_TOKENS);
        session_opts o = options_of(policies[p]->name, SET({"cfg", "0.5"}, {"steps", "4"}));
        static const int32_t given[] = {3, 1};
        session *s;
        err e = {0};
        o.prompt = given, o.n_prompt = 2, o.length = 8;
        int rc = session_open(&s, &f->base, &o, &e);
        if (policies[p]->own_passes) {
            CHECK(rc == ERR_BAD_ARGUMENT && strstr(e.msg, "cannot be guided"));
        } else if (CHECK(rc == 0)) {
            outcome out = decode_on(s);
            CHECK(near(out.nfe, 2 * out.steps, 0) && near((double)f->base.n_forwards, out.nfe, 0));
            session_close(s);
        }
        denoiser_close(&f->base);
    }
}

/* ---- LookUM ---- */

/* Mean entropy of the other masks after two positions are written with their most probable tokens. */
static double mean_after(const int32_t *start, int n, int a, int b, const step_record *r) {
    int32_t tokens[MOST_TOKENS];
    double sum = 0;
    int masks = 0;
    memcpy(tokens, start, (size_t)n * sizeof *tokens);
    tokens[a] = r->argmax[record_masked_index(r, a)];
    tokens[b] = r->argmax[record_masked_index(r, b)];
    for (int i = 0; i < n; i++) {
        float z[FAKE_V];
        double zd[FAKE_V], pi[FAKE_V];
        if (tokens[i] != FAKE_MASK) continue;
        logits_of(tokens, n, i, z);
        for (int v = 0; v < FAKE_V; v++) zd[v] = (double)z[v];
        sum += fake_softmax(zd, pi);
        masks++;
    }
    return sum / masks;
}

/* With as many paths as there are pairs, the best pair of the pool is written. */
static void test_lookum(void **state) {
    (void)state;
    fake *f = fake_new(false, MOST_TOKENS);
    session *s = open_masks(&f->base, "lookum", SET({"pool", "4"}, {"paths", "6"}), 2, 8, 5);
    int n, order[8];
    for (const step_record *r; (r = propose(s)) != NULL;) {
        const int32_t *start = session_tokens(s, &n);
        int pool = r->n_cand < 4 ? r->n_cand : 4, pairs = pool * (pool - 1) / 2, best[2] = {-1, -1};
        double least = INFINITY;
        for (int i = 0; i < r->n_cand; i++) { /* positions by certainty */
            int at = 0;
            for (int j = 0; j < r->n_cand; j++) at += r->score[j] > r->score[i];
            order[at] = r->cand[i];
        }
        for (int i = 0; i < pool && r->n_cand > 2; i++) {
            for (int j = i + 1; j < pool; j++) {
                double x = mean_after(start, n, order[i], order[j], r);
                if (x < least) least = x, best[0] = order[i], best[1] = order[j];
            }
        }
        CHECK(r->n_writes == 2 && near(r->nfe, r->n_cand > 2 ? 1 + pairs : 1, 0));
        for (int i = 0; i < 2 && best[0] >= 0; i++)
            CHECK(r->writes[i].pos == best[0] || r->writes[i].pos == best[1]);
        commit(s, r);
        record_unref(r);
    }
    CHECK(session_done(s));
    session_close(s);
    denoiser_close(&f->base);
    /* One path is the greedy one and costs nothing more. */
    outcome a = decode_masks("lookum", SET({"paths", "1"}), NULL, 8);
    outcome b = decode_masks("entropy", SET({"budget", "2"}), NULL, 8);
    CHECK(near(a.nfe, 4, 0) && memcmp(a.tokens, b.tokens, sizeof a.tokens) == 0);
    /* A step that writes the pool has one set; one that writes more draws from all masks. */
    a = decode_masks("lookum", SET({"pool", "4"}, {"budget", "4"}), NULL, 16);
    CHECK(near(a.nfe, 4, 0));
    a = decode_masks("lookum", SET({"pool", "4"}, {"budget", "5"}), NULL, 16);
    CHECK(near(a.nfe, 3 * 3 + 1, 0)); /* the last step writes what is left */
}

/* Sets that are equally good are drawn alike, and which one is kept has nothing to do with what is in them:
 * of two positions that only chance puts into a set neither is preferred. */
static void test_lookum_draws(void **state) {
    (void)state;
    enum { SEEDS = 6000 };
    int third = 0, fourth = 0;
    for (int i = 0; i < 4; i++) set_sure(table, i, 1, .9);
    fake *f = fake_new(false, MOST_TOKENS);
    f->table = table;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        session *s =
            open_masks(&f->base, "lookum", SET({"pool", "4"}, {"paths", "3"}, {"verifier-temperature", "1"}),
                       0, 4, seed);
        const step_record *r = propose(s);
        for (int i = 0; i < r->n_writes; i++) third += r->writes[i].pos == 2, fourth += r->writes[i].pos == 3;
        record_unref(r);
        session_close(s);
    }
    /* Greedily positions 0 and 1 are written, else one of five other pairs. */
    CHECK(third > SEEDS / 4 && abs(third - fourth) < 3 * sqrt(SEEDS));
    denoiser_close(&f->base);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nucleus),         cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_leftovers),       cmocka_unit_test(test_put_back_by_hand),
        cmocka_unit_test(test_guidance),        cmocka_unit_test(test_guided_pane),
        cmocka_unit_test(test_guided_policies), cmocka_unit_test(test_lookum),
        cmocka_unit_test(test_lookum_draws),
    };
    return finish("policies_shared", cmocka_run_group_tests(tests, NULL, NULL));
}
