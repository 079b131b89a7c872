/* open.c - which tokenizer files there are, and what stands beside them: the mask token and the chat
 * template. */
#include <cjson/cJSON.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/base/mem.h"
#include "engine/formats/gguf.h"
#include "engine/tokenizer/impl.h"

enum { TOKENIZER_MAX_BYTES = 128 << 20, TEMPLATE_MAX_BYTES = 1 << 20 };

/* ---- files ---- */

int tokenizer_read_text(strbuf *out, char **path, const char *dir, const char *name, err *e) {
    strbuf full;
    strbuf_init(&full, PATH_MAX);
    strbuf_printf(&full, "%s%s%s", dir, dir[0] && dir[strlen(dir) - 1] == '/' ? "" : "/", name);
    char *where = strbuf_take(&full, NULL);
    if (path) *path = NULL;
    if (!where) return err_set(e, ERR_BAD_ARGUMENT, "%.60s...: path too long", dir);
    int rc = strbuf_read_file(out, where, TOKENIZER_MAX_BYTES, e);
    if (!rc && path)
        *path = where;
    else
        free(where);
    return rc;
}

int tokenizer_read_json(cJSON **out, char **path, const char *dir, const char *name, err *e) {
    strbuf text;
    char *where;
    *out = NULL;
    if (path) *path = NULL;
    int rc = tokenizer_read_text(&text, &where, dir, name, e);
    if (rc) return rc;
    const char *end = NULL;
    *out = cJSON_ParseWithLengthOpts(text.data, text.len, &end, false);
    if (!*out) {
        rc = err_set(e, ERR_BAD_FORMAT, "%s: not valid JSON near byte %zu", where,
                     end ? (size_t)(end - text.data) : 0);
    }
    strbuf_release(&text);
    if (!rc && path)
        *path = where;
    else
        free(where);
    return rc;
}

/* A file that may be missing: *out is then NULL. */
static int read_optional(cJSON **out, const char *dir, const char *name, err *e) {
    err missing = {0};
    int rc = tokenizer_read_json(out, NULL, dir, name, &missing);
    return rc && rc != ERR_NOT_FOUND ? err_set(e, rc, "%s", missing.msg) : 0;
}

/* ---- pieces of tokenizer.json ---- */

/* The patterns of docs/formats.md that tokenizer.json files spell out. */
static const char pattern_q[] =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+"
    "[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
static const char pattern_b[] =
    "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*"
    "|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+";

/* The item, or NULL when a part of it is missing. */
static cJSON *only_if(bool ok, cJSON *item) {
    if (ok) return item;
    cJSON_Delete(item);
    return NULL;
}

cJSON *tokenizer_pre_tokenizer(const char *pattern, bool prefix_space) {
    cJSON *bytes = cJSON_CreateObject();
    bool g = *pattern == 'G';
    bool ok = cJSON_AddStringToObject(bytes, "type", "ByteLevel") &&
              cJSON_AddBoolToObject(bytes, "add_prefix_space", prefix_space) &&
              cJSON_AddBoolToObject(bytes, "use_regex", g);
    if (!ok || g) return only_if(ok, bytes);
    cJSON *all = cJSON_CreateObject(), *split = cJSON_CreateObject();
    ok = cJSON_AddStringToObject(all, "type", "Sequence");
    cJSON *steps = cJSON_AddArrayToObject(all, "pretokenizers");
    ok = ok && cJSON_AddStringToObject(split, "type", "Split") &&
         cJSON_AddStringToObject(split, "behavior", "Isolated") &&
         cJSON_AddStringToObject(cJSON_AddObjectToObject(split, "pattern"), "Regex",
                                 *pattern == 'Q' ? pattern_q : pattern_b);
    ok &= tokenizer_json_add(steps, NULL, split);
    ok &= tokenizer_json_add(steps, NULL, bytes);
    return only_if(ok, all);
}

bool tokenizer_json_add(cJSON *to, const char *key, cJSON *item) {
    bool ok = item && (key ? cJSON_AddItemToObject(to, key, item) : cJSON_AddItemToArray(to, item));
    if (!ok) cJSON_Delete(item);
    return ok;
}

bool tokenizer_json_type(cJSON *to, const char *key, const char *type) {
    return cJSON_AddStringToObject(cJSON_AddObjectToObject(to, key), "type", type);
}

cJSON *tokenizer_added(const char *text, int32_t id, bool special, bool normalized) {
    cJSON *item = cJSON_CreateObject();
    return only_if(cJSON_AddNumberToObject(item, "id", id) &&
                       cJSON_AddStringToObject(item, "content", text) &&
                       cJSON_AddBoolToObject(item, "special", special) &&
                       cJSON_AddBoolToObject(item, "normalized", normalized),
                   item);
}

/* ---- beside the tokenizer ---- */

/* A token in the settings: a text, or an object with its content. */
static const char *token_text(const cJSON *item) {
    const char *text = cJSON_GetStringValue(item);
    return text ? text : cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "content"));
}

int32_t tokenizer_find(const tokenizer *t, const char *text) {
    size_t len = strlen(text);
    for (int i = 0; i < t->n_added; i++) {
        if (t->added[i].len == len && !memcmp(t->added[i].text, text, len)) return t->added[i].id;
    }
    return vocab_map_find(&t->vocab, text, len);
}

static int keep_chat(tokenizer *t, const char *text, size_t len, err *e) {
    free(t->chat);
    t->chat = mem_new(len + 1, 1);
    if (!t->chat) return err_set(e, ERR_NO_MEMORY, "%s: out of memory", t->path);
    if (len) memcpy(t->chat, text, len);
    return 0;
}

/* A template may be a text, or a list of {name, template}, of which the default one counts. */
static const char *chat_text(const cJSON *item) {
    const cJSON *one;
    if (!cJSON_IsArray(item)) return cJSON_GetStringValue(item);
    cJSON_ArrayForEach(one, item) {
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(one, "name"));
        if (name && !strcmp(name, "default"))
            return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(one, "template"));
    }
    return NULL;
}

static int read_settings(tokenizer *t, const cJSON *settings, const char *dir, err *e) {
    const char *mask = token_text(cJSON_GetObjectItemCaseSensitive(settings, "mask_token"));
    const char *chat = chat_text(cJSON_GetObjectItemCaseSensitive(settings, "chat_template"));
    if (mask) t->mask_id = tokenizer_find(t, mask);
    if (chat) return keep_chat(t, chat, strlen(chat), e);
    strbuf text;
    err missing = {0};
    int rc = tokenizer_read_text(&text, NULL, dir, "chat_template.jinja", &missing);
    if (rc) return rc == ERR_NOT_FOUND ? 0 : err_set(e, rc, "%s", missing.msg);
    rc = keep_chat(t, text.data, text.len, e);
    strbuf_release(&text);
    return rc;
}

/* ---- kinds of tokenizers ---- */

static int load_directory(tokenizer *t, const char *dir, err *e) {
    cJSON *root = NULL, *settings = NULL;
    err missing = {0};
    int rc = read_optional(&settings, dir, "tokenizer_config.json", e);
    if (rc) return rc;
    rc = tokenizer_read_json(&root, &t->path, dir, "tokenizer.json", &missing);
    t->source = "tokenizer.json";
    if (rc == ERR_NOT_FOUND) {
        rc = tokenizer_from_merges(&root, dir, settings, &missing);
        t->source = "vocab.json and merges.txt";
        if (!rc && !(t->path = mem_copy(dir, strlen(dir) + 1, 1))) rc = ERR_NO_MEMORY;
    }
    if (rc) rc = err_set(e, rc, "%s", missing.msg);
    if (!rc) rc = tokenizer_build(t, root, e);
    if (!rc) rc = read_settings(t, settings, dir, e);
    cJSON_Delete(root);
    cJSON_Delete(settings);
    return rc;
}

static int load_gguf(tokenizer *t, const char *path, err *e) {
    gguf *g;
    cJSON *root = NULL;
    t->source = "GGUF metadata";
    int rc = gguf_open(&g, path, e);
    if (rc) return rc;
    if (!(t->path = mem_copy(path, strlen(path) + 1, 1)))
        rc = err_set(e, ERR_NO_MEMORY, "%s: out of memory", path);
    if (!rc) rc = tokenizer_from_gguf(&root, g, e);
    if (!rc) rc = tokenizer_build(t, root, e);
    const gguf_value *mask = gguf_find(g, "tokenizer.ggml.mask_token_id");
    const gguf_value *chat = gguf_find(g, "tokenizer.chat_template");
    if (!rc && mask && mask->kind == GGUF_WHOLE && mask->number >= 0 && mask->number < t->n_tokens)
        t->mask_id = (int32_t)mask->number;
    if (!rc && chat && chat->kind == GGUF_TEXT && chat->count <= TEMPLATE_MAX_BYTES)
        rc = keep_chat(t, chat->text, (size_t)chat->count, e);
    cJSON_Delete(root);
    gguf_close(g);
    return rc;
}

int tokenizer_load(tokenizer **out, const char *path, err *e) {
    *out = NULL;
    struct stat st;
    tokenizer *t = mem_new(1, sizeof *t);
    if (!t) return err_set(e, ERR_NO_MEMORY, "out of memory");
    t->mask_id = -1;
    bool file = stat(path, &st) == 0 && S_ISREG(st.st_mode);
    int rc = file ? load_gguf(t, path, e) : load_directory(t, path, e);
    if (rc) {
        tokenizer_close(t);
        return rc;
    }
    *out = t;
    return 0;
}

int32_t tokenizer_mask(const tokenizer *t) {
    return t->mask_id;
}

const char *tokenizer_chat(const tokenizer *t) {
    return t->chat;
}

const char *tokenizer_source(const tokenizer *t) {
    return t->source;
}
