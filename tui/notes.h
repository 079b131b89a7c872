/* notes.h - a person's words about steps.
 *
 * Step records are immutable, so notes lie beside them: a note names its record and keeps it alive,
 * and therefore goes where the record goes (another pane, another branch) and is out of sight
 * when the decode is restarted. They become part of the records when a trajectory is written.
 */
#ifndef TABES_TUI_NOTES_H
#define TABES_TUI_NOTES_H

#include "engine/engine.h"

enum { NOTE_MAX_BYTES = 2000, NOTES_MAX = 10000 };

typedef struct note {
    const step_record *rec;
    char *text;
} note;

typedef struct notes {
    note *at;
    size_t n, cap;
} notes;

/* Replaces the note of a record; an empty text takes it away, also one from a file. Control characters become
 * blanks. ERR_BAD_ARGUMENT: not UTF-8, or too long. */
int notes_set(notes *n, const step_record *rec, const char *text, err *e) MUST_CHECK;
/* The words about a record, from here or from its file; NULL when there are none. */
const char *notes_get(const notes *n, const step_record *rec);
void notes_release(notes *n);

/* The trajectory with its notes inside, as long as `out` lives; `out` borrows everything else from t. */
typedef struct noted {
    trajectory traj;
    const step_record **records;
    step_record *copies;
} noted;
int notes_join(const notes *n, const trajectory *t, noted *out, err *e) MUST_CHECK;
void noted_release(noted *v);

#endif
