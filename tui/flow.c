/* flow.c - first every token becomes glyphs, then the glyphs get places. */
#include "tui/flow.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/base/strbuf.h"

enum {
    NEWLINE_MARK = 0x21B5,
    TAB_MARK = 0x2192,
    SPACE_MARK = 0x22C5,
    MASK_WIDTH = 3,
    MAX_RUN_BYTES = 1 << 24
};

void flow_release(flow *f) {
    free(f->slots);
    free(f->glyphs);
    *f = (flow){0};
}

/* Glyphs -------------------------------------------------------------- */

static bool add_glyph(flow *f, int pos, const glyph *g, bool mark) {
    if (!mem_grow((void **)&f->glyphs, &f->cap_glyphs, (size_t)f->n_glyphs + 1, sizeof *f->glyphs))
        return false;
    flow_slot *s = &f->slots[pos];
    if (!s->count) s->first = f->n_glyphs;
    s->count++;
    f->glyphs[f->n_glyphs++] = (flow_glyph){.g = *g, .mark = mark};
    return true;
}

static bool add_label(flow *f, int pos, const char *text) {
    glyph out[64];
    int n = text_glyphs(text, strlen(text), out, 64);
    for (int i = 0; i < n; i++) {
        if (!add_glyph(f, pos, &out[i], true)) return false;
    }
    return true;
}

static const char *token_bytes(const flow_input *in, int pos, size_t *n, bool *special) {
    *special = false;
    return in->texts.text ? in->texts.text(in->texts.ctx, in->tokens[pos], n, special) : NULL;
}

static bool is_plain(const flow_input *in, int pos) {
    size_t n = 0;
    bool special;
    return in->tokens[pos] != in->mask_id && token_bytes(in, pos, &n, &special) && !special;
}

/* Tokens [from, to) are plain text: their bytes are read as one string, so that characters split between them
 * join. */
static bool add_text_run(flow *f, const flow_input *in, int from, int to) {
    strbuf bytes;
    strbuf_init(&bytes, MAX_RUN_BYTES);
    bool ok = true, special;
    for (int i = from; i < to; i++) {
        size_t n = 0;
        const char *s = token_bytes(in, i, &n, &special);
        strbuf_add(&bytes, s, n);
    }
    size_t at = 0, end = 0; /* end: where token `pos` ends in the string */
    int pos = from - 1, owner = from;
    while (ok && (at < bytes.len || pos < to - 1)) {
        while (pos < to - 1 && at >= end) {
            size_t n = 0;
            token_bytes(in, ++pos, &n, &special);
            end += n;
            f->slots[pos].owner =
                at >= end && n ? owner : pos; /* all its bytes belong to a glyph already made */
        }
        if (at >= bytes.len) break;
        glyph out[TEXT_MAX_GLYPHS];
        size_t used = 1;
        int k = 1;
        char c = bytes.data[at];
        if (c == '\n' || c == '\t') {
            out[0] = (glyph){.cp = {c == '\n' ? NEWLINE_MARK : TAB_MARK}, .width = 1};
        } else {
            glyph *last = f->n_glyphs && at ? &f->glyphs[f->n_glyphs - 1].g : NULL;
            k = text_next(bytes.data + at, bytes.len - at, last, out, &used);
        }
        if (k) owner = pos;
        if (!k && !f->slots[pos].count) f->slots[pos].owner = owner;
        for (int i = 0; ok && i < k; i++) ok = add_glyph(f, pos, &out[i], k > 1 || c == '\n' || c == '\t');
        if (f->slots[pos].count) f->slots[pos].owner = pos;
        at += used;
    }
    ok = ok && !bytes.failed;
    strbuf_release(&bytes);
    return ok;
}

/* A special token, or a run of the same one folded into the first. */
static bool add_special(flow *f, const flow_input *in, int from, int *to) {
    char label[80];
    size_t n = 0;
    bool special;
    const char *text = token_bytes(in, from, &n, &special);
    int end = from + 1;
    while (end < in->n && text && in->tokens[end] == in->tokens[from]) end++;
    for (int i = from; i < end; i++) {
        f->slots[i].special = true;
        f->slots[i].owner = from;
    }
    if (!text) {
        snprintf(label, sizeof label, " #%d", in->tokens[from]);
    } else if (end - from > 1) {
        snprintf(label, sizeof label, "%.*s\u00D7%d", (int)(n < 48 ? n : 48), text, end - from);
    } else {
        snprintf(label, sizeof label, "%.*s", (int)(n < 48 ? n : 48), text);
    }
    *to = end;
    return add_label(f, from, label);
}

static bool make_glyphs(flow *f, const flow_input *in) {
    for (int i = 0; i < in->n;) {
        int end = i + 1;
        f->slots[i] = (flow_slot){.owner = i, .masked = in->tokens[i] == in->mask_id};
        if (f->slots[i].masked) {
            i++;
            continue;
        }
        bool ok;
        if (is_plain(in, i)) {
            while (end < in->n && is_plain(in, end)) end++;
            for (int k = i; k < end; k++) f->slots[k] = (flow_slot){.owner = k};
            ok = add_text_run(f, in, i, end);
        } else {
            size_t n = 0;
            bool special;
            const char *text = token_bytes(in, i, &n, &special);
            for (int k = i; text && k < in->n && in->tokens[k] == in->tokens[i]; k++)
                f->slots[k] = (flow_slot){.owner = k};
            ok = add_special(f, in, i, &end);
        }
        if (!ok) return false;
        i = end;
    }
    return true;
}

/* Spaces that no gap shows get a sign: at the edge of a line, and beside a mask, a mark or another space. The
 * dot operator looks like the middle dot and, unlike it, is one column wide everywhere. */
static bool mark_space(flow_glyph *c, bool edge) {
    bool space = c->g.cp[0] == ' ' && !c->g.cp[1] && !c->mark;
    if (space && edge) {
        c->g.cp[0] = SPACE_MARK;
        c->mark = true;
    }
    return space || c->mark;
}

static void mark_spaces(flow *f) {
    bool edge = true;
    for (int i = 0; i < f->n; i++) {
        const flow_slot *s = &f->slots[i];
        if (s->masked) edge = true;
        for (int k = 0; k < s->count; k++) edge = mark_space(&f->glyphs[s->first + k], edge);
    }
    edge = true;
    for (int i = f->n - 1; i >= 0; i--) {
        const flow_slot *s = &f->slots[i];
        if (s->masked) edge = true;
        for (int k = s->count - 1; k >= 0; k--) edge = mark_space(&f->glyphs[s->first + k], edge);
    }
}

/* Places -------------------------------------------------------------- */

static bool is_newline(const flow *f, const flow_slot *s) {
    return s->count == 1 && f->glyphs[s->first].g.cp[0] == NEWLINE_MARK;
}

/* Slot width of a grid, or 0; *all_single tells whether every token is one column (then a mask is one, too).
 */
static int grid_width(const flow *f, bool *all_single) {
    int line = 0, longest = 0, known = 0;
    *all_single = true;
    for (int i = 0; i < f->n; i++) {
        const flow_slot *s = &f->slots[i];
        if (s->special) continue;
        if (!s->masked) {
            if (s->owner != i || s->count != 1 || f->glyphs[s->first].g.width != 1) {
                *all_single = false;
                return 0;
            }
            known++;
        }
        line = is_newline(f, s) ? 0 : line + 1;
        if (line > longest) longest = line;
    }
    if (!known) *all_single = false;
    if (!known || !longest) return 0;
    return 3 * longest < f->width ? 3 : 2 * longest < f->width ? 2 : 0;
}

typedef struct spot {
    int x, y;
} spot;

static void wrap(flow *f, spot *at, int width) {
    if (at->x > 0 && at->x + width > f->width) *at = (spot){0, at->y + 1};
}

static void place_grid(flow *f) {
    spot at = {0, 0};
    for (int i = 0; i < f->n; i++) {
        flow_slot *s = &f->slots[i];
        if (s->owner != i) continue;
        int width = s->special ? s->count + 1 : f->grid;
        if (!is_newline(f, s)) wrap(f, &at, width);
        s->x = at.x;
        s->y = at.y;
        s->w = is_newline(f, s) && at.x + width > f->width ? f->width - at.x : width;
        if (s->w < 1) s->w = 1;
        for (int k = 0; k < s->count; k++) {
            f->glyphs[s->first + k].x = at.x + k + (s->w > 1 ? 1 : 0);
            f->glyphs[s->first + k].y = at.y;
        }
        at.x += width;
        /* Special tokens in front get a line of their own, so that the rows below stay aligned. */
        if (is_newline(f, s) || (s->special && (i == 0 || f->slots[i - 1].special))) at = (spot){0, at.y + 1};
    }
    f->lines = at.x ? at.y + 1 : at.y;
}

/* Up to the first line break. */
static int slot_columns(const flow *f, const flow_slot *s) {
    int w = 0;
    for (int k = 0; k < s->count; k++) {
        const flow_glyph *c = &f->glyphs[s->first + k];
        w += c->g.width;
        if (c->mark && c->g.cp[0] == NEWLINE_MARK) break;
    }
    return w;
}

static void place_slot(flow *f, flow_slot *s, spot *at, int mask_width) {
    int w = s->masked ? mask_width : slot_columns(f, s);
    if (w <= f->width && !is_newline(f, s)) wrap(f, at, w);
    s->x = at->x;
    s->y = at->y;
    for (int k = 0; k < s->count; k++) {
        flow_glyph *g = &f->glyphs[s->first + k];
        bool newline = g->g.cp[0] == NEWLINE_MARK;
        if (!newline) wrap(f, at, g->g.width);
        if (!k) s->x = at->x, s->y = at->y;
        g->x = at->x;
        g->y = at->y;
        at->x += g->g.width;
        if (newline && g->mark) *at = (spot){0, at->y + 1};
    }
    if (s->masked) at->x += mask_width;
    s->w = at->y == s->y ? at->x - s->x : s->masked ? mask_width : f->width - s->x;
    if (s->w < 1) s->w = 1;
}

static void place_flow(flow *f, int mask_width) {
    spot at = {0, 0};
    for (int i = 0; i < f->n; i++) {
        if (f->slots[i].owner == i) place_slot(f, &f->slots[i], &at, mask_width);
    }
    f->lines = at.x ? at.y + 1 : at.y;
}

int flow_build(flow *f, const flow_input *in, err *e) {
    f->n_glyphs = f->lines = 0;
    f->n = in->n;
    f->width = in->width > MASK_WIDTH ? in->width : MASK_WIDTH;
    bool all_single;
    if (!mem_grow((void **)&f->slots, &f->cap_slots, (size_t)in->n + 1, sizeof *f->slots) ||
        !make_glyphs(f, in)) {
        f->n = 0;
        return err_set(e, ERR_NO_MEMORY, "canvas of %d tokens: out of memory", in->n);
    }
    mark_spaces(f);
    f->grid = grid_width(f, &all_single);
    if (f->grid) {
        place_grid(f);
    } else {
        place_flow(f, all_single ? 1 : MASK_WIDTH);
    }
    for (int i = 0; i < f->n; i++) {
        const flow_slot *o = &f->slots[f->slots[i].owner];
        if (f->slots[i].owner != i) f->slots[i].x = o->x, f->slots[i].y = o->y, f->slots[i].w = o->w;
    }
    return 0;
}

int flow_at(const flow *f, int x, int y) {
    int best = -1;
    long best_cost = 0;
    for (int i = 0; i < f->n; i++) {
        const flow_slot *s = &f->slots[i];
        if (s->owner != i) continue;
        long dy = s->y > y ? s->y - y : y - s->y;
        long dx = x < s->x ? s->x - x : x >= s->x + s->w ? x - (s->x + s->w) + 1 : 0;
        long cost = dy * 100000 + dx;
        if (best < 0 || cost < best_cost) best = i, best_cost = cost;
    }
    return best;
}

const char *flow_token_text(token_texts texts, int32_t id, int32_t mask_id, char *buf, int size) {
    size_t n = 0;
    bool special = false;
    const char *s = id < 0 || !texts.text ? NULL : texts.text(texts.ctx, id, &n, &special);
    if (id >= 0 && id == mask_id) {
        snprintf(buf, (size_t)size, "<mask>");
    } else if (!s) {
        buf[0] = '\0';
        if (id >= 0) snprintf(buf, (size_t)size, "#%d", id);
    } else {
        int used = 0;
        for (size_t i = 0; i < n && used + 4 < size; i++) {
            const char *as = s[i] == '\n'   ? "\u21B5"
                             : s[i] == '\t' ? "\u2192"
                             : s[i] == ' '  ? "\u00B7"
                                            : NULL;
            if (as) {
                used += snprintf(buf + used, (size_t)(size - used), "%s", as);
            } else {
                buf[used++] = s[i];
            }
        }
        buf[used] = '\0';
    }
    return buf;
}
