/* fuzz_config.c - what lies beside the weights: config.json, tabes.json and tokenizer_config.json, parted by
 * separators, with weights and a tokenizer that fit; and the typed reads of config.json one by one. */
#include <stdlib.h>
#include <string.h>

#include "engine/formats/config.h"
#include "engine/model.h"
#include "tests/fuzz/support.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void read_values(const char *path) {
    static const char *const keys[] = {"model_type", "n_heads", "vocab_size", "rope_parameters.rope_theta",
                                       "a.b.c",      ""};
    config *c;
    err e = {0};
    if (config_open(&c, path, &e)) {
        if (!strstr(e.msg, "config.json")) abort();
        return;
    }
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const char *text = "";
        int whole = 7;
        double real = 0;
        bool on = false;
        if (config_int(c, keys[i], 1, 4096, &whole, &e) == 0 && (whole < 1 || whole > 4096)) abort();
        if (config_real(c, keys[i], 0.5, 1e6, &real, &e) == 0 && !(real >= 0.5 && real <= 1e6)) abort();
        if (config_string(c, keys[i], &text, &e) == 0) fuzz_touch(text, strlen(text));
        if (config_bool_opt(c, keys[i], &on, &e) || config_require(c, keys[i], "\"llada\"", &e))
            fuzz_touch(e.msg, strlen(e.msg));
        if (!config_has(c, keys[i]) && config_int_opt(c, keys[i], 1, 2, &whole, &e)) abort();
    }
    config_close(c);
}

/* A prompt, as it would be typed. */
static void use(const model *m) {
    int32_t *ids;
    int n_ids;
    err e = {0};
    if (m->tuning.tuned && !(m->tuning.lambda >= 0 && m->tuning.h_max >= 0)) abort();
    if (model_prompt(m, "ab<mask>", 8, &ids, &n_ids, &e)) return;
    int32_t n_vocab = denoiser_get_info(m->d)->n_vocab;
    for (int i = 0; i < n_ids; i++) {
        if (ids[i] < 0 || ids[i] >= n_vocab) abort();
        model_stops(m, ids[i]);
    }
    free(ids);
}

/* Weights and tokenizer, made once from what make_seeds.py writes. */
static void put(fuzz_directory *d, const char *name, const char *from) {
    char path[4096];
    strbuf text;
    err e = {0};
    snprintf(path, sizeof path, "%s/tests/fuzz/data/%s", FUZZ_TREE, from);
    if (strbuf_read_file(&text, path, 1 << 20, &e)) {
        fprintf(stderr, "%s\n", e.msg);
        _Exit(1);
    }
    fuzz_directory_fill(d, name, text.data, text.len);
    strbuf_release(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static const char *const names[] = {"config.json", "tabes.json", "tokenizer_config.json"};
    static fuzz_directory d;
    char path[sizeof d.path + 16];
    const uint8_t *part = data, *rest = data;
    size_t left = n;
    model m;
    err e = {0};
    if (!d.n) {
        put(&d, "model.safetensors", "llada.safetensors");
        put(&d, "tokenizer.json", "tokenizer.json");
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t n_part = fuzz_split(part, left, &rest, &left);
        fuzz_directory_fill(&d, names[i], part, n_part);
        part = rest;
    }
    snprintf(path, sizeof path, "%s/config.json", d.path);
    read_values(path);
    if (model_open(&m, d.path, NULL, &e)) {
        fuzz_message(&e);
        return 0;
    }
    use(&m);
    model_close(&m);
    return 0;
}
