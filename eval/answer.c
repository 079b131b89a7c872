/* answer.c - answers found in running text and brought into one spelling.
 *
 * The rules of answer_normal follow the string normalisation of the MATH data set's own grader; it is purely
 * textual, so x+1 and 1+x stay different. */
#include "eval/answer.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* Finding -------------------------------------------------------------- */

bool answer_boxed(span t, span *out) {
    const char *at = span_last(t, "\\boxed"), *end = t.s + t.n;
    if (!at) return false;
    const char *s = at + 6;
    if (s < end && *s == ' ') {
        *out = span_trim(span_before(span_before((span){s, (size_t)(end - s)}, "$"), "\n"));
        return true;
    }
    if (s >= end || *s != '{') return false;
    int depth = 0;
    for (const char *c = s; c < end; c++) {
        depth += *c == '{' ? 1 : *c == '}' ? -1 : 0;
        if (depth) continue;
        *out = (span){s + 1, (size_t)(c - s - 1)};
        return true;
    }
    return false;
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* The number that begins at t.s, its length in *len; false when none does. */
static bool number_at(span t, double *out, size_t *len) {
    char digits[64];
    size_t n = 0, i = 0;
    if (t.n && t.s[0] == '-') digits[n++] = t.s[i++];
    size_t from = i;
    for (; i < t.n && n + 1 < sizeof digits; i++) {
        bool next = i + 1 < t.n && is_digit(t.s[i + 1]);
        if (is_digit(t.s[i]) || (t.s[i] == '.' && next)) {
            digits[n++] = t.s[i];
        } else if (t.s[i] != ',' || !next || i == from) {
            break;
        }
    }
    if (i == from) return false;
    digits[n] = '\0';
    *out = strtod(digits, NULL);
    *len = i;
    return true;
}

static bool find_number(span t, bool last, double *out) {
    bool found = false;
    for (size_t i = 0; i < t.n;) {
        size_t len = 0;
        /* A sign that follows a digit is a minus between two numbers. */
        bool minus = t.s[i] == '-' && i > 0 && is_digit(t.s[i - 1]);
        if (!minus && number_at((span){t.s + i, t.n - i}, out, &len)) {
            found = true;
            if (!last) return true;
        }
        i += len ? len : 1;
    }
    return found;
}

bool answer_number(span t, double *out) {
    const char *mark = span_last(t, "####");
    if (mark && find_number((span){mark + 4, t.n - (size_t)(mark + 4 - t.s)}, false, out)) return true;
    span boxed;
    if (answer_boxed(t, &boxed) && find_number(boxed, false, out)) return true;
    return find_number(t, true, out);
}

/* One spelling --------------------------------------------------------- */

/* Every `what` in the buffer becomes `with`. */
static void replace(strbuf *b, const char *what, const char *with) {
    if (!strstr(b->data, what)) return;
    size_t n = strlen(what);
    strbuf out;
    strbuf_init(&out, b->max);
    for (const char *s = b->data; *s;) {
        if (!strncmp(s, what, n)) {
            strbuf_puts(&out, with);
            s += n;
        } else {
            strbuf_putc(&out, *s++);
        }
    }
    strbuf_release(b);
    *b = out;
}

/* "\text{ units}" at the end goes; any other \text{...} loses its wrapping. */
static void strip_text(strbuf *b) {
    char *at = strstr(b->data, "\\text{");
    if (at && at > b->data && b->data[b->len - 1] == '}') {
        b->len = (size_t)(at - b->data);
        b->data[b->len] = '\0';
        return;
    }
    char *close = at ? strchr(at, '}') : NULL;
    if (!close) return;
    strbuf out;
    strbuf_init(&out, b->max);
    strbuf_add(&out, b->data, (size_t)(at - b->data));
    strbuf_add(&out, at + 6, (size_t)(close - at - 6));
    strbuf_puts(&out, close + 1);
    strbuf_release(b);
    *b = out;
}

/* \frac12 and \sqrt3: arguments without braces get them. */
static void brace_arguments(strbuf *b, const char *command, int n_args) {
    strbuf out;
    strbuf_init(&out, b->max);
    size_t n = strlen(command);
    for (const char *s = b->data; *s;) {
        if (strncmp(s, command, n)) {
            strbuf_putc(&out, *s++);
            continue;
        }
        strbuf_puts(&out, command);
        s += n;
        for (int k = 0; k < n_args && *s && *s != '\\' && *s != '['; k++) {
            if (*s == '{') {
                int depth = 0;
                do {
                    depth += *s == '{' ? 1 : *s == '}' ? -1 : 0;
                    strbuf_putc(&out, *s++);
                } while (depth && *s);
            } else {
                strbuf_printf(&out, "{%c}", *s++);
            }
        }
    }
    strbuf_release(b);
    *b = out;
}

/* "3/4" and nothing else becomes \frac{3}{4}. */
static void write_fraction(strbuf *b) {
    char *end;
    errno = 0;
    long p = strtol(b->data, &end, 10);
    if (end == b->data || *end != '/' || !is_digit(end[1])) return;
    const char *below = end + 1;
    long q = strtol(below, &end, 10);
    if (*end || errno || p == LONG_MIN) return; /* longer numbers stay as they are written */
    strbuf_clear(b);
    strbuf_printf(b, "%s\\frac{%ld}{%ld}", p < 0 ? "-" : "", labs(p), q);
}

/* "x=5" is 5 where the left side is a single letter or two, as in the public grader. */
static void drop_left_side(strbuf *b) {
    char *equal = strchr(b->data, '=');
    if (!equal || equal - b->data > 2 || strchr(equal + 1, '=')) return;
    strbuf out;
    strbuf_init(&out, b->max);
    strbuf_puts(&out, equal + 1);
    strbuf_release(b);
    *b = out;
}

void answer_normal(span t, strbuf *out) {
    static const char *const gone[] = {
        "\n",  "\\!", "\\left", "\\right", "^\\circ", "^{\\circ}",      "\\%", "%",
        "\\$", "$",   "\\,",    "\\;",     "\\mbox",  "\\displaystyle", "\\ "};
    strbuf_init(out, 1 << 16);
    t = span_trim(t);
    strbuf_add(out, t.s, strnlen(t.s ? t.s : "", t.n));
    for (size_t i = 0; i < sizeof gone / sizeof gone[0]; i++) replace(out, gone[i], "");
    replace(out, "tfrac", "frac");
    replace(out, "dfrac", "frac");
    replace(out, "\\textbf{", "\\text{");
    strip_text(out);
    replace(out, " ", "");
    replace(out, "{.", "{0.");
    if (out->data[0] == '.' && is_digit(out->data[1])) {
        char *rest = strbuf_take(out, NULL);
        strbuf_init(out, 1 << 16);
        strbuf_printf(out, "0%s", rest ? rest : "");
        free(rest);
    }
    if (out->len && out->data[out->len - 1] == '.') out->data[--out->len] = '\0';
    drop_left_side(out);
    brace_arguments(out, "\\frac", 2);
    brace_arguments(out, "\\sqrt", 1);
    write_fraction(out);
    if (!strcmp(out->data, "0.5")) {
        strbuf_clear(out);
        strbuf_puts(out, "\\frac{1}{2}");
    }
}
