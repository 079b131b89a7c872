/* unfinished.c - closer looks that have no view of their own yet. */
#include "tui/view.h"

static void draw(const app *a, int i, cells *g, rect r) {
    (void)i;
    draw_no_look(a, g, r, "there is no view of this yet");
}

const view view_truth = {"truth", draw}, view_scores = {"scores", draw}, view_attention = {"attention", draw},
           view_lock_in = {"lock-in", draw};
