/* test_replay.c - trajectory files: what is written comes back to the last bit, what is cut is kept as far as
 * it goes, what is wrong is refused with its line and column, and a recording verifies against its model.
 *
 * `tests/replay/v1.0.jsonl` is a file of schema 1.0 that must stay readable; the damaged files are edits of
 * it. Made by: build/tests/test_replay --update */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "comma_locale.h"
#include "engine/base/mem.h"
#include "engine/base/rng.h"
#include "engine/base/strbuf.h"
#include "replay/json.h"
#include "replay/replay.h"

static int n_checks, n_failed;
static char dir[64];
static bool update;
static const char FIXTURE[] = "tests/replay/v1.0.jsonl";

static void check_at(bool ok, int line, const char *what) {
    n_checks++;
    if (ok) return;
    n_failed++;
    print_error("test_replay.c:%d: %s\n", line, what);
}
#define CHECK(cond) check_at((cond), __LINE__, #cond)

static const char *in_dir(const char *name) {
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static void write_bytes(const char *path, const char *data, size_t n) {
    remove(path); /* some file systems flush a file that is cut and rewritten */
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data, 1, n, f) != n || fclose(f)) fail_msg("cannot write %s", path);
}

static void read_bytes(strbuf *b, const char *path) {
    err e = {0};
    if (strbuf_read_file(b, path, 1 << 26, &e)) fail_msg("%s", e.msg);
    b->max = 1 << 26;
}

/* ---- a trajectory by hand ---- */

enum { N = 12, V = 20, MASK = 19, BIG_V = 50000 };

static const char *a_text(const void *ctx, int32_t id, size_t *len, bool *special) {
    static const char *const texts[V] = {"<eos>",
                                         "a",
                                         " b",
                                         "\xe2\x8a",
                                         "\x95",
                                         "\n",
                                         "\t\x1b[2J",
                                         "say \"x, y\"",
                                         "\xe2\x8a\x95",
                                         NULL,
                                         "",
                                         "\\",
                                         "\xf0\x9f\x98\x80",
                                         "=1",
                                         "e",
                                         "f",
                                         "g",
                                         "h",
                                         "i",
                                         "<mask>"};
    (void)ctx;
    const char *s = texts[id % V];
    *special = id % V == 0 || id % V == MASK;
    *len = s ? strlen(s) : 0;
    return s;
}
static const token_texts some_texts = {.text = a_text};

static uint64_t draw;
static double any_real(void) {
    for (;;) {
        uint64_t bits = rng_bits(5, draw++, 0, 0, RNG_TRUTH);
        double v;
        memcpy(&v, &bits, sizeof v);
        if (isfinite(v)) return v;
    }
}
static double unit(void) {
    return rng_uniform(5, draw++, 0, 0, RNG_TRUTH);
}

static const double *reals(step_record *r, int n, double (*next)(void)) {
    double *v = arena_new(&r->mem, (size_t)n, sizeof *v);
    for (int i = 0; i < n; i++) v[i] = next();
    return v;
}

/* What a policy would have known at the last state of t. */
static step_record *known(const trajectory *t, step_kind kind) {
    step_record *r = record_new();
    int n = 0, *masked = arena_new(&r->mem, (size_t)t->head.n_tokens, sizeof *masked);
    for (int i = 0; i < t->head.n_tokens; i++) {
        if (t->last[i] == t->head.mask_id) masked[n++] = i;
    }
    int32_t *argmax = arena_new(&r->mem, (size_t)n, sizeof *argmax);
    token_prob *top = arena_new(&r->mem, 4 * (size_t)n, sizeof *top);
    for (int i = 0; i < 4 * n; i++)
        top[i] = (token_prob){.id = i % 4 == 3 ? -1 : (7 * i) % V, .p = i % 4 == 3 ? 0 : unit()};
    for (int i = 0; i < n; i++) argmax[i] = top[4 * i].id;
    r->step = t->n_records;
    r->kind = kind;
    r->t = 5;
    r->T = 9;
    r->masked = masked;
    r->n_masked = n;
    r->entropy = reals(r, n, unit);
    r->confidence = reals(r, n, unit);
    r->margin = reals(r, n, unit);
    r->argmax = argmax;
    r->top = top;
    r->top_k = 4;
    r->total_entropy = unit();
    r->nfe = unit();
    r->backward_rows = 12345678901234;
    r->ms = unit();
    r->observe_ms = 5e-324;
    return r;
}

static void scored(step_record *r) {
    r->n_cand = r->n_masked / 2;
    r->cand = r->masked + 1;
    r->score = reals(r, r->n_cand, any_real);
    r->tis = reals(r, r->n_cand, any_real);
    r->gate = reals(r, r->n_cand, unit);
    r->penalty = reals(r, r->n_cand, any_real);
    r->delta_e_norm = reals(r, r->n_cand, unit);
    r->tis_name = "mask/masked/candidates";
    r->h_t = any_real();
    r->lambda_t = any_real();
}

static void observed(step_record *r) {
    r->n_observed = r->n_masked;
    r->observed = r->masked;
    r->observed_tis = reals(r, r->n_masked, any_real);
    r->observed_name = "mask/masked/masked";
}

static void writes(step_record *r, int n, const step_write *w) {
    r->writes = arena_copy(&r->mem, w, (size_t)n, sizeof *w);
    r->n_writes = n;
}

static void append(trajectory *t, step_record *r) {
    err e = {0};
    if (trajectory_append(t, r, &e)) fail_msg("%s", e.msg);
    record_unref(r);
}

/* A prompt of four, a hole at 2; decode, force, remask, decode, one mask left. */
static void build(trajectory *t, int n_vocab) {
    int32_t start[N];
    err e = {0};
    traj_header h = {.model_name = "tiny",
                     .model_arch = "llada",
                     .fingerprint = "00112233445566778899aabbccddeeff",
                     .dtype = "F32",
                     .n_vocab = n_vocab,
                     .mask_id = MASK,
                     .eos_id = 0,
                     .policy = "boe",
                     .seed = UINT64_MAX,
                     .device = "cpu",
                     .precision = "f32",
                     .threads = 2,
                     .created = "2026-02-01T12:00:00Z",
                     .n_prompt = 4,
                     .n_tokens = N,
                     .start = start};
    for (int i = 0; i < N; i++) start[i] = i < 4 && i != 2 ? 5 + i : MASK;
    draw = 0;
    const model_tuning tuning = {0};
    policy_defaults(policy_find("boe"), &tuning, &h.params);
    h.params.given[0] = true;
    if (trajectory_init(t, &h, some_texts, &e)) fail_msg("%s", e.msg);
    step_record *r = known(t, STEP_DECODE);
    scored(r);
    writes(r, 2, (step_write[]){{7, 3, unit(), any_real()}, {5, 4, unit(), any_real()}});
    append(t, r);
    r = known(t, STEP_FORCE);
    writes(r, 1, (step_write[]){{2, n_vocab - 2, unit(), 0}});
    append(t, r);
    r = record_new();
    *r = (step_record){.step = 2, .kind = STEP_REMASK, .t = 4, .T = 9, .refs = 1};
    writes(r, 2, (step_write[]){{7, MASK, 0, 0}, {0, MASK, 0, 0}});
    append(t, r);
    r = known(t, STEP_DECODE);
    observed(r);
    writes(r, 7,
           (step_write[]){{11, 0, unit(), any_real()},
                          {10, 1, unit(), -0.0},
                          {9, 2, unit(), 5e-324},
                          {8, 3, 1, 1e308},
                          {0, 6, unit(), 0.1},
                          {6, 7, unit(), 1e15},
                          {4, 8, unit(), 9007199254740993.0}});
    append(t, r);
}

/* ---- equality to the last bit ---- */

static bool same_ints(const int *a, const int *b, int n) {
    return n == 0 || (a && b && !memcmp(a, b, (size_t)n * sizeof *a)) || (!a && !b);
}
static bool same_reals(const double *a, const double *b, int n) {
    return !a == !b && (!a || !n || !memcmp(a, b, (size_t)n * sizeof *a));
}
static bool same_real(double a, double b) {
    return !memcmp(&a, &b, sizeof a);
}
static bool same_name(const char *a, const char *b) {
    return !a == !b && (!a || !strcmp(a, b));
}

static void same_records(const step_record *a, const step_record *b) {
    CHECK(a->step == b->step && a->kind == b->kind && a->t == b->t && a->T == b->T);
    CHECK(a->n_masked == b->n_masked && same_ints(a->masked, b->masked, a->n_masked));
    CHECK(same_reals(a->entropy, b->entropy, a->n_masked) &&
          same_reals(a->confidence, b->confidence, a->n_masked));
    CHECK(same_reals(a->margin, b->margin, a->n_masked) && same_ints(a->argmax, b->argmax, a->n_masked));
    CHECK(a->top_k == b->top_k && !a->top == !b->top);
    for (int i = 0; i < a->n_masked * a->top_k; i++) {
        CHECK(a->top[i].id == b->top[i].id && same_real(a->top[i].p, b->top[i].p));
    }
    CHECK(a->n_cand == b->n_cand && same_ints(a->cand, b->cand, a->n_cand));
    CHECK(same_reals(a->score, b->score, a->n_cand) && same_reals(a->tis, b->tis, a->n_cand));
    CHECK(same_reals(a->gate, b->gate, a->n_cand) && same_reals(a->penalty, b->penalty, a->n_cand));
    CHECK(same_reals(a->delta_e_norm, b->delta_e_norm, a->n_cand) && same_name(a->tis_name, b->tis_name));
    CHECK(same_real(a->h_t, b->h_t) && same_real(a->lambda_t, b->lambda_t));
    CHECK(a->n_observed == b->n_observed && same_ints(a->observed, b->observed, a->n_observed));
    CHECK(same_reals(a->observed_tis, b->observed_tis, a->n_observed) &&
          same_name(a->observed_name, b->observed_name));
    CHECK(a->n_writes == b->n_writes);
    for (int i = 0; i < a->n_writes && i < b->n_writes; i++) {
        CHECK(a->writes[i].pos == b->writes[i].pos && a->writes[i].token == b->writes[i].token);
        CHECK(same_real(a->writes[i].p, b->writes[i].p) && same_real(a->writes[i].score, b->writes[i].score));
    }
    CHECK(same_real(a->total_entropy, b->total_entropy) && same_real(a->nfe, b->nfe) &&
          a->backward_rows == b->backward_rows);
    CHECK(same_real(a->ms, b->ms) && same_real(a->observe_ms, b->observe_ms) &&
          same_name(a->extra_json, b->extra_json));
}

static void same_headers(const traj_header *a, const traj_header *b) {
    CHECK(!strcmp(a->model_name, b->model_name) && !strcmp(a->model_arch, b->model_arch));
    CHECK(!strcmp(a->fingerprint, b->fingerprint) && !strcmp(a->dtype, b->dtype) &&
          !strcmp(a->created, b->created));
    CHECK(a->n_vocab == b->n_vocab && a->mask_id == b->mask_id && a->eos_id == b->eos_id &&
          a->shifted == b->shifted);
    CHECK(!strcmp(a->policy, b->policy) && a->seed == b->seed && a->threads == b->threads &&
          a->n_prompt == b->n_prompt);
    CHECK(!strcmp(a->device, b->device) && !strcmp(a->precision, b->precision));
    CHECK(a->params.n == b->params.n && a->params.n > 0);
    for (int i = 0; i < a->params.n; i++) {
        CHECK(same_real(a->params.v[i], b->params.v[i]) && a->params.given[i] == b->params.given[i]);
    }
    CHECK(a->n_tokens == b->n_tokens && same_ints(a->start, b->start, a->n_tokens));
}

static void same_trajectories(const trajectory *a, const trajectory *b) {
    same_headers(&a->head, &b->head);
    CHECK(a->n_records == b->n_records && a->complete == b->complete);
    for (int i = 0; i < a->n_records && i < b->n_records; i++) same_records(a->records[i], b->records[i]);
    CHECK(same_ints(a->last, b->last, a->head.n_tokens));
}

static void same_text(token_texts a, token_texts b, int32_t id) {
    size_t n = 0, m = 0;
    bool x = false, y = false;
    const char *s = a.text(a.ctx, id, &n, &x), *t = b.text(b.ctx, id, &m, &y);
    CHECK(!s == !t && (!s || (n == m && !memcmp(s, t, n) && x == y)));
}

static replay *load(const char *path) {
    replay *r;
    err e = {0};
    if (replay_load(&r, path, &e)) fail_msg("%s", e.msg);
    return r;
}

static void record(const trajectory *t, const char *path) {
    recorder *w;
    err e = {0};
    if (recorder_open(&w, path, &t->head, t->texts, &e)) fail_msg("%s", e.msg);
    for (int i = 0; i < t->n_records; i++) {
        if (recorder_step(w, t->records[i], &e)) fail_msg("%s", e.msg);
    }
    if (recorder_finish(w, t, &e)) fail_msg("%s", e.msg);
    if (t->n_records) CHECK(recorder_step(w, t->records[0], &e) == ERR_IO);
    CHECK(recorder_finish(w, t, &e) == ERR_IO);
    recorder_close(w);
}

static void round_trip(int n_vocab) {
    trajectory t;
    err e = {0};
    strbuf a, b;
    build(&t, n_vocab);
    char first[128];
    snprintf(first, sizeof first, "%s", in_dir("a.jsonl"));
    record(&t, first);
    replay *r = load(first);
    CHECK(!r->truncated && !r->note[0]);
    same_trajectories(&t, &r->traj);
    if (n_vocab == V) {
        for (int id = 0; id < V; id++) same_text(t.texts, r->traj.texts, id);
    } else {
        /* Only what occurred. */
        const int32_t ids[] = {5, 8, MASK, 3, 4, BIG_V - 2, 0, 7, 14};
        for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) same_text(t.texts, r->traj.texts, ids[i]);
        size_t n;
        bool special;
        CHECK(!r->traj.texts.text(r->traj.texts.ctx, 40001, &n, &special));
    }
    /* Saving what was read gives the same bytes. */
    CHECK(replay_save(&r->traj, in_dir("b.jsonl"), &e) == 0);
    read_bytes(&a, first);
    read_bytes(&b, in_dir("b.jsonl"));
    CHECK(a.len == b.len && !memcmp(a.data, b.data, a.len));
    strbuf_release(&a);
    strbuf_release(&b);
    replay_close(r);
    trajectory_release(&t);
}

static void test_round_trip(void **state) {
    (void)state;
    round_trip(V);
    round_trip(BIG_V);
}

/* A comma for a decimal point must not reach the file. */
static void test_locale(void **state) {
    (void)state;
    locale_t comma = comma_locale();
    if (!comma) skip();
    uselocale(comma);
    CHECK(*localeconv()->decimal_point == ',');
    round_trip(V);
    uselocale(LC_GLOBAL_LOCALE);
    freelocale(comma);
}

/* ---- the kept fixture ---- */

static void test_fixture(void **state) {
    (void)state;
    trajectory t;
    err e = {0};
    build(&t, V);
    if (update) CHECK(replay_save(&t, FIXTURE, &e) == 0);
    replay *r = load(FIXTURE);
    CHECK(!r->truncated && r->traj.n_records == 4 && r->traj.head.seed == UINT64_MAX);
    CHECK(r->traj.records[1]->kind == STEP_FORCE && r->traj.records[2]->kind == STEP_REMASK);
    CHECK(!r->traj.complete && r->traj.last[7] == MASK && r->traj.last[5] == 4 && r->traj.last[11] == 0);
    for (int i = 0; i < 4; i++) same_records(t.records[i], r->traj.records[i]);
    replay_close(r);
    trajectory_release(&t);
}

/* The file of schema 1.1: a setting, a note, and the steps of 1.0 around them. */
static void test_fixture_1_1(void **state) {
    (void)state;
    replay *r = load("tests/replay/v1.1.jsonl");
    CHECK(!r->truncated && !r->note[0] && r->traj.n_records == 5 && !r->traj.complete);
    const step_record *set = r->traj.records[3];
    CHECK(set->kind == STEP_SETTING && set->setting && !strcmp(set->setting->policy, "margin"));
    CHECK(set->setting->T == 9 && set->setting->n_bans == 2 && set->setting->n_pins == 1);
    CHECK(set->setting->bans[1].pos == 4 && set->setting->bans[1].token == 3 && set->setting->pins[0] == 7);
    CHECK(param_int(&set->setting->params, "budget") == 7 && set->setting->params.given[1]);
    CHECK(param_int(&set->setting->params, "block-length") == 0); /* of a later version: its default */
    CHECK(!strcmp(r->traj.records[0]->note, "a person's words"));
    CHECK(r->traj.last[7] == MASK && r->traj.last[11] == 0);
    replay_close(r);
}

/* Schema 1.2: a decode step that puts tokens back, and one that writes nothing. */
static void test_put_back(void **state) {
    (void)state;
    trajectory t;
    err e = {0};
    build(&t, V);
    step_record *r = known(&t, STEP_DECODE);
    writes(r, 3, (step_write[]){{7, 3, unit(), 0.5}, {9, MASK, 0, -2}, {0, MASK, 0, -1}});
    append(&t, r);
    r = known(&t, STEP_DECODE);
    writes(r, 0, NULL);
    append(&t, r);
    record(&t, in_dir("back.jsonl"));
    replay *read = load(in_dir("back.jsonl"));
    same_trajectories(&t, &read->traj);
    CHECK(read->traj.last[9] == MASK && read->traj.last[7] == 3 && !read->traj.complete);
    strbuf out;
    strbuf_init(&out, 1 << 20);
    const trajectory *one[] = {&read->traj};
    CHECK(export_write(export_find("md"), one, 1, (export_opts){.at = EXPORT_END}, &out, &e) == 0);
    CHECK(strstr(out.data, ": 11 tokens in 6 steps, 2 put back\n"));
    CHECK(strstr(out.data, ", 9: put back, 0: put back |"));
    CHECK(strstr(out.data, "| 6 | decode |  |"));
    strbuf_clear(&out);
    CHECK(replay_export_csv(&read->traj, &out, &e) == 0);
    CHECK(strstr(out.data, "\n4,decode,9,\" b\",,,,,,0,,,,,1,1,19,<mask>\n") ||
          strstr(out.data, "\n4,decode,9, b,,,,,,0,,,,,1,1,19,<mask>\n"));
    strbuf_release(&out);
    replay_close(read);
    trajectory_release(&t);
}

/* ---- cuts ---- */

static void test_cuts(void **state) {
    (void)state;
    strbuf file;
    read_bytes(&file, FIXTURE);
    char path[128];
    snprintf(path, sizeof path, "%s", in_dir("cut.jsonl"));
    for (size_t n = 0; n < file.len; n++) {
        replay *r = NULL;
        err e = {0};
        int whole = 0;
        for (size_t i = 0; i < n; i++) whole += file.data[i] == '\n';
        write_bytes(path, file.data, n);
        int rc = replay_load(&r, path, &e);
        if (whole == 0) {
            CHECK(rc == ERR_BAD_FORMAT && !r && strstr(e.msg, "truncated") && strstr(e.msg, path));
            continue;
        }
        CHECK(rc == 0 && r && r->truncated && !strncmp(r->note, "truncated: ", 11));
        if (!r) continue;
        char kept[40];
        int want = whole - 1 > 4 ? 4 : whole - 1;
        snprintf(kept, sizeof kept, "; %d step%s kept", want, want == 1 ? " is" : "s are");
        CHECK(r->traj.n_records == want && strstr(r->note, kept));
        if (file.data[n - 1] == '\n') CHECK(strstr(r->note, "no closing line"));
        replay_close(r);
    }
    /* A tail of zeros, as after a power cut. */
    char *line = strstr(file.data, "\"step\":3");
    memset(line, 0, 100);
    write_bytes(path, file.data, (size_t)(line - file.data) + 100);
    replay *r = load(path);
    CHECK(r->truncated && r->traj.n_records == 3 && strstr(r->note, "line 5 is cut"));
    replay_close(r);
    /* With its newline the line was written whole: then it is broken, not cut. */
    file.data[line - file.data + 100] = '\n';
    write_bytes(path, file.data, (size_t)(line - file.data) + 101);
    err e = {0};
    CHECK(replay_load(&r, path, &e) == ERR_BAD_FORMAT && strstr(e.msg, "a NUL byte"));
    strbuf_release(&file);
}

/* ---- refusals ---- */

/* In line `line`, the first `from` becomes `to`; '^' in `to` marks the expected column and is taken out. */
static const struct {
    int line;
    const char *from, *to, *want;
} damages[] = {
    {1, "tabes-trajectory", "other", "schema \"other\", expected \"tabes-trajectory\""},
    {1, "\"version\":\"1.0\"", "\"version\":^\"2.0\"", "schema 2.0, this program reads 1.x"},
    {1, "\"version\":\"1.0\"", "\"version\":^\"1\"", "expected \"major.minor\""},
    {1, "\"version\":\"1.0\"", "\"version\":^1.0", "version is not a string"},
    {1, "\"version\":\"1.0\",", "", "no field \"version\""},
    {1, "\"type\":\"header\"", "\"type\":^\"step\"", "the first line is not a header"},
    {1, "{\"type\"", "^[\"type\"", "expected a JSON object"},
    {1, "\"type\":", "\"type\"^;", "not valid JSON"},
    {1, "{\"type\"", "^\xef\xbb\xbf{\"type\"", "expected a JSON object"},
    {1, "\"n_vocab\":20", "\"n_vocab\":^1", "n_vocab is 1, expected 2 to 2097152"},
    {1, "\"n_vocab\":20", "\"n_vocab\":^1e300", "n_vocab is not a whole number"},
    {1, "\"n_vocab\":20", "\"n_vocab\":^2097153", "n_vocab is 2097153"},
    {1, "\"n_vocab\":20", "\"n_vocab\":^20.5", "n_vocab is not a whole number"},
    {1, "\"mask_id\":19", "\"mask_id\":^20", "mask_id is 20, expected 0 to 19"},
    {1, "\"eos_id\":0", "\"eos_id\":^-1", "eos_id is -1"},
    {1, "\"name\":\"tiny\"", "\"name\":^\"\\u001b[2J\"", "name holds a control character"},
    {1, "\"name\":\"tiny\"", "\"name\":^\"\\u009b2J\"", "name holds a control character"},
    {1, "\"name\":\"tiny\"", "\"name\":\"^\x1b\"", "a control character"},
    {1, "\"name\":\"tiny\"", "\"name\":\"^\xff\"", "not valid UTF-8"},
    {1, "\"name\":\"tiny\"", "\"name\":\"^\xed\xa0\x80\"", "not valid UTF-8"},
    {1, "\"name\":\"tiny\"", "\"name\":\"^\\u0000\"", "a NUL character in a string"},
    {1, "\"name\":\"tiny\"", "\"name\":\"x\",\"name\":^\"y\"", "field \"name\" occurs twice"},
    {1, "\"dtype\":\"F32\"", "\"dtype\":^\"FLOAT32-BIG\"", "dtype is longer than 7 bytes"},
    {1, "\"steps\":0", "\"steps\":^-1", "steps"},
    {1, "\"steps\":0", "\"steps\":^[]", "parameter steps is neither"},
    {1, "\"seed\":\"18446744073709551615\"", "\"seed\":^\"18446744073709551616\"",
     "seed is not a string of digits"},
    {1, "\"seed\":\"18446744073709551615\"", "\"seed\":^\"-1\"", "seed is not a string of digits"},
    {1, "\"n_prompt\":4", "\"n_prompt\":^13", "n_prompt is 13, expected 0 to 12"},
    {1, "\"start\":[5,", "\"start\":[^20,", "start is 20, expected 0 to 19"},
    {1, "\"start\":[5,", "\"start\":^{},\"old\":[5,", "start is not an array"},
    {1, "\"start\":[5,", "\"start\":^[],\"old\":[5,", "start has no tokens"},
    {1, "\"texts\":{", "\"texts\":{\"20\":^\"x\",", "texts: token 20, expected 0 to 19"},
    {1, "\"texts\":{", "\"texts\":{\"01\":^\"x\",", "texts: the key is not a token id"},
    {1, "\"texts\":{", "\"texts\":{\"1\":^7,", "a token's text is neither"},
    {1, "\"texts\":{", "\"texts\":{\"1\":\"x\",", "texts: token 1 had another text before"},
    {1, "\"hex\":\"e28a\"", "\"hex\":^\"e28\"", "hex has an odd number of digits"},
    {1, "\"hex\":\"e28a\"", "\"hex\":^\"e28g\"", "hex holds something else"},
    {2, "\"type\":\"step\"", "\"type\":^\"line\"", "type \"line\", expected step or closing"},
    {2, "\"step\":0", "\"step\":^1", "step 1, expected 0"},
    {2, "\"kind\":\"decode\"", "\"kind\":^\"guess\"",
     "kind \"guess\", expected decode, force, remask or setting"},
    {2, "\"t\":5", "\"t\":^10", "t is 10, expected 1 to 9"},
    {2, "\"T\":9", "\"T\":^0", "T is 0"},
    {2, "\"T\":9", "\"T\":^16777217", "T is 16777217, expected 1 to 16777216"},
    {2, "\"masked\":[2,", "\"masked\":[2,^3,", "masked: position 3 is not masked"},
    {2, "\"masked\":[2,4,", "\"masked\":[^4,", "masked: position 2 is masked and not listed"},
    {2, "\"masked\":[2,4,", "\"masked\":[4,^2,", "masked: position 2 after 4, expected ascending order"},
    {2, "\"masked\":[2,4,", "\"masked\":[^-2,4,", "masked: position -2 is negative"},
    {2, "10,11],\"entropy\"", "10,^12],\"entropy\"", "masked: position 12 is past the end (12)"},
    {2, "\"masked\":[", "\"masked\":[^\"\",", "masked is not a whole number"},
    {2, "\"masked\":", "\"masks\":", "no field \"masked\""},
    {2, "\"entropy\":[", "\"entropy\":[^1e999,1,1,1,1,1,1,1,1],\"old\":[", "entropy is not finite"},
    {2, "\"entropy\":[", "\"entropy\":[1,1,^9,1,1,1,1,1,1],\"old\":[",
     "entropy is 9, expected -0.001 to 2.99"},
    {2, "\"entropy\":[", "\"entropy\":^[1,1],\"old\":[", "entropy has 2 items, expected 9"},
    {2, "\"confidence\":[", "\"confidence\":[1,1,1,1,1,1,1,1,1,^1],\"old\":[",
     "confidence has more than 9 items"},
    {2, "\"confidence\":[", "\"confidence\":[1.5,1,1,1,1,1,1,1,1],\"old\":[", "confidence is 1.5, expected"},
    {2, "\"margin\":[", "\"margin\":[[", "not valid JSON"},
    {2, "\"margin\":[", "\"margin\":[^01,", "not valid JSON"},
    {2, "\"margin\":[", "\"margin\":[^+1,", "not valid JSON"},
    {2, "\"margin\":[", "\"margin\":[^.5,", "not valid JSON"},
    {2, "\"margin\":[", "\"margin\":[^1.,", "not valid JSON"},
    {2, "\"margin\":[", "\"margin\":[^1e,", "not valid JSON"},
    {2, "\"margin\":[", "\"margin\":[^-,", "not valid JSON"},
    {2, "\"margin\":[", "\"margin\":[0^x10,", "not valid JSON"},
    {2, "\"margin\":[", "\"margin\":[0,^]", "not valid JSON"},
    {2, "\"margin\":[", "\"margin\":[0 ^0,", "not valid JSON"},
    {2, "\"margin\":[", "\"margin\":[^nul,", "not valid JSON"},
    {2, "\"kind\":", "\"kind\":\"\\^x\",\"kind\":", "not valid JSON"},
    {2, "\"kind\":", "\"kind\":\"\\^u12\",\"kind\":", "not valid JSON"},
    {2, "\"kind\":", "\"kind\":\"\\^ud83d\",\"kind\":", "not valid JSON"},
    {2, "\"kind\":", "\"kind\":\"\\^ude00\",\"kind\":", "not valid JSON"},
    {2, "\"kind\":", "^kind\":", "not valid JSON"},
    {2, "\"argmax\":[0,", "\"argmax\":[^20,", "argmax is 20, expected 0 to 19"},
    {2, "\"argmax\":[0,", "\"argmax\":[^-1,", "argmax is -1, expected 0 to 19"},
    {2, "\"top_k\":4", "\"top_k\":^9", "top_k is 9, expected 1 to 8"},
    {2, "\"top_k\":4", "\"top_k\":2", "top_ids has more than 2 items"},
    {2, "\"top_ids\":[[0,7,14]", "\"top_ids\":[[0,7]", "top_p has 3 items where top_ids has 2"},
    {2, "\"top_ids\":[[0,7,14]", "\"top_ids\":[[0,7,^20]", "top_ids is 20"},
    {2, "\"total_entropy\":", "\"total_entropy\":^null,\"old\":", "total_entropy is not a number"},
    {2, "\"total_entropy\":", "\"nothing\":", "no field \"total_entropy\""},
    {2, "\"candidates\":[4,", "\"candidates\":[^3,", "candidates: position 3 is not masked"},
    {2, "\"candidates\":[4,", "\"candidates\":[4,^4,", "candidates: position 4 after 4"},
    {2, "\"gate\":[", "\"gate\":[1,^2,1,1],\"old\":[", "gate is 2"},
    {2, "\"tis\":[", "\"tis\":^[],\"old\":[", "tis has 0 items, expected 4"},
    {2, "\"pos\":7", "\"pos\":^91", "writes: position 91 is past the end (12)"},
    {2, "\"pos\":7", "\"pos\":^-1", "writes: position -1 is negative"},
    {2, "\"pos\":7", "\"pos\":^3", "writes: position 3 is not masked"},
    {2, "\"pos\":5", "\"pos\":^7", "writes: position 7 is written twice"},
    {2, "\"pos\":7,\"token\":3", "\"pos\":^7,\"token\":19", "writes: position 7 is masked already"},
    {3, "\"token\":", "\"token\":^19,\"old\":", "writes: token 19 is the mask"},
    {2, "\"token\":3", "\"token\":^20", "token is 20, expected 0 to 19"},
    {2, "\"token\":3", "\"tokens\":3", "no field \"token\""},
    {2, "\"writes\":[{", "\"writes\":[^1,{", "writes: expected an object"},
    {2, "\"writes\":[{", "\"writes\":^{},\"old\":[{", "writes is not an array"},
    {2, "\"nfe\":", "\"nfe\":^-1,\"old\":", "nfe is -1"},
    {2, "\"nfe\":", "\"nfe\":^1e16,\"old\":", "nfe is 1e+16, expected 0 to 1e+15"},
    {2, "\"ms\":", "\"ms\":^1e300,\"old\":", "ms is 1e+300, expected 0 to 1e+15"},
    {2, "\"observe_ms\":", "\"observe_ms\":^1e300,\"old\":", "observe_ms is 1e+300"},
    {2, "\"ms\":", "\"ms\":1,\"ms\":", "field \"ms\" occurs twice"},
    {3, "\"pos\":2", "\"pos\":^12", "writes: position 12 is past the end (12)"},
    {4, "\"token\":19", "\"token\":^18", "a remask writes token 18, expected the mask 19"},
    {4, "\"pos\":0", "\"pos\":^4", "writes: position 4 is masked already"},
    {5, "\"positions\":[0,4", "\"positions\":[^1,4", "positions: position 1 is not masked"},
    {5, "\"observed\":{", "\"observed\":^7,\"old\":{", "observed is not an object"},
    {6, "\"steps\":4", "\"steps\":^5", "5 steps, the file has 4"},
    {6, "\"complete\":false", "\"complete\":^0", "complete is neither true nor false"},
    {6, "\"complete\":false", "\"complete\":^true", "complete is true, the steps leave masks"},
    {6, "\"result\":[6,", "\"result\":[^7,", "result: token 7 at position 0, the steps lead to 6"},
    {6, "\"result\":[6,", "\"result\":^[", "result has 11 items, expected 12"},
    {6, "\"written\":12", "\"written\":^11", "written is 11, the steps have 12"},
    {6, "\"nfe\":", "\"nfe\":^0,\"old\":", "nfe is 0, the steps have"},
    {6, "\"ms\":", "\"ms\":^7,\"old\":", "ms is 7, the steps have"},
    {6, "\"backward_rows\":", "\"backward_rows\":^0,\"old\":", "backward_rows is 0"},
};

/* Loads `file` with one damage; checks position and message. */
static void one_damage(const strbuf *file, int line, const char *from, const char *to, const char *want) {
    strbuf out;
    strbuf_init(&out, 1 << 26);
    const char *start = file->data;
    for (int i = 1; i < line; i++) start = strchr(start, '\n') + 1;
    const char *hit = strstr(start, from), *mark = strchr(to, '^');
    if (!hit || hit > strchr(start, '\n')) fail_msg("line %d has no %s", line, from);
    strbuf_add(&out, file->data, (size_t)(hit - file->data));
    size_t column = (size_t)(hit - start) + (mark ? (size_t)(mark - to) : 0) + 1;
    if (mark) strbuf_add(&out, to, (size_t)(mark - to));
    strbuf_puts(&out, mark ? mark + 1 : to);
    strbuf_puts(&out, hit + strlen(from));
    write_bytes(in_dir("bad.jsonl"), out.data, out.len);
    replay *r = NULL;
    err e = {0};
    char place[200];
    int rc = replay_load(&r, in_dir("bad.jsonl"), &e);
    snprintf(place, sizeof place, mark ? "%s:%d:%zu: " : "%s:%d:", in_dir("bad.jsonl"), line, column);
    bool ok = rc == ERR_BAD_FORMAT && !r && !strncmp(e.msg, place, strlen(place)) && strstr(e.msg, want);
    if (!ok) print_error("%s -> %s: \"%s\", expected \"%s...%s\"\n", from, to, e.msg, place, want);
    CHECK(ok);
    replay_close(r);
    strbuf_release(&out);
}

static void test_damages(void **state) {
    (void)state;
    strbuf file;
    read_bytes(&file, FIXTURE);
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        one_damage(&file, damages[i].line, damages[i].from, damages[i].to, damages[i].want);
    }
    strbuf_release(&file);
}

static void refused(const char *data, size_t n, const char *want) {
    replay *r = NULL;
    err e = {0};
    write_bytes(in_dir("odd.jsonl"), data, n);
    int rc = replay_load(&r, in_dir("odd.jsonl"), &e);
    if (rc != ERR_BAD_FORMAT || !strstr(e.msg, want)) print_error("\"%s\", expected \"%s\"\n", e.msg, want);
    CHECK(rc == ERR_BAD_FORMAT && !r && strstr(e.msg, want));
    replay_close(r);
}

static void test_odd_files(void **state) {
    (void)state;
    strbuf file, b;
    replay *r;
    err e = {0};
    refused("", 0, ":1:1: an empty file, truncated before its header");
    refused("hello\n", 6, ":1:1: expected a JSON object; not a trajectory file");
    refused("hello", 5, ":1:1: expected a JSON object");
    refused("\n\n", 2, "an empty line");
    refused("{}\n", 3, ":1:1: no field \"type\"");
    refused("{\"type\":\"header\"}\n", 18, "no field \"schema\"");
    refused("\0\0\0\n", 4, ":1:1: a NUL byte");
    CHECK(replay_load(&r, in_dir("none.jsonl"), &e) == ERR_NOT_FOUND && strstr(e.msg, "none.jsonl") && !r);
    CHECK(replay_load(&r, dir, &e) == ERR_IO && strstr(e.msg, "is a directory") && !r);
    read_bytes(&file, FIXTURE);
    /* Something after the end. */
    strbuf_init(&b, 1 << 26);
    strbuf_add(&b, file.data, file.len);
    strbuf_puts(&b, "{\"type\":\"step\"}\n");
    refused(b.data, b.len, ":7:1: a line after the closing line");
    /* A fault in the middle is no truncation. */
    strbuf_clear(&b);
    const char *second = strchr(file.data, '\n') + 1;
    strbuf_add(&b, file.data, (size_t)(second - file.data));
    strbuf_puts(&b, "{\"type\":\n");
    strbuf_puts(&b, second);
    refused(b.data, b.len, ":2:9: the line ends inside JSON");
    /* Deep nesting, in a line that is otherwise unknown. */
    strbuf_clear(&b);
    strbuf_add(&b, file.data, (size_t)(second - file.data));
    strbuf_puts(&b, "{\"type\":\"step\",\"x\":");
    for (int i = 0; i < 100000; i++) strbuf_putc(&b, '[');
    strbuf_putc(&b, '\n');
    strbuf_puts(&b, second);
    refused(b.data, b.len, ":2:51: nested too deeply");
    strbuf_clear(&b);
    strbuf_puts(&b, "{\"type\":\"header\",\"x\":\"");
    for (int i = 0; i < (17 << 20) / 16; i++) strbuf_puts(&b, "0123456789abcdef");
    refused(b.data, b.len, ":1:1: a line of more than 16777216 bytes");
    /* Many unknown fields and many candidates cost no more than their bytes. */
    strbuf_clear(&b);
    const char *at = strstr(file.data, "\"candidates\":[");
    strbuf_add(&b, file.data, (size_t)(at - file.data));
    for (int i = 0; i < 200000; i++) strbuf_printf(&b, "\"u%d\":%d,", i, i);
    strbuf_puts(&b, "\"candidates\":[");
    for (int i = 0; i < 200000; i++) strbuf_printf(&b, "%d,", i);
    strbuf_puts(&b, at + 14);
    refused(b.data, b.len, "candidates has more than 12 items");
    strbuf_release(&b);
    strbuf_release(&file);
}

/* The fixture with `from` in place of `to`. */
static replay *load_changed(const char *from, const char *to) {
    strbuf file, out;
    read_bytes(&file, FIXTURE);
    strbuf_init(&out, 1 << 26);
    const char *hit = strstr(file.data, from);
    if (!hit) fail_msg("no %s", from);
    strbuf_add(&out, file.data, (size_t)(hit - file.data));
    strbuf_puts(&out, to);
    strbuf_puts(&out, hit + strlen(from));
    write_bytes(in_dir("changed.jsonl"), out.data, out.len);
    strbuf_release(&out);
    strbuf_release(&file);
    return load(in_dir("changed.jsonl"));
}

/* The digits are read to the double that strtod makes of them. */
static void one_number(const char *digits) {
    replay *r = load_changed("-1.0112525619056697e-28", digits);
    double want = strtod(digits, NULL), got = r->traj.records[0]->writes[0].score;
    if (memcmp(&want, &got, sizeof got) != 0) print_error("%s is read as %.17g\n", digits, got);
    CHECK(!memcmp(&want, &got, sizeof got));
    replay_close(r);
}

static void test_numbers(void **state) {
    (void)state;
    /* Halfway between two doubles, or a hair beside it; the longest fractions; the ends of the fast way. */
    static const char *const odd[] = {"0",
                                      "-0",
                                      "0.0",
                                      "-0.000e5",
                                      "1",
                                      "9007199254740992",
                                      "9007199254740993",
                                      "9007199254740995",
                                      "900719925474099.3",
                                      "9007199254740.993",
                                      "0.9007199254740993",
                                      "9.007199254740993e15",
                                      "18014398509481983",
                                      "1801439850948198.5",
                                      "0.1801439850948198500",
                                      "9999999999999999999",
                                      "99999999999999999999",
                                      "0.9999999999999999999",
                                      "0.99999999999999999999",
                                      "1e-27",
                                      "1e-28",
                                      "1E+22",
                                      "1e23",
                                      "123456789e-27",
                                      "9999999999999999999e-27",
                                      "1000000000000000000e-27",
                                      "0.1",
                                      "0.3",
                                      "0.30000000000000004",
                                      "0.500000000000000166",
                                      "0.50000000000000011102",
                                      "1.00000000000000011102230",
                                      "1.000000000000000111",
                                      "4.94065645841247e-324",
                                      "2.2250738585072011e-308",
                                      "1e-400",
                                      "1.7976931348623157e308",
                                      "0.000000000000000000000000000000000001",
                                      "5e-0000000000000000000003",
                                      "0.00000000000000000000000000",
                                      "7450580596923828125e-27",
                                      "2.98023223876953125E-8"};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) one_number(odd[i]);
    for (uint64_t k = 0; k < 600; k++) {
        char digits[64];
        uint64_t bits = rng_bits(11, k, 0, 0, RNG_TRUTH);
        if (k % 3 == 0) snprintf(digits, sizeof digits, "%.17g", (double)(bits >> 11) * 0x1p-53);
        if (k % 3 == 1)
            snprintf(digits, sizeof digits, "%llue-%d", (unsigned long long)bits / 2, (int)(bits % 29));
        if (k % 3 == 2) snprintf(digits, sizeof digits, "0.%019llu", (unsigned long long)bits / 2);
        one_number(digits);
    }
}

/* Escapes in a token's text. */
static void test_escapes(void **state) {
    (void)state;
    static const char raw[] = "\"1\":\"\\u0061\\u00e9\\u20ac\\uD83D\\ude00\\b\\f\\n\\r\\t\\/\\\\\\\"\u00e9\"";
    static const char want[] = "a\u00e9\u20ac\U0001F600\b\f\n\r\t/\\\"\u00e9";
    replay *r = load_changed("\"1\":\"a\"", raw);
    size_t n = 0;
    bool special = true;
    const char *text = r->traj.texts.text(r->traj.texts.ctx, 1, &n, &special);
    CHECK(n == sizeof want - 1 && !memcmp(text, want, n) && !special);
    replay_close(r);
}

/* Random damage: whatever happens, the answer is an error that names the file or a trajectory that can be
 * used. */
static void test_fuzz(void **state) {
    (void)state;
    enum { ROUNDS = 1500 };
    static const char bytes[] = "\"{}[],:0123456789-.eE\\nt\n\0\xff\x1b ";
    strbuf file, out;
    uint64_t k = 0, seed = 20260201;
    int accepted = 0;
    char path[128];
    snprintf(path, sizeof path, "%s", in_dir("fuzz.jsonl"));
    read_bytes(&file, FIXTURE);
    char *copy = mem_new(file.len, 1);
    for (int round = 0; round < ROUNDS; round++) {
        memcpy(copy, file.data, file.len);
        int n = 1 + (int)(rng_bits(seed, k++, 0, 0, RNG_TRUTH) % 3);
        for (int i = 0; i < n; i++) {
            uint64_t where = rng_bits(seed, k++, 0, 0, RNG_TRUTH),
                     what = rng_bits(seed, k++, 0, 0, RNG_TRUTH);
            copy[where % file.len] = bytes[what % (sizeof bytes - 1)];
        }
        write_bytes(path, copy, file.len);
        replay *r = NULL;
        err e = {0};
        /* What only verify takes differs from what all take by the contradiction. */
        if (!replay_load_to_verify(&r, path, &e)) {
            bool odd = r->contradiction[0];
            replay_close(r);
            CHECK((replay_load(&r, path, &e) != 0) == odd);
            replay_close(r);
        }
        r = NULL;
        e = (err){0};
        if (replay_load(&r, path, &e)) {
            bool ok = !r && !strncmp(e.msg, path, strlen(path));
            if (!ok) print_error("seed %llu, round %d: %s\n", (unsigned long long)seed, round, e.msg);
            CHECK(ok);
            continue;
        }
        accepted++;
        strbuf_init(&out, 1 << 26);
        CHECK(replay_export_csv(&r->traj, &out, &e) == 0 && replay_export_json(&r->traj, &out, &e) == 0);
        remove(in_dir("fuzz-saved.jsonl"));
        record(&r->traj, in_dir("fuzz-saved.jsonl")); /* without replay_save's fsync, which takes its time */
        replay *again = load(in_dir("fuzz-saved.jsonl"));
        CHECK(again->traj.n_records == r->traj.n_records);
        replay_close(again);
        strbuf_release(&out);
        replay_close(r);
    }
    CHECK(accepted > 0);
    free(copy);
    strbuf_release(&file);
}

/* ---- later minor versions ---- */

static void insert(strbuf *b, const char *after, const char *text) {
    char *hit = strstr(b->data, after);
    if (!hit) fail_msg("no %s", after);
    size_t at = (size_t)(hit - b->data) + strlen(after);
    strbuf tail;
    strbuf_init(&tail, b->max);
    strbuf_puts(&tail, b->data + at);
    b->len = at;
    strbuf_puts(b, text);
    strbuf_puts(b, tail.data);
    strbuf_release(&tail);
}

static void test_unknown_fields(void **state) {
    (void)state;
    strbuf file, saved;
    err e = {0};
    read_bytes(&file, FIXTURE);
    char *version = strstr(file.data, "\"1.0\"");
    version[3] = '7';
    insert(&file, "\"type\":\"header\",", "\"new\":12345678901234567890123,");
    insert(&file, "\"model\":{", "\"quant\": {\"a,b\":[1.10, \"}\"]} ,");
    insert(&file, "\"params\":{", "\"tau\":0.10,");
    insert(&file, "\"type\":\"step\",", "\"blocks\":[[0,4], [4,12]],\"x\\\"y\":null,");
    insert(&file, "\"type\":\"closing\",", "\"energy\":1.50e1,");
    write_bytes(in_dir("later.jsonl"), file.data, file.len);
    replay *r = load(in_dir("later.jsonl"));
    CHECK(!r->truncated && r->traj.n_records == 4);
    const char *extra = r->traj.records[0]->extra_json;
    CHECK(extra && !strcmp(extra, "{\"blocks\":[[0,4], [4,12]],\"x\\\"y\":null}"));
    CHECK(!r->traj.records[1]->extra_json);
    CHECK(replay_save(&r->traj, in_dir("kept.jsonl"), &e) == 0);
    read_bytes(&saved, in_dir("kept.jsonl"));
    CHECK(strstr(saved.data, "\"version\":\"1.7\""));
    CHECK(strstr(saved.data, "\"new\":12345678901234567890123}\n"));
    CHECK(strstr(saved.data, "\"quant\": {\"a,b\":[1.10, \"}\"]}}"));
    CHECK(strstr(saved.data, "\"tau\":0.10}"));
    CHECK(strstr(saved.data, ",\"blocks\":[[0,4], [4,12]],\"x\\\"y\":null}\n"));
    CHECK(strstr(saved.data, "\"energy\":1.50e1}\n"));
    replay *again = load(in_dir("kept.jsonl"));
    same_trajectories(&r->traj, &again->traj);
    CHECK(again->traj.records[0]->extra_json && !strcmp(again->traj.records[0]->extra_json, extra));
    replay_close(again);
    replay_close(r);
    strbuf_release(&saved);
    strbuf_release(&file);
    /* A policy that this version does not know still replays. */
    read_bytes(&file, FIXTURE);
    insert(&file, "\"policy\":\"", "later-");
    write_bytes(in_dir("later.jsonl"), file.data, file.len);
    r = load(in_dir("later.jsonl"));
    CHECK(!strcmp(r->traj.head.policy, "later-boe") && r->traj.head.params.n == 0);
    CHECK(replay_save(&r->traj, in_dir("kept.jsonl"), &e) == 0);
    read_bytes(&saved, in_dir("kept.jsonl"));
    CHECK(strstr(saved.data, "\"rho\":0.25") != NULL);
    replay_close(r);
    strbuf_release(&saved);
    strbuf_release(&file);
}

/* ---- writing that fails ---- */

/* A line of which only the newline has no room is none: the next one would end up behind it. */
static void test_line_without_newline(void **state) {
    (void)state;
    strbuf b;
    err e = {0};
    cJSON *obj = cJSON_CreateObject();
    strbuf_init(&b, 2);
    CHECK(json_put_object(&b, obj, NULL, &e) == 0 && b.len == 2);
    strbuf_clear(&b);
    CHECK(json_put_line(&b, obj, NULL, &e) == ERR_NO_MEMORY && strstr(e.msg, "more than 2 bytes"));
    strbuf_release(&b);
    cJSON_Delete(obj);
}

static void test_write_errors(void **state) {
    (void)state;
    trajectory t;
    recorder *w = NULL;
    err e = {0};
    build(&t, V);
    CHECK(recorder_open(&w, "/dev/full", &t.head, t.texts, &e) == ERR_IO && !w &&
          strstr(e.msg, "/dev/full: No space left"));
    CHECK(recorder_open(&w, in_dir("no/such/dir"), &t.head, t.texts, &e) == ERR_IO && !w);
    CHECK(replay_save(&t, "/dev/full", &e) == ERR_IO);
    CHECK(replay_save(&t, in_dir("no/such/dir"), &e) == ERR_IO);
    CHECK(replay_save(&t, "/dev/null", &e) == 0);
    /* A step that cannot be written: the file keeps its whole lines and nothing follows. */
    char path[128];
    snprintf(path, sizeof path, "%s", in_dir("broken.jsonl"));
    CHECK(recorder_open(&w, path, &t.head, t.texts, &e) == 0);
    CHECK(recorder_step(w, t.records[1], &e) == ERR_BAD_ARGUMENT);
    CHECK(recorder_step(w, t.records[0], &e) == 0);
    step_record *bad = record_new();
    *bad = (step_record){.step = 1, .kind = STEP_FORCE, .t = 1, .T = 1, .nfe = (double)NAN, .refs = 1};
    CHECK(recorder_step(w, bad, &e) == ERR_BAD_ARGUMENT && strstr(e.msg, "nfe is not a finite number"));
    CHECK(recorder_step(w, t.records[1], &e) == ERR_IO && strstr(e.msg, "failed earlier"));
    CHECK(recorder_finish(w, &t, &e) == ERR_IO);
    recorder_close(w);
    recorder_close(NULL);
    record_unref(bad);
    /* While one records to a file, nobody else empties or replaces it. */
    recorder *other = NULL;
    char claimed[128];
    snprintf(claimed, sizeof claimed, "%s", in_dir("claimed.jsonl"));
    CHECK(recorder_open(&w, claimed, &t.head, t.texts, &e) == 0 && recorder_step(w, t.records[0], &e) == 0);
    CHECK(recorder_open(&other, claimed, &t.head, t.texts, &e) == ERR_BAD_ARGUMENT && !other &&
          strstr(e.msg, "claimed.jsonl: another run is recording to it"));
    CHECK(replay_save(&t, claimed, &e) == ERR_BAD_ARGUMENT && strstr(e.msg, "another run"));
    CHECK(recorder_step(w, t.records[1], &e) == 0);
    recorder_close(w);
    CHECK(replay_save(&t, claimed, &e) == 0);
    replay *r = load(path);
    CHECK(r->truncated && r->traj.n_records == 1 && strstr(r->note, "no closing line; 1 step is kept"));
    /* Saving over an existing file replaces it whole and leaves no temporary. */
    CHECK(replay_save(&t, path, &e) == 0);
    replay_close(r);
    r = load(path);
    CHECK(!r->truncated && r->traj.n_records == 4);
    replay_close(r);
    trajectory_release(&t);
}

/* ---- export ---- */

static void test_export(void **state) {
    (void)state;
    strbuf out;
    err e = {0};
    replay *r = load(FIXTURE);
    strbuf_init(&out, 1 << 26);
    CHECK(replay_export_json(&r->traj, &out, &e) == 0);
    CHECK(!strncmp(out.data, "{\n\"header\": {\"type\":\"header\"", 28) &&
          strstr(out.data, "\"steps\": [\n{"));
    strbuf_clear(&out);
    CHECK(replay_export_csv(&r->traj, &out, &e) == 0);
    int rows = 0;
    for (size_t i = 0; i < out.len; i++) rows += out.data[i] == '\n';
    /* Header; 9 + 7 masked; 2 remasked; 8 masked; and the newline inside a quoted text. */
    CHECK(strstr(out.data, "\n0,decode,7,<mask>,"));
    CHECK(strstr(out.data, ",1,0,3,\\xe2\\x8a\n"));
    CHECK(strstr(out.data, ",1,1,4,\\x95\n"));
    CHECK(strstr(out.data, "\n2,remask,7,\\xe2\\x8a,,,,,,0,,,,,1,0,19,<mask>\n"));
    CHECK(strstr(out.data, "\n2,remask,0,\"\n\",,,,,,0,,,,,1,1,19,<mask>\n"));
    CHECK(strstr(out.data, "\"say \"\"x, y\"\"\""));
    CHECK(strstr(out.data, "\t\\x1b[2J"));
    CHECK(rows >= 1 + 9 + 7 + 2 + 8);
    strbuf_release(&out);
    strbuf_init(&out, 100);
    CHECK(replay_export_json(&r->traj, &out, &e) == ERR_NO_MEMORY);
    CHECK(replay_export_csv(&r->traj, &out, &e) == ERR_NO_MEMORY);
    strbuf_release(&out);
    replay_close(r);
}

/* ---- verify ---- */

typedef struct tiny {
    model m;
    int32_t prompt[10];
} tiny;

static void open_tiny(tiny *t, const char *arch) {
    char path[64];
    err e = {0};
    snprintf(path, sizeof path, "tests/vectors/%s", arch);
    if (model_open(&t->m, path, NULL, &e)) fail_msg("%s", e.msg);
    for (int i = 0; i < 10; i++) t->prompt[i] = i == 4 ? denoiser_get_info(t->m.d)->mask_id : 3 + i;
}

/* Decodes with interventions at steps 2 and 3 and records to `path`. */
static void decode(const tiny *m, const char *name, const char *setting, bool observe, bool intervene,
                   const char *path) {
    err e = {0};
    session *s;
    recorder *w;
    trajectory t;
    traj_header h;
    session_opts o = {.prompt = m->prompt,
                      .n_prompt = 10,
                      .length = 8,
                      .policy = policy_find(name),
                      .seed = 7,
                      .observe_tis = observe,
                      .top_k = 3};
    policy_defaults(o.policy, &m->m.tuning, &o.params);
    if (setting && param_parse(&o.params, setting, "0.7", &e)) fail_msg("%s", e.msg);
    if (session_open(&s, m->m.d, &o, &e)) fail_msg("%s", e.msg);
    session_header(s, &h);
    if (trajectory_init(&t, &h, model_texts(&m->m), &e)) fail_msg("%s", e.msg);
    if (recorder_open(&w, path, &h, t.texts, &e)) fail_msg("%s", e.msg);
    while (!session_done(s)) {
        const step_record *r = NULL;
        if (intervene && (t.n_records == 2 || t.n_records == 3)) {
            step_record *mine = record_new();
            bool force = t.n_records == 2;
            int pos = t.records[force ? 0 : 1]->writes[0].pos;
            *mine = (step_record){
                .step = t.n_records, .kind = force ? STEP_FORCE : STEP_REMASK, .t = 1, .T = 9, .refs = 1};
            writes(mine, 1, (step_write[]){{pos, force ? 5 : h.mask_id, 0, 0}});
            r = mine;
        } else if (session_propose(s, &r, &e)) {
            fail_msg("%s", e.msg);
        }
        if (session_commit(s, r, &e) || recorder_step(w, r, &e) || trajectory_append(&t, r, &e))
            fail_msg("%s", e.msg);
        record_unref(r);
    }
    if (recorder_finish(w, &t, &e)) fail_msg("%s", e.msg);
    recorder_close(w);
    session_close(s);
    trajectory_release(&t);
}

static verify_report verified(const tiny *m, const char *path, bool exact) {
    verify_report rep;
    err e = {0};
    replay *r = load(path);
    if (replay_verify(r, &m->m, VERIFY_TOLERANCE, exact, &rep, &e)) fail_msg("%s", e.msg);
    if (rep.same) CHECK(rep.steps_checked == r->traj.n_records && !rep.where[0]);
    if (exact && rep.same) CHECK(rep.max_rel <= 0);
    replay_close(r);
    return rep;
}

static void test_verify_same(void **state) {
    (void)state;
    char path[128];
    snprintf(path, sizeof path, "%s", in_dir("run.jsonl"));
    const char *const archs[] = {"llada", "dream"};
    for (int i = 0; i < 2; i++) {
        tiny m;
        open_tiny(&m, archs[i]);
        for (int k = 0; policies[k]; k++) {
            bool costly = strcmp(policies[k]->name, "oracle") == 0;
            decode(&m, policies[k]->name, costly ? NULL : "temperature", k % 2 == 0, k % 3 != 0, path);
            CHECK(verified(&m, path, false).same);
            verify_report rep = verified(&m, path, true);
            if (!rep.same) print_error("%s %s: %s\n", archs[i], policies[k]->name, rep.where);
            CHECK(rep.same);
        }
        /* Another number of threads stays within the tolerance. */
        int threads = kernels_threads();
        decode(&m, "boe", NULL, false, true, path);
        kernels_set_threads(threads == 1 ? 2 : 1);
        CHECK(verified(&m, path, false).same);
        kernels_set_threads(threads);
        model_close(&m.m);
    }
}

/* Line `line`: the number after `key` is multiplied. */
static void scale(strbuf *b, int line, const char *key, double by) {
    char *start = b->data, number[40];
    for (int i = 1; i < line; i++) start = strchr(start, '\n') + 1;
    char *at = strstr(start, key), *end;
    if (!at) fail_msg("no %s", key);
    at += strlen(key);
    double v = strtod(at, &end);
    snprintf(number, sizeof number, "%.17g", v * by);
    strbuf tail;
    strbuf_init(&tail, b->max);
    strbuf_puts(&tail, end);
    b->len = (size_t)(at - b->data);
    strbuf_puts(b, number);
    strbuf_puts(b, tail.data);
    strbuf_release(&tail);
}

static void test_verify_differs(void **state) {
    (void)state;
    static const struct {
        const char *key, *want;
    } kinds[] = {{"\"total_entropy\":", "step 2, total entropy: got "},
                 {"\"tis\":[", "TIS: got "},
                 {"\"score\":[", "score: got "},
                 {"\"delta_e_norm\":[", "norm of delta e: got "},
                 {"\"gate\":[", "gate: got "},
                 {"\"lambda_t\":", NULL},
                 {"\"nfe\":", "nfe: got "},
                 {"\"backward_rows\":", "backward rows: got "},
                 {"\"confidence\":[", "confidence: got "},
                 {"\"ms\":", NULL},
                 {"\"T\":", "t of T: got "}};
    char path[128];
    tiny m;
    strbuf file, b;
    open_tiny(&m, "llada");
    snprintf(path, sizeof path, "%s", in_dir("run.jsonl"));
    decode(&m, "boe", NULL, false, false, path);
    read_bytes(&file, path);
    /* The closing line is dropped: its totals would not fit an altered step. */
    *strstr(file.data, "{\"type\":\"closing\"") = '\0';
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        strbuf_init(&b, 1 << 26);
        strbuf_puts(&b, file.data);
        bool whole = strstr(kinds[i].key, "rows") || strstr(kinds[i].key, "T\"");
        scale(&b, 4, kinds[i].key, whole ? 2 : strstr(kinds[i].key, "[") ? 0.5 : 1.01);
        write_bytes(path, b.data, b.len);
        verify_report rep = verified(&m, path, false);
        bool ok = kinds[i].want
                      ? !rep.same && !strncmp(rep.where, "step 2, ", 8) && strstr(rep.where, kinds[i].want)
                      : rep.same;
        if (!ok) print_error("%s: %s\n", kinds[i].key, rep.where);
        CHECK(ok);
        /* Numbers alone: the run goes on to the end and the choices were the same. */
        CHECK(!rep.choice_changed && rep.steps_checked > 4 &&
              (!strstr(kinds[i].key, "[") || rep.max_rel > 0.01));
        strbuf_release(&b);
    }
    /* One digit: within the tolerance, and named with --exact. */
    strbuf_init(&b, 1 << 26);
    strbuf_puts(&b, file.data);
    scale(&b, 5, "\"total_entropy\":", 1 + 1e-12);
    write_bytes(path, b.data, b.len);
    CHECK(verified(&m, path, false).same);
    verify_report rep = verified(&m, path, true);
    CHECK(!rep.same && !strncmp(rep.where, "step 3, total entropy: got ", 27));
    strbuf_release(&b);
    strbuf_release(&file);
    model_close(&m.m);
}

/* The first write's token of a step becomes another, and its position swapped with the next one's in another
 * file. */
static void test_verify_tokens(void **state) {
    (void)state;
    char path[128];
    tiny m;
    err e = {0};
    open_tiny(&m, "llada");
    snprintf(path, sizeof path, "%s", in_dir("run.jsonl"));
    decode(&m, "confidence", "temperature", false, false, path);
    replay *r = load(path);
    trajectory t;
    if (trajectory_init(&t, &r->traj.head, r->traj.texts, &e)) fail_msg("%s", e.msg);
    for (int k = 0; k < 3; k++) {
        step_record *copy = record_new();
        const step_record *old = r->traj.records[k];
        *copy = *old;
        copy->mem = (arena){0};
        copy->refs = 1;
        step_write w = old->writes[0];
        if (k == 2) w.token = w.token == 3 ? 4 : 3;
        writes(copy, 1, &w);
        append(&t, copy);
    }
    CHECK(replay_save(&t, in_dir("altered.jsonl"), &e) == 0);
    verify_report rep = verified(&m, in_dir("altered.jsonl"), false);
    char want[80];
    snprintf(want, sizeof want, "step 2, position %d: wrote ", r->traj.records[2]->writes[0].pos);
    CHECK(!rep.same && rep.choice_changed && rep.steps_checked == 3 &&
          !strncmp(rep.where, want, strlen(want)) && strstr(rep.where, ", recorded "));
    trajectory_release(&t);
    replay_close(r);
    model_close(&m.m);
    /* A model with other tokens is refused, not compared. */
    open_tiny(&m, "dream");
    r = load(path);
    CHECK(replay_verify(r, &m.m, VERIFY_TOLERANCE, false, &rep, &e) == ERR_BAD_ARGUMENT &&
          strstr(e.msg, "another model"));
    replay_close(r);
    r = load(FIXTURE);
    snprintf(r->traj.head.policy, sizeof r->traj.head.policy, "later");
    CHECK(replay_verify(r, &m.m, VERIFY_TOLERANCE, false, &rep, &e) == ERR_UNSUPPORTED &&
          strstr(e.msg, "later"));
    replay_close(r);
    model_close(&m.m);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at) {
    (void)st, (void)type, (void)at;
    return remove(path);
}

int main(int argc, char **argv) {
    const char *tmp = getenv("TMPDIR");
    update = argc > 1 && !strcmp(argv[1], "--update");
    snprintf(dir, sizeof dir, "%.40s/tabes-test-XXXXXX", tmp && strlen(tmp) <= 40 ? tmp : "/tmp");
    if (!mkdtemp(dir)) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fixture),
        cmocka_unit_test(test_fixture_1_1),
        cmocka_unit_test(test_put_back),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_locale),
        cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_damages),
        cmocka_unit_test(test_odd_files),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_fuzz),
        cmocka_unit_test(test_unknown_fields),
        cmocka_unit_test(test_line_without_newline),
        cmocka_unit_test(test_write_errors),
        cmocka_unit_test(test_export),
        cmocka_unit_test(test_verify_same),
        cmocka_unit_test(test_verify_differs),
        cmocka_unit_test(test_verify_tokens),
    };
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    printf("replay: %d checks, %d failed\n", n_checks, n_failed);
    return rc || n_failed ? 1 : 0;
}
