/* export_text.c - texts and numbers on their way into a document. */
#include <math.h>
#include <string.h>

#include "replay/export_impl.h"
#include "replay/format.h"

/* Quoting --------------------------------------------------------------- */

void export_quote_none(strbuf *out, const char *text) {
    strbuf_puts(out, text);
}

void export_quote_xml(strbuf *out, const char *text) {
    for (; *text; text++) {
        switch (*text) {
        case '<':
            strbuf_puts(out, "&lt;");
            break;
        case '>': /* "]]>" may not stand in XML text */
            strbuf_puts(out, "&gt;");
            break;
        case '&':
            strbuf_puts(out, "&amp;");
            break;
        case '"':
            strbuf_puts(out, "&quot;");
            break;
        case '\'':
            strbuf_puts(out, "&#39;");
            break;
        default:
            strbuf_putc(out, *text);
        }
    }
}

void export_quote_json(strbuf *out, const char *text) {
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') {
            strbuf_putc(out, '\\');
            strbuf_putc(out, *text);
        } else if (c < 0x20 || c == '<') {
            strbuf_printf(out, "\\u%04x", c);
        } else {
            strbuf_putc(out, *text);
        }
    }
}

void export_quote_markdown(strbuf *out, const char *text) {
    for (; *text; text++) {
        if (strchr("\\`*_{}[]<>|~&$#!^=", *text)) strbuf_putc(out, '\\');
        strbuf_putc(out, *text);
    }
}

/* Texts ----------------------------------------------------------------- */

static void put_visible(strbuf *out, const char *s, size_t n, const char *blank, export_quote *quote) {
    visible_scan scan = {.s = s, .n = n};
    visible v;
    while (visible_next(&scan, &v)) quote(out, v.kind == VISIBLE_SPACE ? blank : v.text);
}

void export_put_bytes(strbuf *out, const char *s, size_t n, export_quote *quote) {
    put_visible(out, s, n, " ", quote);
}

void export_put_text(strbuf *out, const char *s, export_quote *quote) {
    export_put_bytes(out, s, strlen(s), quote);
}

void export_put_token(strbuf *out, const trajectory *t, int32_t id, export_quote *quote) {
    char number[16];
    size_t n;
    bool special;
    const char *s = format_text(t->texts, id, &n, &special);
    if (id == t->head.mask_id) {
        quote(out, "<mask>");
    } else if (s) {
        put_visible(out, s, n, "\u00B7", quote);
    } else {
        snprintf(number, sizeof number, "#%d", id);
        quote(out, number);
    }
}

/* Numbers --------------------------------------------------------------- */

void export_put_number(strbuf *out, double v, int digits) {
    if (isfinite(v))
        strbuf_printf(out, "%.*g", digits, v);
    else
        strbuf_puts(out, "null");
}

double export_mean_entropy(const step_record *r) {
    double sum = 0;
    for (int i = 0; r && r->entropy && i < r->n_masked; i++) sum += r->entropy[i];
    return r && r->entropy && r->n_masked ? sum / r->n_masked : (double)NAN;
}

void export_put_policy(strbuf *out, const char *name, const param_set *params, export_quote *quote) {
    char value[64];
    int n = 0;
    export_put_text(out, name, quote);
    for (int i = 0; i < params->n; i++) {
        if (!params->given[i]) continue;
        strbuf_puts(out, n++ ? ", " : " (");
        quote(out, params->defs[i]->name);
        strbuf_putc(out, ' ');
        quote(out, param_format(params, i, value, sizeof value));
    }
    if (n) strbuf_putc(out, ')');
}

int export_check(const strbuf *out, err *e) {
    if (!out->failed) return 0;
    if (out->no_memory) return err_set(e, ERR_NO_MEMORY, "export: out of memory");
    return err_set(e, ERR_NO_MEMORY, "export: more than %zu bytes", out->max);
}
