/* fuzz_checkpoint.c - a GGUF file, or a set of two, on its way into a network, and one forward pass of small
 * ones. */
#include "tests/fuzz/support.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void load_set(const uint8_t *data, size_t n, const uint8_t *rest, size_t n_rest) {
    static fuzz_directory d;
    char first[sizeof d.path + 32];
    fuzz_directory_fill(&d, "m-00001-of-00002.gguf", data, n);
    fuzz_directory_fill(&d, "m-00002-of-00002.gguf", rest, n_rest);
    snprintf(first, sizeof first, "%s/m-00001-of-00002.gguf", d.path);
    fuzz_checkpoint(first);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static fuzz_file f;
    const uint8_t *rest;
    size_t n_rest, n_first = fuzz_split(data, n, &rest, &n_rest);
    if (n_first < n) {
        load_set(data, n_first, rest, n_rest);
        return 0;
    }
    fuzz_file_fill(&f, data, n);
    fuzz_checkpoint(f.path);
    return 0;
}
