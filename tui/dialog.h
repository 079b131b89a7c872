/* dialog.h - boxes over the screen that take the keys until they are closed: the token picker, the policy
 * form, the prompt editor, the list of branches.
 *
 * One file and one table each. Esc closes every one and changes nothing; what a box does besides stands in
 * its bottom line. A box is about the focused pane, which stays focused while it is open.
 */
#ifndef TABES_TUI_DIALOG_H
#define TABES_TUI_DIALOG_H

#include "tui/app.h"
#include "tui/keys.h"
#include "tui/view.h"

enum { INPUT_MAX = 1 << 16 };

/* Text being typed: UTF-8, with the place where the next character goes. */
typedef struct input {
    char *text; /* never NULL after input_set; ends with NUL */
    int n, at;
    size_t cap;
} input;

bool input_set(input *in, const char *text);
void input_release(input *in);
/* Inserts, deletes or moves; false when the key means nothing to it. */
bool input_key(input *in, int key);
/* One line of it, with the cursor reversed. */
void input_draw(const app *a, const input *in, cells *g, int x, int y, int end);

typedef struct dialog_kind {
    const char *title, *keys;
    /* Height that it would like, without the frame. */
    int (*lines)(const app *a);
    int width;
    void (*press)(app *a, int key); /* any key but Esc and Ctrl-c */
    void (*draw)(const app *a, cells *g, rect inside);
} dialog_kind;

struct dialog {
    const dialog_kind *kind;
    int row, top; /* the row that is chosen, the first that is shown */
    input in;
    bool typing;
    char note[200]; /* why the last key was refused */

    /* Picker: the tokens that the text makes; on failure n_ids is 0 and note says why. */
    int32_t *ids;
    int n_ids;

    /* Form. */
    const policy *policy;
    param_set params;
};

/* Takes the keys from now on; NULL (with a message) without memory. */
dialog *dialog_open(app *a, const dialog_kind *k);
void dialog_close(app *a);
unsigned dialog_press(app *a, int key);
void dialog_draw(const app *a, cells *g, rect r);
void dialog_note(app *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Up and down, PgUp and PgDn among n rows; false for other keys. */
bool dialog_move(dialog *o, int key, int n);

/* Keys that open them. */
unsigned app_pick(app *a, int count);
unsigned app_form(app *a, int count);
unsigned app_edit_prompt(app *a, int count);
unsigned app_branches(app *a, int count);
unsigned app_save_tree(app *a, int count);

#endif
