/* export_html.c - one or two recordings as one HTML file: the page's parts with the data between them. It
 * works from a disk, asks for nothing from any network, and its policy forbids both. */
#include <assert.h>
#include <string.h>

#include "replay/export_page.h"
#include "replay/page.h"

/* Appends the frame up to a marker and returns what follows it. */
static const char *put_until(strbuf *out, const char *from, const char *marker) {
    const char *end = (const char *)page_html + page_html_bytes;
    const char *at = memmem(from, (size_t)(end - from), marker, strlen(marker));
    assert(at);
    strbuf_add(out, from, (size_t)(at - from));
    return at + strlen(marker);
}

static void put_title(const trajectory *const *runs, int n, strbuf *out) {
    for (int i = 0; i < n; i++) {
        if (i) strbuf_puts(out, " and ");
        export_put_text(out, runs[i]->head.model_name, export_quote_xml);
        strbuf_puts(out, ", ");
        export_put_text(out, runs[i]->head.policy, export_quote_xml);
    }
}

static int put_data(const trajectory *const *runs, int n, const export_opts *o, strbuf *out, err *e) {
    export_scale scale;
    int rc = export_scale_of(runs, n, &scale, e);
    if (rc) return rc;
    strbuf_printf(out, "{\"at\":%d,\"color\":\"%s\",", o->at, export_color_name(o->color));
    export_page_colors(out, &scale);
    strbuf_puts(out, ",\n\"runs\":[");
    for (int i = 0; i < n && !rc; i++) {
        if (i) strbuf_puts(out, ",\n");
        rc = export_page_run(out, runs[i], e);
    }
    strbuf_puts(out, "]}");
    return rc;
}

int export_write_html(const trajectory *const *runs, int n, const export_opts *o, strbuf *out, err *e) {
    const char *at = put_until(out, (const char *)page_html, "@TITLE@");
    put_title(runs, n, out);
    at = put_until(out, at, "@STYLE@");
    strbuf_add(out, page_css, page_css_bytes);
    at = put_until(out, at, "@DATA@");
    int rc = put_data(runs, n, o, out, e);
    at = put_until(out, at, "@SCRIPT@");
    strbuf_add(out, page_js, page_js_bytes);
    strbuf_add(out, at, (size_t)((const char *)page_html + page_html_bytes - at));
    return rc;
}
