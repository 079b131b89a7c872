/* export.c - the table of formats, and what they have in common: the options. */
#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "replay/export_color.h"
#include "replay/export_impl.h"

/* NOLINTBEGIN(bugprone-macro-parentheses): initializers take none */
const export_format export_formats[] = {
#define X(name_, runs_, view_, at_, help_)                                                                   \
    {.name = #name_,                                                                                         \
     .help = help_,                                                                                          \
     .max_runs = runs_,                                                                                      \
     .has_view = view_,                                                                                      \
     .default_at = at_,                                                                                      \
     .write = export_write_##name_},
    EXPORT_FORMATS(X)
#undef X
        {0}};
/* NOLINTEND(bugprone-macro-parentheses) */

const export_format *export_find(const char *name) {
    for (const export_format *f = export_formats; f->name; f++) {
        if (!strcmp(f->name, name)) return f;
    }
    return NULL;
}

const char *export_color_name(export_color c) {
    return export_colorings[c].name;
}

int export_parse_color(const char *text, export_color *out, err *e) {
    for (int i = 0; i < N_EXPORT_COLORS; i++) {
        if (strcmp(export_colorings[i].name, text) != 0) continue;
        *out = (export_color)i;
        return 0;
    }
    return err_set(e, ERR_BAD_ARGUMENT, "'%.40s', expected plain, entropy, confidence, tis or order", text);
}

int export_parse_at(const char *text, int *out, err *e) {
    char *end;
    errno = 0;
    long n = strtol(text, &end, 10);
    if (!strcmp(text, "end")) {
        *out = EXPORT_END;
        return 0;
    }
    if (text[0] < '0' || text[0] > '9' || *end || errno || n > 1 << 30) {
        return err_set(e, ERR_BAD_ARGUMENT, "'%.40s', expected a state (0 is the start) or end", text);
    }
    *out = (int)n;
    return 0;
}

/* A host program may have set a locale that writes a decimal comma; documents have points. */
static int write_with_points(const export_format *f, const trajectory *const *runs, int n,
                             const export_opts *o, strbuf *out, err *e) {
    locale_t plain = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    if (plain == (locale_t)0) return err_set(e, ERR_NO_MEMORY, "export: out of memory");
    locale_t before = uselocale(plain);
    int rc = f->write(runs, n, o, out, e);
    uselocale(before);
    freelocale(plain);
    return rc;
}

int export_write(const export_format *f, const trajectory *const *runs, int n, export_opts o, strbuf *out,
                 err *e) {
    int last = 0;
    if (n < 1 || n > f->max_runs) {
        return err_set(e, ERR_BAD_ARGUMENT, "%s holds %s, got %d", f->name,
                       f->max_runs == 1 ? "one recording" : "one or two recordings", n);
    }
    for (int i = 0; i < n; i++) last = runs[i]->n_records > last ? runs[i]->n_records : last;
    if (f->has_view && o.at > last) {
        return err_set(e, ERR_BAD_ARGUMENT, "state %d is past the end, expected 0 to %d", o.at, last);
    }
    if (o.at == EXPORT_END) o.at = last;
    int rc = write_with_points(f, runs, n, &o, out, e);
    return rc ? rc : export_check(out, e);
}
