/* fuzz_lesson.c - the reader of lessons. */
#include "tests/fuzz/support.h"
#include "tui/lessons/lesson.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    lesson *l;
    err e = {0};
    if (lesson_parse(&l, (const char *)data, n, "input.lesson", &e)) return 0;
    for (int i = 0; i < l->n_steps; i++) {
        fuzz_touch(l->steps[i].before.text, strlen(l->steps[i].before.text));
        fuzz_touch(l->steps[i].title, strlen(l->steps[i].title));
    }
    lesson_free(l);
    return 0;
}
