// tensor.cuh - tensor cores and asynchronous copies behind plain functions (sm_80 and later).
//
// Fragment layouts are those that the PTX ISA documents for mma.m16n8k16 with bf16 operands and float32
// accumulators. With lane = threadIdx.x % 32, g = lane / 4, t = lane % 4:
//     A (16x16, row): a[0] = A[g][2t,2t+1]    a[1] = A[g+8][2t,2t+1]
//                     a[2] = A[g][2t+8,2t+9]  a[3] = A[g+8][2t+8,2t+9]
//     B (16x8, col):  b[0] = B[2t,2t+1][g]  b[1] = B[2t+8,2t+9][g]
//     C (16x8):       c[0],c[1] = C[g][2t,2t+1]  c[2],c[3] = C[g+8][2t,2t+1]
// A pair of bf16 in a register: the element of lower index in the lower half. All of these are warp-wide:
// every lane of a full warp takes part. The emulator implements the same functions from this table and delays
// asynchronous copies until they are waited for, so that a missing wait shows.
#pragma once

#include "kernels/cuda/portable.cuh"

#ifdef __CUDACC__

// d = a·b + d
__device__ __forceinline__ void mma_bf16_16816(float (&d)[4], const uint32_t (&a)[4],
                                               const uint32_t (&b)[2]) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
                 "{%0,%1,%2,%3};\n"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// Four 8x8 matrices of bf16 from shared memory. Lane l gives the 16-byte aligned address of row l%8 of matrix
// l/8; r[m] receives elements [g][2t,2t+1] of matrix m (ldmatrix.x4), or [2t,2t+1][g] (with .trans).
__device__ __forceinline__ void ldmatrix_x4(uint32_t (&r)[4], const void *row) {
    uint32_t at = static_cast<uint32_t>(__cvta_generic_to_shared(row));
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];\n"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(at)
                 : "memory");
}
__device__ __forceinline__ void ldmatrix_x4_trans(uint32_t (&r)[4], const void *row) {
    uint32_t at = static_cast<uint32_t>(__cvta_generic_to_shared(row));
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];\n"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(at)
                 : "memory");
}

// 16 bytes from global to shared memory (both 16-byte aligned), zeros when !valid (the source is then not
// read). Groups: commit closes one, wait<N> returns when at most N groups of this thread are unfinished.
__device__ __forceinline__ void cp_async_16(void *to, const void *from, bool valid) {
    uint32_t at = static_cast<uint32_t>(__cvta_generic_to_shared(to));
    int bytes = valid ? 16 : 0;
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(at), "l"(from), "r"(bytes)
                 : "memory");
}
__device__ __forceinline__ void cp_async_commit() {
    asm volatile("cp.async.commit_group;\n" ::: "memory");
}
template <int N> __device__ __forceinline__ void cp_async_wait() {
    asm volatile("cp.async.wait_group %0;\n" ::"n"(N) : "memory");
}

#else
#include <emulated_tensor.h>
#endif

// Two floats as a register of bf16, lo in the lower half.
__device__ __forceinline__ uint32_t pack_bf16(float lo, float hi) {
    bf16 a = __float2bfloat16(lo), b = __float2bfloat16(hi);
    return static_cast<uint32_t>(__bfloat16_as_ushort(a)) | static_cast<uint32_t>(__bfloat16_as_ushort(b))
                                                                << 16;
}
