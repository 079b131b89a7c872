/* p2.c - path planning (2502.03540): every step ranks all generated positions and masks the worst of them. */
#include <math.h>
#include <stdlib.h>

#include "engine/base/mem.h"
#include "engine/policies/policies.h"

static const char *const kappas[] = {"linear", "sine", "square", "log", "root", "early", NULL};
static const param_def eta_def = {
    .name = "path-eta",
    .type = PARAM_REAL,
    .min = 0,
    .max = 100,
    .def = 1,
    .help = "weight of the log probability of clean tokens: 0 protects them, above 1 "
            "exposes them"};
static const param_def kappa_def = {
    .name = "kappa",
    .type = PARAM_CHOICE,
    .choices = kappas,
    .def = 0,
    .help = "share of unmasked tokens after a share u of the steps: u, sin(pi u/2), "
            "u^2, log2(1+u), sqrt u or 1-(1-u)^2 (early)"};

static double share_clean(int kappa, double u) {
    switch (kappa) {
    case 0:
        return u;
    case 1:
        return sin(1.5707963267948966 * u);
    case 2:
        return u * u;
    case 3:
        return log2(1 + u);
    case 4:
        return sqrt(u);
    default:
        return 1 - (1 - u) * (1 - u);
    }
}

/* Masks that the step leaves: integers for the linear schedule, where floor in double is off by one at
 * places. */
static int masks_after(const decision *dec, int n) {
    int S = dec->block_steps > 0 ? dec->block_steps : 1, k = dec->block_step + 1,
        kappa = param_int(dec->params, "kappa");
    if (dec->last || k >= S) return 0;
    if (kappa == 0) return (int)((int64_t)n * (S - k) / S);
    return (int)floor(n * (1 - share_clean(kappa, (double)k / S)) + 1e-9);
}

static double log_p(const decision *dec, int m) {
    return log(proposed_confidence(dec, m) + 1e-300);
}

static int score(decision *dec, err *e) {
    return score_positions(dec, log_p, e);
}

/* A generated position: mask m, or clean token j (the other is -1). */
typedef struct spot {
    int m, j, pos;
    double score;
} spot;

/* Worst first; ties mask what is masked already, then the higher position. */
static int worst_first(const void *a, const void *b) {
    const spot *x = a, *y = b;
    if (x->score < y->score || x->score > y->score) return x->score < y->score ? -1 : 1;
    if ((x->m >= 0) != (y->m >= 0)) return x->m >= 0 ? -1 : 1;
    return y->pos - x->pos;
}

static int gather(const decision *dec, spot *v) {
    int n = 0;
    double eta = param_real(dec->params, "path-eta");
    for (int i = 0; i < dec->rec->n_cand; i++)
        v[n++] = (spot){masked_of(dec, i), -1, dec->rec->cand[i], dec->rec->score[i]};
    for (int j = 0; j < dec->n_clean; j++) /* the model's prediction at the token's place, as in the code */
        v[n++] = (spot){-1, j, dec->clean[j], eta * log_p(dec, dec->clean_row[j])};
    qsort(v, (size_t)n, sizeof *v, worst_first);
    return n;
}

static int write(decision *dec, err *e) {
    spot *v = mem_new((size_t)dec->rec->n_cand + (size_t)dec->n_clean, sizeof *v);
    int rc = v ? begin_writes(dec, e) : err_set(e, ERR_NO_MEMORY, "out of memory for a plan");
    int n = rc ? 0 : gather(dec, v), masks = masks_after(dec, n);
    for (int i = n - 1; i >= 0 && !rc; i--) {
        if (i >= masks && v[i].m >= 0) rc = write_mask(dec, v[i].m, v[i].score, e);
        if (i < masks && v[i].j >= 0) put_back(dec, v[i].j, v[i].score);
    }
    free(v);
    return rc;
}

static bool always(const param_set *ps) {
    (void)ps;
    return true;
}

static const param_def *const params[] = {COMMON_PARAMS, &eta_def, &kappa_def, NULL};

const policy policy_p2 = {
    .name = "p2",
    .title = "P2",
    .help =
        "Path planning: after every step a share of the generated tokens is clean, those of the highest log "
        "probability, clean ones weighted with path-eta; others go back to the mask. Clean positions count "
        "with what "
        "the model would write there now; which the paper means for LLaDA is uncertain. Scores are free of "
        "the noise "
        "that picks tokens (the code adds it; the same at temperature 0, as with LLaDA). No second planner "
        "model.",
    .ranks_like = "confidence",
    .params = params,
    .score = score,
    .write = write,
    .remasks = always,
    .reads_clean = true,
    .ignores_order = true,
};
