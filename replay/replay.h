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
    bool same;       /* tokens and order equal and numbers within tolerance */
    double max_rel;  /* largest relative distance of any compared number */
    char where[240]; /* first difference: "step 7, position 31: wrote '5', recorded '3'"; empty when same */
} verify_report;

/* Re-runs the recording on the model. Tokens and order exact; numbers within `tolerance` relative to
 * the largest magnitude of their kind in the step (default VERIFY_TOLERANCE); with exact every digit but the
 * timings. Returns 0 when the run could be made (see rep->same), an error otherwise (other model, unknown
 * policy). */
#define VERIFY_TOLERANCE 1e-3
int replay_verify(const replay *r, const model *m, double tolerance, bool exact, verify_report *rep,
                  err *e) MUST_CHECK;

/* Export -------------------------------------------------------------- */

/* One JSON document, or CSV (one row per step and masked position; see FORMAT.md). Appends to out. */
int replay_export_json(const trajectory *t, strbuf *out, err *e) MUST_CHECK;
int replay_export_csv(const trajectory *t, strbuf *out, err *e) MUST_CHECK;

#endif
