/* cli.h - one file per subcommand; each offers one `const command` and a main-like function.
 *
 * Exit codes: 0 ok, 1 the run failed (or results differ), 2 bad usage or input, 130 interrupted.
 * Results go to stdout, messages to stderr as one line: "tabes: what, where, what to do".
 */
#ifndef TABES_CLI_H
#define TABES_CLI_H

#include <stdbool.h>
#include <stdio.h>

#include "engine/engine.h"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_INTERRUPTED = 130 };

typedef struct command {
    const char *name;
    const char *summary;               /* one line for `tabes --help` */
    const char *usage;                 /* whole text of `tabes NAME --help` up to the policy parameters */
    bool policy_flags;                 /* --help appends the parameter table */
    int (*run)(int argc, char **argv); /* argv[0] is the subcommand's name */
} command;

extern const command cmd_open, cmd_run, cmd_score, cmd_replay, cmd_verify, cmd_export, cmd_info, cmd_tokenize,
    cmd_policies, cmd_themes, cmd_lesson, cmd_eval, cmd_bench;

/* "tabes: MSG" on stderr; returns the exit code that fits the error's code (2 for input, 1 for a failed run,
 * 130 cancelled). */
int cli_report(const err *e);
/* The same for a failure while reading what the user named: 2 unless cancelled or out of memory. */
int cli_report_input(const err *e);
int cli_usage_error(const command *c, const char *fmt, ...) PRINTF_LIKE(2, 3);
int cli_help(const command *c);

/* One more line on stderr behind "tabes: ", and text on stdout. What files say, their names included, goes
 * through these: what steers a terminal is replaced. */
void cli_note(const char *fmt, ...) PRINTF_LIKE(1, 2);
void cli_print(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* Text in lines of at most 100 columns, each after `indent` blanks. */
void cli_print_wrapped(const char *text, int indent);

/* Every command in the order of `tabes --help`; NULL-terminated. */
extern const command *const cli_commands[];

/* Set by SIGINT/SIGTERM after cli_catch_signals(); pass it as `cancel`. A second signal ends the program at
 * once. */
extern atomic_bool cli_cancelled;
void cli_catch_signals(void);

/* A text that is printed met a failed allocation: cli_finish will say that not all was printed. */
void cli_check_shown(const strbuf *text);

/* Flushes stdout; a failed write (full disk) is reported, and so is a text that could not be made. Returns
 * `code`, or 1 for those. */
int cli_finish(int code);

/* Options that several commands share: -m, -p, --prompt-file, --prompt-tokens, --length, --seed, --threads,
 * policy names and policy parameters (any --name known to any policy). Parsed once, here. */
typedef struct cli_policy {
    const policy *policy;
    param_set params;
} cli_policy;

typedef struct cli_args cli_args; /* see args.h */

#endif
