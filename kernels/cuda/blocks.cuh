// blocks.cuh - weights that stay in blocks on the device: widened a tile at a time into scratch, then
// multiplied.
#pragma once

#include "kernels/cuda/queue.cuh"

// The operations of kernels.h for a weight whose `device` is NULL. `wide`: c is float32.
void blocks_multiply(queue *q, void *c, bool wide, const k_act *x, int n, const k_weight *w, float alpha);
void blocks_multiply_back(queue *q, k_act *dx, const k_act *dy, int n, const k_weight *w);
void blocks_embed(queue *q, float *x, const int32_t *ids, int n, const k_weight *w, float scale);
// Rows [first, first+count) of w, whole, as activations -> to.
void blocks_widen(queue *q, void *to, const k_weight *w, int first, int count);
