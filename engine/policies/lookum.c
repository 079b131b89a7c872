/* lookum.c - LookUM (2511.05563): several sets of positions are written on trial, and the set after which the
 * rest is most certain is kept. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/policies/policies.h"
#include "engine/rank.h"

enum { MOST_PATHS = 16, DRAWS = 32 };
static const char *const verifiers[] = {"entropy", "confidence", "infogain", NULL};
static const param_def paths_def = {.name = "paths",
                                    .type = PARAM_INT,
                                    .min = 1,
                                    .max = MOST_PATHS,
                                    .def = 2,
                                    .help = "K: sets tried in each step"};
static const param_def pool_def = {.name = "pool",
                                   .type = PARAM_INT,
                                   .min = 1,
                                   .max = 1000,
                                   .def = 5,
                                   .help = "N: positions of the lowest entropy from which the sets are "
                                           "drawn; a step that writes more than N draws from all"};
static const param_def verifier_def = {
    .name = "verifier",
    .type = PARAM_CHOICE,
    .choices = verifiers,
    .def = 0,
    .help = "what is best afterwards: the lowest mean entropy, the highest mean "
            "confidence, or infogain (entropy, less that of the written positions)"};
static const param_def choice_def = {.name = "verifier-temperature",
                                     .type = PARAM_REAL,
                                     .min = 0,
                                     .max = 100,
                                     .def = 0,
                                     .help =
                                         "draws the set with weights exp(value/temperature); 0: the best"};

static double certainty(const decision *dec, int m) {
    return -pass_stats(dec->state.p, m)->entropy;
}

static int score(decision *dec, err *e) {
    return score_positions(dec, certainty, e);
}

/* The sets: indices of candidates, `size` each. */
typedef struct trial {
    decision *dec;
    int n_pool, n_paths, size;
    int *order;      /* candidates by certainty */
    int *shuffle;    /* [n_pool] */
    int *sets;       /* [n_paths][size] */
    int32_t *tokens; /* [n_paths][n_tokens] */
    row_ref *rows;
    int n_rows, *first; /* rows of path r from first[r] on */
    pass *p;
} trial;

static double shuffled(const void *ctx, int i) {
    const uint64_t *key = ctx;
    return rng_uniform(key[0], key[1], (uint64_t)i, key[2], RNG_PATH);
}

static bool same_set(const int *a, const int *b, int n) {
    return !memcmp(a, b, (size_t)n * sizeof *a);
}

/* The most certain ones first; further sets at random, each different from those before. */
static void draw_sets(trial *t) {
    for (int i = 0; i < t->size; i++) t->sets[i] = t->order[i];
    rank_ascending(t->sets, t->size);
    int wanted = param_int(t->dec->params, "paths");
    t->n_paths = 1;
    for (uint64_t draw_no = 0; draw_no < DRAWS && t->n_paths < wanted; draw_no++) {
        uint64_t key[3] = {t->dec->seed, (uint64_t)t->dec->step, draw_no};
        int *set = t->sets + (size_t)t->n_paths * (size_t)t->size;
        bool fresh = true;
        rank_order(shuffled, key, t->n_pool, t->shuffle);
        for (int i = 0; i < t->size; i++) set[i] = t->order[t->shuffle[i]];
        rank_ascending(set, t->size);
        for (int r = 0; r < t->n_paths && fresh; r++)
            fresh = !same_set(set, t->sets + (size_t)r * (size_t)t->size, t->size);
        t->n_paths += fresh;
    }
}

static bool reserve(trial *t) {
    size_t paths = (size_t)param_int(t->dec->params, "paths"), n = (size_t)t->dec->state.n_tokens;
    t->shuffle = mem_new((size_t)t->n_pool, sizeof *t->shuffle);
    t->sets = mem_new(paths * (size_t)t->size, sizeof *t->sets);
    t->tokens = mem_new(paths * n, sizeof *t->tokens);
    t->rows = mem_new(paths * (size_t)t->dec->state.n_masked, sizeof *t->rows);
    t->first = mem_new(paths + 1, sizeof *t->first);
    t->p = pass_new();
    return t->shuffle && t->sets && t->tokens && t->rows && t->first && t->p;
}

static void release(trial *t) {
    free(t->shuffle);
    free(t->sets);
    free(t->tokens);
    free(t->rows);
    free(t->first);
    pass_free(t->p);
}

/* The sequence with set r written, and the rows of what is masked after that. */
static int lay_out(trial *t, int r, err *e) {
    const score_state *s = &t->dec->state;
    int32_t *tokens = t->tokens + (size_t)r * (size_t)s->n_tokens;
    memcpy(tokens, s->tokens, (size_t)s->n_tokens * sizeof *tokens);
    for (int i = 0; i < t->size; i++) {
        int c = t->sets[r * t->size + i], pos = t->dec->rec->cand[c];
        tokens[pos] = propose_token(&t->dec->proposer, masked_of(t->dec, c)).token;
        if (tokens[pos] < 0) return err_set(e, ERR_BAD_ARGUMENT, "position %d: every token is banned", pos);
    }
    t->first[r] = t->n_rows;
    for (int m = 0; m < s->n_masked; m++) {
        if (in_scope(t->dec, m) && tokens[s->masked[m]] == denoiser_get_info(s->d)->mask_id)
            t->rows[t->n_rows++] = (row_ref){r, s->masked[m]};
    }
    t->first[r + 1] = t->n_rows;
    return 0;
}

static double value_of(const trial *t, int r) {
    int verifier = param_int(t->dec->params, "verifier"), n = t->first[r + 1] - t->first[r];
    double sum = 0, spent = 0;
    for (int i = t->first[r]; i < t->first[r + 1]; i++) {
        const k_row_stats *s = pass_stats(t->p, i);
        sum += verifier == 1 ? s->confidence : -s->entropy;
    }
    for (int i = 0; i < t->size && verifier == 2; i++)
        spent += pass_stats(t->dec->state.p, masked_of(t->dec, t->sets[r * t->size + i]))->entropy;
    return (n ? sum / n : 0) - spent;
}

/* With a temperature by Gumbel noise, from a draw after those that shuffle the sets. */
static int choose_path(const trial *t) {
    double temperature = param_real(t->dec->params, "verifier-temperature"), best = -INFINITY;
    int path = 0;
    for (int r = 0; r < t->n_paths; r++) {
        double v = value_of(t, r);
        if (temperature > 0)
            v = v / temperature -
                log(-log(rng_uniform(t->dec->seed, (uint64_t)t->dec->step, (uint64_t)r, DRAWS, RNG_PATH)));
        if (v > best) best = v, path = r;
    }
    return path;
}

static int look(trial *t, int *path, err *e) {
    const score_state *s = &t->dec->state;
    sequence seqs[MOST_PATHS];
    for (int r = 0; r < t->n_paths; r++) {
        int rc = lay_out(t, r, e);
        if (rc) return rc;
        seqs[r] = (sequence){t->tokens + (size_t)r * (size_t)s->n_tokens, s->n_tokens};
    }
    forward_req q = {
        .seqs = seqs, .n_seqs = t->n_paths, .rows = t->rows, .n_rows = t->n_rows, .cancel = s->cancel};
    int rc = denoiser_forward(s->d, &q, t->p, e);
    t->dec->cost.forwards += t->n_paths;
    if (!rc) *path = choose_path(t);
    return rc;
}

/* The pool: the most certain candidates, all of them where it would be smaller than a set. */
static int count_pool(const trial *t) {
    int most = param_int(t->dec->params, "pool"), n = 0;
    if (most < t->size) most = t->dec->rec->n_cand;
    while (n < t->dec->rec->n_cand && n < most && !is_late(t->dec, t->order[n])) n++;
    return n > t->size ? n : t->size; /* as large as a set: there is no other */
}

static int write(decision *dec, err *e) {
    trial t = {.dec = dec, .size = dec->budget};
    int rc = begin_writes(dec, e), path = 0;
    if (rc || !(t.order = candidates_by_score(dec, e))) return rc ? rc : ERR_NO_MEMORY;
    t.n_pool = count_pool(&t);
    if (!reserve(&t)) rc = err_set(e, ERR_NO_MEMORY, "out of memory for LookUM's paths");
    if (!rc) draw_sets(&t);
    if (!rc && t.n_paths > 1) rc = look(&t, &path, e);
    for (int i = 0; i < t.size && !rc; i++) {
        int c = t.sets[path * t.size + i];
        rc = write_mask(dec, masked_of(dec, c), dec->rec->score[c], e);
    }
    release(&t);
    return rc;
}

static const char *const presets[] = {"budget", "2", NULL};
static const param_def *const params[] = {COMMON_PARAMS, &paths_def,  &pool_def,
                                          &verifier_def, &choice_def, NULL};

const policy policy_lookum = {
    .name = "lookum",
    .title = "LookUM",
    .help =
        "LookUM: K sets of positions from the most certain ones are written on trial; the set after which "
        "the other masks are most certain is kept (1 + K forwards a step; the kept one is not used again). "
        "Where a step writes the whole pool there is one set, and nothing is looked at. Built from published "
        "accounts of the paper: whether the pool holds positions or sets, the verifier's temperature and "
        "what is averaged are uncertain. The greedy set is always among the paths.",
    .presets = presets,
    .ranks_like = "entropy",
    .params = params,
    .score = score,
    .write = write,
    .looks_ahead = true,
    .own_passes = true,
};
