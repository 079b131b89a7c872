/* data.c - JSON Lines, pieces of text and draws that the tasks share. */
#include "eval/data.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "engine/base/rng.h"

/* Records -------------------------------------------------------------- */

static int take_line(example_set *s, const char *line, size_t n, take_record *take, int index, err *e) {
    cJSON *record = cJSON_ParseWithLength(line, n);
    int rc = cJSON_IsObject(record) ? take(s, record, index, e)
                                    : err_set(e, ERR_BAD_FORMAT, "not a JSON object: '%.40s'", line);
    cJSON_Delete(record);
    return rc;
}

int data_each_line(example_set *s, const char *text, size_t n, int max, take_record *take, err *e) {
    const char *end = text + n;
    int index = 0;
    for (int line = 1; text < end && (!max || index < max); line++) {
        const char *stop = memchr(text, '\n', (size_t)(end - text));
        span t = span_trim((span){text, (size_t)((stop ? stop : end) - text)});
        if (t.n) {
            int rc = take_line(s, t.s, t.n, take, index++, e);
            if (rc) return err_prefix(e, "line %d", line);
        }
        text = stop ? stop + 1 : end;
    }
    return 0;
}

int data_string(const cJSON *record, const char *key, const char **out, err *e) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(record, key);
    *out = cJSON_GetStringValue(v);
    return *out ? 0 : err_set(e, ERR_BAD_FORMAT, "no text field \"%s\"", key);
}

/* Text ----------------------------------------------------------------- */

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

span span_trim(span t) {
    while (t.n && is_blank(t.s[0])) t.s++, t.n--;
    while (t.n && is_blank(t.s[t.n - 1])) t.n--;
    return t;
}

bool span_is(span t, const char *text) {
    return t.n == strlen(text) && memcmp(t.s, text, t.n) == 0;
}

const char *span_last(span t, const char *what) {
    size_t n = strlen(what);
    for (size_t i = t.n; i-- > 0;) {
        if (i + n <= t.n && memcmp(t.s + i, what, n) == 0) return t.s + i;
    }
    return NULL;
}

span span_before(span t, const char *what) {
    const char *at = t.n ? memmem(t.s, t.n, what, strlen(what)) : NULL;
    if (at) t.n = (size_t)(at - t.s);
    return t;
}

span span_code(span t) {
    const char *fence = t.n ? memmem(t.s, t.n, "```", 3) : NULL;
    const char *line = fence ? memchr(fence, '\n', t.n - (size_t)(fence - t.s)) : NULL;
    if (!line) return t;
    return span_before((span){line + 1, t.n - (size_t)(line + 1 - t.s)}, "```");
}

void data_utf8(strbuf *out, const char *s, size_t n) {
    while (n > 0) {
        utf8proc_int32_t c;
        utf8proc_ssize_t len = utf8proc_iterate((const utf8proc_uint8_t *)s, (utf8proc_ssize_t)n, &c);
        bool good = len > 0 && c > 0;
        if (good) {
            strbuf_add(out, s, (size_t)len);
        } else {
            strbuf_puts(out, "\xef\xbf\xbd");
        }
        size_t step = len > 0 ? (size_t)len : 1;
        s += step;
        n -= step;
    }
}

int data_sample(strbuf *out, const char *id_key, const char *id, const char *key, const char *text, size_t n,
                err *e) {
    strbuf clean;
    strbuf_init(&clean, SIZE_MAX / 4);
    data_utf8(&clean, text, n);
    cJSON *o = cJSON_CreateObject();
    bool made =
        (!id_key || cJSON_AddStringToObject(o, id_key, id)) && cJSON_AddStringToObject(o, key, clean.data);
    char *line = made ? cJSON_PrintUnformatted(o) : NULL;
    if (line) strbuf_puts(out, line);
    strbuf_putc(out, '\n');
    bool ok = line && !clean.failed && !out->failed;
    cJSON_free(line);
    cJSON_Delete(o);
    strbuf_release(&clean);
    return ok ? 0 : err_set(e, ERR_NO_MEMORY, "out of memory for a sample");
}

/* Draws ---------------------------------------------------------------- */

int draw_below(draws *d, int n) {
    double u = rng_uniform(d->seed, 0, d->count++, d->example, RNG_PATH);
    return (int)(u * n);
}
