/* synthetic.h - a transformer of a given shape with random weights and no file, for measuring speed.
 *
 * All matrices are windows into one pool of random numbers, the size of the largest of them, so that
 * the shape of an 8B model takes about 1 GB of the host's memory. What the network computes means
 * nothing, but its numbers are as tame as a trained one's, and every operation does the same work. The last
 * row of the vocabulary is the mask.
 *
 *     denoiser *d;
 *     synthetic_shape s = synthetic_named("llada-8b");
 *     if (denoiser_synthetic(&d, &s, &(denoiser_opts){.device = "cuda"}, &e)) ...
 */
#ifndef TABES_SYNTHETIC_H
#define TABES_SYNTHETIC_H

#include "engine/denoiser.h"

typedef struct synthetic_shape {
    const char *name;
    int d, L, H, KV, f, V; /* width, layers, query and key/value heads, MLP width, vocabulary rows */
    int max_len;
    double theta, eps;
    bool shifted, bias, tied; /* bias: of queries, keys and values */
    k_dtype dtype;            /* of the pool: K_BF16 or K_F32 */
    uint64_t seed;
} synthetic_shape;

/* "llada-8b", "dream-7b" (sizes as published), "small" (about 110 M parameters) and "tiny"; ends with a name
 * of NULL. */
extern const synthetic_shape synthetic_shapes[];

/* The shape of that name; its own name is NULL when there is none. */
synthetic_shape synthetic_named(const char *name);

/* As denoiser_load. `s` is not kept. */
int denoiser_synthetic(denoiser **out, const synthetic_shape *s, const denoiser_opts *o, err *e) MUST_CHECK;

#endif
