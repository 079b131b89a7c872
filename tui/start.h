/* start.h - what is given beforehand: the config file, keys, commands. Shared by the loop and by those who do
 * without a terminal.
 */
#ifndef TABES_TUI_START_H
#define TABES_TUI_START_H

#include "tui/app.h"

/* Presses the first of *keys, UTF-8, and moves on. */
int start_key(app *a, const char **keys, unsigned *flags, err *e) MUST_CHECK;
/* Queue the config file's commands; those of --exec and, behind them, --script. */
int start_config(app *a, const tui_opts *o, err *e) MUST_CHECK;
int start_commands(app *a, const tui_opts *o, err *e) MUST_CHECK;

#endif
