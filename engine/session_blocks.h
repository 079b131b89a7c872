/* session_blocks.h - private to session.c and session_blocks.c: how steps and positions are shared out to
 * blocks.
 */
#ifndef TABES_SESSION_BLOCKS_H
#define TABES_SESSION_BLOCKS_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/param.h"

typedef struct block {
    bool whole;       /* there is one block only */
    int begin, end;   /* its positions; masks inside the prompt belong to the first block */
    int first;        /* first position to generate, from which it is counted */
    int masks, steps; /* masks at the start, decode steps planned for it */
    int nominal;      /* those steps as a person counts them */
    int step;         /* which of them is next */
} block;

/* Blocks count from the end of the prompt; where nothing follows it, from its first mask. */
int blocks_origin(const int32_t *start, int n, int n_prompt, int32_t mask);

/* Blocks of `length` positions in n, the last one perhaps shorter; length 0: one. */
int blocks_count(int length, int n);

/* The first mask that is not pinned, which is in the block that the next step is in; -1: there is none. */
int blocks_front(const int32_t *tokens, const bool *pinned, int n, int32_t mask);

/* T steps over n blocks: one more for each of the first T mod n, at least one for each. */
int blocks_steps(int T, int n, int b);
/* Steps of block b as a person counts them: its share of the parameter, or what `budget` needs for its masks;
 * at least one where there are several. */
int blocks_nominal(const param_set *params, int b, int n, int masks);
int blocks_before(int T, int n, int b); /* steps of the blocks before b */
int blocks_at(int T, int n, int step);  /* the block whose step this is, at most the last one */

#endif
