/* remdm.c - ancestral sampling with remasking: ReMDM (2503.00307) on top of MDLM's sampler, and the
 * forward-backward and discrete-flow-matching correctors (policies.md 6, 12, 15).
 *
 * Masks are a share t of the tokens, alpha = 1-t of them are clean; a step goes from t to s. A clean token
 * goes back to the mask with probability sigma, a mask is written with (alpha_s - (1-sigma)
 * alpha_t)/(1-alpha_t). sigma = 0 is MDLM's sampler. */
#include <math.h>

#include "engine/policies/policies.h"

enum { CAP, RESCALE, CONF, LOOP };
static const char *const modes[] = {"cap", "rescale", "conf", "loop", NULL};
static const param_def mode_def = {
    .name = "remdm-mode",
    .type = PARAM_CHOICE,
    .choices = modes,
    .def = CAP,
    .help = "cap: sigma = min(eta, its bound); rescale: eta times the bound; conf: the "
            "bound, shared out to the least sure tokens; loop: cap between t-on and "
            "t-off while nothing else changes"};
static const param_def eta_def = {
    .name = "eta",
    .type = PARAM_REAL,
    .min = 0,
    .max = 1,
    .def = 0.04,
    .help = "rate at which written tokens go back to the mask; published for 1024 steps: "
            "0.008 cap, 0.015 rescale, 0.02 loop; fewer steps need more"};
static const param_def t_on_def = {.name = "t-on",
                                   .type = PARAM_REAL,
                                   .min = 0,
                                   .max = 1,
                                   .def = 0.55,
                                   .help = "time at which the loop begins"};
static const param_def t_off_def = {.name = "t-off",
                                    .type = PARAM_REAL,
                                    .min = 0,
                                    .max = 1,
                                    .def = 0.05,
                                    .help = "time at which the loop ends"};
static const param_def alpha_on_def = {.name = "alpha-on",
                                       .type = PARAM_REAL,
                                       .min = 0,
                                       .max = 1,
                                       .def = 0.9,
                                       .help = "share of clean tokens while the loop runs"};

typedef remask_rates rates;

static double clamp(double p) {
    return p > 0 ? p < 1 ? p : 1 : 0;
}

static double least(double a, double b) {
    return a < b ? a : b;
}

/* The times of MDLM's sampler: from 1 to 1e-5 in equal steps. */
static void times(const decision *dec, double *t, double *s) {
    double S = dec->block_steps > 0 ? dec->block_steps : 1, dt = (1 - 1e-5) / S;
    *t = 1 - dec->block_step * dt;
    *s = *t - dt;
}

static double bound(double alpha_t, double alpha_s) {
    return alpha_t > 0 ? least(1, (1 - alpha_s) / alpha_t) : 1;
}

/* Clean share at time t of the loop's three phases. */
static double loop_alpha(const param_set *ps, double t) {
    double on = param_real(ps, "t-on"), off = param_real(ps, "t-off"), alpha = param_real(ps, "alpha-on");
    if (t > on) return on < 1 ? (1 - t) * alpha / (1 - on) : alpha;
    if (t > off) return alpha;
    return off > 0 ? 1 - t * (1 - alpha) / off : 1;
}

static rates loop_rates(const decision *dec, double t, double s) {
    const param_set *ps = dec->params;
    double on = param_real(ps, "t-on"), off = param_real(ps, "t-off"), alpha = param_real(ps, "alpha-on");
    if (t <= on && t > off) return (rates){alpha, alpha, least(param_real(ps, "eta"), (1 - alpha) / alpha)};
    /* The step's end by the formula of its beginning, also where it runs into the loop. */
    return (rates){loop_alpha(ps, t), t > on ? (1 - s) * alpha / (1 - on) : 1 - s * (1 - alpha) / off, 0};
}

static rates remdm_rates(const decision *dec) {
    const param_set *ps = dec->params;
    double t, s, eta = param_real(ps, "eta");
    times(dec, &t, &s);
    rates r = {1 - t, 1 - s, 0};
    switch (param_int(ps, "remdm-mode")) {
    case CAP:
        r.sigma = r.alpha_t > 0 ? least(eta, bound(r.alpha_t, r.alpha_s)) : eta;
        return r;
    case RESCALE:
        r.sigma = eta * bound(r.alpha_t, r.alpha_s);
        return r;
    case CONF:
        return r;
    default:
        return loop_rates(dec, t, s);
    }
}

double remask_reveal(rates r) {
    return r.alpha_t < 1 ? clamp((r.alpha_s - (1 - r.sigma) * r.alpha_t) / (1 - r.alpha_t)) : 1;
}

/* Probability with which token j goes back; conf shares the bound out by how sure the tokens were when
 * written. */
static double back_rate(const decision *dec, rates r, int j, double total) {
    if (total <= 0) return r.sigma;
    return exp(-dec->revealed[dec->clean[j]]) / total * bound(r.alpha_t, r.alpha_s);
}

/* The draws of one step. Masks that the last one leaves are swept up by one more forward. */
static int write_with(decision *dec, double written, rates r, double total, err *e) {
    int rc = begin_writes(dec, e);
    for (int i = 0; i < dec->rec->n_cand && !rc; i++) {
        if (draw(dec, dec->rec->cand[i], RNG_PATH) < written)
            rc = write_mask(dec, masked_of(dec, i), dec->rec->score[i], e);
    }
    for (int j = 0; j < dec->n_clean && !rc; j++) {
        if (draw(dec, dec->clean[j], RNG_REMASK) < back_rate(dec, r, j, total)) put_back(dec, j, 0);
    }
    return rc;
}

static int score(decision *dec, err *e) {
    return score_positions(dec, proposed_confidence, e);
}

static int write_remdm(decision *dec, err *e) {
    rates r = remdm_rates(dec);
    double total = 0;
    bool conf = param_int(dec->params, "remdm-mode") == CONF;
    for (int j = 0; j < dec->n_clean && conf; j++) total += exp(-dec->revealed[dec->clean[j]]);
    return write_with(dec, remask_reveal(r), r, total, e);
}

static bool always(const param_set *ps) {
    (void)ps;
    return true;
}

/* ---- correctors ---- */

static int write_fb(decision *dec, err *e) {
    double t, s;
    times(dec, &t, &s);
    rates r = {1 - t, 1 - s, 0};
    r.sigma = clamp(r.alpha_t > 0 ? (r.alpha_s - r.alpha_t) / r.alpha_t : 1);
    return write_with(dec, remask_reveal(r), r, 0, e);
}

/* a(t) = 1 + 10 t^¼ (1-t)^¼, b = a-1: masks are written with a d/t, tokens go back with b d/(1-t). The step d
 * is 1/S, or shorter so that neither is above 1; the first one is MDLM's. */
bool dfm_at(int S, int k, dfm_step *out) {
    double t = 1;
    for (int i = 0; t > (1 - 1e-5) / S; i++) {
        double a = 1 + 10 * pow(t * (1 - t), 0.25);
        double d = i ? least(1.0 / S, 1 / (a / t + (a - 1) / (1 - t))) : 1.0 / S;
        *out = (dfm_step){t, d, i ? clamp(a * d / t) : d, i ? clamp((a - 1) * d / (1 - t)) : 0};
        if (i == k) return true;
        t -= d;
    }
    return false;
}

static int plan_dfm(int steps) {
    dfm_step x;
    int n = steps; /* never fewer */
    while (dfm_at(steps, n, &x)) n++;
    return n;
}

/* The largest plan that comes to at most this many steps. */
static int planned_dfm(int steps) {
    int low = 1, high = steps;
    while (low < high) {
        int mid = low + (high - low + 1) / 2;
        if (plan_dfm(mid) <= steps)
            low = mid;
        else
            high = mid - 1;
    }
    return low;
}

/* Several plans come to the same number of steps, so the one that was asked for is taken where it fits. */
static int plan_of(const decision *dec) {
    int S = dec->block_nominal;
    return plan_dfm(S) == dec->block_steps ? S : planned_dfm(dec->block_steps);
}

static int write_dfm(decision *dec, err *e) {
    dfm_step x;
    if (!dfm_at(plan_of(dec), dec->block_step, &x)) x.written = 1, x.back = 0;
    return write_with(dec, x.written, (rates){.sigma = x.back}, 0, e);
}

static const param_def *const remdm_params[] = {COMMON_PARAMS, &mode_def,     &eta_def, &t_on_def,
                                                &t_off_def,    &alpha_on_def, NULL};
static const char *const presets[] = {"temperature", "1", "top-p", "0.9", NULL};

const policy policy_remdm = {
    .name = "remdm",
    .title = "ReMDM",
    .help = "ReMDM: MDLM's ancestral sampler that puts written tokens back to the mask at rate sigma; "
            "--remdm-mode says "
            "which sigma. Tokens are drawn at temperature 1 with top-p 0.9, as published. How conf pairs "
            "with a base "
            "rate is not settled; this is the code's share of the bound, from raw probabilities rather than "
            "those of the "
            "nucleus. eta 0 is MDLM's sampler. With blocks each has the whole range of times. Masks that the "
            "last step "
            "leaves take one more forward.",
    .presets = presets,
    .ranks_like = "confidence",
    .params = remdm_params,
    .score = score,
    .write = write_remdm,
    .remasks = always,
    .narrow_nucleus = true,
    .ignores_order = true,
};
const policy policy_fb = {
    .name = "fb",
    .title = "forward-backward",
    .help = "Forward-backward corrector (Campbell et al. 2022) on MDLM's sampler: sigma = (alpha_s - "
            "alpha_t)/alpha_t, so "
            "the second step puts back every token, the third half of them, and so on.",
    .presets = presets,
    .ranks_like = "confidence",
    .params = common_params,
    .score = score,
    .write = write_fb,
    .remasks = always,
    .narrow_nucleus = true,
    .ignores_order = true,
};
const policy policy_dfm = {
    .name = "dfm",
    .title = "DFM",
    .help =
        "Discrete-flow-matching corrector (Gat et al. 2024) with a(t) = 1 + 10 t^1/4 (1-t)^1/4. Steps are at "
        "most "
        "1/steps long and shorter near both ends, so there are more of them: 29 for 8, 133 for 128, 1025 for "
        "1024.",
    .presets = presets,
    .ranks_like = "confidence",
    .params = common_params,
    .score = score,
    .write = write_dfm,
    .remasks = always,
    .plan = plan_dfm,
    .narrow_nucleus = true,
    .ignores_order = true,
};
