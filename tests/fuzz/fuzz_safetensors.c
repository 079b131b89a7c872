/* fuzz_safetensors.c - the reader of safetensors files, and with config.json in front a whole checkpoint, and
 * with an index behind that one in shards; with a second file of weights there, in shards without an index.
 */
#include <string.h>

#include "engine/formats/safetensors.h"
#include "tests/fuzz/support.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void read_tensors(const uint8_t *data, size_t n) {
    static fuzz_file f;
    safetensors *s;
    err e = {0};
    fuzz_file_fill(&f, data, n);
    if (safetensors_open(&s, f.path, &e)) {
        fuzz_message(&e);
        return;
    }
    for (int i = 0; i < safetensors_count(s); i++) {
        const tensor *t = safetensors_at(s, i);
        if (safetensors_find(s, t->name) != t) abort();
        fuzz_touch(t->data, t->bytes);
    }
    safetensors_close(s);
}

/* Behind a separator: {"weight_map": ...}, or another safetensors file, which begins with the length of its
 * head. */
static bool is_index(const uint8_t *data, size_t n) {
    return n < 8 || memchr(data, '{', 8) != NULL;
}

static void load_shards(const uint8_t *config, size_t n_config, const uint8_t *a, size_t n_a,
                        const uint8_t *b, size_t n_b) {
    static fuzz_directory d;
    fuzz_directory_fill(&d, "config.json", config, n_config);
    fuzz_directory_fill(&d, "b.safetensors", a, n_a);
    fuzz_directory_fill(&d, "a.safetensors", b, n_b);
    fuzz_checkpoint(d.path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static fuzz_directory plain, indexed;
    const uint8_t *rest, *index;
    size_t n_rest, n_index, n_config = fuzz_split(data, n, &rest, &n_rest);
    if (n_config == n) {
        read_tensors(data, n);
        return 0;
    }
    size_t n_weights = fuzz_split(rest, n_rest, &index, &n_index);
    if (n_weights < n_rest && !is_index(index, n_index)) {
        load_shards(data, n_config, rest, n_weights, index, n_index);
        return 0;
    }
    fuzz_directory *d = n_weights == n_rest ? &plain : &indexed;
    fuzz_directory_fill(d, "config.json", data, n_config);
    fuzz_directory_fill(d, "model.safetensors", rest, n_weights);
    if (d == &indexed) fuzz_directory_fill(d, "model.safetensors.index.json", index, n_index);
    fuzz_checkpoint(d->path);
    return 0;
}
