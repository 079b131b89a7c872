/* klass.c - KLASS (2511.05664): positions whose prediction is sure and has stood still for some steps.
 *
 * The distributions of the steps before are kept by step, so that proposing a step again finds them
 * unchanged. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/policies/policies.h"

enum { MOST_HISTORY = 8 };
static const param_def threshold_def = {.name = "threshold",
                                        .type = PARAM_REAL,
                                        .min = 0,
                                        .max = 1,
                                        .def = 0.9,
                                        .help = "confidence above which a stable position is written"};
static const param_def kl_def = {
    .name = "kl-threshold",
    .type = PARAM_REAL,
    .min = 0,
    .max = 100,
    .def = 0.01,
    .help = "KL divergence in nats between successive predictions below which a position "
            "is stable"};
static const param_def history_def = {.name = "history",
                                      .type = PARAM_INT,
                                      .min = 1,
                                      .max = MOST_HISTORY,
                                      .def = 2,
                                      .help = "n: successive steps that must have been stable"};

/* What was known at one step; the distributions of the last two steps only. */
typedef struct moment {
    int step, n; /* step -1: nothing */
    int *pos;    /* [n] masked positions, ascending */
    float *p;    /* [n][V] their distributions */
    double *kl;  /* [n] from the moment before; infinity when there was none */
} moment;

typedef struct past {
    int n_vocab;
    moment at[MOST_HISTORY + 1]; /* of step k at k modulo the length */
} past;

static void clear(moment *m) {
    free(m->pos);
    free(m->p);
    free(m->kl);
    *m = (moment){.step = -1};
}

static void forget(void *data) {
    past *h = data;
    for (int i = 0; i <= MOST_HISTORY; i++) clear(&h->at[i]);
    free(h);
}

static past *remembered(decision *dec, err *e) {
    past *h = dec->memory->data;
    if (h && dec->memory->forget == forget) return h;
    if (h) dec->memory->forget(h);
    h = mem_new(1, sizeof *h);
    *dec->memory = (policy_memory){h, h ? forget : NULL};
    if (!h) err_set(e, ERR_NO_MEMORY, "out of memory for KLASS");
    for (int i = 0; h && i <= MOST_HISTORY; i++) h->at[i].step = -1;
    return h;
}

static moment *moment_of(past *h, int step) {
    return step < 0 ? NULL : &h->at[step % (MOST_HISTORY + 1)];
}

static int find(const moment *m, int pos) {
    int low = 0, high = m->n;
    while (low < high) {
        int mid = low + (high - low) / 2;
        if (m->pos[mid] < pos)
            low = mid + 1;
        else
            high = mid;
    }
    return low < m->n && m->pos[low] == pos ? low : -1;
}

static double divergence(const float *p, const float *before, int n) {
    double sum = 0;
    for (int v = 0; v < n; v++)
        sum += (double)p[v] * (log((double)p[v] + 1e-12) - log((double)before[v] + 1e-12));
    return sum;
}

static void fill_row(const decision *dec, moment *now, int i, const moment *before) {
    int V = dec->proposer.n_vocab,
        was = before && before->step == now->step - 1 && before->p ? find(before, now->pos[i]) : -1;
    const float *z = pass_logits(dec->state.p, i);
    double lse = pass_stats(dec->state.p, i)->lse;
    float *p = now->p + (size_t)i * (size_t)V;
    for (int v = 0; v < V; v++) p[v] = (float)exp((double)z[v] - lse);
    now->kl[i] = was < 0 ? INFINITY : divergence(p, before->p + (size_t)was * (size_t)V, V);
}

static int remember(decision *dec, past *h, err *e) {
    const score_state *s = &dec->state;
    moment *now = moment_of(h, dec->step);
    size_t n = (size_t)s->n_masked, floats = 0;
    assert(now); /* steps count from 0 */
    clear(now);
    now->pos = mem_copy(s->masked, n, sizeof *now->pos);
    now->kl = mem_new(n, sizeof *now->kl);
    if (size_mul(n, (size_t)dec->proposer.n_vocab, &floats)) now->p = mem_new(floats, sizeof *now->p);
    if (!now->pos || !now->kl || !now->p) {
        clear(now);
        return err_set(e, ERR_NO_MEMORY, "out of memory for the predictions of %d positions", s->n_masked);
    }
    now->step = dec->step, now->n = s->n_masked;
    for (int i = 0; i <= MOST_HISTORY; i++) {
        if (h->at[i].step >= 0 && h->at[i].step < dec->step - 1) free(h->at[i].p), h->at[i].p = NULL;
    }
    for (int i = 0; i < now->n; i++) fill_row(dec, now, i, moment_of(h, dec->step - 1));
    return 0;
}

static bool stable(const decision *dec, past *h, int pos) {
    double most = param_real(dec->params, "kl-threshold");
    int n = param_int(dec->params, "history");
    if (dec->block_step < n - 1) return false;
    for (int k = dec->step; k > dec->step - n; k--) {
        const moment *m = moment_of(h, k);
        int i = m && m->step == k ? find(m, pos) : -1;
        if (i < 0 || !(m->kl[i] < most)) return false;
    }
    return true;
}

static int recall(decision *dec, err *e) {
    past *h = remembered(dec, e);
    int rc = h ? pass_read(dec->state.p, NULL, 0, e) : ERR_NO_MEMORY;
    return rc ? rc : remember(dec, h, e);
}

static int looks_back(const param_set *ps) {
    return param_int(ps, "history");
}

/* Ready positions get 1 added to their score, so that they come first and are all written. */
static int score(decision *dec, err *e) {
    past *h = remembered(dec, e);
    int rc = h ? pass_read(dec->state.p, NULL, 0, e) : ERR_NO_MEMORY, ready = 0;
    if (!rc) rc = remember(dec, h, e);
    if (!rc) rc = score_positions(dec, proposed_confidence, e);
    double *scores = rc ? NULL : decision_doubles(dec, dec->rec->n_cand, e);
    if (!scores) return rc ? rc : ERR_NO_MEMORY;
    for (int i = 0; i < dec->rec->n_cand; i++) {
        double c = dec->rec->score[i];
        bool yes =
            c > param_real(dec->params, "threshold") && stable(dec, h, dec->rec->cand[i]) && !is_late(dec, i);
        scores[i] = c + (yes ? 1 : 0);
        ready += yes;
    }
    dec->rec->score = scores;
    if (ready) dec->budget = ready;
    if (dec->last) dec->budget = dec->rec->n_cand; /* the planned quotas can leave masks */
    return 0;
}

static const param_def *const params[] = {COMMON_PARAMS, &threshold_def, &kl_def, &history_def, NULL};

const policy policy_klass = {
    .name = "klass",
    .title = "KLASS",
    .help = "KLASS: writes every position whose confidence is above the threshold and whose prediction moved "
            "less than "
            "kl-threshold in each of the last n steps (their score has 1 added); if there is none, the most "
            "confident "
            "at the pace of --steps. After a change by hand its memory starts anew. Of its strategies this "
            "is `all`.",
    .ranks_like = "confidence",
    .params = params,
    .score = score,
    .recall = recall,
    .reads_logits = true,
    .looks_back = looks_back,
};
