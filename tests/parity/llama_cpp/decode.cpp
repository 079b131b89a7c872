/* decode.cpp - decode MODEL.gguf PROMPT LENGTH STEPS ALGORITHM EPS TOP_K SEED: one decode of llama.cpp's
 * diffusion example, as JSON.
 *
 * Calls the example's diffusion_generate as its command does with --temp 0, and prints what the command does
 * not: the ids of the prompt and those of the canvas before every step and at the end. LENGTH counts the new
 * tokens. With EPS 0 the schedule is that of blocks, one block being the whole canvas. Built against
 * llama.cpp (README.md); tabes does not build it. */
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "diffusion.h"
#include "open.h"

using canvas = std::vector<llama_token>;

static void print_ids(const char *before, const canvas &ids) {
    printf("%s[", before);
    for (size_t i = 0; i < ids.size(); i++) printf("%s%d", i ? "," : "", ids[i]);
    printf("]");
}

static bool keep_state(int, int, const llama_token *tokens, int n, void *states) {
    ((std::vector<canvas> *)states)->emplace_back(tokens, tokens + n);
    return true;
}

static bool shifted(const llama_model *model) {
    char text[8];
    int n = llama_model_meta_val_str(model, "diffusion.shift_logits", text, sizeof text);
    return n < 0 || !strcmp(text, "true");
}

int main(int argc, char **argv) {
    if (argc != 9) return 2;
    opened o = open_model(argv[1], 512);
    const llama_vocab *vocab = llama_model_get_vocab(o.model);
    canvas prompt(512);
    prompt.resize(llama_tokenize(vocab, argv[2], (int)strlen(argv[2]), prompt.data(), 512, true, true));
    std::vector<canvas> states;
    diffusion_params p;
    p.max_length = (int)prompt.size() + std::stoi(argv[3]);
    p.steps = std::stoi(argv[4]);
    p.algorithm = (diffusion_algorithm)std::stoi(argv[5]);
    p.eps = std::stof(argv[6]);
    p.block_length = p.eps > 0 ? 0 : p.max_length;
    p.schedule =
        p.eps > 0 ? DIFFUSION_TRANSFER_SCHEDULE_TIMESTEP_BASED : DIFFUSION_TRANSFER_SCHEDULE_BLOCK_BASED;
    p.top_k = std::stoi(argv[7]);
    p.top_p = 1;
    p.seed = std::stoi(argv[8]);
    p.mask_token_id = llama_vocab_mask(vocab);
    p.shift_logits = shifted(o.model);
    p.step_callback = keep_state;
    p.step_callback_user_data = &states;
    canvas out(p.max_length);
    int n = 0;
    diffusion_generate(o.ctx, prompt.data(), out.data(), (int)prompt.size(), p, n);
    if (!n) return 1;
    states.push_back(out);
    print_ids("{\"prompt\":", prompt);
    for (size_t i = 0; i < states.size(); i++) print_ids(i ? ",\n" : ",\n\"states\":[", states[i]);
    printf("]}\n");
}
