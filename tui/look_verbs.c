/* look_verbs.c - keys and commands that open a closer look. The same key again goes back to inspector and
 * state. */
#include "tui/app.h"

static const char no_model[] = "this asks the model, and a recording has none: tabes replay FILE -m MODEL";

int looks_refuse(err *e) {
    return err_set(e, ERR_BAD_ARGUMENT, "%s", no_model);
}

static bool refuse(app *a) {
    if (looks_possible(a)) return false;
    app_complain(a, "%s", no_model);
    return true;
}

/* l: the colouring that belongs to it, or N_LAYERS for none. */
static unsigned show(app *a, detail_tab tab, layer l, const char *what) {
    if (refuse(a)) return APP_REDRAW;
    bool back = a->tab == tab && (l == N_LAYERS || a->layer == l);
    a->tab = back ? TAB_INSPECTOR : tab;
    if (l != N_LAYERS) a->layer = back ? LAYER_STATE : l;
    a->looks.given_up = 0;
    if (!back) app_say(a, "%s", what);
    return APP_REDRAW;
}

unsigned app_look_influence(app *a, int count) {
    (void)count;
    bool open = a->tab == TAB_INFLUENCE && a->layer == LAYER_INFLUENCE;
    if (open && !a->looks.settled_by) {
        a->looks.settled_by = true;
        a->looks.given_up = 0;
        app_say(a, "colouring: who settles the cursor; again: back");
        return APP_REDRAW;
    }
    a->looks.settled_by = false;
    return show(a, TAB_INFLUENCE, LAYER_INFLUENCE,
                "colouring: whom the cursor settles; again: who settles it");
}

unsigned app_look_truth(app *a, int count) {
    (void)count;
    return show(a, TAB_TRUTH, N_LAYERS, "TIS against the true reduction; vr checks the whole run");
}

unsigned app_look_run(app *a, int count) {
    (void)count;
    if (refuse(a)) return APP_REDRAW;
    a->tab = TAB_TRUTH;
    a->looks.whole_run = true;
    a->looks.run_left = pane_states(app_pane(a, a->focus)); /* counted once it begins */
    a->looks.given_up = 0;
    app_say(a, "checking every state of pane %c; Ctrl-c stops", 'A' + a->focus);
    return APP_REDRAW;
}

unsigned app_look_scores(app *a, int count) {
    (void)count;
    return show(a, TAB_SCORES, N_LAYERS, "the parts of the score, and every policy's rank");
}

static void open_attention(app *a) {
    a->tab = TAB_ATTENTION;
    a->layer = LAYER_ATTENTION;
    a->looks.given_up = 0;
}

int app_look_at_layer(app *a, int n, err *e) {
    if (!looks_possible(a)) return looks_refuse(e);
    int last = denoiser_get_info(a->looking)->n_layers - 1;
    if (n < 0 || n > last) return err_set(e, ERR_BAD_ARGUMENT, "layer %d, expected 0..%d", n, last);
    a->looks.layer = n;
    open_attention(a);
    return 0;
}

unsigned app_look_attention(app *a, int count) {
    err e = {0};
    if (!count)
        return show(a, TAB_ATTENTION, LAYER_ATTENTION,
                    "where the cursor looks; { and } take another head, 2va layer 2");
    if (app_look_at_layer(a, count, &e)) app_complain(a, "%s", e.msg);
    return APP_REDRAW;
}

int app_look_at_head(app *a, int head, err *e) {
    if (!looks_possible(a)) return looks_refuse(e);
    int n = denoiser_get_info(a->looking)->n_heads;
    if (head < -1 || head >= n) return err_set(e, ERR_BAD_ARGUMENT, "head %d, expected 0..%d", head, n - 1);
    a->looks.head = head;
    open_attention(a);
    return 0;
}

/* Heads follow one another: the mean of a layer, its heads, the mean of the next layer. */
static unsigned move_head(app *a, int by) {
    if (refuse(a)) return APP_REDRAW;
    const denoiser_info *info = denoiser_get_info(a->looking);
    int per = info->n_heads + 1, all = per * info->n_layers;
    int at = a->looks.layer * per + a->looks.head + 1;
    at = ((at + by) % all + all) % all;
    a->looks.layer = at / per;
    a->looks.head = at % per - 1;
    open_attention(a);
    return APP_REDRAW;
}

unsigned app_look_head_next(app *a, int count) {
    return move_head(a, count ? count : 1);
}

unsigned app_look_head_prev(app *a, int count) {
    return move_head(a, -(count ? count : 1));
}

unsigned app_look_lock_in(app *a, int count) {
    (void)count;
    return show(a, TAB_LOCK_IN, LAYER_LOCK_IN, "colouring: written tokens that the model now doubts");
}
