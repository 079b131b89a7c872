/* places.h - what one state of a run says about each of its positions.
 *
 * A position that is masked has the value that the policy sees now. A written one keeps the value that it
 * had when it was written: that is what one wants to know about it afterwards.
 */
#ifndef TABES_REPLAY_PLACES_H
#define TABES_REPLAY_PLACES_H

#include "replay/replay.h"

typedef struct place {
    int32_t token;
    bool masked, prompt;  /* prompt: neither masked nor written */
    bool fresh;           /* changed by the step that led to this state */
    bool by_hand;         /* a person wrote it */
    bool remasked;        /* masked, and was a token before */
    bool candidate, next; /* masked, and the policy scored it; the next step writes it */
    int step, order;      /* written: by record `step`, as the order-th of those written now, from 1 */
    bool has_value;
    double value; /* in the unit of the colouring */
} place;

/* Fills out[n_tokens]; the value is that of `color`. */
void places_of(const trajectory *t, int state, export_color color, place *out);

#endif
