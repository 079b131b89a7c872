/* transformer_load.c - a Hugging Face checkpoint directory becomes a transformer.
 *
 * A layout is data: which config keys hold the sizes, which settings the arithmetic here
 * presumes, and how tensors are named. Every tensor is checked for presence, shape and dtype,
 * and a tensor nobody reads is refused: it would change what the network computes. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/base/mem.h"
#include "engine/base/strbuf.h"
#include "engine/formats/config.h"
#include "engine/formats/fingerprint.h"
#include "engine/transformer.h"

typedef struct setting {
    const char *key, *json; /* if the key is there, it must have this value */
} setting;

typedef struct layout {
    const char *arch, *model_type;
    bool shifted;
    /* config keys; NULL where the layout has no such key */
    const char *d, *H, *KV, *L, *f, *V, *rows, *context, *tied, *qkv_bias;
    const char *embed_norm, *scale_logits;
    setting settings[12];
    /* tensor names */
    const char *embed, *norm, *head, *block; /* block: what comes before the layer's number */
    const char *attn_norm, *mlp_norm, *q, *k, *v, *o, *gate, *up, *down; /* in a block, without ".weight" */
} layout;

static const layout layouts[] = {
    {.arch = "llada",
     .model_type = "llada",
     .d = "d_model",
     .H = "n_heads",
     .KV = "n_kv_heads",
     .L = "n_layers",
     .f = "mlp_hidden_size",
     .V = "vocab_size",
     .rows = "embedding_size",
     .context = "max_sequence_length",
     .tied = "weight_tying",
     .qkv_bias = "include_qkv_bias",
     .embed_norm = "input_emb_norm",
     .scale_logits = "scale_logits",
     .settings = {{"alibi", "false"},
                  {"rope", "true"},
                  {"block_type", "\"llama\""},
                  {"block_group_size", "1"},
                  {"layer_norm_type", "\"rms\""},
                  {"layer_norm_with_affine", "true"},
                  {"bias_for_layer_norm", "false"},
                  {"activation_type", "\"silu\""},
                  {"attention_layer_norm", "false"},
                  {"include_bias", "false"},
                  {"multi_query_attention", "false"},
                  {"num_experts", "null"}},
     .embed = "model.transformer.wte",
     .norm = "model.transformer.ln_f",
     .head = "model.transformer.ff_out",
     .block = "model.transformer.blocks.",
     .attn_norm = "attn_norm",
     .mlp_norm = "ff_norm",
     .q = "q_proj",
     .k = "k_proj",
     .v = "v_proj",
     .o = "attn_out",
     .gate = "ff_proj",
     .up = "up_proj",
     .down = "ff_out"},
    {.arch = "dream",
     .model_type = "Dream",
     .shifted = true,
     .d = "hidden_size",
     .H = "num_attention_heads",
     .KV = "num_key_value_heads",
     .L = "num_hidden_layers",
     .f = "intermediate_size",
     .V = "vocab_size",
     .context = "max_position_embeddings",
     .tied = "tie_word_embeddings",
     .settings = {{"hidden_act", "\"silu\""}, {"rope_scaling", "null"}, {"use_sliding_window", "false"}},
     .embed = "model.embed_tokens",
     .norm = "model.norm",
     .head = "lm_head",
     .block = "model.layers.",
     .attn_norm = "input_layernorm",
     .mlp_norm = "post_attention_layernorm",
     .q = "self_attn.q_proj",
     .k = "self_attn.k_proj",
     .v = "self_attn.v_proj",
     .o = "self_attn.o_proj",
     .gate = "mlp.gate_proj",
     .up = "mlp.up_proj",
     .down = "mlp.down_proj"},
};

enum { N_LAYOUTS = sizeof layouts / sizeof *layouts };

/* Weights that fit this many bytes as float32 are copied and widened once; larger ones stay mapped. */
#define COPY_BYTES ((size_t)256 << 20)

typedef struct loader {
    transformer *t;
    config *c;
    const layout *lay;
    const denoiser_opts *opts;
    bool qkv_bias, tied;
    bool copy;           /* widen and copy everything: a small model on the CPU */
    unsigned char *used; /* per tensor of the files */
    err *e;
} loader;

/* ---- config ---- */

static int find_layout(loader *ld) {
    const char *type;
    int rc = config_string(ld->c, "model_type", &type, ld->e);
    if (rc) return rc;
    for (int i = 0; i < N_LAYOUTS; i++) {
        if (strcmp(layouts[i].model_type, type) == 0) ld->lay = &layouts[i];
    }
    if (ld->lay) return 0;
    return err_set(ld->e, ERR_UNSUPPORTED, "%s: model_type: \"%.40s\", expected \"llada\" or \"Dream\"",
                   config_path(ld->c), type);
}

static int read_sizes(loader *ld) {
    const layout *a = ld->lay;
    transformer *t = ld->t;
    denoiser_info *info = &t->base.info;
    int rc;
    if ((rc = config_int(ld->c, a->d, 2, 65536, &t->d, ld->e))) return rc;
    if ((rc = config_int(ld->c, a->H, 1, 1024, &t->H, ld->e))) return rc;
    t->KV = t->H;
    if ((rc = config_int_opt(ld->c, a->KV, 1, 1024, &t->KV, ld->e))) return rc;
    if ((rc = config_int(ld->c, a->L, 1, 1024, &t->L, ld->e))) return rc;
    if ((rc = config_int(ld->c, a->f, 1, 1 << 20, &t->f, ld->e))) return rc;
    if ((rc = config_int(ld->c, a->V, 2, 1 << 22, &t->V, ld->e))) return rc;
    if (a->rows && (rc = config_int_opt(ld->c, a->rows, t->V, 1 << 22, &t->V, ld->e))) return rc;
    return config_int(ld->c, a->context, 1, 1 << 24, &info->max_len, ld->e);
}

static int check_heads(loader *ld) {
    const layout *a = ld->lay;
    transformer *t = ld->t;
    if (t->d % t->H || t->d / t->H % 2) {
        return err_set(ld->e, ERR_BAD_FORMAT, "%s: %s: %d, expected a divisor of %s %d with an even quotient",
                       config_path(ld->c), a->H, t->H, a->d, t->d);
    }
    if (t->H % t->KV) {
        return err_set(ld->e, ERR_BAD_FORMAT, "%s: %s: %d, expected a divisor of %s %d", config_path(ld->c),
                       a->KV, t->KV, a->H, t->H);
    }
    t->hd = t->d / t->H;
    return 0;
}

static int read_options(loader *ld) {
    const layout *a = ld->lay;
    transformer *t = ld->t;
    bool embed_norm = false, scale_logits = false;
    double eps, theta = 10000;
    int rc;
    ld->qkv_bias = !a->qkv_bias; /* without a key: always biased */
    if (a->qkv_bias && (rc = config_bool_opt(ld->c, a->qkv_bias, &ld->qkv_bias, ld->e))) return rc;
    if ((rc = config_bool_opt(ld->c, a->tied, &ld->tied, ld->e))) return rc;
    if (a->embed_norm && (rc = config_bool_opt(ld->c, a->embed_norm, &embed_norm, ld->e))) return rc;
    if (a->scale_logits && (rc = config_bool_opt(ld->c, a->scale_logits, &scale_logits, ld->e))) return rc;
    if ((rc = config_real(ld->c, "rms_norm_eps", 0, 1, &eps, ld->e))) return rc;
    if ((rc = config_real(ld->c, "rope_theta", 1, 1e12, &theta, ld->e))) return rc;
    t->eps = (float)eps;
    t->theta = theta;
    t->embed_scale = embed_norm ? sqrtf((float)t->d) : 1.0f;
    t->logit_scale = scale_logits ? 1.0f / sqrtf((float)t->d) : 1.0f;
    return 0;
}

static int check_settings(loader *ld) {
    const layout *a = ld->lay;
    for (size_t i = 0; i < sizeof a->settings / sizeof *a->settings && a->settings[i].key; i++) {
        int rc = config_require(ld->c, a->settings[i].key, a->settings[i].json, ld->e);
        if (rc) return rc;
    }
    return 0;
}

static int read_ids(loader *ld) {
    denoiser_info *info = &ld->t->base.info;
    int last = ld->t->V - 1, mask = -1, bos = -1, eos = -1, pad = -1, rc;
    if ((rc = config_int(ld->c, "mask_token_id", 0, last, &mask, ld->e))) return rc;
    if ((rc = config_int_opt(ld->c, "bos_token_id", 0, last, &bos, ld->e))) return rc;
    if ((rc = config_int_opt(ld->c, "eos_token_id", 0, last, &eos, ld->e))) return rc;
    if ((rc = config_int_opt(ld->c, "pad_token_id", 0, last, &pad, ld->e))) return rc;
    info->mask_id = mask, info->bos_id = bos, info->eos_id = eos, info->pad_id = pad;
    return 0;
}

static int read_config(loader *ld) {
    /* settings come first: a foreign variant is better named than its missing keys */
    int (*const steps[])(loader *) = {find_layout, check_settings, read_sizes,
                                      check_heads, read_options,   read_ids};
    int rc = 0;
    for (size_t i = 0; i < sizeof steps / sizeof *steps && !rc; i++) rc = steps[i](ld);
    return rc;
}

/* ---- tensors ---- */

static int bad_tensor(const loader *ld, int i, int code, const char *found, const char *expected) {
    return err_set(ld->e, code, "%s: tensor %.120s: %s, expected %s", shards_file(ld->t->files, i),
                   shards_at(ld->t->files, i)->name, found, expected);
}

static void shape_text(char *out, size_t size, int n, const int64_t *shape) {
    strbuf b;
    strbuf_init(&b, size - 1);
    for (int i = 0; i < n; i++) strbuf_printf(&b, "%s%lld", i ? "," : "", (long long)shape[i]);
    snprintf(out, size, "shape [%s]", b.data);
    strbuf_release(&b);
}

static bool known_dtype(const char *name, k_dtype *out) {
    if (strcmp(name, "F32") == 0)
        *out = K_F32;
    else if (strcmp(name, "BF16") == 0)
        *out = K_BF16;
    else if (strcmp(name, "F16") == 0)
        *out = K_F16;
    else
        return false;
    return true;
}

/* The tensor `name`; checked. n_dims is 1 or 2. */
static int need(loader *ld, const char *name, int n_dims, int rows, int cols, const safetensor **out,
                k_dtype *dtype) {
    int i = shards_find(ld->t->files, name);
    if (i < 0) {
        return err_set(ld->e, ERR_BAD_FORMAT, "%s: tensor %.120s: missing", shards_path(ld->t->files), name);
    }
    const safetensor *s = shards_at(ld->t->files, i);
    int64_t want[2] = {rows, cols};
    if (s->n_dims != n_dims || s->shape[0] != rows || (n_dims == 2 && s->shape[1] != cols)) {
        char found[100], expected[60];
        shape_text(found, sizeof found, s->n_dims, s->shape);
        shape_text(expected, sizeof expected, n_dims, want);
        return bad_tensor(ld, i, ERR_BAD_FORMAT, found, expected + strlen("shape "));
    }
    if (!known_dtype(s->dtype, dtype)) {
        char found[20];
        snprintf(found, sizeof found, "dtype %s", s->dtype);
        return bad_tensor(ld, i, ERR_UNSUPPORTED, found, "F32, F16 or BF16");
    }
    ld->used[i] = 1;
    ld->t->base.info.n_params += (int64_t)rows * (n_dims == 2 ? cols : 1);
    *out = s;
    return 0;
}

/* The tensor's numbers as float32 in the arena. */
static int widened(loader *ld, const safetensor *s, const k_matrix *m, const float **out) {
    float *copy = arena_new(&ld->t->mem, (size_t)m->rows * (size_t)m->cols, sizeof *copy);
    if (!copy) {
        return err_set(ld->e, ERR_NO_MEMORY, "%s: out of memory for %s", shards_path(ld->t->files), s->name);
    }
    kernels *cpu = kernels_cpu();
    k_weight w = k_stack(m, 1);
    int32_t row = 0;
    for (size_t at = 0; row < m->rows; row++, at += (size_t)m->cols)
        cpu->embed(cpu, copy + at, &row, 1, &w, 1);
    *out = copy;
    return 0;
}

static int bind_vector(loader *ld, const char *name, int n, const float **out) {
    const safetensor *s = NULL;
    k_matrix m = {.rows = 1, .cols = n};
    int rc = need(ld, name, 1, n, 0, &s, &m.dtype);
    if (rc) return rc;
    m.data = s->data;
    return widened(ld, s, &m, out);
}

static int bind_matrix(loader *ld, const char *name, int rows, int cols, k_matrix *out) {
    const safetensor *s = NULL;
    k_matrix m = {.rows = rows, .cols = cols};
    int rc = need(ld, name, 2, rows, cols, &s, &m.dtype);
    if (rc) return rc;
    m.data = s->data;
    bool misaligned = ld->t->base.k->host && m.dtype == K_F32 && (uintptr_t)s->data % sizeof(float);
    if (ld->copy || misaligned) {
        const float *copy;
        if ((rc = widened(ld, s, &m, &copy))) return rc;
        m.data = copy;
        m.dtype = K_F32;
    }
    *out = m;
    return 0;
}

/* Names of one layer's tensors. */
typedef struct block_name {
    char text[128];
} block_name;

static block_name in_block(const loader *ld, int layer, const char *part, const char *kind) {
    block_name n;
    snprintf(n.text, sizeof n.text, "%s%d.%s.%s", ld->lay->block, layer, part, kind);
    return n;
}

/* Biases of queries, keys and values, one after the other. */
static int bind_biases(loader *ld, int layer, const char *const parts[3], const int rows[3], k_weight *w) {
    float *all = arena_new(&ld->t->mem, (size_t)w->rows, sizeof *all), *at = all;
    if (!all) return err_set(ld->e, ERR_NO_MEMORY, "out of memory for layer %d", layer);
    for (int p = 0; p < 3; at += rows[p++]) {
        const float *bias;
        int rc = bind_vector(ld, in_block(ld, layer, parts[p], "bias").text, rows[p], &bias);
        if (rc) return rc;
        memcpy(at, bias, (size_t)rows[p] * sizeof *at);
    }
    w->bias = all;
    return 0;
}

/* A weight made of the tensors that its parts name. */
static int bind_weight(loader *ld, int layer, const char *const *parts, const int *rows, int n, int cols,
                       k_weight *out) {
    k_matrix m[K_PARTS];
    for (int p = 0; p < n; p++) {
        int rc = bind_matrix(ld, in_block(ld, layer, parts[p], "weight").text, rows[p], cols, &m[p]);
        if (rc) return rc;
    }
    *out = k_stack(m, n);
    return 0;
}

static int bind_layer(loader *ld, int i) {
    const layout *a = ld->lay;
    transformer *t = ld->t;
    tf_layer *l = &t->layers[i];
    int d = t->d, f = t->f, rc;
    const char *const qkv[] = {a->q, a->k, a->v}, *const gu[] = {a->gate, a->up};
    const int qkv_rows[] = {tf_q_width(t), tf_kv_width(t), tf_kv_width(t)}, gu_rows[] = {f, f};
    if ((rc = bind_weight(ld, i, qkv, qkv_rows, 3, d, &l->qkv))) return rc;
    if ((rc = bind_weight(ld, i, &a->o, &d, 1, tf_q_width(t), &l->o))) return rc;
    if ((rc = bind_weight(ld, i, gu, gu_rows, 2, d, &l->gu))) return rc;
    if ((rc = bind_weight(ld, i, &a->down, &d, 1, f, &l->down))) return rc;
    if ((rc = bind_vector(ld, in_block(ld, i, a->attn_norm, "weight").text, d, &l->attn_norm))) return rc;
    if ((rc = bind_vector(ld, in_block(ld, i, a->mlp_norm, "weight").text, d, &l->mlp_norm))) return rc;
    return ld->qkv_bias ? bind_biases(ld, i, qkv, qkv_rows, &l->qkv) : 0;
}

/* Tensors that were not bound: buffers that the arithmetic recomputes are fine, weights are not. */
static int check_unused(const loader *ld) {
    for (int i = 0; i < shards_count(ld->t->files); i++) {
        const char *name = shards_at(ld->t->files, i)->name;
        char head[80];
        snprintf(head, sizeof head, "%s.weight", ld->lay->head);
        if (ld->used[i] || strstr(name, "rotary_emb.inv_freq") || (ld->tied && strcmp(name, head) == 0))
            continue;
        return err_set(ld->e, ERR_UNSUPPORTED,
                       "%s: tensor %.120s: not part of a %s model as config.json describes it",
                       shards_file(ld->t->files, i), name, ld->lay->arch);
    }
    return 0;
}

/* Bytes as float32, and as stored in that type. */
static size_t bytes_as_f32(const shards *f, size_t *f32) {
    size_t n = 0;
    *f32 = 0;
    for (int i = 0; i < shards_count(f); i++) {
        size_t bytes = shards_at(f, i)->bytes;
        bool wide = strcmp(shards_at(f, i)->dtype, "F32") == 0;
        n += wide ? bytes : 2 * bytes;
        *f32 += wide ? bytes : 0;
    }
    return n;
}

/* The device first: where weights are to lie decides how they are bound. */
static int open_device(loader *ld) {
    size_t f32, all = bytes_as_f32(ld->t->files, &f32);
    ld->t->n_elements = all / sizeof(float);
    int rc = tf_open_device(ld->t, ld->opts, f32 > all / 2, ld->e);
    ld->copy = !rc && ld->t->base.k->host && all <= COPY_BYTES;
    return rc;
}

static int bind_outer(loader *ld) {
    transformer *t = ld->t;
    char name[80];
    int rc;
    snprintf(name, sizeof name, "%s.weight", ld->lay->embed);
    k_matrix m;
    if ((rc = bind_matrix(ld, name, t->V, t->d, &m))) return rc;
    t->embed = k_stack(&m, 1);
    snprintf(t->base.info.dtype, sizeof t->base.info.dtype, "%s",
             shards_at(t->files, shards_find(t->files, name))->dtype);
    snprintf(name, sizeof name, "%s.weight", ld->lay->norm);
    if ((rc = bind_vector(ld, name, t->d, &t->norm))) return rc;
    t->head = t->embed;
    snprintf(name, sizeof name, "%s.weight", ld->lay->head);
    if (ld->tied || (rc = bind_matrix(ld, name, t->V, t->d, &m))) return rc;
    t->head = k_stack(&m, 1);
    return 0;
}

static int bind_weights(loader *ld) {
    transformer *t = ld->t;
    ld->used = mem_new((size_t)shards_count(t->files), 1);
    t->layers = arena_new(&t->mem, (size_t)t->L, sizeof *t->layers);
    if (!ld->used || !t->layers) return err_set(ld->e, ERR_NO_MEMORY, "out of memory for %d layers", t->L);
    int rc = bind_outer(ld);
    for (int i = 0; i < t->L && !rc; i++) rc = bind_layer(ld, i);
    return rc ? rc : check_unused(ld);
}

/* ---- opening ---- */

const denoiser_ops tf_ops = {
    .forward = tf_forward,
    .backward = tf_backward,
    .restricted = tf_restricted,
    .attention = tf_attention,
    .embedding = tf_embedding,
    .soft_write = tf_soft_write,
    .fork = tf_fork,
    .close = transformer_close,
    .free_saved = tf_free_saved,
};

static void describe(loader *ld, const char *path) {
    transformer *t = ld->t;
    denoiser_info *info = &t->base.info;
    size_t end = strlen(path), n;
    while (end > 1 && path[end - 1] == '/') end--;
    size_t start = end;
    while (start > 0 && path[start - 1] != '/') start--;
    snprintf(info->arch, sizeof info->arch, "%s", ld->lay->arch);
    snprintf(info->name, sizeof info->name, "%.*s", (int)(end - start), path + start);
    info->n_vocab = t->V, info->d_model = t->d, info->n_layers = t->L;
    info->n_heads = t->H, info->n_kv_heads = t->KV, info->mlp_size = t->f;
    info->shifted = ld->lay->shifted;
    for (int i = 0; i < shards_count(t->files); i++) {
        if (ld->used[i]) info->weight_bytes += shards_at(t->files, i)->bytes;
    }
    const char *text = config_text(ld->c, &n);
    fingerprint(info->fingerprint, sizeof info->fingerprint, text, n, t->files);
    if (!ld->copy) return;
    shards_close(t->files);
    t->files = NULL;
}

static int load(loader *ld, const char *path) {
    strbuf file;
    size_t n = strlen(path);
    strbuf_init(&file, 8192);
    strbuf_printf(&file, "%s%s", path, n && path[n - 1] == '/' ? "config.json" : "/config.json");
    int rc = file.failed ? err_set(ld->e, ERR_BAD_ARGUMENT, "the checkpoint's path is too long") : 0;
    if (!rc) rc = config_open(&ld->c, file.data, ld->e);
    strbuf_release(&file);
    if (!rc) rc = read_config(ld);
    if (!rc) rc = shards_open(&ld->t->files, path, ld->e);
    if (!rc) rc = open_device(ld);
    if (!rc) rc = bind_weights(ld);
    if (!rc) rc = tf_load_weights(ld->t, ld->opts, ld->e);
    if (!rc) describe(ld, path);
    return rc;
}

static int check_directory(const char *path, err *e) {
    struct stat st;
    if (stat(path, &st)) {
        return err_set(e, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s: %s", path, strerror(errno));
    }
    if (S_ISDIR(st.st_mode)) return 0;
    return err_set(e, ERR_BAD_FORMAT,
                   "%s: not a checkpoint directory (expected config.json and model.safetensors)", path);
}

int transformer_open(denoiser **out, const char *path, const denoiser_opts *o, err *e) {
    *out = NULL;
    int rc = check_directory(path, e);
    if (rc) return rc;
    transformer *t = mem_new(1, sizeof *t);
    if (!t) return err_set(e, ERR_NO_MEMORY, "%s: out of memory", path);
    t->base.ops = &tf_ops;
    loader ld = {.t = t, .opts = o, .e = e};
    rc = load(&ld, path);
    config_close(ld.c);
    free(ld.used);
    if (rc)
        transformer_close(&t->base);
    else
        *out = &t->base;
    return rc;
}
