/* command.h - what is typed at `:`, stands in a script or in the config file.
 *
 * A command is a name and what follows it. The names of the key table (keys.h) are commands with an
 * optional count; the others stand in the table below. Names may be shortened as long as they name
 * one command. A bare number goes to that state. A command that fails says so in one line and
 * changes nothing.
 */
#ifndef TABES_TUI_COMMAND_H
#define TABES_TUI_COMMAND_H

#include "tui/app.h"

/* What Tab offers after the name. */
typedef enum command_words {
    WORDS_NONE,
    WORDS_POLICIES,
    WORDS_PARAMS,
    WORDS_FORMATS,
    WORDS_THEMES, /* and files */
    WORDS_BRANCHES,
    WORDS_LAYERS,
    WORDS_TABS,
    WORDS_FILES
} command_words;

typedef struct app_command {
    const char *name, *usage, *help;
    bool live; /* needs a model */
    command_words words;
    /* rest: what follows the name, without blanks at its ends. */
    int (*run)(app *a, const char *rest, unsigned *flags, err *e);
} app_command;

extern const app_command app_commands[]; /* a NULL name ends it */

/* Does a name stand in one of the tables, as it is? */
bool command_known(const char *name);

int command_run(app *a, const char *line, unsigned *flags, err *e) MUST_CHECK;

/* Handlers of command_live.c and command_file.c. */
int command_policy(app *a, const char *rest, unsigned *flags, err *e);
int command_set(app *a, const char *rest, unsigned *flags, err *e);
int command_seed(app *a, const char *rest, unsigned *flags, err *e);
int command_prompt(app *a, const char *rest, unsigned *flags, err *e);
int command_record(app *a, const char *rest, unsigned *flags, err *e);
int command_write(app *a, const char *rest, unsigned *flags, err *e);
int command_export(app *a, const char *rest, unsigned *flags, err *e);
int command_source(app *a, const char *rest, unsigned *flags, err *e);
int command_open(app *a, const char *rest, unsigned *flags, err *e);
int command_branch(app *a, const char *rest, unsigned *flags, err *e);
int command_branch_name(app *a, const char *rest, unsigned *flags, err *e);

/* Words of an argument: blanks part them, double quotes keep them together, '\' takes the next byte as it is
 * (\n and \t inside quotes are newline and tab). The words lie in buf. */
enum { COMMAND_MAX_WORDS = 8, COMMAND_MAX_BYTES = 16384 };
typedef struct words {
    int n;
    const char *at[COMMAND_MAX_WORDS];
    char buf[COMMAND_MAX_BYTES];
} words;
int words_split(words *w, const char *text, err *e) MUST_CHECK;
/* The same, of a command that takes exactly n. */
int words_expect(words *w, const char *text, int n, const char *usage, err *e) MUST_CHECK;

/* Candidates for the word that ends the line, most `max`; returns how many. Each is freed by the caller. File
 * names are left to readline: *files says so. */
int command_complete(const app *a, const char *before, const char *word, char **out, int max, bool *files);

#endif
