/* theme.c - from a draft to looks at every depth: what is not spelled out becomes the nearest colour. */
#include "tui/theme.h"

#include <assert.h>
#include <string.h>

#include "tui/color.h"
#include "tui/theme_parse.h"

extern const unsigned char theme_builtin_text[]; /* made from themes/dark.theme by CMake */
extern const size_t theme_builtin_bytes;

const char *theme_role_name(style_role r) {
    static const char *const names[N_STYLES] = {
        [STYLE_PLAIN] = "plain",
        [STYLE_DIM] = "dim",
        [STYLE_STRONG] = "strong",
        [STYLE_TITLE] = "title",
        [STYLE_RUN_A] = "run-a",
        [STYLE_RUN_B] = "run-b",
        [STYLE_RUN_C] = "run-c",
        [STYLE_RUN_D] = "run-d",
        [STYLE_MASKED] = "masked",
        [STYLE_NEXT] = "next",
        [STYLE_CANDIDATE] = "candidate",
        [STYLE_PROMPT] = "prompt",
        [STYLE_WRITTEN] = "written",
        [STYLE_FRESH] = "fresh",
        [STYLE_FORCED] = "forced",
        [STYLE_PINNED] = "pinned",
        [STYLE_DIFFER] = "differ",
        [STYLE_MARK] = "mark",
        [STYLE_KEY] = "key",
        [STYLE_WARN] = "warn",
        [STYLE_BAR] = "bar",
    };
    return names[r];
}

const char *theme_ramp_name(ramp r) {
    static const char *const names[N_RAMPS] = {"entropy", "probability", "signed"};
    return names[r];
}

/* Depths -------------------------------------------------------------- */

static int to_rgb(int color) {
    return color & DRAFT_RGB ? color & 0xFFFFFF : color_rgb(color);
}

/* A draft's colour as a colour number of the depth. */
static int to_depth(int color, color_mode mode) {
    if (color < 0 || mode == MODE_NONE) return -1;
    bool index = !(color & DRAFT_RGB);
    if (mode == MODE_8) return index && color < 16 ? color & 7 : color_nearest(to_rgb(color), 0, 8);
    if (mode == MODE_16) return index && color < 16 ? color : color_nearest(to_rgb(color), 0, 16);
    if (mode == MODE_256) return index ? color : color_nearest(to_rgb(color), 16, 256);
    if (index && color < 8) return color; /* the terminal's own eight, also among direct colours */
    int rgb = to_rgb(color);
    return rgb < 8 ? 8 : rgb; /* 0..7 would be those */
}

/* The line that speaks for a depth: its own, for 8 colours also that of 16, or the one without a depth. */
static color_mode source_of(const bool given[N_MODES], color_mode mode) {
    if (given[mode]) return mode;
    return mode == MODE_8 && given[MODE_16] ? MODE_16 : MODE_DIRECT;
}

static void finish_role(theme *t, const theme_draft *d, int r) {
    bool given[N_MODES];
    for (int m = 0; m < N_MODES; m++) given[m] = d->role[m][r].given;
    if (!given[MODE_DIRECT]) return;
    for (int m = 0; m < N_MODES; m++) {
        const draft_look *k = &d->role[source_of(given, (color_mode)m)][r];
        t->role[m][r] = (style){to_depth(k->fg, (color_mode)m), to_depth(k->bg, (color_mode)m), k->attr};
    }
}

/* Neighbours that fall on one colour of a poor palette become one stop. */
static theme_ramp make_ramp(const draft_ramp *k, color_mode mode) {
    theme_ramp out = {.steps = k->steps};
    for (int i = 0; i < k->n && mode != MODE_NONE; i++) {
        int color = to_depth(k->stop[i], mode);
        if (mode == MODE_DIRECT && color < 8) color = color_rgb(color); /* blended, so it must be a value */
        if (!out.n || out.stop[out.n - 1] != color) out.stop[out.n++] = color;
    }
    return out;
}

static void finish_ramp(theme *t, const theme_draft *d, int r) {
    bool given[N_MODES];
    for (int m = 0; m < N_MODES; m++) given[m] = d->ramp[m][r].given;
    if (!given[MODE_DIRECT]) return;
    for (int m = 0; m < N_MODES; m++) {
        t->ramp[m][r] = make_ramp(&d->ramp[source_of(given, (color_mode)m)][r], (color_mode)m);
    }
}

static void finish(theme *t, const theme_draft *d) {
    memcpy(t->about, d->about, sizeof t->about);
    if (d->background >= 0) t->background = d->background;
    if (d->foreground >= 0) t->foreground = d->foreground;
    for (int r = 0; r < N_STYLES; r++) finish_role(t, d, r);
    for (int r = 0; r < N_RAMPS; r++) finish_ramp(t, d, r);
}

/* Doors --------------------------------------------------------------- */

const theme *theme_builtin(void) {
    static theme t;
    static bool ready;
    if (!ready) {
        theme_draft d;
        err e = {0};
        int rc = theme_parse_draft(&d, (const char *)theme_builtin_text, theme_builtin_bytes, "dark", &e);
        assert(!rc);
        if (!rc) finish(&t, &d);
        memcpy(t.name, "dark", sizeof "dark");
        ready = true;
    }
    return &t;
}

int theme_parse(theme *t, const char *text, size_t n, const char *what, err *e) {
    theme_draft d;
    int rc = theme_parse_draft(&d, text, n, what, e);
    if (rc) return rc;
    *t = *theme_builtin();
    t->name[0] = '\0';
    finish(t, &d);
    return 0;
}
