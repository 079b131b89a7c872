/* keys.c - key to command. Counts and two-key commands are assembled here and nowhere else. */
#include "tui/edit.h"
#include "tui/keys.h"
#include "tui/dialog.h"

static unsigned goto_state(app *a, int count) {
    return app_last(a, count);
}

const binding bindings[] = {
    {{'s', '.'}, "step", app_step, "one step forward; at a live end unmask", GROUP_TIME, HINT_NEVER, NULL},
    {{'S', ','}, "back", app_back, "one step back", GROUP_TIME, HINT_NEVER, NULL},
    {{' '}, "play", app_play, "play and pause all panes", GROUP_TIME, HINT_ALWAYS, "play"},
    {{'c'}, "run", app_run, "run to the end", GROUP_TIME, HINT_ALWAYS, "run to end"},
    {{'C', KEY_TWO('g', 'g')}, "first", app_first, "state 0, the start", GROUP_TIME, HINT_NEVER, NULL},
    {{'G'}, "goto", goto_state, "last state; 12G goes to state 12", GROUP_TIME, HINT_NEVER, NULL},
    {{'F'}, "follow", app_follow, "the live end", GROUP_TIME, HINT_NEVER, NULL},
    {{']'}, "stop-next", app_stop_next, "next step that wrote this position", GROUP_TIME, HINT_NEVER, NULL},
    {{'['}, "stop-prev", app_stop_prev, "previous such step", GROUP_TIME, HINT_NEVER, NULL},
    {{KEY_LETTER('m')}, "mark", app_mark, "mark this state and position", GROUP_TIME, HINT_NEVER, NULL},
    {{KEY_LETTER('\'')}, "mark-go", app_mark_go, "go to a mark", GROUP_TIME, HINT_NEVER, NULL},
    {{'D'},
     "divergence",
     app_divergence,
     "first state at which the panes differ",
     GROUP_TIME,
     HINT_COMPARE,
     "divergence"},
    {{')'},
     "divergence-next",
     app_divergence_next,
     "next step that differs between the panes",
     GROUP_TIME,
     HINT_NEVER,
     NULL},
    {{'('}, "divergence-prev", app_divergence_prev, "previous such step", GROUP_TIME, HINT_NEVER, NULL},
    {{'+'}, "faster", app_faster, "play faster", GROUP_TIME, HINT_NEVER, NULL},
    {{'-'}, "slower", app_slower, "play slower", GROUP_TIME, HINT_NEVER, NULL},
    {{'h', TUI_KEY_LEFT}, "left", app_left, "previous position", GROUP_POSITION, HINT_NEVER, NULL},
    {{'l', TUI_KEY_RIGHT}, "right", app_right, "next position", GROUP_POSITION, HINT_NEVER, NULL},
    {{'k', TUI_KEY_UP}, "up", app_up, "line up", GROUP_POSITION, HINT_NEVER, NULL},
    {{'j', TUI_KEY_DOWN}, "down", app_down, "line down", GROUP_POSITION, HINT_NEVER, NULL},
    {{'w'}, "next-masked", app_next_masked, "next masked position", GROUP_POSITION, HINT_NEVER, NULL},
    {{'b'}, "prev-masked", app_prev_masked, "previous masked position", GROUP_POSITION, HINT_NEVER, NULL},
    {{'0', TUI_KEY_HOME},
     "first-generated",
     app_first_generated,
     "first generated position",
     GROUP_POSITION,
     HINT_NEVER,
     NULL},
    {{'$', TUI_KEY_END},
     "last-generated",
     app_last_generated,
     "last generated position",
     GROUP_POSITION,
     HINT_NEVER,
     NULL},
    {{KEY_CTRL('d')}, "half-down", app_half_down, "half a page down", GROUP_POSITION, HINT_NEVER, NULL},
    {{KEY_CTRL('u')}, "half-up", app_half_up, "half a page up", GROUP_POSITION, HINT_NEVER, NULL},
    {{KEY_CTRL('f'), TUI_KEY_PAGE_DOWN},
     "page-down",
     app_page_down,
     "page down",
     GROUP_POSITION,
     HINT_NEVER,
     NULL},
    {{KEY_CTRL('b'), TUI_KEY_PAGE_UP}, "page-up", app_page_up, "page up", GROUP_POSITION, HINT_NEVER, NULL},
    {{'/'},
     "find",
     app_type_search,
     "search text, 12, H>3, p<0.5, written@12",
     GROUP_POSITION,
     HINT_NEVER,
     NULL},
    {{'n'}, "find-next", app_search_next, "next hit", GROUP_POSITION, HINT_NEVER, NULL},
    {{'N'}, "find-prev", app_search_prev, "previous hit", GROUP_POSITION, HINT_NEVER, NULL},
    {{'z'}, "margin", app_margin, "position of the lowest margin", GROUP_POSITION, HINT_NEVER, NULL},
    {{'e'},
     "entropy",
     app_layer_entropy,
     "colour by entropy H; again: by state",
     GROUP_LOOK,
     HINT_ALWAYS,
     "entropy"},
    {{'t'}, "tis", app_layer_tis, "colour by TIS", GROUP_LOOK, HINT_ALWAYS, "TIS"},
    {{'o'}, "order", app_layer_order, "colour by unmask order", GROUP_LOOK, HINT_ALWAYS, "order"},
    {{'O'}, "orders", app_orders, "compare the order with pane A's", GROUP_LOOK, HINT_NEVER, NULL},
    {{'%'}, "confidence", app_layer_prob, "colour by confidence", GROUP_LOOK, HINT_NEVER, NULL},
    {{'T'}, "theme-next", app_next_theme, "next theme", GROUP_LOOK, HINT_NEVER, NULL},
    {{'L'}, "legend", app_toggle_legend, "legend on and off", GROUP_LOOK, HINT_NEVER, NULL},
    {{'d'}, "differences", app_toggle_diff, "mark where the panes differ", GROUP_LOOK, HINT_NEVER, NULL},
    {{'i'}, "detail", app_next_tab, "on small screens: the next detail", GROUP_LOOK, HINT_NEVER, NULL},
    {{KEY_RETURN},
     "candidates",
     app_candidates,
     "show the candidates; again: write one",
     GROUP_LOOK,
     HINT_NEVER,
     NULL},
    {{'\t', TUI_KEY_BACKTAB},
     "pane",
     app_focus_next,
     "focus the next pane",
     GROUP_LOOK,
     HINT_COMPARE,
     "pane"},
    {{KEY_TWO(KEY_CTRL('w'), 'n')},
     "pane-add",
     app_pane_add,
     "one more pane, with another policy",
     GROUP_LOOK,
     HINT_NEVER,
     NULL},
    {{KEY_TWO(KEY_CTRL('w'), 'c')},
     "pane-close",
     app_pane_close,
     "close the pane",
     GROUP_LOOK,
     HINT_NEVER,
     NULL},
    {{'='}, "lock", app_lock, "lock the panes to one step, or not", GROUP_LOOK, HINT_NEVER, NULL},
    {{KEY_TWO('v', 'i')},
     "influence",
     app_look_influence,
     "whom the cursor settles; again: by whom",
     GROUP_WHY,
     HINT_NEVER,
     NULL},
    {{KEY_TWO('v', 't')},
     "truth",
     app_look_truth,
     "check TIS against true reductions",
     GROUP_WHY,
     HINT_NEVER,
     NULL},
    {{KEY_TWO('v', 'r')},
     "truth-run",
     app_look_run,
     "check every state of the run",
     GROUP_WHY,
     HINT_NEVER,
     NULL},
    {{KEY_TWO('v', 's')},
     "anatomy",
     app_look_scores,
     "parts of the score, and all policies' ranks",
     GROUP_WHY,
     HINT_NEVER,
     NULL},
    {{KEY_TWO('v', 'a')},
     "attention",
     app_look_attention,
     "attention from the cursor; 2va: layer 2",
     GROUP_WHY,
     HINT_NEVER,
     NULL},
    {{'{'},
     "head-prev",
     app_look_head_prev,
     "attention: previous head or layer",
     GROUP_WHY,
     HINT_NEVER,
     NULL},
    {{'}'}, "head-next", app_look_head_next, "attention: next head or layer", GROUP_WHY, HINT_NEVER, NULL},
    {{KEY_TWO('v', 'l')},
     "lockin",
     app_look_lock_in,
     "written tokens that the model now doubts",
     GROUP_WHY,
     HINT_NEVER,
     NULL},
    {{'r'}, "pick", app_pick, "write tokens by hand at the cursor", GROUP_EDIT, HINT_LIVE, "write"},
    {{'x'}, "remask", app_remask, "put the token back to the mask", GROUP_EDIT, HINT_NEVER, NULL},
    {{'B'}, "ban", app_ban, "ban the likeliest token here; again: allow", GROUP_EDIT, HINT_NEVER, NULL},
    {{'p'}, "pin", app_pin, "pin the position as it is, or not", GROUP_EDIT, HINT_NEVER, NULL},
    {{'P'}, "form", app_form, "policy and parameters, from here on", GROUP_EDIT, HINT_NEVER, NULL},
    {{'E'}, "edit-prompt", app_edit_prompt, "edit the prompt and start anew", GROUP_EDIT, HINT_NEVER, NULL},
    {{'u'}, "undo", app_undo, "undo an edit, restart or switch", GROUP_EDIT, HINT_LIVE, "undo"},
    {{KEY_CTRL('r')}, "redo", app_redo, "redo", GROUP_EDIT, HINT_NEVER, NULL},
    {{'K'}, "branches", app_branches, "branches: go to, compare, name, delete", GROUP_EDIT, HINT_NEVER, NULL},
    {{'W'},
     "save-tree",
     app_save_tree,
     "write all branches of all panes to a file",
     GROUP_EDIT,
     HINT_NEVER,
     NULL},
    {{'a'}, "policy-next", app_next_policy, "restart with the next policy", GROUP_RUN, HINT_LIVE, "policy"},
    {{'A'}, "policy-prev", app_prev_policy, "restart with the previous policy", GROUP_RUN, HINT_NEVER, NULL},
    {{'X'}, "restart", app_restart, "restart the decode", GROUP_RUN, HINT_NEVER, NULL},
    {{'R'}, "record", app_record, "write recordings (JSON Lines)", GROUP_RUN, HINT_LIVE, "record"},
    {{KEY_ESC, KEY_CTRL('c')},
     "cancel",
     app_cancel,
     "cancel a step, stop playing, close help",
     GROUP_RUN,
     HINT_BUSY,
     "cancel"},
    {{'>'}, "lesson-next", app_lesson_next, "lesson: on, or tell the answer", GROUP_LESSON, HINT_NEVER, NULL},
    {{'<'}, "lesson-back", app_lesson_back, "lesson: back", GROUP_LESSON, HINT_NEVER, NULL},
    {{':'}, "command", app_type_command, "type a command", GROUP_PROGRAM, HINT_ALWAYS, "command"},
    {{'?', TUI_KEY_F1}, "help", app_open_help, "this help", GROUP_PROGRAM, HINT_ALWAYS, "help"},
    {{'M'}, "mouse", app_toggle_mouse, "mouse on and off", GROUP_PROGRAM, HINT_NEVER, NULL},
    {{KEY_CTRL('l')}, "repaint", app_repaint, "repaint the screen", GROUP_PROGRAM, HINT_NEVER, NULL},
    {{KEY_CTRL('z')}, "suspend", app_suspend, "suspend", GROUP_PROGRAM, HINT_NEVER, NULL},
    {{'q', TUI_KEY_F10},
     "quit",
     app_quit,
     "close help, else quit; asks if unsaved",
     GROUP_PROGRAM,
     HINT_ALWAYS,
     "quit"},
    {{'Q'},
     "quit-now",
     app_quit_now,
     "quit at once, also while a step runs",
     GROUP_PROGRAM,
     HINT_NEVER,
     NULL},
};
const int n_bindings = (int)(sizeof bindings / sizeof bindings[0]);

const char *key_group_title(key_group g) {
    static const char *const titles[N_GROUPS] = {"time", "position", "view",   "why",
                                                 "edit", "decode",   "lesson", "program"};
    return titles[g];
}

/* Labels -------------------------------------------------------------- */

const char *key_label(int key, char *buf) {
    static const char *const special[TUI_KEY_LAST - TUI_KEY_FIRST] = {
        "\u2191", "\u2193", "\u2190", "\u2192", "Home", "End", "PgUp", "PgDn", "Shift-Tab", "F1", "F10"};
    if (key >= KEY_LETTER(0)) {
        snprintf(buf, KEY_LABEL, "%c a-z", key >> 8 & 0xFF);
    } else if (key >= 0x200000) {
        int first = key >> 8 & 0xFF;
        snprintf(buf, KEY_LABEL, first < ' ' ? "Ctrl-%c %c" : "%c%c", first < ' ' ? first + 'a' - 1 : first,
                 key & 0xFF);
    } else if (key >= TUI_KEY_FIRST) {
        snprintf(buf, KEY_LABEL, "%s", special[key - TUI_KEY_FIRST]);
    } else if (key == ' ' || key == '\t' || key == KEY_ESC || key == KEY_RETURN) {
        snprintf(buf, KEY_LABEL, "%s",
                 key == ' '       ? "Space"
                 : key == '\t'    ? "Tab"
                 : key == KEY_ESC ? "Esc"
                                  : "Enter");
    } else if (key < ' ') {
        snprintf(buf, KEY_LABEL, "Ctrl-%c", key + 'a' - 1);
    } else {
        snprintf(buf, KEY_LABEL, "%c", key);
    }
    return buf;
}

const char *binding_label(const binding *b, char *buf, int size) {
    char one[KEY_LABEL];
    int used = 0;
    buf[0] = '\0';
    for (int i = 0; i < BINDING_KEYS && b->keys[i] && used < size; i++) {
        used += snprintf(buf + used, (size_t)(size - used), "%s%s", i ? " " : "", key_label(b->keys[i], one));
    }
    return buf;
}

/* Pressing ------------------------------------------------------------ */

enum { MAX_COUNT = 99999 };

static const binding *find(int key) {
    for (int i = 0; i < n_bindings; i++) {
        for (int k = 0; k < BINDING_KEYS && bindings[i].keys[k]; k++) {
            if (bindings[i].keys[k] == key) return &bindings[i];
        }
    }
    return NULL;
}

static bool starts_pair(int key) {
    for (int i = 0; i < n_bindings; i++) {
        for (int k = 0; k < BINDING_KEYS && bindings[i].keys[k]; k++) {
            if (bindings[i].keys[k] >= 0x200000 && (bindings[i].keys[k] >> 8 & 0xFF) == key) return true;
        }
    }
    return false;
}

/* While help is open, movement scrolls it and everything else but quitting closes nothing. */
static unsigned press_in_help(app *a, int key) {
    const binding *b = find(key);
    if (key == 'Q') return app_quit_now(a, 0);
    if (!b) return APP_NONE;
    if (b->run == app_quit || b->run == app_cancel || b->run == app_open_help) {
        a->help = false;
    } else if (b->run == app_down || b->run == app_half_down || b->run == app_page_down) {
        a->help_scroll += b->run == app_down ? 1 : 8;
    } else if (b->run == app_up || b->run == app_half_up || b->run == app_page_up) {
        a->help_scroll -= b->run == app_up ? 1 : 8;
        if (a->help_scroll < 0) a->help_scroll = 0;
    } else if (b->run == app_repaint || b->run == app_suspend) {
        return b->run(a, 0);
    }
    return APP_REDRAW;
}

static bool is_digit(const app *a, int key) {
    return !a->pending_key && ((key >= '1' && key <= '9') || (key == '0' && a->count));
}

static unsigned unknown(app *a, int key) {
    char label[KEY_LABEL];
    if (key > ' ' && key < 0x7F) {
        app_say(a, "'%s' has no meaning here; ? lists the keys", key_label(key, label));
    } else {
        app_say(a, "this key has no meaning here; ? lists the keys");
    }
    return APP_REDRAW;
}

/* While a lesson asks, digits are choices, and Return says that the cursor is there. */
static bool answers(const app *a, int key) {
    int asks = lesson_asks(a);
    if (a->count || a->pending_key) return false;
    return asks < 0 ? key == KEY_RETURN : asks && key >= '1' && key <= '0' + asks;
}

static unsigned answer(app *a, int key) {
    err e = {0};
    if (app_lesson_answer(a, key == KEY_RETURN ? 0 : key - '0', &e)) app_complain(a, "%s", e.msg);
    return APP_REDRAW;
}

unsigned keys_press(app *a, int key) {
    if (a->line.open) return line_key(a, key == '\n' ? KEY_RETURN : key);
    unsigned (*asked)(app *, int) = a->asked;
    a->asked = NULL;
    a->message[0] = '\0';
    a->warning = false;
    if (a->over) return dialog_press(a, key);
    if (key == 127 || key == 8) return unknown(a, 1);
    if (key == '\n') key = KEY_RETURN;
    if (a->help) return press_in_help(a, key);
    if (answers(a, key)) return answer(a, key);
    if (is_digit(a, key)) {
        a->count = a->count * 10 + (key - '0');
        if (a->count > MAX_COUNT) a->count = MAX_COUNT;
        return APP_REDRAW;
    }
    if (key == KEY_ESC && (a->count || a->pending_key)) {
        a->count = a->pending_key = 0;
        return APP_REDRAW;
    }
    if (!a->pending_key && starts_pair(key) && !find(key)) {
        a->pending_key = key;
        a->asked = asked; /* the pair may be the answer */
        return APP_REDRAW;
    }
    int whole = a->pending_key ? KEY_TWO(a->pending_key, key & 0xFF) : key, count = a->count;
    a->count = a->pending_key = 0;
    const binding *b = find(whole);
    if (!b && whole != key && key >= 'a' && key <= 'z') {
        b = find(KEY_LETTER(whole >> 8 & 0xFF));
        count = key - 'a' + 1;
    }
    if (!b) return unknown(a, key);
    a->again = asked == b->run;
    unsigned flags = b->run(a, count);
    a->again = false;
    return flags | APP_REDRAW;
}
