/* json.c - JSON on its way out: trees with exact numbers. */
#include "replay/json.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ARRAY_MAX = 64 << 20 };

bool json_put_real(strbuf *b, double v) {
    char buf[40];
    if (!isfinite(v)) return false;
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(buf, sizeof buf, "%.*g", digits, v);
        if (strtod(buf, NULL) == v) break;
    }
    /* A host program may have set a locale that writes a comma. */
    const char *point = localeconv()->decimal_point;
    char *at = *point && strcmp(point, ".") != 0 ? strstr(buf, point) : NULL;
    if (at) {
        strbuf_add(b, buf, (size_t)(at - buf));
        strbuf_putc(b, '.');
        strbuf_puts(b, at + strlen(point));
    } else {
        strbuf_puts(b, buf);
    }
    return true;
}

static void add(json_out *o, cJSON *obj, const char *key, cJSON *item) {
    if (o->failed || !item || !cJSON_AddItemToObject(obj, key, item)) {
        cJSON_Delete(item);
        o->failed = true;
    }
}

cJSON *json_object(json_out *o, cJSON *parent, const char *key) {
    if (o->failed) return NULL;
    cJSON *obj = cJSON_CreateObject();
    if (parent) {
        add(o, parent, key, obj);
    } else if (!obj) {
        o->failed = true;
    }
    return o->failed ? NULL : obj;
}

void json_raw(json_out *o, cJSON *obj, const char *key, const char *raw) {
    if (!o->failed) add(o, obj, key, cJSON_CreateRaw(raw));
}

void json_text(json_out *o, cJSON *obj, const char *key, const char *s) {
    if (o->failed) return;
    size_t n = strlen(s), ok = 0;
    char *copy = strdup(s);
    while (copy && (ok += json_utf8_prefix(copy + ok, n - ok)) < n) copy[ok] = '?';
    add(o, obj, key, copy ? cJSON_CreateString(copy) : NULL);
    free(copy);
}

void json_bool(json_out *o, cJSON *obj, const char *key, bool v) {
    if (!o->failed) add(o, obj, key, cJSON_CreateBool(v));
}

void json_int(json_out *o, cJSON *obj, const char *key, int64_t v) {
    char buf[32];
    snprintf(buf, sizeof buf, "%lld", (long long)v);
    json_raw(o, obj, key, buf);
}

static void add_buffer(json_out *o, cJSON *obj, const char *key, strbuf *b) {
    if (b->failed) o->failed = true;
    json_raw(o, obj, key, b->data);
    strbuf_release(b);
}

static void put_finite(json_out *o, const char *key, strbuf *b, double v) {
    if (json_put_real(b, v) || o->failed) return;
    o->failed = true;
    o->not_finite = key;
}

void json_real(json_out *o, cJSON *obj, const char *key, double v) {
    strbuf b;
    strbuf_init(&b, ARRAY_MAX);
    put_finite(o, key, &b, v);
    add_buffer(o, obj, key, &b);
}

void json_reals(json_out *o, cJSON *obj, const char *key, const double *v, int n) {
    strbuf b;
    strbuf_init(&b, ARRAY_MAX);
    strbuf_putc(&b, '[');
    for (int i = 0; i < n; i++) {
        if (i) strbuf_putc(&b, ',');
        put_finite(o, key, &b, v[i]);
    }
    strbuf_putc(&b, ']');
    add_buffer(o, obj, key, &b);
}

void json_ints(json_out *o, cJSON *obj, const char *key, const int *v, int n) {
    strbuf b;
    strbuf_init(&b, ARRAY_MAX);
    strbuf_putc(&b, '[');
    for (int i = 0; i < n; i++) strbuf_printf(&b, i ? ",%d" : "%d", v[i]);
    strbuf_putc(&b, ']');
    add_buffer(o, obj, key, &b);
}

int json_out_check(const json_out *o, const char *what, err *e) {
    if (o->not_finite) {
        return err_set(e, ERR_BAD_ARGUMENT, "%s: %s is not a finite number and cannot be written", what,
                       o->not_finite);
    }
    return o->failed ? err_set(e, ERR_NO_MEMORY, "%s: out of memory", what) : 0;
}

static int check_put(const strbuf *b, err *e) {
    if (b->no_memory) return err_set(e, ERR_NO_MEMORY, "out of memory while writing JSON");
    return b->failed ? err_set(e, ERR_NO_MEMORY, "a line of more than %zu bytes", b->max) : 0;
}

int json_put_object(strbuf *b, const cJSON *obj, const char *extra, err *e) {
    char *text = obj ? cJSON_PrintUnformatted(obj) : NULL;
    if (!text) return err_set(e, ERR_NO_MEMORY, "out of memory while writing JSON");
    size_t n = strlen(text), m = extra ? strlen(extra) : 0;
    strbuf_add(b, text, n - 1);
    if (m > 2 && extra[0] == '{' && extra[m - 1] == '}') {
        if (n > 2) strbuf_putc(b, ',');
        strbuf_add(b, extra + 1, m - 2);
    }
    strbuf_putc(b, '}');
    cJSON_free(text);
    return check_put(b, e);
}

int json_put_line(strbuf *b, const cJSON *obj, const char *extra, err *e) {
    int rc = json_put_object(b, obj, extra, e);
    if (rc) return rc;
    strbuf_putc(b, '\n');
    return check_put(b, e);
}
