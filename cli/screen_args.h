/* screen_args.h - what the two commands of the workbench share: how it looks, and the screen as text. */
#ifndef TABES_SCREEN_ARGS_H
#define TABES_SCREEN_ARGS_H

#include "cli/args.h"
#include "tui/tui.h"

typedef struct screen_args {
    const char *color, *theme, *dump, *keys, *at, *exec, *script, *config;
    bool ascii, no_mouse, no_config;
} screen_args;

#define SCREEN_EXTRA(s)                                                                                      \
    {"color", 0, &(s).color, NULL}, {"theme", 0, &(s).theme, NULL}, {"ascii", 0, NULL, &(s).ascii},          \
        {"no-mouse", 0, NULL, &(s).no_mouse}, {"dump-screen", 0, &(s).dump, NULL},                           \
        {"keys", 0, &(s).keys, NULL}, {"at", 0, &(s).at, NULL}, {"exec", 0, &(s).exec, NULL},                \
        {"script", 0, &(s).script, NULL}, {"config", 0, &(s).config, NULL}, {                                \
        "no-config", 0, NULL, &(s).no_config                                                                 \
    }

#define HELP_SCREEN                                                                                          \
    "      --color WHEN        auto (default), always or never; NO_COLOR is heeded\n"                        \
    "      --theme NAME        colours: a name that `tabes themes` lists, or a file\n"                       \
    "      --ascii             draw with ASCII only\n"                                                       \
    "      --no-mouse          leave the mouse to the terminal\n"                                            \
    "      --at N              start at state N, or `end`\n"                                                 \
    "      --dump-screen WxH   print the screen as text and exit; no terminal is needed\n"                   \
    "      --keys KEYS         keys to press at the start\n"                                                 \
    "      --exec \"CMD; CMD\"   commands to run then, as typed after `:`\n"                                 \
    "      --script FILE       a file of commands, one a line, likewise; without a terminal nothing is "     \
    "shown\n"                                                                                                \
    "      --config FILE       commands of every start, instead of ~/.config/tabes/config\n"                 \
    "      --no-config         no commands of every start\n"

/* The value of --color; the exit code of a usage error otherwise. */
int screen_color(const command *c, const char *text, tui_color *out);

/* Was a trajectory of this file made by the model? */
int screen_check_model(const char *path, const traj_header *h, const model *m, err *e) MUST_CHECK;

/* Shows the workbench, or dumps its screen. Returns the exit code; *still_computing tells that the model must
 * not be closed (see tui.h). */
int screen_show(const command *c, const screen_args *s, tui_opts *o, bool *still_computing);

#endif
