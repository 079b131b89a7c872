/* session.h - one mutable decode: tokens, a policy, and the next decision.
 *
 * propose computes what the policy would do at the current state and returns the finished record;
 * commit applies a proposed record, or an intervention (intervene.h). Between the two a person can
 * look, or discard it by calling session_seek. A session belongs to one thread; close it before its
 * denoiser. Randomness depends only on (seed, decode steps so far, position, token), so proposing
 * twice gives the same record apart from timings, and an intervention does not shift later draws.
 */
#ifndef TABES_SESSION_H
#define TABES_SESSION_H

#include "engine/policy.h"
#include "engine/trajectory.h"

typedef struct session session;
typedef struct shared_pass shared_pass;

typedef struct session_opts {
    const int32_t *prompt; /* borrowed; mask ids inside are positions to generate */
    int n_prompt;
    int length; /* masks appended; 0 is allowed when the prompt has masks */
    const policy *policy;
    param_set
        params; /* from policy_defaults, then edited. steps = 0: one step per `budget` tokens (default 1) */
    uint64_t seed;
    bool observe_tis; /* compute TIS for display when the policy does not; not where a kv-cache leaves rows
                         out, nor where cfg mixes two passes */
    int top_k;        /* tokens kept per masked position, <= RECORD_TOP_K; 0 means RECORD_TOP_K */
    const atomic_bool *cancel;
    /* Borrowed; may be NULL. Sessions of one denoiser in one thread read one pass of the network where they
     * ask it the same (shared_pass.h). */
    shared_pass *shared;
} session_opts;

/* Refuses with one line: nothing to generate, sequence longer than the context, steps > masks is fine (empty
 * steps are skipped), impossible policy settings. */
int session_open(session **out, denoiser *d, const session_opts *o, err *e) MUST_CHECK;
void session_close(session *s);

/* *out gets a reference the caller releases; NULL and 0 when nothing is left to write: no position is masked,
 * or only pinned ones are; of a policy that puts tokens back, also no step is left. A step may write nothing,
 * where a policy's draws say so. Any failure leaves the session unchanged. */
int session_propose(session *s, const step_record **out, err *e) MUST_CHECK;
int session_commit(session *s, const step_record *r, err *e) MUST_CHECK;

/* A state to go to: tokens [n] as they are before record k, decode steps among the first k records, and what
 * holds there (NULL: what the session was opened with). */
typedef struct session_state {
    const int32_t *tokens;
    int n, k, decoded;
    const step_setting *setting;
    /* Where the probabilities of written tokens, the states of the last decode steps and the steps that each
     * block has taken are looked up; may be NULL. Borrowed for the call. */
    const trajectory *from;
} session_state;

/* State n of a trajectory of this session; tokens [head.n_tokens] is room for it. */
session_state session_state_of(const trajectory *t, int n, int32_t *tokens);

int session_seek(session *s, const session_state *to, err *e) MUST_CHECK;

bool session_done(const session *s);
int session_step_index(const session *s);
const int32_t *session_tokens(const session *s, int *n);

/* Header for a trajectory of this session (start tokens borrowed from the session). */
void session_header(const session *s, traj_header *h);

/* Tokens to write at step k of T when m0 masks were there at the start: m0/T, the remainder going one each to
 * the first steps, as the public samplers do. With T = 0: `budget` each step. */
int session_quota(int m0, int T, int budget, int k);

/* Planned decode steps T of a session with these parameters that has taken `decoded` of them and has n_masked
 * masks left: the parameter `steps`, or as many as `budget` needs from here; in blocks at least one for each;
 * as many as the policy makes of that. Of the header: start, n_tokens, n_prompt and mask_id. */
int session_planned(const traj_header *h, const policy *p, const param_set *params, int decoded,
                    int n_masked);

/* Length of the prompt with which a session of this header is opened: all of it where what follows the prompt
 * is not all masks. */
int session_prompt(const traj_header *h);

#endif
