/* ceilings.c - large products and copies, timed in batches so that queueing a call costs nothing. */
#include "bench/ceilings.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/mem.h"
#include "engine/base/rng.h"
#include "engine/buffer.h"

enum {
    SMALLEST_PRODUCT = 256,
    LARGEST_PRODUCT = 8192,
    HOST_READ = 4096,
    COPY_WIDTH = 4096,
    MOST_CALLS = 50,
    BATCHES = 3
};
static const size_t NOISE_BYTES = (size_t)1 << 22, SMALLEST_COPY = (size_t)1 << 22,
                    LARGEST_COPY = (size_t)1 << 30, HOST_COPY = (size_t)1 << 26;
static const double BATCH_SECONDS = 0.1;

typedef struct rig {
    kernels *k;
    unsigned char *noise; /* LARGEST_PRODUCT² weights at most, as products take them */
    size_t noise_bytes;
    err *e;
} rig;

static int check(const rig *r) {
    return device_check(r->k, r->e);
}

/* Where memory ends, what was measured before stands. */
static int measured(int rc, bool some) {
    return rc == ERR_NO_MEMORY && some ? 0 : rc;
}

/* Uniform in ±0.5, as floats (item 4) or bfloat16; the same numbers again every NOISE_BYTES. */
static void fill(unsigned char *out, size_t bytes, size_t item) {
    size_t drawn = bytes < NOISE_BYTES ? bytes : NOISE_BYTES;
    for (size_t i = 0; i < drawn / item; i++) {
        float x = (float)(int16_t)(rng_bits(1, i, 0, 0, RNG_TOKEN) & 0xffff) / 65536;
        uint32_t u;
        memcpy(&u, &x, sizeof u);
        uint16_t high = (uint16_t)(u >> 16);
        memcpy(out + i * item, item == 4 ? (const void *)&x : (const void *)&high, item);
    }
    for (size_t i = drawn; i < bytes; i += drawn) memcpy(out + i, out, drawn < bytes - i ? drawn : bytes - i);
}

static bool grow_noise(rig *r, size_t bytes) {
    if (bytes <= r->noise_bytes) return true;
    free(r->noise);
    r->noise = mem_new(bytes, 1);
    r->noise_bytes = r->noise ? bytes : 0;
    if (r->noise) fill(r->noise, bytes, (size_t)r->k->product_bytes);
    return r->noise;
}

static void *random_acts(rig *r, size_t n) {
    size_t item = (size_t)r->k->act_bytes, bytes = n * item;
    unsigned char *host = mem_new(bytes, 1), *p = host ? r->k->alloc(r->k, bytes) : NULL;
    if (host) fill(host, bytes, item);
    if (p) r->k->put(r->k, p, host, bytes);
    free(host);
    return p;
}

/* ---- products ---- */

typedef struct product {
    k_act *x, *y;
    k_weight w;
    int n;
} product;

static int make_product(rig *r, product *p, int n, int size, int parts) {
    size_t item = (size_t)r->k->product_bytes, cells = (size_t)size * (size_t)size;
    k_matrix m[K_PARTS];
    /* On the CPU parts stay where they are: they must not be one and the same memory. */
    size_t apart = r->k->host ? cells * item : 0;
    if (!grow_noise(r, cells * item + apart * (size_t)(parts - 1)))
        return err_set(r->e, ERR_NO_MEMORY, "out of memory for a product");
    for (int i = 0; i < parts; i++) {
        m[i] = (k_matrix){r->noise + (size_t)i * apart, item == 4 ? K_F32 : K_BF16, size, size};
    }
    *p = (product){.w = k_stack(m, parts), .n = n};
    p->x = random_acts(r, (size_t)n * (size_t)size);
    p->y = r->k->alloc(r->k, (size_t)n * (size_t)p->w.rows * (size_t)r->k->act_bytes);
    if (p->x && p->y && r->k->load(r->k, &p->w)) return 0;
    int rc = check(r);
    return rc ? rc : err_set(r->e, ERR_NO_MEMORY, "out of memory for a product");
}

static void free_product(rig *r, product *p) {
    if (p->w.n_parts) r->k->unload(r->k, &p->w);
    r->k->free(r->k, p->x);
    r->k->free(r->k, p->y);
}

static int run_product(rig *r, const product *p, int calls, double *seconds) {
    double begin = clock_now();
    for (int i = 0; i < calls; i++) r->k->linear(r->k, p->y, p->x, p->n, &p->w);
    int rc = check(r);
    *seconds = (clock_now() - begin) / calls;
    return rc;
}

static int calls_in_batch(double seconds) {
    double calls = BATCH_SECONDS / (seconds > 1e-6 ? seconds : 1e-6);
    return calls < 1 ? 1 : calls > MOST_CALLS ? MOST_CALLS : (int)calls;
}

/* Seconds of one call in the best batch, after calls that load and choose kernels. */
static int time_product(rig *r, const product *p, double *seconds) {
    int rc = run_product(r, p, 1, seconds);
    if (!rc) rc = run_product(r, p, 1, seconds);
    int calls = calls_in_batch(*seconds);
    for (int i = 0; i < BATCHES && !rc; i++) {
        double batch;
        rc = run_product(r, p, calls, &batch);
        if (!i || batch < *seconds) *seconds = batch;
    }
    return rc;
}

static int measure_products(rig *r, ceilings *c) {
    double seconds = 0;
    int rc = 0;
    for (int n = SMALLEST_PRODUCT; !rc && n <= LARGEST_PRODUCT && seconds < CEILING_SECONDS / 2; n *= 2) {
        product p = {0};
        rc = make_product(r, &p, n, n, 1);
        if (!rc) rc = time_product(r, &p, &seconds);
        free_product(r, &p);
        double flops = 2.0 * n * n * n / (seconds > 0 ? seconds : 1);
        if (rc || flops <= c->flops) continue;
        c->flops = flops;
        c->gemm = n;
    }
    return measured(rc, c->flops > 0);
}

/* ---- bandwidth ---- */

/* The number of rows changes which kernel the library takes, hardly what is read: the best counts. */
static int measure_read(rig *r, ceilings *c) {
    static const int rows[] = {1, 8, 16, 64};
    int size = r->k->host ? HOST_READ : LARGEST_PRODUCT, rc = 0;
    product p = {0};
    rc = make_product(r, &p, rows[3], size, K_PARTS);
    double bytes = (double)p.w.rows * size * r->k->product_bytes;
    for (size_t i = 0; i < sizeof rows / sizeof *rows && !rc; i++) {
        double seconds;
        p.n = rows[i];
        rc = time_product(r, &p, &seconds);
        if (!rc && bytes / seconds > c->read) c->read = bytes / seconds;
    }
    c->read_mb = bytes / 1e6;
    free_product(r, &p);
    return rc;
}

static int run_copy(rig *r, float *y, const float *x, int n, int calls, double *seconds) {
    double begin = clock_now();
    for (int i = 0; i < calls; i++) r->k->rows(r->k, y, NULL, x, NULL, NULL, n, COPY_WIDTH);
    int rc = check(r);
    *seconds = (clock_now() - begin) / calls;
    return rc;
}

static int time_copy(rig *r, size_t bytes, double *seconds) {
    kernels *k = r->k;
    char *x = k->alloc(k, bytes);
    float *y = x ? k->alloc(k, bytes) : NULL;
    int n = (int)(bytes / sizeof(float) / COPY_WIDTH), rc = 0;
    for (size_t at = 0; y && at < bytes; at += SMALLEST_COPY) k->put(k, x + at, r->noise, SMALLEST_COPY);
    if (!y && !(rc = check(r))) rc = err_set(r->e, ERR_NO_MEMORY, "out of memory for a copy");
    if (!rc) rc = run_copy(r, y, (const float *)x, n, 1, seconds);
    if (!rc) rc = run_copy(r, y, (const float *)x, n, 1, seconds);
    int calls = calls_in_batch(*seconds);
    for (int i = 0; i < BATCHES && !rc; i++) {
        double batch;
        rc = run_copy(r, y, (const float *)x, n, calls, &batch);
        if (!i || batch < *seconds) *seconds = batch;
    }
    k->free(k, x);
    k->free(k, y);
    return rc;
}

static int measure_copy(rig *r, ceilings *c) {
    size_t most = r->k->host ? HOST_COPY : LARGEST_COPY;
    double seconds = 0;
    int rc = grow_noise(r, SMALLEST_COPY) ? 0 : err_set(r->e, ERR_NO_MEMORY, "out of memory for a copy");
    for (size_t bytes = SMALLEST_COPY; !rc && bytes <= most && seconds < CEILING_SECONDS; bytes *= 2) {
        rc = time_copy(r, bytes, &seconds);
        if (rc) break;
        c->copy = 2.0 * (double)bytes / seconds; /* the last, largest one counts: it is beyond most caches */
        c->copy_mb = (double)bytes / 1e6;
    }
    return measured(rc, c->copy > 0);
}

int ceilings_measure(const k_open *o, ceilings *out, err *e) {
    *out = (ceilings){0};
    rig r = {.e = e};
    k_fault f;
    if (kernels_open(&r.k, o, &f)) return err_set(e, ERR_NO_DEVICE, "%s", f.text);
    int rc = measure_products(&r, out);
    if (!rc) rc = measure_copy(&r, out);
    if (!rc) rc = measured(measure_read(&r, out), out->copy > 0);
    out->bytes = out->copy > out->read ? out->copy : out->read;
    free(r.noise);
    r.k->close(r.k);
    return rc;
}
