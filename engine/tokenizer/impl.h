/* impl.h - what the tokenizer's files share; private to engine/tokenizer/.
 *
 *     open.c   which files there are
 *     from_merges.c, from_gguf.c  other forms of a tokenizer in the form of tokenizer.json
 *     build.c  tokenizer.json -> struct tokenizer
 *     vocab.c  text -> id and (left, right) -> merge, both open addressing
 *     bytes.c  the byte-level alphabet and questions about characters
 *     split.c  a text into pre-tokens
 *     bpe.c    a pre-token into ids
 *     encode.c encode and decode
 */
#ifndef TABES_TOKENIZER_IMPL_H
#define TABES_TOKENIZER_IMPL_H

#include "engine/base/arena.h"
#include "engine/tokenizer.h"

struct pcre2_real_code_8;
struct cJSON;
struct gguf;

/* Reading files ------------------------------------------------------------ */

/* What the rest of the tokenizer is made from; *t has its path and is otherwise zero. */
int tokenizer_build(tokenizer *t, const struct cJSON *root, err *e) MUST_CHECK;

/* DIR/NAME as JSON; ERR_NOT_FOUND when it is not there. *path, if wanted, is malloc'd. */
int tokenizer_read_json(struct cJSON **out, char **path, const char *dir, const char *name,
                        err *e) MUST_CHECK;
/* DIR/NAME as text, likewise. */
int tokenizer_read_text(strbuf *out, char **path, const char *dir, const char *name, err *e) MUST_CHECK;

/* DIR/vocab.json and merges.txt (with added_tokens.json, and tokenizer_config.json as `settings` or NULL) in
 * the form of tokenizer.json. */
int tokenizer_from_merges(struct cJSON **out, const char *dir, const struct cJSON *settings,
                          err *e) MUST_CHECK;
/* A GGUF file's tokenizer.ggml.* in that form; ERR_NOT_FOUND when it has none. */
int tokenizer_from_gguf(struct cJSON **out, const struct gguf *g, err *e) MUST_CHECK;

/* Pieces of that form. `pattern` is "G", "Q" or "B" (docs/formats.md); NULL when memory is short. */
struct cJSON *tokenizer_pre_tokenizer(const char *pattern, bool prefix_space);
/* Puts `item` (taken) into an object, or with key NULL into an array, and {"type": type} into an object;
 * false when memory is short, also when it was for one of the arguments. */
bool tokenizer_json_add(struct cJSON *to, const char *key, struct cJSON *item);
bool tokenizer_json_type(struct cJSON *to, const char *key, const char *type);
struct cJSON *tokenizer_added(const char *text, int32_t id, bool special, bool normalized);

/* Ids up to this are accepted; the largest published vocabularies have about 260 thousand. */
enum { TOKENIZER_MAX_ID = 1 << 22, TOKENIZER_MAX_ADDED = 1 << 16, TOKENIZER_MAX_STEPS = 16 };

/* Vocabulary -------------------------------------------------------------- */

/* Token text as in the file -> id. Keys are borrowed from the tokenizer's arena. */
typedef struct vocab_slot {
    const char *text; /* NULL: empty */
    uint32_t len;
    int32_t id;
} vocab_slot;

typedef struct vocab_map {
    vocab_slot *slots;
    size_t cap, n; /* cap is a power of two, at least 2n */
} vocab_map;

int vocab_map_init(vocab_map *m, size_t n_expected);
/* false when the text is there already. */
bool vocab_map_add(vocab_map *m, const char *text, size_t len, int32_t id);
int32_t vocab_map_find(const vocab_map *m, const char *text, size_t len); /* -1: absent */

/* (left, right) -> rank and the merged token. */
typedef struct merge_slot {
    int32_t left, right; /* left -1: empty */
    int32_t rank, merged;
} merge_slot;

typedef struct merge_map {
    merge_slot *slots;
    size_t cap;
} merge_map;

int merge_map_init(merge_map *m, size_t n_expected);
void merge_map_set(merge_map *m, merge_slot s); /* a later rank replaces an earlier one */
const merge_slot *merge_map_find(const merge_map *m, int32_t left, int32_t right);

/* Bytes and characters ---------------------------------------------------- */

/* GPT-2's alphabet: every byte as a printable character. Returns its length in UTF-8 (1 or 2). */
int byte_to_char(unsigned char byte, char out[2]);
/* Token text back to bytes, at most len of them; false when a character is not in the alphabet. */
bool chars_to_bytes(const char *text, size_t len, char *out, size_t *out_len);

/* Length of the character at s (n bytes left), or 0 when it is not valid UTF-8; *cp gets its code point. */
size_t utf8_char(const char *s, size_t n, int32_t *cp);
/* Start of the character that ends at s[at]. at > 0, the text is valid. */
size_t utf8_before(const char *s, size_t at);
bool char_is_space(int32_t cp);
bool char_is_word(int32_t cp);
bool char_is_number(int32_t cp);

/* Pre-tokens -------------------------------------------------------------- */

typedef struct piece {
    const char *s;
    size_t n;
} piece;

typedef struct piece_list {
    piece *v;
    size_t n, cap;
} piece_list;

typedef enum split_behavior {
    SPLIT_ISOLATED,
    SPLIT_REMOVED,
    SPLIT_CONTIGUOUS,
    SPLIT_MERGED_WITH_PREVIOUS,
    SPLIT_MERGED_WITH_NEXT
} split_behavior;

typedef enum split_kind { SPLIT_REGEX, SPLIT_LITERAL, SPLIT_DIGITS } split_kind;

/* One step of the pre-tokenizer: perhaps a space in front, then perhaps a split. */
typedef struct split_step {
    bool prefix_space;
    bool splits;
    split_kind kind;
    split_behavior behavior;
    bool invert;
    struct pcre2_real_code_8 *code; /* SPLIT_REGEX */
    const char *literal;            /* SPLIT_LITERAL */
    size_t literal_len;
} split_step;

extern const char gpt2_pattern[];

/* Compiles a pattern of the kind that tokenizer files hold. */
int split_compile(split_step *s, const char *pattern, err *e) MUST_CHECK;
void split_release(split_step *s);
/* Appends the pre-tokens of valid UTF-8 to `out`; they point into s or into mem. */
int pre_tokenize(const split_step *steps, int n_steps, const char *s, size_t n, arena *mem, piece_list *out,
                 err *e) MUST_CHECK;

/* The tokenizer ----------------------------------------------------------- */

typedef struct token_entry {
    const char *text; /* bytes that the token stands for; NULL: no such id */
    uint32_t len;
    bool special;
} token_entry;

typedef struct added_token {
    const char *text;
    size_t len;
    int32_t id;
    bool single_word, lstrip, rstrip, normalized;
} added_token;

struct tokenizer {
    arena mem;
    char *path;
    token_entry *tokens; /* [n_tokens] */
    int n_tokens;

    vocab_map vocab;
    merge_map merges;
    int32_t byte_ids[256]; /* byte-level: the token of one byte, or -1 */
    int32_t unk_id;        /* -1: none */
    bool fuse_unk, ignore_merges;
    bool byte_level; /* pre-tokens are mapped to the byte alphabet */
    bool nfc;

    added_token *added; /* by first byte, then longest first */
    int n_added;
    int added_from[257]; /* added[added_from[b] .. added_from[b+1]) start with byte b */

    split_step steps[TOKENIZER_MAX_STEPS];
    int n_steps;

    int32_t *prefix, *suffix; /* what the post-processor puts around a text */
    int n_prefix, n_suffix;

    const char *source; /* "tokenizer.json", ... */
    int32_t mask_id;    /* of the mask token that the settings name, or -1 */
    char *chat;         /* chat template as the files have it, or NULL */
};

/* Scratch memory of the merging, reused from one pre-token to the next. Zeroed storage is valid. */
typedef struct bpe_symbol {
    int32_t id;
    int prev, next; /* -1 at the ends; a symbol that was merged away has id -1 */
} bpe_symbol;

typedef struct bpe_candidate {
    int32_t rank;
    int at; /* the left symbol */
    int32_t left, right;
} bpe_candidate;

typedef struct bpe_scratch {
    bpe_symbol *symbols;
    size_t n_symbols, cap_symbols;
    bpe_candidate *heap;
    size_t n_heap, cap_heap;
    strbuf mapped;
} bpe_scratch;

typedef struct id_list {
    int32_t *v;
    size_t n, cap;
} id_list;

void bpe_release(bpe_scratch *b);
/* Appends the ids of one pre-token. When the vocabulary lacks a byte or character, ERR_BAD_ARGUMENT and *bad
 * is its offset in the piece. */
int bpe_encode(const tokenizer *t, bpe_scratch *b, piece p, id_list *out, size_t *bad, err *e) MUST_CHECK;
bool id_list_add(id_list *l, int32_t id);

/* The text in NFC, malloc'd; NULL for none. */
int text_nfc(const char *s, size_t n, char **out, size_t *len, err *e) MUST_CHECK;

#endif
