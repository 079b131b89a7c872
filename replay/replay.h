/* replay.h - trajectory files: JSON Lines, one header, one line per step, one closing line.
 *
 * The format is described in replay/FORMAT.md and replay/schema.json. A line is written whole and
 * flushed, so a killed run loses at most the step in flight. Readers reject what they cannot trust
 * with file:line:column; a truncated last line is reported and tolerated; unknown fields of a
 * later minor version are kept. Numbers survive a round trip exactly.
 */
#ifndef TABES_REPLAY_H
#define TABES_REPLAY_H

#include "engine/engine.h"
#include "replay/tree.h"

/* Writer -------------------------------------------------------------- */

typedef struct recorder recorder;

/* Creates (or truncates) the file and writes the header line. */
int recorder_open(recorder **out, const char *path, const traj_header *h, token_texts texts,
                  err *e) MUST_CHECK;
/* Appends one line and flushes it. After an error (disk full) the recorder refuses further steps; the file
 * holds whole lines only as far as the disk allowed. */
int recorder_step(recorder *r, const step_record *rec, err *e) MUST_CHECK;
/* Writes the closing line (result, totals). */
int recorder_finish(recorder *r, const trajectory *t, err *e) MUST_CHECK;
/* Closes; without recorder_finish the file has no closing line. NULL is fine. */
void recorder_close(recorder *r);

/* Write a whole trajectory to a file (temporary name, fsync, rename). */
int replay_save(const trajectory *t, const char *path, err *e) MUST_CHECK;

/* Reader -------------------------------------------------------------- */

typedef struct replay {
    trajectory traj; /* its texts come from the file */
    char path[4096];
    bool truncated;             /* the last line was cut, or the closing line is missing */
    char note[200];             /* "truncated: line 17 is cut; 15 steps are kept" when truncated */
    char contradiction[200];    /* where lines contradict each other; only after replay_load_to_verify */
    struct replay_texts *texts; /* private */
} replay;

int replay_load(replay **out, const char *path, err *e) MUST_CHECK;
/* The same, but the first contradiction between well-formed lines is kept in `contradiction` for
 * replay_verify. */
int replay_load_to_verify(replay **out, const char *path, err *e) MUST_CHECK;
void replay_close(replay *r);

/* Verify -------------------------------------------------------------- */

typedef struct verify_report {
    int steps_checked;
    bool same;           /* tokens and order equal and numbers within tolerance */
    bool choice_changed; /* another position or token was written, in the last step checked */
    double max_rel;      /* largest relative distance of any compared number, the last step's included */
    char where[240]; /* first difference: "step 7, position 31: wrote '5', recorded '3'"; empty when same */
} verify_report;

/* Re-runs the recording on the model. Tokens and order exact; numbers within `tolerance` relative to
 * the largest magnitude of their kind in the step (default VERIFY_TOLERANCE); with exact every digit but the
 * timings. Numbers that differ are measured to the end of the file; a changed choice ends the run, since the
 * states after it are others. Returns 0 when the run could be made (see rep->same), an error otherwise (other
 * model, unknown policy). */
#define VERIFY_TOLERANCE 1e-3
int replay_verify(const replay *r, const model *m, double tolerance, bool exact, verify_report *rep,
                  err *e) MUST_CHECK;

/* Export -------------------------------------------------------------- */

/* What colours the tokens of a picture. */
typedef enum export_color {
    EXPORT_PLAIN,
    EXPORT_ENTROPY,
    EXPORT_CONFIDENCE,
    EXPORT_TIS,
    EXPORT_ORDER,
    N_EXPORT_COLORS
} export_color;

enum { EXPORT_END = -1 };

typedef struct export_opts {
    int at; /* the state shown: 0 is the start, EXPORT_END the last */
    export_color color;
} export_opts;

/* The formats: name, most trajectories in one document, does it show one state in one colouring (then it
 * takes both options), the default state, and one line of help. The table and the texts that list it are made
 * from this. A format that needs a screen is another export_format, in the room that has the screen. */
#define EXPORT_FORMATS(X)                                                                                    \
    X(json, 1, false, 0, "one document with header, steps and closing")                                      \
    X(csv, 1, false, 0, "one row for each step and masked position")                                         \
    X(html, 2, true, 0, "a page to step through one recording, or to compare two")                           \
    X(svg, 1, true, EXPORT_END, "a figure of one state")                                                     \
    X(md, 1, false, 0, "a summary in Markdown")

typedef struct export_format {
    const char *name, *help;
    int max_runs;
    bool has_view;
    int default_at;
    /* Appends a document of n trajectories. */
    int (*write)(const trajectory *const *runs, int n, const export_opts *o, strbuf *out, err *e);
} export_format;

extern const export_format export_formats[];        /* a NULL name ends it */
const export_format *export_find(const char *name); /* NULL when there is none of that name */

/* Option values as a person types them. */
int export_parse_at(const char *text, int *out, err *e) MUST_CHECK;
int export_parse_color(const char *text, export_color *out, err *e) MUST_CHECK;
const char *export_color_name(export_color c);

/* Checks the number of trajectories and the state (ERR_BAD_ARGUMENT), and writes. Appends to out. */
int export_write(const export_format *f, const trajectory *const *runs, int n, export_opts o, strbuf *out,
                 err *e) MUST_CHECK;

/* One JSON document, or CSV (one row per step and masked position; see FORMAT.md). Appends to out. */
int replay_export_json(const trajectory *t, strbuf *out, err *e) MUST_CHECK;
int replay_export_csv(const trajectory *t, strbuf *out, err *e) MUST_CHECK;

#endif
