/* common.c - what policies share: the common parameters, the loops round a score, writes and draws. */
#include <assert.h>
#include <math.h>

#include "engine/policies/policies.h"
#include "engine/rank.h"

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
const param_def param_block_length = {.name = "block-length",
                                      .type = PARAM_INT,
                                      .min = 0,
                                      .max = 100000,
                                      .def = 0,
                                      .help = "semi-autoregressive: blocks of so many tokens are finished "
                                              "one after the other, each with its share of "
                                              "the steps; 0: the whole generation at once"};
const param_def param_top_k = {.name = "top-k",
                               .type = PARAM_INT,
                               .min = 0,
                               .max = 100000,
                               .def = 0,
                               .help =
                                   "with a temperature, draw among the k most probable tokens; 0: among all"};
const param_def param_top_p = {.name = "top-p",
                               .type = PARAM_REAL,
                               .min = 0,
                               .max = 1,
                               .def = 1,
                               .help = "with a temperature, draw among the most probable tokens that reach "
                                       "this probability together, the one "
                                       "that crosses it included"};
const param_def param_cfg = {
    .name = "cfg",
    .type = PARAM_REAL,
    .min = 0,
    .max = 100,
    .def = 0,
    .help = "classifier-free guidance s: logits z_u + (s+1)(z_c - z_u), where z_u sees the "
            "prompt masked; a second forward per step; 0: off"};
const param_def param_eos_last = {
    .name = "eos-last",
    .type = PARAM_BOOL,
    .def = 0,
    .help = "positions whose token would be the end of text or turn are written after all others"};
const param_def param_eos_ban = {
    .name = "eos-ban", .type = PARAM_BOOL, .def = 0, .help = "the ends of text and turn are never written"};
static const char *const cache_names[] = {"none", "prefix", "dual", NULL}; /* cache_kind */
const param_def param_kv_cache = {
    .name = "kv-cache",
    .type = PARAM_CHOICE,
    .choices = cache_names,
    .def = 0,
    .help =
        "approximate: a step reads keys and values kept from an earlier pass for the rows before the block "
        "(prefix) or outside it (dual), as Fast-dLLM; none: exact"};
const param_def param_kv_refresh = {
    .name = "kv-refresh",
    .type = PARAM_INT,
    .min = 0,
    .max = 100000,
    .def = 0,
    .help = "with a kv-cache, every so many steps of a block compute all rows; 0: its first step only"};
const param_def param_temperature = {.name = "temperature",
                                     .type = PARAM_REAL,
                                     .min = 0,
                                     .max = 10,
                                     .def = 0,
                                     .help = "Gumbel noise on the logits when a token is picked; 0 takes the "
                                             "most probable; entropies and BoE scores never see it"};

const param_def *const common_params[] = {COMMON_PARAMS, NULL};

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

double proposed_confidence(const decision *dec, int m) {
    return propose_token(&dec->proposer, m).p;
}

bool is_late(const decision *dec, int i) {
    return dec->late && dec->late[masked_of(dec, i)];
}

static double score_at(const void *ctx, int i) {
    const step_record *r = ctx;
    return r->score[i];
}

int *candidates_by_score(decision *dec, err *e) {
    step_record *r = dec->rec;
    int n = r->n_cand, at = 0, *order = arena_new(&r->mem, (size_t)n, sizeof *order);
    int *late = arena_new(&r->mem, (size_t)n, sizeof *late), n_late = 0;
    if (!order || !late) return no_memory(dec, e), NULL;
    rank_order(score_at, r, n, order);
    for (int i = 0; i < n && dec->late; i++) {
        if (is_late(dec, order[i]))
            late[n_late++] = order[i];
        else
            order[at++] = order[i];
    }
    for (int i = 0; i < n_late; i++) order[at + i] = late[i];
    return order;
}

/* ---- writes ---- */

int begin_writes(decision *dec, err *e) {
    step_record *r = dec->rec;
    size_t n = (size_t)dec->state.n_masked + (size_t)dec->n_clean;
    r->n_writes = 0;
    r->writes = arena_new(&r->mem, n, sizeof *r->writes);
    return r->writes ? 0 : no_memory(dec, e);
}

static void add_write(step_record *r, step_write w) {
    ((step_write *)(uintptr_t)r->writes)[r->n_writes++] = w; /* made by begin_writes */
}

int write_mask(decision *dec, int m, double score, err *e) {
    int pos = dec->state.masked[m];
    proposal x = propose_token(&dec->proposer, m);
    if (x.token < 0) return err_set(e, ERR_BAD_ARGUMENT, "position %d: every token is banned", pos);
    add_write(dec->rec, (step_write){.pos = pos, .token = x.token, .p = x.p, .score = score});
    return 0;
}

void put_back(decision *dec, int j, double score) {
    int pos = dec->clean[j];
    int32_t mask = denoiser_get_info(dec->state.d)->mask_id;
    add_write(dec->rec, (step_write){.pos = pos, .token = mask, .p = 0, .score = score});
}

int masked_of(const decision *dec, int i) {
    int m = record_masked_index(dec->rec, dec->rec->cand[i]);
    assert(m >= 0);
    return m;
}

/* ---- draws ---- */

double draw(const decision *dec, int pos, rng_purpose purpose) {
    return rng_uniform(dec->seed, (uint64_t)dec->step, (uint64_t)pos, 0, purpose);
}

double gumbel(const decision *dec, int pos, rng_purpose purpose) {
    return -log(-log(draw(dec, pos, purpose)));
}
