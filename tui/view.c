/* view.c - the pen that summary, inspector and status write their fields with. */
#include "tui/view.h"

#include <stdarg.h>

bool pen_text(pen *p, style_role role, const char *fmt, ...) {
    char text[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (p->x + cells_measure(text) > p->end) return false;
    p->x = cells_text(p->g, p->x, p->y, p->end, look(p->a, role), text);
    return true;
}

bool pen_field(pen *p, const char *label, const char *fmt, ...) {
    char text[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (p->x + cells_measure(label) + 1 + cells_measure(text) > p->end) return false;
    p->x = cells_text(p->g, p->x, p->y, p->end, look(p->a, STYLE_DIM), label);
    p->x = cells_text(p->g, p->x + 1, p->y, p->end, look(p->a, STYLE_PLAIN), text) + 2;
    return true;
}
