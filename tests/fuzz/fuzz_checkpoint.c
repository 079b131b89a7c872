/* fuzz_checkpoint.c - a GGUF file on its way into a network, and one forward pass of small ones. */
#include "tests/fuzz/support.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static fuzz_file f;
    fuzz_file_fill(&f, data, n);
    fuzz_checkpoint(f.path);
    return 0;
}
