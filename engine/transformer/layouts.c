/* layouts.c - how each kind of checkpoint names its settings and tensors (models.md). */
#include <string.h>

#include "engine/transformer/loader.h"

/* Hugging Face's usual names of settings and tensors. */
#define HF_LLAMA                                                                                             \
    .d = "hidden_size", .H = "num_attention_heads", .KV = "num_key_value_heads", .L = "num_hidden_layers",   \
    .f = "intermediate_size", .V = "vocab_size", .context = "max_position_embeddings", .hd = "head_dim",     \
    .eps = "rms_norm_eps", .theta = "rope_theta", .theta_else = "rope_parameters.rope_theta",                \
    .tied = "tie_word_embeddings", .mask = "mask_token_id", .bos = "bos_token_id", .eos = "eos_token_id",    \
    .pad = "pad_token_id", .embed = "model.embed_tokens", .norm = "model.norm", .head = "lm_head",           \
    .block = "model.layers.", .attn_norm = "input_layernorm", .mlp_norm = "post_attention_layernorm",        \
    .q = "self_attn.q_proj", .k = "self_attn.k_proj", .v = "self_attn.v_proj", .o = "self_attn.o_proj",      \
    .gate = "mlp.gate_proj", .up = "mlp.up_proj", .down = "mlp.down_proj"

#define HF_SETTINGS                                                                                          \
    {"hidden_act", "\"silu\""}, {"rope_scaling", "null"}, {"use_sliding_window", "false"},                   \
        {"rope_parameters.rope_type", "\"default\""}, {                                                      \
        "mlp_bias", "false"                                                                                  \
    }

#define HF_QWEN3                                                                                             \
    HF_LLAMA, .settings = {HF_SETTINGS, {"attention_bias", "false"}}, .q_norm = "self_attn.q_norm",          \
              .k_norm = "self_attn.k_norm"

#define GGUF_LLAMA                                                                                           \
    .in = IN_GGUF, .bias = BIAS_FOUND, .d = ".embedding_length", .H = ".attention.head_count",               \
    .KV = ".attention.head_count_kv", .L = ".block_count", .f = ".feed_forward_length",                      \
    .context = ".context_length", .hd = ".attention.key_length", .eps = ".attention.layer_norm_rms_epsilon", \
    .theta = ".rope.freq_base", .shifted = "diffusion.shift_logits", .mask = "tokenizer.ggml.mask_token_id", \
    .bos = "tokenizer.ggml.bos_token_id", .eos = "tokenizer.ggml.eos_token_id",                              \
    .pad = "tokenizer.ggml.padding_token_id",                                                                \
    .settings = {{".rope.scaling.type", "\"none\""}, {".expert_count", "0"}}, .embed = "token_embd",         \
    .norm = "output_norm", .head = "output", .block = "blk.", .attn_norm = "attn_norm",                      \
    .mlp_norm = "ffn_norm", .q = "attn_q", .k = "attn_k", .v = "attn_v", .o = "attn_output",                 \
    .gate = "ffn_gate", .up = "ffn_up", .down = "ffn_down"

#define GGUF_QWEN3 GGUF_LLAMA, .q_norm = "attn_q_norm", .k_norm = "attn_k_norm"

static const layout layouts[] = {
    {.arch = "llada",
     .type = "llada",
     .d = "d_model",
     .H = "n_heads",
     .KV = "n_kv_heads",
     .L = "n_layers",
     .f = "mlp_hidden_size",
     .V = "vocab_size",
     .rows = "embedding_size",
     .context = "max_sequence_length",
     .eps = "rms_norm_eps",
     .theta = "rope_theta",
     .tied = "weight_tying",
     .qkv_bias = "include_qkv_bias",
     .embed_norm = "input_emb_norm",
     .scale_logits = "scale_logits",
     .mask = "mask_token_id",
     .bos = "bos_token_id",
     .eos = "eos_token_id",
     .pad = "pad_token_id",
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
     .type = "Dream",
     .shift = SHIFTED,
     .bias = BIAS_ALWAYS,
     HF_LLAMA,
     .settings = {HF_SETTINGS}},
    {.arch = "qwen2",
     .type = "qwen2",
     .shift = SHIFTED,
     .bias = BIAS_ALWAYS,
     HF_LLAMA,
     .settings = {HF_SETTINGS}},
    {.arch = "a2d-qwen2", .type = "a2d-qwen2", .bias = BIAS_ALWAYS, HF_LLAMA, .settings = {HF_SETTINGS}},
    {.arch = "qwen3", .type = "qwen3", .shift = SHIFT_ASK, HF_QWEN3},
    {.arch = "a2d-qwen3", .type = "a2d-qwen3", HF_QWEN3},
    {.arch = "llama",
     .type = "llama",
     .shift = SHIFT_ASK,
     HF_LLAMA,
     .settings = {HF_SETTINGS, {"attention_bias", "false"}}},
    {.arch = "a2d-llama",
     .type = "a2d-llama",
     HF_LLAMA,
     .settings = {HF_SETTINGS, {"attention_bias", "false"}}},
    {.arch = "mdlm",
     .type = "mdlm",
     .family = FAMILY_DIT,
     .d = "hidden_dim",
     .H = "n_heads",
     .L = "n_blocks",
     .V = "vocab_size",
     .context = "model_length",
     .mask = "mask_token_id",
     .bos = "bos_token_id",
     .eos = "eos_token_id",
     .pad = "pad_token_id",
     .embed = "backbone.vocab_embed.embedding",
     .norm = "backbone.output_layer.norm_final",
     .head = "backbone.output_layer.linear",
     .block = "backbone.blocks.",
     .attn_norm = "norm1",
     .mlp_norm = "norm2",
     .q = "attn_qkv",
     .o = "attn_out",
     .up = "mlp.0",
     .down = "mlp.2"},
    {.arch = "llada", .type = "llada", .pairs = true, GGUF_LLAMA},
    {.arch = "dream", .type = "dream", .shift = SHIFTED, GGUF_LLAMA},
    {.arch = "qwen2", .type = "qwen2", .shift = SHIFTED, GGUF_LLAMA},
    {.arch = "qwen3", .type = "qwen3", .shift = SHIFT_ASK, GGUF_QWEN3},
    {.arch = "llama", .type = "llama", .shift = SHIFT_ASK, .pairs = true, GGUF_LLAMA},
};

/* Kinds that people have and that are not supported, with the reason. */
static const struct {
    const char *type, *why;
} refused[] = {{"llada-moe", "mixtures of experts are not supported"},
               {"rnd1", "mixtures of experts are not supported"},
               {"llada2_moe", "mixtures of experts and block-causal attention are not supported"},
               {"modernbert", "local attention is not supported"}};

static const char *reason(const char *type) {
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        if (strcmp(refused[i].type, type) == 0) return refused[i].why;
    }
    return "expected llada, Dream, mdlm, qwen2, qwen3, llama, or one of these after a2d-";
}

const layout *layout_find(container in, const char *type, const char *path, err *e) {
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++) {
        if (layouts[i].in == in && strcmp(layouts[i].type, type) == 0) return &layouts[i];
    }
    const char *key = in == IN_GGUF ? "general.architecture" : "model_type";
    err_set(e, ERR_UNSUPPORTED, "%s: %s: \"%.40s\" is not supported: %s", path, key, type, reason(type));
    return NULL;
}
