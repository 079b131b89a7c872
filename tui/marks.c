/* marks.c - places one comes back to: a letter stands for a state and a position. Going there looks up, and
 * computes nothing. */
#include "tui/app.h"

unsigned app_mark(app *a, int count) {
    const pane *p = &a->panes[a->focus];
    if (count < 1 || count > N_MARKS) {
        app_complain(a, "a mark is a letter of a to z");
        return APP_REDRAW;
    }
    a->marks[count - 1] = (place_mark){true, p->state, a->cursor};
    app_say(a, "mark %c: state %d, position %d", 'a' + count - 1, p->state, a->cursor);
    return APP_REDRAW;
}

unsigned app_mark_go(app *a, int count) {
    const place_mark *m = count >= 1 && count <= N_MARKS ? &a->marks[count - 1] : NULL;
    if (!m || !m->set) {
        app_complain(a, m ? "there is no mark %c; m%c sets it" : "a mark is a letter of a to z",
                     'a' + count - 1, 'a' + count - 1);
        return APP_REDRAW;
    }
    app_go(a, a->focus, m->state);
    int have = a->panes[a->focus].state, last = app_positions(a) - 1;
    a->cursor = m->pos < last ? m->pos : last;
    if (have < m->state) {
        app_say(a, "mark %c is at state %d, this decode ends at %d so far", 'a' + count - 1, m->state, have);
    } else {
        app_say(a, "mark %c: state %d, position %d", 'a' + count - 1, have, a->cursor);
    }
    return APP_REDRAW;
}
