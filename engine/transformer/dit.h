/* dit.h - the weights that make a DiT's modulation; on the host, shared by forks. */
#ifndef TABES_DIT_H
#define TABES_DIT_H

#include "engine/transformer/transformer.h"

struct tf_dit {
    bool timed;          /* the network was trained to be told the noise level */
    k_weight map1, map2; /* sigma_map: [cond][freq], [cond][cond] */
    k_weight *layers;    /* [L] adaLN: [6d][cond] */
    k_weight head;       /* [2d][cond] */
    const float **norms; /* [2L+1] norm1 and norm2 of each layer, norm_final: [d] */
};

#endif
