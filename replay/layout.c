/* layout.c - tokens become glyphs, and glyphs find their places. */
#include "replay/layout.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "replay/format.h"
#include "replay/visible.h"

enum { GRID_SLOT = 3, MASK_WIDTH = 2, MAX_TEXT = 1 << 28, MAX_LABEL = 48 };

/* One visible piece and the token it belongs to; `masked` has no text. */
typedef struct glyph_of {
    int pos;
    bool masked, special;
    visible v;
} glyph_of;

typedef struct glyphs {
    glyph_of *at;
    int n;
    size_t cap;
} glyphs;

static bool add(glyphs *g, glyph_of one) {
    if (!mem_grow((void **)&g->at, &g->cap, (size_t)g->n + 1, sizeof *g->at)) return false;
    g->at[g->n++] = one;
    return true;
}

/* Glyphs ------------------------------------------------------------------ */

typedef struct source {
    const trajectory *t;
    const int32_t *tokens;
} source;

static const char *bytes_of(const source *s, int pos, size_t *n, bool *special) {
    return format_text(s->t->texts, s->tokens[pos], n, special);
}

static bool is_plain(const source *s, int pos) {
    size_t n;
    bool special;
    return s->tokens[pos] != s->t->head.mask_id && bytes_of(s, pos, &n, &special) && !special;
}

/* A combining mark goes to the glyph before it; the scan never begins with one. */
static void stack(visible *under, const char *mark) {
    size_t n = strlen(under->text); /* NOLINT(clang-analyzer-core.NonNullParamChecker): there is one */
    snprintf(under->text + n, sizeof under->text - n, "%s", mark);
}

/* The plain tokens [from, to) are read as one string, so that split characters join. */
static bool add_plain(glyphs *g, const source *s, int from, int to) {
    strbuf all;
    size_t n, end;
    bool special, ok = true;
    visible v;
    strbuf_init(&all, MAX_TEXT);
    for (int i = from; i < to; i++) {
        const char *text = bytes_of(s, i, &n, &special);
        strbuf_add(&all, text, n);
    }
    visible_scan scan = {.s = all.data, .n = all.len};
    int pos = from;
    bytes_of(s, pos, &end, &special);
    for (size_t at = 0; ok && visible_next(&scan, &v); at = scan.at) {
        while (at >= end && pos < to - 1) {
            bytes_of(s, ++pos, &n, &special);
            end += n;
        }
        if (!v.width) {
            assert(g->at && g->n); /* a scan begins with a character that has a width */
            stack(&g->at[g->n - 1].v, v.text);
        } else {
            ok = add(g, (glyph_of){.pos = pos, .v = v});
        }
    }
    ok = ok && !all.failed;
    strbuf_release(&all);
    return ok;
}

static bool add_label(glyphs *g, int pos, const char *text, size_t n) {
    visible_scan scan = {.s = text, .n = n};
    glyph_of one = {.pos = pos, .special = true};
    bool ok = true;
    while (ok && visible_next(&scan, &one.v)) {
        if (one.v.width)
            ok = add(g, one);
        else
            stack(&g->at[g->n - 1].v, one.v.text);
    }
    return ok;
}

/* A special token or one whose text is unknown; *to gets the end of its run. */
static bool add_special(glyphs *g, const source *s, int from, int *to) {
    char count[24];
    size_t n;
    bool special;
    const char *text = bytes_of(s, from, &n, &special);
    int end = from + 1;
    while (text && end < s->t->head.n_tokens && s->tokens[end] == s->tokens[from]) end++;
    *to = end;
    if (!text) {
        int len = snprintf(count, sizeof count, " #%d", s->tokens[from]);
        return add_label(g, from, count, (size_t)len);
    }
    int len = snprintf(count, sizeof count, "\u00D7%d", end - from);
    return add_label(g, from, text, n < MAX_LABEL ? n : MAX_LABEL) &&
           (end - from == 1 || add_label(g, from, count, (size_t)len));
}

static bool make_glyphs(glyphs *g, const source *s) {
    bool ok = true;
    for (int i = 0, end; ok && i < s->t->head.n_tokens; i = end) {
        end = i + 1;
        if (s->tokens[i] == s->t->head.mask_id) {
            ok = add(g, (glyph_of){.pos = i, .masked = true});
        } else if (is_plain(s, i)) {
            while (end < s->t->head.n_tokens && is_plain(s, end)) end++;
            ok = add_plain(g, s, i, end);
        } else {
            ok = add_special(g, s, i, &end);
        }
    }
    return ok;
}

static bool is_newline(const glyph_of *g) {
    return !g->masked && g->v.kind == VISIBLE_NEWLINE;
}

/* Slot width of a grid, or 0: every plain token is one narrow character, and lines end. */
static int find_grid(const glyphs *g, int columns) {
    int line = 0, longest = 0, lines = 0;
    for (int i = 0; i < g->n; i++) {
        const glyph_of *c = &g->at[i];
        if (c->special) continue;
        if (!c->masked && (c->v.width != 1 || (i && g->at[i - 1].pos == c->pos))) return 0;
        lines += is_newline(c);
        line = is_newline(c) ? 0 : line + 1;
        if (line > longest) longest = line;
    }
    return lines && longest * GRID_SLOT <= columns ? GRID_SLOT : 0;
}

/* Places ------------------------------------------------------------------ */

typedef struct pen {
    layout *l;
    int x, y, columns;
} pen;

static void next_line(pen *p) {
    p->x = 0;
    p->y++;
}

static layout_box *open_box(pen *p, int pos) {
    layout *l = p->l;
    if (!mem_grow((void **)&l->boxes, &l->cap_boxes, (size_t)l->n_boxes + 1, sizeof *l->boxes)) {
        l->failed = true;
        return NULL;
    }
    l->boxes[l->n_boxes] = (layout_box){.pos = pos, .x = p->x, .y = p->y, .first = l->n_runs};
    return &l->boxes[l->n_boxes++];
}

/* Moves on by w columns, which belong to the box. */
static void advance(pen *p, layout_box *b, int w) {
    p->x += w;
    b->w += w;
    if (p->x > p->l->columns) p->l->columns = p->x;
    if (p->y >= p->l->lines) p->l->lines = p->y + 1;
}

/* The run that the glyph goes on with, or a new one. A run is stretched to its columns, so a wide character
 * has one to itself: fonts disagree about its width. */
static layout_run *run_for(pen *p, layout_box *b, bool wide, bool mark) {
    layout *l = p->l;
    layout_run *last = b->count ? &l->runs[l->n_runs - 1] : NULL;
    if (last && !wide && !last->wide && last->mark == mark && last->x + last->w == p->x) {
        l->text.len--; /* its NUL */
        return last;
    }
    if (!mem_grow((void **)&l->runs, &l->cap_runs, (size_t)l->n_runs + 1, sizeof *l->runs)) {
        l->failed = true;
        return NULL;
    }
    b->count++;
    l->runs[l->n_runs] = (layout_run){.x = p->x, .text = l->text.len, .mark = mark, .wide = wide};
    return &l->runs[l->n_runs++];
}

static void draw(pen *p, layout_box *b, const glyph_of *g) {
    bool wide = g->v.kind == VISIBLE_TEXT && g->v.width == 2;
    if (g->v.kind != VISIBLE_SPACE) {
        layout_run *r = run_for(p, b, wide, g->special || g->v.kind >= VISIBLE_NEWLINE);
        if (!r) return;
        strbuf_add(&p->l->text, g->v.text, strlen(g->v.text) + 1);
        r->w += g->v.width;
    }
    advance(p, b, g->v.width);
}

/* Columns of the token whose glyphs start at i, up to its first line break. */
static int token_width(const glyphs *g, int i) {
    int w = 0, pos = g->at[i].pos;
    if (g->at[i].masked) return MASK_WIDTH;
    for (; i < g->n && g->at[i].pos == pos; i++) {
        w += g->at[i].v.width;
        if (is_newline(&g->at[i])) break;
    }
    return w;
}

/* One token of a flowing text; returns the index behind its glyphs. */
static int place_token(pen *p, const glyphs *g, int i) {
    int pos = g->at[i].pos, w = token_width(g, i);
    if (p->x && p->x + w > p->columns && !is_newline(&g->at[i])) next_line(p);
    layout_box *b = open_box(p, pos);
    if (b && g->at[i].masked) advance(p, b, MASK_WIDTH);
    if (g->at[i].masked) return i + 1;
    for (; b && i < g->n && g->at[i].pos == pos; i++) {
        bool newline = is_newline(&g->at[i]);
        if (!newline && p->x && p->x + g->at[i].v.width > p->columns) {
            next_line(p);
            b = open_box(p, pos);
        }
        if (b) draw(p, b, &g->at[i]);
        if (!newline) continue;
        next_line(p);
        if (i + 1 < g->n && g->at[i + 1].pos == pos) b = open_box(p, pos);
    }
    return i;
}

/* One slot of a grid. Special tokens in front get a line of their own, so that the rows below stay aligned.
 */
static int place_slot(pen *p, const glyphs *g, int i) {
    const glyph_of *c = &g->at[i];
    if (c->special) {
        bool leads = !p->x;
        i = place_token(p, g, i);
        if (leads) next_line(p);
        return i;
    }
    layout_box *b = open_box(p, c->pos);
    if (!b) return i;
    if (c->masked) {
        advance(p, b, p->l->grid);
    } else {
        p->x++;
        draw(p, b, c);
        p->x--;
        advance(p, b, p->l->grid - c->v.width);
    }
    if (is_newline(c)) next_line(p);
    return i + 1;
}

int layout_build(layout *l, const trajectory *t, const int32_t *tokens, int columns, err *e) {
    glyphs g = {0};
    source s = {t, tokens};
    *l = (layout){0};
    strbuf_init(&l->text, MAX_TEXT);
    l->failed = !make_glyphs(&g, &s);
    l->grid = l->failed ? 0 : find_grid(&g, columns);
    pen p = {.l = l, .columns = columns};
    for (int i = 0; i < g.n && !l->failed;) i = l->grid ? place_slot(&p, &g, i) : place_token(&p, &g, i);
    free(g.at);
    if (!l->failed && !l->text.failed) return 0;
    return err_set(e, ERR_NO_MEMORY, "export: out of memory for %d tokens", t->head.n_tokens);
}

void layout_release(layout *l) {
    free(l->boxes);
    free(l->runs);
    strbuf_release(&l->text);
    *l = (layout){0};
}
