// queue.cuh - private to kernels/cuda: one CUDA stream as a `kernels`, and how its operations report failure.
//
// Every operation has the same shape:
//
//     void cuda_swiglu(kernels *k, k_act *h, const k_act *gu, int n, int f) {
//         queue *q = queue_of(k);
//         if (n <= 0 || !queue_ready(q)) return;
//         LAUNCH((swiglu_kernel<T>), grid, block, 0, q->stream, ...);
//         queue_check(q, "swiglu");
//     }
#pragma once

#include "kernels/cuda/portable.cuh"
#include "kernels/kernels.h"

struct queue;

queue *queue_of(kernels *k);
// False after a fault: operations then do nothing.
bool queue_ready(const queue *q);
// Takes the last launch error as the fault, with the operation's name.
void queue_check(queue *q, const char *operation);
cudaStream_t queue_stream(const queue *q);
bool queue_bf16(const queue *q); // activations are bf16; otherwise float
// Lets `kernel` use `bytes` of dynamic shared memory (more than 48 KiB must be asked for); false, with a
// fault, when the device has not that much.
bool queue_allow_shared(queue *q, const void *kernel, size_t bytes);

void cuda_attention(kernels *k, const k_attn *a);
void cuda_attention_back(kernels *k, const k_attn_back *a, k_counts *c);
