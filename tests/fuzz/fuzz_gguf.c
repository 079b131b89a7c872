/* fuzz_gguf.c - the reader of GGUF files: metadata, lists, tensors. */
#include "engine/formats/config.h"
#include "tests/fuzz/support.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void walk_value(const gguf_value *v) {
    gguf_cursor texts = {0}, numbers = {0};
    const char *text;
    size_t len;
    double number;
    fuzz_touch(v->key, strlen(v->key));
    if (v->kind == GGUF_TEXT) fuzz_touch(v->text, (size_t)v->count);
    while (gguf_next_text(v, &texts, &text, &len)) fuzz_touch(text, len);
    while (gguf_next_number(v, &numbers, &number)) fuzz_touch(&number, sizeof number);
}

static void as_config(const gguf *g) {
    config *c;
    err e = {0};
    const char *text;
    int layers;
    if (config_from_gguf(&c, g, &e)) return;
    if (config_string(c, "general.architecture", &text, &e) == 0) fuzz_touch(text, strlen(text));
    if (config_int_opt(c, "llama.block_count", 1, 1024, &layers, &e)) fuzz_touch(e.msg, strlen(e.msg));
    config_close(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static fuzz_file f;
    gguf *g;
    err e = {0};
    fuzz_file_fill(&f, data, n);
    if (gguf_open(&g, f.path, &e)) {
        fuzz_message(&e);
        return 0;
    }
    for (int i = 0; i < gguf_n_values(g); i++) walk_value(gguf_value_at(g, i));
    for (int i = 0; i < gguf_count(g); i++) fuzz_touch(gguf_at(g, i)->data, gguf_at(g, i)->bytes);
    as_config(g);
    gguf_close(g);
    return 0;
}
