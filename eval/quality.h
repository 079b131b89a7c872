/* quality.h - what can be said of a text that has no right answer. */
#ifndef TABES_EVAL_QUALITY_H
#define TABES_EVAL_QUALITY_H

#include "engine/engine.h"

/* Which tokens of a sequence are scored: those from `from` on; the others are given. */
typedef struct scored_text {
    const int32_t *tokens;
    int n, from;
} scored_text;

/* Nats per token of a masked diffusion model's bound on -log p of the scored tokens, given the others:
 *     (1/L)·E_l[ L/l · Σ_{i masked} -log p(x_i | the rest) ],  l uniform on 1..L, l of the L tokens masked,
 * over `draws` draws (stratified over l, so that every part of the range is there). An upper bound, and an
 * estimate of it; exp of it is the ELBO perplexity. *out is NaN when nothing is scored. */
int quality_elbo(denoiser *d, const scored_text *t, int draws, uint64_t seed, const atomic_bool *cancel,
                 double *out, err *e) MUST_CHECK;

/* Entropy of the frequencies of tokens within one text, in nats. */
double quality_entropy(const int32_t *tokens, int n);

/* Π over n = 2, 3, 4 of the share of different n-grams; 1 when nothing is repeated. NaN for fewer than 4
 * tokens. */
double quality_diversity(const int32_t *tokens, int n);

#endif
