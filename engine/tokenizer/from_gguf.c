/* from_gguf.c - tokenizer.ggml.* of a GGUF file in the form of tokenizer.json.
 *
 * Texts of ordinary tokens are written in the byte alphabet, as in tokenizer.json; those of control and
 * user-defined tokens are plain and become added tokens. */
#include <cjson/cJSON.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/formats/gguf.h"
#include "engine/tokenizer/impl.h"

enum { TOKEN_MAX_BYTES = 65535, TYPE_CONTROL = 3, TYPE_USER = 4, TYPE_BYTE = 6, NAME_BYTES = 200 };

/* What a name in tokenizer.ggml.pre means. */
static const struct {
    const char *name, *pattern;
    bool nfc;
} pres[] = {{"gpt-2", "G", false},     {"gpt2", "G", false},       {"qwen2", "Q", true},
            {"dream", "Q", true},      {"bailingmoe", "B", false}, {"bailingmoe2", "B", false},
            {"llada-moe", "B", false}, {"llada", "B", false}};

static int bad(const gguf *g, int code, const char *key, const char *why, err *e) {
    return err_set(e, code, "%s: %s: %s", gguf_path(g), key, why);
}

static int no_memory(const gguf *g, err *e) {
    return err_set(e, ERR_NO_MEMORY, "%s: out of memory", gguf_path(g));
}

/* A value that is a text, copied; empty when there is none. */
static const char *text_of(const gguf *g, const char *key, char copy[NAME_BYTES]) {
    const gguf_value *v = gguf_find(g, key);
    bool is = v && v->kind == GGUF_TEXT && v->count < NAME_BYTES;
    if (is && v->count) memcpy(copy, v->text, (size_t)v->count);
    copy[is ? v->count : 0] = '\0';
    return copy;
}

/* A NUL-terminated copy in `room`, which grows. False for a NUL inside, or too long. */
static bool as_string(strbuf *room, const char *text, size_t len) {
    strbuf_clear(room);
    strbuf_add(room, text, len);
    return len <= TOKEN_MAX_BYTES && !room->failed && strlen(room->data) == len;
}

static int bad_text(const gguf *g, const strbuf *room, const char *key, const char *why, err *e) {
    return room->no_memory ? no_memory(g, e) : bad(g, ERR_BAD_FORMAT, key, why, e);
}

static int add_tokens(cJSON *vocab, cJSON *added, const gguf *g, strbuf *room, err *e) {
    const gguf_value *tokens = gguf_find(g, "tokenizer.ggml.tokens");
    const gguf_value *types = gguf_find(g, "tokenizer.ggml.token_type");
    gguf_cursor at = {0}, type_at = {0};
    const char *text;
    size_t len;
    if (types && (types->kind != GGUF_LIST || types->count != tokens->count))
        return bad(g, ERR_BAD_FORMAT, "tokenizer.ggml.token_type", "expected one number a token", e);
    for (int32_t id = 0; gguf_next_text(tokens, &at, &text, &len); id++) {
        double type = 1;
        if (types && !gguf_next_number(types, &type_at, &type))
            return bad(g, ERR_BAD_FORMAT, "tokenizer.ggml.token_type", "expected numbers", e);
        if (!as_string(room, text, len))
            return bad_text(g, room, "tokenizer.ggml.tokens", "a token is too long or holds a NUL", e);
        int kind = type >= 0 && type <= TYPE_BYTE ? (int)type : 0;
        bool control = kind == TYPE_CONTROL, apart = control || kind == TYPE_USER;
        cJSON *item = apart ? tokenizer_added(room->data, id, control, false) : cJSON_CreateNumber(id);
        bool kept =
            apart ? cJSON_AddItemToArray(added, item) : cJSON_AddItemToObject(vocab, room->data, item);
        if (!kept) {
            cJSON_Delete(item);
            return no_memory(g, e);
        }
    }
    return 0;
}

static int add_merges(cJSON *model, const gguf *g, strbuf *room, err *e) {
    const gguf_value *v = gguf_find(g, "tokenizer.ggml.merges");
    cJSON *merges = cJSON_AddArrayToObject(model, "merges");
    gguf_cursor at = {0};
    const char *text;
    size_t len;
    if (!v || v->kind != GGUF_LIST || (v->item != GGUF_TEXT && v->count))
        return bad(g, ERR_BAD_FORMAT, "tokenizer.ggml.merges", "missing, expected a list of texts", e);
    while (gguf_next_text(v, &at, &text, &len)) {
        if (!as_string(room, text, len))
            return bad_text(g, room, "tokenizer.ggml.merges", "a merge is too long or holds a NUL", e);
        cJSON *item = cJSON_CreateString(room->data);
        if (cJSON_AddItemToArray(merges, item)) continue;
        cJSON_Delete(item);
        return no_memory(g, e);
    }
    return 0;
}

static int add_pattern(cJSON *root, const gguf *g, err *e) {
    char room[NAME_BYTES];
    const char *pre = text_of(g, "tokenizer.ggml.pre", room);
    size_t i = 0, n = sizeof pres / sizeof *pres;
    while (i < n && strcmp(pre, pres[i].name)) i++;
    int rc = 0;
    if (i == n) {
        rc = err_set(
            e, ERR_UNSUPPORTED,
            "%s: tokenizer.ggml.pre: '%.40s' is not known (gpt-2, qwen2 and bailingmoe are); give the "
            "original files with --tokenizer DIR",
            gguf_path(g), pre);
    } else {
        bool ok = !pres[i].nfc || tokenizer_json_type(root, "normalizer", "NFC");
        const gguf_value *space = gguf_find(g, "tokenizer.ggml.add_space_prefix");
        bool prefix = space && space->kind == GGUF_BOOL && space->number > 0;
        ok = ok &&
             tokenizer_json_add(root, "pre_tokenizer", tokenizer_pre_tokenizer(pres[i].pattern, prefix)) &&
             tokenizer_json_type(root, "decoder", "ByteLevel");
        if (!ok) rc = no_memory(g, e);
    }
    return rc;
}

/* One end: its token in the template, and the token's id. */
static bool add_end(cJSON *single, cJSON *specials, const char *name, double id) {
    cJSON *item = cJSON_CreateObject(), *entry = cJSON_CreateObject();
    bool ok = cJSON_AddStringToObject(cJSON_AddObjectToObject(item, "SpecialToken"), "id", name);
    ok &= tokenizer_json_add(cJSON_AddArrayToObject(entry, "ids"), NULL, cJSON_CreateNumber(id));
    ok &= tokenizer_json_add(specials, name, entry);
    return tokenizer_json_add(single, NULL, item) && ok;
}

/* add_bos_token and add_eos_token as a template that puts them around a text; false when memory is short. */
static bool add_ends(cJSON *root, const gguf *g) {
    static const char *const asks[] = {"tokenizer.ggml.add_bos_token", "tokenizer.ggml.add_eos_token"};
    static const char *const ids[] = {"tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id"};
    cJSON *p = cJSON_AddObjectToObject(root, "post_processor");
    bool ok = cJSON_AddStringToObject(p, "type", "TemplateProcessing");
    cJSON *single = cJSON_AddArrayToObject(p, "single"),
          *specials = cJSON_AddObjectToObject(p, "special_tokens");
    for (int end = 0; end < 2; end++) {
        if (end) { /* the text stands between the two */
            cJSON *text = cJSON_CreateObject();
            ok &= cJSON_AddObjectToObject(text, "Sequence") != NULL;
            ok &= tokenizer_json_add(single, NULL, text);
        }
        const gguf_value *ask = gguf_find(g, asks[end]), *id = gguf_find(g, ids[end]);
        if (!ask || ask->kind != GGUF_BOOL || !(ask->number > 0) || !id || id->kind != GGUF_WHOLE) continue;
        ok &= add_end(single, specials, ids[end], id->number);
    }
    return ok && specials;
}

static int fill(cJSON *root, const gguf *g, err *e) {
    char name[NAME_BYTES];
    const char *kind = text_of(g, "tokenizer.ggml.model", name);
    bool known = !strcmp(kind, "gpt2");
    int rc =
        known ? 0
              : err_set(
                    e, ERR_UNSUPPORTED,
                    "%s: tokenizer.ggml.model: '%.40s' is not supported (gpt2, byte-level BPE, is); give the "
                    "original files with --tokenizer DIR",
                    gguf_path(g), kind);
    if (rc) return rc;
    strbuf room;
    strbuf_init(&room, TOKEN_MAX_BYTES + 1);
    cJSON *model = cJSON_AddObjectToObject(root, "model"),
          *added = cJSON_AddArrayToObject(root, "added_tokens");
    bool typed = cJSON_AddStringToObject(model, "type", "BPE");
    cJSON *vocab = cJSON_AddObjectToObject(model, "vocab");
    rc = vocab && added && typed ? add_tokens(vocab, added, g, &room, e) : no_memory(g, e);
    if (!rc) rc = add_merges(model, g, &room, e);
    if (!rc) rc = add_pattern(root, g, e);
    if (!rc && !add_ends(root, g)) rc = no_memory(g, e);
    strbuf_release(&room);
    return rc;
}

int tokenizer_from_gguf(cJSON **out, const gguf *g, err *e) {
    *out = NULL;
    const gguf_value *tokens = gguf_find(g, "tokenizer.ggml.tokens");
    if (!tokens || tokens->kind != GGUF_LIST || tokens->item != GGUF_TEXT || tokens->count > TOKENIZER_MAX_ID)
        return err_set(e, ERR_NOT_FOUND, "%s: has no tokenizer", gguf_path(g));
    *out = cJSON_CreateObject();
    int rc = *out ? fill(*out, g, e) : no_memory(g, e);
    if (!rc) return 0;
    cJSON_Delete(*out);
    *out = NULL;
    return rc;
}
