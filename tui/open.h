/* open.h - recordings and files of branches that are shown: those given at the start, and those opened later.
 *
 * Files opened by `open` belong to the app and stay open as long as something shows them: in a replay until
 * the next `open`, beside a live decode until the end.
 */
#ifndef TABES_TUI_OPEN_H
#define TABES_TUI_OPEN_H

#include "tui/tui.h"

typedef struct app app;
typedef struct pane pane;

typedef struct opened_files {
    replay *files[TUI_MAX_PANES];
    int n;
    tree_file *trees; /* in place of recordings */
    struct opened_files *next;
} opened_files;

/* Panes, zeroed before, that show recordings, or the panes of a tree file; *n gets how many. What is shown is
 * borrowed. On failure release them with pane_release. */
int open_panes(pane *out, int *n, replay *const *files, int n_files, const tree_file *trees,
               err *e) MUST_CHECK;

/* A replay shows these files in place of what it shows. A live workbench shows one recording in the pane
 * behind the focused one, as K, c does with a branch; without files all panes show themselves again. On
 * failure everything is as it was. */
int open_files(app *a, const char *const *paths, int n, err *e) MUST_CHECK;

void opened_release(opened_files *o);

#endif
