/* test_intervene.c - a person's changes to a decode: what they do to the session, that later draws do not
 * shift, that seeking back undoes them exactly, and that they are written, read and verified like steps. */
#include "checks.h"
#include "device.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/engine.h"
#include "replay/replay.h"

enum { N = 24, P = 4, MASK = 47 };

typedef struct run {
    model m;
    session *s;
    trajectory t;
} run;

static run open_run(const char *policy_name, const char *temperature) {
    run r = {0};
    err e = {0};
    int32_t prompt[P] = {1, 2, 3, 4};
    session_opts o = {.prompt = prompt, .n_prompt = P, .length = N - P, .policy = policy_find(policy_name)};
    MUST(model_open(&r.m, "tests/vectors/llada", NULL, &e), &e);
    policy_defaults(o.policy, NULL, &o.params);
    o.seed = 5;
    if (temperature) MUST(param_parse(&o.params, "temperature", temperature, &e), &e);
    MUST(session_open(&r.s, r.m.d, &o, &e), &e);
    traj_header h;
    session_header(r.s, &h);
    MUST(trajectory_init(&r.t, &h, model_texts(&r.m), &e), &e);
    return r;
}

static void close_run(run *r) {
    trajectory_release(&r->t);
    session_close(r->s);
    model_close(&r->m);
}

static void take(run *r, const step_record *rec) {
    err e = {0};
    MUST(session_commit(r->s, rec, &e), &e);
    MUST(trajectory_append(&r->t, rec, &e), &e);
    record_unref(rec);
}

static bool decode(run *r) {
    err e = {0};
    const step_record *rec;
    MUST(session_propose(r->s, &rec, &e), &e);
    if (!rec) return false;
    take(r, rec);
    return true;
}

static void decode_all(run *r) {
    while (decode(r)) continue;
}

static void change(run *r, const step_setting *to) {
    err e = {0};
    step_record *rec;
    MUST(intervene_setting(&rec, &r->t, r->t.n_records, to, denoiser_get_info(r->m.d), &e), &e);
    take(r, rec);
}

static const step_record *last(const run *r) {
    return r->t.records[r->t.n_records - 1];
}

/* ---- bans and pins ---- */

static void ban(run *r, int pos, int32_t token) {
    err e = {0};
    arena mem = {0};
    step_setting to = intervene_current(&r->t, r->t.n_records);
    MUST(setting_toggle_ban(&to, (step_ban){pos, token}, &mem, &e), &e);
    change(r, &to);
    arena_release(&mem);
}

static void pin(run *r, int pos) {
    err e = {0};
    arena mem = {0};
    step_setting to = intervene_current(&r->t, r->t.n_records);
    MUST(setting_toggle_pin(&to, pos, &mem, &e), &e);
    change(r, &to);
    arena_release(&mem);
}

static void test_bans(void **state) {
    (void)state;
    for (int warm = 0; warm < 2; warm++) {
        run plain = open_run("confidence", warm ? "0.7" : NULL),
            r = open_run("confidence", warm ? "0.7" : NULL);
        decode_all(&plain);
        int32_t token = plain.t.records[0]->writes[0].token;
        int pos = plain.t.records[0]->writes[0].pos;
        for (int v = 0; v < 20; v++) { /* more than the list of highest logits holds */
            if (v != token) ban(&r, pos, v);
        }
        ban(&r, -1, token);
        decode_all(&r);
        int32_t out[N];
        trajectory_state(&r.t, r.t.n_records, out);
        CHECK(r.t.complete && out[pos] >= 20);
        for (int i = P; i < N; i++) CHECK(out[i] != token);
        for (int k = 0; k < r.t.n_records; k++) {
            const step_record *rec = r.t.records[k];
            for (int i = 0; i < rec->n_writes; i++) CHECK(rec->writes[i].p > 0 && rec->writes[i].p < 1);
        }
        close_run(&plain);
        close_run(&r);
    }
}

/* Confidence scores by what it would write: views name that token, though the record's argmax is banned. */
static void test_proposes(void **state) {
    (void)state;
    run r = open_run("confidence", NULL);
    const step_record *rec;
    err e = {0};
    MUST(session_propose(r.s, &rec, &e), &e);
    int first = rec->masked[0], second = rec->masked[1], n = 0;
    int32_t banned = rec->argmax[0], everywhere = rec->argmax[1];
    record_unref(rec);
    ban(&r, first, banned);
    ban(&r, -1, everywhere);
    MUST(session_propose(r.s, &rec, &e), &e);
    step_setting s = intervene_current(&r.t, r.t.n_records);
    for (int i = 0; i < rec->n_cand; i++) {
        token_prob x = setting_proposes(&s, rec, rec->cand[i]);
        CHECK(x.id >= 0 && x.id != everywhere && fabs(x.p - rec->score[i]) < 1e-6);
        n += rec->cand[i] == first || rec->cand[i] == second;
        CHECK(rec->cand[i] != first || x.id != banned);
    }
    CHECK(n == 2 && rec->argmax[0] == banned);
    for (int i = 0; i < rec->top_k; i++)
        if (rec->top[i].id != banned && rec->top[i].id != everywhere) ban(&r, first, rec->top[i].id);
    s = intervene_current(&r.t, r.t.n_records);
    if (rec->writes[0].pos != first) CHECK(setting_proposes(&s, rec, first).id == -1);
    record_unref(rec);
    close_run(&r);
}

static void test_all_banned(void **state) {
    (void)state;
    run r = open_run("left-to-right", NULL);
    err e = {0};
    const step_record *rec;
    for (int v = 0; v < MASK; v++) ban(&r, P, v);
    CHECK(session_propose(r.s, &rec, &e) == ERR_BAD_ARGUMENT && !rec);
    CHECK(strcmp(e.msg, "position 4: every token is banned") == 0);
    ban(&r, P, 9); /* takes the ban back */
    CHECK(decode(&r) && last(&r)->writes[0].token == 9);
    close_run(&r);
}

static void test_pins(void **state) {
    (void)state;
    run r = open_run("boe", NULL);
    err e = {0};
    step_record *rec;
    pin(&r, 9);
    pin(&r, 7);
    CHECK(last(&r)->setting->n_pins == 2 && last(&r)->setting->pins[0] == 7);
    decode_all(&r);
    int32_t out[N];
    trajectory_state(&r.t, r.t.n_records, out);
    for (int i = P; i < N; i++) CHECK((out[i] == MASK) == (i == 7 || i == 9));
    for (int k = 0; k < r.t.n_records; k++) {
        CHECK(record_cand_index(r.t.records[k], 7) < 0 && record_cand_index(r.t.records[k], 9) < 0);
        CHECK(r.t.records[k]->kind != STEP_DECODE || record_masked_index(r.t.records[k], 7) >= 0);
    }
    pin(&r, 7); /* unpin */
    CHECK(decode(&r) && last(&r)->writes[0].pos == 7 && !decode(&r));
    pin(&r, 12);
    CHECK(intervene_remask(&rec, &r.t, r.t.n_records, &(int){12}, 1, &e) && strstr(e.msg, "pinned"));
    close_run(&r);
}

/* ---- policy and parameters ---- */

static void test_settings(void **state) {
    (void)state;
    run r = open_run("confidence", NULL);
    for (int i = 0; i < 5; i++) decode(&r);
    step_setting to = intervene_current(&r.t, 5);
    snprintf(to.policy, sizeof to.policy, "boe");
    err e = {0};
    policy_defaults(policy_find("boe"), NULL, &to.params);
    MUST(param_parse(&to.params, "budget", "4", &e), &e);
    change(&r, &to);
    CHECK(last(&r)->T == 5 + 4 && last(&r)->t == 4); /* 15 masks, 4 a step */
    decode(&r);
    CHECK(last(&r)->n_writes == 4 && last(&r)->tis && last(&r)->t == 4);
    decode_all(&r);
    CHECK(r.t.complete && trajectory_decoded(&r.t, r.t.n_records) == 9);
    snprintf(to.policy, sizeof to.policy, "margin");
    step_record *rec;
    const denoiser_info *info = denoiser_get_info(r.m.d);
    CHECK(intervene_setting(&rec, &r.t, 3, &to, info, &e) == ERR_BAD_ARGUMENT && !rec);
    CHECK(intervene_setting(&rec, &r.t, 99, &to, info, &e) == ERR_BAD_ARGUMENT && !rec);
    close_run(&r);
}

static bool same_record(const step_record *a, const step_record *b) {
    bool same = a->n_writes == b->n_writes && a->n_cand == b->n_cand && a->t == b->t && a->T == b->T;
    for (int i = 0; same && i < a->n_writes; i++)
        same = !memcmp(&a->writes[i], &b->writes[i], sizeof *a->writes);
    return same && !memcmp(a->score, b->score, (size_t)a->n_cand * sizeof *a->score);
}

/* Going back to a state gives the same step again, to the bit, whatever was changed after it. */
static void test_undo(void **state) {
    (void)state;
    run r = open_run("boe", "0.8"), plain = open_run("boe", "0.8");
    decode_all(&plain);
    for (int i = 0; i < 4; i++) decode(&r);
    ban(&r, -1, 3);
    pin(&r, 10);
    decode(&r);
    int32_t tokens[N];
    err e = {0};
    for (int n = 4; n >= 0; n--) {
        session_state to = session_state_of(&r.t, n, tokens);
        const step_record *rec;
        MUST(session_seek(r.s, &to, &e), &e);
        MUST(session_propose(r.s, &rec, &e), &e);
        CHECK(same_record(rec, plain.t.records[n]));
        record_unref(rec);
    }
    close_run(&r);
    close_run(&plain);
}

/* An intervention that changes nothing does not shift later draws. */
static void test_draws(void **state) {
    (void)state;
    run r = open_run("random", "0.8"), plain = open_run("random", "0.8");
    decode_all(&plain);
    for (int i = 0; i < 3; i++) decode(&r);
    pin(&r, 0);
    decode_all(&r);
    CHECK(r.t.n_records == plain.t.n_records + 1);
    for (int k = 4; k < r.t.n_records; k++) CHECK(same_record(r.t.records[k], plain.t.records[k - 1]));
    close_run(&r);
    close_run(&plain);
}

/* ---- writing and remasking ---- */

static void refused(int rc, const step_record *rec, const err *e, const char *says, int line) {
    if (!check_at(rc == ERR_BAD_ARGUMENT && !rec && strstr(e->msg, says), __FILE__, line, says))
        print_error("got: %s\n", e->msg);
}
#define REFUSED(call, says)                                                                                  \
    do {                                                                                                     \
        rec = NULL;                                                                                          \
        int rc_ = (call);                                                                                    \
        refused(rc_, rec, &e, says, __LINE__);                                                               \
    } while (0)

static void test_writes(void **state) {
    (void)state;
    run r = open_run("confidence", NULL);
    err e = {0};
    step_record *rec;
    step_write two[] = {{.pos = 8, .token = 5}, {.pos = 2, .token = 6}};
    MUST(intervene_write(&rec, &r.t, 0, two, 2, &e), &e);
    take(&r, rec);
    MUST(intervene_remask(&rec, &r.t, 1, &(int){2}, 1, &e), &e);
    take(&r, rec);
    int32_t out[N];
    trajectory_state(&r.t, 2, out);
    CHECK(out[8] == 5 && out[2] == MASK);
    two[1].pos = 8;
    REFUSED(intervene_write(&rec, &r.t, 0, two, 2, &e), "twice");
    REFUSED(intervene_write(&rec, &r.t, 0, two, 0, &e), "no position");
    REFUSED(intervene_write(&rec, &r.t, 0, &(step_write){.pos = N, .token = 1}, 1, &e), "there are 0..23");
    REFUSED(intervene_write(&rec, &r.t, 0, &(step_write){.pos = 1, .token = MASK}, 1, &e), "token 47");
    REFUSED(intervene_write(&rec, &r.t, 0, &(step_write){.pos = 1, .token = 48}, 1, &e), "token 48");
    REFUSED(intervene_remask(&rec, &r.t, 2, &(int){2}, 1, &e), "masked already");
    REFUSED(intervene_remask(&rec, &r.t, 2, &(int){-1}, 1, &e), "position -1");
    decode_all(&r);
    CHECK(r.t.complete);
    close_run(&r);
}

/* ---- files ---- */

static void test_file(void **state) {
    (void)state;
    char path[] = "/tmp/tabes-intervene-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    run r = open_run("confidence", NULL);
    err e = {0};
    step_record *rec;
    decode(&r);
    ban(&r, 9, 4);
    ban(&r, -1, 30);
    pin(&r, 6);
    MUST(intervene_write(&rec, &r.t, r.t.n_records, &(step_write){.pos = 11, .token = 30}, 1, &e), &e);
    rec->note = arena_strdup(&rec->mem, "why \"not\"?");
    take(&r, rec);
    decode(&r);
    pin(&r, 6);
    decode_all(&r);
    MUST(replay_save(&r.t, path, &e), &e);
    replay *back;
    MUST(replay_load(&back, path, &e), &e);
    CHECK(back->traj.n_records == r.t.n_records);
    for (int k = 0; k < r.t.n_records; k++) {
        const step_record *a = r.t.records[k], *b = back->traj.records[k];
        CHECK(a->kind == b->kind && !a->note == !b->note && (!a->note || !strcmp(a->note, b->note)));
        if (!a->setting) continue;
        const step_setting *x = a->setting, *y = b->setting;
        CHECK(y && !strcmp(x->policy, y->policy) && x->T == y->T && x->n_bans == y->n_bans &&
              x->n_pins == y->n_pins);
        CHECK(!memcmp(x->bans, y->bans, (size_t)x->n_bans * sizeof *x->bans));
        CHECK(!memcmp(x->pins, y->pins, (size_t)x->n_pins * sizeof *x->pins));
        CHECK(!memcmp(x->params.v, y->params.v, (size_t)x->params.n * sizeof *x->params.v));
    }
    verify_report rep;
    MUST(replay_verify(back, &r.m, VERIFY_TOLERANCE, false, &rep, &e), &e);
    if (!CHECK(rep.same && rep.steps_checked == r.t.n_records)) print_error("%s\n", rep.where);
    replay_close(back);
    close_run(&r);
    unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bans),  cmocka_unit_test(test_proposes), cmocka_unit_test(test_all_banned),
        cmocka_unit_test(test_pins),  cmocka_unit_test(test_settings), cmocka_unit_test(test_undo),
        cmocka_unit_test(test_draws), cmocka_unit_test(test_writes),   cmocka_unit_test(test_file),
    };
    return finish("intervene", cmocka_run_group_tests(tests, NULL, NULL));
}
