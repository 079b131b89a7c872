/* open.h - a model and a context of llama.cpp for one sequence, as exact as its CPU backend gets: no GPU, no
 * flash attention, one thread. A diffusion model has no KV cache there, so its type does not matter. */
#pragma once

#include <cstdlib>

#include "llama.h"

struct opened {
    llama_model *model;
    llama_context *ctx;
};

static inline opened open_model(const char *path, unsigned n) {
    llama_log_set([](ggml_log_level, const char *, void *) {}, nullptr);
    llama_backend_init();
    llama_model_params m = llama_model_default_params();
    m.n_gpu_layers = 0;
    opened o = {llama_model_load_from_file(path, m), nullptr};
    llama_context_params c = llama_context_default_params();
    c.n_ctx = c.n_batch = c.n_ubatch = n;
    c.n_threads = c.n_threads_batch = 1;
    c.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
    if (o.model) o.ctx = llama_init_from_model(o.model, c);
    if (!o.ctx) exit(1);
    llama_set_causal_attn(o.ctx, false);
    return o;
}
