/* test_canvas.c - token bytes to glyphs to places on the canvas; the grid of cells and its dump. */
#include "checks.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tui/cells.h"
#include "tui/flow.h"
#include "tui/quantile.h"

enum { MASK = 0, N_WORDS = 24 };

/* Token id -> bytes. A leading '!' marks a special token. */
static const char *words[N_WORDS] = {
    [1] = "1",        [2] = "2",          [3] = "\n",         [4] = " the",     [5] = "\xE2",
    [6] = "\x96\x88", [7] = "a\nb",       [8] = "!<eos>",     [9] = "\x1B",     [10] = "\u202E",
    [11] = "\u4E2D",  [12] = "e",         [13] = "\xCC\x81x", [14] = " longer", [15] = "",
    [16] = "\t",      [17] = "!<bos>",    [18] = "\xCC\x81",  [19] = " ",       [20] = " e",
    [21] = "e   ",    [22] = " \xCC\x81",
};

static const char *text_of(const void *ctx, int32_t id, size_t *len, bool *special) {
    (void)ctx;
    *special = id > 0 && id < N_WORDS && words[id] && words[id][0] == '!';
    if (id < 1 || id >= N_WORDS || !words[id]) return NULL;
    *len = strlen(words[id]) - (*special ? 1 : 0);
    return words[id] + (*special ? 1 : 0);
}

static flow f;

static void build(const int32_t *tokens, int n, int width) {
    err e = {0};
    MUST(flow_build(&f, &(flow_input){tokens, n, width, MASK, {text_of, NULL}}, &e), &e);
}

/* What stands on a canvas line. */
static const char *line(int y) {
    static char out[512];
    cells g;
    err e = {0};
    strbuf b;
    MUST(cells_init(&g, 120, 1, false, &e), &e);
    for (int i = 0; i < f.n; i++) {
        const flow_slot *s = &f.slots[i];
        if (s->owner == i && s->masked && s->y == y) cells_repeat(&g, s->x, 0, s->w, '?', (style){-1, -1, 0});
        for (int k = 0; s->owner == i && k < s->count; k++) {
            const flow_glyph *c = &f.glyphs[s->first + k];
            if (c->y == y) cells_glyph(&g, c->x, 0, 120, &c->g, (style){-1, -1, 0});
        }
    }
    strbuf_init(&b, sizeof out - 1);
    cells_dump(&g, &b);
    snprintf(out, sizeof out, "%.*s", (int)b.len - 1, b.data);
    strbuf_release(&b);
    cells_release(&g);
    return out;
}

static bool line_is(int y, const char *want) {
    const char *got = line(y);
    if (!strcmp(got, want)) return true;
    print_error("line %d is '%s', expected '%s'\n", y, got, want);
    return false;
}

static void test_grid(void **state) {
    (void)state;
    const int32_t t[] = {17, 1, MASK, 2, 3, MASK, 2, 1};
    build(t, 8, 40);
    CHECK(f.grid == 3);
    CHECK(line_is(0, " <bos>"));
    CHECK(line_is(1, " 1 ??? 2  \u21B5"));
    CHECK(line_is(2, "??? 2  1"));
    CHECK(f.lines == 3);
    CHECK(flow_at(&f, 4, 1) == 2 && flow_at(&f, 0, 2) == 5 && flow_at(&f, 90, 2) == 7);
    build(t, 8, 9);
    CHECK(f.grid == 2);
}

static void test_flow(void **state) {
    (void)state;
    const int32_t t[] = {12, 4, MASK, 14, 7, 3, 4};
    build(t, 7, 40);
    CHECK(!f.grid);
    CHECK(line_is(0, "e the???\u22C5longera\u21B5"));
    CHECK(line_is(1, "b\u21B5"));
    CHECK(line_is(2, "\u22C5the"));
    CHECK(f.slots[4].y == 0 && f.slots[5].y == 1 && f.slots[6].y == 2);
    build(t, 7, 9);
    CHECK(line_is(0, "e the???"));
    CHECK(line_is(1, "\u22C5longera\u21B5"));
}

/* A space that no gap shows is a dot: at the edges of a line, beside a mask or another space. */
static void test_spaces(void **state) {
    (void)state;
    const int32_t t[] = {4, 19, 4, 20, 12, 21, 3, 4, MASK, 4, 19};
    build(t, 11, 40);
    CHECK(line_is(0, "\u22C5the\u22C5\u22C5the eee\u22C5\u22C5\u22C5\u21B5"));
    CHECK(line_is(1, "\u22C5the???\u22C5the\u22C5"));
    int dots = 0;
    for (int i = 0; i < f.n_glyphs; i++) dots += f.glyphs[i].g.cp[0] == 0x22C5 && f.glyphs[i].mark;
    CHECK(dots == 9);
    const int32_t marked[] = {4, 22, 12}; /* a combining mark on a space is no plain space */
    build(marked, 3, 40);
    CHECK(line_is(0, "\u22C5the \u0301e"));
}

/* Wide characters and emoji take two columns and never a half at the edge. */
static void test_wide(void **state) {
    (void)state;
    words[23] = "\U0001F600";
    const int32_t t[] = {12, 23, 23, 18, 11};
    build(t, 5, 6);
    CHECK(line_is(0, "e\U0001F600\U0001F600\u0301"));
    CHECK(line_is(1, "\u4E2D"));
    CHECK(f.slots[1].x == 1 && f.slots[1].w == 2 && f.slots[2].x == 3 && f.slots[3].owner == 2);
    CHECK(flow_at(&f, 2, 0) == 1 && flow_at(&f, 3, 0) == 2 && flow_at(&f, 4, 0) == 2);
    words[23] = NULL;
}

static void test_joins(void **state) {
    (void)state;
    const int32_t split[] = {14, 5, 6, 4};
    build(split, 4, 40);
    CHECK(line_is(0, "\u22C5longer\u2588 the"));
    CHECK(f.slots[2].owner == 1 && f.slots[2].x == f.slots[1].x);
    const int32_t half[] = {14, 5, MASK};
    build(half, 3, 40);
    CHECK(line_is(0, "\u22C5longer<E2>???"));
    const int32_t mark[] = {4, 12, 13, 18};
    build(mark, 4, 40);
    CHECK(line_is(0, "\u22C5thee\u0301x\u0301"));
    CHECK(f.slots[3].owner == 2);
    const int32_t none[] = {4, 15, 15, 14};
    build(none, 4, 40);
    CHECK(line_is(0, "\u22C5the longer"));
    const int32_t wide[] = {4, 11, 11};
    build(wide, 3, 7);
    CHECK(line_is(0, "\u22C5the\u4E2D"));
    CHECK(line_is(1, "\u4E2D"));
}

static void test_hostile(void **state) {
    (void)state;
    const int32_t t[] = {14, 9, 10, 16, 23};
    build(t, 5, 60);
    CHECK(line_is(0, "\u22C5longer<U+001B><U+202E>\u2192 #23"));
}

static void test_folding(void **state) {
    (void)state;
    const int32_t t[] = {4, 8, 8, 8, 8};
    build(t, 5, 60);
    CHECK(line_is(0, "\u22C5the<eos>\u00D74"));
    CHECK(f.slots[4].owner == 1);
    build(t, 2, 60);
    CHECK(line_is(0, "\u22C5the<eos>"));
    build(t, 0, 60);
    CHECK(f.lines == 0 && flow_at(&f, 0, 0) == -1);
}

/* Any bytes at any width: glyphs stay inside the canvas and every position has a place. */
static void test_random(void **state) {
    (void)state;
    int bad = 0;
    srand(7);
    for (int round = 0; round < 3000; round++) {
        int32_t t[40];
        int n = rand() % 40, width = 3 + rand() % 60;
        for (int i = 0; i < n; i++) t[i] = rand() % N_WORDS;
        build(t, n, width);
        for (int i = 0; i < n; i++) {
            const flow_slot *s = &f.slots[i];
            bad += s->w < 1 || s->x < 0 || s->y < 0 || f.slots[s->owner].owner != s->owner;
        }
        for (int k = 0; k < f.n_glyphs; k++)
            bad += f.glyphs[k].x < 0 || f.glyphs[k].y < 0 || f.glyphs[k].y >= f.lines + 1;
    }
    CHECK(bad == 0);
}

static void test_cells(void **state) {
    (void)state;
    cells g;
    strbuf b;
    err e = {0};
    style plain = {-1, -1, 0};
    MUST(cells_init(&g, 10, 3, false, &e), &e);
    CHECK(cells_text(&g, 0, 0, 10, plain, "0123456789") == 10);
    CHECK(cells_text(&g, 0, 1, 6, plain, "0123456789") == 6);
    cells_text(&g, 0, 2, 10, plain, "\u4E2D\u4E2D");
    cells_char(&g, 1, 2, 'x', plain);
    cells_char(&g, 99, 99, 'x', plain);
    cells_char(&g, -1, -1, 'x', plain);
    strbuf_init(&b, 1000);
    cells_dump(&g, &b);
    CHECK(!strcmp(b.data, "0123456789\n01234\u2026\n x\u4E2D\n"));
    strbuf_release(&b);
    cells_release(&g);
    MUST(cells_init(&g, 10, 1, true, &e), &e);
    cells_text(&g, 0, 0, 10, plain, "\u03A3H \u2591\u4E2D\u2588");
    strbuf_init(&b, 1000);
    cells_dump(&g, &b);
    CHECK(!strcmp(b.data, "SH _?#\n"));
    strbuf_release(&b);
    cells_release(&g);
}

static void test_ramps(void **state) {
    (void)state;
    palette p = {.mode = MODE_256};
    CHECK(ramp_color(&p, RAMP_ENTROPY, 0) == 16 && ramp_color(&p, RAMP_ENTROPY, 1) == 229);
    CHECK(ramp_color(&p, RAMP_ENTROPY, -3) == 16 && ramp_color(&p, RAMP_ENTROPY, 9) == 229);
    CHECK(ramp_color(&p, RAMP_SIGNED, 0) == 75 && ramp_color(&p, RAMP_SIGNED, 0.5) == 236 &&
          ramp_color(&p, RAMP_SIGNED, 1) == 214);
    CHECK(ramp_color(&p, RAMP_SEA, 0.0 / 1) == 54);
    CHECK(ramp_style(&p, RAMP_ENTROPY, 0).fg == 231 && ramp_style(&p, RAMP_ENTROPY, 1).fg == 16);
    p.mode = MODE_NONE;
    CHECK(ramp_color(&p, RAMP_SEA, 0.5) == -1 && ramp_style(&p, RAMP_SEA, 0.5).bg == -1);
    CHECK(ramp_shade(&p, RAMP_SEA, 0) == ' ' && ramp_shade(&p, RAMP_SEA, 1) == 0x2588);
    CHECK(ramp_shade(&p, RAMP_SIGNED, 0.9) == '+' && ramp_shade(&p, RAMP_SIGNED, 0.1) == '-');
    p.mode = MODE_DIRECT;
    CHECK(ramp_color(&p, RAMP_ENTROPY, 0) >= 8 && ramp_color(&p, RAMP_SEA, 1) == 0xfde725);
    for (int r = 0; r < N_STYLES; r++) {
        for (int m = MODE_NONE; m <= MODE_DIRECT; m++) {
            p.mode = (color_mode)m;
            style s = style_of(&p, (style_role)r);
            CHECK(m != MODE_NONE || (s.fg == -1 && s.bg == -1));
        }
    }
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Against sorting: all different, many equal, in order already. */
static void test_quantile(void **state) {
    (void)state;
    double v[100], sorted[100], odd[3] = {NAN, 2, NAN};
    for (size_t n = 1; n <= 100; n++) {
        for (int kind = 0; kind < 3; kind++) {
            for (size_t i = 0; i < n; i++) {
                size_t x = i * 7919 % 101;
                v[i] = kind == 0 ? (double)x : kind == 1 ? (double)(x % 4) : (double)i;
            }
            memcpy(sorted, v, sizeof v);
            qsort(sorted, n, sizeof *sorted, ascending);
            CHECK(quantile(v, n, 0.95) == sorted[(size_t)(0.95 * (double)(n - 1))]);
            CHECK(quantile(v, n, 0) == sorted[0] && quantile(v, n, 1) == sorted[n - 1]);
        }
    }
    CHECK(quantile(v, 0, 0.5) == 0);
    (void)quantile(odd, 3, 1); /* comes to an end */
}

int main(void) {
    setlocale(LC_ALL, "C.UTF-8");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grid),    cmocka_unit_test(test_flow),     cmocka_unit_test(test_joins),
        cmocka_unit_test(test_spaces),  cmocka_unit_test(test_wide),     cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_folding), cmocka_unit_test(test_random),   cmocka_unit_test(test_cells),
        cmocka_unit_test(test_ramps),   cmocka_unit_test(test_quantile),
    };
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    flow_release(&f);
    return finish("canvas", rc);
}
