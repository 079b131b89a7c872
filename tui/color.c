/* color.c - conversions. Distance is Euclidean in L*a*b*: good enough to choose among 16 or 240. */
#include "tui/color.h"

#include <math.h>

int color_rgb(int n) {
    static const int level[6] = {0, 95, 135, 175, 215, 255};
    static const int low[16] = {0x000000, 0xcd0000, 0x00cd00, 0xcdcd00, 0x0000ee, 0xcd00cd,
                                0x00cdcd, 0xe5e5e5, 0x7f7f7f, 0xff0000, 0x00ff00, 0xffff00,
                                0x5c5cff, 0xff00ff, 0x00ffff, 0xffffff};
    if (n < 16) return low[n];
    if (n >= 232) {
        int v = 8 + 10 * (n - 232);
        return v << 16 | v << 8 | v;
    }
    n -= 16;
    return level[n / 36] << 16 | level[n / 6 % 6] << 8 | level[n % 6];
}

static double linear(int rgb, int shift) {
    double c = (rgb >> shift & 0xFF) / 255.0;
    return c <= 0.04045 ? c / 12.92 : pow((c + 0.055) / 1.055, 2.4);
}

double color_luminance(int rgb) {
    return 0.2126 * linear(rgb, 16) + 0.7152 * linear(rgb, 8) + 0.0722 * linear(rgb, 0);
}

double color_contrast(int rgb1, int rgb2) {
    double a = color_luminance(rgb1) + 0.05, b = color_luminance(rgb2) + 0.05;
    return a > b ? a / b : b / a;
}

static double lab_curve(double t) {
    return t > 216.0 / 24389 ? cbrt(t) : (24389.0 / 27 * t + 16) / 116;
}

lab color_lab(int rgb) {
    double r = linear(rgb, 16), g = linear(rgb, 8), b = linear(rgb, 0);
    double x = lab_curve((0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.95047);
    double y = lab_curve(0.2126 * r + 0.7152 * g + 0.0722 * b);
    double z = lab_curve((0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.08883);
    return (lab){116 * y - 16, 500 * (x - y), 200 * (y - z)};
}

int color_nearest(int rgb, int from, int to) {
    lab want = color_lab(rgb);
    int best = from;
    double best_d = INFINITY;
    for (int i = from; i < to; i++) {
        lab c = color_lab(color_rgb(i));
        double d = (c.l - want.l) * (c.l - want.l) + (c.a - want.a) * (c.a - want.a) +
                   (c.b - want.b) * (c.b - want.b);
        if (d < best_d) best = i, best_d = d;
    }
    return best;
}

int color_blend(int a, int b, double f) {
    int out = 0;
    for (int shift = 16; shift >= 0; shift -= 8) {
        double v = (a >> shift & 0xFF) * (1 - f) + (b >> shift & 0xFF) * f;
        out |= (int)lround(v) << shift;
    }
    return out;
}
