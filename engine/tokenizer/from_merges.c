/* from_merges.c - vocab.json, merges.txt and their companions in the form of tokenizer.json.
 *
 * What the files do not say follows from the class that tokenizer_config.json names: GPT-2's pattern, or that
 * of Qwen2 (and Dream, whose class is Qwen2's with a mask token) with NFC. A class that is not known is
 * refused. */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/tokenizer/impl.h"

enum { NAME_BYTES = 60 };

typedef struct kind {
    const char *name; /* with or without "Fast" behind it */
    const char *pattern;
    bool nfc;
    const char *special; /* a token of the vocabulary that the class makes special */
} kind;

static const kind kinds[] = {{"GPT2Tokenizer", "G", false, "<|endoftext|>"},
                             {"Qwen2Tokenizer", "Q", true, NULL},
                             {"DreamTokenizer", "Q", true, NULL}};

static const cJSON *get(const cJSON *o, const char *key) {
    return cJSON_GetObjectItemCaseSensitive(o, key);
}

/* Without a class the files are GPT-2's, which came before there were any. */
static const kind *find_kind(const cJSON *settings, const char *dir, err *e) {
    const char *class = cJSON_GetStringValue(get(settings, "tokenizer_class"));
    if (!class) return &kinds[0];
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        size_t n = strlen(kinds[i].name);
        if (!strncmp(class, kinds[i].name, n) && (!class[n] || !strcmp(class + n, "Fast"))) return &kinds[i];
    }
    err_set(e, ERR_UNSUPPORTED,
            "%s/tokenizer_config.json: tokenizer_class: '%.60s' is not supported (GPT2Tokenizer, "
            "Qwen2Tokenizer and "
            "DreamTokenizer are); a tokenizer.json would do",
            dir, class);
    return NULL;
}

static int no_memory(const char *dir, err *e) {
    return err_set(e, ERR_NO_MEMORY, "%s: out of memory", dir);
}

/* ---- merges.txt ---- */

/* "left right" a line; the first may tell a version. */
static int read_merges(cJSON *model, const char *dir, err *e) {
    strbuf text;
    char *path;
    int rc = tokenizer_read_text(&text, &path, dir, "merges.txt", e);
    if (rc) return rc;
    cJSON *merges = cJSON_AddArrayToObject(model, "merges");
    bool ok = merges;
    int line = 0;
    for (char *at = text.data, *end; !rc && ok && *at; at = end) {
        size_t n = strcspn(at, "\n");
        end = at + n + (at[n] == '\n');
        at[n] = '\0';
        if (n && at[n - 1] == '\r') at[n - 1] = '\0';
        if (!line++ && !strncmp(at, "#version", 8)) continue;
        if (!*at) continue;
        if (!strchr(at, ' '))
            rc = err_set(e, ERR_BAD_FORMAT, "%s: line %d: expected two tokens and a space", path, line);
        else
            ok = tokenizer_json_add(merges, NULL, cJSON_CreateString(at));
    }
    if (!rc && !ok) rc = err_set(e, ERR_NO_MEMORY, "%s: out of memory", path);
    strbuf_release(&text);
    free(path);
    return rc;
}

/* ---- added tokens ---- */

static bool has_content(const cJSON *added, const char *text) {
    const cJSON *item;
    cJSON_ArrayForEach(item, added) {
        const char *content = cJSON_GetStringValue(get(item, "content"));
        if (content && !strcmp(content, text)) return true;
    }
    return false;
}

/* "added_tokens_decoder": {"id": {content, flags}} becomes entries with their id. */
static int add_decoded(cJSON *added, const cJSON *decoder, const char *dir, err *e) {
    const cJSON *item;
    if (decoder && !cJSON_IsNull(decoder) && !cJSON_IsObject(decoder))
        return err_set(e, ERR_BAD_FORMAT,
                       "%s/tokenizer_config.json: added_tokens_decoder: expected an object", dir);
    cJSON_ArrayForEach(item, decoder) {
        char *end;
        long id = strtol(item->string, &end, 10);
        if (*end || end == item->string || id < 0 || id > TOKENIZER_MAX_ID || !cJSON_IsObject(item)) {
            return err_set(e, ERR_BAD_FORMAT,
                           "%s/tokenizer_config.json: added_tokens_decoder: '%.40s' is not an id", dir,
                           item->string);
        }
        cJSON *copy = cJSON_Duplicate(item, true);
        cJSON_DeleteItemFromObjectCaseSensitive(copy, "id");
        if (!cJSON_AddNumberToObject(copy, "id", (double)id) || !cJSON_AddItemToArray(added, copy)) {
            cJSON_Delete(copy);
            return err_set(e, ERR_NO_MEMORY, "%s: out of memory", dir);
        }
    }
    return 0;
}

/* added_tokens.json: {"text": id}, without flags: special, as older tokenizers took them. */
static int add_listed(cJSON *added, const char *dir, err *e) {
    cJSON *listed;
    err missing = {0};
    int rc = tokenizer_read_json(&listed, NULL, dir, "added_tokens.json", &missing);
    if (rc == ERR_NOT_FOUND) return 0;
    if (rc) return err_set(e, rc, "%s", missing.msg);
    if (!cJSON_IsObject(listed))
        rc = err_set(e, ERR_BAD_FORMAT, "%s/added_tokens.json: not a JSON object", dir);
    const cJSON *item;
    cJSON_ArrayForEach(item, listed) {
        if (rc || has_content(added, item->string)) continue;
        if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble <= TOKENIZER_MAX_ID)) {
            rc = err_set(e, ERR_BAD_FORMAT, "%s/added_tokens.json: the id of '%.40s' is not in range", dir,
                         item->string);
            continue;
        }
        cJSON *entry = tokenizer_added(item->string, (int32_t)item->valuedouble, true, false);
        if (!tokenizer_json_add(added, NULL, entry)) rc = no_memory(dir, e);
    }
    cJSON_Delete(listed);
    return rc;
}

static int read_added(cJSON *root, const kind *k, const cJSON *settings, const char *dir, err *e) {
    cJSON *added = cJSON_AddArrayToObject(root, "added_tokens");
    if (!added) return err_set(e, ERR_NO_MEMORY, "%s: out of memory", dir);
    int rc = add_decoded(added, get(settings, "added_tokens_decoder"), dir, e);
    if (!rc) rc = add_listed(added, dir, e);
    const cJSON *id = k->special ? get(get(get(root, "model"), "vocab"), k->special) : NULL;
    if (rc || !id || !cJSON_IsNumber(id) || has_content(added, k->special)) return rc;
    if (!(id->valuedouble >= 0 && id->valuedouble <= TOKENIZER_MAX_ID))
        return 0; /* refused with the vocabulary */
    cJSON *entry = tokenizer_added(k->special, (int32_t)id->valuedouble, true, false);
    return tokenizer_json_add(added, NULL, entry) ? 0 : no_memory(dir, e);
}

/* ---- the whole ---- */

static int fill(cJSON *root, const char *dir, const cJSON *settings, err *e) {
    const kind *k = find_kind(settings, dir, e);
    if (!k) return ERR_UNSUPPORTED;
    cJSON *model = cJSON_AddObjectToObject(root, "model"), *vocab = NULL;
    if (!cJSON_AddStringToObject(model, "type", "BPE")) return no_memory(dir, e);
    int rc = tokenizer_read_json(&vocab, NULL, dir, "vocab.json", e);
    if (rc) return rc;
    if (!tokenizer_json_add(model, "vocab", vocab)) return no_memory(dir, e);
    if ((rc = read_merges(model, dir, e))) return rc;
    if ((rc = read_added(root, k, settings, dir, e))) return rc;
    if (k->nfc && !tokenizer_json_type(root, "normalizer", "NFC")) return no_memory(dir, e);
    bool space = cJSON_IsTrue(get(settings, "add_prefix_space"));
    bool ok = tokenizer_json_add(root, "pre_tokenizer", tokenizer_pre_tokenizer(k->pattern, space)) &&
              tokenizer_json_type(root, "decoder", "ByteLevel");
    return ok ? 0 : no_memory(dir, e);
}

int tokenizer_from_merges(cJSON **out, const char *dir, const cJSON *settings, err *e) {
    *out = cJSON_CreateObject();
    int rc = *out ? fill(*out, dir, settings, e) : err_set(e, ERR_NO_MEMORY, "%s: out of memory", dir);
    if (!rc) return 0;
    cJSON_Delete(*out);
    *out = NULL;
    return rc;
}
