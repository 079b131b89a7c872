/* build.c - tokenizer.json into a tokenizer: what is not understood is refused by name, never guessed.
 *
 * cJSON does the syntax. Everything after it is hostile until checked: ids are bounded and unique, merges
 * must name tokens, and a file that relies on a feature we lack is an error rather than a wrong encoding.
 */
#include <cjson/cJSON.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/tokenizer/impl.h"

typedef struct loader {
    tokenizer *t;
    err *e;
} loader;

/* Reading JSON -------------------------------------------------------- */

static int bad(loader *l, const char *key, const char *what) {
    return err_set(l->e, ERR_BAD_FORMAT, "%s: %s: %s", l->t->path, key, what);
}

static int no_memory(loader *l) {
    return err_set(l->e, ERR_NO_MEMORY, "%s: out of memory", l->t->path);
}

static int unsupported(loader *l, const char *key, const char *value) {
    return err_set(l->e, ERR_UNSUPPORTED, "%s: %s: '%.60s' is not supported", l->t->path, key,
                   value ? value : "(no type)");
}

/* NULL for a missing key and for null. */
static const cJSON *get(const cJSON *o, const char *key) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(o, key);
    return item && !cJSON_IsNull(item) ? item : NULL;
}

static const char *get_string(const cJSON *o, const char *key) {
    return cJSON_GetStringValue(get(o, key));
}

static bool get_bool(const cJSON *o, const char *key, bool otherwise) {
    const cJSON *item = get(o, key);
    return item ? cJSON_IsTrue(item) : otherwise;
}

static bool is_type(const cJSON *o, const char *type) {
    const char *s = get_string(o, "type");
    return s && !strcmp(s, type);
}

static bool get_id(const cJSON *item, int32_t *id) {
    if (!cJSON_IsNumber(item)) return false;
    double v = item->valuedouble;
    if (!(v >= 0.0 && v <= TOKENIZER_MAX_ID) || floor(v) < v) return false;
    *id = (int32_t)v;
    return true;
}

static char *keep(loader *l, const char *s, size_t n) {
    char *copy = arena_new(&l->t->mem, n + 1, 1);
    if (copy && n) memcpy(copy, s, n);
    return copy;
}

/* Decoder (read first: it says what token texts mean) ------------------ */

/* `Fuse` and null join the texts; `ByteLevel` maps them back to bytes. */
static int read_decoder(loader *l, const cJSON *d, bool *bytes) {
    if (!d || is_type(d, "Fuse")) return 0;
    if (is_type(d, "ByteLevel")) {
        *bytes = true;
        return 0;
    }
    if (!is_type(d, "Sequence")) return unsupported(l, "decoder", get_string(d, "type"));
    const cJSON *item;
    cJSON_ArrayForEach(item, get(d, "decoders")) {
        if (is_type(item, "Sequence")) return unsupported(l, "decoder", "a sequence inside a sequence");
        int rc = read_decoder(l, item, bytes);
        if (rc) return rc;
    }
    return 0;
}

/* Tokens -------------------------------------------------------------- */

static int highest_id(loader *l, const cJSON *vocab, const cJSON *added, int *n_vocab, int32_t *highest) {
    const cJSON *item;
    *highest = -1;
    *n_vocab = 0;
    cJSON_ArrayForEach(item, vocab) {
        int32_t id;
        if (!get_id(item, &id)) {
            return err_set(l->e, ERR_BAD_FORMAT,
                           "%s: model.vocab: the id of '%.40s' is not a whole number from 0 to %d",
                           l->t->path, item->string, TOKENIZER_MAX_ID);
        }
        if (id > *highest) *highest = id;
        ++*n_vocab;
    }
    cJSON_ArrayForEach(item, added) {
        int32_t id;
        if (!get_id(get(item, "id"), &id) || !get_string(item, "content")) {
            return bad(l, "added_tokens", "an entry lacks content or an id in range");
        }
        if (id > *highest) *highest = id;
        if (++l->t->n_added > TOKENIZER_MAX_ADDED) return bad(l, "added_tokens", "too many entries");
    }
    return 0;
}

static int add_token(loader *l, const char *text, int32_t id, bool bytes) {
    tokenizer *t = l->t;
    size_t len = strlen(text);
    char *key = keep(l, text, len);
    char *plain = bytes ? keep(l, text, len) : key;
    if (!key || !plain) return no_memory(l);
    if (t->tokens[id].text) {
        return err_set(l->e, ERR_BAD_FORMAT, "%s: model.vocab: id %d is given to '%.40s' and another token",
                       t->path, (int)id, text);
    }
    if (!vocab_map_add(&t->vocab, key, len, id)) {
        return err_set(l->e, ERR_BAD_FORMAT, "%s: model.vocab: token '%.40s' appears twice", t->path, text);
    }
    size_t plain_len = len;
    if (bytes && !chars_to_bytes(text, len, plain, &plain_len)) memcpy(plain, text, plain_len = len);
    t->tokens[id] = (token_entry){.text = plain, .len = (uint32_t)plain_len};
    return 0;
}

static int read_vocab(loader *l, const cJSON *vocab, const cJSON *added, bool bytes) {
    int n_vocab;
    int32_t highest;
    int rc = highest_id(l, vocab, added, &n_vocab, &highest);
    if (rc) return rc;
    if (highest < 0) return bad(l, "model.vocab", "no tokens");
    tokenizer *t = l->t;
    t->n_tokens = highest + 1;
    t->tokens = mem_new((size_t)t->n_tokens, sizeof *t->tokens);
    if (!t->tokens || vocab_map_init(&t->vocab, (size_t)n_vocab)) return no_memory(l);
    const cJSON *item;
    cJSON_ArrayForEach(item, vocab) {
        int32_t id = 0;
        rc = get_id(item, &id) ? add_token(l, item->string, id, bytes) : bad(l, "model.vocab", "bad id");
        if (rc) return rc;
    }
    for (int b = 0; b < 256; b++) {
        char text[2];
        int len = byte_to_char((unsigned char)b, text);
        t->byte_ids[b] = vocab_map_find(&t->vocab, text, (size_t)len);
    }
    return 0;
}

/* The two halves of a merge: "left right" or ["left", "right"]. */
static bool merge_halves(const cJSON *item, const char **left, size_t *n_left, const char **right) {
    if (cJSON_IsString(item)) {
        const char *space = strchr(item->valuestring, ' ');
        if (!space || strchr(space + 1, ' ')) return false;
        *left = item->valuestring;
        *n_left = (size_t)(space - *left);
        *right = space + 1;
        return true;
    }
    if (!cJSON_IsArray(item) || cJSON_GetArraySize(item) != 2) return false;
    *left = cJSON_GetStringValue(item->child);
    *right = cJSON_GetStringValue(item->child->next);
    if (!*left || !*right) return false;
    *n_left = strlen(*left);
    return true;
}

static int add_merge(loader *l, const cJSON *item, int32_t rank) {
    const char *left, *right;
    size_t n_left;
    char at[40];
    snprintf(at, sizeof at, "model.merges[%d]", (int)rank);
    if (!merge_halves(item, &left, &n_left, &right))
        return bad(l, at, "expected \"left right\" or [\"left\", \"right\"]");
    tokenizer *t = l->t;
    size_t n_right = strlen(right);
    char *joined = mem_new(n_left + n_right, 1);
    if (!joined) return no_memory(l);
    memcpy(joined, left, n_left);
    memcpy(joined + n_left, right, n_right); /* NOLINT(bugprone-not-null-terminated-result): counted */
    merge_slot m = {.left = vocab_map_find(&t->vocab, left, n_left),
                    .right = vocab_map_find(&t->vocab, right, n_right),
                    .rank = rank,
                    .merged = vocab_map_find(&t->vocab, joined, n_left + n_right)};
    free(joined);
    if (m.left < 0 || m.right < 0 || m.merged < 0) {
        return err_set(l->e, ERR_BAD_FORMAT, "%s: %s: '%.*s' + '%.40s' names a token that model.vocab lacks",
                       t->path, at, (int)(n_left < 40 ? n_left : 40), left, right);
    }
    merge_map_set(&t->merges, m);
    return 0;
}

static int read_merges(loader *l, const cJSON *merges) {
    if (merges && !cJSON_IsArray(merges)) return bad(l, "model.merges", "expected a list");
    int n = merges ? cJSON_GetArraySize(merges) : 0;
    if (merge_map_init(&l->t->merges, (size_t)n)) return no_memory(l);
    const cJSON *item;
    int32_t rank = 0;
    cJSON_ArrayForEach(item, merges) {
        int rc = add_merge(l, item, rank++);
        if (rc) return rc;
    }
    return 0;
}

/* Options of the model that would change the encoding and that we lack. */
static int check_model(loader *l, const cJSON *m) {
    static const char *const affixes[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    const char *type = get_string(m, "type");
    if (!type || strcmp(type, "BPE")) return unsupported(l, "model.type", type);
    if (!cJSON_IsObject(get(m, "vocab"))) return bad(l, "model.vocab", "missing, expected an object");
    if (get_bool(m, "byte_fallback", false)) return unsupported(l, "model.byte_fallback", "true");
    const cJSON *dropout = get(m, "dropout");
    if (dropout && !(cJSON_IsNumber(dropout) && dropout->valuedouble <= 0.0)) {
        return unsupported(l, "model.dropout", "a random encoding");
    }
    for (size_t i = 0; i < sizeof affixes / sizeof affixes[0]; i++) {
        const char *s = get_string(m, affixes[i]);
        if (s && *s) return unsupported(l, affixes[i], s);
    }
    return 0;
}

static int read_unknown(loader *l, const cJSON *m) {
    tokenizer *t = l->t;
    const char *unk = get_string(m, "unk_token");
    t->unk_id = unk ? vocab_map_find(&t->vocab, unk, strlen(unk)) : -1;
    t->fuse_unk = get_bool(m, "fuse_unk", false);
    t->ignore_merges = get_bool(m, "ignore_merges", false);
    if (unk && t->unk_id < 0) return bad(l, "model.unk_token", "not in model.vocab");
    return 0;
}

/* Added tokens -------------------------------------------------------- */

static int by_first_byte_then_longest(const void *pa, const void *pb) {
    const added_token *a = pa, *b = pb;
    int first = (unsigned char)a->text[0] - (unsigned char)b->text[0];
    if (first) return first;
    if (a->len != b->len) return a->len > b->len ? -1 : 1;
    return (a->id > b->id) - (a->id < b->id);
}

/* A token that is matched in normalised text is normalised itself. */
static int normalise_content(loader *l, const char **text, size_t *len) {
    char *nfc = NULL;
    err ignored = {0};
    if (text_nfc(*text, *len, &nfc, len, &ignored))
        return bad(l, "added_tokens", "content is not valid UTF-8");
    *text = keep(l, nfc ? nfc : "", *len);
    free(nfc);
    return *text ? 0 : no_memory(l);
}

static int add_added(loader *l, const cJSON *item, added_token *out) {
    tokenizer *t = l->t;
    const char *content = get_string(item, "content");
    int32_t id = 0;
    if (!content || !get_id(get(item, "id"), &id)) return bad(l, "added_tokens", "bad entry");
    size_t len = strlen(content);
    int32_t known = vocab_map_find(&t->vocab, content, len);
    if (known >= 0 && known != id) {
        return err_set(l->e, ERR_BAD_FORMAT, "%s: added_tokens: '%.40s' has id %d here and %d in model.vocab",
                       t->path, content, (int)id, (int)known);
    }
    const char *text = keep(l, content, len);
    if (!text) return no_memory(l);
    t->tokens[id] =
        (token_entry){.text = text, .len = (uint32_t)len, .special = get_bool(item, "special", false)};
    *out = (added_token){.text = text,
                         .len = len,
                         .id = id,
                         .single_word = get_bool(item, "single_word", false),
                         .lstrip = get_bool(item, "lstrip", false),
                         .rstrip = get_bool(item, "rstrip", false),
                         .normalized = get_bool(item, "normalized", !t->tokens[id].special)};
    return out->normalized && t->nfc ? normalise_content(l, &out->text, &out->len) : 0;
}

static int read_added(loader *l, const cJSON *added) {
    tokenizer *t = l->t;
    int n = 0;
    t->added = mem_new((size_t)t->n_added, sizeof *t->added);
    if (!t->added) return no_memory(l);
    const cJSON *item;
    cJSON_ArrayForEach(item, added) {
        int rc = add_added(l, item, &t->added[n]);
        if (rc) return rc;
        if (t->added[n].len) n++; /* an empty text never matches */
    }
    t->n_added = n;
    qsort(t->added, (size_t)n, sizeof *t->added, by_first_byte_then_longest);
    for (int b = 0, i = 0; b <= 256; b++) {
        while (i < n && (unsigned char)t->added[i].text[0] < b) i++;
        t->added_from[b] = i;
    }
    return 0;
}

/* Normaliser and pre-tokenizer ----------------------------------------- */

static int read_normalizer(loader *l, const cJSON *n, int depth) {
    if (!n) return 0;
    if (is_type(n, "NFC")) {
        l->t->nfc = true;
        return 0;
    }
    if (!is_type(n, "Sequence") || depth > 4) return unsupported(l, "normalizer", get_string(n, "type"));
    const cJSON *item;
    cJSON_ArrayForEach(item, get(n, "normalizers")) {
        int rc = read_normalizer(l, item, depth + 1);
        if (rc) return rc;
    }
    return 0;
}

static int read_split(loader *l, const cJSON *p, split_step *s) {
    static const char *const names[] = {"Isolated", "Removed", "Contiguous", "MergedWithPrevious",
                                        "MergedWithNext"};
    const char *behavior = get_string(p, "behavior");
    int k = 0;
    while (k < 5 && (!behavior || strcmp(behavior, names[k]))) k++;
    if (k == 5) return unsupported(l, "pre_tokenizer: Split: behavior", behavior);
    s->splits = true;
    s->behavior = (split_behavior)k;
    s->invert = get_bool(p, "invert", false);
    const cJSON *pattern = get(p, "pattern");
    const char *regex = get_string(pattern, "Regex"), *literal = get_string(pattern, "String");
    if (regex) {
        s->kind = SPLIT_REGEX;
        int rc = split_compile(s, regex, l->e);
        return rc ? err_prefix(l->e, "%s: pre_tokenizer", l->t->path) : 0;
    }
    if (!literal || !*literal)
        return bad(l, "pre_tokenizer: Split", "expected a pattern {\"Regex\": ..} or {\"String\": ..}");
    s->kind = SPLIT_LITERAL;
    s->literal_len = strlen(literal);
    s->literal = keep(l, literal, s->literal_len);
    return s->literal ? 0 : no_memory(l);
}

static int read_byte_level(loader *l, const cJSON *p, split_step *s) {
    s->prefix_space = get_bool(p, "add_prefix_space", true);
    l->t->byte_level = true;
    if (!get_bool(p, "use_regex", true)) return 0;
    s->splits = true;
    return split_compile(s, gpt2_pattern, l->e);
}

static int read_pre_tokenizer(loader *l, const cJSON *p, int depth) {
    tokenizer *t = l->t;
    if (!p) return 0;
    if (is_type(p, "Sequence") && depth < 4) {
        const cJSON *item;
        cJSON_ArrayForEach(item, get(p, "pretokenizers")) {
            int rc = read_pre_tokenizer(l, item, depth + 1);
            if (rc) return rc;
        }
        return 0;
    }
    if (t->byte_level) return unsupported(l, "pre_tokenizer", "a step after ByteLevel");
    if (t->n_steps == TOKENIZER_MAX_STEPS) return bad(l, "pre_tokenizer", "too many steps");
    split_step *s = &t->steps[t->n_steps++];
    if (is_type(p, "ByteLevel")) return read_byte_level(l, p, s);
    if (is_type(p, "Split")) return read_split(l, p, s);
    if (is_type(p, "Digits")) {
        *s = (split_step){.splits = true,
                          .kind = SPLIT_DIGITS,
                          .behavior =
                              get_bool(p, "individual_digits", false) ? SPLIT_ISOLATED : SPLIT_CONTIGUOUS};
        return 0;
    }
    return unsupported(l, "pre_tokenizer", get_string(p, "type"));
}

/* Post-processor ------------------------------------------------------- */

static int append_ids(loader *l, int32_t **list, int *n, const cJSON *ids) {
    int more = cJSON_GetArraySize(ids);
    if (more > 64 || *n + more > 64) return bad(l, "post_processor", "more than 64 special tokens");
    int32_t *grown = mem_new((size_t)*n + (size_t)more, sizeof *grown);
    if (!grown) return no_memory(l);
    if (*n) memcpy(grown, *list, (size_t)*n * sizeof *grown);
    free(*list);
    *list = grown;
    const cJSON *item;
    cJSON_ArrayForEach(item, ids) {
        int32_t id;
        if (!get_id(item, &id) || id >= l->t->n_tokens)
            return bad(l, "post_processor", "a token id is out of range");
        (*list)[(*n)++] = id;
    }
    return 0;
}

/* The `single` template: special tokens, the text ("A") once, special tokens. */
static int read_template(loader *l, const cJSON *p) {
    tokenizer *t = l->t;
    const cJSON *item, *specials = get(p, "special_tokens");
    bool seen_text = false;
    cJSON_ArrayForEach(item, get(p, "single")) {
        const char *name = get_string(get(item, "SpecialToken"), "id");
        if (get(item, "Sequence")) {
            if (seen_text) return bad(l, "post_processor: single", "the text appears twice");
            seen_text = true;
            continue;
        }
        const cJSON *ids = name ? get(get(specials, name), "ids") : NULL;
        if (!cJSON_IsArray(ids)) return bad(l, "post_processor: single", "a special token without ids");
        int rc = seen_text ? append_ids(l, &t->suffix, &t->n_suffix, ids)
                           : append_ids(l, &t->prefix, &t->n_prefix, ids);
        if (rc) return rc;
    }
    return seen_text ? 0 : bad(l, "post_processor: single", "the text is missing");
}

static int read_post_processor(loader *l, const cJSON *p, int depth) {
    if (!p || is_type(p, "ByteLevel")) return 0; /* ByteLevel only trims offsets */
    if (is_type(p, "TemplateProcessing")) return read_template(l, p);
    if (!is_type(p, "Sequence") || depth > 4) return unsupported(l, "post_processor", get_string(p, "type"));
    const cJSON *item;
    cJSON_ArrayForEach(item, get(p, "processors")) {
        int rc = read_post_processor(l, item, depth + 1);
        if (rc) return rc;
    }
    return 0;
}

/* The whole file ------------------------------------------------------- */

int tokenizer_build(tokenizer *t, const cJSON *root, err *e) {
    loader it = {t, e}, *l = &it;
    const cJSON *m = get(root, "model"), *added = get(root, "added_tokens");
    bool bytes = false;
    if (!cJSON_IsObject(root)) return err_set(l->e, ERR_BAD_FORMAT, "%s: not a JSON object", l->t->path);
    if (!cJSON_IsObject(m)) return bad(l, "model", "missing");
    int rc = check_model(l, m);
    if (!rc) rc = read_normalizer(l, get(root, "normalizer"), 0);
    if (!rc) rc = read_pre_tokenizer(l, get(root, "pre_tokenizer"), 0);
    if (!rc) rc = read_decoder(l, get(root, "decoder"), &bytes);
    if (!rc) rc = read_vocab(l, get(m, "vocab"), added, bytes);
    if (!rc) rc = read_merges(l, get(m, "merges"));
    if (!rc) rc = read_unknown(l, m);
    if (!rc) rc = read_added(l, added);
    if (!rc) rc = read_post_processor(l, get(root, "post_processor"), 0);
    return rc;
}

void tokenizer_close(tokenizer *t) {
    if (!t) return;
    for (int i = 0; i < t->n_steps; i++) split_release(&t->steps[i]);
    free(t->path);
    free(t->chat);
    free(t->tokens);
    free(t->vocab.slots);
    free(t->merges.slots);
    free(t->added);
    free(t->prefix);
    free(t->suffix);
    arena_release(&t->mem);
    free(t);
}
