/* model.h - a checkpoint as a person names it: denoiser, tokenizer (if any) and tuning (if any). */
#ifndef TABES_MODEL_H
#define TABES_MODEL_H

#include "engine/chat.h"
#include "engine/denoiser.h"
#include "engine/tokenizer.h"

/* DIR/tabes.json: {"boe": {"lambda": 0.05, "h_max": 2.0}}. Without it lambda = 0, and `tabes run` says
 * "anti-collapse off (untuned)". */
typedef struct model_tuning {
    bool tuned;
    double lambda, h_max;
} model_tuning;

typedef struct model {
    denoiser *d;
    tokenizer *tok; /* NULL when the checkpoint has none */
    model_tuning tuning;
    const chat *chat; /* what prompts are put into; NULL: they are used as they are */
    bool chat_named;  /* a person asked for it */
    int32_t stop_id;  /* the token that ends its turns, or -1 */
    char *briefing;   /* its system message, or NULL: the template's own */
} model;

/* How a checkpoint is opened and its prompts are read. All zero: on the CPU, as the files say. */
typedef struct model_opts {
    denoiser_opts run;     /* mask_hint and n_tokens are filled in here */
    const char *tokenizer; /* a directory or GGUF file whose tokenizer is used, or NULL: the checkpoint's */
    const char *chat;      /* a template's name, or NULL: what the checkpoint brings, if it is recognised */
    const char *briefing;  /* system message; needs a template */
    bool raw;              /* no template */
} model_opts;

/* Everything or nothing: on failure *m is zero and the message names file and cause. o may be NULL.
 */
int model_open(model *m, const char *path, const model_opts *o, err *e) MUST_CHECK;
void model_close(model *m);
token_texts model_texts(const model *m);

/* Whether an answer ends before this token: end of text, or the end of a turn of the chat template. */
bool model_stops(const model *m, int32_t token);

/* A prompt as text into ids: needs the tokenizer (ERR_UNSUPPORTED with "use --prompt-tokens" otherwise). It
 * is put into the chat template, unless it has gaps (<mask>) and nobody asked for a template by name: then it
 * is a text to be completed in the middle. */
int model_prompt(const model *m, const char *text, size_t n, int32_t **ids, int *n_ids, err *e) MUST_CHECK;

#endif
