/* export_run.h - a recording by hand whose tokens are hostile, for the tests of the exports: markup, escape
 * sequences, direction overrides, halves of characters, what no one can see. */
#ifndef TABES_EXPORT_RUN_H
#define TABES_EXPORT_RUN_H

#include "checks.h"

#include <string.h>

#include "replay/replay.h"

enum {
    EOS,
    SCRIPT,
    CDATA,
    ESCAPE,
    BIDI,
    HALF_1, /* U+2295 in two tokens */
    HALF_2,
    BREAK,
    CELL,
    COMMENT,
    PLAIN,
    NO_UTF8,
    WIDE,
    NUL,
    EMPTY,
    STACKED,
    UNKNOWN,
    TAB,
    BIDI_1, /* U+202E in two tokens */
    BIDI_2,
    QUOTES,
    TOP_ID,
    MASK,
    V
};

static const struct {
    const char *s;
    size_t n;
} hostile[V] = {
#define T(id, text) [id] = {text, sizeof text - 1}
    T(EOS, "<eos>"),
    T(SCRIPT, "</script><img src=x onerror=alert(1)>"),
    T(CDATA, "]]>"),
    T(ESCAPE, "\x1b[31mred\x07\x9b"),
    T(BIDI, "\u202Eevil\u2066"),
    T(HALF_1, "x\xe2\x8a"),
    T(HALF_2, "\x95y"),
    T(BREAK, "\n"),
    T(CELL, "a|b`c\\|*d*"),
    T(COMMENT, "<!--&amp;"),
    T(PLAIN, " plain"),
    T(NO_UTF8, "\xff\xfe\xc0\x80"),
    T(WIDE, "\u4E2D\u6587"),
    T(NUL, "a\0b"),
    T(EMPTY, ""),
    T(STACKED, "e\u0301\u0301\u0301\u0301\u0301"),
    T(TAB, "\t"),
    T(BIDI_1, "\xe2\x80"),
    T(BIDI_2, "\xae"),
    T(QUOTES, "\"'\u2028\\"),
    T(TOP_ID, "\uFEFF\uFFFF\xef\xbf\xbe"),
    T(MASK, "<mask>"),
#undef T
};

static const char *hostile_text(const void *ctx, int32_t id, size_t *len, bool *special) {
    (void)ctx;
    *len = hostile[id].n;
    *special = id == EOS || id == MASK;
    return hostile[id].s;
}

/* What a policy would have known at the last state of t: all alike but for the entropy. */
static inline step_record *known(const trajectory *t, step_kind kind) {
    enum { K = 2 };
    step_record *r = record_new();
    size_t n = 0;
    for (int i = 0; i < t->head.n_tokens; i++) n += t->last[i] == MASK;
    int *masked = arena_new(&r->mem, n, sizeof *masked), at = 0;
    double *h = arena_new(&r->mem, n, sizeof *h), *c = arena_new(&r->mem, n, sizeof *c);
    double *tis = arena_new(&r->mem, n, sizeof *tis), *one = arena_new(&r->mem, n, sizeof *one);
    token_prob *top = arena_new(&r->mem, K * n, sizeof *top);
    for (int i = 0; i < t->head.n_tokens; i++) {
        if (t->last[i] != MASK) continue;
        masked[at] = i;
        h[at] = 0.25 * (at + 1);
        c[at] = 0.75;
        tis[at] = at % 2 ? -0.125 : 0.5;
        one[at] = 1;
        top[K * at] = (token_prob){.id = TOP_ID, .p = 0.75};
        top[K * at + 1] = (token_prob){.id = CDATA, .p = 1e-9};
        at++;
    }
    r->step = t->n_records;
    r->kind = kind;
    r->t = r->T = 3;
    r->n_masked = r->n_cand = at;
    r->masked = r->cand = masked;
    r->entropy = h;
    r->confidence = r->margin = c;
    r->score = r->tis = tis;
    r->gate = one;
    r->tis_name = "mask/masked/candidates";
    r->top = top;
    r->top_k = K;
    r->nfe = 1.5;
    r->backward_rows = 7;
    r->ms = 2;
    return r;
}

/* Takes the record: gives it the writes (pos, token pairs) and appends it. */
static inline void commit(trajectory *t, step_record *r, int n, const int *pairs) {
    err e = {0};
    step_write *w = arena_new(&r->mem, (size_t)n, sizeof *w);
    for (int i = 0; i < n; i++)
        w[i] = (step_write){.pos = pairs[2 * i], .token = pairs[2 * i + 1], .p = 0.75, .score = 1};
    r->n_writes = n;
    r->writes = w;
    MUST(trajectory_append(t, r, &e), &e);
    record_unref(r);
}

static inline void open_run(trajectory *t, const int32_t *start, int n) {
    static const param_def rho = {.name = "rho", .type = PARAM_REAL, .max = 1, .def = 0.25};
    static const param_def *const defs[] = {&rho, NULL};
    traj_header h = {.model_name = "mo<b>del\x1b]0;x\x07",
                     .model_arch = "llada",
                     .fingerprint = "00ff",
                     .dtype = "F16",
                     .n_vocab = V,
                     .mask_id = MASK,
                     .eos_id = EOS,
                     .policy = "bo|e",
                     .seed = UINT64_MAX,
                     .device = "cpu",
                     .precision = "f32",
                     .threads = 2,
                     .created = "2026-01-01T00:00:00Z",
                     .n_prompt = 2,
                     .n_tokens = n,
                     .start = start};
    err e = {0};
    param_init(&h.params, defs);
    h.params.given[0] = true;
    MUST(trajectory_init(t, &h, (token_texts){hostile_text, NULL}, &e), &e);
}

/* A person changes the policy, pins position 0, forbids two tokens, and says why. */
static inline void commit_setting(trajectory *t) {
    step_record *r = record_new();
    step_ban bans[] = {{.pos = 1, .token = CDATA}, {.pos = -1, .token = CELL}};
    step_setting s = {.policy = "mar<gin", .params = t->head.params, .T = 9, .bans = bans, .n_bans = 2};
    int pin = 0;
    s.pins = &pin;
    s.n_pins = 1;
    r->step = t->n_records;
    r->kind = STEP_SETTING;
    r->note = "why | \x1b[2J</script>\nbecause";
    assert_true(record_set_setting(r, &s));
    commit(t, r, 0, NULL);
}

enum { N_HOSTILE = 24 };

/* Four states after the start: a decode, a force, a remask, a decode that ends it. */
static inline void hostile_run(trajectory *t) {
    int32_t start[N_HOSTILE];
    for (int i = 0; i < N_HOSTILE; i++) start[i] = MASK;
    start[0] = EOS;
    start[1] = SCRIPT;
    start[2] = EMPTY;
    open_run(t, start, N_HOSTILE);
    commit(t, known(t, STEP_DECODE), 8,
           (const int[]){3, ESCAPE, 4, BIDI, 5, HALF_1, 6, HALF_2, 7, BREAK, 8, CELL, 9, COMMENT, 10, CDATA});
    commit(t, known(t, STEP_FORCE), 2, (const int[]){11, NO_UTF8, 12, WIDE});
    commit(t, known(t, STEP_REMASK), 2, (const int[]){3, MASK, 1, MASK});
    commit(t, known(t, STEP_DECODE), 13,
           (const int[]){1,  PLAIN,  3,  NUL, 13, STACKED, 14, UNKNOWN, 15, TAB,  16, BIDI_1, 17, BIDI_2,
                         18, QUOTES, 19, EOS, 20, EOS,     21, SCRIPT,  22, WIDE, 23, TOP_ID});
}

/* The document of n runs, as text; the buffer is initialised here. */
static inline void must_export(strbuf *out, const char *format, const trajectory *const *runs, int n,
                               export_opts o) {
    err e = {0};
    strbuf_init(out, 1 << 26);
    MUST(export_write(export_find(format), runs, n, o, out, &e), &e);
    CHECK(strlen(out->data) == out->len); /* no NUL */
}

/* Nothing that steers a screen or the reading order, and no bytes that are not UTF-8 of XML's characters. */
static inline bool is_harmless(const strbuf *b) {
    static const char *const forbidden[] = {"\u202E", "\u2066", "\u2028",  "\uFEFF",
                                            "\uFFFF", "\uFFFE", "\xc2\x9b"};
    for (size_t i = 0; i < b->len; i++) {
        unsigned char c = (unsigned char)b->data[i];
        if ((c < 0x20 && c != '\n') || c == 0x7f) return false;
    }
    for (size_t i = 0; i < sizeof forbidden / sizeof *forbidden; i++) {
        if (strstr(b->data, forbidden[i])) return false;
    }
    return mbstowcs(NULL, b->data, 0) != (size_t)-1;
}

static inline int count_of(const strbuf *b, const char *what) {
    int n = 0;
    for (const char *s = b->data; (s = strstr(s, what)) != NULL; s += strlen(what)) n++;
    return n;
}

#endif
