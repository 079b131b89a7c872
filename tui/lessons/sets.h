/* sets.h - positions by what they are: "next", "lowest-entropy", "4, 7-9".
 *
 * A set is a list of terms parted by commas, each a position, a range or a name of the table below, and means
 * what holds in the focused pane at the state shown. Extremes include what the screen cannot tell apart from
 * them, so that every answer that looks right is right.
 */
#ifndef TABES_LESSON_SETS_H
#define TABES_LESSON_SETS_H

#include "tui/app.h"

/* The names, ended by a NULL name. */
typedef struct set_name {
    const char *name, *help;
} set_name;
extern const set_name set_names[];

/* Is the text a set? *at: where it is not. */
int set_check(const char *text, const char **at, err *e) MUST_CHECK;

/* Its positions, ascending, of at most `max`; returns how many, or -1 with the reason: a position past the
 * end, or a closer look that is not known. */
int set_positions(const app *a, const char *text, int *out, int max, err *e);

/* Text with {KIND SET} replaced, KIND being pos (all positions), token, H, p, tis or count; the first
 * position counts where one value is asked for. What cannot be told becomes '?' and the error says why. */
int set_expand(const app *a, const char *text, strbuf *out, err *e);
/* Are the placeholders of a text well formed? *at: the first that is not. */
int set_check_text(const char *text, const char **at, err *e) MUST_CHECK;

#endif
