/* test_lesson.c - the text of a lesson: what is read, what is refused and where, and that no bytes crash it.
 */
#include "checks.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/rng.h"
#include "engine/base/strbuf.h"
#include "tui/lessons/lesson.h"
#include "tui/lessons/sets.h"

#define HEAD "title: T\nabout: A\nmodel: m\nlength: 4\npolicies: boe\n" /* five lines */
#define STEP HEAD "== S\n"

static lesson *parse(const char *text, err *e) {
    lesson *l;
    int rc = lesson_parse(&l, text, strlen(text), "dir/t.lesson", e);
    CHECK(!rc == (l != NULL));
    return l;
}

/* Faults -------------------------------------------------------------- */

/* text, where it fails, part of the message */
static const struct {
    const char *text, *place, *message;
} faults[] = {
    {"", ":1:1:", "no steps"},
    {"title: T\nfoo: x\n", ":2:1:", "expected title:, about:"},
    {"title: T\ntitle: U\n", ":2:1:", "a second time"},
    {"title:\n", ":1:7:", "nothing is given"},
    {"about: A\n== S\n", ":2:1:", "no title"},
    {"title: T\n== S\n", ":2:1:", "not what it is about"},
    {"title: T\nabout: A\n== S\n", ":3:1:", "give model: or replay:"},
    {"title: T\nabout: A\nmodel: m\n== S\n", ":4:1:", "policies: is missing"},
    {"title: T\nabout: A\nmodel: m\npolicies: boe\n== S\n", ":5:1:", "nothing to unmask"},
    {HEAD "prompt: a\nprompt-file: b\n== S\n", ":8:1:", "give prompt: or prompt-file:"},
    {HEAD "replay: r\n== S\n", ":7:1:", "recordings bring their own"},
    {"policies: boe, mauve\n", ":1:16:", "'mauve' is no policy"},
    {"policies: boe,boe,boe,boe,boe\n", ":1:27:", "more than 4"},
    {"order: x\n", ":1:8:", "expected a number"},
    {"length: 100001\n", ":1:9:", "0 to 100000"},
    {"seed: 18446744073709551616\n", ":1:7:", "expected a number"},
    {"set: budget\n", ":1:6:", "set: PARAMETER VALUE"},
    {HEAD "==\nx\n", ":6:3:", "a title is missing"},
    {STEP "== U\nx\n", ":7:1:", "the step before has no text"},
    {STEP "x\ndo: frobnicate\n", ":8:5:", "'frobnicate' is no command"},
    {STEP "x\ndo: quit\n", ":8:5:", "'quit' is not for lessons"},
    {STEP "x\ndo: export svg a.svg\n", ":8:5:", "not for lessons"},
    {STEP "x\ndo:\n", ":8:4:", "a command is missing"},
    {STEP "x\nmark: next, nowhere\n", ":8:13:", "'nowhere' is no position, range or set"},
    {STEP "x\nmark: 9-7\n", ":8:7:", "'9-7' is no position"},
    {STEP "\xC3\xA9 {pos what}\n", ":7:8:", "'what' is no position"},
    {STEP "a {what next} b\n", ":7:3:", "expected {KIND SET}"},
    {STEP "a {pos next\n", ":7:3:", "expected {KIND SET}"},
    {STEP "x\nmarks: 4\n", ":8:1:", "unknown; expected do:"},
    {STEP "x\nanswer: 4\n", ":8:1:", "without a question"},
    {STEP "x\nask: q\n- a\n+ b\n+ c\n", ":11:1:", "a second right choice"},
    {STEP "x\nask: q\n- a\n- b\n--\n", ":11:1:", "no choice of the question"},
    {STEP "x\nask: q\n+ a\n--\n", ":10:1:", "one choice only"},
    {STEP "x\nask: q\n--\n", ":9:1:", "neither choices"},
    {STEP "x\nask: q\n- a\n+ b\nanswer: 4\n--\n", ":12:1:", "not both"},
    {STEP "x\nask: q\n- a\n+ b\n== U\n", ":11:1:", "has no '--'"},
    {STEP "x\nask: q\n- a\n+ {H none}\n", ":10:6:", "'none' is no position"},
    {STEP "x\nask: q\nmore\n", ":9:1:", "text between a question"},
    {STEP "x\n--\ny\nask: q\n", ":10:1:", "belongs before '--'"},
    {STEP "x\n--\ny\n--\n", ":10:1:", "a second '--'"},
    {STEP "a\xC3\n", ":7:2:", "not UTF-8"},
    {STEP "a\x1B[2J\n", ":7:2:", "U+001B cannot be shown"},
    {STEP "a\u202E\n", ":7:2:", "U+202E cannot be shown"},
};

static void test_faults(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        char place[64];
        err e = {0};
        lesson *l = parse(faults[i].text, &e);
        snprintf(place, sizeof place, "dir/t.lesson%s", faults[i].place);
        bool ok = !l && e.code == ERR_BAD_FORMAT && !strncmp(e.msg, place, strlen(place)) &&
                  strstr(e.msg, faults[i].message);
        if (!CHECK(ok)) print_error("case %zu: %s\n", i, e.msg);
        lesson_free(l);
    }
}

/* n times the same line behind a beginning; the fault, or none. */
static bool refused(const char *begin, const char *line, int n, const char *message) {
    strbuf text;
    err e = {0};
    strbuf_init(&text, 1 << 20);
    strbuf_puts(&text, begin);
    for (int i = 0; i < n; i++) strbuf_puts(&text, line);
    lesson *l = parse(text.data, &e);
    bool yes = !l && strstr(e.msg, message);
    if (!yes) print_error("%s\n", e.msg);
    lesson_free(l);
    strbuf_release(&text);
    return yes;
}

static void test_limits(void **state) {
    (void)state;
    err e = {0};
    CHECK(refused(HEAD, "== S\nx\n", LESSON_MAX_STEPS + 1, "more than 64 steps"));
    CHECK(refused(STEP "x\nask: q\n", "- a\n", LESSON_MAX_CHOICES + 1, "more than 9 choices"));
    CHECK(refused("", "set: a b\n", LESSON_MAX_SETTINGS + 1, "more than 16 parameters"));
    CHECK(refused("", "replay: a\n", LESSON_MAX_PANES + 1, "more than 4 recordings"));
    lesson *l = parse("title: T\nabout: A\nmodel: m\nlength: 4\npolicies: boe\n== S\nx\0y", &e);
    CHECK(l != NULL); /* the text ends where its length says */
    lesson_free(l);
    CHECK(lesson_parse(&l, STEP "x\0y\n", sizeof STEP "x\0y\n" - 1, "t", &e) == ERR_BAD_FORMAT);
    CHECK(strstr(e.msg, "U+0000"));
    CHECK(lesson_load(&l, "tests/unit/none.lesson", &e) && strstr(e.msg, "none.lesson"));
}

/* What is read --------------------------------------------------------- */

static const char good[] =
    "# a comment\r\n"
    "title: A title: with a colon\r\n"
    "about: \u00E9t\u00E9\n"
    "order: 7\nmodel: ../models/m\nprompt-file: p.txt\nlength: 12\n"
    "policies: boe , confidence\nset: steps 6\nset: rho 0.5\nseed: 18446744073709551615\n\n"
    "== First\n"
    "one\n  two {pos next}\n\nthree\ndo: first\ndo: goto 3\nmark: next\nmark: 4\n"
    "== Second\n"
    "text\nask: which?\n- no\n+ yes {count masked}\n- neither\n--\nbecause\ndo: goto 4\n"
    "== Third\n"
    "ask: where?\nanswer: highest-entropy, 7-9\n--\nthere";

static void test_good(void **state) {
    (void)state;
    err e = {0};
    lesson *l = parse(good, &e);
    if (!l) fail_msg("%s", e.msg);
    CHECK(!strcmp(l->name, "t") && !strcmp(l->title, "A title: with a colon") &&
          !strcmp(l->about, "\u00E9t\u00E9"));
    CHECK(l->order == 7 && l->length == 12 && l->seed == UINT64_MAX && l->n_policies == 2 &&
          l->n_settings == 2);
    CHECK(!strcmp(l->model, "dir/../models/m") && !strcmp(l->prompt_file, "dir/p.txt") && !l->prompt);
    CHECK(!strcmp(l->policies[1], "confidence") && !strcmp(l->settings[1].name, "rho") &&
          !strcmp(l->settings[1].value, "0.5"));
    CHECK(l->n_steps == 3);
    const lesson_step *s = l->steps;
    CHECK(!strcmp(s[0].title, "First") && !strcmp(s[0].before.text, "one two {pos next}\nthree"));
    CHECK(!strcmp(s[0].before.commands, "first\ngoto 3\n") && !strcmp(s[0].before.marks, "next, 4"));
    CHECK(!s[0].has_after && !s[0].question);
    CHECK(s[1].n_choices == 3 && s[1].right == 1 && !s[1].place && !strcmp(s[1].question, "which?"));
    CHECK(!strcmp(s[1].choices[1], "yes {count masked}") && !strcmp(s[1].after.text, "because") &&
          !strcmp(s[1].after.commands, "goto 4\n"));
    CHECK(!s[2].n_choices && !strcmp(s[2].place, "highest-entropy, 7-9") &&
          !strcmp(s[2].after.text, "there"));
    lesson_free(l);
}

/* Every beginning and thousands of damaged copies of a real lesson are read or refused with a place. */
static void test_damage(void **state) {
    (void)state;
    strbuf text;
    err e = {0};
    MUST(strbuf_read_file(&text, "examples/lessons/greedy.lesson", LESSON_MAX_BYTES, &e), &e);
    char *copy = malloc(text.len);
    int bad = 0;
    for (size_t i = 0; i < 4000 + text.len; i++) {
        memcpy(copy, text.data, text.len);
        size_t n = i < text.len ? i : text.len;
        for (size_t k = 0; i >= text.len && k < 1 + i % 4; k++) {
            uint64_t r = rng_bits(1, i, k, 0, RNG_TRUTH);
            copy[(r >> 8) % text.len] = (char)r;
        }
        lesson *l;
        e = (err){0};
        int rc = lesson_parse(&l, copy, n, "t", &e);
        bad += rc ? l || rc != ERR_BAD_FORMAT || strncmp(e.msg, "t:", 2) : !l;
        lesson_free(l);
    }
    CHECK(bad == 0);
    free(copy);
    strbuf_release(&text);
}

static void test_sets(void **state) {
    (void)state;
    static const char *const good_sets[] = {"4", "4-4", "4, 7-9 ,next", "least-sure,lowest-margin"};
    static const char *const bad_sets[] = {"", " , ", "-4", "4-", "4 5", "next masked", "99999999-1", "Next"};
    const char *at;
    err e = {0};
    for (size_t i = 0; i < sizeof good_sets / sizeof *good_sets; i++)
        if (!CHECK(!set_check(good_sets[i], &at, &e))) print_error("%s\n", good_sets[i]);
    for (size_t i = 0; i < sizeof bad_sets / sizeof *bad_sets; i++)
        if (!CHECK(set_check(bad_sets[i], &at, &e))) print_error("%s\n", bad_sets[i]);
    for (int i = 0; set_names[i].name; i++) CHECK(!set_check(set_names[i].name, &at, &e));
    CHECK(!set_check_text("{ and } are keys, {count masked} is not", &at, &e));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_faults), cmocka_unit_test(test_limits), cmocka_unit_test(test_good),
        cmocka_unit_test(test_damage), cmocka_unit_test(test_sets),
    };
    setlocale(LC_CTYPE, "C.UTF-8");
    return finish("lesson", cmocka_run_group_tests(tests, NULL, NULL));
}
