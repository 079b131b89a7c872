/* fuzz_commands.c - lines typed at `:`, of a script or of the config file, run one by one on a workbench; and
 * what Tab offers for each. An empty line draws a frame.
 *
 * The first byte picks what is shown and whether bad lines are passed over, as in a config file. */
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/support.h"
#include "tests/fuzz/workbench.h"
#include "tui/command.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { MAX_LINES = 16, MAX_OFFERS = 32 };

/* Tab behind the first word and behind the whole line. */
static void complete(const app *a, const char *line) {
    char *offers[MAX_OFFERS], *before = strdup(line);
    bool files;
    char *word = before ? strrchr(before, ' ') : NULL;
    if (word) *word++ = '\0';
    int k = before ? command_complete(a, word ? before : "", word ? word : before, offers, MAX_OFFERS, &files)
                   : 0;
    for (int i = 0; i < k; i++) {
        if (strncmp(offers[i], word ? word : before, strlen(word ? word : before)) != 0) abort();
        free(offers[i]);
    }
    free(before);
}

static void run_lines(app *a, char *text, bool lenient) {
    int lines = 0;
    for (char *line = text, *next; line && !a->quit && lines++ < MAX_LINES; line = next) {
        err e = {0};
        next = strchr(line, '\n');
        if (next) *next++ = '\0';
        complete(a, line);
        if (script_push(&a->script, "input", line, !lenient, lenient, &e)) continue;
        fuzz_workbench_settle(a);
        if (!*line) fuzz_workbench_draw(a, 80, 24);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    app a;
    if (!n) return 0;
    char *text = calloc(n, 1);
    if (!text) return 0;
    memcpy(text, data + 1, n - 1);
    fuzz_workbench_open(&a, (fuzz_show)(data[0] % FUZZ_N_SHOWS));
    run_lines(&a, text, data[0] / FUZZ_N_SHOWS % 2);
    fuzz_workbench_close(&a);
    free(text);
    return 0;
}
