// emulated_tensor.h - what kernels/cuda/tensor.cuh wraps, from its table of layouts: warp-wide meetings that
// compute with plain loops, and asynchronous copies that happen when they are waited for, not before.
#pragma once

#include <stdint.h>

namespace emulated {
void mma_meet(float *d, const uint32_t *a, const uint32_t *b);
void ldmatrix_meet(uint32_t *r, const void *row, bool transposed);
void copy_issue(void *to, const void *from, bool valid);
void copy_commit();
void copy_wait(int unfinished);
} // namespace emulated

inline void mma_bf16_16816(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    emulated::mma_meet(d, a, b);
}
inline void ldmatrix_x4(uint32_t (&r)[4], const void *row) {
    emulated::ldmatrix_meet(r, row, false);
}
inline void ldmatrix_x4_trans(uint32_t (&r)[4], const void *row) {
    emulated::ldmatrix_meet(r, row, true);
}
inline void cp_async_16(void *to, const void *from, bool valid) {
    emulated::copy_issue(to, from, valid);
}
inline void cp_async_commit() {
    emulated::copy_commit();
}
template <int N> inline void cp_async_wait() {
    emulated::copy_wait(N);
}
