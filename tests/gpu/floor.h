/* floor.h - how fast a step could be: the bytes it has to move and the products it has to make.
 *
 * A floor is max(bytes / bandwidth, operations / peak), as if one hid the other completely and nothing else
 * took any time. Counted are: every weight read once (a backward reads them once more, whatever its rows);
 * each product's input read and output written once; logits written and read once; keys and values of all
 * rows. Not counted: norms, rotations, softmax, the host. Eight rows or eight hundred, a backward costs a
 * pass over the weights: at small N that alone is as much as the forward.
 */
#ifndef TABES_TEST_FLOOR_H
#define TABES_TEST_FLOOR_H

#include "bench/ceilings.h"
#include "engine/denoiser.h"

typedef struct work {
    double bytes, flops; /* flops: a multiplication and an addition are two */
} work;

/* A forward over n rows with logits of n_rows. act_bytes: of an activation and of a weight. */
work work_forward(const denoiser_info *info, int act_bytes, int n, int n_rows);

/* A backward through n_active of n rows; n_head of them are objective rows. */
work work_backward(const denoiser_info *info, int act_bytes, int n, int n_active, int n_head);

/* Soft writes of n_cand rows. */
work work_soft(const denoiser_info *info, int act_bytes, int n_cand);

double floor_ms(work w, const ceilings *c);

#endif
