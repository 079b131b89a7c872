/* cells.c - a grid of glyphs with looks, and its dump as text. */
#include "tui/cells.h"

#include <stdarg.h>

#include "engine/base/mem.h"

int cells_init(cells *g, int cols, int rows, bool ascii, err *e) {
    size_t n;
    *g = (cells){.cols = cols, .rows = rows, .ascii = ascii};
    if (cols < 1 || rows < 1 || !size_mul((size_t)cols, (size_t)rows, &n) ||
        !(g->at = mem_new(n, sizeof *g->at))) {
        return err_set(e, ERR_NO_MEMORY, "screen of %dx%d: out of memory", cols, rows);
    }
    cells_clear(g);
    return 0;
}

void cells_release(cells *g) {
    free(g->at);
    *g = (cells){0};
}

static const cell blank = {.cp = {' '}, .width = 1, .look = {-1, -1, 0}};

void cells_clear(cells *g) {
    for (int i = 0; i < g->cols * g->rows; i++) g->at[i] = blank;
}

/* ASCII --------------------------------------------------------------- */

typedef struct ascii_sign {
    uint32_t cp;
    char sign;
} ascii_sign;

static const ascii_sign ascii_signs[] = {
    {0x2591, '_'}, {0x2592, ':'}, {0x2593, '#'}, {0x2588, '#'}, {0x00B7, '-'}, {0x22C5, '_'}, {0x2260, '!'},
    {0x2500, '-'}, {0x2501, '='}, {0x2502, '|'}, {0x25CF, 'o'}, {0x2026, '~'}, {0x21B5, '$'}, {0x25B8, '>'},
    {0x00D7, 'x'}, {0x03A3, 'S'}, {0x03BB, 'l'}, {0x25B2, '^'}, {0x2506, ':'}, {0x2190, '<'}, {0x2192, '>'},
    {0x2191, '^'}, {0x2193, 'v'}, {0x2713, '*'}, {0x2212, '-'}, {0x00B2, '2'}, {0x00B1, '~'}, {0x03C1, 'r'},
    {0x03C4, 't'}, {0x2016, '|'}, {0x25BE, 'v'}, {0x2014, '-'}, {0x2013, '-'}, {0x0394, 'd'}, {0x25B6, '>'},
    {0x258C, '|'}, {0x203B, '*'}, {0x25C7, 'r'}, {0x21BA, 'r'}, {0x25C6, 'f'}, {0x25CB, 'p'},
};

static uint32_t ascii_of(uint32_t cp) {
    if (cp < 0x80) return cp;
    if (cp >= 0x2581 && cp <= 0x2587) return (uint32_t)(unsigned char)".:-=+*#"[cp - 0x2581];
    if (cp > 0x2800 && cp <= 0x28FF) return '*';
    for (size_t i = 0; i < sizeof ascii_signs / sizeof ascii_signs[0]; i++) {
        if (ascii_signs[i].cp == cp) return (uint32_t)(unsigned char)ascii_signs[i].sign;
    }
    return '?';
}

/* Putting ------------------------------------------------------------- */

/* A wide glyph of which one half is overwritten loses the other half. */
static void split_wide(cells *g, int x, int y) {
    cell *row = g->at + (size_t)y * (size_t)g->cols;
    if (row[x].width == 0 && x > 0) {
        row[x - 1].cp[0] = ' ';
        row[x - 1].cp[1] = 0;
        row[x - 1].width = 1;
    }
    if (row[x].width == 2 && x + 1 < g->cols) row[x + 1] = (cell){{' '}, 1, row[x + 1].look};
}

int cells_glyph(cells *g, int x, int y, int end, const glyph *c, style look) {
    if (end > g->cols) end = g->cols;
    int width = g->ascii ? 1 : c->width;
    if (x < 0 || y < 0 || y >= g->rows || x + width > end) return 0;
    split_wide(g, x, y);
    if (width == 2) split_wide(g, x + 1, y);
    cell *at = g->at + (size_t)y * (size_t)g->cols + x;
    *at = (cell){.width = width, .look = look};
    for (int i = 0; i < GLYPH_POINTS; i++) at->cp[i] = c->cp[i];
    if (g->ascii) {
        at->cp[0] = ascii_of(c->cp[0]);
        at->cp[1] = 0;
    }
    if (width == 2) at[1] = (cell){.width = 0, .look = look};
    return width;
}

int cells_char(cells *g, int x, int y, uint32_t cp, style look) {
    glyph c = {.cp = {cp}, .width = 1};
    return cells_glyph(g, x, y, g->cols, &c, look);
}

int cells_measure(const char *text) {
    glyph out[512];
    int n = text_glyphs(text, strlen(text), out, 512), width = 0;
    for (int i = 0; i < n; i++) width += out[i].width;
    return width;
}

int cells_text(cells *g, int x, int y, int end, style look, const char *text) {
    glyph out[512];
    int n = text_glyphs(text, strlen(text), out, 512), total = 0, i = 0;
    if (end > g->cols) end = g->cols;
    for (int k = 0; k < n; k++) total += out[k].width;
    bool cut = x + total > end;
    int stop = cut ? end - 1 : end;
    for (; i < n && x + out[i].width <= stop; i++) x += cells_glyph(g, x, y, stop, &out[i], look);
    if (cut && x < end) x += cells_char(g, x, y, 0x2026, look);
    return x;
}

int cells_printf(cells *g, int x, int y, int end, style look, const char *fmt, ...) {
    char line[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    return cells_text(g, x, y, end, look, line);
}

void cells_repeat(cells *g, int x, int y, int n, uint32_t cp, style look) {
    for (int i = 0; i < n; i++) cells_char(g, x + i, y, cp, look);
}

void cells_fill(cells *g, rect r, style look) {
    for (int y = r.y; y < r.y + r.h; y++) cells_repeat(g, r.x, y, r.w, ' ', look);
}

void cells_look(cells *g, int x, int y, int n, style look) {
    if (y < 0 || y >= g->rows) return;
    for (int i = x < 0 ? 0 : x; i < x + n && i < g->cols; i++) g->at[y * g->cols + i].look = look;
}

/* Dump ---------------------------------------------------------------- */

void cells_dump(const cells *g, strbuf *out) {
    for (int y = 0; y < g->rows; y++) {
        const cell *row = g->at + (size_t)y * (size_t)g->cols;
        int last = g->cols;
        while (last > 0 && row[last - 1].cp[0] == ' ') last--;
        for (int x = 0; x < last; x++) {
            for (int i = 0; row[x].width && i < GLYPH_POINTS && row[x].cp[i]; i++) {
                char bytes[4];
                strbuf_add(out, bytes, (size_t)utf8_encode(row[x].cp[i], bytes));
            }
        }
        strbuf_putc(out, '\n');
    }
}
