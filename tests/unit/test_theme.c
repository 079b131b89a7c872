/* test_theme.c - theme files: what the parser refuses and where, what the shipped ones promise to the eye. */
#include "checks.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "color_checks.h"
#include "engine/base/rng.h"
#include "engine/base/strbuf.h"
#include "tui/theme.h"

static const char *const shipped[] = {"dark",      "light", "high-contrast", "colour-blind", "monochrome",
                                      "projector", NULL};

static theme load(const char *name) {
    theme t;
    char path[128];
    err e = {0};
    snprintf(path, sizeof path, "themes/%s.theme", name);
    MUST(theme_load(&t, path, &e), &e);
    return t;
}

/* The parser ---------------------------------------------------------- */

/* text, where it fails, part of the message */
static const struct {
    const char *text, *place, *message;
} faults[] = {
    {"dim = #12345 default\n", "t:1:7:", "'#12345' is no colour"},
    {"\n\n  dim = blue mauve\n", "t:3:14:", "'mauve' is no colour"},
    {"dim = blue 256\n", "t:1:12:", "no colour"},
    {"dim = blue\n", "t:1:11:", "a colour is missing"},
    {"dim blue\n", "t:1:5:", "expected '='"},
    {"dim = blue red = bold\n", "t:1:16:", "unexpected '='"},
    {"dim = blue red blink\n", "t:1:16:", "'blink' is no attribute"},
    {"bold = blue red\n", "t:1:1:", "'bold' is no role"},
    {"dim = 1 2\ndim = 1 2\n", "t:2:1:", "'dim' is given twice"},
    {"dim.256 = 1 2\n", "t:1:1:", "needs its line without a depth first"},
    {"dim = 1 2\ndim.64 = 1 2\n", "t:2:5:", "'64' is no depth"},
    {"dim = 1 2\ndim.none = 1\n", "t:2:12:", "'1' is no attribute"},
    {"ramp heat = #000000 #ffffff\n", "t:1:6:", "'heat' is no ramp"},
    {"ramp signed = #000000\n", "t:1:15:", "at least 2 colours"},
    {"ramp signed = 1 default\n", "t:1:17:", "not 'default'"},
    {"ramp signed = none 1\n", "t:1:20:", "unexpected text"},
    {"ramp signed = 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n", "t:1:54:", "more than 16"},
    {"ramp signed = 1 2\nramp signed.none = 1 2\n", "t:2:6:", "shades are drawn"},
    {"background = black\n", "t:1:14:", "#rrggbb"},
    {"background = #000000 1\n", "t:1:22:", "unexpected text"},
    {"about = \n", "t:1:9:", "missing"},
    {"about = a\xC3\xA9\x1B[2J\n", "t:1:11:", "control byte 0x1b"},
    {"about = a\xC3\n", "t:1:10:", "cannot be shown"},
    {"about = \u202E\n", "t:1:9:", "cannot be shown"},
    {"\xEF\xBB\xBF"
     "dim = 1 2\n",
     "t:1:1:", "is no role"},
};

static void test_faults(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        theme t = {.background = 77};
        err e = {0};
        int rc = theme_parse(&t, faults[i].text, strlen(faults[i].text), "t", &e);
        bool ok = rc == ERR_BAD_FORMAT && !strncmp(e.msg, faults[i].place, strlen(faults[i].place)) &&
                  strstr(e.msg, faults[i].message) && t.background == 77;
        if (!CHECK(ok)) print_error("case %zu: %s\n", i, e.msg);
    }
}

static void test_limits(void **state) {
    (void)state;
    theme t;
    err e = {0};
    char *big = malloc(THEME_MAX_BYTES + 1);
    memset(big, '#', THEME_MAX_BYTES + 1);
    CHECK(theme_parse(&t, big, THEME_MAX_BYTES + 1, "t", &e) == ERR_BAD_FORMAT);
    CHECK(theme_parse(&t, big, THEME_MAX_BYTES, "t", &e) == 0); /* one long comment */
    memset(big, 'x', THEME_MAX_BYTES);
    CHECK(theme_parse(&t, big, THEME_MAX_BYTES, "t", &e) == ERR_BAD_FORMAT);
    free(big);
    CHECK(theme_parse(&t, "", 0, "t", &e) == 0 && t.role[MODE_256][STYLE_RUN_A].fg == 74);
    CHECK(theme_parse(&t, "# a\r\ndim = 1 2\r\n", 16, "t", &e) == 0 && t.role[MODE_8][STYLE_DIM].bg == 2);
}

static void test_depths(void **state) {
    (void)state;
    static const char text[] =
        "dim = #ff8700 17 italic\nkey = bright-red default\nkey.16 = bright-blue 0 bold\n"
        "ramp signed = #000001 #000002 red\n";
    theme t;
    err e = {0};
    MUST(theme_parse(&t, text, strlen(text), "t", &e), &e);
    CHECK(t.role[MODE_DIRECT][STYLE_DIM].fg == 0xff8700 && t.role[MODE_DIRECT][STYLE_DIM].bg == 0x00005f);
    CHECK(t.role[MODE_256][STYLE_DIM].fg == 208 && t.role[MODE_256][STYLE_DIM].bg == 17);
    CHECK(t.role[MODE_16][STYLE_DIM].fg < 16 && t.role[MODE_8][STYLE_DIM].fg < 8);
    CHECK(t.role[MODE_NONE][STYLE_DIM].fg == -1 && t.role[MODE_NONE][STYLE_DIM].attr == ATTR_ITALIC);
    CHECK(t.role[MODE_16][STYLE_KEY].fg == 12 && t.role[MODE_8][STYLE_KEY].fg == 4);
    CHECK(t.role[MODE_8][STYLE_KEY].attr == ATTR_BOLD && t.role[MODE_NONE][STYLE_KEY].attr == 0);
    CHECK(t.ramp[MODE_256][RAMP_SIGNED].n == 2 && t.ramp[MODE_NONE][RAMP_SIGNED].n == 0);
    CHECK(t.role[MODE_DIRECT][STYLE_RUN_A].fg == 0x5fafd7); /* from the built-in theme */
}

/* Strangers' files: whatever they hold, an answer comes, and a refusal names a place. */
static void test_mutations(void **state) {
    (void)state;
    strbuf text;
    err e = {0};
    int accepted = 0, placed = 0, rounds = 4000;
    for (int round = 0; round < rounds; round++) {
        char path[64];
        snprintf(path, sizeof path, "themes/%s.theme", shipped[round % 6]);
        MUST(strbuf_read_file(&text, path, THEME_MAX_BYTES, &e), &e);
        uint64_t draw = 0;
        int edits = 1 + round % 5;
        size_t n = text.len;
        for (int k = 0; k < edits && n; k++) {
            double u = rng_uniform(81731, (uint64_t)round, draw++, 0, 0);
            size_t at = (size_t)(u * (double)n);
            int what = (int)(4 * rng_uniform(81731, (uint64_t)round, draw++, 0, 0));
            if (what == 0) text.data[at] = (char)(256 * rng_uniform(81731, (uint64_t)round, draw++, 0, 0));
            if (what == 1) n = at;
            if (what == 2) memmove(text.data + at, text.data + at + 1, n - at - 1), n--;
            if (what == 3) text.data[at] = "=.#\n 9"[(int)(6 * u)];
        }
        /* An allocation of exactly that size lets the sanitizer see a read past the end. */
        char *exact = malloc(n ? n : 1);
        memcpy(exact, text.data, n);
        theme t;
        err why = {0};
        int rc = theme_parse(&t, exact, n, "m", &why), line = 0, col = 0;
        if (!rc) accepted++;
        if (rc && sscanf(why.msg, "m:%d:%d:", &line, &col) == 2 && line > 0 && col > 0) placed++;
        free(exact);
        strbuf_release(&text);
    }
    CHECK(accepted > 0 && accepted + placed == rounds);
}

/* What is promised to the eye ------------------------------------------ */

static int rgb_at(color_mode m, int color) {
    return m == MODE_DIRECT ? color : color_rgb(color);
}

static void resolve(const theme *t, color_mode m, style s, int *fg, int *bg) {
    style plain = t->role[m][STYLE_PLAIN];
    int f = s.fg < 0 ? plain.fg : s.fg, b = s.bg < 0 ? plain.bg : s.bg;
    *fg = f < 0 ? t->foreground : rgb_at(m, f);
    *bg = b < 0 ? t->background : rgb_at(m, b);
    if (s.attr & ATTR_REVERSE) f = *fg, *fg = *bg, *bg = f;
}

/* 4.5:1 for text and 3:1 for signs that only repeat what else is seen; 7:1 for all in high contrast. */
static void check_roles(const theme *t, color_mode m, bool high) {
    for (int r = 0; r < N_STYLES; r++) {
        int fg, bg;
        resolve(t, m, t->role[m][r], &fg, &bg);
        double least = high ? 7 : r == STYLE_MARK ? 3 : 4.5, got = color_contrast(fg, bg);
        if (!CHECK(got >= least))
            print_error("%s, %s at %d: %.2f\n", t->name, theme_role_name((style_role)r), m, got);
    }
}

/* Text on every cell of a ramp, between the stops as well. */
static void check_ramp_text(const theme *t, color_mode m, bool high) {
    palette p = {.mode = m, .theme = t};
    for (int r = 0; r < N_RAMPS; r++) {
        for (int i = 0; i <= 200 && ramp_has_color(&p, (ramp)r); i++) {
            style s = ramp_style(&p, (ramp)r, i / 200.0);
            double got = color_contrast(rgb_at(m, s.fg), rgb_at(m, s.bg));
            if (got >= (high ? 7 : 4.5)) continue;
            CHECK(false);
            print_error("%s, %s at %d, %d/200: %.2f\n", t->name, theme_ramp_name((ramp)r), m, i, got);
            break;
        }
        n_checks++;
    }
}

static void test_contrast(void **state) {
    (void)state;
    for (int i = 0; shipped[i]; i++) {
        theme t = load(shipped[i]);
        bool high = !strcmp(shipped[i], "high-contrast");
        for (int m = MODE_256; m <= MODE_DIRECT; m++) {
            check_roles(&t, (color_mode)m, high);
            check_ramp_text(&t, (color_mode)m, high);
        }
        for (int m = MODE_8; m <= MODE_16; m++) { /* the terminal's own sixteen: at least not the same */
            for (int r = 0; r < N_STYLES; r++) {
                int fg, bg;
                resolve(&t, (color_mode)m, t.role[m][r], &fg, &bg);
                if (!CHECK(color_contrast(fg, bg) >= 2)) {
                    print_error("%s, %s at %d\n", t.name, theme_role_name((style_role)r), m);
                }
            }
        }
    }
}

/* Lightness goes one way along [from, to); direct stops are about evenly spaced. */
static void check_lightness(const theme *t, const theme_ramp *k, color_mode m, int from, int to, bool even) {
    double least = INFINITY, most = 0, sign = 0;
    for (int i = from + 1; i < to; i++) {
        double d = color_lab(rgb_at(m, k->stop[i])).l - color_lab(rgb_at(m, k->stop[i - 1])).l;
        if (!sign) sign = d;
        if (!CHECK(d * sign > 0)) print_error("%s at %d: stop %d turns back\n", t->name, m, i);
        least = fmin(least, fabs(d));
        most = fmax(most, fabs(d));
    }
    if (even && !CHECK(most <= 2 * least)) print_error("%s: steps of %.1f to %.1f\n", t->name, least, most);
}

static void test_ramps(void **state) {
    (void)state;
    for (int i = 0; shipped[i]; i++) {
        theme t = load(shipped[i]);
        /* High contrast leaves the middle tones out. */
        bool gap = !strcmp(shipped[i], "high-contrast");
        for (int m = MODE_8; m <= MODE_DIRECT; m++) {
            for (int r = 0; r < N_RAMPS; r++) {
                const theme_ramp *k = &t.ramp[m][r];
                bool even = m == MODE_DIRECT && !gap;
                if (!k->n) continue;
                if (r != RAMP_SIGNED) {
                    check_lightness(&t, k, (color_mode)m, 0, k->n, even);
                } else if (m >= MODE_256) {
                    check_lightness(&t, k, (color_mode)m, 0, k->n / 2 + 1, false);
                    check_lightness(&t, k, (color_mode)m, k->n / 2, k->n, false);
                }
                for (int s = 1; s < k->n && m >= MODE_256; s++) {
                    double d = difference(rgb_at((color_mode)m, k->stop[s - 1]),
                                          rgb_at((color_mode)m, k->stop[s]), EYES_NORMAL);
                    if (!CHECK(d >= 5)) print_error("%s %d %d: stop %d is %.1f away\n", t.name, m, r, s, d);
                }
            }
        }
    }
}

static void test_color_blind(void **state) {
    (void)state;
    theme t = load("colour-blind");
    static const style_role apart[] = {STYLE_RUN_A, STYLE_RUN_B, STYLE_RUN_C,
                                       STYLE_RUN_D, STYLE_NEXT,  STYLE_MASKED};
    enum { N = sizeof apart / sizeof apart[0] };
    for (int kind = EYES_NORMAL; kind < N_EYES; kind++) {
        for (int m = MODE_256; m <= MODE_DIRECT; m++) {
            for (int r = 0; r < N_RAMPS; r++) {
                const theme_ramp *k = &t.ramp[m][r];
                for (int s = 1; s < k->n; s++) {
                    double d = difference(rgb_at((color_mode)m, k->stop[s - 1]),
                                          rgb_at((color_mode)m, k->stop[s]), (eyes)kind);
                    if (!CHECK(d >= 5))
                        print_error("eyes %d, depth %d, ramp %d, stop %d: %.1f\n", kind, m, r, s, d);
                }
            }
        }
        for (int i = 0; i < N; i++) {
            for (int j = 0; j < i; j++) {
                double d = difference(t.role[MODE_DIRECT][apart[i]].fg, t.role[MODE_DIRECT][apart[j]].fg,
                                      (eyes)kind);
                if (!CHECK(d >= 15)) print_error("eyes %d, roles %d %d: %.1f\n", kind, apart[i], apart[j], d);
            }
        }
    }
}

static void test_difference(void **state) {
    (void)state;
    /* Pairs 1, 7 and 17 of the paper's table. */
    CHECK(near(ciede2000((lab){50, 2.6772, -79.7751}, (lab){50, 0, -82.7485}), 2.0425, 1e-4));
    CHECK(near(ciede2000((lab){50, 0, 0}, (lab){50, -1, 2}), 2.3669, 1e-4));
    CHECK(near(ciede2000((lab){50, 2.5, 0}, (lab){73, 25, -18}), 27.1492, 1e-4));
    CHECK(near(color_contrast(0, 0xFFFFFF), 21, 1e-9) && near(color_lab(0xFFFFFF).l, 100, 0.01));
    CHECK(color_nearest(0xff8700, 16, 256) == 208 && color_nearest(0x767676, 16, 256) == 243);
}

/* Without colour nothing but attributes is left, and the roles that matter still differ. */
static void test_no_color(void **state) {
    (void)state;
    for (int i = 0; shipped[i]; i++) {
        theme t = load(shipped[i]);
        const style *s = t.role[MODE_NONE];
        for (int r = 0; r < N_STYLES; r++) CHECK(s[r].fg == -1 && s[r].bg == -1);
        CHECK(s[STYLE_BAR].attr & ATTR_REVERSE);
        CHECK(s[STYLE_DIFFER].attr & ATTR_UNDER);
        CHECK(s[STYLE_FRESH].attr & ATTR_BOLD);
        for (int r = 0; r < N_RAMPS; r++) CHECK(t.ramp[MODE_NONE][r].n == 0);
    }
}

/* Names --------------------------------------------------------------- */

static void write_file(const char *dir, const char *name, const char *text) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    if (!f) fail_msg("%s cannot be written", path);
    fputs(text, f);
    fclose(f);
}

static void test_list(void **state) {
    (void)state;
    char own[] = "/tmp/tabes-themes-XXXXXX";
    if (!mkdtemp(own)) fail_msg("no folder");
    write_file(own, "light.theme", "about = mine\n");
    write_file(own, "broken.theme", "about = b\ndim = 1\n");
    write_file(own, "bad name.theme", "");
    write_file(own, "notes.txt", "");
    const char *const dirs[] = {own, "/nowhere", "themes", NULL};
    theme_list l;
    theme t;
    err e = {0};
    MUST(theme_list_open(&l, dirs, &e), &e);
    CHECK(l.n == 7 && !strcmp(l.at[0].name, "dark") && !strcmp(l.at[0].path, "themes/dark.theme"));
    MUST(theme_open(&t, &l, "light", &e), &e);
    CHECK(!strcmp(t.about, "mine") && !strcmp(t.name, "light"));
    CHECK(theme_open(&t, &l, "broken", &e) == ERR_BAD_FORMAT && strstr(e.msg, "/broken.theme:2:8:"));
    CHECK(theme_open(&t, &l, "mauve", &e) == ERR_NOT_FOUND && strstr(e.msg, "there are: dark, broken"));
    CHECK(theme_open(&t, &l, "no/such.theme", &e) == ERR_NOT_FOUND);
    CHECK(theme_open(&t, &l, "themes", &e) && theme_open(&t, &l, "./themes", &e));
    theme_list_release(&l);
    MUST(theme_list_open(&l, NULL, &e), &e);
    CHECK(l.n == 1 && !theme_open(&t, &l, "dark", &e));
    theme_list_release(&l);
    static const char *const files[] = {"light.theme", "broken.theme", "bad name.theme", "notes.txt"};
    for (int i = 0; i < 4; i++) {
        char path[256];
        snprintf(path, sizeof path, "%s/%s", own, files[i]);
        unlink(path);
    }
    rmdir(own);
}

int main(void) {
    setlocale(LC_ALL, "C.UTF-8");
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_faults),   cmocka_unit_test(test_limits),
                                       cmocka_unit_test(test_depths),   cmocka_unit_test(test_contrast),
                                       cmocka_unit_test(test_ramps),    cmocka_unit_test(test_color_blind),
                                       cmocka_unit_test(test_list),     cmocka_unit_test(test_difference),
                                       cmocka_unit_test(test_no_color), cmocka_unit_test(test_mutations)};
    return finish("theme", cmocka_run_group_tests(tests, NULL, NULL));
}
