/* test_param.c - parameters as text: what is read, what is refused and with which words. */
#include "checks.h"

#include <string.h>

#include "engine/param.h"
#include "engine/policy.h"

static const char *const colours[] = {"red", "sea-green", NULL};
static const param_def count_def = {
    .name = "count", .type = PARAM_INT, .min = -2, .max = 100, .def = 3, .help = "n"};
static const param_def rate_def = {
    .name = "my-rate", .type = PARAM_REAL, .min = 0, .max = 1, .def = 0.1, .help = "r"};
static const param_def flag_def = {.name = "flag", .type = PARAM_BOOL, .def = 1, .help = "f"};
static const param_def colour_def = {
    .name = "colour", .type = PARAM_CHOICE, .choices = colours, .def = 1, .help = "c"};
static const param_def *const defs[] = {&count_def, &rate_def, &flag_def, &colour_def, NULL};

static void test_defaults(void **state) {
    (void)state;
    param_set s;
    param_init(&s, defs);
    CHECK(s.n == 4 && param_int(&s, "count") == 3 && near(param_real(&s, "my-rate"), 0.1, 0));
    CHECK(param_bool(&s, "flag") && strcmp(param_choice(&s, "colour"), "sea-green") == 0);
    for (int i = 0; i < s.n; i++) CHECK(!s.given[i]);
    CHECK(param_find(&s, "my_rate") == 1 && param_find(&s, "my-rate") == 1);
    CHECK(param_find(&s, "my-rat") == -1 && param_find(&s, "my-rates") == -1 && param_find(&s, "") == -1);
}

static void good(const char *name, const char *text, double want) {
    param_set s;
    err e = {0};
    param_init(&s, defs);
    CHECK(param_parse(&s, name, text, &e) == 0);
    int i = param_find(&s, name);
    CHECK(near(s.v[i], want, 0) && !signbit(s.v[i] + 0 * want) == !signbit(want) && s.given[i]);
}

/* Refused, with the value in the message and the set as it was. */
static void bad(const char *name, const char *text, const char *says) {
    param_set s;
    err e = {0};
    param_init(&s, defs);
    int i = param_find(&s, name);
    double before = s.v[i];
    if (!CHECK(param_parse(&s, name, text, &e) == ERR_BAD_ARGUMENT)) print_error("%s = %s\n", name, text);
    if (!CHECK(strstr(e.msg, says) && strstr(e.msg, name))) print_error("message: %s\n", e.msg);
    CHECK(near(s.v[i], before, 0) && !s.given[i]);
}

static void test_parse(void **state) {
    (void)state;
    good("count", "100", 100);
    good("count", "-2", -2);
    good("count", "1e2", 100);
    good("count", "-0", 0);
    bad("count", "101", "\"101\" is not a whole number from -2 to 100");
    bad("count", "-3", "from -2 to 100");
    bad("count", "2.5", "whole");
    good("my_rate", "0.30000000000000004", 0.30000000000000004);
    good("my-rate", "1", 1);
    good("my-rate", ".5", 0.5);
    static const char *const junk[] = {"",       " ",      "x",    "0.5x",  "nan", "inf", "-0.1",
                                       "1.0001", "0x1p-1", " 0.5", "1e999", "1,5", "e",   "--1"};
    for (size_t i = 0; i < sizeof junk / sizeof *junk; i++)
        bad("my-rate", junk[i], "is not a number from 0 to 1");
    static const char *const words[] = {"off", "on", "false", "true", "0", "1", "no", "yes", "OFF", "True"};
    for (int i = 0; i < 10; i++) good("flag", words[i], i % 2);
    bad("flag", "maybe", "neither on nor off");
    bad("flag", "", "neither on nor off");
    good("colour", "red", 0);
    good("colour", "sea_green", 1);
    bad("colour", "blue", "not one of red, sea-green");
    param_set s;
    err e = {0};
    param_init(&s, defs);
    CHECK(param_parse(&s, "size", "1", &e) == ERR_NOT_FOUND && strstr(e.msg, "\"size\""));
}

static void test_format(void **state) {
    (void)state;
    static const double reals[] = {0, 1, 0.25, 0.1, 1.0 / 3, 0.30000000000000004, 1e-9, 5e-324, 0.05};
    char buf[64];
    err e = {0};
    param_set s, back;
    param_init(&s, defs);
    param_init(&back, defs);
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++) {
        s.v[1] = reals[i];
        CHECK(param_parse(&back, "my-rate", param_format(&s, 1, buf, sizeof buf), &e) == 0);
        CHECK(near(back.v[1], reals[i], 0));
    }
    s.v[1] = 0.25;
    CHECK(strcmp(param_format(&s, 1, buf, sizeof buf), "0.25") == 0);
    CHECK(strcmp(param_format(&s, 0, buf, sizeof buf), "3") == 0);
    CHECK(strcmp(param_format(&s, 2, buf, sizeof buf), "on") == 0);
    CHECK(strcmp(param_format(&s, 3, buf, sizeof buf), "sea-green") == 0);
}

/* Every policy's table: unique names, defaults in range and readable, a help line that is one line. */
/* Messages quote bytes of strangers' files: nothing in them is obeyed by a terminal. */
static void test_message(void **state) {
    (void)state;
    err e = {0};
    CHECK(err_set(&e, ERR_BAD_FORMAT, "a\033[2J\n\302\233m\302\240\303\244\177") == ERR_BAD_FORMAT);
    CHECK(!strcmp(e.msg, "a?[2J??m\302\240\303\244?"));
    err_prefix(&e, "x\302\205");
    CHECK(!strncmp(e.msg, "x?: a?", 6));
}

static void test_tables(void **state) {
    (void)state;
    for (int p = 0; policies[p]; p++) {
        param_set s, back;
        err e = {0};
        policy_defaults(policies[p], NULL, &s);
        param_init(&back, policies[p]->params);
        CHECK(policies[p]->title && policies[p]->help);
        for (int i = 0; i < s.n; i++) {
            char buf[64];
            const param_def *d = s.defs[i];
            CHECK(param_find(&s, d->name) == i && !s.given[i]);
            CHECK(param_parse(&back, d->name, param_format(&s, i, buf, sizeof buf), &e) == 0);
            CHECK(near(back.v[i], s.v[i], 0));
            CHECK(d->help && strlen(d->help) > 20 && !strchr(d->help, '\n') && !strchr(d->name, '_'));
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_defaults), cmocka_unit_test(test_parse),
                                       cmocka_unit_test(test_message), cmocka_unit_test(test_format),
                                       cmocka_unit_test(test_tables)};
    return finish("param", cmocka_run_group_tests(tests, NULL, NULL));
}
