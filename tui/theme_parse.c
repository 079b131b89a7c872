/* theme_parse.c - the text of a theme into a draft, line by line; the first fault ends it with its place. */
#include "tui/theme_parse.h"

#include <stdio.h>
#include <string.h>

#include "tui/text.h"

/* Where reading stands. */
typedef struct reader {
    const char *what;
    const char *line, *at, *end; /* of the current line, without its newline */
    int number;
    err *e;
} reader;

typedef struct slice {
    const char *s;
    int n;
} slice;

/* Faults -------------------------------------------------------------- */

/* Columns count characters, as editors do. */
static int column(const reader *r, const char *at) {
    int n = 1;
    for (const char *s = r->line; s < at; s++) n += (*s & 0xC0) != 0x80;
    return n;
}

#define FAULT(r, at, ...) (err_set((r)->e, ERR_BAD_FORMAT, __VA_ARGS__), fault(r, at))
static int fault(const reader *r, const char *at) {
    return err_prefix(r->e, "%s:%d:%d", r->what, r->number, column(r, at)), ERR_BAD_FORMAT;
}

/* Words --------------------------------------------------------------- */

static void skip_blanks(reader *r) {
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t')) r->at++;
}

static slice take_word(reader *r) {
    skip_blanks(r);
    slice w = {r->at, 0};
    while (r->at < r->end && *r->at != ' ' && *r->at != '\t' && *r->at != '=') r->at++;
    w.n = (int)(r->at - w.s);
    return w;
}

static bool is(slice w, const char *name) {
    return strlen(name) == (size_t)w.n && !memcmp(w.s, name, (size_t)w.n);
}

/* How much of a word a message repeats. */
static int shown(slice w) {
    return w.n < 40 ? w.n : 40;
}

/* Colours and attributes ---------------------------------------------- */

static int hex_digit(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static bool parse_rgb(slice w, int *out) {
    int v = 0;
    if (w.n != 7 || w.s[0] != '#') return false;
    for (int i = 1; i < 7; i++) {
        int d = hex_digit(w.s[i]);
        if (d < 0) return false;
        v = v << 4 | d;
    }
    *out = DRAFT_RGB | v;
    return true;
}

static bool parse_index(slice w, int *out) {
    int v = 0;
    if (w.n < 1 || w.n > 3) return false;
    for (int i = 0; i < w.n; i++) {
        if (w.s[i] < '0' || w.s[i] > '9') return false;
        v = v * 10 + (w.s[i] - '0');
    }
    *out = v;
    return v < 256;
}

static bool parse_color_name(slice w, int *out) {
    static const char *const names[8] = {"black", "red",     "green", "yellow",
                                         "blue",  "magenta", "cyan",  "white"};
    int bright = w.n > 7 && !memcmp(w.s, "bright-", 7) ? 7 : 0;
    for (int i = 0; i < 8; i++) {
        if (!is((slice){w.s + bright, w.n - bright}, names[i])) continue;
        *out = i + (bright ? 8 : 0);
        return true;
    }
    return false;
}

static int parse_color(reader *r, slice w, int *out) {
    if (is(w, "default")) {
        *out = -1;
        return 0;
    }
    if (parse_rgb(w, out) || parse_index(w, out) || parse_color_name(w, out)) return 0;
    if (!w.n) return FAULT(r, w.s, "a colour is missing: #rrggbb, 0..255, a name such as blue, or default");
    return FAULT(r, w.s, "'%.*s' is no colour; expected #rrggbb, 0..255, a name such as blue, or default",
                 shown(w), w.s);
}

static int parse_attributes(reader *r, unsigned *out) {
    static const struct {
        const char *name;
        unsigned bit;
    } all[] = {{"bold", ATTR_BOLD},       {"dim", ATTR_DIM},       {"underline", ATTR_UNDER},
               {"reverse", ATTR_REVERSE}, {"italic", ATTR_ITALIC}, {"plain", 0}};
    *out = 0;
    for (slice w; (w = take_word(r)).n;) {
        size_t i = 0;
        while (i < sizeof all / sizeof all[0] && !is(w, all[i].name)) i++;
        if (i == sizeof all / sizeof all[0]) {
            return FAULT(r, w.s, "'%.*s' is no attribute; there are: bold dim underline reverse italic plain",
                         shown(w), w.s);
        }
        *out |= all[i].bit;
    }
    return r->at < r->end ? FAULT(r, r->at, "unexpected '='") : 0;
}

/* Values -------------------------------------------------------------- */

static int parse_look(reader *r, color_mode mode, draft_look *out) {
    int rc = 0;
    *out = (draft_look){.given = true, .fg = -1, .bg = -1};
    if (mode != MODE_NONE) {
        rc = parse_color(r, take_word(r), &out->fg);
        if (!rc) rc = parse_color(r, take_word(r), &out->bg);
    }
    return rc ? rc : parse_attributes(r, &out->attr);
}

static int parse_stop(reader *r, slice w, draft_ramp *out) {
    int color = -1;
    if (out->n == THEME_MAX_STOPS) return FAULT(r, w.s, "more than %d colours in a ramp", THEME_MAX_STOPS);
    int rc = parse_color(r, w, &color);
    if (!rc && color < 0) return FAULT(r, w.s, "a ramp needs colours of its own, not 'default'");
    out->stop[out->n++] = color;
    return rc;
}

static int parse_ramp(reader *r, draft_ramp *out) {
    int rc = 0;
    *out = (draft_ramp){.given = true};
    slice w = take_word(r);
    const char *begin = w.s;
    bool none = is(w, "none");
    out->steps = is(w, "steps");
    if (none || out->steps) w = take_word(r);
    for (; !rc && w.n && !none; w = take_word(r)) rc = parse_stop(r, w, out);
    if (rc) return rc;
    if (w.n || r->at < r->end) return FAULT(r, w.n ? w.s : r->at, "unexpected text after the ramp");
    if (!none && out->n < 2) return FAULT(r, begin, "a ramp needs at least 2 colours, or 'none'");
    return 0;
}

static int parse_rgb_value(reader *r, int *out) {
    slice w = take_word(r);
    if (*out >= 0) return FAULT(r, r->line, "given twice");
    if (!parse_rgb(w, out)) return FAULT(r, w.s, "expected a colour as #rrggbb");
    *out &= 0xFFFFFF;
    w = take_word(r);
    return w.n || r->at < r->end ? FAULT(r, w.s, "unexpected text after the colour") : 0;
}

/* One line of what a person may read: no characters that steer a terminal. */
static int parse_about(reader *r, theme_draft *d) {
    skip_blanks(r);
    const char *end = r->end;
    while (end > r->at && (end[-1] == ' ' || end[-1] == '\t')) end--;
    if (d->about[0]) return FAULT(r, r->line, "given twice");
    if (end == r->at) return FAULT(r, r->at, "a description is missing");
    if (end - r->at >= THEME_MAX_ABOUT) {
        return FAULT(r, r->at, "the description is longer than %d bytes", THEME_MAX_ABOUT - 1);
    }
    for (const char *s = r->at; s < end;) {
        uint32_t cp = 0;
        int used = utf8_decode(s, (size_t)(end - s), &cp);
        if (used <= 0 || text_width(cp) < 0) return FAULT(r, s, "a character that cannot be shown");
        s += used;
    }
    memcpy(d->about, r->at, (size_t)(end - r->at));
    return 0;
}

/* Keys ---------------------------------------------------------------- */

/* "dim.256" is the name "dim" and its depth. */
static int split_depth(reader *r, slice *name, color_mode *mode) {
    static const char *const depths[N_MODES] = {"none", "8", "16", "256", "direct"};
    const char *dot = memchr(name->s, '.', (size_t)name->n);
    *mode = MODE_DIRECT;
    if (!dot) return 0;
    slice depth = {dot + 1, (int)(name->s + name->n - dot - 1)};
    name->n = (int)(dot - name->s);
    for (int m = MODE_NONE; m < MODE_DIRECT; m++) {
        if (!is(depth, depths[m])) continue;
        *mode = (color_mode)m;
        return 0;
    }
    return FAULT(r, depth.s, "'%.*s' is no depth of colour; there are: 256 16 8 none", shown(depth), depth.s);
}

static int expect_equals(reader *r) {
    skip_blanks(r);
    if (r->at == r->end || *r->at != '=') return FAULT(r, r->at, "expected '='");
    r->at++;
    return 0;
}

/* A depth refines a line that came before, and nothing is said twice. */
static int check_order(reader *r, slice name, bool again, bool refined) {
    if (again) return FAULT(r, name.s, "'%.*s' is given twice", shown(name), name.s);
    if (!refined) return FAULT(r, name.s, "'%.*s' needs its line without a depth first", shown(name), name.s);
    return 0;
}

static int read_role(reader *r, theme_draft *d, slice name) {
    color_mode mode;
    slice whole = name;
    int rc = split_depth(r, &name, &mode), role = 0;
    if (rc) return rc;
    while (role < N_STYLES && !is(name, theme_role_name((style_role)role))) role++;
    if (role == N_STYLES) {
        return FAULT(r, name.s, "'%.*s' is no role; themes/README.md lists them", shown(name), name.s);
    }
    draft_look *look = &d->role[mode][role];
    rc = check_order(r, whole, look->given, mode == MODE_DIRECT || d->role[MODE_DIRECT][role].given);
    if (!rc) rc = expect_equals(r);
    return rc ? rc : parse_look(r, mode, look);
}

static int read_ramp(reader *r, theme_draft *d) {
    color_mode mode;
    slice name = take_word(r), whole = name;
    int rc = split_depth(r, &name, &mode), ramp_at = 0;
    if (rc) return rc;
    while (ramp_at < N_RAMPS && !is(name, theme_ramp_name((ramp)ramp_at))) ramp_at++;
    if (ramp_at == N_RAMPS) {
        return FAULT(r, name.s, "'%.*s' is no ramp; there are: entropy probability signed", shown(name),
                     name.s);
    }
    if (mode == MODE_NONE) return FAULT(r, whole.s, "a ramp has no colours at depth none; shades are drawn");
    draft_ramp *look = &d->ramp[mode][ramp_at];
    rc = check_order(r, whole, look->given, mode == MODE_DIRECT || d->ramp[MODE_DIRECT][ramp_at].given);
    if (!rc) rc = expect_equals(r);
    return rc ? rc : parse_ramp(r, look);
}

static int read_line(reader *r, theme_draft *d) {
    skip_blanks(r);
    if (r->at == r->end || *r->at == '#') return 0;
    slice key = take_word(r);
    int rc = 0;
    if (is(key, "ramp")) return read_ramp(r, d);
    bool about = is(key, "about"), background = is(key, "background"), foreground = is(key, "foreground");
    if (!about && !background && !foreground) return read_role(r, d, key);
    rc = expect_equals(r);
    if (rc) return rc;
    return about ? parse_about(r, d) : parse_rgb_value(r, background ? &d->background : &d->foreground);
}

/* Control bytes would reach the terminal of whoever prints a message or the file. */
static int check_bytes(reader *r) {
    for (const char *s = r->line; s < r->end; s++) {
        unsigned char c = (unsigned char)*s;
        if ((c < 0x20 && c != '\t') || c == 0x7F) return FAULT(r, s, "control byte 0x%02x", c);
    }
    return 0;
}

int theme_parse_draft(theme_draft *d, const char *text, size_t n, const char *what, err *e) {
    reader r = {.what = what, .e = e};
    const char *end = text + n;
    int rc = 0;
    *d = (theme_draft){.background = -1, .foreground = -1};
    if (n > THEME_MAX_BYTES) {
        return err_set(e, ERR_BAD_FORMAT, "%s: more than %d bytes for a theme", what, THEME_MAX_BYTES);
    }
    while (!rc && text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        r.line = r.at = text;
        r.end = newline ? newline : end;
        text = newline ? newline + 1 : end;
        if (r.end > r.line && r.end[-1] == '\r') r.end--;
        r.number++;
        rc = check_bytes(&r);
        if (!rc) rc = read_line(&r, d);
    }
    return rc;
}
