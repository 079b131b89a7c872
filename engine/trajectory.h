/* trajectory.h - a decode as a list of step records: the one thing views and exports read.
 *
 * State 0 is the start (prompt and masks); state n is after record n-1. A trajectory of n records
 * has states 0..n. `pending` is the record a live session has already computed for the last state
 * but not applied (NULL in a replay): record_at(state n) shows it, so a person sees what the
 * policy sees before the step is taken. Looking a state up costs no computation.
 */
#ifndef TABES_TRAJECTORY_H
#define TABES_TRAJECTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/param.h"
#include "engine/record.h"
#include "engine/texts.h"

typedef struct traj_header {
    char model_name[128], model_arch[24], fingerprint[40], dtype[8];
    int n_vocab;
    int32_t mask_id;
    int32_t eos_id; /* -1: none */
    bool shifted;
    char policy[32];
    param_set params; /* every parameter, given or default */
    uint64_t seed;
    char device[32], precision[16]; /* "cpu", "f32" */
    int threads;
    char created[32]; /* UTC, ISO 8601 */
    int n_prompt; /* first position that belongs to the generation; blanks inside the prompt are masks below
                     it */
    int n_tokens;
    const int32_t *start; /* [n_tokens] state 0, prompt and masks */
} traj_header;

typedef struct trajectory {
    traj_header head;
    const step_record **records;
    int n_records;
    size_t cap; /* private */
    const step_record *pending;
    token_texts texts;
    bool complete; /* no masks remain, or the file said so */
    int32_t *last; /* tokens of the last state, kept up to date */
    int32_t *owned_start;
} trajectory;

/* Copies the header and its start tokens. Zeroed storage may be released. */
int trajectory_init(trajectory *t, const traj_header *h, token_texts texts, err *e) MUST_CHECK;
void trajectory_release(trajectory *t);

/* The first n records again, shared with `t`: cheap. Its proposal comes along when n is the last state. */
int trajectory_fork(trajectory *out, const trajectory *t, int n, err *e) MUST_CHECK;

/* Takes a reference; clears pending. The record's step must equal n_records and its writes must be in
 * range (ERR_BAD_FORMAT otherwise). */
int trajectory_append(trajectory *t, const step_record *r, err *e) MUST_CHECK;
void trajectory_set_pending(trajectory *t, const step_record *r); /* takes a reference; NULL clears */

/* Tokens of state n into out[n_tokens]. */
void trajectory_state(const trajectory *t, int n, int32_t *out);

/* The record that describes what the policy sees at state n: records[n], or pending at the end, or NULL. */
const step_record *trajectory_record_at(const trajectory *t, int n);

/* Step index k (0-based) of the record that wrote pos last before state n, or -1 (prompt or masked). rank:
 * 0-based rank within that step. */
int trajectory_written_at(const trajectory *t, int n, int pos, int *rank);

/* What holds at state n: the setting of the last STEP_SETTING before it, or NULL (the header's policy and
 * parameters, no bans, no pins). */
const step_setting *trajectory_setting(const trajectory *t, int n);

/* Steps that the policy took before state n: interventions do not count. */
int trajectory_decoded(const trajectory *t, int n);

/* Totals over the first n records; backward_rows stops at INT64_MAX. */
typedef struct traj_totals {
    double nfe;
    int64_t backward_rows;
    double ms;
    int n_written;
} traj_totals;
traj_totals trajectory_totals(const trajectory *t, int n);

/* First state at which the two token sequences differ, or -1 when they never do (over common states);
 * *pos (may be NULL) gets the lowest differing position. */
int trajectory_divergence(const trajectory *a, const trajectory *b, int *pos);

/* First record whose writes (positions and tokens, in order) differ; -1 if none in the common part. */
int trajectory_first_difference(const trajectory *a, const trajectory *b);

#endif
