/* theme.h - colours as data: a theme says how each role and each ramp looks at each depth of colour.
 *
 * Themes are text files (themes/README.md has the format). Reading is strict: the first fault is reported as
 * FILE:LINE:COLUMN and nothing of the file is used. Afterwards a theme is read-only and complete: what the
 * file leaves out comes from the built-in one (themes/dark.theme, compiled in), and depths that it does not
 * spell out are mapped to the nearest colour there is.
 */
#ifndef TABES_TUI_THEME_H
#define TABES_TUI_THEME_H

#include <stddef.h>

#include "engine/base/status.h"
#include "tui/style.h"

enum {
    THEME_MAX_BYTES = 64 << 10,
    THEME_MAX_STOPS = 16,
    THEME_MAX_NAME = 32, /* with the NUL, as THEME_MAX_ABOUT */
    THEME_MAX_ABOUT = 96,
    THEME_MAX_PATH = 4096
};

typedef struct theme_ramp {
    int n;      /* 0: no colours, shades tell the value */
    bool steps; /* direct colours are not blended between stops */
    int stop[THEME_MAX_STOPS];
} theme_ramp;

struct theme {
    char name[THEME_MAX_NAME], about[THEME_MAX_ABOUT];
    int background, foreground; /* RGB that the theme is made for; a terminal's own may differ */
    style role[N_MODES][N_STYLES];
    theme_ramp ramp[N_MODES][N_RAMPS];
};

/* Compiled in, complete, never NULL. The first call parses it: call from one thread. */
const theme *theme_builtin(void);

/* `what` names the text in messages. On failure *t is untouched. */
int theme_parse(theme *t, const char *text, size_t n, const char *what, err *e) MUST_CHECK;
int theme_load(theme *t, const char *path, err *e) MUST_CHECK;

/* Names as they stand in files. */
const char *theme_role_name(style_role r);
const char *theme_ramp_name(ramp r);

/* One file or the built-in theme. */
typedef struct theme_entry {
    char name[THEME_MAX_NAME];
    char path[THEME_MAX_PATH]; /* empty: built in */
} theme_entry;

enum { THEME_MAX_FILES = 64, THEME_MAX_DIRS = 8 };

/* Every NAME.theme in the folders, sorted by name with the default first; of one name the first folder's
 * counts. dirs: NULL-terminated; folders that do not exist are passed over. The first entry is always there.
 */
typedef struct theme_list {
    int n;
    theme_entry *at;
} theme_list;
int theme_list_open(theme_list *l, const char *const *dirs, err *e) MUST_CHECK;
void theme_list_release(theme_list *l);
/* Index of a name, or -1. */
int theme_list_find(const theme_list *l, const char *name);
int theme_list_load(const theme_list *l, int i, theme *t, err *e) MUST_CHECK;

/* A name of the list or, with a slash or ".theme" in it, a file. */
int theme_open(theme *t, const theme_list *l, const char *name, err *e) MUST_CHECK;

#endif
