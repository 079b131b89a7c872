/* fuzz_safetensors.c - the reader of safetensors files, and with config.json in front a whole checkpoint, and
 * with an index behind that one in shards. */
#include "engine/formats/safetensors.h"
#include "tests/fuzz/support.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void read_tensors(const uint8_t *data, size_t n) {
    static fuzz_file f;
    safetensors *s;
    err e = {0};
    fuzz_file_fill(&f, data, n);
    if (safetensors_open(&s, f.path, &e)) return;
    for (int i = 0; i < safetensors_count(s); i++) {
        const tensor *t = safetensors_at(s, i);
        if (safetensors_find(s, t->name) != t) abort();
        fuzz_touch(t->data, t->bytes);
    }
    safetensors_close(s);
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
    fuzz_directory *d = n_weights == n_rest ? &plain : &indexed;
    fuzz_directory_fill(d, "config.json", data, n_config);
    fuzz_directory_fill(d, "model.safetensors", rest, n_weights);
    if (d == &indexed) fuzz_directory_fill(d, "model.safetensors.index.json", index, n_index);
    fuzz_checkpoint(d->path);
    return 0;
}
