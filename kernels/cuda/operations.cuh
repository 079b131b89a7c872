// operations.cuh - the operations of kernels.h on a CUDA device; attention is declared in queue.cuh.
#pragma once

#include "kernels/kernels.h"

void cuda_embed(kernels *k, float *x, const int32_t *ids, int n, const k_weight *w, float scale);
void cuda_rows(kernels *k, float *y, const int *dst, const float *x, const int *src, const float *coef, int n,
               int d);
void cuda_narrow(kernels *k, k_act *y, const float *x, size_t n);
void cuda_gate(kernels *k, k_act *y, const float *x, const float *w, int n, int d);
void cuda_norm(kernels *k, const k_norm *a);
void cuda_norm_back(kernels *k, const k_norm_back *a);
void cuda_head_norm(kernels *k, const k_head_norm *a);
void cuda_head_norm_back(kernels *k, const k_head_norm_back *a);
void cuda_linear(kernels *k, k_act *y, const k_act *x, int n, const k_weight *w);
void cuda_logits(kernels *k, float *z, const k_act *x, int n, const k_weight *w, float scale);
void cuda_linear_back(kernels *k, k_act *dx, const k_act *dy, int n, const k_weight *w, k_counts *c);
void cuda_rope(kernels *k, k_act *x, int ld, const int *pos, int n, int heads, int hd, const float *table,
               unsigned how);
void cuda_swiglu(kernels *k, k_act *h, const k_act *gu, int n, int f);
void cuda_swiglu_back(kernels *k, k_act *dgu, const k_act *dh, const k_act *gu, const int *rows, int n,
                      int f);
void cuda_gelu(kernels *k, k_act *h, const k_act *x, int n, int f);
void cuda_gelu_back(kernels *k, k_act *dx, const k_act *dh, const k_act *x, const int *rows, int n, int f);
void cuda_blend(kernels *k, float *z, const float *u, float s, size_t n);
void cuda_head_stats(kernels *k, k_row_stats *stats, k_top *top, const float *logits, int n, int V, int mask);
void cuda_entropy_back(kernels *k, k_act *dz, const float *logits, const k_row_stats *stats, const int *rows,
                       int n, int V, int mask, float scale, k_counts *c);
void cuda_soft_write(kernels *k, float *out, const float *logits, const k_row_stats *stats, const int *rows,
                     int n, int V, int mask, const k_weight *E);
