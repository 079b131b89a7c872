/* history.h - the way back: moments of a pane, in the order in which a person made them.
 *
 * A moment is a whole pane: branch, records, the policy's proposal, the state shown. Records are shared,
 * never copied, so a moment costs a list of pointers, and going back to one is exact to the bit.
 *
 * history_note is called before every edit, restart and switch of branches. What is in front of `now` can
 * be redone until the next edit; what would be lost then stays as a branch. Zeroed storage is empty.
 */
#ifndef TABES_TUI_HISTORY_H
#define TABES_TUI_HISTORY_H

#include "replay/replay.h"

typedef struct moment {
    tree_node node; /* with its own trajectory */
    int state;
} moment;

typedef struct history {
    moment *at;
    size_t cap; /* private */
    int n, now; /* `now` == n: the present is not among the moments */
} history;

enum { HISTORY_MAX = 1000 };

void history_release(history *h);

/* The present goes behind `now`. The tree gets what can no longer be redone. */
int history_note(history *h, tree *t, const trajectory *present, int state, err *e) MUST_CHECK;

/* The moment before (by -1) or after (by 1) the present, which takes the present's place there; NULL and no
 * error when there is none. Valid until the history changes. */
int history_move(const moment **out, history *h, const tree *t, const trajectory *present, int state, int by,
                 err *e) MUST_CHECK;

#endif
