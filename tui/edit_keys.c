/* edit_keys.c - changes that are one key at the cursor: put back, pin, ban. */
#include "tui/edit.h"

unsigned app_remask(app *a, int count) {
    pane *p = edit_place(a);
    err e = {0};
    (void)count;
    if (!p) return APP_REDRAW;
    if (edit_remask(a, p, a->cursor, &e)) {
        app_say(a, "position %d is masked again; u undoes", a->cursor);
    } else {
        app_complain(a, "%s", e.msg);
    }
    return APP_REDRAW;
}

unsigned app_pin(app *a, int count) {
    pane *p = edit_place(a);
    err e = {0};
    bool on;
    (void)count;
    if (!p) return APP_REDRAW;
    if (edit_toggle_pin(a, p, a->cursor, &on, &e)) {
        app_say(a, "position %d is %s; u undoes", a->cursor,
                on ? "pinned: the policy leaves it as it is" : "no longer pinned");
    } else {
        app_complain(a, "%s", e.msg);
    }
    return APP_REDRAW;
}

unsigned app_ban(app *a, int count) {
    pane *p = edit_place(a);
    err e = {0};
    (void)count;
    if (!p) return APP_REDRAW;
    int pos = a->cursor, k = -1;
    const step_record *r = pane_record(p);
    step_ban ban = {pos, p->tokens[pos]};
    if (ban.token == p->own.head.mask_id) {
        k = r ? record_masked_index(r, pos) : -1;
        if (k < 0 || !r->argmax) {
            app_say(a, "nothing is known about position %d yet: wait for the proposal", pos);
            return APP_REDRAW;
        }
        ban.token = r->argmax[k];
    }
    bool on;
    char text[64];
    if (edit_toggle_ban(a, p, ban, &on, &e)) {
        app_say(a, "'%s' is %s at position %d; u undoes",
                flow_token_text(p->own.texts, ban.token, p->own.head.mask_id, text, sizeof text),
                on ? "banned" : "allowed again", pos);
    } else {
        app_complain(a, "%s", e.msg);
    }
    return APP_REDRAW;
}
