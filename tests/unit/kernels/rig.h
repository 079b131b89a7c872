/* rig.h - what the test_kernels_* programs share: a device, random arrays with guards, comparisons.
 *
 * Arrays live on the device under test, with guard bytes on both sides (and sometimes one row in, as
 * callers slice them). Blank arrays hold NaN, so that output which was not written is noticed. Each
 * array keeps what was put into it as doubles: activations already rounded to the device's type, so
 * references start from exactly what the device sees. end_round() checks that guards and inputs are as
 * they were and frees everything that was made since the last one.
 *
 *     array *x = acts(n, in, 1), *y = blank(ACTS, n, out);
 *     K->linear(K, y->p, x->p, n, &w->w);
 *     CLOSE(results(y), want, mag, y->n, SUM, rounding(), "linear");
 *     end_round();
 *
 * Bounds are tol·(sum of the magnitudes of the terms) + rounding·|value|. SUM is for float32 products and
 * sums: each addition errs by at most 2^-24 of a partial sum, and their signs are mixed.
 *
 * Usage of a program: [--device NAME] [--precision f32|bf16] [--bits 512|256|0] [--rounds N] [seed]
 * --plain: the CPU does without vectors of 512 bits.
 */
#ifndef TABES_TEST_RIG_H
#define TABES_TEST_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/base/rng.h"
#include "kernels/kernels.h"

#define SUM 2e-6
enum { GUARD = 256, GUARD_BYTE = 0x5a };

static kernels *K;
static int rounds = 40;
static uint64_t seed = 81731, draws;
static int n_checks, n_failed;

/* ---- checks ---- */

static inline bool check_at(bool ok, const char *file, int line, const char *what) {
    n_checks++;
    if (ok) return true;
    n_failed++;
    print_error("%s:%d: %s (seed %llu)\n", file, line, what, (unsigned long long)seed);
    return false;
}
#define CHECK(cond) check_at((cond), __FILE__, __LINE__, #cond)

/* mag NULL: the magnitude is that of the expected value. A NaN or infinity must be met exactly. */
static inline void close_at(const double *got, const double *want, const double *mag, size_t n, double tol,
                            double rounding, const char *what, const char *file, int line) {
    n_checks++;
    for (size_t i = 0; i < n; i++) {
        double size = fabs(want[i]), bound = tol * (mag ? mag[i] : size) + rounding * size + 1e-30;
        if (isnan(want[i]) ? isnan(got[i]) : got[i] == want[i] || fabs(got[i] - want[i]) <= bound) continue;
        n_failed++;
        print_error("%s:%d: %s[%zu of %zu]: %.9g, expected %.9g within %.3g (seed %llu)\n", file, line, what,
                    i, n, got[i], want[i], bound, (unsigned long long)seed);
        return;
    }
}
#define CLOSE(got, want, mag, n, tol, rounding, what)                                                        \
    close_at(got, want, mag, n, tol, rounding, what, __FILE__, __LINE__)

/* ---- random numbers ---- */

static inline double uniform(void) {
    return rng_uniform(seed, draws++, 0, 0, RNG_TOKEN);
}

static inline double normal(void) {
    return sqrt(-2 * log(uniform())) * cos(6.283185307179586 * uniform());
}

static inline int pick(int low, int high) {
    return low + (int)(uniform() * (high - low + 1));
}

static inline size_t size(int a, int b) {
    return (size_t)a * (size_t)b;
}

/* ---- memory of a round ---- */

typedef enum element { FLOATS, ACTS, RAW } element;

typedef struct array array;
struct array {
    void *p;   /* first element, on the device */
    size_t n;  /* elements */
    double *v; /* what was put; NULL for RAW */
    /* private */
    kernels *k;
    element kind;
    size_t item, before, total; /* bytes: of an element, of the guard before, of everything */
    unsigned char *base, *image;
    bool output;
    array *next;
};

typedef struct loan {
    struct loan *next;
} loan;

static array *arrays;
static loan *loans;

/* n zeroed items on the host, until the end of the round. */
static inline void *lend(size_t n, size_t item) {
    loan *l = mem_new(n * item + sizeof(max_align_t), 1);
    assert_non_null(l);
    l->next = loans;
    loans = l;
    return (unsigned char *)l + sizeof(max_align_t);
}

static inline double *doubles(size_t n) {
    return lend(n, sizeof(double));
}

/* ---- element types ---- */

static inline float float_of_bits(uint32_t u) {
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

static inline uint32_t bits_of_float(float f) {
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

static inline float bf16_value(uint16_t h) {
    return float_of_bits((uint32_t)h << 16);
}

/* To nearest, ties to even; NaN stays NaN. */
static inline uint16_t bf16_bits(float f) {
    uint32_t u = bits_of_float(f);
    if (isnan(f)) return (uint16_t)(u >> 16 | 0x40);
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

static inline float f16_value(uint16_t h) {
    int exponent = h >> 10 & 31, mantissa = h & 1023;
    double v = exponent ? ldexp(1024 + mantissa, exponent - 25) : ldexp(mantissa, -24);
    if (exponent == 31) v = mantissa ? NAN : INFINITY;
    return (float)(h & 0x8000 ? -v : v);
}

/* What a bf16 device keeps of a weight or an activation. */
static inline double as_activation(double x) {
    return K->act_bytes == 2 ? (double)bf16_value(bf16_bits((float)x)) : (double)(float)x;
}

/* What enters a product with a weight. */
static inline double as_operand(double x) {
    return K->product_bytes == 2 ? (double)bf16_value(bf16_bits((float)x)) : x;
}

static inline void round_operands(double *v, size_t n) {
    for (size_t i = 0; i < n; i++) v[i] = as_operand(v[i]);
}

/* Relative error of storing an activation: a bf16 has 8 significant bits. */
static inline double rounding(void) {
    return K->act_bytes == 2 ? 0x1p-8 : 0;
}

static inline double decode(const array *a, const unsigned char *image, size_t i) {
    const unsigned char *at = image + a->before + i * a->item;
    uint16_t h;
    float f;
    memcpy(&h, at, sizeof h);
    if (a->item == 2) return (double)bf16_value(h);
    memcpy(&f, at, sizeof f);
    return (double)f;
}

static inline void encode(array *a, size_t i, double x) {
    unsigned char *at = a->image + a->before + i * a->item;
    float f = (float)x;
    uint16_t h = bf16_bits(f);
    if (a->item == 2)
        memcpy(at, &h, sizeof h);
    else
        memcpy(at, &f, sizeof f);
}

/* ---- arrays ---- */

static inline array *array_new(kernels *k, element kind, int rows, int width, size_t item) {
    array *a = mem_new(1, sizeof *a);
    assert_non_null(a);
    a->next = arrays;
    arrays = a;
    a->k = k, a->kind = kind, a->n = size(rows, width), a->item = item;
    a->before = GUARD + (rows > 1 && pick(0, 3) == 0 ? (size_t)width * item : 0);
    a->total = a->before + a->n * item + GUARD;
    a->base = k->alloc(k, a->total);
    a->image = mem_new(a->total, 1);
    assert_non_null(a->base);
    assert_non_null(a->image);
    memset(a->image, GUARD_BYTE, a->total);
    memset(a->image + a->before, 0xff, a->n * item); /* NaN in every float type */
    a->p = a->base + a->before;
    if (kind != RAW) a->v = doubles(a->n);
    return a;
}

/* Sends the image, after which v holds what the device sees. */
static inline array *send(array *a) {
    a->k->put(a->k, a->base, a->image, a->total);
    for (size_t i = 0; a->v && i < a->n; i++) a->v[i] = decode(a, a->image, i);
    return a;
}

static inline size_t item_of(const kernels *k, element kind) {
    return kind == ACTS ? (size_t)k->act_bytes : sizeof(float);
}

static inline array *blank(element kind, int rows, int width) {
    return send(array_new(K, kind, rows, width, item_of(K, kind)));
}

static inline array *randoms(element kind, int rows, int width, double scale) {
    array *a = array_new(K, kind, rows, width, item_of(K, kind));
    for (size_t i = 0; i < a->n; i++) encode(a, i, scale * normal());
    return send(a);
}

static inline array *floats(int rows, int width, double scale) {
    return randoms(FLOATS, rows, width, scale);
}

static inline array *acts(int rows, int width, double scale) {
    return randoms(ACTS, rows, width, scale);
}

/* The same values on device k: activations become its own. */
static inline array *copy_to(kernels *k, const array *from, element kind) {
    array *a = array_new(k, kind, 1, (int)from->n, item_of(k, kind));
    for (size_t i = 0; i < a->n; i++) encode(a, i, from->v[i]);
    return send(a);
}

static inline array *of_values(element kind, const double *v, int rows, int width) {
    array *a = array_new(K, kind, rows, width, item_of(K, kind));
    for (size_t i = 0; i < a->n; i++) encode(a, i, v[i]);
    return send(a);
}

/* n items of any type; init NULL: all bits set. */
static inline array *raw_on(kernels *k, const void *init, int n, size_t item) {
    array *a = array_new(k, RAW, 1, n, item);
    if (init && n) memcpy(a->image + a->before, init, a->n * item);
    return send(a);
}

static inline array *raw(const void *init, int n, size_t item) {
    return raw_on(K, init, n, item);
}

static inline array *ints(const int *v, int n) {
    return raw(v, n, sizeof *v);
}

static inline bool guards_hold(const array *a, const unsigned char *image) {
    size_t end = a->before + a->n * a->item;
    return memcmp(image, a->image, a->before) == 0 &&
           memcmp(image + end, a->image + end, a->total - end) == 0;
}

/* What an array holds by now, as bytes. From here on it counts as an output. */
static inline const void *raw_results(array *a) {
    unsigned char *image = lend(a->total, 1);
    a->k->get(a->k, image, a->base, a->total);
    check_at(guards_hold(a, image), __FILE__, __LINE__, "guard bytes were overwritten");
    a->output = true;
    return image + a->before;
}

static inline double *results(array *a) {
    const unsigned char *image = (const unsigned char *)raw_results(a) - a->before;
    double *v = doubles(a->n);
    for (size_t i = 0; i < a->n; i++) v[i] = decode(a, image, i);
    return v;
}

enum { MOST_LOADED = 16 };
static k_weight loaded[MOST_LOADED];
static int n_loaded;

/* Until the end of the round. On the CPU products of a weight that was let go of again do without what load
 * made of it, which is as good: half of the weights are such ones. */
static inline void load(k_weight *w) {
    CHECK(K->load(K, w));
    CHECK(n_loaded < MOST_LOADED);
    if (K->host && pick(0, 1))
        K->unload(K, w);
    else
        loaded[n_loaded++] = *w;
}

static inline void end_round_at(const char *file, int line) {
    k_fault f;
    if (K->fault(K, &f)) check_at(false, file, line, f.text);
    while (n_loaded) K->unload(K, &loaded[--n_loaded]);
    while (arrays) {
        array *a = arrays;
        unsigned char *image = lend(a->total, 1);
        a->k->get(a->k, image, a->base, a->total);
        check_at(guards_hold(a, image), file, line, "guard bytes were overwritten");
        if (!a->output) check_at(!memcmp(image, a->image, a->total), file, line, "an input was changed");
        a->k->free(a->k, a->base);
        arrays = a->next;
        free(a->image);
        free(a);
    }
    while (loans) {
        loan *l = loans;
        loans = l->next;
        free(l);
    }
}
#define end_round() end_round_at(__FILE__, __LINE__)

/* ---- weights ---- */

typedef struct weights {
    k_weight w;        /* loaded into K */
    k_weight host;     /* as the CPU sees the same values */
    double *v;         /* [rows][cols] */
    const float *bias; /* [rows]; host memory */
} weights;

static inline k_dtype any_type(void) {
    return (k_dtype)pick(K_F32, K_BF16);
}

static inline float weight_value(k_dtype type, const unsigned char *at) {
    uint16_t h;
    float f;
    memcpy(&h, at, sizeof h);
    if (type != K_F32) return type == K_F16 ? f16_value(h) : bf16_value(h);
    memcpy(&f, at, sizeof f);
    return f;
}

/* One part about 1 in size, at an odd address; f16 subnormals are among them. */
static inline k_matrix random_matrix(int rows, int cols, k_dtype type, double *v) {
    size_t n = size(rows, cols), item = type == K_F32 ? 4 : 2, odd = (size_t)pick(0, 1);
    unsigned char *bytes = (unsigned char *)lend(n * item + 1, 1) + odd;
    for (size_t i = 0; i < n; i++) {
        float f = (float)normal();
        int half = pick(0, 1) << 15 | pick(0, 15) << 10 | (int)(i * 37 % 1024);
        uint16_t h = type == K_F16 ? (uint16_t)half : (uint16_t)(bits_of_float(f) >> 16);
        memcpy(bytes + item * i, type == K_F32 ? (const void *)&f : &h, item);
        v[i] = as_activation((double)weight_value(type, bytes + item * i));
    }
    return (k_matrix){bytes, type, rows, cols};
}

static inline weights *weights_of(int rows, int cols, k_dtype type, int n_parts, bool biased) {
    weights *w = lend(1, sizeof *w);
    k_matrix part[K_PARTS];
    w->v = doubles(size(rows, cols));
    for (int p = 0, first = 0; p < n_parts; p++) {
        int left = rows - first, n = p == n_parts - 1 ? left : pick(1, left - (n_parts - 1 - p));
        part[p] = random_matrix(n, cols, p ? any_type() : type, w->v + size(first, cols));
        first += n;
    }
    float *bias = lend((size_t)rows, sizeof *bias);
    for (int i = 0; i < rows; i++) bias[i] = (float)normal();
    w->bias = biased ? bias : NULL;
    w->w = k_stack(part, n_parts);
    w->w.bias = w->bias;
    load(&w->w);
    float *f = lend(size(rows, cols), sizeof *f);
    for (size_t i = 0; i < size(rows, cols); i++) f[i] = (float)w->v[i];
    w->host = k_stack(&(k_matrix){f, K_F32, rows, cols}, 1);
    w->host.bias = w->bias;
    return w;
}

static inline weights *random_weights(int rows, int cols) {
    int most = rows < K_PARTS ? rows : K_PARTS;
    return weights_of(rows, cols, any_type(), pick(1, most), pick(0, 1));
}

/* ---- index arrays ---- */

/* n of the numbers [first, first+of), ascending, on the host. */
static inline int *choose(int n, int first, int of) {
    int *v = lend((size_t)n, sizeof *v), left = n, at = 0;
    for (int i = 0; i < of && left; i++) {
        if (uniform() * (of - i) < left) v[at++] = first + i, left--;
    }
    return v;
}

/* n numbers of [0, of), repeats allowed. */
static inline int *any_of(int n, int of) {
    int *v = lend((size_t)n, sizeof *v);
    for (int i = 0; i < n; i++) v[i] = pick(0, of - 1);
    return v;
}

/* ---- programs ---- */

static inline int usage(void) {
    fputs("options: [--device NAME] [--precision f32|bf16] [--bits 512|256|0] [--rounds N] [seed]\n", stderr);
    return 2;
}

/* 0, or the exit status: a device that is not there is a skip. */
static inline int open_device(int argc, char **argv) {
    k_open o = {0};
    int chosen = 0;
    for (int i = 1; i < argc; i++) {
        bool value = i + 1 < argc;
        if (!strcmp(argv[i], "--device") && value)
            o.device = argv[++i];
        else if (!strcmp(argv[i], "--precision") && value && !strcmp(argv[i + 1], "bf16"))
            o.precision = K_PRECISION_BF16, i++;
        else if (!strcmp(argv[i], "--precision") && value && !strcmp(argv[i + 1], "f32"))
            o.precision = K_PRECISION_F32, i++;
        else if (!strcmp(argv[i], "--bits") && value)
            kernels_limit_vectors((int)strtol(argv[++i], NULL, 10));
        else if (!strcmp(argv[i], "--rounds") && value)
            chosen = (int)strtol(argv[++i], NULL, 10);
        else if (argv[i][0] >= '0' && argv[i][0] <= '9')
            seed = strtoull(argv[i], NULL, 10);
        else
            return usage();
    }
    k_fault f;
    if (kernels_open(&K, &o, &f)) {
        fprintf(stderr, "skipped: %s\n", f.text);
        return 77;
    }
    rounds = chosen > 0 ? chosen : K->host ? 40 : 8; /* an emulated device is slow */
    return 0;
}

static inline int close_device(const char *name, int rc) {
    printf("kernels %s: %d checks, %d failed (%s, %s, seed %llu)\n", name, n_checks, n_failed, K->name,
           K->product_bytes == 4 ? "float32"
           : K->act_bytes == 2   ? "bf16"
           : kernels_have_bf16() ? "bf16 products"
                                 : "bf16 products without instructions",
           (unsigned long long)seed);
    K->close(K);
    return rc || n_failed ? 1 : 0;
}

#endif
