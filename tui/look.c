/* look.c - verbs that change what is shown, not where one is. */
#include "tui/dialog.h"

/* The same key again goes back to plain. */
static unsigned set_layer(app *a, layer l) {
    a->layer = a->layer == l ? LAYER_STATE : l;
    app_say(a, "colouring: %s", layer_name(a->layer));
    return APP_REDRAW;
}

unsigned app_layer_entropy(app *a, int count) {
    (void)count;
    return set_layer(a, LAYER_ENTROPY);
}

unsigned app_layer_tis(app *a, int count) {
    (void)count;
    return set_layer(a, LAYER_TIS);
}

unsigned app_layer_order(app *a, int count) {
    (void)count;
    return set_layer(a, LAYER_ORDER);
}

unsigned app_layer_prob(app *a, int count) {
    (void)count;
    return set_layer(a, LAYER_PROB);
}

unsigned app_toggle_legend(app *a, int count) {
    (void)count;
    a->legend = !a->legend;
    return APP_REDRAW;
}

unsigned app_toggle_diff(app *a, int count) {
    (void)count;
    a->diff = !a->diff;
    app_say(a, a->diff ? "differences marked" : "differences not marked");
    return APP_REDRAW;
}

unsigned app_next_tab(app *a, int count) {
    (void)count;
    a->tab = a->tab < TAB_CHART ? a->tab + 1 : TAB_INSPECTOR;
    if (!a->lay.tabbed) app_say(a, "this screen shows inspector, candidates and chart together");
    return APP_REDRAW;
}

unsigned app_candidates(app *a, int count) {
    bool shown = !a->lay.tabbed || a->tab == TAB_CANDIDATES;
    if (shown && a->model) return app_pick(a, count);
    a->tab = TAB_CANDIDATES;
    return APP_REDRAW;
}

unsigned app_focus_next(app *a, int count) {
    (void)count;
    if (a->n_panes) a->focus = (a->focus + 1) % a->n_panes;
    return APP_REDRAW;
}

unsigned app_open_help(app *a, int count) {
    (void)count;
    a->help = true;
    a->help_scroll = 0;
    return APP_REDRAW;
}

unsigned app_toggle_mouse(app *a, int count) {
    (void)a;
    (void)count;
    return APP_MOUSE | APP_REDRAW;
}

unsigned app_repaint(app *a, int count) {
    (void)a;
    (void)count;
    return APP_REPAINT | APP_REDRAW;
}

unsigned app_suspend(app *a, int count) {
    (void)count;
    a->playing = false;
    return APP_SUSPEND | APP_REDRAW;
}

/* A script's lines were written with their end in mind, and nobody may be there to answer. */
bool app_sure(app *a, unsigned (*run)(app *a, int count), const char *what) {
    if (a->again || a->forced || a->script.depth) return true;
    a->asked = run;
    app_complain(a, "%s", what);
    return false;
}

unsigned app_quit_now(app *a, int count) {
    (void)count;
    a->quit = true;
    return APP_QUIT;
}

unsigned app_quit(app *a, int count) {
    char panes[TUI_MAX_PANES + 1], what[160];
    unsigned by = app_unsaved(a, panes);
    if (by) {
        snprintf(what, sizeof what,
                 "no file holds the changes in pane %s: %s keeps them, q again or :quit! leaves", panes,
                 app_keeper(a, by));
        if (!app_sure(a, app_quit, what)) return APP_REDRAW;
    }
    return app_quit_now(a, count);
}
