/* doc.c - a JSON writer that needs to know only whether a comma is due. */
#include "cli/doc.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */

/* Length of the UTF-8 character at s, or 0 when there is none (overlong forms and surrogates included). */
static size_t utf8_length(const char *s, size_t n) {
    unsigned char c = (unsigned char)s[0], low = 0x80, high = 0xbf;
    if (c < 0x80) return 1;
    size_t len = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
    if (c < 0xc2 || c > 0xf4 || len > n) return 0;
    if (c == 0xe0) low = 0xa0;
    if (c == 0xed) high = 0x9f;
    if (c == 0xf0) low = 0x90;
    if (c == 0xf4) high = 0x8f;
    for (size_t i = 1; i < len; i++) {
        unsigned char b = (unsigned char)s[i];
        if (b < low || b > high) return 0;
        low = 0x80;
        high = 0xbf;
    }
    return len;
}

void text_clean(strbuf *out, const char *s, size_t n, bool keep_layout) {
    for (size_t i = 0, len; i < n; i += len) {
        len = utf8_length(s + i, n - i);
        unsigned char c = (unsigned char)s[i];
        bool layout = keep_layout && (c == '\n' || c == '\t');
        /* C0, DEL and the C1 range, which some terminals obey. */
        bool control =
            (c < 0x20 && !layout) || c == 0x7f || (len == 2 && c == 0xc2 && (unsigned char)s[i + 1] < 0xa0);
        if (!len || control) {
            strbuf_puts(out, replacement);
            if (!len) len = 1;
        } else {
            strbuf_add(out, s + i, len);
        }
    }
}

void doc_init(doc *j) {
    *j = (doc){0};
    strbuf_init(&j->text, SIZE_MAX / 4);
}

void doc_release(doc *j) {
    strbuf_release(&j->text);
}

/* Values -------------------------------------------------------------- */

static void add_quoted(strbuf *b, const char *s, size_t n) {
    strbuf_putc(b, '"');
    for (size_t i = 0, len; i < n; i += len) {
        unsigned char c = (unsigned char)s[i];
        len = utf8_length(s + i, n - i);
        if (!len) {
            strbuf_puts(b, replacement);
            len = 1;
        } else if (c == '"' || c == '\\') {
            strbuf_putc(b, '\\');
            strbuf_putc(b, (char)c);
        } else if (c == '\n') {
            strbuf_puts(b, "\\n");
        } else if (c < 0x20 || c == 0x7f) {
            strbuf_printf(b, "\\u%04x", c);
        } else {
            strbuf_add(b, s + i, len);
        }
    }
    strbuf_putc(b, '"');
}

static void before_value(doc *j, const char *key) {
    if (j->comma) strbuf_putc(&j->text, ',');
    j->comma = true;
    if (!key) return;
    add_quoted(&j->text, key, strlen(key));
    strbuf_putc(&j->text, ':');
}

static void open_with(doc *j, const char *key, char opener, char closer) {
    assert(j->depth < DOC_DEPTH);
    before_value(j, key);
    strbuf_putc(&j->text, opener);
    j->closers[j->depth++] = closer;
    j->comma = false;
}

void doc_object(doc *j, const char *key) {
    open_with(j, key, '{', '}');
}

void doc_array(doc *j, const char *key) {
    open_with(j, key, '[', ']');
}

void doc_end(doc *j) {
    assert(j->depth > 0);
    strbuf_putc(&j->text, j->closers[--j->depth]);
    j->comma = true;
}

void doc_real(doc *j, const char *key, double v) {
    if (!isfinite(v)) {
        doc_null(j, key);
        return;
    }
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        double back = strtod(text, NULL);
        if (!(back < v) && !(back > v)) break;
    }
    before_value(j, key);
    strbuf_puts(&j->text, text);
}

void doc_float(doc *j, const char *key, float v) {
    if (!isfinite(v)) {
        doc_null(j, key);
        return;
    }
    before_value(j, key);
    strbuf_printf(&j->text, "%.9g", (double)v);
}

void doc_int(doc *j, const char *key, int64_t v) {
    before_value(j, key);
    strbuf_printf(&j->text, "%" PRId64, v);
}

void doc_uint(doc *j, const char *key, uint64_t v) {
    before_value(j, key);
    strbuf_printf(&j->text, "%" PRIu64, v);
}

void doc_bool(doc *j, const char *key, bool v) {
    before_value(j, key);
    strbuf_puts(&j->text, v ? "true" : "false");
}

void doc_null(doc *j, const char *key) {
    before_value(j, key);
    strbuf_puts(&j->text, "null");
}

void doc_string(doc *j, const char *key, const char *s) {
    doc_bytes(j, key, s, strlen(s));
}

void doc_bytes(doc *j, const char *key, const char *s, size_t n) {
    before_value(j, key);
    add_quoted(&j->text, s, n);
}

void doc_reals(doc *j, const char *key, const double *v, int n) {
    doc_array(j, key);
    for (int i = 0; i < n; i++) doc_real(j, NULL, v[i]);
    doc_end(j);
}

void doc_ints(doc *j, const char *key, const int *v, int n) {
    doc_array(j, key);
    for (int i = 0; i < n; i++) doc_int(j, NULL, v[i]);
    doc_end(j);
}

void doc_ids(doc *j, const char *key, const int32_t *v, int n) {
    doc_array(j, key);
    for (int i = 0; i < n; i++) doc_int(j, NULL, v[i]);
    doc_end(j);
}

void doc_field_name(const char *option, char *buf, size_t size) {
    snprintf(buf, size, "%s", option);
    for (char *s = buf; *s; s++) {
        if (*s == '-') *s = '_';
    }
}

void doc_param(doc *j, const char *key, const param_set *s, int i) {
    char text[64];
    switch (s->defs[i]->type) {
    case PARAM_INT:
    case PARAM_REAL:
        doc_real(j, key, s->v[i]);
        break;
    case PARAM_BOOL:
        doc_bool(j, key, s->v[i] > 0);
        break;
    case PARAM_CHOICE:
        doc_string(j, key, param_format(s, i, text, sizeof text));
        break;
    }
}

void doc_params(doc *j, const char *key, const param_set *s) {
    doc_object(j, key);
    for (int i = 0; i < s->n; i++) {
        char field[64];
        doc_field_name(s->defs[i]->name, field, sizeof field);
        doc_param(j, field, s, i);
    }
    doc_end(j);
}

int doc_print(doc *j, err *e) {
    assert(j->depth == 0);
    strbuf_putc(&j->text, '\n');
    int rc = j->text.failed ? err_set(e, ERR_NO_MEMORY, "out of memory while writing JSON") : 0;
    if (!rc) fwrite(j->text.data, 1, j->text.len, stdout); /* main reports a failed write */
    doc_release(j);
    return rc;
}
