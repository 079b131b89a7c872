/* config.c - typed reads from config.json, or from metadata in its form. */
#include "engine/formats/config.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/base/strbuf.h"

enum { CONFIG_MAX_BYTES = 1 << 20 };

struct config {
    char *path;
    strbuf text;
    cJSON *root;
};

static config *config_new(const char *path, err *e) {
    config *c = mem_new(1, sizeof *c);
    if (c && (c->path = mem_copy(path, strlen(path) + 1, 1))) return c;
    free(c);
    err_set(e, ERR_NO_MEMORY, "%s: out of memory", path);
    return NULL;
}

int config_open(config **out, const char *path, err *e) {
    *out = NULL;
    config *c = config_new(path, e);
    if (!c) return ERR_NO_MEMORY;
    int rc = strbuf_read_file(&c->text, path, CONFIG_MAX_BYTES, e);
    if (!rc) {
        c->root = cJSON_ParseWithLength(c->text.data, c->text.len);
        if (!cJSON_IsObject(c->root)) rc = err_set(e, ERR_BAD_FORMAT, "%s: not a JSON object", path);
    }
    if (rc) {
        config_close(c);
        return rc;
    }
    *out = c;
    return 0;
}

/* ---- metadata ---- */

/* Lists are read where they lie, and a text of that length is none of a configuration. */
static bool is_item(const gguf_value *v) {
    return v->kind == GGUF_BOOL || v->kind == GGUF_WHOLE || v->kind == GGUF_REAL ||
           (v->kind == GGUF_TEXT && v->count <= CONFIG_MAX_BYTES);
}

/* NULL when memory is short. */
static cJSON *item_of(const gguf_value *v) {
    if (v->kind == GGUF_BOOL) return cJSON_CreateBool(v->number > 0);
    if (v->kind == GGUF_WHOLE || v->kind == GGUF_REAL) return cJSON_CreateNumber(v->number);
    char *text = mem_new((size_t)v->count + 1, 1);
    if (!text) return NULL;
    if (v->count) memcpy(text, v->text, (size_t)v->count);
    cJSON *item = cJSON_CreateString(text);
    free(text);
    return item;
}

int config_from_gguf(config **out, const gguf *g, err *e) {
    *out = NULL;
    config *c = config_new(gguf_path(g), e);
    if (!c) return ERR_NO_MEMORY;
    c->root = cJSON_CreateObject();
    bool ok = c->root;
    for (int i = 0; i < gguf_n_values(g) && ok; i++) {
        const gguf_value *v = gguf_value_at(g, i);
        cJSON *item = is_item(v) ? item_of(v) : NULL;
        ok = !is_item(v) || cJSON_AddItemToObject(c->root, v->key, item);
        if (!ok) cJSON_Delete(item);
    }
    char *text = ok ? cJSON_PrintUnformatted(c->root) : NULL;
    strbuf_init(&c->text, SIZE_MAX / 4);
    if (text) strbuf_puts(&c->text, text);
    cJSON_free(text);
    if (!text || c->text.failed) {
        config_close(c);
        return err_set(e, ERR_NO_MEMORY, "%s: out of memory", gguf_path(g));
    }
    *out = c;
    return 0;
}

void config_close(config *c) {
    if (!c) return;
    cJSON_Delete(c->root);
    strbuf_release(&c->text);
    free(c->path);
    free(c);
}

const char *config_path(const config *c) {
    return c->path;
}

const char *config_text(const config *c, size_t *len) {
    *len = c->text.len;
    return c->text.data;
}

static const cJSON *look_up(const cJSON *object, const char *key) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    const char *dot = item ? NULL : strchr(key, '.');
    char head[64];
    if (!dot || (size_t)(dot - key) >= sizeof head) return item;
    snprintf(head, sizeof head, "%.*s", (int)(dot - key), key);
    return look_up(cJSON_GetObjectItemCaseSensitive(object, head), dot + 1);
}

/* NULL for a missing key and for null. */
static const cJSON *find(const config *c, const char *key) {
    const cJSON *item = look_up(c->root, key);
    return item && !cJSON_IsNull(item) ? item : NULL;
}

bool config_has(const config *c, const char *key) {
    return find(c, key) != NULL;
}

/* "FILE: KEY: FOUND, expected WHAT" */
static int unexpected(const config *c, const char *key, const char *what, err *e) {
    const cJSON *item = look_up(c->root, key);
    char *found = item ? cJSON_PrintUnformatted(item) : NULL;
    int rc = err_set(e, ERR_BAD_FORMAT, "%s: %s: %.80s, expected %s", c->path, key, found ? found : "missing",
                     what);
    cJSON_free(found);
    return rc;
}

static bool read_whole(const cJSON *item, int64_t low, int64_t high, int *out) {
    if (!item || !cJSON_IsNumber(item)) return false;
    double v = item->valuedouble;
    if (!(v >= (double)low && v <= (double)high)) return false;
    int64_t i = (int64_t)v;
    if ((double)i < v || (double)i > v) return false;
    *out = (int)i;
    return true;
}

int config_int(const config *c, const char *key, int64_t low, int64_t high, int *out, err *e) {
    if (read_whole(find(c, key), low, high, out)) return 0;
    char what[80];
    snprintf(what, sizeof what, "a whole number from %lld to %lld", (long long)low, (long long)high);
    return unexpected(c, key, what, e);
}

int config_int_opt(const config *c, const char *key, int64_t low, int64_t high, int *out, err *e) {
    return config_has(c, key) ? config_int(c, key, low, high, out, e) : 0;
}

int config_real(const config *c, const char *key, double low, double high, double *out, err *e) {
    const cJSON *item = find(c, key);
    if (item && cJSON_IsNumber(item) && item->valuedouble >= low && item->valuedouble <= high) {
        *out = item->valuedouble;
        return 0;
    }
    char what[80];
    snprintf(what, sizeof what, "a number from %g to %g", low, high);
    return unexpected(c, key, what, e);
}

int config_bool_opt(const config *c, const char *key, bool *out, err *e) {
    const cJSON *item = find(c, key);
    if (!item) return 0;
    if (!cJSON_IsBool(item)) return unexpected(c, key, "true or false", e);
    *out = cJSON_IsTrue(item);
    return 0;
}

int config_string(const config *c, const char *key, const char **out, err *e) {
    *out = cJSON_GetStringValue(find(c, key));
    return *out ? 0 : unexpected(c, key, "a string", e);
}

int config_require(const config *c, const char *key, const char *json, err *e) {
    const cJSON *item = find(c, key);
    if (!item) return 0;
    cJSON *want = cJSON_Parse(json);
    bool same = want && cJSON_Compare(item, want, true);
    cJSON_Delete(want);
    if (same) return 0;
    int rc = unexpected(c, key, json, e);
    if (e) e->code = ERR_UNSUPPORTED;
    return rc ? ERR_UNSUPPORTED : 0;
}
