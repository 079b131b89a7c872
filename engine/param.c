/* param.c - one table of parameters, read and written as text. Numbers are kept as doubles
 * whatever their type, so that a set is one array. */
#include "engine/param.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void param_init(param_set *s, const param_def *const *defs) {
    *s = (param_set){.defs = defs};
    for (; defs[s->n]; s->n++) {
        assert(s->n < PARAM_MAX);
        s->v[s->n] = defs[s->n]->def;
    }
}

static bool same_name(const char *a, const char *b) {
    for (; *a && *b; a++, b++) {
        if ((*a == '_' ? '-' : *a) != (*b == '_' ? '-' : *b)) return false;
    }
    return *a == *b;
}

int param_find(const param_set *s, const char *name) {
    for (int i = 0; i < s->n; i++) {
        if (same_name(s->defs[i]->name, name)) return i;
    }
    return -1;
}

/* ---- text to value ---- */

static int bad_number(const param_def *d, const char *text, err *e) {
    return err_set(e, ERR_BAD_ARGUMENT, "%s: \"%s\" is not a%s number from %g to %g", d->name, text,
                   d->type == PARAM_INT ? " whole" : "", d->min, d->max);
}

/* Decimal notation only: strtod alone would also take hexadecimal, infinities and leading blanks. */
static int parse_number(const param_def *d, const char *text, double *out, err *e) {
    if (!*text || text[strspn(text, "+-.0123456789eE")]) return bad_number(d, text, e);
    char *end;
    double v = strtod(text, &end);
    if (*end || !isfinite(v) || v < d->min || v > d->max) return bad_number(d, text, e);
    if (d->type == PARAM_INT && floor(v) < v) return bad_number(d, text, e);
    *out = v + 0.0; /* "-0" is zero */
    return 0;
}

static int parse_bool(const param_def *d, const char *text, double *out, err *e) {
    static const char *const words[][2] = {{"off", "on"}, {"false", "true"}, {"0", "1"}, {"no", "yes"}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        for (int v = 0; v < 2; v++) {
            if (strcasecmp(text, words[i][v])) continue;
            *out = v;
            return 0;
        }
    }
    return err_set(e, ERR_BAD_ARGUMENT, "%s: \"%s\" is neither on nor off", d->name, text);
}

static int parse_choice(const param_def *d, const char *text, double *out, err *e) {
    for (int i = 0; d->choices[i]; i++) {
        if (!same_name(d->choices[i], text)) continue;
        *out = i;
        return 0;
    }
    char list[160] = "";
    for (int i = 0; d->choices[i]; i++) {
        size_t at = strlen(list);
        snprintf(list + at, sizeof list - at, "%s%s", i ? ", " : "", d->choices[i]);
    }
    return err_set(e, ERR_BAD_ARGUMENT, "%s: \"%s\" is not one of %s", d->name, text, list);
}

int param_parse(param_set *s, const char *name, const char *text, err *e) {
    int i = param_find(s, name), rc = 0;
    if (i < 0) return err_set(e, ERR_NOT_FOUND, "no parameter is called \"%s\"", name);
    const param_def *d = s->defs[i];
    double v = 0;
    switch (d->type) {
    case PARAM_INT:
    case PARAM_REAL:
        rc = parse_number(d, text, &v, e);
        break;
    case PARAM_BOOL:
        rc = parse_bool(d, text, &v, e);
        break;
    case PARAM_CHOICE:
        rc = parse_choice(d, text, &v, e);
        break;
    }
    if (rc) return rc;
    s->v[i] = v;
    s->given[i] = true;
    return 0;
}

/* ---- values ---- */

double param_real(const param_set *s, const char *name) {
    int i = param_find(s, name);
    assert(i >= 0);
    return s->v[i];
}

int param_int(const param_set *s, const char *name) {
    return (int)param_real(s, name);
}

bool param_bool(const param_set *s, const char *name) {
    return param_real(s, name) > 0;
}

const char *param_choice(const param_set *s, const char *name) {
    int i = param_find(s, name);
    assert(i >= 0 && s->defs[i]->type == PARAM_CHOICE);
    return s->defs[i]->choices[(int)s->v[i]];
}

/* Fewest digits that read back to the same double. */
static void format_real(double v, char *buf, int size) {
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(buf, (size_t)size, "%.*g", digits, v);
        double back = strtod(buf, NULL);
        if (!(back < v) && !(back > v)) return;
    }
}

const char *param_format(const param_set *s, int i, char *buf, int size) {
    const param_def *d = s->defs[i];
    switch (d->type) {
    case PARAM_INT:
        snprintf(buf, (size_t)size, "%.0f", s->v[i]);
        break;
    case PARAM_REAL:
        format_real(s->v[i], buf, size);
        break;
    case PARAM_BOOL:
        snprintf(buf, (size_t)size, "%s", s->v[i] > 0 ? "on" : "off");
        break;
    case PARAM_CHOICE:
        snprintf(buf, (size_t)size, "%s", d->choices[(int)s->v[i]]);
        break;
    }
    return buf;
}
