/* proposal.h - which token a position would get (policies.md "llada" rule): argmax z + T·Gumbel.
 *
 * Noise is drawn in double from (seed, step, position, token), so a proposal depends on nothing else.
 * The probability handed back is π of the token, without noise and without temperature.
 */
#ifndef TABES_PROPOSAL_H
#define TABES_PROPOSAL_H

#include "engine/denoiser.h"

typedef struct proposal {
    int32_t token;
    double p;
} proposal;

/* For row `row` of the pass. Temperature 0: the argmax, lowest id on ties. */
proposal propose_token(const pass *p, int row, int n_vocab, double temperature, uint64_t seed, int step);

#endif
