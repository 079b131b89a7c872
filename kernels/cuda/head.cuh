// head.cuh - log-probabilities of ids, as the kernels over logits compute them.
#pragma once

#include "kernels/cuda/portable.cuh"

// A double as two floats, so that z - lse needs no double arithmetic per element: (z - high) - low is as
// close as the rounded double difference.
struct split {
    float high, low;
};

__device__ __forceinline__ split split_of(double x) {
    float high = static_cast<float>(x);
    return {high, static_cast<float>(x - static_cast<double>(high))};
}

__device__ __forceinline__ float log_prob(float z, split lse) {
    return (z - lse.high) - lse.low;
}
