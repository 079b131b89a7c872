/* doc.c - a JSON writer that needs to know only whether a comma is due. */
#include "cli/doc.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/utf8.h"

static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */

void text_clean(strbuf *out, const char *s, size_t n, bool keep_layout) {
    while (n) {
        uint32_t cp = 0;
        int len = utf8_decode(s, n, &cp);
        bool layout = keep_layout && (*s == '\n' || *s == '\t');
        size_t used = len > 0 ? (size_t)len : 1;
        if (len <= 0 || (utf8_steers(cp) && !layout)) {
            strbuf_puts(out, replacement);
        } else {
            strbuf_add(out, s, used);
        }
        s += used;
        n -= used;
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

/* What steers a terminal is spelt in ASCII, so that a document may be looked at; its value is the same. */
static void add_quoted(strbuf *b, const char *s, size_t n) {
    strbuf_putc(b, '"');
    while (n) {
        uint32_t cp = 0;
        int len = utf8_decode(s, n, &cp);
        size_t used = len > 0 ? (size_t)len : 1;
        if (len <= 0) {
            strbuf_puts(b, replacement);
        } else if (cp == '"' || cp == '\\') {
            strbuf_putc(b, '\\');
            strbuf_putc(b, (char)cp);
        } else if (cp == '\n') {
            strbuf_puts(b, "\\n");
        } else if (utf8_steers(cp)) {
            strbuf_printf(b, "\\u%04x", (unsigned)cp);
        } else {
            strbuf_add(b, s, used);
        }
        s += used;
        n -= used;
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
