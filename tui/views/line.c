/* line.c - the line being typed, in the last row, and what Tab found in the row above. */
#include "tui/view.h"

#include <string.h>

/* Columns of the first n bytes. */
static int columns_of(const char *text, int n) {
    char part[LINE_MAX_BYTES];
    memcpy(part, text, (size_t)n);
    part[n] = '\0';
    return cells_measure(part);
}

static int next_character(const char *text) {
    uint32_t cp;
    int n = utf8_decode(text, strlen(text), &cp);
    return n > 0 ? n : 1;
}

/* The line scrolls so that the cursor is seen. */
static void draw(const app *a, int i, cells *g, rect r) {
    (void)i;
    const typed_line *l = &a->line;
    style plain = look(a, STYLE_PLAIN);
    cells_fill(g, r, plain);
    int x = cells_text(g, r.x, r.y, rect_end(r), look(a, STYLE_KEY), l->prompt), skip = 0;
    int room = rect_end(r) - x - 1;
    while (skip < l->point && columns_of(l->text + skip, l->point - skip) >= room)
        skip += next_character(l->text + skip);
    cells_text(g, x, r.y, rect_end(r), plain, l->text + skip);
    int cursor = x + columns_of(l->text + skip, l->point - skip);
    if (cursor < rect_end(r)) cells_look(g, cursor, r.y, 1, (style){-1, -1, ATTR_REVERSE});
}

const view view_line = {"line", draw};

static void draw_matches(const app *a, int i, cells *g, rect r) {
    (void)i;
    cells_fill(g, r, look(a, STYLE_PLAIN));
    cells_text(g, r.x + 1, r.y, rect_end(r), look(a, STYLE_STRONG), a->line.matches);
}

const view view_matches = {"matches", draw_matches};
