/* loader.h - a checkpoint on its way into a transformer; private to load.c, layouts.c, sizes.c and bind.c.
 *
 * A layout is data: which settings hold the sizes, which settings the arithmetic presumes, and how tensors
 * are named. Names of settings that start with a dot are those of a GGUF file, whose architecture goes in
 * front.
 */
#ifndef TABES_LOADER_H
#define TABES_LOADER_H

#include "engine/formats/config.h"
#include "engine/transformer/dit.h"

typedef struct setting {
    const char *key, *json; /* if the key is there, it must have this value */
} setting;

typedef enum family { FAMILY_LLAMA, FAMILY_DIT } family;
/* Which kind of checkpoint a layout is of. */
typedef enum container { IN_DIRECTORY, IN_GGUF } container;
/* Where a file does not say whether the model is shifted. ASK: a person must. */
typedef enum shift_rule { UNSHIFTED, SHIFTED, SHIFT_ASK } shift_rule;
/* Biases of queries, keys and values: always, as the setting qkv_bias says (absent: none), or when the first
 * layer has them. */
typedef enum bias_rule { BIAS_SETTING, BIAS_ALWAYS, BIAS_FOUND } bias_rule;

typedef struct layout {
    const char *arch, *type; /* as denoiser_info.arch; model_type or general.architecture */
    container in;
    family family;
    shift_rule shift;
    bias_rule bias;
    bool pairs; /* RoPE turns neighbours rather than halves */
    /* settings; NULL where the layout has no such key */
    const char *d, *H, *KV, *L, *f, *V, *rows, *context, *hd, *eps, *theta, *theta_else, *tied, *qkv_bias;
    const char *embed_norm, *scale_logits, *shifted;
    const char *mask, *bos, *eos, *pad;
    setting settings[14];
    /* tensors, without ".weight"; those from attn_norm on in a block */
    const char *embed, *norm, *head, *block; /* block: what comes before the layer's number */
    const char *attn_norm, *mlp_norm, *q, *k, *v, *o, *gate, *up, *down, *q_norm, *k_norm;
} layout;

typedef struct loader {
    transformer *t;
    config *c;
    const layout *lay;
    const denoiser_opts *opts;
    bool qkv_bias, tied;
    int rows;            /* of the embedding as stored; t->V may be less */
    bool copy;           /* widen and copy everything: a small model on the CPU */
    unsigned char *used; /* per tensor of the files */
    err *e;
} loader;

/* layouts.c: the layout of `type`, or NULL and the error. */
const layout *layout_find(container in, const char *type, const char *path, err *e);

/* sizes.c: everything that the configuration says, into the transformer and its info. ld->t->files are open.
 */
int read_sizes(loader *ld) MUST_CHECK;
/* Before that, and before the files: a foreign variant is better named than its missing keys. */
int check_settings(loader *ld) MUST_CHECK;
/* A setting's full name, in `room`. */
typedef struct setting_name {
    char text[96];
} setting_name;
const char *setting_key(const loader *ld, const char *key, setting_name *room);

/* bind.c: weights from tensors; every tensor is checked for presence, shape and type, and one that nobody
 * reads is refused: it would change what the network computes. */
int bind_weights(loader *ld) MUST_CHECK;
/* Name of a layer's tensor. */
typedef struct tensor_name {
    char text[160];
} tensor_name;
tensor_name in_block(const loader *ld, int layer, const char *part, const char *kind);
/* The storage type of that name; false when it is not one that weights may have. */
bool known_dtype(const char *name, k_dtype *out);

#endif
