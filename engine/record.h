/* record.h - the step record: what was known, scored, chosen and written at one step, and what it cost.
 *
 * One struct flows through the whole program. A live session makes step records, a trajectory
 * file is a list of them; views, exports and verification read them and never ask where they
 * came from. A record is immutable once made and reference-counted (atomic), so that the engine
 * thread hands it to the screen and to a writer without copying.
 *
 * State k is the token sequence before record k; record k leads from state k to state k+1.
 * Arrays over masked positions are in ascending position order, arrays over candidates likewise.
 * Entropies in nats, probabilities in [0,1], positions from 0 over the whole sequence.
 */
#ifndef TABES_RECORD_H
#define TABES_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/arena.h"
#include "engine/param.h"

typedef enum step_kind {
    STEP_DECODE,  /* chosen by the policy */
    STEP_FORCE,   /* a person wrote tokens */
    STEP_REMASK,  /* positions put back to the mask by a person */
    STEP_SETTING, /* a person changed how the decode goes on: policy, parameters, bans, pins */
    N_STEP_KINDS
} step_kind;

const char *step_kind_name(step_kind k); /* "decode", "force", "remask", "setting" */

/* A token that may not be written, at one position or (pos -1) anywhere. Scores and entropies do not see it.
 */
typedef struct step_ban {
    int pos;
    int32_t token;
} step_ban;

/* How a decode goes on: all of it, so that the last one before a state is what holds there. Pinned positions
 * stay as they are: masked ones are not written, written ones not put back. */
typedef struct step_setting {
    char policy[32];
    param_set params;
    int T; /* planned number of decode steps of the whole session, as of now */
    int n_bans;
    const step_ban *bans;
    int n_pins;
    const int *pins;        /* ascending */
    const char *extra_json; /* parameters that only a later version knows, a JSON object; or NULL */
} step_setting;

enum { RECORD_TOP_K = 8 };

typedef struct token_prob {
    int32_t id;
    double p;
} token_prob;

/* One write of the step. For a remask, `token` is the mask id. */
typedef struct step_write {
    int pos;
    int32_t token;
    double p;     /* π_pos(token) before the write; 0 when unknown */
    double score; /* the policy's score at pos; 0 when it has none */
} step_write;

typedef struct step_record {
    int step; /* k, from 0 */
    step_kind kind;
    int t, T; /* t counts down: t = max(1, T-k); T planned steps of the session */

    /* Known: the masked positions of state k. */
    int n_masked;
    const int *masked;
    const double *entropy, *confidence, *margin; /* [n_masked] */
    const int32_t *argmax;                       /* [n_masked] */
    int top_k;
    const token_prob *top; /* [n_masked][top_k], best first; fewer real ones have id -1 */
    double total_entropy;  /* ΣH over masked */

    /* Scored: the candidates and, where the step computed them, the parts of the BoE score.
     * Arrays that were not computed are NULL. */
    int n_cand;
    const int *cand;
    const double *score;   /* [n_cand] what the policy ranked by, higher first */
    const double *tis;     /* [n_cand] */
    const double *gate;    /* [n_cand] c_i; 1 when the gate is switched off */
    const double *penalty; /* [n_cand] λ_t·max(h_t - H_i, 0)²; 0 when off; score = gate·tis - penalty */
    const double *delta_e_norm; /* [n_cand] ‖Δe_i‖ */
    const char *tis_name;       /* "mask/masked/candidates"; NULL without TIS */
    double h_t, lambda_t;       /* 0 when anti-collapse is off */

    /* TIS computed only to be looked at (a policy that does not use it): positions and values.
     * Costs nothing in nfe/backward_rows; observe_ms says what it took. */
    int n_observed;
    const int *observed;
    const double *observed_tis;
    const char *observed_name;

    /* Chosen and written, in rank order (best score first). */
    int n_writes;
    const step_write *writes;

    const step_setting *setting; /* of a STEP_SETTING; NULL otherwise. It writes nothing. */
    const char *note;            /* a person's words about this step, UTF-8; or NULL */

    /* Cost of the step. */
    double nfe;            /* denoiser forwards, row-restricted ones as fractions */
    int64_t backward_rows; /* as the kernels counted them */
    double ms, observe_ms;

    const char *extra_json; /* unknown fields of a later minor version, a JSON object; or NULL */

    /* private */
    arena mem;
    _Atomic int refs;
} step_record;

/* A fresh record with one reference, all zero; fill it with arena_new(&r->mem, ...). NULL when memory is
 * short. */
step_record *record_new(void);
const step_record *record_ref(const step_record *r);
void record_unref(const step_record *r); /* NULL is fine */

/* A copy of a setting in the record's memory; false when memory is short. */
bool record_set_setting(step_record *r, const step_setting *s);

/* Index of pos in masked[] / cand[] / observed[], or -1. */
int record_masked_index(const step_record *r, int pos);
int record_cand_index(const step_record *r, int pos);

/* TIS at a position, from the score or from observation; false when not scored. */
bool record_tis_at(const step_record *r, int pos, double *tis);

#endif
