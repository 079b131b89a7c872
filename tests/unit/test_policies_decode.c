/* test_policies_decode.c - what holds for every policy over a whole decode: it ends without masks, touches
 * only what it may, costs what it says, and depends on nothing but state and seed. */
#include "policy_steps.h"

/* Two blanks in the prompt, then 10 masks. */
enum { P = 6, L = 10, ALL = P + L };
static const int32_t prompt[P] = {2, 8, 5, 8, 0, 1};

static const char *const variants[][2] = {
    {NULL, NULL}, {"block-length", "4"}, {"steps", "7"}, {"temperature", "0.8"}};
enum { N_VARIANTS = sizeof variants / sizeof *variants };

static session *open_variant(denoiser *d, const policy *p, int variant, uint64_t seed) {
    const setting set[2] = {{variants[variant][0], variants[variant][1]}, {0}};
    session_opts o = options_of(p->name, set);
    session *s;
    err e = {0};
    o.prompt = prompt;
    o.n_prompt = P;
    o.length = L;
    o.seed = seed;
    MUST(session_open(&s, d, &o, &e), &e);
    return s;
}

static void start_recording(const session *s, trajectory *t) {
    traj_header h;
    err e = {0};
    session_header(s, &h);
    MUST(trajectory_init(t, &h, (token_texts){0}, &e), &e);
}

static void record_all(session *s, trajectory *t) {
    err e = {0};
    for (const step_record *r; (r = propose(s)) != NULL;) {
        assert_true(t->n_records < MOST_STEPS);
        MUST(trajectory_append(t, r, &e), &e);
        commit(s, r);
        record_unref(r);
    }
    CHECK(session_done(s) && t->complete);
}

static bool same_step(const step_record *a, const step_record *b) {
    bool same = a->n_writes == b->n_writes && a->n_cand == b->n_cand && near(a->nfe, b->nfe, 0) &&
                a->backward_rows == b->backward_rows;
    for (int i = 0; same && i < a->n_writes; i++) {
        same = a->writes[i].pos == b->writes[i].pos && a->writes[i].token == b->writes[i].token &&
               near(a->writes[i].p, b->writes[i].p, 0) && near(a->writes[i].score, b->writes[i].score, 0);
    }
    for (int i = 0; same && i < a->n_cand; i++) same = near(a->score[i], b->score[i], 0);
    return same;
}

#define FOR_EVERY(p, v)                                                                                      \
    for (int p = 0; policies[p]; p++)                                                                        \
        for (int v = 0; v < N_VARIANTS; v++)

/* Forwards and backward rows are counted by the fake, too. */
static void test_costs(void **state) {
    (void)state;
    FOR_EVERY(p, v) {
        fake *f = fake_new(false, MOST_TOKENS);
        session *s = open_variant(&f->base, policies[p], v, 5);
        outcome o = decode_on(s);
        double rows = (double)f->n_restricted / ALL;
        if (!CHECK(near(o.nfe, (double)f->base.n_forwards + rows, 1e-9)))
            print_error("%s: nfe %g, %lld forwards\n", policies[p]->name, o.nfe,
                        (long long)f->base.n_forwards);
        session_opts plain = options_of(policies[p]->name, NULL);
        bool steered = policies[p]->keeps && policies[p]->keeps(&plain.params);
        bool backward = f->n_backward_calls > 0;
        CHECK((o.backward_rows > 0) == backward &&
              (!backward || steered || !strcmp(policies[p]->name, "boe-mid")));
        session_close(s);
        denoiser_close(&f->base);
    }
}

static void test_ends(void **state) {
    (void)state;
    FOR_EVERY(p, v) {
        for (int shifted = 0; shifted < 2; shifted++) {
            fake *f = fake_new(shifted, MOST_TOKENS);
            session *s = open_variant(&f->base, policies[p], v, 9);
            outcome o = decode_on(s);
            for (int i = 0; i < ALL; i++) CHECK(o.tokens[i] != FAKE_MASK);
            for (int i = 0; i < P; i++) CHECK(prompt[i] == FAKE_MASK || o.tokens[i] == prompt[i]);
            bool adapts = !strcmp(policies[p]->name, "threshold") || !strcmp(policies[p]->name, "eb");
            if (!CHECK(adapts || o.steps <= o.T + 3)) /* a sweep; blocks that a budget divides badly */
                print_error("%s: %d steps of %d\n", policies[p]->name, o.steps, o.T);
            session_close(s);
            denoiser_close(&f->base);
        }
    }
}

/* A setting of the same policy with a ban and pins, as a person makes it. */
static void pin_and_ban(session *s, trajectory *t, const int *pins, int n_pins, const step_ban *bans,
                        int n_bans) {
    err e = {0};
    step_record *r;
    step_setting now = intervene_current(t, t->n_records);
    now.pins = pins, now.n_pins = n_pins;
    now.bans = bans, now.n_bans = n_bans;
    denoiser_info info = {.n_vocab = FAKE_V, .mask_id = FAKE_MASK, .max_len = MOST_TOKENS};
    MUST(intervene_setting(&r, t, t->n_records, &now, &info, &e), &e);
    MUST(trajectory_append(t, r, &e), &e);
    commit(s, r);
    record_unref(r);
}

/* Pinned masks stay masks, pinned tokens stay what they are, banned tokens are never written. */
static void test_pins_and_bans(void **state) {
    (void)state;
    static const step_ban bans[] = {{-1, 3}, {8, 0}, {8, 1}, {9, 2}};
    FOR_EVERY(p, v) {
        fake *f = fake_new(false, MOST_TOKENS);
        session *s = open_variant(&f->base, policies[p], v, 5);
        trajectory t;
        start_recording(s, &t);
        int first = -1, pins[2] = {12, 13}, n;
        for (int k = 0; k < 2; k++) { /* two steps, so that there may be something written to pin */
            const step_record *r = propose(s);
            err e = {0};
            MUST(trajectory_append(&t, r, &e), &e);
            commit(s, r);
            record_unref(r);
        }
        int32_t before[ALL];
        memcpy(before, session_tokens(s, &n), sizeof before);
        for (int i = P; i < 12 && first < 0; i++) first = before[i] != FAKE_MASK ? i : -1;
        if (first >= 0) pins[0] = first;
        pin_and_ban(s, &t, pins, 2, bans, 4);
        for (const step_record *r; (r = propose(s)) != NULL;) {
            for (int i = 0; i < r->n_writes; i++) {
                const step_write *w = &r->writes[i];
                CHECK(w->pos != pins[0] && w->pos != pins[1] && w->token != 3);
                CHECK(prompt[w->pos < P ? w->pos : 1] == FAKE_MASK);
                CHECK(w->pos != 8 || w->token > 1);
                CHECK(w->pos != 9 || w->token != 2);
            }
            commit(s, r);
            record_unref(r);
            assert_true(session_step_index(s) < MOST_STEPS);
        }
        const int32_t *after = session_tokens(s, &n);
        CHECK(after[pins[0]] == before[pins[0]] && after[pins[1]] == before[pins[1]]);
        for (int i = 0; i < ALL; i++) CHECK(after[i] != FAKE_MASK || i == pins[0] || i == pins[1]);
        trajectory_release(&t);
        session_close(s);
        denoiser_close(&f->base);
    }
}

/* Proposing twice, seeking back and forth, and starting again give the same steps to the last bit; another
 * seed another decode where anything is drawn. */
static void test_repeats(void **state) {
    (void)state;
    FOR_EVERY(p, v) {
        fake *f = fake_new(false, MOST_TOKENS);
        session *s = open_variant(&f->base, policies[p], v, 5);
        trajectory t;
        int32_t tokens[ALL];
        err e = {0};
        start_recording(s, &t);
        record_all(s, &t);
        for (int k = t.n_records - 1; k >= 0; k -= 3) {
            session_state to = session_state_of(&t, k, tokens);
            MUST(session_seek(s, &to, &e), &e);
            for (int again = 0; again < 2; again++) {
                const step_record *r = propose(s);
                if (!CHECK(same_step(r, t.records[k]))) print_error("%s, step %d\n", policies[p]->name, k);
                record_unref(r);
            }
            for (int j = k; j < k + 2 && j < t.n_records; j++) {
                const step_record *r = propose(s);
                CHECK(same_step(r, t.records[j]));
                commit(s, r);
                record_unref(r);
            }
        }
        session_close(s);
        s = open_variant(&f->base, policies[p], v, 5);
        for (int k = 0; k < t.n_records; k++) {
            const step_record *r = propose(s);
            CHECK(same_step(r, t.records[k]));
            commit(s, r);
            record_unref(r);
        }
        CHECK(session_done(s));
        trajectory_release(&t);
        session_close(s);
        denoiser_close(&f->base);
    }
}

/* Without a policy's help: tokens that end a text or a turn are banned, or come last. */
static void test_ends_of_text(void **state) {
    (void)state;
    enum { EOS = 4, TURN = 6 };
    float table[MOST_TOKENS * FAKE_V];
    for (int i = 0; i < ALL; i++) set_sure(table, i, i % 2 ? 1 : i % 4 ? EOS : TURN, i % 2 ? .5 : .9);
    for (int p = 0; policies[p]; p++) {
        fake *f = fake_new(false, MOST_TOKENS);
        f->table = table;
        f->base.info.eos_id = EOS;
        f->base.info.turn_end_id = TURN;
        session *s = open_masks(&f->base, policies[p]->name, SET({"eos-ban", "on"}), 2, 10, 5);
        outcome o = decode_on(s);
        for (int i = 0; i < 12; i++) CHECK(o.tokens[i] != EOS && o.tokens[i] != TURN);
        session_close(s);
        s = open_masks(&f->base, policies[p]->name, SET({"eos-last", "on"}, {"temperature", "0"}), 2, 10, 5);
        int left = 5; /* of the others */
        for (const step_record *r; (r = propose(s)) != NULL;) {
            int ends = 0;
            for (int i = 0; i < r->n_writes; i++) {
                int32_t token = r->writes[i].token;
                ends += token == EOS || token == TURN;
                left -= token != EOS && token != TURN && token != FAKE_MASK;
            }
            if (!CHECK(!ends || policies[p]->ignores_order || policies[p]->remasks || left == 0))
                print_error("%s\n", policies[p]->name);
            commit(s, r);
            record_unref(r);
        }
        session_close(s);
        denoiser_close(&f->base);
    }
}

/* A step after a jump, cancelled at its n-th forward pass or not at all. */
static void cancelled_at(session *s, fake *f, atomic_bool *stop, int n, const session_state *to) {
    err e = {0};
    const step_record *r;
    MUST(session_seek(s, to, &e), &e);
    f->cancel_after = (int)f->base.n_forwards + n;
    CHECK(session_propose(s, &r, &e) == (n < 3 ? ERR_CANCELLED : 0));
    record_unref(r);
    f->cancel_after = -1;
    atomic_store(stop, false);
}

/* KLASS looks at the last two steps again after a jump. Cancelled half way it remembers nothing rather than a
 * part of them, and the next step is what it would have been. */
static void test_cancelled_recall(void **state) {
    (void)state;
    static float table[MOST_TOKENS * FAKE_V];
    for (int i = 0; i < 8; i++) set_sure(table, i, 1, .95);
    atomic_bool stop = false;
    fake *f = fake_new(false, MOST_TOKENS);
    f->table = table, f->cancel_flag = &stop;
    session_opts o = options_of("klass", SET({"history", "2"}));
    o.length = 8, o.cancel = &stop;
    session *s;
    trajectory t;
    int32_t at[8];
    err e = {0};
    MUST(session_open(&s, &f->base, &o, &e), &e);
    start_recording(s, &t);
    record_all(s, &t);
    CHECK(t.n_records == 3 && t.records[2]->n_writes == 6); /* all that are ready */
    const session_state to = session_state_of(&t, 2, at);
    for (int n = 0; n < 4; n++) {
        cancelled_at(s, f, &stop, n, &to);
        const step_record *r = propose(s);
        CHECK(same_step(r, t.records[2]));
        record_unref(r);
    }
    trajectory_release(&t);
    session_close(s);
    denoiser_close(&f->base);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_costs),         cmocka_unit_test(test_ends),
        cmocka_unit_test(test_pins_and_bans), cmocka_unit_test(test_repeats),
        cmocka_unit_test(test_ends_of_text),  cmocka_unit_test(test_cancelled_recall),
    };
    return finish("policies_decode", cmocka_run_group_tests(tests, NULL, NULL));
}
