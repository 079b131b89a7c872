/* style.c - the built-in palette: one row per role, one row per ramp. */
#include "tui/style.h"

#include <math.h>
#include <stddef.h>

typedef struct role_look {
    short fg, bg;   /* xterm-256, -1: the terminal's own */
    short fg8, bg8; /* with eight colours */
    unsigned attr;  /* always */
    unsigned mono;  /* added without colour */
} role_look;

static const role_look looks[N_STYLES] = {
    [STYLE_PLAIN] = {-1, -1, -1, -1, 0, 0},
    [STYLE_DIM] = {245, -1, -1, -1, 0, ATTR_DIM},
    [STYLE_STRONG] = {-1, -1, -1, -1, ATTR_BOLD, 0},
    [STYLE_TITLE] = {-1, -1, -1, -1, ATTR_BOLD, 0},
    [STYLE_RUN_A] = {74, -1, 6, -1, ATTR_BOLD, 0},
    [STYLE_RUN_B] = {214, -1, 3, -1, ATTR_BOLD, 0},
    [STYLE_MASKED] = {242, -1, -1, -1, 0, ATTR_DIM},
    [STYLE_CANDIDATE] = {249, -1, -1, -1, 0, 0},
    [STYLE_NEXT] = {36, -1, 2, -1, ATTR_BOLD, 0},
    [STYLE_PROMPT] = {246, -1, -1, -1, 0, ATTR_DIM},
    [STYLE_WRITTEN] = {-1, -1, -1, -1, 0, 0},
    [STYLE_FRESH] = {36, -1, 2, -1, ATTR_BOLD, 0},
    [STYLE_DIFFER] = {175, -1, 5, -1, ATTR_UNDER | ATTR_BOLD, 0},
    [STYLE_MARK] = {240, -1, -1, -1, 0, ATTR_DIM},
    [STYLE_KEY] = {-1, -1, -1, -1, ATTR_BOLD, 0},
    [STYLE_WARN] = {166, -1, 1, -1, ATTR_BOLD, 0},
    [STYLE_BAR] = {252, 236, -1, -1, 0, ATTR_REVERSE},
};

enum { MAX_STOPS = 9 };

typedef struct ramp_look {
    int n256;
    short c256[MAX_STOPS];
    int n_direct;
    int direct[MAX_STOPS];
    int n8;
    short c8[4];
} ramp_look;

static const ramp_look ramps[N_RAMPS] = {
    /* "ember" */
    [RAMP_ENTROPY] = {7,
                      {16, 17, 90, 162, 203, 216, 229},
                      9,
                      {0x000008, 0x1e0e44, 0x501478, 0x822581, 0xb73779, 0xe45365, 0xfa8864, 0xfec389,
                       0xfcfdbf},
                      4,
                      {4, 5, 3, 7}},
    [RAMP_SEA] = {6,
                  {54, 61, 31, 36, 77, 227},
                  9,
                  {0x440154, 0x462c7a, 0x3b528a, 0x2d728e, 0x21918c, 0x2aae7f, 0x5fc860, 0xaadc31, 0xfde725},
                  4,
                  {4, 5, 3, 7}},
    [RAMP_SIGNED] = {7,
                     {75, 67, 60, 236, 94, 136, 214},
                     7,
                     {0x5fafff, 0x5f87af, 0x5f5f87, 0x303030, 0x875f00, 0xaf8700, 0xffaf00},
                     3,
                     {4, 0, 3}},
};

/* Colours ------------------------------------------------------------- */

static int rgb_of_index(int n) {
    static const int level[6] = {0, 95, 135, 175, 215, 255};
    static const int low[8] = {0x000000, 0xcd0000, 0x00cd00, 0xcdcd00,
                               0x0000ee, 0xcd00cd, 0x00cdcd, 0xe5e5e5};
    if (n < 8) return low[n];
    if (n >= 232) {
        int v = 8 + 10 * (n - 232);
        return v << 16 | v << 8 | v;
    }
    if (n < 16) return 0x808080;
    n -= 16;
    return level[n / 36] << 16 | level[n / 6 % 6] << 8 | level[n % 6];
}

/* Numbers 0..7 still mean the ANSI colours on a direct-colour terminal. */
static int direct(int rgb) {
    return rgb < 8 ? 8 : rgb;
}

static double luminance(int rgb) {
    double sum = 0;
    static const double weight[3] = {0.2126, 0.7152, 0.0722};
    for (int i = 0; i < 3; i++) {
        double c = (rgb >> (16 - 8 * i) & 0xFF) / 255.0;
        sum += weight[i] * (c <= 0.03928 ? c / 12.92 : pow((c + 0.055) / 1.055, 2.4));
    }
    return sum;
}

/* White unless black has the larger WCAG contrast. */
static bool wants_black(int rgb) {
    double l = luminance(rgb) + 0.05;
    return l / 0.05 > 1.05 / l;
}

style style_of(const palette *p, style_role r) {
    const role_look *k = &looks[r];
    switch (p->mode) {
    case MODE_NONE:
        return (style){-1, -1, k->attr | k->mono};
    case MODE_8:
        return (style){k->fg8, k->bg8, k->attr | (k->fg8 < 0 ? k->mono : 0)};
    case MODE_256:
        return (style){k->fg, k->bg, k->attr};
    case MODE_DIRECT:
        break;
    }
    return (style){k->fg < 0 ? -1 : direct(rgb_of_index(k->fg)), k->bg < 0 ? -1 : direct(rgb_of_index(k->bg)),
                   k->attr};
}

/* Ramps --------------------------------------------------------------- */

static int stop_index(double x, int n) {
    int i = (int)(x * n);
    return i < 0 ? 0 : i >= n ? n - 1 : i;
}

static int blend(int a, int b, double f) {
    int out = 0;
    for (int shift = 16; shift >= 0; shift -= 8) {
        double v = (a >> shift & 0xFF) * (1 - f) + (b >> shift & 0xFF) * f;
        out |= (int)lround(v) << shift;
    }
    return out;
}

static int direct_color(const ramp_look *k, double x) {
    double at = x * (k->n_direct - 1);
    int i = (int)at;
    if (i >= k->n_direct - 1) return direct(k->direct[k->n_direct - 1]);
    return direct(blend(k->direct[i], k->direct[i + 1], at - i));
}

static double clamp01(double x) {
    return x > 0 ? x < 1 ? x : 1 : 0; /* NaN becomes 0 */
}

int ramp_color(const palette *p, ramp r, double x) {
    const ramp_look *k = &ramps[r];
    x = clamp01(x);
    switch (p->mode) {
    case MODE_NONE:
        return -1;
    case MODE_8:
        return k->c8[stop_index(x, k->n8)];
    case MODE_256:
        return k->c256[stop_index(x, k->n256)];
    case MODE_DIRECT:
        break;
    }
    return direct_color(k, x);
}

style ramp_style(const palette *p, ramp r, double x) {
    int bg = ramp_color(p, r, x);
    if (bg < 0) return (style){-1, -1, 0};
    int rgb = p->mode == MODE_DIRECT ? bg : rgb_of_index(bg);
    bool black = wants_black(rgb);
    int fg = p->mode == MODE_DIRECT ? (black ? 8 : 0xffffff)
             : p->mode == MODE_256  ? (black ? 16 : 231)
             : black                ? 0
                                    : 7;
    return (style){fg, bg, 0};
}

uint32_t ramp_shade(const palette *p, ramp r, double x) {
    x = clamp01(x);
    if (r == RAMP_SIGNED) return x > 0.51 ? '+' : x < 0.49 ? '-' : ' ';
    static const uint32_t blocks[5] = {' ', 0x2591, 0x2592, 0x2593, 0x2588};
    if (p->ascii) return (uint32_t)(unsigned char)" .:-=+*#%@"[stop_index(x, 10)];
    return blocks[stop_index(x, 5)];
}
