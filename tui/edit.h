/* edit.h - what a person does to a live pane: write, put back, ban, pin, change the setting, start anew, go
 * to another branch; and the way back.
 *
 * Every change goes the same way: a record or a start is made and checked, the present goes into the
 * history, the pane's trajectory changes, and the worker is sent to the new state. A refused change alters
 * nothing. A change in the past opens a branch; the steps that were there stay with the old one.
 */
#ifndef TABES_TUI_EDIT_H
#define TABES_TUI_EDIT_H

#include "tui/app.h"

/* The focused pane, ready for a change of the state shown; NULL, with a message, when it cannot be changed.
 */
pane *edit_pane(app *a);
/* The same, and the cursor stands on a position that does not belong to the prompt. */
pane *edit_place(app *a);

/* False, with the reason in *e, when it is refused; nothing has changed then. */
bool edit_write(app *a, pane *p, const step_write *writes, int n, err *e) MUST_CHECK;
bool edit_remask(app *a, pane *p, int pos, err *e) MUST_CHECK;
bool edit_setting(app *a, pane *p, const step_setting *to, err *e) MUST_CHECK;
bool edit_toggle_ban(app *a, pane *p, step_ban ban, bool *on, err *e) MUST_CHECK;
bool edit_toggle_pin(app *a, pane *p, int pos, bool *on, err *e) MUST_CHECK;
/* From state 0 of a start: start NULL keeps the tokens. A branch of its own. */
bool edit_restart(app *a, pane *p, const int32_t *start, int n_tokens, int n_prompt, err *e) MUST_CHECK;

/* The same with another prompt, as text; the generation stays as long as it was. 0, or the error (prompt.c).
 */
int prompt_restart(app *a, pane *p, const char *text, size_t len, err *e) MUST_CHECK;

/* A branch's name as it may stand in a file, from what was typed: '?' for controls. ERR_BAD_ARGUMENT: empty
 * or too long. */
int edit_name(char out[TREE_NAME], const char *typed, err *e) MUST_CHECK;

/* A branch of this name that leaves the present one at the state shown. */
bool edit_branch(app *a, pane *p, const char *name, err *e) MUST_CHECK;

/* Another branch, at its last state. */
bool edit_switch(app *a, pane *p, int id, err *e) MUST_CHECK;

/* Instead of its start the pane has these branches and is at the end of the active one. */
bool edit_adopt(app *a, pane *p, const tree *t, err *e) MUST_CHECK;

/* Without a model: the pane shows the active branch. */
bool edit_show_tree(pane *p, const tree *t, err *e) MUST_CHECK;

/* The pane's tree gets what the pane holds now; call before the tree is read. */
bool edit_park(pane *p, err *e) MUST_CHECK;

/* Another pane shows a branch of this one, like a recording; or itself again (node NULL). p NULL: what it
 * shows belongs to no pane. */
bool edit_compare(app *a, const pane *p, pane *other, const tree_node *node, err *e) MUST_CHECK;

/* A pane that was zeroed, its id apart, gets the start of `from` under another policy, and computes. */
bool edit_begin(app *a, pane *p, const pane *from, const policy *pol, strbuf *left_out, err *e) MUST_CHECK;

/* What the state shown knows about a position: its record, or that which wrote it; NULL when nothing does. */
const step_record *edit_known(const pane *p, int pos);
/* By a person, not by the policy? */
bool pane_forced(const pane *p, int pos);

/* Keys. */
unsigned app_remask(app *a, int count);
unsigned app_ban(app *a, int count);
unsigned app_pin(app *a, int count);
unsigned app_undo(app *a, int count);
unsigned app_redo(app *a, int count);

#endif
