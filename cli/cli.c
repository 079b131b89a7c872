/* cli.c - what all commands share besides options: messages, help texts and signals. */
#include "cli/cli.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "cli/doc.h"
#include "engine/base/utf8.h"

atomic_bool cli_cancelled;

/* Messages ------------------------------------------------------------ */

static int exit_code(int code) {
    switch (code) {
    case ERR_OK:
        return EXIT_OK;
    case ERR_CANCELLED:
        return EXIT_INTERRUPTED;
    case ERR_NO_MEMORY:
    case ERR_NO_DEVICE: /* it was there when the run began */
    case ERR_IO:
    case ERR_DIFFERS:
        return EXIT_FAILED;
    default:
        return EXIT_USAGE;
    }
}

int cli_report(const err *e) {
    fprintf(stderr, "tabes: %s\n", e->msg[0] ? e->msg : status_text(e->code));
    return exit_code(e->code);
}

int cli_report_input(const err *e) {
    int code = cli_report(e);
    return e->code == ERR_IO || e->code == ERR_NO_DEVICE ? EXIT_USAGE : code;
}

int cli_usage_error(const command *c, const char *fmt, ...) {
    char line[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    utf8_tame(line);
    fprintf(stderr, "tabes %s: %s (see tabes %s --help)\n", c->name, line, c->name);
    return EXIT_USAGE;
}

/* A message may be longer than an err's: a path is shown whole. */
void cli_note(const char *fmt, ...) {
    char line[8192];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    utf8_tame(line);
    fprintf(stderr, "tabes: %s\n", line);
}

void cli_print(const char *fmt, ...) {
    strbuf clean;
    char line[8192];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    strbuf_init(&clean, 4 * sizeof line);
    text_clean(&clean, line, strlen(line), true);
    fwrite(clean.data, 1, clean.len, stdout); /* main reports a failed write */
    cli_check_shown(&clean);
    strbuf_release(&clean);
}

static bool shown_in_part;

void cli_check_shown(const strbuf *text) {
    shown_in_part |= text->failed;
}

int cli_finish(int code) {
    if (shown_in_part && code == EXIT_OK) {
        fflush(stdout);
        fputs("tabes: out of memory: what was printed is not complete\n", stderr);
        return EXIT_FAILED;
    }
    static bool said; /* a command may finish itself before main does */
    if (!fflush(stdout) && !ferror(stdout)) return code;
    if (said) return EXIT_FAILED;
    said = true;
    fprintf(stderr, "tabes: standard output: %s\n", strerror(errno));
    return EXIT_FAILED;
}

/* Help ---------------------------------------------------------------- */

enum { HELP_COLUMNS = 100, TABLE_COLUMNS = 79, HELP_INDENT = 12 };

static void print_wrapped(const char *text, int indent, int columns) {
    size_t width = (size_t)(columns - indent);
    while (*text) {
        size_t line = strlen(text);
        if (line > width) {
            line = width;
            while (line && text[line] != ' ') line--;
            if (!line) line = width;
        }
        printf("%*s%.*s\n", indent, "", (int)line, text);
        text += line;
        while (*text == ' ') text++;
    }
}

void cli_print_wrapped(const char *text, int indent) {
    print_wrapped(text, indent, TABLE_COLUMNS);
}

/* The first policy with a parameter of that name prints it, so each appears once. */
static bool printed_before(int p, const char *name) {
    for (int i = 0; i < p; i++) {
        for (const param_def *const *d = policies[i]->params; *d; d++) {
            if (!strcmp((*d)->name, name)) return true;
        }
    }
    return false;
}

/* Which policies have it, unless all do. */
static void print_owners(const char *name) {
    char list[400] = "of";
    size_t used = 2;
    int n = 0, owners = 0;
    for (; policies[n]; n++) {
        for (const param_def *const *d = policies[n]->params; *d; d++) {
            if (strcmp((*d)->name, name) || used >= sizeof list) continue;
            used += (size_t)snprintf(list + used, sizeof list - used, "%s %s", owners++ ? "," : "",
                                     policies[n]->name);
        }
    }
    if (owners < n) print_wrapped(list, HELP_INDENT, HELP_COLUMNS);
}

static void print_choices(const param_def *d) {
    char list[200] = "one of";
    size_t used = 6;
    for (const char *const *c = d->choices; *c && used < sizeof list; c++) {
        used += (size_t)snprintf(list + used, sizeof list - used, "%s %s", c == d->choices ? "" : ",", *c);
    }
    print_wrapped(list, HELP_INDENT, HELP_COLUMNS);
}

static void print_param_help(const param_def *d) {
    static const char *const values[] = {"N", "X", "on|off", "NAME"};
    printf("      --%s %s\n", d->name, values[d->type]);
    print_wrapped(d->help, HELP_INDENT, HELP_COLUMNS);
    if (d->type == PARAM_CHOICE) print_choices(d);
    print_owners(d->name);
}

int cli_help(const command *c) {
    fputs(c->usage, stdout);
    if (c->policy_flags) {
        puts("\nPolicy parameters (defaults and ranges: tabes policies):");
        for (int p = 0; policies[p]; p++) {
            for (const param_def *const *d = policies[p]->params; *d; d++) {
                if (printed_before(p, (*d)->name)) continue;
                print_param_help(*d);
            }
        }
    }
    return cli_finish(EXIT_OK);
}

/* Signals ------------------------------------------------------------- */

/* A thread of its own takes the signals, and every other thread (OpenMP's inherit the mask) blocks them:
 * oneDNN's generated code keeps data below the stack pointer, which the frame of a signal handler would
 * overwrite. */
static void *wait_for_signals(void *set) {
    for (int sig; !sigwait(set, &sig);) {
        if (atomic_exchange(&cli_cancelled, true)) _exit(EXIT_INTERRUPTED);
    }
    return NULL;
}

void cli_catch_signals(void) {
    static sigset_t set;
    pthread_t thread;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (pthread_create(&thread, NULL, wait_for_signals, &set)) {
        pthread_sigmask(SIG_UNBLOCK, &set, NULL); /* then a signal simply ends the program */
        return;
    }
    pthread_detach(thread);
}
