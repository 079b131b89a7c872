/* products.c - the CPU's products with a weight beside oneDNN's, in one run, taking turns.
 *
 *     build/tests/bench_products [THREADS [TYPE]]
 *
 * One line per type of weights, direction, rows of activations and shape: GFLOP/s of our kernels; of oneDNN's
 * float32 product on widened weights, as processors without AVX-512 have it; and for BF16 of oneDNN's own
 * bfloat16 product on the same rows of weights (2.x has it under another name than 3.x; the latter is left
 * out). Weights are far larger than caches, as in a model. Medians of five batches.
 */
#include <oneapi/dnnl/dnnl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/mem.h"
#include "engine/base/rng.h"
#include "kernels/blocks.h"

enum { BATCHES = 5, COPIES = 24 };

typedef struct shape {
    k_dtype type;
    bool back;
    int n, rows, cols;
} shape;

typedef struct work {
    shape s;
    unsigned char *weights; /* COPIES of them */
    k_weight loaded[COPIES];
    size_t bytes;
    float *x, *y;
    dnnl_primitive_t bf16;
    dnnl_memory_t memory[3];
    dnnl_stream_t stream;
} work;

static double median(double v[BATCHES]) {
    for (int i = 0; i < BATCHES; i++) {
        for (int j = i + 1; j < BATCHES; j++) {
            double x = v[i];
            if (v[j] < x) v[i] = v[j], v[j] = x;
        }
    }
    return v[BATCHES / 2];
}

static void run_kernels(work *w, kernels *k, int copy) {
    const k_weight *m = &w->loaded[copy];
    if (w->s.back)
        k->linear_back(k, (k_act *)w->y, (k_act *)w->x, w->s.n, m, NULL);
    else
        k->linear(k, (k_act *)w->y, (k_act *)w->x, w->s.n, m);
}

static double gflops(const work *w, double seconds) {
    return 2.0 * w->s.n * w->s.rows * w->s.cols / seconds / 1e9;
}

static double time_kernels(work *w, kernels *k, bool wide) {
    double t[BATCHES];
    for (int i = 0; i < COPIES; i++) {
        k_matrix m = {w->weights + (size_t)i * w->bytes, w->s.type, w->s.rows, w->s.cols};
        w->loaded[i] = k_stack(&m, 1);
        k->load(k, &w->loaded[i]);
    }
    kernels_limit_vectors(wide ? 512 : 0);
    run_kernels(w, k, 0);
    for (int b = 0; b < BATCHES; b++) {
        double begin = clock_now();
        for (int i = 0; i < COPIES; i++) run_kernels(w, k, i);
        t[b] = (clock_now() - begin) / COPIES;
    }
    kernels_limit_vectors(512);
    for (int i = 0; i < COPIES; i++) k->unload(k, &w->loaded[i]);
    return gflops(w, median(t));
}

#if DNNL_VERSION_MAJOR == 2
static void open_bf16(work *w, dnnl_engine_t engine) {
    const shape *s = &w->s;
    int in = s->back ? s->rows : s->cols, out = s->back ? s->cols : s->rows;
    dnnl_memory_desc_t x, m, y;
    dnnl_matmul_desc_t d;
    dnnl_primitive_desc_t p;
    const dnnl_dims_t dx = {s->n, in}, dm = {in, out}, dy = {s->n, out};
    dnnl_memory_desc_init_by_tag(&x, 2, dx, dnnl_bf16, dnnl_ab);
    dnnl_memory_desc_init_by_tag(&m, 2, dm, dnnl_bf16, s->back ? dnnl_ab : dnnl_ba);
    dnnl_memory_desc_init_by_tag(&y, 2, dy, dnnl_f32, dnnl_ab);
    if (dnnl_matmul_desc_init(&d, &x, &m, NULL, &y) || dnnl_primitive_desc_create(&p, &d, NULL, engine, NULL))
        return;
    dnnl_primitive_create(&w->bf16, p);
    dnnl_memory_create(&w->memory[0], &x, engine, w->x); /* its bits are of no matter */
    dnnl_memory_create(&w->memory[1], &m, engine, w->weights);
    dnnl_memory_create(&w->memory[2], &y, engine, w->y);
    dnnl_stream_create(&w->stream, engine, dnnl_stream_default_flags);
    dnnl_primitive_desc_destroy(p);
}

static double time_bf16(work *w) {
    double t[BATCHES];
    const dnnl_exec_arg_t args[] = {
        {DNNL_ARG_SRC, w->memory[0]}, {DNNL_ARG_WEIGHTS, w->memory[1]}, {DNNL_ARG_DST, w->memory[2]}};
    for (int b = -1; b < BATCHES; b++) {
        double begin = clock_now();
        for (int i = 0; i < COPIES; i++) {
            dnnl_memory_set_data_handle(w->memory[1], w->weights + (size_t)i * w->bytes);
            dnnl_primitive_execute(w->bf16, w->stream, 3, args);
            dnnl_stream_wait(w->stream);
        }
        if (b >= 0) t[b] = (clock_now() - begin) / COPIES;
    }
    return gflops(w, median(t));
}

static void close_bf16(work *w) {
    for (int i = 0; i < 3; i++) dnnl_memory_destroy(w->memory[i]);
    dnnl_stream_destroy(w->stream);
    dnnl_primitive_destroy(w->bf16);
}
#else
static void open_bf16(work *w, dnnl_engine_t engine) {
    (void)w, (void)engine;
}
static double time_bf16(work *w) {
    (void)w;
    return 0;
}
static void close_bf16(work *w) {
    (void)w;
}
#endif

/* Numbers of a sensible size in every type: exponents of halves and scales are kept away from their ends. */
static void fill(work *w) {
    for (size_t i = 0; i < COPIES * w->bytes; i++)
        w->weights[i] =
            (unsigned char)(w->s.type == K_BF16 || w->s.type == K_F32 ? (i % 2 ? 0x3c : i * 7) : i * 31 % 64);
    for (size_t i = 0; i < (size_t)w->s.n * (size_t)(w->s.rows + w->s.cols); i++)
        w->x[i] = (float)(rng_bits(1, i, 0, 0, RNG_TOKEN) & 0xff) / 256;
}

static int measure(const shape *s, dnnl_engine_t engine) {
    work w = {.s = *s, .bytes = (size_t)s->rows * k_row_bytes(s->type, s->cols)};
    size_t acts = (size_t)s->n * (size_t)(s->rows + s->cols);
    w.weights = mem_new(COPIES * w.bytes, 1);
    w.x = mem_new(acts, sizeof *w.x), w.y = mem_new(acts, sizeof *w.y);
    if (!w.weights || !w.x || !w.y) return 1;
    fill(&w);
    kernels *k = s->type == K_F32 || !kernels_have_bf16() ? kernels_cpu() : kernels_cpu_bf16();
    double own = time_kernels(&w, k, true), widened = time_kernels(&w, kernels_cpu(), false), bf16 = 0;
    if (s->type == K_BF16) open_bf16(&w, engine);
    if (w.bf16) bf16 = time_bf16(&w), close_bf16(&w);
    printf("%-5s %-4s %4d x %4d x %4d %8.0f %12.0f", k_block_of(s->type).name, s->back ? "back" : "", s->n,
           s->rows, s->cols, own, widened);
    if (bf16 > 0) printf(" %12.0f", bf16);
    putchar('\n');
    free(w.weights);
    free(w.x);
    free(w.y);
    return 0;
}

int main(int argc, char **argv) {
    static const int rows[] = {256, 64, 16, 1};
    static const k_dtype types[] = {K_BF16, K_F32, K_F16, K_Q8_0, K_Q4_0, K_Q4_K, K_Q6_K};
    dnnl_engine_t engine;
    if (dnnl_engine_create(&engine, dnnl_cpu, 0) != dnnl_success) return 1;
    kernels_set_threads(argc > 1 ? (int)strtol(argv[1], NULL, 10) : 0);
    printf("%d threads; bfloat16 products: %s\n", kernels_threads(), kernels_have_bf16() ? "yes" : "no");
    printf("%-5s %-4s %20s %8s %12s %12s   GFLOP/s\n", "type", "", "n x rows x cols", "own", "oneDNN f32",
           "oneDNN bf16");
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        if (argc > 2 && strcmp(argv[2], k_block_of(types[t]).name) != 0) continue;
        for (size_t i = 0; i < 8; i++) {
            shape s = {types[t], i >= 4, rows[i % 4], 2048, 2048};
            if (measure(&s, engine)) return 1;
        }
    }
    dnnl_engine_destroy(engine);
    return 0;
}
