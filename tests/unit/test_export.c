/* test_export.c - the table of formats, its options, and the formats that are read as text: Markdown and SVG.
 * Tokens are hostile in every way that a file allows. */
#include "export_run.h"

#include <locale.h>

#include "comma_locale.h"

static trajectory run, empty;
static const trajectory *one[] = {&run}, *none[] = {&empty}, *both[] = {&run, &empty};

static export_opts at(int state, export_color color) {
    return (export_opts){.at = state, .color = color};
}

/* ---- options ---- */

static void test_options(void **state) {
    (void)state;
    int n = 5;
    export_color c = EXPORT_PLAIN;
    err e = {0};
    CHECK(export_parse_at("end", &n, &e) == 0 && n == EXPORT_END);
    CHECK(export_parse_at("0", &n, &e) == 0 && n == 0);
    CHECK(export_parse_at("17", &n, &e) == 0 && n == 17);
    static const char *const bad[] = {"",   "-1", "+1", " 1", "1 ", "1.5", "ends", "99999999999999999999",
                                      "0x1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK(export_parse_at(bad[i], &n, &e) == ERR_BAD_ARGUMENT && n == 17 && e.msg[0]);
    for (int i = 0; i < N_EXPORT_COLORS; i++)
        CHECK(export_parse_color(export_color_name((export_color)i), &c, &e) == 0 && c == (export_color)i);
    CHECK(export_parse_color("red", &c, &e) == ERR_BAD_ARGUMENT && strstr(e.msg, "plain, entropy"));
    CHECK(!export_find("xml") && !export_find("") && export_find("svg"));
}

static void test_bounds(void **state) {
    (void)state;
    strbuf out;
    err e = {0};
    strbuf_init(&out, 1 << 26);
    for (const export_format *f = export_formats; f->name; f++) {
        CHECK(f->help[0] && f->write);
        CHECK(export_write(f, one, 0, at(0, 0), &out, &e) == ERR_BAD_ARGUMENT);
        CHECK(export_write(f, both, f->max_runs + 1, at(0, 0), &out, &e) == ERR_BAD_ARGUMENT);
        if (!f->has_view) continue;
        CHECK(export_write(f, one, 1, at(run.n_records + 1, 0), &out, &e) == ERR_BAD_ARGUMENT);
        CHECK(strstr(e.msg, "state 5 is past the end, expected 0 to 4") != NULL);
        CHECK(out.len == 0);
        CHECK(export_write(f, one, 1, at(run.n_records, 0), &out, &e) == 0 && out.len > 0);
        strbuf_clear(&out);
        CHECK(export_write(f, none, 1, at(1, 0), &out, &e) == ERR_BAD_ARGUMENT);
    }
    strbuf_release(&out);
}

/* A buffer that is too small is an error of every format, not a cut document. */
static void test_no_room(void **state) {
    (void)state;
    strbuf out;
    err e = {0};
    for (const export_format *f = export_formats; f->name; f++) {
        for (size_t room = 10; room < 1500; room += 490) {
            strbuf_init(&out, room);
            CHECK(export_write(f, one, 1, at(0, 0), &out, &e) == ERR_NO_MEMORY);
            strbuf_release(&out);
        }
    }
}

static void test_empty(void **state) {
    (void)state;
    strbuf out;
    for (const export_format *f = export_formats; f->name; f++) {
        for (int c = 0; c < N_EXPORT_COLORS; c++) {
            must_export(&out, f->name, none, 1, at(EXPORT_END, (export_color)c));
            CHECK(out.len > 0);
            strbuf_release(&out);
        }
    }
}

static void test_decimal_comma(void **state) {
    (void)state;
    strbuf plain, with_comma;
    locale_t comma = comma_locale();
    if (!comma) skip();
    for (const export_format *f = export_formats; f->name; f++) {
        must_export(&plain, f->name, one, 1, at(1, EXPORT_TIS));
        uselocale(comma);
        CHECK(*localeconv()->decimal_point == ',');
        must_export(&with_comma, f->name, one, 1, at(1, EXPORT_TIS));
        uselocale(LC_GLOBAL_LOCALE);
        CHECK(plain.len == with_comma.len && !memcmp(plain.data, with_comma.data, plain.len));
        strbuf_release(&plain);
        strbuf_release(&with_comma);
    }
    freelocale(comma);
}

/* ---- SVG ---- */

static void svg(strbuf *out, int state, export_color color) {
    must_export(out, "svg", one, 1, at(state, color));
    CHECK(is_harmless(out));
    CHECK(!strncmp(out->data, "<?xml ", 6) && !strcmp(out->data + out->len - 7, "</svg>\n"));
    static const char *const never[] = {"<script",          "<img", "<!--", "]]>", "href", "url(h",
                                        "onerror=alert(1)>"};
    for (size_t i = 0; i < sizeof never / sizeof *never; i++) CHECK(!strstr(out->data, never[i]));
}

static void test_svg_escapes(void **state) {
    (void)state;
    strbuf out;
    for (int k = 0; k <= run.n_records; k++) {
        for (int c = 0; c < N_EXPORT_COLORS; c++) {
            svg(&out, k, (export_color)c);
            CHECK(strstr(out.data, "mo&lt;b&gt;del&lt;U+001B&gt;]0;x&lt;U+0007&gt;"));
            strbuf_release(&out);
        }
    }
    svg(&out, 1, EXPORT_PLAIN);
    CHECK(strstr(out.data, "&lt;/script&gt;&lt;img") && strstr(out.data, "]]&gt;"));
    CHECK(strstr(out.data, "&lt;U+001B&gt;") && strstr(out.data, "&lt;U+202E&gt;"));
    CHECK(strstr(out.data, "&lt;!--&amp;amp;"));
    CHECK(strstr(out.data, ">x\u2295<")); /* halves are joined in the first token */
    strbuf_release(&out);
    svg(&out, 4, EXPORT_PLAIN);
    CHECK(strstr(out.data, "&lt;U+0000&gt;") && strstr(out.data, "&lt;FF&gt;&lt;FE&gt;"));
    CHECK(strstr(out.data, "&lt;U+202E&gt;") && strstr(out.data, ">#16<"));
    CHECK(strstr(out.data, ">e\u0301\u0301\u0301<") && strstr(out.data, "&lt;U+0301&gt;"));
    CHECK(strstr(out.data, "&lt;eos&gt;\u00D72"));
    CHECK(count_of(&out, "textLength=\"16.8\" fill=\"#1d1f24\" text-decoration=\"underline\">\u4E2D<") == 1);
    strbuf_release(&out);
}

static void test_svg_states(void **state) {
    (void)state;
    strbuf out;
    svg(&out, 0, EXPORT_PLAIN);
    CHECK(strstr(out.data, "state 0 of 4") && strstr(out.data, ">written next<"));
    CHECK(!strstr(out.data, ">written by this step<"));
    strbuf_release(&out);
    svg(&out, 2, EXPORT_PLAIN);
    CHECK(strstr(out.data, "text-decoration=\"underline\""));
    strbuf_release(&out);
    svg(&out, 3, EXPORT_ENTROPY);
    CHECK(count_of(&out, "stroke-dasharray") == 3); /* two positions and the key */
    CHECK(strstr(out.data, "nats = ln 22") && strstr(out.data, "underlined: written"));
    strbuf_release(&out);
    svg(&out, 3, EXPORT_TIS);
    CHECK(strstr(out.data, "\u22120.5<") && strstr(out.data, "+0.5 nats") &&
          strstr(out.data, "95th percentile"));
    CHECK(strstr(out.data, "mask/masked/candidates"));
    CHECK(strstr(out.data, ">+</text>") && strstr(out.data, ">\u2212</text>"));
    strbuf_release(&out);
    svg(&out, EXPORT_END, EXPORT_ORDER);
    CHECK(strstr(out.data, "1 (first)") && strstr(out.data, "22 (last)") && strstr(out.data, "state 4 of 4"));
    strbuf_release(&out);
}

static void test_remasked(void **state) {
    (void)state;
    trajectory t;
    const trajectory *runs[] = {&t};
    strbuf out;
    open_run(&t, (const int32_t[]){PLAIN, MASK, MASK}, 3);
    commit(&t, known(&t, STEP_DECODE), 1, (const int[]){1, PLAIN});
    commit(&t, known(&t, STEP_REMASK), 1, (const int[]){1, MASK});
    must_export(&out, "svg", runs, 1, at(2, EXPORT_PLAIN));
    CHECK(strstr(out.data, "stroke-dasharray") && strstr(out.data, ">put back to the mask<"));
    strbuf_release(&out);
    must_export(&out, "svg", runs, 1, at(1, EXPORT_PLAIN));
    CHECK(!strstr(out.data, "stroke-dasharray"));
    strbuf_release(&out);
    trajectory_release(&t);
}

/* One narrow character for each token, and lines: a grid, as far as it fits. */
static void test_grid(void **state) {
    (void)state;
    trajectory t;
    const trajectory *runs[] = {&t};
    strbuf out;
    open_run(&t, (const int32_t[]){EOS, MASK, MASK, BREAK, MASK, MASK}, 6);
    must_export(&out, "svg", runs, 1, at(0, EXPORT_PLAIN));
    CHECK(count_of(&out, "width=\"23.6\"") == 4); /* three columns less the gap */
    strbuf_release(&out);
    trajectory_release(&t);
}

/* ---- Markdown ---- */

/* Unescaped pipes of the line at s. */
static int pipes(const char *s) {
    int n = 0;
    for (; *s && *s != '\n'; s++) {
        if (*s == '\\')
            s++;
        else
            n += *s == '|';
    }
    return n;
}

static void test_markdown(void **state) {
    (void)state;
    strbuf out;
    must_export(&out, "md", one, 1, at(0, EXPORT_PLAIN));
    CHECK(is_harmless(&out));
    CHECK(out.data ==
          strstr(out.data, "# mo\\<b\\>del\\<U+001B\\>\\]0;x\\<U+0007\\>, bo\\|e: 23 tokens in 4 steps\n"));
    CHECK(strstr(out.data, "**rho 0.25**") && strstr(out.data, "18446744073709551615"));
    CHECK(strstr(out.data, "8: a\\|b\\`c\\\\\\|\\*d\\*"));
    CHECK(strstr(out.data, "- step 2: a person wrote 11: "));
    CHECK(strstr(out.data, "- step 3: a person put back to the mask 3, 1\n"));
    CHECK(strstr(out.data, "\u2026 1 more \u2026"));
    CHECK(strstr(out.data, "<eos></script><img src=x onerror=alert(1)>\u2591\u00D721")); /* in a fence */
    int rows = 0;
    for (char *line = strstr(out.data, "| step |"); line && line[0] == '|'; rows++) {
        CHECK(pipes(line) == 6);
        line = strchr(line, '\n') + 1;
    }
    CHECK(rows == 2 + run.n_records);
    strbuf_release(&out);
}

static void test_setting(void **state) {
    (void)state;
    trajectory t;
    const trajectory *runs[] = {&t};
    strbuf out;
    open_run(&t, (const int32_t[]){PLAIN, MASK}, 2);
    commit_setting(&t);
    commit(&t, known(&t, STEP_DECODE), 1, (const int[]){1, PLAIN});
    must_export(&out, "md", runs, 1, at(0, EXPORT_PLAIN));
    CHECK(is_harmless(&out));
    CHECK(strstr(out.data,
                 "- step 1: a person chose how to go on: mar\\<gin (rho 0.25), 9 planned steps, pinned 0, "
                 "banned \\]\\]\\> at 1, a\\|b\\`c\\\\\\|\\*d\\* anywhere; note: why \\| "
                 "\\<U+001B\\>\\[2J\\</script\\>\u21B5because\n"));
    CHECK(strstr(out.data, ": 1 tokens in 2 steps") && strstr(out.data, "| 1 | setting |  |  | 0 |"));
    strbuf_release(&out);
    must_export(&out, "svg", runs, 1, at(1, EXPORT_ENTROPY));
    CHECK(is_harmless(&out) &&
          strstr(out.data, "set by a person: mar&lt;gin (rho 0.25)\u00A0\u00B7 1 pinned"));
    strbuf_release(&out);
    must_export(&out, "svg", runs, 1, at(0, EXPORT_ENTROPY));
    CHECK(!strstr(out.data, "set by a person"));
    strbuf_release(&out);
    trajectory_release(&t);
}

static void test_long_markdown(void **state) {
    (void)state;
    enum { STEPS = 100 };
    int32_t start[STEPS];
    trajectory t;
    const trajectory *runs[] = {&t};
    strbuf out;
    for (int i = 0; i < STEPS; i++) start[i] = MASK;
    open_run(&t, start, STEPS);
    for (int i = 0; i < STEPS; i++) commit(&t, known(&t, STEP_DECODE), 1, (const int[]){i, PLAIN});
    must_export(&out, "md", runs, 1, at(0, EXPORT_PLAIN));
    CHECK(strstr(out.data, "| 30 | decode") &&
          strstr(out.data, "| \u2026 | | 40 more steps | | |\n| 71 | decode"));
    CHECK(!strstr(out.data, "| 31 | decode") &&
          strstr(out.data, "| 100 | decode | 99: \u00B7plain | 0.25 | 150 |"));
    strbuf_release(&out);
    trajectory_release(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options),       cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_no_room),       cmocka_unit_test(test_empty),
        cmocka_unit_test(test_decimal_comma), cmocka_unit_test(test_svg_escapes),
        cmocka_unit_test(test_svg_states),    cmocka_unit_test(test_remasked),
        cmocka_unit_test(test_grid),          cmocka_unit_test(test_markdown),
        cmocka_unit_test(test_long_markdown), cmocka_unit_test(test_setting),
    };
    setlocale(LC_CTYPE, "C.UTF-8"); /* for mbstowcs; the exports look at no locale */
    hostile_run(&run);
    open_run(&empty, (const int32_t[]){MASK}, 0);
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    trajectory_release(&run);
    trajectory_release(&empty);
    return finish("export", rc);
}
