/* sizes.c - config.json or metadata into sizes, options and token ids. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/transformer/loader.h"

const char *setting_key(const loader *ld, const char *key, setting_name *room) {
    bool dotted = key[0] == '.';
    snprintf(room->text, sizeof room->text, "%s%s", dotted ? ld->lay->type : "", key);
    return room->text;
}

/* A setting that the layout may lack (NULL) and the file may lack, too: *out stays. */
static int whole(loader *ld, const char *key, int64_t low, int64_t high, int *out) {
    setting_name room;
    return key ? config_int_opt(ld->c, setting_key(ld, key, &room), low, high, out, ld->e) : 0;
}

static int needed(loader *ld, const char *key, int64_t low, int64_t high, int *out) {
    setting_name room;
    return config_int(ld->c, setting_key(ld, key, &room), low, high, out, ld->e);
}

static int yes_or_no(loader *ld, const char *key, bool *out) {
    setting_name room;
    return key ? config_bool_opt(ld->c, setting_key(ld, key, &room), out, ld->e) : 0;
}

static bool has(const loader *ld, const char *key) {
    setting_name room;
    return key && config_has(ld->c, setting_key(ld, key, &room));
}

int check_settings(loader *ld) {
    const layout *a = ld->lay;
    for (size_t i = 0; i < sizeof a->settings / sizeof *a->settings && a->settings[i].key; i++) {
        setting_name room;
        int rc =
            config_require(ld->c, setting_key(ld, a->settings[i].key, &room), a->settings[i].json, ld->e);
        if (rc) return rc;
    }
    return 0;
}

/* ---- sizes ---- */

/* First dimension of a tensor, or 0 when it is not there as a matrix. */
static int64_t rows_of(const loader *ld, const char *name) {
    int i = shards_find(ld->t->files, name);
    return i >= 0 && shards_at(ld->t->files, i)->n_dims == 2 ? shards_at(ld->t->files, i)->shape[0] : 0;
}

/* Rows of the embedding: from the settings, or from the tensor where they do not say. */
static int read_rows(loader *ld) {
    const layout *a = ld->lay;
    transformer *t = ld->t;
    char name[96];
    int rc = a->V ? needed(ld, a->V, 2, 1 << 22, &t->V) : 0;
    if (!rc && a->rows) rc = whole(ld, a->rows, t->V, 1 << 22, &t->V);
    if (rc || a->V) {
        ld->rows = t->V;
        return rc;
    }
    snprintf(name, sizeof name, "%s.weight", a->embed);
    int64_t rows = rows_of(ld, name);
    if (rows < 2 || rows > 1 << 22) {
        return err_set(ld->e, ERR_BAD_FORMAT, "%s: tensor %s: missing, or not a matrix of 2 to 2^22 rows",
                       shards_path(ld->t->files), name);
    }
    ld->rows = t->V = (int)rows;
    return 0;
}

/* A DiT's configuration does not name the width of its MLP; the tensor does. */
static int read_mlp_width(loader *ld) {
    if (ld->lay->f) return needed(ld, ld->lay->f, 1, 1 << 20, &ld->t->f);
    tensor_name name = in_block(ld, 0, ld->lay->up, "weight");
    int64_t rows = rows_of(ld, name.text);
    if (rows < 1 || rows > 1 << 20) {
        return err_set(ld->e, ERR_BAD_FORMAT, "%s: tensor %s: missing, or not a matrix of 1 to 2^20 rows",
                       shards_path(ld->t->files), name.text);
    }
    ld->t->f = (int)rows;
    return 0;
}

static int check_heads(loader *ld) {
    const layout *a = ld->lay;
    transformer *t = ld->t;
    setting_name H, d, KV;
    setting_key(ld, a->H, &H), setting_key(ld, a->d, &d), setting_key(ld, a->KV ? a->KV : "", &KV);
    if (has(ld, a->hd)) {
        int rc = whole(ld, a->hd, 2, 4096, &t->hd);
        if (rc) return rc;
    } else if (t->d % t->H || t->d / t->H % 2) {
        return err_set(ld->e, ERR_BAD_FORMAT, "%s: %s: %d, expected a divisor of %s %d with an even quotient",
                       config_path(ld->c), H.text, t->H, d.text, t->d);
    } else {
        t->hd = t->d / t->H;
    }
    if (t->hd % 2)
        return err_set(ld->e, ERR_BAD_FORMAT, "%s: heads of %d, expected an even size", config_path(ld->c),
                       t->hd);
    if (t->H % t->KV == 0) return 0;
    return err_set(ld->e, ERR_BAD_FORMAT, "%s: %s: %d, expected a divisor of %s %d", config_path(ld->c),
                   KV.text, t->KV, H.text, t->H);
}

/* A GGUF file may turn only some of a head; so far no supported kind does. */
static int check_rotary(loader *ld) {
    int r = ld->t->hd;
    if (ld->lay->in != IN_GGUF) return 0;
    int rc = whole(ld, ".rope.dimension_count", 1, 65536, &r);
    if (rc || r == ld->t->hd) return rc;
    return err_set(ld->e, ERR_UNSUPPORTED, "%s: %s.rope.dimension_count: %d, expected the heads' size %d",
                   config_path(ld->c), ld->lay->type, r, ld->t->hd);
}

static int read_shape(loader *ld) {
    const layout *a = ld->lay;
    transformer *t = ld->t;
    int rc;
    if ((rc = needed(ld, a->d, 2, 65536, &t->d))) return rc;
    if ((rc = needed(ld, a->H, 1, 1024, &t->H))) return rc;
    t->KV = t->H;
    if ((rc = whole(ld, a->KV, 1, 1024, &t->KV))) return rc;
    if ((rc = needed(ld, a->L, 1, 1024, &t->L))) return rc;
    if ((rc = read_mlp_width(ld))) return rc;
    if ((rc = read_rows(ld))) return rc;
    if ((rc = needed(ld, a->context, 1, 1 << 24, &t->base.info.max_len))) return rc;
    rc = check_heads(ld);
    return rc ? rc : check_rotary(ld);
}

/* ---- options ---- */

static int read_theta(loader *ld) {
    const layout *a = ld->lay;
    const char *key = !has(ld, a->theta) && has(ld, a->theta_else) ? a->theta_else : a->theta;
    setting_name room;
    return config_real(ld->c, setting_key(ld, key, &room), 1, 1e12, &ld->t->theta, ld->e);
}

static int read_llama(loader *ld) {
    const layout *a = ld->lay;
    transformer *t = ld->t;
    bool embed_norm = false, scale_logits = false;
    double eps = 0;
    setting_name room;
    int rc;
    ld->qkv_bias = a->bias == BIAS_ALWAYS;
    if (a->bias == BIAS_FOUND) ld->qkv_bias = shards_find(t->files, in_block(ld, 0, a->q, "bias").text) >= 0;
    if ((rc = yes_or_no(ld, a->qkv_bias, &ld->qkv_bias))) return rc;
    if ((rc = yes_or_no(ld, a->tied, &ld->tied))) return rc;
    if ((rc = yes_or_no(ld, a->embed_norm, &embed_norm))) return rc;
    if ((rc = yes_or_no(ld, a->scale_logits, &scale_logits))) return rc;
    if ((rc = config_real(ld->c, setting_key(ld, a->eps, &room), 0, 1, &eps, ld->e))) return rc;
    char head[96];
    snprintf(head, sizeof head, "%s.weight", a->head);
    if (!a->tied) ld->tied = shards_find(t->files, head) < 0;
    t->eps = (float)eps;
    t->embed_scale = embed_norm ? sqrtf((float)t->d) : 1.0f;
    t->logit_scale = scale_logits ? 1.0f / sqrtf((float)t->d) : 1.0f;
    t->head_norms = a->q_norm != NULL;
    t->rope_how = a->pairs ? K_ROPE_PAIRS : 0;
    return read_theta(ld);
}

static int read_dit(loader *ld) {
    transformer *t = ld->t;
    t->eps = 1e-5f, t->theta = 10000, t->embed_scale = t->logit_scale = 1;
    t->center = t->gelu = true;
    t->dit = arena_new(&t->mem, 1, sizeof *t->dit);
    if (!t->dit) return err_set(ld->e, ERR_NO_MEMORY, "%s: out of memory", config_path(ld->c));
    return yes_or_no(ld, "time_conditioning", &t->dit->timed);
}

static int read_shift(loader *ld) {
    bool shifted = ld->lay->shift == SHIFTED, said = has(ld, ld->lay->shifted);
    int rc = yes_or_no(ld, ld->lay->shifted, &shifted);
    if (rc) return rc;
    if (ld->opts && ld->opts->shift) {
        shifted = ld->opts->shift > 0;
    } else if (!said && ld->lay->shift == SHIFT_ASK) {
        return err_set(
            ld->e, ERR_BAD_ARGUMENT,
            "%s: does not say whether row i predicts position i or i+1; give --no-shift or --shift",
            config_path(ld->c));
    }
    ld->t->base.info.shifted = shifted;
    return 0;
}

/* ---- ids ---- */

/* The command line, the file, a tokenizer's mask token; an MDLM's is the last row. */
static int read_mask(loader *ld, int last) {
    const denoiser_opts *o = ld->opts;
    denoiser_info *info = &ld->t->base.info;
    int mask = -1;
    if (o && o->has_mask) {
        mask = o->mask_id;
    } else if (has(ld, ld->lay->mask)) {
        int rc = needed(ld, ld->lay->mask, 0, last, &mask);
        if (rc) return rc;
    } else if (ld->lay->family == FAMILY_DIT) {
        mask = last;
    } else if (o && o->has_mask_hint) {
        mask = o->mask_hint;
    } else {
        return err_set(ld->e, ERR_BAD_FORMAT,
                       "%s: %s: missing, expected a whole number from 0 to %d; give it with --mask-id",
                       config_path(ld->c), ld->lay->mask, last);
    }
    info->mask_id = mask;
    if (mask >= 0 && mask <= last) return 0;
    return err_set(ld->e, ERR_BAD_ARGUMENT, "%s: the mask id %d is not from 0 to %d", config_path(ld->c),
                   mask, last);
}

static int read_ids(loader *ld) {
    transformer *t = ld->t;
    denoiser_info *info = &t->base.info;
    int last = ld->rows - 1, bos = -1, eos = -1, pad = -1;
    int rc = read_mask(ld, last);
    if (!rc) rc = whole(ld, ld->lay->bos, 0, last, &bos);
    if (!rc) rc = whole(ld, ld->lay->eos, 0, last, &eos);
    if (!rc) rc = whole(ld, ld->lay->pad, 0, last, &pad);
    info->bos_id = bos, info->eos_id = eos, info->pad_id = pad, info->turn_end_id = -1;
    /* Rows past the last token stand for nothing: a head without them can never write one. */
    int used = ld->opts && ld->opts->n_tokens > 0 ? ld->opts->n_tokens : ld->rows;
    if (used <= info->mask_id) used = info->mask_id + 1;
    if (used < ld->rows) t->V = used;
    return rc;
}

int read_sizes(loader *ld) {
    int rc = read_shape(ld);
    if (!rc) rc = ld->lay->family == FAMILY_DIT ? read_dit(ld) : read_llama(ld);
    if (!rc) rc = read_shift(ld);
    return rc ? rc : read_ids(ld);
}
