/* fuzz_theme.c - the reader of themes. */
#include "tests/fuzz/support.h"
#include "tui/theme.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    theme t;
    err e = {0};
    if (theme_parse(&t, (const char *)data, n, "input", &e)) {
        fuzz_message(&e);
    } else {
        fuzz_touch(&t, sizeof t);
    }
    return 0;
}
