/* bench.c - gpu_bench: forwards and BoE steps of models with random weights, against what the device can do.
 *
 *     gpu_bench [--shape NAME,...|all] [--device NAME] [--precision auto|f32|bf16] [--n LIST] [--rho LIST]
 *               [--repeat N] [--json FILE]
 *
 * Prints a table, and writes the JSON file anew after every line, so that an interrupted run leaves what it
 * has. Exit status: 0, 1 when something failed, 2 for bad usage, 77 without the device. README.md explains
 * the columns. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/ceilings.h"
#include "engine/base/clock.h"
#include "engine/synthetic.h"
#include "tests/gpu/floor.h"
#include "tests/gpu/steps.h"

enum { MOST_VALUES = 16, EXIT_SKIPPED = 77 };

typedef struct options {
    const char *shapes, *json;
    k_open open;
    double n[MOST_VALUES], rho[MOST_VALUES];
    int n_n, n_rho, repeat;
} options;

typedef struct bench {
    options o;
    ceilings top;
    cJSON *root, *shapes; /* shapes lies in root */
    bool failed;          /* something went wrong that did not end the run */
} bench;

/* ---- options ---- */

static int usage(void) {
    fputs("usage: gpu_bench [--shape NAME,...|all] [--device NAME] [--precision auto|f32|bf16]\n"
          "                 [--n LIST] [--rho LIST] [--repeat N] [--json FILE]\nshapes:",
          stderr);
    for (const synthetic_shape *s = synthetic_shapes; s->name; s++) fprintf(stderr, " %s", s->name);
    fputc('\n', stderr);
    return 2;
}

/* Numbers from low to high between commas; how many, or 0. */
static int parse_list(const char *text, double low, double high, double out[MOST_VALUES]) {
    int n = 0;
    while (n < MOST_VALUES) {
        char *end;
        double x = strtod(text, &end);
        if (end == text || !(x >= low && x <= high)) return 0;
        out[n++] = x;
        if (!*end) return n;
        if (*end != ',') return 0;
        text = end + 1;
    }
    return 0;
}

static bool parse_precision(const char *text, k_precision *out) {
    static const char *const names[] = {"auto", "f32", "bf16"};
    for (int i = 0; i < 3; i++) {
        if (strcmp(text, names[i]) != 0) continue;
        *out = (k_precision)i;
        return true;
    }
    return false;
}

static bool parse_option(options *o, const char *name, const char *value) {
    double repeat[MOST_VALUES];
    if (strcmp(name, "--shape") == 0) return o->shapes = value, true;
    if (strcmp(name, "--device") == 0) return o->open.device = value, true;
    if (strcmp(name, "--json") == 0) return o->json = value, true;
    if (strcmp(name, "--precision") == 0) return parse_precision(value, &o->open.precision);
    if (strcmp(name, "--n") == 0) return (o->n_n = parse_list(value, 4, 1 << 20, o->n));
    if (strcmp(name, "--rho") == 0) return (o->n_rho = parse_list(value, 1e-6, 1, o->rho));
    if (strcmp(name, "--repeat") != 0 || parse_list(value, 1, 1000, repeat) != 1) return false;
    o->repeat = (int)repeat[0];
    return true;
}

static bool parse_options(options *o, int argc, char **argv) {
    *o = (options){.shapes = "llada-8b,dream-7b", .open.device = "cuda", .repeat = 20};
    o->n_n = parse_list("128,256,512,1024,4096", 4, 1 << 20, o->n);
    o->n_rho = parse_list("0.1,0.25,0.5,1", 1e-6, 1, o->rho);
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 == argc || !parse_option(o, argv[i], argv[i + 1])) return false;
    }
    return true;
}

/* Whether "llada-8b,tiny" or "all" has the shape. */
static bool wants(const char *list, const char *name) {
    size_t n = strlen(name);
    if (strcmp(list, "all") == 0) return true;
    for (const char *at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        if (strncmp(at, name, n) == 0 && (at[n] == ',' || !at[n])) return true;
    }
    return false;
}

static bool names_known(const char *list) {
    int asked = 1, found = 0;
    for (const char *c = list; *c; c++) asked += *c == ',';
    for (const synthetic_shape *s = synthetic_shapes; s->name; s++) found += wants(list, s->name);
    return strcmp(list, "all") == 0 || asked == found;
}

/* ---- JSON ---- */

static void number(cJSON *o, const char *key, double x) {
    cJSON_AddNumberToObject(o, key, x);
}

static void write_json(const bench *b) {
    if (!b->o.json) return;
    char part[PATH_MAX], *text = cJSON_Print(b->root);
    int n = snprintf(part, sizeof part, "%s.part", b->o.json);
    FILE *f = text && n > 0 && (size_t)n < sizeof part ? fopen(part, "w") : NULL;
    bool ok = f && fputs(text, f) >= 0 && fputc('\n', f) != EOF;
    if (f) ok = fclose(f) == 0 && ok;
    if (!ok || rename(part, b->o.json)) fprintf(stderr, "gpu_bench: %s: %s\n", b->o.json, strerror(errno));
    cJSON_free(text);
}

static void record_ceilings(bench *b) {
    cJSON *c = cJSON_AddObjectToObject(b->root, "ceilings");
    number(c, "flops_per_s", b->top.flops);
    number(c, "gemm_size", b->top.gemm);
    number(c, "bytes_per_s", b->top.bytes);
    number(c, "copy_bytes_per_s", b->top.copy);
    number(c, "copy_mb", b->top.copy_mb);
    number(c, "read_bytes_per_s", b->top.read);
    number(c, "read_mb", b->top.read_mb);
}

static cJSON *record_shape(bench *b, const denoiser_info *i, double load_s) {
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "name", i->name);
    number(o, "d", i->d_model), number(o, "layers", i->n_layers), number(o, "heads", i->n_heads);
    number(o, "kv_heads", i->n_kv_heads), number(o, "mlp", i->mlp_size), number(o, "vocab", i->n_vocab);
    cJSON_AddBoolToObject(o, "shifted", i->shifted);
    number(o, "n_params", (double)i->n_params);
    cJSON_AddStringToObject(o, "precision", i->precision);
    cJSON_AddStringToObject(o, "device", i->device);
    cJSON_AddStringToObject(o, "title", i->device_title);
    number(o, "load_s", load_s);
    cJSON_AddItemToArray(b->shapes, o);
    return cJSON_AddArrayToObject(o, "lengths");
}

/* ---- measuring ---- */

typedef struct line {
    double greedy_ms, forward_floor;
    int act_bytes;
} line;

static void heading(const denoiser_info *i) {
    printf("\n%s, %s on %s (%s); half of N is prompt, half masks\n", i->name, i->precision, i->device,
           i->device_title);
    printf("%6s %6s %6s %10s %10s %7s %7s %9s %9s %9s\n", "N", "rho", "|A|", "ms greedy", "ms BoE", "ratio",
           "floor", "fwd/floor", "ms backw", "bwd/floor");
}

/* One BoE step: its line in the table and its object in `list`. */
static int measure_boe(bench *b, state *s, active_rows act, double rho, const line *l, cJSON *list, err *e) {
    double ms[N_PARTS];
    int rc = step_boe(s, act, rho, b->o.repeat, ms, e);
    if (rc) return rc;
    work back = work_backward(s->info, l->act_bytes, s->n, s->n_active, s->n_head);
    double back_floor = floor_ms(back, &b->top);
    double soft_floor = floor_ms(work_soft(s->info, l->act_bytes, s->n_cand), &b->top);
    double ratio = ms[PART_STEP] / l->greedy_ms;
    double floor_ratio = (l->forward_floor + back_floor + soft_floor) / l->forward_floor;
    char name[TRIPLE_NAME];
    cJSON *o = cJSON_CreateObject();
    cJSON_AddItemToArray(list, o);
    cJSON_AddStringToObject(o, "triple", triple_name((score_triple){LOOK_MASK, OBJ_MASKED, act}, name));
    number(o, "rho", rho), number(o, "n_cand", s->n_cand), number(o, "n_active", s->n_active);
    number(o, "step_ms", ms[PART_STEP]), number(o, "forward_ms", ms[PART_FORWARD]);
    number(o, "soft_ms", ms[PART_SOFT]), number(o, "tis_ms", ms[PART_TIS]);
    number(o, "backward_ms", ms[PART_BACKWARD]), number(o, "backward_floor_ms", back_floor);
    number(o, "soft_floor_ms", soft_floor);
    number(o, "ratio", ratio), number(o, "floor_ratio", floor_ratio);
    char share[16];
    snprintf(share, sizeof share, "%.2f", rho);
    printf("%6d %6s %6d %10.3f %10.3f %7.3f %7.3f %9.2f %9.3f %9.2f\n", s->n,
           act == ACTIVE_DENSE ? "dense" : share, s->n_active, l->greedy_ms, ms[PART_STEP], ratio,
           floor_ratio, l->greedy_ms / l->forward_floor, ms[PART_BACKWARD], ms[PART_BACKWARD] / back_floor);
    fflush(stdout);
    write_json(b);
    return 0;
}

static int measure_length(bench *b, state *s, cJSON *o, err *e) {
    double ms[N_PARTS];
    int rc = step_greedy(s, b->o.repeat, ms, e);
    if (rc) return rc;
    line l = {.greedy_ms = ms[PART_STEP], .act_bytes = strcmp(s->info->precision, "f32") == 0 ? 4 : 2};
    l.forward_floor = floor_ms(work_forward(s->info, l.act_bytes, s->n, s->n_masked), &b->top);
    number(o, "greedy_ms", l.greedy_ms), number(o, "forward_floor_ms", l.forward_floor);
    number(o, "forward_over_floor", l.greedy_ms / l.forward_floor);
    cJSON *list = cJSON_AddArrayToObject(o, "steps");
    for (int i = 0; i < b->o.n_rho && !rc; i++) {
        rc = measure_boe(b, s, ACTIVE_CANDIDATES, b->o.rho[i], &l, list, e);
    }
    if (!rc) rc = measure_boe(b, s, ACTIVE_DENSE, 1, &l, list, e);
    k_memory m;
    denoiser_memory(s->d, &m);
    number(o, "used_bytes", (double)m.used_bytes);
    return rc;
}

/* A length that fails (out of memory) is written down, and the others are still measured. */
static void run_length(bench *b, denoiser *d, int n, cJSON *lengths) {
    cJSON *o = cJSON_CreateObject();
    cJSON_AddItemToArray(lengths, o);
    number(o, "n", n), number(o, "n_prompt", n / 2), number(o, "n_masked", n - n / 2);
    err e = {0};
    state s = {0};
    int rc = state_open(&s, d, n, &e);
    if (!rc) rc = measure_length(b, &s, o, &e);
    state_close(&s);
    if (rc) {
        printf("%6d  %s\n", n, e.msg);
        cJSON_AddStringToObject(o, "error", e.msg);
        b->failed = true;
    }
    write_json(b);
}

static int run_shape(bench *b, const synthetic_shape *shape, err *e) {
    double begin = clock_now();
    denoiser *d;
    denoiser_opts o = {.device = b->o.open.device, .precision = b->o.open.precision};
    int rc = denoiser_synthetic(&d, shape, &o, e);
    if (rc) return rc;
    const denoiser_info *info = denoiser_get_info(d);
    cJSON *lengths = record_shape(b, info, clock_now() - begin);
    heading(info);
    for (int i = 0; i < b->o.n_n; i++) {
        if ((int)b->o.n[i] <= info->max_len) run_length(b, d, (int)b->o.n[i], lengths);
    }
    denoiser_close(d);
    return 0;
}

/* Ceilings of the precision that the shapes run in: with AUTO, that of large checkpoints. */
static int measure_ceilings(bench *b, err *e) {
    k_open o = b->o.open;
    if (o.precision == K_PRECISION_AUTO && strcmp(o.device, "cpu") != 0) o.precision = K_PRECISION_BF16;
    int rc = ceilings_measure(&o, &b->top, e);
    if (rc) return rc;
    record_ceilings(b);
    printf("ceilings: %.1f TFLOP/s (product of size %d), %.1f GB/s (copy %.1f, reading a weight %.1f)\n",
           b->top.flops / 1e12, b->top.gemm, b->top.bytes / 1e9, b->top.copy / 1e9, b->top.read / 1e9);
    return 0;
}

static int run(bench *b, err *e) {
    b->root = cJSON_CreateObject();
    cJSON_AddStringToObject(b->root, "schema", "tabes-gpu-bench/1");
    int rc = measure_ceilings(b, e);
    b->shapes = cJSON_AddArrayToObject(b->root, "shapes");
    for (const synthetic_shape *s = synthetic_shapes; s->name && !rc; s++) {
        if (wants(b->o.shapes, s->name)) rc = run_shape(b, s, e);
    }
    if (!rc) write_json(b);
    cJSON_Delete(b->root);
    return rc;
}

int main(int argc, char **argv) {
    bench b = {0};
    err e = {0};
    if (!parse_options(&b.o, argc, argv) || !names_known(b.o.shapes)) return usage();
    int rc = run(&b, &e);
    if (rc) fprintf(stderr, "gpu_bench: %s\n", e.msg);
    if (rc == ERR_NO_DEVICE && !b.top.flops) return EXIT_SKIPPED;
    return rc || b.failed ? 1 : 0;
}
