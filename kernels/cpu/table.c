/* table.c - the CPU's table of operations, and the processor's name. */
#include "kernels/cpu/cpu.h"

#include <pthread.h>
#include <stdio.h>

static void close_nothing(kernels *k) {
    (void)k;
}

/* The table has no queue, so it is its own fork. */
static int fork_same(kernels *k, kernels **out, k_fault *f) {
    (void)f;
    *out = k;
    return 0;
}

static bool graph_never(kernels *k, const void *key, size_t key_bytes) {
    (void)k;
    (void)key;
    (void)key_bytes;
    return false;
}

static bool graph_end(kernels *k) {
    (void)k;
    return false;
}

static kernels cpu_bf16; /* like `cpu` but for product_bytes */
static kernels cpu = {
    .name = "cpu",
    .title = "CPU",
    .act_bytes = sizeof(float),
    .product_bytes = sizeof(float),
    .host = true,
    .close = close_nothing,
    .fork = fork_same,
    .alloc = cpu_alloc,
    .free = cpu_free,
    .put = cpu_put,
    .get = cpu_get,
    .zero = cpu_zero,
    .memory = cpu_memory,
    .fault = cpu_fault,
    .load = cpu_load,
    .unload = cpu_unload,
    .load_floats = cpu_load_floats,
    .graph_begin = graph_never,
    .graph_end = graph_end,
    .embed = cpu_embed,
    .rows = cpu_rows,
    .narrow = cpu_narrow,
    .gate = cpu_gate,
    .norm = cpu_norm,
    .norm_back = cpu_norm_back,
    .head_norm = cpu_head_norm,
    .head_norm_back = cpu_head_norm_back,
    .linear = cpu_linear,
    .logits = cpu_logits,
    .linear_back = cpu_linear_back,
    .rope = cpu_rope,
    .attention = cpu_attention,
    .attention_back = cpu_attention_back,
    .swiglu = cpu_swiglu,
    .swiglu_back = cpu_swiglu_back,
    .gelu = cpu_gelu,
    .gelu_back = cpu_gelu_back,
    .blend = cpu_blend,
    .head_stats = cpu_head_stats,
    .entropy_back = cpu_entropy_back,
    .soft_write = cpu_soft_write,
    .head = cpu_head,
    .head_back = cpu_head_back,
    .head_soft = cpu_head_soft,
};

/* "model name : X" gives X; a kernel that does not say leaves the title alone. */
static void prepare(void) {
    FILE *f = fopen("/proc/cpuinfo", "r");
    char line[256];
    while (f && fgets(line, sizeof line, f)) {
        const char *name = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !name) continue;
        name += strspn(name, ": \t");
        int length = (int)strcspn(name, "\n");
        if (length > 0) snprintf(cpu.title, sizeof cpu.title, "%.*s", length < 79 ? length : 79, name);
        break;
    }
    if (f) fclose(f);
    cpu_bf16 = cpu;
    cpu_bf16.product_bytes = 2;
}

static pthread_once_t once = PTHREAD_ONCE_INIT;

kernels *kernels_cpu(void) {
    pthread_once(&once, prepare);
    return &cpu;
}

kernels *kernels_cpu_bf16(void) {
    pthread_once(&once, prepare);
    return &cpu_bf16;
}
