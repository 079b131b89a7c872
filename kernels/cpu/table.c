/* table.c - the CPU's table of operations. */
#include "kernels/cpu/cpu.h"

static const kernels cpu = {
    .name = "cpu",
    .linear = cpu_linear,
    .linear_back = cpu_linear_back,
    .embed = cpu_embed,
    .rmsnorm = cpu_rmsnorm,
    .rmsnorm_back = cpu_rmsnorm_back,
    .rope = cpu_rope,
    .attention = cpu_attention,
    .attention_back = cpu_attention_back,
    .swiglu = cpu_swiglu,
    .swiglu_back = cpu_swiglu_back,
    .head_stats = cpu_head_stats,
    .entropy_back = cpu_entropy_back,
    .soft_write = cpu_soft_write,
};

const kernels *kernels_cpu(void) {
    return &cpu;
}
