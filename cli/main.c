/* main.c - picks the command. Without one, or when the first argument is an option, it is `open`. */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "cli/args.h"
#include "tui/text.h"

const command *const cli_commands[] = {&cmd_open,   &cmd_run,      &cmd_score,  &cmd_eval,     &cmd_bench,
                                       &cmd_replay, &cmd_verify,   &cmd_export, &cmd_tokenize, &cmd_info,
                                       &cmd_lesson, &cmd_policies, &cmd_themes, NULL};

enum { MAX_COMMANDS = 32 };

static int print_help(void) {
    puts("tabes: watch a masked diffusion language model decide what to write next\n\n"
         "usage: tabes [COMMAND] [OPTIONS]\n");
    for (int i = 0; cli_commands[i]; i++)
        printf("  %-10s %s\n", cli_commands[i]->name, cli_commands[i]->summary);
    puts("\nWithout a command: open. `tabes COMMAND --help` has the options, `tabes --version` the version.\n"
         "Exit codes: 0 ok, 1 the run failed or results differ, 2 bad usage or input, 130 interrupted.");
    return cli_finish(EXIT_OK);
}

/* The first GPU, or why there is none: whether the module was found is told by opening it. */
static void print_gpu(void) {
    kernels *k;
    k_fault f;
    if (kernels_open(&k, &(k_open){.device = "cuda"}, &f)) {
        const char *advice = strstr(f.text, "; use --device");
        printf("%.*s\n", (int)(advice ? (size_t)(advice - f.text) : strlen(f.text)), f.text);
        return;
    }
    printf("%s: %s\n", k->name, k->title);
    k->close(k);
}

/* What a report of a fault needs to say about the build; the definitions are CMake's (TabesInstall.cmake). */
static int print_version(void) {
    const char *compiler =
#ifdef __clang__
        __VERSION__;
#else
        "gcc " __VERSION__;
#endif
    printf("tabes %s", TABES_VERSION);
    if (TABES_COMMIT[0]) printf(" (%s)", TABES_COMMIT);
    printf("\nbuild: %s, %s\nlibraries: %s\n", TABES_BUILD_TYPE, compiler, TABES_LIBRARIES);
    printf("kernels: %s, %d threads\n", kernels_cpu()->name, kernels_threads());
    print_gpu();
    return cli_finish(EXIT_OK);
}

static int unknown_command(const char *name) {
    const char *names[MAX_COMMANDS];
    int n = 0;
    for (; cli_commands[n]; n++) names[n] = cli_commands[n]->name;
    const char *near = cli_suggest(name, names, n);
    err e = {0};
    if (near) {
        err_set(&e, ERR_BAD_ARGUMENT, "unknown command '%.60s', did you mean '%s'? (see tabes --help)", name,
                near);
    } else {
        err_set(&e, ERR_BAD_ARGUMENT, "unknown command '%.60s' (see tabes --help)", name);
    }
    return cli_report(&e);
}

static int run_command(const command *c, int argc, char **argv) {
    return cli_finish(c->run(argc, argv));
}

/* libgomp's threads spin at barriers for long by default, which is ruinous when other programs want the cores
 * (a decode of 3 s took 42 s beside two busy processes). Sleeping at once costs a small model a tenth of its
 * step, spinning for some microseconds costs neither much (docs/performance.md). libgomp reads its
 * environment before main, so the only way to ask for that is to start again, once. */
static void let_idle_threads_sleep(char **argv) {
    if (getenv("OMP_WAIT_POLICY") || getenv("GOMP_SPINCOUNT")) return;
    char self[4096]; /* the real path, so that process lists go on saying "tabes" */
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0 || setenv("OMP_WAIT_POLICY", "passive", 1) || setenv("GOMP_SPINCOUNT", "1000", 1)) return;
    self[n] = '\0';
    execv(self, argv); /* where it fails, the program merely runs as it is */
}

/* A closed standard stream would hand its number to the next file we open, and messages would then land in a
 * recording. Output stays unwritable, so that its loss is still reported. */
static void fill_standard_streams(void) {
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) == -1 && open("/dev/null", fd == 1 ? O_RDONLY : O_RDWR) != fd)
            _exit(EXIT_FAILED);
    }
}

int main(int argc, char **argv) {
    fill_standard_streams();
    let_idle_threads_sleep(argv);
    text_use_locale();        /* wide characters for the screen; numbers stay in C notation */
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is a failed write, which is reported */
    signal(SIGPIPE, SIG_DFL); /* a closed pipe ends the program quietly, whatever the parent ignored */
    if (argc < 2) return run_command(&cmd_open, argc, argv);
    const char *name = argv[1];
    if (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help")) {
        for (int i = 0; argc > 2 && cli_commands[i]; i++) {
            if (!strcmp(argv[2], cli_commands[i]->name)) return cli_help(cli_commands[i]);
        }
        return argc > 2 ? unknown_command(argv[2]) : print_help();
    }
    if (!strcmp(name, "--version") || !strcmp(name, "-V") || !strcmp(name, "version")) return print_version();
    if (name[0] == '-') return run_command(&cmd_open, argc, argv);
    for (int i = 0; cli_commands[i]; i++) {
        if (!strcmp(name, cli_commands[i]->name)) return run_command(cli_commands[i], argc - 1, argv + 1);
    }
    return unknown_command(name);
}
