/* split.c - the pre-tokenizer: a text becomes a list of pieces, and each step splits every piece
 * further.
 *
 * Patterns were written for Oniguruma with Unicode on. PCRE2 with UTF and UCP reads them the same way but for
 * \s, where PCRE2 counts U+180E as a space, and for && in a class, which it does not have: the first is
 * rewritten, the second refused. Matching is anchored and moves from match to match under a limit on steps
 * and on time, so a pattern made to backtrack forever ends in an error.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/mem.h"
#include "engine/tokenizer/impl.h"

enum { MATCH_STEPS = 5000000, MATCH_KIBIBYTES = 65536, PATTERN_MAX_BYTES = 65536 };

/* For a whole text; patterns that people publish take a hundredth of it. */
#define MATCH_SECONDS          5.0
#define MATCH_SECONDS_PER_BYTE 1e-5

const char gpt2_pattern[] =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

#define SPACES                                                                                               \
    "\\x{9}-\\x{d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{" \
    "3000}"

/* Compiling ----------------------------------------------------------- */

/* Rewrites \s and \S; see the top of the file. */
static int translate(const char *pattern, strbuf *out, err *e) {
    int depth = 0; /* of brackets */
    for (const char *s = pattern; *s; s++) {
        if (*s == '\\' && s[1]) {
            s++;
            if (*s == 's') {
                strbuf_puts(out, depth ? SPACES : "[" SPACES "]");
            } else if (*s == 'S' && !depth) {
                strbuf_puts(out, "[^" SPACES "]");
            } else {
                strbuf_putc(out, '\\');
                strbuf_putc(out, *s);
            }
            continue;
        }
        if (depth && *s == '&' && s[1] == '&') {
            return err_set(e, ERR_UNSUPPORTED, "pattern '%.60s': && inside [] is not supported", pattern);
        }
        if (*s == '[') depth++;
        if (*s == ']' && depth) depth--;
        strbuf_putc(out, *s);
    }
    return 0;
}

int split_compile(split_step *s, const char *pattern, err *e) {
    strbuf text;
    strbuf_init(&text, PATTERN_MAX_BYTES);
    int code = 0, rc = translate(pattern, &text, e);
    PCRE2_SIZE at = 0;
    if (!rc && text.failed) rc = err_set(e, ERR_BAD_FORMAT, "pattern '%.60s' is too long", pattern);
    if (!rc) {
        s->code = pcre2_compile((PCRE2_SPTR)text.data, text.len,
                                PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &code, &at, NULL);
        if (!s->code) {
            char why[160] = "";
            pcre2_get_error_message(code, (PCRE2_UCHAR *)why, sizeof why);
            rc = err_set(e, ERR_BAD_FORMAT, "pattern '%.60s': %s", pattern, why);
        }
    }
    strbuf_release(&text);
    return rc;
}

void split_release(split_step *s) {
    pcre2_code_free(s->code);
    s->code = NULL;
}

/* Finding ------------------------------------------------------------- */

/* A stretch of the piece that is split; `match` after inversion. */
typedef struct stretch {
    size_t from, to;
    bool match;
} stretch;

typedef struct splitter {
    const split_step *step;
    pcre2_match_data *data;
    pcre2_match_context *limits;
    double deadline;
    stretch *v;
    size_t n, cap;
    err *e;
} splitter;

static int no_memory(err *e) {
    return err_set(e, ERR_NO_MEMORY, "out of memory while splitting text");
}

static int add_stretch(splitter *p, size_t from, size_t to, bool match) {
    if (from == to) return 0;
    void *v = p->v;
    if (!mem_grow(&v, &p->cap, p->n + 1, sizeof *p->v)) return no_memory(p->e);
    p->v = v;
    p->v[p->n++] = (stretch){from, to, match != p->step->invert};
    return 0;
}

/* Length of the match that starts at `at`, 0 for none (an empty match splits nothing), negative on failure.
 */
static ptrdiff_t match_regex(splitter *p, piece text, size_t at) {
    int rc = pcre2_match(p->step->code, (PCRE2_SPTR)text.s, text.n, at, PCRE2_ANCHORED | PCRE2_NO_UTF_CHECK,
                         p->data, p->limits);
    bool none = rc == PCRE2_ERROR_NOMATCH;
    if ((rc < 0 && !none) || clock_now() > p->deadline) {
        return err_set(p->e, ERR_UNSUPPORTED, "the pre-tokenizer's pattern takes too long on this text");
    }
    if (none) return 0;
    const PCRE2_SIZE *range = pcre2_get_ovector_pointer(p->data);
    return range[1] > at ? (ptrdiff_t)(range[1] - at) : 0;
}

static ptrdiff_t match_at(splitter *p, piece text, size_t at) {
    const split_step *s = p->step;
    if (s->kind == SPLIT_REGEX) return match_regex(p, text, at);
    if (s->kind == SPLIT_LITERAL) {
        bool here = s->literal_len <= text.n - at && !memcmp(text.s + at, s->literal, s->literal_len);
        return here ? (ptrdiff_t)s->literal_len : 0;
    }
    int32_t cp;
    size_t len = utf8_char(text.s + at, text.n - at, &cp);
    return char_is_number(cp) ? (ptrdiff_t)len : 0;
}

/* All of the piece as stretches that alternate between matches and gaps (matches may touch). */
static int find_stretches(splitter *p, piece text) {
    size_t gap = 0;
    int rc = 0;
    p->n = 0;
    for (size_t at = 0; at < text.n && !rc;) {
        ptrdiff_t len = match_at(p, text, at);
        if (len < 0) return (int)len;
        if (len == 0) {
            int32_t cp;
            size_t step = utf8_char(text.s + at, text.n - at, &cp);
            at += step ? step : 1;
            continue;
        }
        rc = add_stretch(p, gap, at, false);
        if (!rc) rc = add_stretch(p, at, at + (size_t)len, true);
        at += (size_t)len;
        gap = at;
    }
    return rc ? rc : add_stretch(p, gap, text.n, false);
}

/* Joins or drops stretches as the behaviour says; order and meaning follow the `tokenizers` library. */
static void apply_behavior(splitter *p) {
    stretch *v = p->v;
    size_t n = 0;
    bool was_match = false;
    if (!p->n) return;
    switch (p->step->behavior) {
    case SPLIT_ISOLATED:
        return;
    case SPLIT_REMOVED:
        for (size_t i = 0; i < p->n; i++) {
            if (!v[i].match) v[n++] = v[i];
        }
        break;
    case SPLIT_CONTIGUOUS:
        for (size_t i = 0; i < p->n; i++) {
            if (n && v[n - 1].match == v[i].match) {
                v[n - 1].to = v[i].to;
            } else {
                v[n++] = v[i];
            }
        }
        break;
    case SPLIT_MERGED_WITH_PREVIOUS:
        for (size_t i = 0; i < p->n; i++) {
            stretch s = v[i];
            if (s.match && !was_match && n) {
                v[n - 1].to = s.to;
            } else {
                v[n++] = s;
            }
            was_match = s.match;
        }
        break;
    case SPLIT_MERGED_WITH_NEXT: /* the same from the end, filling from the end */
        n = p->n;
        for (size_t i = p->n; i-- > 0;) {
            stretch s = v[i];
            if (s.match && !was_match && n < p->n) {
                v[n].from = s.from;
            } else {
                v[--n] = s;
            }
            was_match = s.match;
        }
        memmove(v, v + n, (p->n - n) * sizeof *v);
        n = p->n - n;
        break;
    }
    p->n = n;
}

static bool add_piece(piece_list *l, piece p) {
    void *v = l->v;
    if (!mem_grow(&v, &l->cap, l->n + 1, sizeof *l->v)) return false;
    l->v = v;
    l->v[l->n++] = p;
    return true;
}

/* Steps --------------------------------------------------------------- */

static int with_prefix_space(piece *p, arena *mem, err *e) {
    if (p->s[0] == ' ') return 0;
    char *s = arena_new(mem, p->n + 1, 1);
    if (!s) return no_memory(e);
    s[0] = ' ';
    memcpy(s + 1, p->s, p->n);
    *p = (piece){s, p->n + 1};
    return 0;
}

/* Matching presumes whole characters. The text has them, but an added token or a literal of the file that is
 * not valid UTF-8 may have cut one. */
static int check_characters(piece p, err *e) {
    int32_t cp;
    for (size_t i = 0, step; i < p.n; i += step) {
        step = utf8_char(p.s + i, p.n - i, &cp);
        if (!step)
            return err_set(e, ERR_UNSUPPORTED, "a token or pattern of the tokenizer cuts a character in two");
    }
    return 0;
}

static int step_piece(splitter *sp, piece p, arena *mem, piece_list *out) {
    int rc = sp->step->prefix_space ? with_prefix_space(&p, mem, sp->e) : 0;
    if (rc) return rc;
    if (!sp->step->splits) return add_piece(out, p) ? 0 : no_memory(sp->e);
    rc = sp->step->kind == SPLIT_REGEX ? check_characters(p, sp->e) : 0;
    if (!rc) rc = find_stretches(sp, p);
    if (rc) return rc;
    apply_behavior(sp);
    for (size_t i = 0; i < sp->n; i++) {
        if (!add_piece(out, (piece){p.s + sp->v[i].from, sp->v[i].to - sp->v[i].from}))
            return no_memory(sp->e);
    }
    return 0;
}

static int run_step(splitter *sp, const split_step *step, const piece_list *in, arena *mem, piece_list *out) {
    int rc = 0;
    sp->step = step;
    if (step->splits && step->kind == SPLIT_REGEX) {
        sp->data = pcre2_match_data_create_from_pattern(step->code, NULL);
        sp->limits = pcre2_match_context_create(NULL);
        if (sp->data && sp->limits) {
            pcre2_set_match_limit(sp->limits, MATCH_STEPS);
            pcre2_set_heap_limit(sp->limits, MATCH_KIBIBYTES);
        } else {
            rc = no_memory(sp->e);
        }
    }
    for (size_t i = 0; !rc && i < in->n; i++) rc = step_piece(sp, in->v[i], mem, out);
    pcre2_match_data_free(sp->data);
    pcre2_match_context_free(sp->limits);
    sp->data = NULL;
    sp->limits = NULL;
    return rc;
}

int pre_tokenize(const split_step *steps, int n_steps, const char *s, size_t n, arena *mem, piece_list *out,
                 err *e) {
    if (!n) return 0;
    splitter sp = {.e = e, .deadline = clock_now() + MATCH_SECONDS + MATCH_SECONDS_PER_BYTE * (double)n};
    piece_list in = {0}, next = {0};
    int rc = add_piece(&in, (piece){s, n}) ? 0 : no_memory(e);
    for (int k = 0; k < n_steps && !rc; k++) {
        rc = run_step(&sp, &steps[k], &in, mem, &next);
        piece_list swap = in;
        in = next;
        next = swap;
        next.n = 0;
    }
    for (size_t i = 0; i < in.n && !rc; i++) {
        if (!add_piece(out, in.v[i])) rc = no_memory(e);
    }
    free(in.v);
    free(next.v);
    free(sp.v);
    return rc;
}
