/* fuzz_arguments.c - the command line: one argument a line, for the options that commands share, those of
 * `tabes eval`, and a prompt in each of its three forms.
 *
 * The first byte picks the reading. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/eval_args.h"
#include "tests/fuzz/support.h"
#include "tests/fuzz/workbench.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum {
    MAX_ARGS = 80,
    ALL = CLI_MODEL | CLI_PROMPT | CLI_POLICY | CLI_SEED | CLI_JSON | CLI_QUIET | CLI_OPERANDS
};

/* Usage is not what is tested. */
static const command named = {.name = "run", .summary = "", .usage = "usage\n", .policy_flags = true};

static void ask(cli_args *a) {
    const model *m = fuzz_workbench_model();
    static fuzz_file f;
    int32_t *ids;
    int n;
    err e = {0};
    if (cli_fill_policies(a, &m->tuning, &e)) return;
    if (a->prompt_file) { /* its name says what is in it */
        fuzz_file_fill(&f, a->prompt_file, strlen(a->prompt_file));
        a->prompt_file = f.path;
    }
    if (!cli_has_prompt(a) || cli_read_prompt(a, m, &ids, &n, &e)) return;
    for (int i = 0; i < n; i++) {
        if (ids[i] < 0 || ids[i] >= denoiser_get_info(m->d)->n_vocab) abort();
    }
    if (cli_length(a, m, ids, n) < 0) abort();
    free(ids);
}

static void shared(int argc, char **argv, bool several) {
    const char *name = NULL, *list[CLI_MAX_SEVERAL] = {NULL};
    bool flag = false;
    const cli_extra extra[] = {
        {"record", 0, &name, NULL}, {"until", CLI_SEVERAL, list, NULL}, {"tokens-out", 0, NULL, &flag}, {0}};
    cli_args a = {.default_policies = "boe", .max_policies = several ? CLI_MAX_POLICIES : 1};
    if (cli_parse(&a, &named, several ? ALL | CLI_POLICIES : ALL, extra, argc, argv) < 0) ask(&a);
}

static void evaluation(int argc, char **argv) {
    eval_args a = {0};
    err e = {0};
    if (eval_args_parse(&a, &named, argc, argv) >= 0) return;
    if (eval_args_policies(&a, fuzz_workbench_model(), &e) == 0) fuzz_touch(&a.wish, sizeof a.wish);
    eval_args_release(&a);
}

/* Help goes nowhere, and so do complaints while an input runs: both are for people. */
static void parse(int kind, int argc, char **argv) {
    static int nowhere = -1;
    int log = dup(STDERR_FILENO);
    if (nowhere < 0) {
        nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
        dup2(nowhere, STDOUT_FILENO);
    }
    dup2(nowhere, STDERR_FILENO);
    if (kind == 2) {
        evaluation(argc, argv);
    } else {
        shared(argc, argv, kind == 1);
    }
    dup2(log, STDERR_FILENO);
    close(log);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    char *argv[MAX_ARGS + 2] = {"tabes"}, *text = calloc(n + 1, 1);
    int argc = 1;
    fuzz_workbench_model();
    if (n && text) {
        memcpy(text, data + 1, n - 1);
        for (char *arg = text, *next; arg && argc <= MAX_ARGS; arg = next) {
            next = strchr(arg, '\n');
            if (next) *next++ = '\0';
            argv[argc++] = arg;
        }
        parse(data[0] % 3, argc, argv);
    }
    free(text);
    return 0;
}
