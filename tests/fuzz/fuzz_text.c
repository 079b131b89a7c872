/* fuzz_text.c - any bytes as a prompt, through every committed tokenizer and every chat template.
 *
 * The first byte picks tokenizer and template. Ids are inside the vocabulary; encoding again gives the same;
 * text that the tokenizer takes comes back as it was where its files promise that: no normaliser, no unknown
 * token, no blank in front, no dropped pieces. */
#include <stdlib.h>
#include <string.h>

#include "engine/chat.h"
#include "engine/tokenizer.h"
#include "tests/fuzz/support.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const struct {
    const char *name;
    bool exact; /* what goes in comes out */
} kinds[] = {{"gpt2", false},  {"qwen", false}, {"ling", false},  {"chars", false},
             {"digits", true}, {"story", true}, {"sudoku", true}, {"behaviors", false}};

enum { N_KINDS = (int)(sizeof kinds / sizeof *kinds), N_CHATS = 6 };

static tokenizer *open_kind(int i) {
    static tokenizer *open[N_KINDS];
    char path[4096];
    err e = {0};
    snprintf(path, sizeof path, "%s/tests/tokenizer/%s", FUZZ_TREE, kinds[i].name);
    if (!open[i] && tokenizer_load(&open[i], path, &e)) {
        fprintf(stderr, "%s\n", e.msg);
        _Exit(1);
    }
    return open[i];
}

/* Ids and back; false when the tokenizer cannot express the text. */
static bool encode(const tokenizer *t, const char *text, size_t n, int32_t **ids, int *n_ids) {
    err e = {0};
    if (tokenizer_encode(t, text, n, tokenizer_mask(t), false, ids, n_ids, &e)) {
        fuzz_message(&e);
        return false;
    }
    for (int i = 0; i < *n_ids; i++) {
        if ((*ids)[i] < -1 || (*ids)[i] >= tokenizer_vocab_size(t)) abort();
    }
    return true;
}

static void decode(const tokenizer *t, const int32_t *ids, int n_ids, strbuf *out) {
    strbuf_init(out, SIZE_MAX / 4);
    tokenizer_decode(t, ids, n_ids, true, out);
}

/* `<mask>` stands for the mask, whatever its text is. */
static void compare(int kind, const strbuf *back, const char *text, size_t n) {
    if (!kinds[kind].exact || (n && memmem(text, n, "<mask", 5))) return;
    if (back->len != n || (n && memcmp(back->data, text, n) != 0)) abort();
}

static void round_trip(const tokenizer *t, int kind, const char *text, size_t n) {
    int32_t *ids, *again;
    int n_ids, n_again;
    strbuf back, twice;
    if (!encode(t, text, n, &ids, &n_ids)) return;
    decode(t, ids, n_ids, &back);
    compare(kind, &back, text, n);
    if (!encode(t, text, n, &again, &n_again) || n_again != n_ids) abort();
    if (n_ids && memcmp(ids, again, (size_t)n_ids * sizeof *ids) != 0) abort();
    free(again);
    if (encode(t, back.data ? back.data : "", back.len, &again, &n_again)) {
        decode(t, again, n_again, &twice);
        fuzz_touch(twice.data, twice.len);
        strbuf_release(&twice);
        free(again);
    }
    strbuf_release(&back);
    free(ids);
}

/* What a template is put around is found again; LLaDA's drops blanks at the ends. */
static void templated(const chat *c, const char *text, size_t n) {
    strbuf whole;
    bool trims = !strcmp(c->name, "llada");
    while (trims && n && strchr(" \n\t\r", text[n - 1]) && text[n - 1]) n--;
    while (trims && n && strchr(" \n\t\r", text[0]) && text[0]) text++, n--;
    size_t from, len;
    strbuf_init(&whole, SIZE_MAX / 4);
    chat_write(c, NULL, text, n, &whole);
    if (!chat_body(c, NULL, whole.data, whole.len, &from, &len)) abort();
    if (len != n || (n && memcmp(whole.data + from, text, n) != 0)) abort();
    strbuf_release(&whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static const char *const chats[N_CHATS] = {NULL, "llada", "dream", "qwen2.5", "qwen3", "chatml"};
    if (!n) return 0;
    int i = data[0] % N_KINDS, k = data[0] / N_KINDS % N_CHATS;
    const char *text = (const char *)data + 1;
    if (chats[k]) templated(chat_find(chats[k]), text, n - 1);
    round_trip(open_kind(i), i, text, n - 1);
    return 0;
}
