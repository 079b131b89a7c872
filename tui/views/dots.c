/* dots.c - plots in braille. */
#include "tui/views/dots.h"

static void put_sign(cell *c, dot d) {
    if (c->cp[0] <= ' ') {
        c->cp[0] = d.sign;
    } else if (d.meet && c->cp[0] != d.sign) {
        c->cp[0] = d.meet;
    } else {
        return;
    }
    c->look = d.look;
}

void dots_put(cells *g, rect r, int x, int y, dot d) {
    static const unsigned char bits[DOTS_Y][DOTS_X] = {
        {0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
    if (x < 0 || y < 0 || x >= r.w * DOTS_X || y >= r.h * DOTS_Y) return;
    cell *c = &g->at[(r.y + y / DOTS_Y) * g->cols + r.x + x / DOTS_X];
    if (g->ascii) {
        put_sign(c, d);
        return;
    }
    bool dotted = c->cp[0] > 0x2800 && c->cp[0] <= 0x28FF;
    c->cp[0] = (dotted ? c->cp[0] : 0x2800) | bits[y % DOTS_Y][x % DOTS_X];
    if (!dotted) c->look = d.look;
}

int dots_place(double v, double low, double high, int n) {
    if (!(high > low)) return n / 2;
    double at = (v - low) / (high - low) * (n - 1) + 0.5;
    return at > 0 ? at < n ? (int)at : n - 1 : 0;
}
