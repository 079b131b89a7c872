// layer_norm.cuh - norms with more than a scale, which norm.cu leaves to layer_norm.cu.
#pragma once

#include "kernels/cuda/queue.cuh"

void layer_norm(queue *q, const k_norm *a);
void layer_norm_back(queue *q, const k_norm_back *a);
