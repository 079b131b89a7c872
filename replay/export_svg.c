/* export_svg.c - one state as a figure for a paper: title, legend, tokens. No scripts, no fonts, no links.
 * The body is drawn first, downwards, because only then its height is known. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "replay/export_color.h"
#include "replay/export_impl.h"
#include "replay/layout.h"
#include "replay/places.h"

enum { COLUMNS = 80, MARGIN = 20, LINE = 26, FONT = 14, SMALL = 12, MIN_WIDTH = 580, RAMP_WIDTH = 160 };
static const double COLUMN = 8.4; /* pixels; a run's textLength makes every monospace font fit */

#define INK  "#1d1f24"
#define SOFT "#5c616b"
#define NEW  "#00795a"
#define SANS " font-family=\"Helvetica, Arial, sans-serif\""

typedef struct figure {
    const trajectory *t;
    int state;
    export_color color;
    export_scale scale;
    layout l;
    place *places;
    strbuf body;
    double width, y; /* y: where the next part begins */
} figure;

/* Texts round the canvas -------------------------------------------------- */

/* Proportional text has no known width: this is near that of the usual sans-serif fonts. */
static double char_width(const char *s) {
    if (((unsigned char)*s & 0xC0) == 0x80) return 0;
    if ((unsigned char)*s >= 0xE0) return 1;
    return strchr("iljtfrI.,:;'|!() ", *s) ? 0.31
           : strchr("mwMW%", *s)           ? 0.86
           : *s >= 'A' && *s <= 'Z'        ? 0.69
                                           : 0.56;
}

static double text_width(const char *s, int size) {
    double w = 0;
    for (; *s; s++) w += char_width(s);
    return w * size;
}

static void put_label(figure *f, double x, int size, const char *attributes, const char *text) {
    strbuf_printf(&f->body, "<text" SANS " x=\"%.1f\" y=\"%.1f\" font-size=\"%d\"%s>", x, f->y, size,
                  attributes);
    export_quote_xml(&f->body, text);
    strbuf_puts(&f->body, "</text>\n");
}

/* Bytes of the longest piece of whole words that fits; a word that is too long alone is cut. */
static size_t line_bytes(const char *s, double width) {
    size_t i = 0, space = 0;
    for (double w = 0; s[i]; i++) {
        w += char_width(s + i);
        if (w > width && i) return space ? space : i;
        if (s[i] == ' ') space = i;
    }
    return i;
}

static void put_lines(figure *f, const char *text, int size, const char *attributes) {
    while (*text) {
        size_t n = line_bytes(text, (f->width - 2 * MARGIN) / size);
        char *line = strndup(text, n);
        f->y += size * 1.45;
        if (line)
            put_label(f, MARGIN, size, attributes, line);
        else
            f->body.failed = f->body.no_memory = true;
        free(line);
        text += n;
        while (*text == ' ') text++;
    }
}

static void put_title(figure *f) {
    strbuf line;
    strbuf_init(&line, 1 << 16);
    export_put_text(&line, f->t->head.model_name, export_quote_none);
    strbuf_puts(&line, ", ");
    export_put_policy(&line, f->t->head.policy, &f->t->head.params, export_quote_none);
    f->y = MARGIN - 6;
    strbuf_share_fault(&f->body, &line);
    put_lines(f, line.data, 16, " font-weight=\"600\"");
    strbuf_release(&line);
}

static void put_facts(figure *f) {
    strbuf line;
    const trajectory *t = f->t;
    traj_totals sum = trajectory_totals(t, f->state);
    double mean = export_mean_entropy(trajectory_record_at(t, f->state));
    int masked = 0;
    for (int i = 0; i < t->head.n_tokens; i++) masked += f->places[i].masked;
    strbuf_init(&line, 1 << 12);
    strbuf_printf(&line, "state %d of %d\u00A0\u00B7 %d masked", f->state, t->n_records, masked);
    if (isfinite(mean)) {
        strbuf_puts(&line, "\u00A0\u00B7 mean entropy ");
        export_put_number(&line, mean, 3);
        strbuf_puts(&line, " nats");
    }
    strbuf_puts(&line, "\u00A0\u00B7 NFE ");
    export_put_number(&line, sum.nfe, 4);
    strbuf_printf(&line, "\u00A0\u00B7 %lld backward rows\u00A0\u00B7 seed %llu",
                  (long long)sum.backward_rows, (unsigned long long)t->head.seed);
    strbuf_share_fault(&f->body, &line);
    put_lines(f, line.data, SMALL, " fill=\"" SOFT "\"");
    strbuf_release(&line);
}

/* The policy in force here, when a person has changed it. */
static void put_setting(figure *f) {
    const step_setting *s = trajectory_setting(f->t, f->state);
    strbuf line;
    if (!s) return;
    strbuf_init(&line, 1 << 16);
    strbuf_puts(&line, "set by a person: ");
    export_put_policy(&line, s->policy, &s->params, export_quote_none);
    strbuf_printf(&line, "\u00A0\u00B7 %d pinned\u00A0\u00B7 %d banned", s->n_pins, s->n_bans);
    strbuf_share_fault(&f->body, &line);
    put_lines(f, line.data, SMALL, " fill=\"" SOFT "\"");
    strbuf_release(&line);
}

/* Legend ------------------------------------------------------------------ */

static void put_ramp(figure *f, double x) {
    int n;
    const uint32_t *stops = export_ramp_stops(export_colorings[f->color].ramp, false, &n);
    strbuf_puts(&f->body, "<linearGradient id=\"ramp\">");
    for (int i = 0; i < n; i++) {
        strbuf_printf(&f->body, "<stop offset=\"%.4f\" stop-color=\"#%06x\"/>", (double)i / (n - 1),
                      (unsigned)stops[i]);
    }
    strbuf_printf(&f->body,
                  "</linearGradient>\n<rect x=\"%.1f\" y=\"%.1f\" width=\"%d\" height=\"12\" rx=\"2\" "
                  "fill=\"url(#ramp)\" stroke=\"#d5d2cb\" stroke-width=\".5\"/>\n",
                  x, f->y - 10.5, RAMP_WIDTH);
}

/* What stands at the two ends of the ramp, with the unit. */
static void ramp_ends(const figure *f, strbuf *low, strbuf *high) {
    const export_scale *s = &f->scale;
    strbuf_puts(low, f->color == EXPORT_ORDER ? "1 (first)" : f->color == EXPORT_TIS ? "\u2212" : "0");
    if (f->color == EXPORT_ENTROPY) {
        export_put_number(high, s->entropy_max, 3);
        strbuf_printf(high, " nats = ln %d", f->t->head.n_vocab > 2 ? f->t->head.n_vocab - 1 : 2);
    } else if (f->color == EXPORT_TIS) {
        export_put_number(low, s->tis_clip, 3);
        strbuf_puts(high, "+");
        export_put_number(high, s->tis_clip, 3);
        strbuf_puts(high, " nats");
    } else if (f->color == EXPORT_ORDER) {
        strbuf_printf(high, "%d (last)", s->order_max);
    } else {
        strbuf_puts(high, "1 (probability)");
    }
}

/* The variant that the scores are of: that of this state, or of the last step that has one. */
static const char *tis_name(const figure *f) {
    for (int k = f->state; k >= 0; k--) {
        const step_record *r = trajectory_record_at(f->t, k);
        if (r && (r->tis_name || r->observed_name)) return r->tis_name ? r->tis_name : r->observed_name;
    }
    return "";
}

/* How the colours are put on, and for TIS what they leave out. */
static void put_color_notes(figure *f) {
    if (f->color == EXPORT_ORDER) return;
    put_lines(f,
              "filled: masked now\u00A0\u00B7 underlined: written, as it was just before\u00A0\u00B7 no "
              "colour: not known",
              SMALL, " fill=\"" SOFT "\"");
    if (f->color != EXPORT_TIS) return;
    strbuf line;
    strbuf_init(&line, 1 << 12);
    strbuf_puts(&line, "clipped at the 95th percentile of |TIS|\u00A0\u00B7 ");
    export_put_text(&line, tis_name(f), export_quote_none);
    strbuf_share_fault(&f->body, &line);
    put_lines(f, line.data, SMALL, " fill=\"" SOFT "\"");
    strbuf_release(&line);
}

static void put_color_legend(figure *f) {
    strbuf low, high;
    const char *title = export_colorings[f->color].title;
    double x = MARGIN + text_width(title, SMALL) + 10;
    if (f->color == EXPORT_PLAIN) return;
    f->y += 24;
    put_label(f, MARGIN, SMALL, "", title);
    if (f->color == EXPORT_TIS && !(f->scale.tis_clip > 0)) {
        put_label(f, x, SMALL, " fill=\"" SOFT "\"", "no position of this recording is scored");
        return;
    }
    strbuf_init(&low, 200);
    strbuf_init(&high, 200);
    ramp_ends(f, &low, &high);
    put_label(f, x, SMALL, " fill=\"" SOFT "\"", low.data);
    x += text_width(low.data, SMALL) + 8;
    put_ramp(f, x);
    put_label(f, x + RAMP_WIDTH + 8, SMALL, " fill=\"" SOFT "\"", high.data);
    put_color_notes(f);
    strbuf_release(&low);
    strbuf_release(&high);
}

/* How a kind of position looks, for the canvas and for its key. What a person did comes on top of the rest.
 */
typedef enum look_kind {
    PROMPT,
    WRITTEN,
    FRESH,
    BY_HAND,
    MASKED,
    CANDIDATE,
    NEXT,
    REMASKED,
    N_LOOKS
} look_kind;

static const struct {
    const char *label, *fill, *ink, *sign, *outline; /* sign: drawn in a masked slot */
} looks[N_LOOKS] = {
    [PROMPT] = {"prompt", NULL, SOFT, NULL, NULL},
    [WRITTEN] = {"written", NULL, INK, NULL, NULL},
    [FRESH] = {"written by this step", NULL, INK, NULL, " stroke=\"" NEW "\""},
    [BY_HAND] = {"written by a person", NULL, INK, NULL, NULL},
    [MASKED] = {"masked", "#eeece8", INK, "\u2591", NULL},
    [CANDIDATE] = {"candidate", "#d9d6cf", INK, "\u2592", NULL},
    [NEXT] = {"written next", "#b5b1a8", INK, "\u2593", NULL},
    [REMASKED] = {"put back to the mask", "#eeece8", INK, "\u2591",
                  " stroke=\"#a34f00\" stroke-dasharray=\"3 2\""},
};

static look_kind look_of(const place *p) {
    if (p->masked) return p->next ? NEXT : p->candidate ? CANDIDATE : MASKED;
    return p->fresh ? FRESH : p->by_hand ? BY_HAND : p->prompt ? PROMPT : WRITTEN;
}

static void put_rect(figure *f, double x, double y, double w, double h, const char *fill, const char *more) {
    strbuf_printf(&f->body,
                  "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" rx=\"3\" fill=\"%s\"%s/>\n", x,
                  y, w, h, fill, more);
}

/* Only what occurs in this state is explained. */
static void put_state_legend(figure *f) {
    bool seen[N_LOOKS] = {false};
    double x = MARGIN;
    for (int i = 0; i < f->t->head.n_tokens; i++) {
        seen[look_of(&f->places[i])] = true;
        seen[BY_HAND] |= f->places[i].by_hand;
        seen[REMASKED] |= f->places[i].remasked;
    }
    f->y += 24;
    for (int i = 0; i < N_LOOKS; i++) {
        double w = 32 + text_width(looks[i].label, SMALL);
        if (!seen[i]) continue;
        if (x > MARGIN && x + w > f->width - MARGIN) {
            x = MARGIN;
            f->y += 20;
        }
        put_rect(f, x, f->y - 12, 18, 16, looks[i].fill ? looks[i].fill : "none",
                 looks[i].outline ? looks[i].outline : "");
        strbuf_printf(&f->body, "<text x=\"%.1f\" y=\"%.1f\" fill=\"%s\"%s%s>%s</text>\n", x + 5, f->y + 0.5,
                      looks[i].ink, i == FRESH ? " font-weight=\"700\"" : "",
                      i == BY_HAND ? " text-decoration=\"underline\"" : "",
                      looks[i].sign ? looks[i].sign : "x");
        put_label(f, x + 24, SMALL, " fill=\"" SOFT "\"", looks[i].label);
        x += w + 8;
    }
}

/* Canvas ------------------------------------------------------------------ */

/* The colour of the position's value, or -1. */
static int64_t color_of(const figure *f, const place *p) {
    if (!p->has_value) return -1;
    double x = export_scale_at(&f->scale, f->color, p->value);
    return export_ramp_color(export_colorings[f->color].ramp, false, x);
}

/* In the TIS colouring the sign of a masked position is that of its score. */
static const char *sign_of(const figure *f, const place *p) {
    if (f->color != EXPORT_TIS) return looks[look_of(p)].sign;
    return !p->has_value ? "\u00B7" : p->value < 0 ? "\u2212" : p->value > 0 ? "+" : "0";
}

/* Is the whole box filled with its value's colour, and not only underlined? */
static bool is_filled(const figure *f, const place *p) {
    return p->has_value && (p->masked || f->color == EXPORT_ORDER);
}

static void put_ground(figure *f, const layout_box *b, const place *p) {
    double x = MARGIN + b->x * COLUMN, y = f->y + b->y * LINE, w = b->w * COLUMN;
    look_kind k = look_of(p);
    const char *outline = looks[p->remasked ? REMASKED : k].outline;
    int64_t value = color_of(f, p);
    char fill[16] = "none";
    if (is_filled(f, p))
        snprintf(fill, sizeof fill, "#%06x", (unsigned)value);
    else if (looks[k].fill)
        snprintf(fill, sizeof fill, "%s", looks[k].fill);
    if (fill[0] == '#' || outline) {
        double grow = p->masked ? -0.8 : 0.2; /* masked slots stand apart, tokens do not touch their frame */
        put_rect(f, x - grow, y + 2, w + 2 * grow, LINE - 4, fill, outline ? outline : "");
    }
    if (value < 0 || is_filled(f, p)) return;
    snprintf(fill, sizeof fill, "#%06x", (unsigned)value);
    put_rect(f, x + 0.4, y + LINE - 5, w - 0.8, 4, fill, " stroke=\"#8b8780\" stroke-width=\".3\"");
}

static const char *ink_of(const figure *f, const place *p, bool mark) {
    if (is_filled(f, p)) return export_wants_black((uint32_t)color_of(f, p)) ? "#000000" : "#ffffff";
    return mark ? SOFT : looks[look_of(p)].ink;
}

static void put_sign(figure *f, const layout_box *b, const place *p) {
    bool faint = f->color != EXPORT_TIS;
    strbuf_printf(&f->body, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\" fill=\"%s\"%s>%s</text>\n",
                  MARGIN + (b->x + b->w / 2.0) * COLUMN, f->y + b->y * LINE + 18, ink_of(f, p, false),
                  faint ? " fill-opacity=\".45\"" : "", sign_of(f, p));
}

static void put_run(figure *f, const layout_box *b, const layout_run *r, const place *p) {
    const char *text = f->l.text.data + r->text;
    bool newline = r->mark && !strcmp(text, "\u21B5");
    strbuf_printf(&f->body, "<text x=\"%.1f\" y=\"%.1f\" textLength=\"%.1f\" fill=\"%s\"%s%s%s>",
                  MARGIN + r->x * COLUMN, f->y + b->y * LINE + 18, r->w * COLUMN, ink_of(f, p, r->mark),
                  p->fresh ? " font-weight=\"700\"" : "", p->by_hand ? " text-decoration=\"underline\"" : "",
                  newline   ? " fill-opacity=\".6\""
                  : r->mark ? " font-style=\"italic\""
                            : "");
    export_quote_xml(&f->body, text);
    strbuf_puts(&f->body, "</text>\n");
}

/* A grid has room for the place in the order, so that it can be read without colour. */
static void put_order(figure *f, const layout_box *b, const place *p) {
    if (f->color != EXPORT_ORDER || !f->l.grid || !p->order) return;
    strbuf_printf(&f->body,
                  "<text" SANS " x=\"%.1f\" y=\"%.1f\" font-size=\"7.5\" text-anchor=\"end\" "
                  "fill=\"%s\">%d</text>\n",
                  MARGIN + (b->x + b->w) * COLUMN - 2, f->y + b->y * LINE + 9.5, ink_of(f, p, false),
                  p->order);
}

static void put_canvas(figure *f) {
    f->y += 16;
    for (int i = 0; i < f->l.n_boxes; i++) {
        const layout_box *b = &f->l.boxes[i];
        const place *p = &f->places[b->pos];
        put_ground(f, b, p);
        if (p->masked) put_sign(f, b, p);
        for (int k = 0; k < b->count; k++) put_run(f, b, &f->l.runs[b->first + k], p);
        put_order(f, b, p);
    }
    f->y += f->l.lines * LINE + MARGIN;
}

/* Document ---------------------------------------------------------------- */

static void put_document(const figure *f, strbuf *out) {
    strbuf_printf(
        out,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" height=\"%.0f\" "
        "role=\"img\" font-family=\"DejaVu Sans Mono, Menlo, Consolas, monospace\" "
        "font-size=\"%d\">\n<title>",
        f->width, f->y, f->width, f->y, FONT);
    export_put_text(out, f->t->head.model_name, export_quote_xml);
    strbuf_puts(out, ", ");
    export_put_policy(out, f->t->head.policy, &f->t->head.params, export_quote_xml);
    strbuf_printf(out, ", state %d</title>\n", f->state);
    strbuf_puts(out, "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n");
    strbuf_add(out, f->body.data, f->body.len);
    strbuf_puts(out, "</svg>\n");
}

static int draw(figure *f, strbuf *out, err *e) {
    size_t n = (size_t)f->t->head.n_tokens;
    int32_t *tokens = mem_new(n, sizeof *tokens);
    f->places = mem_new(n, sizeof *f->places);
    int rc = tokens && f->places ? 0 : err_set(e, ERR_NO_MEMORY, "export: out of memory for %zu tokens", n);
    if (!rc) {
        trajectory_state(f->t, f->state, tokens);
        places_of(f->t, f->state, f->color, f->places);
        rc = layout_build(&f->l, f->t, tokens, COLUMNS, e);
    }
    if (!rc) {
        double canvas = f->l.columns * COLUMN;
        f->width = (canvas > MIN_WIDTH ? canvas : MIN_WIDTH) + 2 * MARGIN;
        put_title(f);
        put_facts(f);
        put_setting(f);
        put_color_legend(f);
        put_state_legend(f);
        put_canvas(f);
        put_document(f, out);
        rc = export_check(&f->body, e);
    }
    layout_release(&f->l);
    free(f->places);
    free(tokens);
    return rc;
}

int export_write_svg(const trajectory *const *runs, int n, const export_opts *o, strbuf *out, err *e) {
    figure f = {.t = runs[0], .state = o->at, .color = o->color};
    int rc = export_scale_of(runs, n, &f.scale, e);
    strbuf_init(&f.body, out->max);
    if (!rc) rc = draw(&f, out, e);
    strbuf_release(&f.body);
    return rc;
}
