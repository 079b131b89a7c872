/* logits.cpp - logits MODEL.gguf IDS...: the logits of llama.cpp, every row of the network, as JSON.
 *
 * Each IDS is one sequence, ids with commas between. Prints [case][row][token], rows as the network makes
 * them (unshifted). A tool of development, built against llama.cpp (README.md); tabes does not build it. */
#include <cstdio>
#include <sstream>
#include <string>
#include <vector>

#include "open.h"

static std::vector<llama_token> parse(const char *text) {
    std::vector<llama_token> out;
    std::stringstream in(text);
    for (std::string id; std::getline(in, id, ',');) out.push_back(std::stoi(id));
    return out;
}

static void print_case(const opened &o, const std::vector<llama_token> &tokens) {
    const int n = (int)tokens.size(), n_vocab = llama_vocab_n_tokens(llama_model_get_vocab(o.model));
    llama_batch b = llama_batch_init(n, 0, 1);
    b.n_tokens = n;
    for (int i = 0; i < n; i++) {
        b.token[i] = tokens[i];
        b.pos[i] = i;
        b.n_seq_id[i] = 1;
        b.seq_id[i][0] = 0;
        b.logits[i] = 1;
    }
    if (llama_decode(o.ctx, b)) exit(1);
    for (int i = 0; i < n; i++) {
        const float *z = llama_get_logits_ith(o.ctx, i);
        printf("%s[", i ? ",\n" : "[");
        for (int v = 0; v < n_vocab; v++) printf("%s%.9g", v ? "," : "", (double)z[v]);
        printf("]");
    }
    printf("]");
    llama_batch_free(b);
}

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    opened o = open_model(argv[1], 512);
    for (int i = 2; i < argc; i++) {
        printf(i == 2 ? "[" : ",\n");
        print_case(o, parse(argv[i]));
    }
    printf("]\n");
}
