/* bind.c - tensors into weights: presence, shape and type of each, and none left over. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/base/strbuf.h"
#include "engine/transformer/loader.h"
#include "kernels/blocks.h"

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

bool known_dtype(const char *name, k_dtype *out) {
    for (int t = 0; t < K_DTYPES; t++) {
        if (strcmp(k_block_of((k_dtype)t).name, name)) continue;
        *out = (k_dtype)t;
        return true;
    }
    return false;
}

/* The tensor `name`; checked. n_dims is 1 or 2. */
static int need(loader *ld, const char *name, int n_dims, int rows, int cols, const tensor **out,
                k_dtype *dtype) {
    int i = shards_find(ld->t->files, name);
    if (i < 0) {
        return err_set(ld->e, ERR_BAD_FORMAT, "%s: tensor %.120s: missing", shards_path(ld->t->files), name);
    }
    const tensor *s = shards_at(ld->t->files, i);
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
static int widened(loader *ld, const tensor *s, const k_matrix *m, const float **out) {
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
    const tensor *s = NULL;
    k_matrix m = {.rows = 1, .cols = n};
    int rc = need(ld, name, 1, n, 0, &s, &m.dtype);
    if (rc) return rc;
    m.data = s->data;
    return widened(ld, s, &m, out);
}

static int bind_matrix(loader *ld, const char *name, int rows, int cols, k_matrix *out) {
    const tensor *s = NULL;
    k_matrix m = {.rows = rows, .cols = cols};
    int rc = need(ld, name, 2, rows, cols, &s, &m.dtype);
    if (rc) return rc;
    m.data = s->data;
    bool misaligned = ld->t->base.k->host && m.dtype == K_F32 && (uintptr_t)s->data % sizeof(float);
    if (!k_is_block(m.dtype) && (ld->copy || misaligned)) {
        const float *copy;
        if ((rc = widened(ld, s, &m, &copy))) return rc;
        m.data = copy;
        m.dtype = K_F32;
    }
    *out = m;
    return 0;
}

tensor_name in_block(const loader *ld, int layer, const char *part, const char *kind) {
    tensor_name n;
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

/* Norms of query and key heads, once for each head. */
static int bind_head_norms(loader *ld, int layer) {
    transformer *t = ld->t;
    size_t hd = (size_t)t->hd;
    const float *q, *k;
    int rc = bind_vector(ld, in_block(ld, layer, ld->lay->q_norm, "weight").text, t->hd, &q);
    if (!rc) rc = bind_vector(ld, in_block(ld, layer, ld->lay->k_norm, "weight").text, t->hd, &k);
    if (rc) return rc;
    float *all = arena_new(&t->mem, ((size_t)t->H + (size_t)t->KV) * hd, sizeof *all);
    if (!all) return err_set(ld->e, ERR_NO_MEMORY, "out of memory for layer %d", layer);
    for (size_t h = 0; h < (size_t)t->H + (size_t)t->KV; h++)
        memcpy(all + h * hd, h < (size_t)t->H ? q : k, hd * sizeof *all);
    t->layers[layer].head_norm = all;
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
    if (ld->qkv_bias && (rc = bind_biases(ld, i, qkv, qkv_rows, &l->qkv))) return rc;
    return t->head_norms ? bind_head_norms(ld, i) : 0;
}

/* ---- a DiT ---- */

/* NAME.weight with NAME.bias. */
static int bind_with_bias(loader *ld, const char *name, int rows, int cols, k_weight *out) {
    char full[192];
    k_matrix m;
    snprintf(full, sizeof full, "%s.weight", name);
    int rc = bind_matrix(ld, full, rows, cols, &m);
    if (rc) return rc;
    *out = k_stack(&m, 1);
    snprintf(full, sizeof full, "%s.bias", name);
    return bind_vector(ld, full, rows, &out->bias);
}

/* Columns of a matrix that nothing else tells, or 0. */
static int cols_of(const loader *ld, const char *name) {
    int i = shards_find(ld->t->files, name);
    bool matrix = i >= 0 && shards_at(ld->t->files, i)->n_dims == 2;
    int64_t n = matrix ? shards_at(ld->t->files, i)->shape[1] : 0;
    return n > 0 && n <= 65536 ? (int)n : 0;
}

static int bind_dit_maps(loader *ld) {
    transformer *t = ld->t;
    tf_dit *dit = t->dit;
    int cond, freq = cols_of(ld, "backbone.sigma_map.mlp.0.weight");
    int rc = config_int(ld->c, "cond_dim", 1, 65536, &cond, ld->e);
    if (!rc && (freq < 2 || freq % 2)) {
        rc = err_set(
            ld->e, ERR_BAD_FORMAT,
            "%s: tensor backbone.sigma_map.mlp.0.weight: missing, or without an even number of columns",
            shards_path(t->files));
    }
    if (!rc) rc = bind_with_bias(ld, "backbone.sigma_map.mlp.0", cond, freq, &dit->map1);
    if (!rc) rc = bind_with_bias(ld, "backbone.sigma_map.mlp.2", cond, cond, &dit->map2);
    if (!rc) rc = bind_with_bias(ld, "backbone.output_layer.adaLN_modulation", 2 * t->d, cond, &dit->head);
    dit->layers = arena_new(&t->mem, (size_t)t->L, sizeof *dit->layers);
    dit->norms = arena_new(&t->mem, 2 * (size_t)t->L + 1, sizeof *dit->norms);
    if (!rc && (!dit->layers || !dit->norms)) rc = err_set(ld->e, ERR_NO_MEMORY, "out of memory for a DiT");
    return rc;
}

static int bind_dit_layer(loader *ld, int i) {
    const layout *a = ld->lay;
    transformer *t = ld->t;
    tf_dit *dit = t->dit;
    tf_layer *l = &t->layers[i];
    char up[128], down[128], ada[128];
    int d = t->d, qkv = tf_qkv_width(t), rc;
    snprintf(up, sizeof up, "%s%d.%s", a->block, i, a->up);
    snprintf(down, sizeof down, "%s%d.%s", a->block, i, a->down);
    snprintf(ada, sizeof ada, "%s%d.adaLN_modulation", a->block, i);
    if ((rc = bind_weight(ld, i, &a->q, &qkv, 1, d, &l->qkv))) return rc;
    if ((rc = bind_weight(ld, i, &a->o, &d, 1, tf_q_width(t), &l->o))) return rc;
    if ((rc = bind_with_bias(ld, up, t->f, d, &l->gu))) return rc;
    if ((rc = bind_with_bias(ld, down, d, t->f, &l->down))) return rc;
    if ((rc = bind_with_bias(ld, ada, 6 * d, dit->map2.rows, &dit->layers[i]))) return rc;
    rc = bind_vector(ld, in_block(ld, i, a->attn_norm, "weight").text, d, &dit->norms[2 * (size_t)i]);
    return rc ? rc
              : bind_vector(ld, in_block(ld, i, a->mlp_norm, "weight").text, d,
                            &dit->norms[2 * (size_t)i + 1]);
}

static int bind_dit_outer(loader *ld) {
    transformer *t = ld->t;
    k_matrix m;
    char name[96];
    int rc = bind_dit_maps(ld);
    if (!rc) rc = bind_matrix(ld, ld->lay->embed, ld->rows, t->d, &m); /* a name without ".weight" */
    if (rc) return rc;
    m.rows = t->V;
    t->embed = k_stack(&m, 1);
    snprintf(name, sizeof name, "%s.weight", ld->lay->norm);
    if ((rc = bind_vector(ld, name, t->d, &t->dit->norms[2 * (size_t)t->L]))) return rc;
    rc = bind_with_bias(ld, ld->lay->head, ld->rows, t->d, &t->head);
    t->head.part[0].rows = t->head.rows = t->V;
    return rc;
}

/* Tensors that were not bound: buffers that the arithmetic recomputes are fine, weights are not. */
static int check_unused(const loader *ld) {
    for (int i = 0; i < shards_count(ld->t->files); i++) {
        const char *name = shards_at(ld->t->files, i)->name;
        char head[80];
        snprintf(head, sizeof head, "%s.weight", ld->lay->head);
        if (ld->used[i] || strstr(name, "rotary_emb.inv_freq") || (ld->tied && strcmp(name, head) == 0))
            continue;
        return err_set(ld->e, ERR_UNSUPPORTED, "%s: tensor %.120s: not part of a %s model as %s describes it",
                       shards_file(ld->t->files, i), name, ld->lay->arch,
                       ld->lay->in == IN_GGUF ? "its metadata" : "config.json");
    }
    return 0;
}

static int bind_outer(loader *ld) {
    transformer *t = ld->t;
    char name[80];
    int rc;
    snprintf(name, sizeof name, "%s.weight", ld->lay->embed);
    k_matrix m;
    if ((rc = bind_matrix(ld, name, ld->rows, t->d, &m))) return rc;
    m.rows = t->V;
    t->embed = k_stack(&m, 1);
    snprintf(name, sizeof name, "%s.weight", ld->lay->norm);
    if ((rc = bind_vector(ld, name, t->d, &t->norm))) return rc;
    t->head = t->embed;
    snprintf(name, sizeof name, "%s.weight", ld->lay->head);
    if (ld->tied || (rc = bind_matrix(ld, name, ld->rows, t->d, &m))) return rc;
    m.rows = t->V;
    t->head = k_stack(&m, 1);
    return 0;
}

/* Ids between the last token and the mask stand for nothing, like the rows that were cut off behind the mask:
 * their logits are the mask's. */
static int bar_padding(loader *ld) {
    transformer *t = ld->t;
    int n = ld->opts ? ld->opts->n_tokens : 0, mask = t->base.info.mask_id;
    if (n <= 0 || n >= mask) return 0;
    float *bias = arena_new(&t->mem, (size_t)t->head.rows, sizeof *bias);
    if (!bias) return err_set(ld->e, ERR_NO_MEMORY, "out of memory for %d biases", t->head.rows);
    if (t->head.bias) memcpy(bias, t->head.bias, (size_t)t->head.rows * sizeof *bias);
    for (int i = n; i < mask; i++) bias[i] = -INFINITY;
    t->head.bias = bias;
    return 0;
}

int bind_weights(loader *ld) {
    transformer *t = ld->t;
    bool dit = ld->lay->family == FAMILY_DIT;
    ld->used = mem_new((size_t)shards_count(t->files), 1);
    t->layers = arena_new(&t->mem, (size_t)t->L, sizeof *t->layers);
    if (!ld->used || !t->layers) return err_set(ld->e, ERR_NO_MEMORY, "out of memory for %d layers", t->L);
    int rc = dit ? bind_dit_outer(ld) : bind_outer(ld);
    if (!rc) rc = bar_padding(ld);
    for (int i = 0; i < t->L && !rc; i++) rc = dit ? bind_dit_layer(ld, i) : bind_layer(ld, i);
    return rc ? rc : check_unused(ld);
}
