/* fuzz_lesson.c - the reader of lessons; what it takes is played to its end beside a small model, whatever
 * model the lesson names. */
#include <string.h>

#include "tests/fuzz/support.h"
#include "tests/fuzz/workbench.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { MAX_STEPS = 3 };

/* Both halves of every step, answered wrong or right. */
static void play(const lesson *l) {
    app a;
    fuzz_workbench_open_lesson(&a, l);
    for (int i = 0; i < 2 * MAX_STEPS; i++) {
        err e = {0};
        fuzz_workbench_draw(&a, 80, 24);
        if (app_lesson_answer(&a, i % 3, &e)) fuzz_touch(e.msg, strlen(e.msg));
        app_lesson_next(&a, 0);
        app_lesson_next(&a, 0); /* a question that is passed over asks to be sure */
        fuzz_workbench_settle(&a);
    }
    app_lesson_back(&a, 0);
    fuzz_workbench_settle(&a);
    fuzz_workbench_close(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    lesson *l;
    err e = {0};
    if (lesson_parse(&l, (const char *)data, n, "input.lesson", &e)) {
        fuzz_message(&e);
        return 0;
    }
    play(l);
    lesson_free(l);
    return 0;
}
