/* eb.c - EB-Sampler (2505.24857): the longest prefix whose dependence bound stays under gamma. */
#include <math.h>

#include "engine/policies/policies.h"

static const char *const proxies[] = {"entropy", "confidence", "margin", NULL};
static const param_def gamma_def = {
    .name = "gamma",
    .type = PARAM_REAL,
    .min = 0,
    .max = 1e6,
    .def = 0.1,
    .help = "bound in nats on the sum of the written entropies less the largest of "
            "them; 0: one token a step"};
static const param_def proxy_def = {
    .name = "proxy",
    .type = PARAM_CHOICE,
    .choices = proxies,
    .def = 0,
    .help = "what orders the positions: lowest entropy, highest confidence or largest "
            "margin"};

static double certainty(const decision *dec, int m) {
    const k_row_stats *s = pass_stats(dec->state.p, m);
    int proxy = param_int(dec->params, "proxy");
    return proxy == 0 ? -s->entropy : proxy == 1 ? s->confidence : s->margin;
}

static int score(decision *dec, err *e) {
    int rc = score_positions(dec, certainty, e);
    int *order = rc ? NULL : candidates_by_score(dec, e);
    if (!order) return rc ? rc : ERR_NO_MEMORY;
    double gamma = param_real(dec->params, "gamma"), sum = 0, most = 0;
    dec->budget = 1;
    for (int n = 1; n <= dec->rec->n_cand; n++) {
        double H = pass_stats(dec->state.p, masked_of(dec, order[n - 1]))->entropy;
        sum += H;
        most = fmax(most, H);
        if (sum - most > gamma) break;
        dec->budget = n;
    }
    return 0;
}

static const param_def *const params[] = {COMMON_PARAMS, &gamma_def, &proxy_def, NULL};

const policy policy_eb = {
    .name = "eb",
    .title = "EB",
    .help = "EB-Sampler: writes the longest prefix, by certainty, whose entropies sum up to at most gamma "
            "beyond the "
            "largest of them. --steps is not looked at. There is no official code; ports agree on the rule "
            "and differ "
            "in gamma (0.1, 0.01). In blocks the rule is applied to the block, which is ours.",
    .ranks_like = "entropy",
    .params = params,
    .score = score,
};
