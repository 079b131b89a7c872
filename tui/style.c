/* style.c - from role or value to a look: what the theme says for the terminal's depth of colour. */
#include "tui/style.h"

#include "tui/color.h"
#include "tui/theme.h"

static const theme *theme_of(const palette *p) {
    return p->theme ? p->theme : theme_builtin();
}

style style_of(const palette *p, style_role r) {
    style s = theme_of(p)->role[p->mode][r];
    return r == STYLE_PLAIN ? (style){-1, -1, s.attr} : s;
}

style style_screen(const palette *p) {
    return theme_of(p)->role[p->mode][STYLE_PLAIN];
}

/* Ramps --------------------------------------------------------------- */

static const theme_ramp *look_of(const palette *p, ramp r) {
    return &theme_of(p)->ramp[p->mode][r];
}

static int stop_index(double x, int n) {
    int i = (int)(x * n);
    return i < 0 ? 0 : i >= n ? n - 1 : i;
}

/* Numbers 0..7 still mean the ANSI colours on a direct-colour terminal. */
static int direct(int rgb) {
    return rgb < 8 ? 8 : rgb;
}

static double clamp01(double x) {
    return x > 0 ? x < 1 ? x : 1 : 0; /* NaN becomes 0 */
}

bool ramp_has_color(const palette *p, ramp r) {
    return look_of(p, r)->n > 0;
}

int ramp_color(const palette *p, ramp r, double x) {
    const theme_ramp *k = look_of(p, r);
    if (!k->n) return -1;
    x = clamp01(x);
    if (p->mode != MODE_DIRECT || k->steps) return k->stop[stop_index(x, k->n)];
    double at = x * (k->n - 1);
    int i = (int)at;
    if (i >= k->n - 1) return direct(k->stop[k->n - 1]);
    return direct(color_blend(k->stop[i], k->stop[i + 1], at - i));
}

/* White unless black has the larger WCAG contrast. */
style ramp_style(const palette *p, ramp r, double x) {
    int bg = ramp_color(p, r, x);
    if (bg < 0) return (style){-1, -1, 0};
    int rgb = p->mode == MODE_DIRECT ? bg : color_rgb(bg);
    bool black = color_contrast(rgb, 0x000000) > color_contrast(rgb, 0xFFFFFF);
    static const int blacks[N_MODES] = {-1, 0, 0, 16, 8}, whites[N_MODES] = {-1, 7, 15, 231, 0xFFFFFF};
    return (style){black ? blacks[p->mode] : whites[p->mode], bg, 0};
}

uint32_t ramp_shade(const palette *p, ramp r, double x) {
    x = clamp01(x);
    if (r == RAMP_SIGNED) return x > 0.51 ? '+' : x < 0.49 ? '-' : ' ';
    static const uint32_t blocks[5] = {' ', 0x2591, 0x2592, 0x2593, 0x2588};
    if (p->ascii) return (uint32_t)(unsigned char)" .:-=+*#%@"[stop_index(x, 10)];
    return blocks[stop_index(x, 5)];
}
