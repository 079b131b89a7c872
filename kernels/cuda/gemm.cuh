// gemm.cuh - a product by cuBLAS, in the terms of row-major arrays.
#pragma once

#include "kernels/cuda/queue.cuh"

// c[n][width] = alpha · b[n][inner] · A + beta · c. `a` is A as [inner][width], or with `transposed` as
// [width][inner], the way weights are stored. a and b are activations; c is float32 when `wide`.
struct product {
    int n, width, inner;
    bool transposed, wide;
    float alpha, beta;
    const void *a, *b;
    void *c;
    int ldc; // elements from one row of c to the next; 0: width
};

void queue_multiply(queue *q, const product *p, const char *operation);
