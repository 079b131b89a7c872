/* load.c - a checkpoint (a Hugging Face directory, a GGUF file) becomes a transformer. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/base/mem.h"
#include "engine/base/strbuf.h"
#include "engine/base/utf8.h"
#include "engine/formats/fingerprint.h"
#include "engine/transformer/loader.h"
#include "kernels/blocks.h"

/* Weights that fit this many bytes as float32 are copied and widened once; larger ones stay mapped. */
#define COPY_BYTES ((size_t)256 << 20)

/* Bytes as float32 of what is not in blocks, as stored in that type, and in blocks. */
static size_t bytes_as_f32(const shards *f, size_t *f32, size_t *blocks) {
    size_t n = 0;
    *f32 = *blocks = 0;
    for (int i = 0; i < shards_count(f); i++) {
        size_t bytes = shards_at(f, i)->bytes;
        k_dtype type = K_F32;
        if (known_dtype(shards_at(f, i)->dtype, &type) && k_is_block(type)) {
            *blocks += bytes;
            continue;
        }
        n += type == K_F32 ? bytes : 2 * bytes;
        *f32 += type == K_F32 ? bytes : 0;
    }
    return n;
}

/* The device first: where weights are to lie decides how they are bound. */
static int open_device(loader *ld) {
    size_t f32, blocks, all = bytes_as_f32(ld->t->files, &f32, &blocks);
    ld->t->n_elements = all / sizeof(float);
    ld->t->block_bytes = blocks;
    bool small = all / sizeof(float) + blocks <= COPY_BYTES / sizeof(float);
    int rc = tf_open_device(ld->t, ld->opts, !blocks && f32 > all / 2, small, ld->e);
    ld->copy = !rc && ld->t->base.k->host && !blocks && small;
    return rc;
}

/* ---- opening ---- */

const denoiser_ops tf_ops = {
    .forward = tf_forward,
    .cached = tf_cached,
    .logits = tf_row_logits,
    .backward = tf_backward,
    .restricted = tf_restricted,
    .attention = tf_attention,
    .embedding = tf_embedding,
    .soft_write = tf_soft_write,
    .needs = tf_needs,
    .part = tf_part,
    .batches = tf_batches,
    .fork = tf_fork,
    .close = transformer_close,
    .free_saved = tf_free_saved,
};

/* The type that most bytes of the weights are of. */
static void describe_types(const loader *ld, denoiser_info *info) {
    size_t *bytes = info->type_bytes;
    int most = 0;
    for (int i = 0; i < shards_count(ld->t->files); i++) {
        const tensor *s = shards_at(ld->t->files, i);
        k_dtype type;
        if (!ld->used[i] || !known_dtype(s->dtype, &type)) continue;
        info->weight_bytes += s->bytes;
        bytes[type] += s->bytes;
    }
    for (int t = 1; t < K_DTYPES; t++) {
        if (bytes[t] > bytes[most]) most = t;
    }
    snprintf(info->dtype, sizeof info->dtype, "%s", k_block_of((k_dtype)most).name);
}

static void describe(loader *ld, const char *path) {
    transformer *t = ld->t;
    denoiser_info *info = &t->base.info;
    size_t end = strlen(path), n;
    while (end > 1 && path[end - 1] == '/') end--;
    size_t start = end;
    while (start > 0 && path[start - 1] != '/') start--;
    snprintf(info->arch, sizeof info->arch, "%s", ld->lay->arch);
    snprintf(info->name, sizeof info->name, "%.*s", (int)(end - start), path + start);
    utf8_tame(info->name); /* it stands in files and on screens */
    info->n_vocab = t->V, info->d_model = t->d, info->n_layers = t->L;
    info->n_heads = t->H, info->n_kv_heads = t->KV, info->mlp_size = t->f;
    describe_types(ld, info);
    const char *text = config_text(ld->c, &n);
    fingerprint(info->fingerprint, sizeof info->fingerprint, text, n, t->files);
    if (!ld->copy) return;
    shards_close(t->files);
    t->files = NULL;
}

static int open_directory(loader *ld, const char *path, const char **type) {
    strbuf file;
    size_t n = strlen(path);
    strbuf_init(&file, 8192);
    strbuf_printf(&file, "%s%s", path, n && path[n - 1] == '/' ? "config.json" : "/config.json");
    int rc = file.failed ? err_set(ld->e, ERR_BAD_ARGUMENT, "the checkpoint's path is too long") : 0;
    if (!rc) rc = config_open(&ld->c, file.data, ld->e);
    strbuf_release(&file);
    return rc ? rc : config_string(ld->c, "model_type", type, ld->e);
}

static int open_gguf(loader *ld, const char *path, const char **type) {
    int rc = shards_open_gguf(&ld->t->files, path, ld->e);
    if (!rc) rc = config_from_gguf(&ld->c, shards_gguf(ld->t->files), ld->e);
    return rc ? rc : config_string(ld->c, "general.architecture", type, ld->e);
}

static int load(loader *ld, const char *path, container in) {
    const char *type = NULL;
    int rc = in == IN_GGUF ? open_gguf(ld, path, &type) : open_directory(ld, path, &type);
    if (!rc && !(ld->lay = layout_find(in, type, config_path(ld->c), ld->e))) rc = ERR_UNSUPPORTED;
    if (!rc) rc = check_settings(ld);
    if (!rc && in == IN_DIRECTORY) rc = shards_open(&ld->t->files, path, ld->e);
    if (!rc) rc = read_sizes(ld);
    if (!rc) rc = open_device(ld);
    if (!rc) rc = bind_weights(ld);
    if (!rc) rc = tf_load_weights(ld->t, ld->opts, ld->e);
    if (!rc) describe(ld, path);
    return rc;
}

/* A directory, or a file that starts as a GGUF file does. */
static int find_container(const char *path, container *in, err *e) {
    struct stat st;
    if (stat(path, &st))
        return err_set(e, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s: %s", path, strerror(errno));
    *in = S_ISDIR(st.st_mode) ? IN_DIRECTORY : IN_GGUF;
    char magic[4] = "";
    FILE *f = S_ISREG(st.st_mode) ? fopen(path, "rb") : NULL;
    bool packed = f && fread(magic, 1, 4, f) == 4 && memcmp(magic, "GGUF", 4) == 0;
    if (f) fclose(f);
    if (*in == IN_DIRECTORY || packed) return 0;
    return err_set(
        e, ERR_BAD_FORMAT,
        "%s: not a checkpoint directory (expected config.json and model.safetensors) nor a GGUF file", path);
}

int transformer_open(denoiser **out, const char *path, const denoiser_opts *o, err *e) {
    *out = NULL;
    container in = IN_DIRECTORY;
    int rc = find_container(path, &in, e);
    if (rc) return rc;
    transformer *t = mem_new(1, sizeof *t);
    if (!t) return err_set(e, ERR_NO_MEMORY, "%s: out of memory", path);
    t->base.ops = &tf_ops;
    loader ld = {.t = t, .opts = o, .e = e};
    rc = load(&ld, path, in);
    config_close(ld.c);
    free(ld.used);
    if (rc)
        transformer_close(&t->base);
    else
        *out = &t->base;
    return rc;
}
