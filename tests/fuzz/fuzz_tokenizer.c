/* fuzz_tokenizer.c - every form of tokenizer, and text through it: a fixed one, and some of the input's
 * bytes.
 *
 * The first byte of an input picks the form; see `forms`. */
#include <string.h>

#include "engine/tokenizer.h"
#include "tests/fuzz/support.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int encode(const tokenizer *t, const char *text, size_t n) {
    int32_t *ids;
    int n_ids;
    err e = {0};
    strbuf back;
    int rc = tokenizer_encode(t, text, n, 1, true, &ids, &n_ids, &e);
    if (rc) return rc;
    strbuf_init(&back, 1 << 20);
    tokenizer_decode(t, ids, n_ids, true, &back);
    fuzz_touch(back.data, back.len);
    strbuf_release(&back);
    free(ids);
    return 0;
}

static void use(const char *path, const uint8_t *data, size_t n) {
    static const char fixed[] =
        "Hello, w\xc3\xb6rld!  I'll <mask> 1234\r\n\t\xe4\xbd\xa0\xe5\xa5\xbd \xf0\x9f\x99\x82 e\xcc\x81";
    tokenizer *t;
    err e = {0};
    if (tokenizer_load(&t, path, &e)) {
        fuzz_message(&e);
        return;
    }
    /* Once is enough for a pattern that takes all the time it may. */
    if (encode(t, fixed, sizeof fixed - 1) != ERR_UNSUPPORTED)
        encode(t, (const char *)data, n < 200 ? n : 200);
    tokenizer_close(t);
}

/* ---- forms ---- */

static void tokenizer_json(const uint8_t *data, size_t n) {
    static fuzz_directory d;
    fuzz_directory_fill(&d, "tokenizer.json", data, n);
    use(d.path, data, n);
}

static void in_gguf(const uint8_t *data, size_t n) {
    static fuzz_file f;
    fuzz_file_fill(&f, data, n);
    use(f.path, data, n);
}

/* vocab.json, merges.txt, tokenizer_config.json and added_tokens.json, parted by separators. */
static void merges_txt(const uint8_t *data, size_t n) {
    static const char *const names[] = {"vocab.json", "merges.txt", "tokenizer_config.json",
                                        "added_tokens.json"};
    static fuzz_directory d;
    const uint8_t *part = data, *rest = data;
    size_t left = n;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t n_part = fuzz_split(part, left, &rest, &left);
        fuzz_directory_fill(&d, names[i], part, n_part);
        part = rest;
    }
    use(d.path, data, n);
}

static void (*const forms[])(const uint8_t *data, size_t n) = {tokenizer_json, in_gguf, merges_txt};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    if (n) forms[data[0] % (sizeof forms / sizeof *forms)](data + 1, n - 1);
    return 0;
}
