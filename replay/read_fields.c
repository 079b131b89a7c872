/* read_fields.c - single values of a line, checked before anyone believes them. A fault is reported with the
 * column of the value that is wrong. */
#include "replay/read_impl.h"

#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "engine/base/utf8.h"

/* The first fault wins. `item` NULL: the line itself. */
void reader_fail_at(reader *r, const json_value *item, const char *fmt, ...) {
    char why[240];
    va_list ap;
    if (r->rc) return;
    va_start(ap, fmt);
    vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    size_t column = item ? item->at + 1 : 1;
    r->rc = err_set(r->e, ERR_BAD_FORMAT, "%s:%zu:%zu: %s", r->path, r->line_no, column, why);
}

/* Lines that are well formed and contradict each other. That is an error, except for verify, which re-runs
 * the steps and names where they part from the model. */
void reader_contradict(reader *r, const json_value *item, const char *fmt, ...) {
    char what[120];
    va_list ap;
    if (r->rc) return;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    if (!r->lenient) {
        reader_fail_at(r, item, "%s", what);
    } else if (!r->rp->contradiction[0]) {
        snprintf(r->rp->contradiction, sizeof r->rp->contradiction, "line %zu, column %u: %s", r->line_no,
                 item ? item->at + 1 : 1u, what);
    }
}

void reader_fail_memory(reader *r) {
    if (!r->rc) r->rc = err_set(r->e, ERR_NO_MEMORY, "%s:%zu: out of memory", r->path, r->line_no);
}

void *reader_take(reader *r, size_t n, size_t size) {
    void *p = r->rc ? NULL : arena_new(r->mem, n, size);
    if (!p) reader_fail_memory(r);
    return p;
}

const json_value *reader_need(reader *r, const json_value *obj, const char *key) {
    const json_value *v = r->rc ? NULL : json_find(obj, key);
    if (!v) reader_fail_at(r, obj, "no field \"%s\"", key);
    return v;
}

int64_t reader_as_int(reader *r, const json_value *v, const char *what, int64_t low, int64_t high) {
    if (r->rc) return low;
    double x = v->number;
    if (!json_is(v, JSON_NUMBER) || x != floor(x) || fabs(x) > 9007199254740992.0) {
        reader_fail_at(r, v, "%s is not a whole number", what);
    } else if (x < (double)low || x > (double)high) {
        reader_fail_at(r, v, "%s is %.0f, expected %lld to %lld", what, x, (long long)low, (long long)high);
    }
    return r->rc ? low : (int64_t)x;
}

double reader_as_real(reader *r, const json_value *v, const char *what, double low, double high) {
    if (r->rc) return 0;
    double x = v->number;
    if (!json_is(v, JSON_NUMBER)) {
        reader_fail_at(r, v, "%s is not a number", what);
    } else if (!isfinite(x)) {
        reader_fail_at(r, v, "%s is not finite", what);
    } else if (x < low || x > high) {
        reader_fail_at(r, v, "%s is %g, expected %g to %g", what, x, low, high);
    }
    return r->rc ? 0 : x;
}

int reader_get_int(reader *r, const json_value *obj, const char *key, int low, int high) {
    const json_value *v = reader_need(r, obj, key);
    return (int)reader_as_int(r, v, key, low, high);
}

double reader_get_real(reader *r, const json_value *obj, const char *key, double low, double high) {
    const json_value *v = reader_need(r, obj, key);
    return reader_as_real(r, v, key, low, high);
}

bool reader_get_bool(reader *r, const json_value *obj, const char *key) {
    const json_value *v = reader_need(r, obj, key);
    if (v && !json_is(v, JSON_BOOL)) reader_fail_at(r, v, "%s is neither true nor false", key);
    return v && v->number != 0;
}

/* These texts reach terminals, so control characters are refused. */
const char *reader_get_text(reader *r, const json_value *obj, const char *key, size_t size) {
    const json_value *v = reader_need(r, obj, key);
    if (!v) return "";
    const char *s = v->text;
    if (!s) {
        reader_fail_at(r, v, "%s is not a string", key);
        return "";
    }
    if (strlen(s) >= size) reader_fail_at(r, v, "%s is longer than %zu bytes", key, size - 1);
    for (size_t n = strlen(s), i = 0; i < n && !r->rc;) {
        uint32_t cp = 0;
        int used = utf8_decode(s + i, n - i, &cp);
        if (used > 0 && utf8_control(cp)) reader_fail_at(r, v, "%s holds a control character", key);
        i += used > 0 ? (size_t)used : 1;
    }
    return r->rc ? "" : s;
}

void reader_copy_text(reader *r, const json_value *obj, const char *key, char *buf, size_t size) {
    snprintf(buf, size, "%s", reader_get_text(r, obj, key, size));
}

/* An array of n items (any number up to `max` with n < 0), or NULL. */
const json_value *reader_as_array(reader *r, const json_value *v, const char *what, int n, int max,
                                  int *got) {
    *got = 0;
    if (r->rc) return NULL;
    if (!json_is(v, JSON_ARRAY)) {
        reader_fail_at(r, v, "%s is not an array", what);
        return NULL;
    }
    *got = v->n;
    int most = n < 0 ? max : n;
    if (v->n > most) {
        const json_value *c = v->child;
        for (int i = 0; i < most; i++) c = c->next;
        reader_fail_at(r, c, "%s has more than %d items%s", what, most,
                       n < 0 ? "" : ", one for each position");
        return NULL;
    }
    if (*got < n) reader_fail_at(r, v, "%s has %d items, expected %d", what, *got, n);
    return r->rc ? NULL : v;
}

int *reader_as_ints(reader *r, const json_value *v, const char *what, int n, int max, int low, int high,
                    int *got) {
    v = reader_as_array(r, v, what, n, max, got);
    int *out = reader_take(r, (size_t)*got, sizeof *out), i = 0;
    for (const json_value *c = r->rc ? NULL : v->child; c; c = c->next)
        out[i++] = (int)reader_as_int(r, c, what, low, high);
    return r->rc ? NULL : out;
}

const int *reader_get_ids(reader *r, const json_value *obj, const char *key, int n) {
    int got;
    const json_value *v = reader_need(r, obj, key);
    return reader_as_ints(r, v, key, n, n, 0, r->rp->traj.head.n_vocab - 1, &got);
}

/* Strictly ascending positions of the sequence. */
const int *reader_get_positions(reader *r, const json_value *obj, const char *key, int *got) {
    int n = r->rp->traj.head.n_tokens, last = -1;
    const json_value *v = reader_as_array(r, reader_need(r, obj, key), key, -1, n, got);
    int *out = reader_take(r, (size_t)*got, sizeof *out), i = 0;
    for (const json_value *c = r->rc ? NULL : v->child; c && !r->rc; c = c->next) {
        int pos = (int)reader_as_int(r, c, key, INT_MIN, INT_MAX);
        if (pos < 0) reader_fail_at(r, c, "%s: position %d is negative", key, pos);
        if (pos >= n) reader_fail_at(r, c, "%s: position %d is past the end (%d)", key, pos, n);
        if (pos <= last)
            reader_fail_at(r, c, "%s: position %d after %d, expected ascending order", key, pos, last);
        last = out[i++] = pos;
    }
    return r->rc ? NULL : out;
}

const double *reader_get_reals(reader *r, const json_value *obj, const char *key, int n, double low,
                               double high) {
    int got, i = 0;
    const json_value *v = reader_as_array(r, reader_need(r, obj, key), key, n, n, &got);
    double *out = reader_take(r, (size_t)got, sizeof *out);
    for (const json_value *c = r->rc || !v ? NULL : v->child; c; c = c->next)
        out[i++] = reader_as_real(r, c, key, low, high);
    return r->rc ? NULL : out;
}

/* The same when the field may be absent: NULL then. */
const double *reader_maybe_reals(reader *r, const json_value *obj, const char *key, int n, double low,
                                 double high) {
    return !r->rc && json_find(obj, key) ? reader_get_reals(r, obj, key, n, low, high) : NULL;
}

/* Refuses a known field given twice and keeps the unknown ones; *out stays NULL when there are none. */
void reader_keep_unknown(reader *r, const json_value *obj, const char *const *known, const char **out) {
    strbuf extra;
    if (r->rc) return;
    strbuf_init(&extra, MAX_LINE);
    const json_value *twice = json_unknown(obj, r->line.data, known, &extra);
    if (twice) reader_fail_at(r, twice, "field \"%s\" occurs twice", twice->name);
    if (extra.failed) reader_fail_memory(r);
    if (!r->rc && extra.len) {
        char *copy = reader_take(r, extra.len + 1, 1);
        if (copy) memcpy(copy, extra.data, extra.len + 1);
        *out = copy;
    }
    strbuf_release(&extra);
}
