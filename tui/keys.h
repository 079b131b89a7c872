/* keys.h - the one table of keys.
 *
 * A row binds keys to a named command, its handler and its help text; the help overlay and the hint
 * row are made from the table. Keys arrive as code points or as the KEY_ values below, whatever
 * the terminal sent; a number typed first is the handler's count.
 */
#ifndef TABES_TUI_KEYS_H
#define TABES_TUI_KEYS_H

#include "tui/app.h"
#include "tui/term.h"

enum tui_key {
    TUI_KEY_FIRST = 0x110000,
    TUI_KEY_UP = TUI_KEY_FIRST,
    TUI_KEY_DOWN,
    TUI_KEY_LEFT,
    TUI_KEY_RIGHT,
    TUI_KEY_HOME,
    TUI_KEY_END,
    TUI_KEY_PAGE_UP,
    TUI_KEY_PAGE_DOWN,
    TUI_KEY_BACKTAB,
    TUI_KEY_F1,
    TUI_KEY_F10,
    TUI_KEY_LAST
};

#define KEY_CTRL(c)   ((c)&0x1F)
#define KEY_TWO(a, b) (0x200000 | (a) << 8 | (b))
#define KEY_LETTER(a) (0x400000 | (a) << 8) /* and any letter of a to z: the count is its number, from 1 */
enum { KEY_ESC = 27, KEY_RETURN = 13, BINDING_KEYS = 4, KEY_LABEL = 12 };

typedef enum key_group {
    GROUP_TIME,
    GROUP_POSITION,
    GROUP_LOOK,
    GROUP_WHY,
    GROUP_EDIT,
    GROUP_RUN,
    GROUP_LESSON,
    GROUP_PROGRAM,
    N_GROUPS
} key_group;

/* When a hint is worth a place in the hint row. */
typedef enum key_when { HINT_NEVER, HINT_ALWAYS, HINT_LIVE, HINT_COMPARE, HINT_BUSY } key_when;

typedef struct binding {
    int keys[BINDING_KEYS]; /* 0 ends */
    const char *command;
    unsigned (*run)(app *a, int count);
    const char *help;
    key_group group;
    key_when when;
    const char *hint;
} binding;

extern const binding bindings[];
extern const int n_bindings;
const char *key_group_title(key_group g);

/* "s", "Ctrl-l", "gg", "Space"; buf holds KEY_LABEL bytes. */
const char *key_label(int key, char *buf);
/* All keys of a row: "s .". */
const char *binding_label(const binding *b, char *buf, int size);

/* One key press; returns APP_ flags. */
unsigned keys_press(app *a, int key);
/* A key, or what the pointer did; an open box takes the pointer away from what is under it. */
unsigned keys_input(app *a, const term_input *in);

#endif
