/* model.h - a checkpoint as a person names it: denoiser, tokenizer (if any) and tuning (if any). */
#ifndef TABES_MODEL_H
#define TABES_MODEL_H

#include "engine/denoiser.h"
#include "engine/tokenizer.h"

/* DIR/tabes.json: {"boe": {"lambda": 0.05, "h_max": 2.0}}. Without it lambda = 0 and the program says
 * "anti-collapse off (untuned)". */
typedef struct model_tuning {
    bool tuned;
    double lambda, h_max;
} model_tuning;

typedef struct model {
    denoiser *d;
    tokenizer *tok; /* NULL when the checkpoint has none */
    model_tuning tuning;
} model;

/* Everything or nothing: on failure *m is zero and the message names file and cause. o may be NULL: the CPU.
 */
int model_open(model *m, const char *path, const denoiser_opts *o, err *e) MUST_CHECK;
void model_close(model *m);
token_texts model_texts(const model *m);

/* A prompt as text into ids: needs the tokenizer (ERR_UNSUPPORTED with "use --prompt-tokens" otherwise). */
int model_prompt(const model *m, const char *text, size_t n, int32_t **ids, int *n_ids, err *e) MUST_CHECK;

#endif
