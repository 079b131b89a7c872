/* files.h - where the workbench keeps what belongs to a person (XDG base directories), and which files it
 * reads while it runs. */
#ifndef TABES_TUI_FILES_H
#define TABES_TUI_FILES_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/status.h"

/* As tui_config_file (tui.h): a file in $XDG_STATE_HOME/tabes, else ~/.local/state/tabes; `make` creates the
 * folders (mode 0700). */
int state_file(char *path, size_t size, const char *name, bool make);

/* Refuses what is there and no regular file: a pipe or a terminal would be waited for, and no key be heard
 * meanwhile. What cannot be looked at passes, for its opening says why. */
int file_check_regular(const char *path, err *e) MUST_CHECK;

#endif
