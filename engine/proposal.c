/* proposal.c - Gumbel-max sampling in double. Low-precision noise loses the distribution's tail
 * and acts like a lower temperature. */
#include "engine/proposal.h"

#include <math.h>

#include "engine/base/rng.h"

/* rng_uniform lies in [2^-53, 1 - 2^-53], so that noise lies in [-3.61, 36.75]. A logit further than
 * T times that span below the best cannot win, and its noise need not be drawn. */
static const double NOISE_SPAN = 40.5;

proposal propose_token(const pass *p, int row, int n_vocab, double temperature, uint64_t seed, int step) {
    const k_row_stats *s = pass_stats(p, row);
    if (!(temperature > 0)) return (proposal){s->argmax, s->confidence};
    const float *z = pass_logits(p, row);
    int pos = pass_row(p, row).pos;
    double top = (double)z[s->argmax], best = -INFINITY;
    int32_t token = s->argmax;
    for (int v = 0; v < n_vocab; v++) {
        double x = (double)z[v];
        if (!(x >= top - temperature * NOISE_SPAN)) continue; /* the mask's logit is -inf */
        double u = rng_uniform(seed, (uint64_t)step, (uint64_t)pos, (uint64_t)v, RNG_TOKEN);
        x -= temperature * log(-log(u));
        if (!(x > best)) continue;
        best = x;
        token = v;
    }
    return (proposal){token, exp((double)z[token] - s->lse)};
}
