/* json.c - exact numbers, places in a line and kept fields. The walker at the end goes over text that
 * cJSON has already accepted, in step with the tree, so it checks no syntax. */
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
    return b->failed ? err_set(e, ERR_NO_MEMORY, "a line of more than %zu bytes", b->max) : 0;
}

/* Bytes of the UTF-8 character at s, or 0 (overlong forms, surrogates and beyond U+10FFFF included). */
static size_t utf8_char(const unsigned char *s, size_t n) {
    if (!n) return 0;
    if (s[0] < 0x80) return s[0] ? 1 : 0;
    size_t k = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4 || k > n) return 0;
    for (size_t i = 1; i < k; i++) {
        if ((s[i] & 0xc0) != 0x80) return 0;
    }
    bool bad = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
               (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f);
    return bad ? 0 : k;
}

size_t json_utf8_prefix(const char *s, size_t n) {
    size_t i = 0, k;
    while ((k = utf8_char((const unsigned char *)s + i, n - i)) > 0) i += k;
    return i;
}

/* What cJSON lets pass and we do not. */
static bool scan(const char *s, size_t n, size_t *column, const char **why) {
    bool in_string = false;
    int depth = 0;
    size_t i = 0, k;
    for (*why = NULL; i < n && !*why; i += k) {
        unsigned char c = (unsigned char)s[i];
        k = utf8_char((const unsigned char *)s + i, n - i);
        if (!k) {
            k = 1;
            *why = c ? "not valid UTF-8" : "a NUL byte";
        } else if (c < 0x20 && (in_string || (c != '\t' && c != '\r'))) {
            *why = "a control character";
        } else if (in_string && c == '\\') {
            if (n - i >= 6 && !memcmp(s + i, "\\u0000", 6)) *why = "a NUL character in a string";
            k = i + 1 < n && (unsigned char)s[i + 1] < 0x80 ? 2 : 1;
        } else if (c == '"') {
            in_string = !in_string;
        } else if (!in_string && (c == '{' || c == '[')) {
            if (++depth > JSON_DEPTH) *why = "nested too deeply";
        } else if (!in_string && (c == '}' || c == ']')) {
            depth--;
        }
        *column = i + 1;
    }
    return !*why;
}

static const char *skip_space(const char *p) {
    while (*p && (unsigned char)*p <= 0x20) p++;
    return p;
}

cJSON *json_parse_line(const char *line, size_t n, size_t *column, const char **why) {
    const char *first = skip_space(line), *end = NULL;
    if (!scan(line, n, column, why)) return NULL;
    if (*first != '{') {
        *column = (size_t)(first - line) + 1;
        *why = *first ? "expected a JSON object" : "an empty line, expected a JSON object";
        return NULL;
    }
    cJSON *root = cJSON_ParseWithLengthOpts(line, n + 1, &end, true);
    if (!root) {
        size_t at = end ? (size_t)(end - line) : 0;
        *column = (at < n ? at : n) + 1;
        *why = at < n ? "not valid JSON" : "the line ends inside JSON";
    }
    return root;
}

static const char *skip_string(const char *p) {
    for (p++; *p && *p != '"'; p++) {
        if (*p == '\\' && p[1]) p++;
    }
    return *p ? p + 1 : p;
}

static const char *skip_value(const char *p) {
    int depth = 0;
    for (; *p; p++) {
        if (*p == '"') {
            p = skip_string(p) - 1;
        } else if (*p == '{' || *p == '[') {
            depth++;
        } else if (*p == '}' || *p == ']') {
            if (depth-- == 0) return p;
        } else if (!depth && (*p == ',' || (unsigned char)*p <= 0x20)) {
            return p;
        }
        if (!depth && (*p == '"' || *p == '}' || *p == ']')) return p + 1;
    }
    return p;
}

/* From a key to its value. */
static const char *skip_key(const char *p) {
    p = skip_space(skip_string(p));
    return skip_space(*p == ':' ? p + 1 : p);
}

/* From the end of a value to the next key or value. */
static const char *skip_comma(const char *p) {
    p = skip_space(p);
    return skip_space(*p == ',' ? p + 1 : p);
}

static const char *walk(const cJSON *node, const cJSON *item, const char *p) {
    if (node == item) return p;
    if (!cJSON_IsObject(node) && !cJSON_IsArray(node)) return NULL;
    p = skip_space(p + 1);
    for (const cJSON *c = node->child; c; c = c->next) {
        if (cJSON_IsObject(node)) p = skip_key(p);
        const char *found = walk(c, item, p);
        if (found) return found;
        p = skip_comma(skip_value(p));
    }
    return NULL;
}

size_t json_locate(const cJSON *root, const cJSON *item, const char *line) {
    const char *found = walk(root, item, skip_space(line));
    return found ? (size_t)(found - line) : 0;
}

const cJSON *json_unknown(const cJSON *obj, const char *at, const char *const *known, strbuf *extra) {
    bool seen[64] = {false}, any = false;
    const char *p = skip_space(at + 1);
    for (const cJSON *c = obj->child; c; c = c->next) {
        const char *key = p, *end = skip_value(skip_key(p));
        size_t i = 0;
        while (known[i] && strcmp(known[i], c->string) != 0) i++;
        if (known[i]) {
            if (i < 64 && seen[i]) return c;
            if (i < 64) seen[i] = true;
        } else {
            strbuf_putc(extra, any ? ',' : '{');
            strbuf_add(extra, key, (size_t)(end - key));
            any = true;
        }
        p = skip_comma(end);
    }
    if (any) strbuf_putc(extra, '}');
    return NULL;
}
