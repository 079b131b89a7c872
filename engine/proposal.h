/* proposal.h - which token a position would be given: the most probable, or a sample by Gumbel noise.
 *
 * Temperature scales the noise: argmax z(v) - T·ln(-ln U_v) in double is a draw from softmax(z/T)
 * (LLaDA's rule). Banned tokens cannot be proposed; probabilities are of the raw softmax all the same. With
 * top_k or top_p the draw is among the most probable tokens only.
 */
#ifndef TABES_PROPOSAL_H
#define TABES_PROPOSAL_H

#include "engine/denoiser.h"
#include "engine/record.h"

typedef struct proposer {
    const pass *p;
    int n_vocab;
    double temperature;
    int top_k;    /* 0: all */
    double top_p; /* 1: all */
    bool narrow;  /* top_p leaves out the token that crosses it, unless it is the first */
    uint64_t seed;
    int step;
    const step_ban *bans;
    int n_bans;
} proposer;

typedef struct proposal {
    int32_t token; /* -1: every token is banned here */
    double p;      /* π(token), without noise */
} proposal;

/* Whether proposals read whole rows of logits, which pass_read must have brought before. */
bool proposer_reads_logits(const proposer *r);

/* Row `row` of the pass. Depends on (seed, step, position, token) and the logits alone. */
proposal propose_token(const proposer *r, int row);

#endif
