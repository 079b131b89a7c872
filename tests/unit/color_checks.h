/* color_checks.h - how different two colours look: CIEDE2000, also to eyes without one kind of cone. */
#ifndef TABES_TEST_COLOR_CHECKS_H
#define TABES_TEST_COLOR_CHECKS_H

#include <math.h>

#include "tui/color.h"

static const double pi = 3.14159265358979323846;

static inline double hue_of(double a, double b) {
    double h = a == 0 && b == 0 ? 0 : atan2(b, a);
    return h < 0 ? h + 2 * pi : h;
}

/* Sharma, Wu, Dalal 2005: The CIEDE2000 color-difference formula. Names are the paper's. */
static inline double ciede2000(lab p, lab q) {
    double c7 = pow((hypot(p.a, p.b) + hypot(q.a, q.b)) / 2, 7),
           g = 0.5 * (1 - sqrt(c7 / (c7 + 6103515625.0)));
    double a1 = (1 + g) * p.a, a2 = (1 + g) * q.a, c1 = hypot(a1, p.b), c2 = hypot(a2, q.b);
    double h1 = hue_of(a1, p.b), h2 = hue_of(a2, q.b), dh = c1 * c2 == 0 ? 0 : h2 - h1;
    if (dh > pi) dh -= 2 * pi;
    if (dh < -pi) dh += 2 * pi;
    double dl = q.l - p.l, dc = c2 - c1, dhh = 2 * sqrt(c1 * c2) * sin(dh / 2);
    double l = (p.l + q.l) / 2, c = (c1 + c2) / 2, h = h1 + h2;
    if (c1 * c2 != 0) h = fabs(h1 - h2) <= pi ? h / 2 : h < 2 * pi ? h / 2 + pi : h / 2 - pi;
    double t = 1 - 0.17 * cos(h - pi / 6) + 0.24 * cos(2 * h) + 0.32 * cos(3 * h + pi / 30) -
               0.20 * cos(4 * h - 63 * pi / 180);
    double turn = pi / 3 * exp(-pow((h * 180 / pi - 275) / 25, 2));
    double k7 = pow(c, 7), rc = 2 * sqrt(k7 / (k7 + 6103515625.0)), l50 = (l - 50) * (l - 50);
    double sl = 1 + 0.015 * l50 / sqrt(20 + l50), sc = 1 + 0.045 * c, sh = 1 + 0.015 * c * t;
    double x = dl / sl, y = dc / sc, z = dhh / sh;
    return sqrt(x * x + y * y + z * z - sin(turn) * rc * y * z);
}

static inline double curve(double c) {
    return c <= 0.04045 ? c / 12.92 : pow((c + 0.055) / 1.055, 2.4);
}

static inline int uncurve(double v) {
    v = v < 0 ? 0 : v > 1 ? 1 : v;
    return (int)lround(255 * (v <= 0.0031308 ? v * 12.92 : 1.055 * pow(v, 1 / 2.4) - 0.055));
}

typedef enum eyes { EYES_NORMAL, EYES_PROTAN, EYES_DEUTAN, EYES_TRITAN, N_EYES } eyes;

/* Machado, Oliveira, Fernandes 2009, severity 1, on linear RGB. */
static inline int seen_by(int rgb, eyes kind) {
    static const double m[N_EYES][9] = {
        {1, 0, 0, 0, 1, 0, 0, 0, 1},
        {0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216, -0.003882, -0.048116, 1.051998},
        {0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413, -0.011820, 0.042940, 0.968881},
        {1.255528, -0.076749, -0.178779, -0.078411, 0.930809, 0.147602, 0.004733, 0.691367, 0.303900}};
    double in[3];
    int out = 0;
    for (int i = 0; i < 3; i++) in[i] = curve((rgb >> (16 - 8 * i) & 0xFF) / 255.0);
    for (int i = 0; i < 3; i++) {
        const double *r = m[kind] + 3 * i;
        out = out << 8 | uncurve(r[0] * in[0] + r[1] * in[1] + r[2] * in[2]);
    }
    return out;
}

static inline double difference(int a, int b, eyes kind) {
    return ciede2000(color_lab(seen_by(a, kind)), color_lab(seen_by(b, kind)));
}

#endif
