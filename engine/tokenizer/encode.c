/* encode.c - text to ids and back.
 *
 * The order of encoding: added tokens that are matched in raw text, normalisation of what lies between, added
 * tokens that are matched in normalised text, pre-tokens, merging. `<mask>` joins the first kind. The text
 * must be valid UTF-8, as the reference library demands; anything else is refused with its byte offset.
 */
#include "engine/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "engine/tokenizer/impl.h"

/* <mask>, or <mask:N> for N of them. */
static const char mask_word[] = "<mask";
enum { MASK_WORD_LEN = (int)sizeof mask_word - 1, MASK_DIGITS = 6, MAX_REPEATS = 1 << 20 };

/* One call of tokenizer_encode. */
typedef struct encoder {
    const tokenizer *t;
    int32_t mask_id;
    id_list ids;
    int repeats; /* ids that stand for no text of their own: those of <mask:N> */
    bpe_scratch bpe;
    err *e;
} encoder;

/* A run of plain text; `offset` is where it starts in what the caller gave. */
typedef struct span {
    const char *s;
    size_t n, offset;
    bool moved; /* offsets inside no longer match the caller's text */
} span;

static int no_memory(encoder *c) {
    return err_set(c->e, ERR_NO_MEMORY, "out of memory while encoding text");
}

static int where(encoder *c, const span *at, size_t inside) {
    if (at->moved) return err_prefix(c->e, "text from byte %zu", at->offset);
    return err_prefix(c->e, "byte %zu", at->offset + inside);
}

/* Plain text ---------------------------------------------------------- */

static int encode_plain(encoder *c, span at) {
    arena mem = {0};
    piece_list pieces = {0};
    int rc = pre_tokenize(c->t->steps, c->t->n_steps, at.s, at.n, &mem, &pieces, c->e);
    for (size_t i = 0; !rc && i < pieces.n; i++) {
        size_t wrong = 0;
        piece p = pieces.v[i];
        rc = bpe_encode(c->t, &c->bpe, p, &c->ids, &wrong, c->e);
        if (!rc || rc == ERR_NO_MEMORY) continue;
        bool inside = p.s >= at.s && p.s + wrong <= at.s + at.n;
        where(c, &at, inside ? (size_t)(p.s - at.s) + wrong : 0);
    }
    free(pieces.v);
    arena_release(&mem);
    return rc;
}

/* Added tokens -------------------------------------------------------- */

typedef struct hit {
    size_t from, to;
    int32_t id;
    int times;
} hit;

/* Length of the mask marker at s, or 0; *times is how many masks it stands for. */
static size_t mask_marker(const char *s, size_t left, int *times) {
    if (left <= MASK_WORD_LEN || memcmp(s, mask_word, MASK_WORD_LEN)) return 0;
    size_t at = MASK_WORD_LEN, digits = 0;
    *times = 1;
    if (s[at] == ':') {
        for (*times = 0, at++; at < left && digits <= MASK_DIGITS && s[at] >= '0' && s[at] <= '9';
             at++, digits++)
            *times = 10 * *times + (s[at] - '0');
        if (!digits || digits > MASK_DIGITS) return 0;
    }
    return at < left && s[at] == '>' ? at + 1 : 0;
}

static bool is_single_word(const span *at, size_t from, size_t to) {
    int32_t cp;
    if (from) {
        size_t start = utf8_before(at->s, from);
        if (utf8_char(at->s + start, from - start, &cp) && char_is_word(cp)) return false;
    }
    return to == at->n || !utf8_char(at->s + to, at->n - to, &cp) || !char_is_word(cp);
}

/* Widens a hit over white space as lstrip and rstrip ask, not below `from`. */
static void strip_spaces(const span *at, const added_token *a, size_t from, hit *h) {
    int32_t cp;
    while (a->lstrip && h->from > from) {
        size_t start = utf8_before(at->s, h->from);
        if (!utf8_char(at->s + start, h->from - start, &cp) || !char_is_space(cp)) break;
        h->from = start;
    }
    while (a->rstrip && h->to < at->n) {
        size_t len = utf8_char(at->s + h->to, at->n - h->to, &cp);
        if (!len || !char_is_space(cp)) break;
        h->to += len;
    }
}

/* The longest added token at s[i]; a later hit starts at or after `from`. */
static bool hit_at(const encoder *c, const span *at, bool normalized, size_t from, size_t i, hit *h) {
    const char *s = at->s + i;
    size_t left = at->n - i;
    int times = 1;
    size_t mask = !normalized && c->mask_id >= 0 ? mask_marker(s, left, &times) : 0;
    unsigned char first = (unsigned char)s[0];
    for (int k = c->t->added_from[first]; k < c->t->added_from[first + 1]; k++) {
        const added_token *a = &c->t->added[k];
        if (a->normalized != normalized || a->len > left || memcmp(s, a->text, a->len)) continue;
        if (mask && a->len <= mask) break;
        *h = (hit){i, i + a->len, a->id, 1};
        if (a->single_word && !is_single_word(at, h->from, h->to)) return false;
        strip_spaces(at, a, from, h);
        return true;
    }
    if (mask) *h = (hit){i, i + mask, c->mask_id, times};
    return mask > 0;
}

typedef int (*span_fn)(encoder *c, span at);

/* A few bytes may stand for many ids, but a short text not for all memory. */
static int add_times(encoder *c, const hit *h) {
    c->repeats += h->times > 1 ? h->times : 0;
    if (c->repeats > MAX_REPEATS)
        return err_set(c->e, ERR_BAD_ARGUMENT, "<mask:N> stands for more than %d tokens", MAX_REPEATS);
    for (int k = 0; k < h->times; k++) {
        if (!id_list_add(&c->ids, h->id)) return no_memory(c);
    }
    return 0;
}

/* Emits the added tokens of one kind and hands what lies between to `next`. */
static int split_added(encoder *c, span at, bool normalized, span_fn next) {
    size_t from = 0;
    for (size_t i = 0; i < at.n;) {
        hit h;
        if (!hit_at(c, &at, normalized, from, i, &h)) {
            i++;
            continue;
        }
        span before = {at.s + from, h.from - from, at.offset + (at.moved ? 0 : from), at.moved};
        int rc = before.n ? next(c, before) : 0;
        if (rc) return rc;
        if ((rc = add_times(c, &h)) != 0) return rc;
        from = i = h.to;
    }
    span rest = {at.s + from, at.n - from, at.offset + (at.moved ? 0 : from), at.moved};
    return rest.n ? next(c, rest) : 0;
}

static int encode_normalised(encoder *c, span at) {
    return split_added(c, at, true, encode_plain);
}

static int normalise(encoder *c, span at) {
    if (!c->t->nfc) return encode_normalised(c, at);
    char *nfc = NULL;
    size_t n = 0;
    if (text_nfc(at.s, at.n, &nfc, &n, c->e)) return where(c, &at, 0);
    bool moved = at.moved || n != at.n || memcmp(nfc, at.s, at.n) != 0;
    int rc = encode_normalised(c, (span){nfc, n, at.offset, moved});
    free(nfc);
    return rc;
}

static int check_utf8(const char *text, size_t n, err *e) {
    for (size_t i = 0; i < n;) {
        int32_t cp;
        size_t step = utf8_char(text + i, n - i, &cp);
        if (!step) {
            return err_set(e, ERR_BAD_ARGUMENT, "byte %zu: 0x%02X is not valid UTF-8 here", i,
                           (unsigned char)text[i]);
        }
        i += step;
    }
    return 0;
}

static int add_all(encoder *c, const int32_t *ids, int n) {
    for (int i = 0; i < n; i++) {
        if (!id_list_add(&c->ids, ids[i])) return no_memory(c);
    }
    return 0;
}

int tokenizer_encode(const tokenizer *t, const char *text, size_t n, int32_t mask_id, bool special,
                     int32_t **ids, int *n_ids, err *e) {
    *ids = NULL;
    *n_ids = 0;
    if (n > INT32_MAX / 2) return err_set(e, ERR_BAD_ARGUMENT, "text of %zu bytes is too long", n);
    int rc = check_utf8(text, n, e);
    if (rc) return rc;
    encoder c = {.t = t, .mask_id = mask_id, .e = e};
    if (special) rc = add_all(&c, t->prefix, t->n_prefix);
    if (!rc) rc = split_added(&c, (span){text, n, 0, false}, false, normalise);
    if (!rc && special) rc = add_all(&c, t->suffix, t->n_suffix);
    bpe_release(&c.bpe);
    if (!rc && !c.ids.v && !(c.ids.v = malloc(sizeof *c.ids.v))) rc = no_memory(&c); /* no ids is not NULL */
    if (rc) {
        free(c.ids.v);
        return rc;
    }
    *ids = c.ids.v;
    *n_ids = (int)c.ids.n;
    return 0;
}

/* Back to text -------------------------------------------------------- */

void tokenizer_decode(const tokenizer *t, const int32_t *ids, int n, bool keep_special, strbuf *out) {
    for (int i = 0; i < n; i++) {
        if (ids[i] < 0 || ids[i] >= t->n_tokens) continue;
        const token_entry *k = &t->tokens[ids[i]];
        if (k->text && (keep_special || !k->special)) strbuf_add(out, k->text, k->len);
    }
}

static const char *text_of(const void *ctx, int32_t id, size_t *len, bool *special) {
    const tokenizer *t = ctx;
    bool known = id >= 0 && id < t->n_tokens && t->tokens[id].text;
    if (len) *len = known ? t->tokens[id].len : 0;
    if (special) *special = known && t->tokens[id].special;
    return known ? t->tokens[id].text : NULL;
}

token_texts tokenizer_texts(const tokenizer *t) {
    return (token_texts){text_of, t};
}

int tokenizer_vocab_size(const tokenizer *t) {
    return t->n_tokens;
}

static const char *no_text(const void *ctx, int32_t id, size_t *len, bool *special) {
    (void)ctx;
    (void)id;
    if (len) *len = 0;
    if (special) *special = false;
    return NULL;
}

token_texts tokenizer_no_texts(void) {
    return (token_texts){no_text, NULL};
}
