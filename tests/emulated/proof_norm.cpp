// proof_norm.cpp - runs kernels/cuda/norm.cu, as it is or broken by proof_break.h, under many seeds.
//
// Exit status: 0 all results right, 1 wrong for some seed, 2 the emulator reported a fault. It brings its own
// queue, so that norm.cu is all there is of kernels/cuda.
#include "emulator.h"
#include "kernels/cuda/layer_norm.cuh"
#include "kernels/cuda/operations.cuh"
#include "kernels/cuda/queue.cuh"

#include <stdio.h>
#include <string.h>
#include <vector>

queue *queue_of(kernels *) {
    return nullptr;
}
bool queue_ready(const queue *) {
    return true;
}
void queue_check(queue *, const char *) {
}
cudaStream_t queue_stream(const queue *) {
    return nullptr;
}
bool queue_bf16(const queue *) {
    return false;
}
void layer_norm(queue *, const k_norm *) {
}
void layer_norm_back(queue *, const k_norm_back *) {
}

enum { ROWS = 3, WIDTH = 256, SEEDS = 64 };

static std::vector<float> norm_of_row(const float *x) {
    double squares = 0;
    for (int j = 0; j < WIDTH; j++) squares += double(x[j]) * x[j];
    std::vector<float> h(WIDTH);
    for (int j = 0; j < WIDTH; j++) h[size_t(j)] = static_cast<float>(x[j] / sqrt(squares / WIDTH + 1e-6));
    return h;
}

static bool right(const std::vector<float> &h, const std::vector<float> &x) {
    for (size_t row = 0; row < ROWS; row++) {
        std::vector<float> expected = norm_of_row(&x[row * WIDTH]);
        for (size_t j = 0; j < WIDTH; j++) {
            if (!(fabsf(h[row * WIDTH + j] - expected[j]) <= 1e-5f)) return false;
        }
    }
    return true;
}

int main() {
    size_t bytes = ROWS * WIDTH * sizeof(float);
    std::vector<float> x(ROWS * WIDTH), w(WIDTH, 1.0f), h(ROWS * WIDTH);
    for (size_t i = 0; i < x.size(); i++) x[i] = static_cast<float>(i * 37 % 101) / 50.0f - 1.0f;
    float *dx = nullptr, *dw = nullptr, *dh = nullptr;
    cudaMalloc(&dx, bytes);
    cudaMalloc(&dw, WIDTH * sizeof(float));
    cudaMalloc(&dh, bytes);
    cudaMemcpy(dx, x.data(), bytes, cudaMemcpyHostToDevice);
    cudaMemcpy(dw, w.data(), WIDTH * sizeof(float), cudaMemcpyHostToDevice);
    int wrong = 0;
    for (int seed = 1; seed <= SEEDS; seed++) {
        emulator_set_seed(static_cast<uint64_t>(seed));
        k_norm a = {};
        a.n = ROWS, a.d = WIDTH, a.eps = 1e-6f;
        a.x = dx, a.w = dw, a.h = reinterpret_cast<k_act *>(dh);
        cuda_norm(nullptr, &a);
        if (cudaGetLastError() != cudaSuccess) return 2;
        cudaMemcpy(h.data(), dh, bytes, cudaMemcpyDeviceToHost);
        if (!right(h, x)) wrong++;
    }
    cudaFree(dx);
    cudaFree(dw);
    cudaFree(dh);
    printf("proof: wrong under %d of %d seeds\n", wrong, SEEDS);
    return wrong ? 1 : 0;
}
