/* common.c - what policies share: the common parameters and the loops round a score. */
#include "engine/policies/policies.h"

const param_def param_steps = {
    .name = "steps",
    .type = PARAM_INT,
    .min = 0,
    .max = 100000,
    .def = 0,
    .help = "planned number of steps T; masks are shared out evenly; 0 means as many as `budget` needs"};
const param_def param_budget = {.name = "budget",
                                .type = PARAM_INT,
                                .min = 1,
                                .max = 100000,
                                .def = 1,
                                .help = "tokens b written per step; used when steps is 0"};
const param_def param_temperature = {.name = "temperature",
                                     .type = PARAM_REAL,
                                     .min = 0,
                                     .max = 10,
                                     .def = 0,
                                     .help = "Gumbel noise on the logits when a token is picked; 0 takes the "
                                             "most probable; entropies and BoE scores never see it"};

const param_def *const common_params[] = {COMMON_PARAMS, NULL};

const param_def param_candidate_rule = {
    .name = "candidate-rule",
    .type = PARAM_CHOICE,
    .choices = cand_rule_names,
    .def = CAND_CONFIDENCE,
    .help = "how the candidates C are picked: most confident, largest margin, lowest entropy, or all masks"};
const param_def param_rho = {.name = "rho",
                             .type = PARAM_REAL,
                             .min = 0,
                             .max = 1,
                             .def = 0.25,
                             .help = "share of the masks that become candidates, at least the tokens to "
                                     "write (Table 5: 0.1 fast, 0.5 best)"};

static int no_memory(const decision *dec, err *e) {
    return err_set(e, ERR_NO_MEMORY, "out of memory for the scores of %d positions", dec->state.n_masked);
}

double *decision_doubles(decision *dec, int n, err *e) {
    double *a = arena_new(&dec->rec->mem, (size_t)n, sizeof *a);
    if (!a) no_memory(dec, e);
    return a;
}

int score_positions(decision *dec, position_score *score, err *e) {
    const score_state *s = &dec->state;
    int n = 0, *cand = arena_new(&dec->rec->mem, (size_t)s->n_masked, sizeof *cand);
    double *scores = decision_doubles(dec, s->n_masked, e);
    if (!cand || !scores) return no_memory(dec, e);
    for (int m = 0; m < s->n_masked; m++) {
        if (s->scope && !s->scope[m]) continue;
        cand[n] = s->masked[m];
        scores[n++] = score(dec, m) + 0.0; /* no signed zero */
    }
    dec->rec->n_cand = n;
    dec->rec->cand = cand;
    dec->rec->score = scores;
    return 0;
}

int choose_candidates(decision *dec, int **out, err *e) {
    const score_state *s = &dec->state;
    int *index = arena_new(&dec->rec->mem, (size_t)s->n_masked, sizeof *index);
    int *cand = arena_new(&dec->rec->mem, (size_t)s->n_masked, sizeof *cand);
    if (!index || !cand) return no_memory(dec, e);
    cand_rule rule = (cand_rule)param_int(dec->params, "candidate-rule");
    int n = score_candidates(s, rule, param_real(dec->params, "rho"), dec->budget, index);
    for (int i = 0; i < n; i++) cand[i] = s->masked[index[i]];
    dec->rec->n_cand = n;
    dec->rec->cand = cand;
    *out = index;
    return 0;
}
