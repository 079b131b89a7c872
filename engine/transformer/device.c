/* device.c - which device a transformer runs on, whether it fits there, and its weights onto it.
 *
 * What a checkpoint needs is known from its headers, so a device that is too small is refused before a weight
 * is read. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "kernels/blocks.h"
#include "engine/transformer/transformer.h"

enum { PLAN_ROWS = 512 };

/* Gate and up that a kept pass may keep: on the CPU a bound that no large model meets, elsewhere a share. */
static const size_t CPU_GU_BYTES = (size_t)256 << 20;
enum { DEVICE_GU_SHARE = 4 };

/* Workspaces of the product library, index arrays and what else is small. */
static const size_t SLACK_BYTES = (size_t)128 << 20;

static double gigabytes(size_t bytes) {
    return (double)bytes / 1e9;
}

/* 0 when weights and a pass fit what is free. */
static int check_fit(const transformer *t, const denoiser_opts *o, err *e) {
    kernels *k = t->base.k;
    int rows = o->plan_rows > 0 ? o->plan_rows : PLAN_ROWS;
    if (rows > t->base.info.max_len) rows = t->base.info.max_len;
    size_t weights = t->n_elements * (size_t)k->act_bytes + t->block_bytes;
    size_t acts = tf_pass_bytes(t, rows) + SLACK_BYTES;
    k_memory m;
    k->memory(k, &m);
    if (weights + acts <= m.free_bytes) return 0;
    return err_set(e, ERR_NO_MEMORY,
                   "%s (%s) is too small: %.2f GB are needed for weights and %.2f GB for %d positions, "
                   "%.2f GB of %.2f GB are free; use --device cpu",
                   k->name, k->title, gigabytes(weights), gigabytes(acts), rows, gigabytes(m.free_bytes),
                   gigabytes(m.total_bytes));
}

static int try_device(transformer *t, const char *name, k_precision precision, const denoiser_opts *o,
                      k_fault *f, err *e) {
    if (kernels_open(&t->base.k, &(k_open){.device = name, .precision = precision}, f))
        return device_error(f, e);
    k_memory m;
    t->base.k->memory(t->base.k, &m);
    t->gu_limit = t->base.k->host ? CPU_GU_BYTES : m.total_bytes / DEVICE_GU_SHARE;
    int rc = t->base.k->host ? 0 : check_fit(t, o, e);
    if (rc) {
        t->base.k->close(t->base.k);
        t->base.k = NULL;
    }
    return rc;
}

/* The advice at its end is what is done anyway. */
static void note_why(denoiser_info *info, const char *why) {
    const char *advice = strstr(why, "; use --device");
    int n = (int)(advice ? (size_t)(advice - why) : strlen(why));
    snprintf(info->device_note, sizeof info->device_note, "on the CPU: %.*s", n < 240 ? n : 240, why);
}

/* A GPU that is there but cannot be used is worth a note; none at all is the usual case. */
static int open_auto(transformer *t, k_precision precision, k_precision on_cpu, const denoiser_opts *o,
                     err *e) {
    err why = {0};
    k_fault f = {0};
    bool large = t->n_elements * 2 + t->block_bytes >= DENOISER_AUTO_BYTES;
    if (large && !try_device(t, "cuda", precision, o, &f, &why)) return 0;
    if (large && f.kind != K_NO_DEVICE) note_why(&t->base.info, why.msg);
    return try_device(t, "cpu", on_cpu, o, &f, e);
}

static void describe_device(transformer *t) {
    const kernels *k = t->base.k;
    denoiser_info *info = &t->base.info;
    snprintf(info->device, sizeof info->device, "%s", k->name);
    snprintf(info->device_title, sizeof info->device_title, "%s", k->title);
    snprintf(info->precision, sizeof info->precision, "%s", k->product_bytes == 4 ? "f32" : "bf16");
    info->overlaps = !k->host;
}

/* On the CPU large checkpoints of narrow weights are multiplied as those are where the processor can; small
 * ones and F32 ones in float32, so that their numbers are the same everywhere. */
static k_precision cpu_precision(const denoiser_opts *o, bool float_weights, bool small) {
    if (o->precision != K_PRECISION_AUTO) return o->precision;
    return !float_weights && !small && kernels_have_bf16() ? K_PRECISION_BF16 : K_PRECISION_F32;
}

int tf_open_device(transformer *t, const denoiser_opts *o, bool float_weights, bool small, err *e) {
    static const denoiser_opts none;
    if (!o) o = &none;
    const char *name = o->device ? o->device : "cpu";
    k_precision precision = o->precision, on_cpu = cpu_precision(o, float_weights, small);
    if (precision == K_PRECISION_AUTO) precision = float_weights ? K_PRECISION_F32 : K_PRECISION_BF16;
    int rc;
    k_fault f;
    if (strcmp(name, "auto") == 0) {
        rc = open_auto(t, precision, on_cpu, o, e);
    } else {
        rc = try_device(t, name, strcmp(name, "cpu") == 0 ? on_cpu : precision, o, &f, e);
    }
    if (!rc) describe_device(t);
    return rc;
}

/* ---- weights ---- */

typedef struct loading {
    transformer *t;
    const denoiser_opts *o;
    size_t done, total;
} loading;

/* Bytes of a part on the device. */
static size_t device_bytes(const transformer *t, const k_matrix *m) {
    if (k_is_block(m->dtype)) return (size_t)m->rows * k_row_bytes(m->dtype, m->cols);
    return (size_t)m->rows * (size_t)m->cols * (size_t)t->base.k->act_bytes;
}

static void report(loading *l, const k_weight *w) {
    for (int i = 0; i < w->n_parts; i++) l->done += device_bytes(l->t, &w->part[i]);
    if (l->o && l->o->progress) l->o->progress(l->o->ctx, l->done < l->total ? l->done : l->total, l->total);
}

static bool load_weight(loading *l, k_weight *w) {
    kernels *k = l->t->base.k;
    if (!k->load(k, w)) return false;
    report(l, w);
    return true;
}

static bool load_floats(loading *l, const float **v, int n) {
    kernels *k = l->t->base.k;
    *v = k->load_floats(k, *v, n);
    return *v;
}

static bool load_norms(loading *l, tf_layer *w) {
    const transformer *t = l->t;
    if (w->head_norm && !load_floats(l, &w->head_norm, (t->H + t->KV) * t->hd)) return false;
    return t->dit || (load_floats(l, &w->attn_norm, t->d) && load_floats(l, &w->mlp_norm, t->d));
}

static bool load_layer(loading *l, tf_layer *w) {
    return load_weight(l, &w->qkv) && load_weight(l, &w->o) && load_weight(l, &w->gu) &&
           load_weight(l, &w->down) && load_norms(l, w);
}

static bool load_all(loading *l) {
    transformer *t = l->t;
    bool tied = t->head.part[0].data == t->embed.part[0].data;
    const float *bias = t->head.bias;
    bool ok = load_weight(l, &t->embed) && (t->dit || load_floats(l, &t->norm, t->d));
    if (ok && tied) {
        ok = !bias || load_floats(l, &bias, t->head.rows);
        t->head = t->embed;
        t->head.bias = bias;
    } else {
        ok = ok && load_weight(l, &t->head);
    }
    for (int i = 0; i < t->L && ok; i++) ok = load_layer(l, &t->layers[i]);
    return ok;
}

/* Weight i of all that products take, or NULL behind the last; a tied head is there once. */
static k_weight *weight_at(transformer *t, int i) {
    if (i == 0) return &t->embed;
    if (i == 1) return t->head.part[0].data == t->embed.part[0].data ? &t->embed : &t->head;
    if (i >= 2 + 4 * t->L || !t->layers) return NULL;
    tf_layer *l = &t->layers[(i - 2) / 4];
    k_weight *of_layer[] = {&l->qkv, &l->o, &l->gu, &l->down};
    return of_layer[(i - 2) % 4];
}

/* Bytes that products of bfloat16 have besides the weights. */
static size_t copied_bytes(transformer *t) {
    size_t n = 0;
    const k_weight *w;
    for (int i = 0; (w = weight_at(t, i)); i++) {
        if (w->device && (i != 1 || w != &t->embed)) n += 2 * (size_t)w->rows * (size_t)w->cols;
    }
    return n;
}

int tf_load_weights(transformer *t, const denoiser_opts *o, err *e) {
    if (t->base.k->host) {
        bool ok = load_all(&(loading){.t = t});
        t->copied_bytes = copied_bytes(t);
        return ok ? 0 : device_check(t->base.k, e);
    }
    loading l = {.t = t, .o = o, .total = t->n_elements * (size_t)t->base.k->act_bytes + t->block_bytes};
    bool ok = load_all(&l);
    int rc = device_check(t->base.k, e);
    if (!rc && !ok) rc = err_set(e, ERR_NO_DEVICE, "%s: the weights could not be loaded", t->base.k->name);
    if (!rc && o && o->progress) o->progress(o->ctx, l.total, l.total);
    return rc;
}

static void unload_weights(transformer *t) {
    if (!t->base.k || t->forked) return;
    k_weight *w;
    for (int i = 0; (w = weight_at(t, i)); i++) t->base.k->unload(t->base.k, w);
}

denoiser_room tf_needs(const denoiser *d, int rows) {
    const transformer *t = (const transformer *)d;
    size_t mapped = t->files ? t->base.info.weight_bytes : t->n_elements * sizeof(float);
    size_t device = t->n_elements * (size_t)d->k->act_bytes + t->block_bytes;
    return (denoiser_room){d->k->host ? mapped + t->copied_bytes : device, tf_pass_bytes(t, rows)};
}

weight_part tf_part(const denoiser *d, const k_weight *w) {
    const transformer *t = (const transformer *)d;
    for (int i = 0; i < t->L; i++) {
        const tf_layer *l = &t->layers[i];
        if (w == &l->qkv) return PART_QKV;
        if (w == &l->o) return PART_OUT;
        if (w == &l->gu) return PART_UP;
        if (w == &l->down) return PART_DOWN;
    }
    return PART_OTHER;
}

/* ---- forks ---- */

int tf_fork(denoiser **out, denoiser *d, err *e) {
    *out = NULL;
    transformer *t = mem_new(1, sizeof *t);
    if (!t) return err_set(e, ERR_NO_MEMORY, "out of memory");
    *t = *(transformer *)d;
    t->forked = true;
    t->mem = (arena){0};
    t->files = NULL;
    t->work = t->index = t->bad_room = t->rope = t->affine = (buffer){0};
    t->bad = NULL;
    t->first = (tf_first){0};
    t->rope_rows = 0;
    t->base.n_forwards = 0;
    k_fault f;
    if (d->k->fork(d->k, &t->base.k, &f)) {
        free(t);
        return device_error(&f, e);
    }
    *out = &t->base;
    return 0;
}

void transformer_close(denoiser *d) {
    transformer *t = (transformer *)d;
    if (!t) return;
    buffer *rooms[] = {&t->work, &t->index, &t->bad_room, &t->rope, &t->affine};
    for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++) buffer_release(rooms[i]);
    tf_release_first(t);
    unload_weights(t);
    if (t->base.k) t->base.k->close(t->base.k);
    if (!t->forked) shards_close(t->files);
    arena_release(&t->mem);
    free(t);
}
