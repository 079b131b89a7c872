/* session_blocks.c - how steps and positions are shared out: quotas, blocks, the plan. */
#include "engine/session_blocks.h"

#include "engine/session.h"

int session_quota(int m0, int T, int budget, int k) {
    if (T <= 0) return budget;
    return m0 / T + (k < m0 % T ? 1 : 0);
}

int blocks_origin(const int32_t *start, int n, int n_prompt, int32_t mask) {
    if (n_prompt < n) return n_prompt;
    for (int i = 0; i < n; i++) {
        if (start[i] == mask) return i;
    }
    return 0;
}

int blocks_count(int length, int n) {
    return length > 0 && length < n ? (n + length - 1) / length : 1;
}

int blocks_front(const int32_t *tokens, const bool *pinned, int n, int32_t mask) {
    for (int i = 0; i < n; i++) {
        if (tokens[i] == mask && !pinned[i]) return i;
    }
    return -1;
}

int blocks_steps(int T, int n, int b) {
    int steps = session_quota(T, n, 0, b);
    return steps > 0 ? steps : 1;
}

int blocks_before(int T, int n, int b) {
    if (T < n) return b;
    return b * (T / n) + (b < T % n ? b : T % n);
}

int blocks_at(int T, int n, int step) {
    int b = 0;
    while (b < n - 1 && step >= blocks_before(T, n, b + 1)) b++;
    return b;
}

int blocks_nominal(const param_set *params, int b, int n, int masks) {
    int steps = param_int(params, "steps"), budget = param_int(params, "budget");
    if (steps) return blocks_steps(steps, n, b);
    steps = (masks + budget - 1) / budget;
    return steps > 0 || n == 1 ? steps : 1;
}

static int masks_of(const traj_header *h, const param_set *params, int b) {
    int origin = blocks_origin(h->start, h->n_tokens, h->n_prompt, h->mask_id), n = 0;
    int length = param_int(params, "block-length");
    for (int i = b ? origin + b * length : 0; i < h->n_tokens && (i < origin + (b + 1) * length); i++)
        n += h->start[i] == h->mask_id;
    return n;
}

int session_planned(const traj_header *h, const policy *p, const param_set *params, int decoded,
                    int n_masked) {
    int origin = blocks_origin(h->start, h->n_tokens, h->n_prompt, h->mask_id), T = 0;
    int n_blocks = blocks_count(param_int(params, "block-length"), h->n_tokens - origin);
    if (decoded && !param_int(params, "steps")) n_blocks = 1; /* what is left, from here */
    for (int b = 0; b < n_blocks; b++) {
        int masks = n_blocks == 1 ? n_masked : masks_of(h, params, b);
        int nominal = blocks_nominal(params, b, n_blocks, masks);
        T += p && p->plan && nominal > 0 ? p->plan(nominal) : nominal;
    }
    return param_int(params, "steps") ? T : decoded + T;
}

int session_prompt(const traj_header *h) {
    for (int i = h->n_prompt; i < h->n_tokens; i++) {
        if (h->start[i] != h->mask_id) return h->n_tokens;
    }
    return h->n_prompt;
}
