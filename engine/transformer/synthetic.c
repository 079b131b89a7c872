/* synthetic.c - random weights of a shape, bound as a checkpoint's would be.
 *
 * Weights are uniform with a standard deviation of 0.02, the usual initialisation: behind each norm, products
 * of some thousand terms then have a magnitude of about one. Windows into the pool start at different places,
 * so no two layers are alike. */
#include "engine/synthetic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/base/rng.h"
#include "engine/transformer/transformer.h"

const synthetic_shape synthetic_shapes[] = {
    {"llada-8b", 4096, 32, 32, 32, 12288, 126464, 4096, 5e5, 1e-5, false, false, false, K_BF16, 1},
    {"dream-7b", 3584, 28, 28, 4, 18944, 152064, 131072, 1e6, 1e-6, true, true, false, K_BF16, 1},
    {"small", 768, 12, 12, 12, 2048, 32000, 4096, 1e4, 1e-5, false, false, true, K_BF16, 1},
    {"tiny", 64, 2, 4, 2, 128, 256, 512, 1e4, 1e-5, true, true, false, K_F32, 1},
    {0}};

/* sqrt(12) standard deviations wide, in 65536 steps. */
static const float WEIGHT_STEP = 0.02f * 3.4641016f / 65536;

/* Windows start at multiples of WINDOW elements, SPREAD of them. */
enum { WINDOW = 64, SPREAD = 1 << 14 };

typedef struct builder {
    transformer *t;
    const synthetic_shape *s;
    char *pool;
    size_t item; /* bytes of an element */
    uint64_t n_taken;
    err *e;
} builder;

synthetic_shape synthetic_named(const char *name) {
    const synthetic_shape *s = synthetic_shapes;
    while (s->name && strcmp(s->name, name) != 0) s++;
    return *s;
}

/* ---- sizes ---- */

static int take_sizes(builder *b) {
    const synthetic_shape *s = b->s;
    transformer *t = b->t;
    if (s->d < 2 || s->L < 1 || s->H < 1 || s->KV < 1 || s->f < 1 || s->V < 2 || s->max_len < 1 ||
        s->d % s->H || s->d / s->H % 2 || s->H % s->KV || s->dtype == K_F16) {
        return err_set(b->e, ERR_BAD_ARGUMENT, "%s: no transformer has this shape",
                       s->name ? s->name : "(no name)");
    }
    t->d = s->d, t->L = s->L, t->H = s->H, t->KV = s->KV, t->hd = s->d / s->H, t->f = s->f, t->V = s->V;
    t->eps = (float)s->eps, t->theta = s->theta;
    t->embed_scale = t->logit_scale = 1;
    t->base.info.max_len = s->max_len;
    b->item = s->dtype == K_F32 ? 4 : 2;
    return 0;
}

static size_t count_elements(const builder *b) {
    const transformer *t = b->t;
    size_t d = (size_t)t->d, qw = (size_t)tf_q_width(t), qkv = (size_t)tf_qkv_width(t);
    size_t layer = d * (qkv + qw + 3 * (size_t)t->f + 2) + (b->s->bias ? qkv : 0);
    return layer * (size_t)t->L + d * ((size_t)t->V * (b->s->tied ? 1 : 2) + 1);
}

/* ---- weights ---- */

static size_t largest_matrix(const transformer *t) {
    int rows = t->V > t->f ? t->V : t->f;
    if (rows < tf_q_width(t)) rows = tf_q_width(t);
    return (size_t)rows * (size_t)t->d;
}

static void fill_pool(builder *b, size_t n) {
    uint64_t bits = 0;
    for (size_t i = 0; i < n; i++, bits >>= 16) {
        if (i % 4 == 0) bits = rng_bits(b->s->seed, i, 0, 0, RNG_TOKEN);
        float x = WEIGHT_STEP * ((float)(bits & 0xffff) - 32767.5f);
        uint32_t u;
        memcpy(&u, &x, sizeof u);
        uint16_t high = (uint16_t)(u >> 16);
        if (b->item == 4)
            memcpy(b->pool + 4 * i, &x, sizeof x);
        else
            memcpy(b->pool + 2 * i, &high, sizeof high);
    }
}

static int make_pool(builder *b) {
    size_t n = largest_matrix(b->t) + (size_t)WINDOW * SPREAD;
    b->pool = arena_new(&b->t->mem, n, b->item);
    if (!b->pool) return err_set(b->e, ERR_NO_MEMORY, "out of memory for %zu random weights", n);
    fill_pool(b, n);
    return 0;
}

static k_matrix window(builder *b, int rows, int cols) {
    size_t at = (size_t)(rng_bits(b->s->seed, b->n_taken++, 0, 0, RNG_POSITION) % SPREAD) * WINDOW;
    return (k_matrix){b->pool + at * b->item, b->s->dtype, rows, cols};
}

static k_weight weight(builder *b, const int *rows, int n, int cols) {
    k_matrix m[K_PARTS];
    for (int p = 0; p < n; p++) m[p] = window(b, rows[p], cols);
    return k_stack(m, n);
}

/* n floats around `middle`, or NULL and the error. */
static const float *vector(builder *b, int n, float middle) {
    float *v = arena_new(&b->t->mem, (size_t)n, sizeof *v);
    if (!v) err_set(b->e, ERR_NO_MEMORY, "out of memory for random weights");
    uint64_t which = b->n_taken++;
    for (int i = 0; v && i < n; i++) {
        uint64_t bits = rng_bits(b->s->seed, which, (uint64_t)i, 0, RNG_PATH);
        v[i] = middle + WEIGHT_STEP * ((float)(bits & 0xffff) - 32767.5f);
    }
    return v;
}

static int bind_layer(builder *b, tf_layer *l) {
    const transformer *t = b->t;
    int d = t->d, f = t->f;
    const int qkv[] = {tf_q_width(t), tf_kv_width(t), tf_kv_width(t)}, gu[] = {f, f};
    l->qkv = weight(b, qkv, 3, d);
    l->o = weight(b, &d, 1, tf_q_width(t));
    l->gu = weight(b, gu, 2, d);
    l->down = weight(b, &d, 1, f);
    if (b->s->bias && !(l->qkv.bias = vector(b, l->qkv.rows, 0))) return ERR_NO_MEMORY;
    l->attn_norm = vector(b, d, 1);
    l->mlp_norm = vector(b, d, 1);
    return l->attn_norm && l->mlp_norm ? 0 : ERR_NO_MEMORY;
}

static int bind_weights(builder *b) {
    transformer *t = b->t;
    int rc = make_pool(b);
    if (rc) return rc;
    t->layers = arena_new(&t->mem, (size_t)t->L, sizeof *t->layers);
    if (!t->layers) return err_set(b->e, ERR_NO_MEMORY, "out of memory for %d layers", t->L);
    t->embed = weight(b, &t->V, 1, t->d);
    t->head = b->s->tied ? t->embed : weight(b, &t->V, 1, t->d);
    t->norm = vector(b, t->d, 1);
    rc = t->norm ? 0 : ERR_NO_MEMORY;
    for (int i = 0; i < t->L && !rc; i++) rc = bind_layer(b, &t->layers[i]);
    return rc;
}

/* ---- opening ---- */

static void describe(builder *b) {
    const transformer *t = b->t;
    denoiser_info *info = &b->t->base.info;
    snprintf(info->arch, sizeof info->arch, "random");
    snprintf(info->name, sizeof info->name, "%s", b->s->name);
    snprintf(info->fingerprint, sizeof info->fingerprint, "%032llx", (unsigned long long)b->s->seed);
    snprintf(info->dtype, sizeof info->dtype, "%s", b->s->dtype == K_F32 ? "F32" : "BF16");
    info->n_vocab = t->V, info->d_model = t->d, info->n_layers = t->L;
    info->n_heads = t->H, info->n_kv_heads = t->KV, info->mlp_size = t->f;
    info->mask_id = t->V - 1;
    info->bos_id = info->eos_id = info->pad_id = info->turn_end_id = -1;
    info->shifted = b->s->shifted;
    info->weight_bytes = t->n_elements * b->item;
}

static int build(builder *b, const denoiser_opts *o) {
    int rc = take_sizes(b);
    if (rc) return rc;
    b->t->n_elements = count_elements(b);
    b->t->base.info.n_params = (int64_t)b->t->n_elements;
    rc = tf_open_device(b->t, o, b->s->dtype == K_F32, false, b->e);
    if (!rc) rc = bind_weights(b);
    if (!rc) rc = tf_load_weights(b->t, o, b->e);
    if (!rc) describe(b);
    return rc;
}

int denoiser_synthetic(denoiser **out, const synthetic_shape *s, const denoiser_opts *o, err *e) {
    *out = NULL;
    transformer *t = mem_new(1, sizeof *t);
    if (!t) return err_set(e, ERR_NO_MEMORY, "out of memory");
    t->base.ops = &tf_ops;
    int rc = build(&(builder){.t = t, .s = s, .e = e}, o);
    if (rc)
        transformer_close(&t->base);
    else
        *out = &t->base;
    return rc;
}
