/* tui.h - the workbench: draws trajectories, sends commands to sessions.
 *
 * The only room that knows ncurses. Views read trajectories and do not ask whether a session or a file
 * produced them. The engine runs on a worker thread, on a GPU on one per pane (worker.h); finished step
 * records cross to the UI thread through a queue, and the UI never waits for the engine.
 */
#ifndef TABES_TUI_H
#define TABES_TUI_H

#include "replay/replay.h"

typedef enum tui_color { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER } tui_color;

typedef struct lesson lesson;

/* One pane of a live workbench. */
typedef struct tui_pane {
    const policy *policy;
    param_set params;
    uint64_t seed;
} tui_pane;

enum { TUI_MAX_PANES = 4 };

typedef struct tui_opts {
    /* Live: a model and a start state shared by all panes. */
    const model *model;
    const int32_t *prompt;
    int n_prompt, length;
    tui_pane panes[TUI_MAX_PANES];
    int n_panes;

    /* Branches, one tree per pane; NULL: none. Live sessions go on from them; without a model they are shown
     * like recordings, and the file must stay open. */
    const tree_file *trees;

    /* Replay: 1 to TUI_MAX_PANES recordings; model is NULL. */
    replay *const *replays;
    int n_replays;

    const model *looker; /* of a replay: what looks ask, which must be the recordings' model; may be NULL */

    const lesson *lesson; /* played; must outlive the call; may be NULL */

    const char *record_prefix; /* `R` writes PREFIX-<policy>.jsonl; NULL: "tabes-YYYYmmdd-HHMMSS" in the
                                  current directory */
    const char *keys;          /* pressed first, UTF-8; may be NULL */
    const char *config; /* file of commands run at the start, of which bad ones are reported; may be NULL */
    const char *exec, *script; /* commands, and a file of commands, run after the keys; may be NULL */
    tui_color color;
    const char *theme;             /* a name or a file; NULL: the default */
    const char *const *theme_dirs; /* where names are looked up, NULL-terminated; may be NULL */
    bool ascii, no_mouse;
} tui_opts;

/* The config file's name: $XDG_CONFIG_HOME/tabes/config, else ~/.config/tabes/config; an empty or relative
 * value counts as unset. -1: there is no home, or the name is too long. */
int tui_config_file(char *path, size_t size);

/* *still_computing, on success and after an error alike: the worker was inside an operation that did not end
 * in time, and the model is still in use. The process should then end without closing it (`_exit`). */

/* Runs until the user quits. Refuses with a message when there is no usable terminal. Restores the terminal
 * on every way out, fatal signals included. */
int tui_run(const tui_opts *o, bool *still_computing, err *e) MUST_CHECK;

/* The screen as text after o->keys were pressed one by one, each to its end; no terminal is needed. */
int tui_dump(const tui_opts *o, int cols, int rows, strbuf *out, bool *still_computing, err *e) MUST_CHECK;

/* Plays o->lesson through, unseen, at 80x24: every command has to succeed, every highlight, answer and
 * placeholder to be there, and every text to fit. The error has the line of the file. */
int tui_check_lesson(const tui_opts *o, bool *still_computing, err *e) MUST_CHECK;

#endif
