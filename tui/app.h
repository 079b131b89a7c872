/* app.h - the state of the workbench: panes, the two cursors (step and position), what is shown and how.
 *
 * No curses here. Keys come in through keys.h, finished records through app_events, and
 * screen.h draws it. A pane shows one state of one trajectory; its trajectory is its own when live
 * and borrowed when a recording is shown, and nothing else differs.
 */
#ifndef TABES_TUI_APP_H
#define TABES_TUI_APP_H

#include "tui/flow.h"
#include "tui/history.h"
#include "tui/layout.h"
#include "tui/lessons/player.h"
#include "tui/line.h"
#include "tui/looks.h"
#include "tui/notes.h"
#include "tui/open.h"
#include "tui/orders.h"
#include "tui/script.h"
#include "tui/search.h"
#include "tui/tui.h"
#include "tui/worker.h"

typedef enum layer {
    LAYER_STATE,
    LAYER_ENTROPY,
    LAYER_TIS,
    LAYER_ORDER,
    LAYER_PROB,
    LAYER_INFLUENCE,
    LAYER_ATTENTION,
    LAYER_LOCK_IN,
    LAYER_ORDERS, /* of the focused pane alone */
    N_LAYERS
} layer;

struct pane {
    const trajectory *traj; /* NULL until the session is open */
    bool live;
    int id; /* the worker's number of it, which it keeps when other panes close */

    /* Live only. */
    trajectory own;
    const policy *policy;
    param_set params;
    uint64_t seed;
    bool busy;         /* a proposal is on its way */
    double busy_since; /* clock_now() */
    int want;          /* steps asked for while busy */
    bool run;          /* commit every proposal until the end */
    bool stuck;        /* masks are left, but the policy may write none of them */
    tree tree;         /* its branches; the active one is `own` */
    history past;
    char error[400]; /* why there is no session or no proposal; empty otherwise */

    /* What no file holds yet; and each branch knows whether it was changed. */
    bool tree_changed; /* branches were named or deleted */
    bool noted;        /* words about a recording */
    int recorded;      /* id of the branch that the file of R holds as it is; 0: none */

    /* Another trajectory in the place of the pane's: a branch, looked at like a recording. */
    bool guest;
    int guest_of; /* id of the pane whose branch it is, -1: a recording's */
    trajectory shown;
    char guest_name[TREE_NAME];
    const trajectory *home; /* of a recording: what the pane shows otherwise */

    int state;  /* the state shown: 0..n_records */
    int scroll; /* first canvas line shown */

    /* Derived from the above by app_prepare. */
    int32_t *tokens;   /* of the state shown */
    int *rank;         /* order of writing from 1, 0: prompt or masked */
    int *written_by;   /* record that wrote the position, -1: none */
    int *put_back;     /* record that put the position back to the mask, -1: it is not, or was always */
    double *written_p; /* probability of what was written */
    bool *differs;     /* from pane A; of pane A itself: from any other */
    int n_differs;
    flow flow;
    int n_alloc;
};

/* What m and a letter set. */
enum { N_MARKS = 26 };
typedef struct place_mark {
    bool set;
    int state, pos;
} place_mark;

typedef struct app_themes app_themes; /* app_theme.c */
typedef struct dialog dialog;

struct app {
    const model *model; /* NULL in a replay */
    worker *worker;
    const denoiser *looking;    /* that looks ask, its info only; NULL without a model */
    const model_tuning *tuning; /* of that model */
    looks looks;
    orders orders;
    lesson_player lesson;
    k_memory memory; /* of the device, as the worker said last; zeros on the CPU */
    pane panes[TUI_MAX_PANES];
    int n_panes, focus, cursor;
    bool locked;

    layer layer;
    detail_tab tab;
    bool legend, diff, help, quit;
    int help_scroll;
    dialog *over; /* the one that has the keys, or NULL; see dialog.h */
    bool playing;
    int speed; /* index of app_speeds */
    double next_tick;
    int count, pending_key; /* keys typed so far */
    unsigned (*asked)(app *a,
                      int count); /* verb that would lose work if it were pressed once more; or NULL */
    bool again, forced;           /* it is being pressed once more; the command ends with '!' */
    char message[500];
    bool warning; /* the message tells of a failure */
    const char *record_prefix;
    char record_stamp[64];
    bool recorded;               /* R's files hold all that the panes' own decodes have */
    double tis_clip;             /* of the TIS layer, over all panes; 0 when nothing is scored */
    int clip_key[TUI_MAX_PANES]; /* what tis_clip was computed from */
    const void *clip_pending[TUI_MAX_PANES];
    notes notes;
    place_mark marks[N_MARKS];
    opened_files *opened; /* by `open` */
    search find;
    typed_line line;
    script script;
    bool dragging; /* the pointer went down on the timeline */

    palette pal;
    app_themes *themes; /* NULL: the built-in theme alone */
    layout lay;
    int lines, lines_cols, shown_cursor; /* private to app_prepare */
};

/* What a handler did. */
enum { TIMELINE_MARGIN = 6 }; /* columns beside the bar */

enum {
    APP_NONE = 0,
    APP_REDRAW = 1,
    APP_QUIT = 2,
    APP_SUSPEND = 4,
    APP_REPAINT = 8,
    APP_MOUSE = 16,
    APP_PAINT = 32
};

/* Panes from the options; live sessions are opened here (a session that cannot be opened is an error of the
 * whole). After an error, too, app_close ends it. */
int app_open(app *a, const tui_opts *o, err *e) MUST_CHECK;
/* False: the worker is still inside a step (see worker_stop). */
bool app_close(app *a);

/* The theme of the options, or the default and a complaint in the message row; a->pal.theme is set. */
void app_themes_open(app *a, const tui_opts *o);
void app_themes_close(app *a);

/* Takes finished work over from the worker; flags. */
unsigned app_events(app *a);
/* Playback: seconds until app_tick has something to do, or -1. */
double app_wait(const app *a, double now);
unsigned app_tick(app *a, double now);
bool app_busy(const app *a);
bool app_waits(const app *a); /* for a proposal or a look */

/* Recompute layout and what is derived from states; call before drawing. */
int app_prepare(app *a, int cols, int rows, err *e) MUST_CHECK;

void app_say(app *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
void app_complain(app *a, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* tokens, rank and the like follow traj and state. Verbs that read them call it first, since no frame may
 * have been drawn since the last change. */
int pane_derive(pane *p, err *e) MUST_CHECK;

/* Reading, for views. */
static inline const pane *app_pane(const app *a, int i) {
    return &a->panes[i];
}
const step_record *pane_record(const pane *p); /* of the state shown; NULL at the end or while computing */
int pane_states(const pane *p);                /* the last state there is */
int pane_planned(const pane *p);               /* steps of the whole decode, as far as known */
bool pane_complete(const pane *p);             /* nothing is masked in the last state, nor proposed */
const char *pane_policy(const pane *p);        /* its name */
bool pane_approximate(const pane *p);          /* steps read a kv-cache */
double pane_total_entropy(const pane *p, int n, bool *known);
double entropy_max(const pane *p); /* ln of the tokens that can be written, at least a little */
int rank_max(const pane *p);       /* positions the whole decode unmasks */
int app_positions(const app *a);   /* of the longer pane */
const char *layer_name(layer l);
const char *tab_name(int tab);
double app_speed(const app *a); /* steps per second */

/* Time verbs (step.c). */
unsigned app_step(app *a, int count);
unsigned app_back(app *a, int count);
unsigned app_play(app *a, int count);
unsigned app_run(app *a, int count);
unsigned app_rewind(app *a, int count);
unsigned app_first(app *a, int count);
unsigned app_last(app *a, int count); /* with a count: that state */
unsigned app_follow(app *a, int count);
unsigned app_stop_next(app *a, int count);
unsigned app_stop_prev(app *a, int count);
unsigned app_divergence(app *a, int count);
unsigned app_faster(app *a, int count);
unsigned app_slower(app *a, int count);
unsigned app_divergence_next(app *a, int count);
unsigned app_divergence_prev(app *a, int count);
unsigned app_margin(app *a, int count); /* to the least sure position */
unsigned app_lock(app *a, int count);
unsigned app_go(app *a, int pane, int state); /* and the other panes, when locked */
void app_say_stuck(app *a, const pane *p);

/* The first state at which some pane is not as pane A, of the states that both have; -1: none. *which: the
 * pane, *pos: the first position; either may be NULL. */
int app_diverges(const app *a, int *which, int *pos);

/* Panes while running (panes.c). */
unsigned app_pane_add(app *a, int count);
unsigned app_pane_close(app *a, int count);
/* A pane beside the others: the focused one's decode from its start under policy p, which NULL leaves open.
 */
int app_add_pane(app *a, const policy *p, err *e) MUST_CHECK;
pane *app_pane_of(app *a, int id); /* by the worker's number; NULL: closed meanwhile */
void pane_release(pane *p);
void panes_changed(app *a); /* what is derived from all panes is made anew */

/* Marks (marks.c). count: the letter, from 1. */
unsigned app_mark(app *a, int count);
unsigned app_mark_go(app *a, int count);

/* Position verbs (move.c). */
unsigned app_left(app *a, int count);
unsigned app_right(app *a, int count);
unsigned app_up(app *a, int count);
unsigned app_down(app *a, int count);
unsigned app_next_masked(app *a, int count);
unsigned app_prev_masked(app *a, int count);
unsigned app_first_generated(app *a, int count);
unsigned app_last_generated(app *a, int count);
unsigned app_page_down(app *a, int count);
unsigned app_page_up(app *a, int count);
unsigned app_half_down(app *a, int count);
unsigned app_half_up(app *a, int count);
unsigned app_click(app *a, int x, int y);
unsigned app_drag(app *a, int x, int y);
unsigned app_wheel(app *a, int x, int y, int lines);
void app_show_cursor(app *a); /* scroll so that the cursor is seen */

/* Looks (look.c). */
unsigned app_layer_entropy(app *a, int count);
unsigned app_layer_tis(app *a, int count);
unsigned app_layer_order(app *a, int count);
unsigned app_layer_prob(app *a, int count);
unsigned app_toggle_legend(app *a, int count);
unsigned app_toggle_diff(app *a, int count);
unsigned app_next_tab(app *a, int count);
unsigned app_candidates(app *a, int count);
unsigned app_focus_next(app *a, int count);
unsigned app_open_help(app *a, int count);
/* A theme by its name or file; nothing changes when it cannot be had. */
int app_wear_theme(app *a, const char *name, unsigned *flags, err *e) MUST_CHECK;
const char *app_theme_name(const app *a, int i); /* of the list; NULL behind its end */
unsigned app_next_theme(app *a, int count);
unsigned app_toggle_mouse(app *a, int count);
unsigned app_repaint(app *a, int count);
unsigned app_suspend(app *a, int count);
unsigned app_quit(app *a, int count);
unsigned app_quit_now(app *a, int count);
/* May `run` lose unsaved work? Not before it was asked for twice in a row, or with '!'. `what` is said then.
 */
bool app_sure(app *a, unsigned (*run)(app *a, int count), const char *what);

/* What no file holds (unsaved.c), as flags that say what would keep it. */
enum { KEPT_BY_RECORD = 1, KEPT_BY_TREE = 2, KEPT_BY_WRITE = 4 };
unsigned pane_unsaved(const pane *p);
unsigned app_unsaved(const app *a, char panes[TUI_MAX_PANES + 1]); /* their letters, too */
const char *app_keeper(const app *a, unsigned by);                 /* the key or command for the message */
void pane_changed(pane *p, int id);                                /* this branch, by a person */
void app_noted(app *a, pane *p);                                   /* the step that the pane shows */
void pane_recorded(pane *p);                                       /* R wrote its own decode */
void pane_written(pane *p);                                        /* :write wrote what it shows */
void pane_tree_written(pane *p);                                   /* W */

/* Live verbs (live.c). */
unsigned app_next_policy(app *a, int count);
unsigned app_prev_policy(app *a, int count);
unsigned app_restart(app *a, int count);
unsigned app_record(app *a, int count);
void app_record_path(app *a, const char *end, char *buf, size_t size); /* of a file of this run */
unsigned app_cancel(app *a, int count);
void app_commit(app *a, pane *p); /* the pending record becomes a step */
/* Parameters for policy p: its defaults, and what a person had set by hand in `from` where p has it and takes
 * it; left_out names the others. */
void app_carry_params(const app *a, const policy *p, const param_set *from, param_set *to, strbuf *left_out);
unsigned app_set_policy(app *a, const policy *p); /* of the focused pane, from state 0 */

/* Typed verbs (search.c, command_file.c). */
unsigned app_type_command(app *a, int count);
unsigned app_type_search(app *a, int count);
unsigned app_search_next(app *a, int count);
unsigned app_search_prev(app *a, int count);
int app_search(app *a, const char *text, err *e) MUST_CHECK;
/* A trajectory to a file, notes included. */
int app_save(const app *a, const trajectory *t, const char *path, err *e) MUST_CHECK;

#endif
