/* scores_truth.c - TIS beside what writing really does: the same numbers as the workbench's truth check
 * (engine/inspect_truth.c), for the candidates and triples of `tabes score`. */
#include <math.h>
#include <stdlib.h>

#include "cli/scores.h"
#include "engine/base/mem.h"
#include "engine/correlation.h"
#include "engine/rank.h"

enum { ENUMERATED_VOCAB = 1024, PATH_POINTS = 4 };

static int add_reductions(scores *s, err *e) {
    size_t n = (size_t)s->rec->n_cand;
    s->soft_red = scores_new(s, n, sizeof *s->soft_red, e);
    s->hard_red = scores_new(s, n, sizeof *s->hard_red, e);
    s->hard_se = scores_new(s, n, sizeof *s->hard_se, e);
    if (!s->soft_red || !s->hard_red || !s->hard_se) return ERR_NO_MEMORY;
    s->enumerated = denoiser_get_info(s->m.d)->n_vocab <= ENUMERATED_VOCAB;
    return score_truth(&s->dec.state, s->cand, s->rec->n_cand, s->soft, s->soft_red, s->hard_red, s->hard_se,
                       s->samples, s->args.seed, &s->dec.cost, e);
}

static int add_curvature(scores *s, err *e) {
    int n = s->rec->n_cand;
    double *f = mem_new((size_t)n * (PATH_POINTS + 1), sizeof *f);
    s->curvature = scores_new(s, (size_t)n, sizeof *s->curvature, e);
    int rc = f && s->curvature ? 0 : err_set(e, ERR_NO_MEMORY, "out of memory");
    if (!rc) rc = score_path(&s->dec.state, s->cand, n, s->soft, PATH_POINTS, f, &s->dec.cost, e);
    for (int i = 0; !rc && i < n; i++) {
        s->curvature[i] = score_curvature(f + (size_t)i * (PATH_POINTS + 1), PATH_POINTS);
        s->bound = fmax(s->bound, s->curvature[i]);
    }
    free(f);
    return rc;
}

static double score_of(const void *ctx, int i) {
    return ((const step_record *)ctx)->score[i];
}

static int add_chosen(scores *s, err *e) {
    int n = s->rec->n_cand;
    int *order = scores_new(s, (size_t)n, sizeof *order, e);
    s->chosen = scores_new(s, (size_t)n, sizeof *s->chosen, e);
    if (!order || !s->chosen) return ERR_NO_MEMORY;
    rank_order(score_of, s->rec, n, order);
    for (int k = 0; k < n && k < s->dec.budget; k++) s->chosen[order[k]] = true;
    return 0;
}

static void correlate(const scores *s, triple_result *t) {
    int n = s->rec->n_cand;
    t->spearman_relaxed = correlation_spearman(t->tis, s->soft_red, n);
    t->kendall_relaxed = correlation_kendall(t->tis, s->soft_red, n);
    t->spearman_discrete = correlation_spearman(t->tis, s->hard_red, n);
    t->kendall_discrete = correlation_kendall(t->tis, s->hard_red, n);
}

int scores_add_truth(scores *s, err *e) {
    int rc = add_reductions(s, e);
    if (!rc) rc = add_curvature(s, e);
    if (!rc) rc = add_chosen(s, e);
    for (int i = 0; !rc && i < s->n_triples; i++) correlate(s, &s->triples[i]);
    return rc;
}
