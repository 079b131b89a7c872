/* files.h - where the workbench keeps what belongs to a person (XDG base directories). */
#ifndef TABES_TUI_FILES_H
#define TABES_TUI_FILES_H

#include <stdbool.h>
#include <stddef.h>

/* As tui_config_file (tui.h): a file in $XDG_STATE_HOME/tabes, else ~/.local/state/tabes; `make` creates the
 * folders (mode 0700). */
int state_file(char *path, size_t size, const char *name, bool make);

#endif
