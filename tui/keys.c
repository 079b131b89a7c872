/* keys.c - key to command. Counts and two-key commands are assembled here and nowhere else. */
#include "tui/keys.h"
#include "tui/dialog.h"

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

unsigned keys_input(app *a, const term_input *in) {
    switch (in->event) {
    case TERM_KEY:
        return in->key < 0 ? APP_NONE : keys_press(a, in->key);
    case TERM_CLICK:
        return a->help || a->over ? APP_NONE : app_click(a, in->x, in->y);
    case TERM_DRAG:
        return a->help || a->over ? APP_NONE : app_drag(a, in->x, in->y);
    case TERM_WHEEL:
        if (a->over) return APP_NONE;
        if (a->help) return keys_press(a, in->lines > 0 ? 'j' : 'k');
        return app_wheel(a, in->x, in->y, in->lines);
    case TERM_RESIZE:
        return APP_REDRAW | APP_REPAINT;
    default:
        return APP_NONE;
    }
}
