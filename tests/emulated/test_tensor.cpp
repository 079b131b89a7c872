// test_tensor.cpp - bfloat16, warp products, shared memory loads and delayed copies through tensor.cuh.
#include "checks.h"
#include "kernels/cuda/tensor.cuh"

#include <vector>

// ---- bfloat16 ----

static void test_rounding() {
    for (unsigned bits = 0; bits < 0x10000; bits++) { // every bfloat16 but NaN survives
        bf16 x = __ushort_as_bfloat16(static_cast<unsigned short>(bits));
        float wide = __bfloat162float(x);
        if (wide == wide && __bfloat16_as_ushort(__float2bfloat16(wide)) != bits)
            CHECK(!"lost in a round trip");
    }
    struct {
        unsigned from;
        unsigned short to;
    } cases[] = {{0x3f808000, 0x3f80}, {0x3f818000, 0x3f82},
                 {0x3f808001, 0x3f81}, {0x3f807fff, 0x3f80}, // ties to even
                 {0x7f7fffff, 0x7f80}, {0xff7fffff, 0xff80},
                 {0x7f800000, 0x7f80}, {0x00000001, 0x0000}, // to infinity
                 {0x7fc12345, 0x7fff}, {0xff800001, 0x7fff}};
    for (auto c : cases) CHECK(__bfloat16_as_ushort(__float2bfloat16(__uint_as_float(c.from))) == c.to);
    CHECK(pack_bf16(1.0f, -2.0f) == 0xc0003f80u);
    float2 both = __bfloat1622float2(__floats2bfloat162_rn(1.0f, -2.0f));
    CHECK(both.x == 1.0f && both.y == -2.0f && alignof(__nv_bfloat162) == 4);
}

// ---- products ----

// D = A·B + D with A [16][16] and B [16][8] row-major: A by ldmatrix, B by ldmatrix with .trans.
__global__ static void product_kernel(float *D, const bf16 *A, const bf16 *B) {
    SHARED(bf16, s);
    bf16 *a = s, *b = s + 256;
    unsigned lane = threadIdx.x;
    for (unsigned i = lane; i < 256; i += 32) a[i] = A[i];
    for (unsigned i = lane; i < 128; i += 32) b[i] = B[i];
    __syncwarp();
    uint32_t fa[4], fb[4];
    unsigned row = lane % 8, matrix = lane / 8;
    ldmatrix_x4(fa, a + (row + matrix % 2 * 8) * 16 + matrix / 2 * 8);
    ldmatrix_x4_trans(fb, b + (row + matrix % 2 * 8) * 8); // matrices 2 and 3 repeat 0 and 1
    float d[4];
    for (unsigned i = 0; i < 4; i++) d[i] = D[(lane / 4 + i / 2 * 8) * 8 + lane % 4 * 2 + i % 2];
    uint32_t pair[2] = {fb[0], fb[1]};
    mma_bf16_16816(d, fa, pair);
    for (unsigned i = 0; i < 4; i++) D[(lane / 4 + i / 2 * 8) * 8 + lane % 4 * 2 + i % 2] = d[i];
}

static void test_product() {
    std::vector<bf16> A(256), B(128);
    std::vector<float> D(128), expected(128);
    for (int i = 0; i < 256; i++) A[size_t(i)] = __float2bfloat16(static_cast<float>(i * 7 % 31 - 15));
    for (int i = 0; i < 128; i++) B[size_t(i)] = __float2bfloat16(static_cast<float>(i * 5 % 29 - 14));
    for (size_t i = 0; i < 128; i++) D[i] = expected[i] = static_cast<float>(i);
    for (size_t i = 0; i < 16; i++) {
        for (size_t j = 0; j < 8; j++) {
            for (size_t k = 0; k < 16; k++) {
                expected[i * 8 + j] += __bfloat162float(A[i * 16 + k]) * __bfloat162float(B[k * 8 + j]);
            }
        }
    }
    bf16 *dA, *dB;
    float *dD;
    cudaMalloc(&dA, 512);
    cudaMalloc(&dB, 256);
    cudaMalloc(&dD, 512);
    cudaMemcpy(dA, A.data(), 512, cudaMemcpyHostToDevice);
    cudaMemcpy(dB, B.data(), 256, cudaMemcpyHostToDevice);
    cudaMemcpy(dD, D.data(), 512, cudaMemcpyHostToDevice);
    LAUNCH(product_kernel, 1, 32, 768, nullptr, dD, dA, dB);
    CHECK(cudaMemcpy(D.data(), dD, 512, cudaMemcpyDeviceToHost) == cudaSuccess);
    for (size_t i = 0; i < 128; i++) CHECK(D[i] == expected[i]);
    cudaFree(dA);
    cudaFree(dB);
    cudaFree(dD);
}

// Elements say which they are: matrix m, row r, column c is 100 m + 10 r + c.
__global__ static void load_kernel(uint32_t *out, bool transposed, int shift) {
    SHARED(unsigned short, s);
    for (unsigned i = threadIdx.x; i < 256; i += 32) {
        s[i] = static_cast<unsigned short>(100 * (i / 64) + 10 * (i / 8 % 8) + i % 8);
    }
    __syncwarp();
    uint32_t r[4];
    if (transposed) {
        ldmatrix_x4_trans(r, s + threadIdx.x * 8 + shift);
    } else {
        ldmatrix_x4(r, s + threadIdx.x * 8 + shift);
    }
    for (int m = 0; m < 4; m++) out[threadIdx.x * 4 + static_cast<unsigned>(m)] = r[m];
}

static void test_load() {
    uint32_t *out, r[128];
    cudaMalloc(&out, sizeof r);
    for (int transposed = 0; transposed < 2; transposed++) {
        LAUNCH(load_kernel, 1, 32, 512, nullptr, out, transposed != 0, 0);
        cudaMemcpy(r, out, sizeof r, cudaMemcpyDeviceToHost);
        for (unsigned i = 0; i < 128; i++) {
            unsigned m = i % 4, g = i / 4 / 4, t = i / 4 % 4;
            unsigned lo = 100 * m + (transposed ? 20 * t + g : 10 * g + 2 * t);
            CHECK(r[i] == (lo | (lo + (transposed ? 10 : 1)) << 16));
        }
    }
    LAUNCH(load_kernel, 1, 32, 512, nullptr, out, false, 4);
    CHECK_REPORTED(cudaErrorLaunchFailure, "ldmatrix_x4 of an address that is not 16-byte aligned");
    LAUNCH(load_kernel, 1, 32, 512, nullptr, out, false, 8);
    CHECK_REPORTED(cudaErrorLaunchFailure, "outside shared memory");
    LAUNCH(load_kernel, 1, 31, 512, nullptr, out, false, 0);
    CHECK_REPORTED(cudaErrorLaunchFailure, "which has exited or never was");
    cudaFree(out);
}

// ---- asynchronous copies ----

// out[0..3]: a word of each copy as it is seen before a wait, after the first group, after the second; and of
// a copy that is not valid.
__global__ static void copy_kernel(uint32_t *out, const uint32_t *in, int shift) {
    SHARED(uint32_t, s);
    for (int i = 0; i < 12; i++) s[i] = 5;
    cp_async_16(s, in + shift, true);
    cp_async_commit();
    cp_async_16(s + 4, in + 4, true);
    cp_async_16(s + 8, in + 4, false);
    cp_async_commit();
    out[0] = s[0];
    cp_async_wait<1>();
    out[1] = s[0];
    out[2] = s[4];
    cp_async_wait<0>();
    out[3] = s[7];
    out[4] = s[8];
}

static void test_copies() {
    uint32_t *in, *out, host[8] = {10, 11, 12, 13, 14, 15, 16, 17}, r[5];
    cudaMalloc(&in, sizeof host);
    cudaMalloc(&out, sizeof r);
    cudaMemcpy(in, host, sizeof host, cudaMemcpyHostToDevice);
    LAUNCH(copy_kernel, 1, 1, 48, nullptr, out, in, 0);
    CHECK(cudaMemcpy(r, out, sizeof r, cudaMemcpyDeviceToHost) == cudaSuccess);
    CHECK(r[0] == 0xffffffffu && r[1] == 10 && r[2] == 0xffffffffu && r[3] == 17 && r[4] == 0);
    LAUNCH(copy_kernel, 1, 1, 48, nullptr, out, in, 1);
    CHECK_REPORTED(cudaErrorLaunchFailure, "cp_async_16 from an address that is not 16-byte aligned");
    LAUNCH(copy_kernel, 1, 1, 48, nullptr, out, in, 8);
    CHECK_REPORTED(cudaErrorLaunchFailure, "cp_async_16 from an address outside device memory");
    cudaFree(in);
    cudaFree(out);
}

int main() {
    test_rounding();
    test_product();
    test_load();
    test_copies();
    return checks_end();
}
