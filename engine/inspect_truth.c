/* inspect_truth.c - TIS beside what writing each candidate really does to the other entropies, and the margin
 * test of Corollary 3.2 with an estimated bound. */
#include <math.h>
#include <stdlib.h>

#include "engine/base/mem.h"
#include "engine/correlation.h"
#include "engine/inspect_impl.h"

enum { PATH_POINTS = 4, DEFAULT_SAMPLES = 64, ENUMERATED_VOCAB = 1024 };

static int no_memory(err *e) {
    return err_set(e, ERR_NO_MEMORY, "out of memory for a truth check");
}

/* The policy's own candidates and TIS; the default triple at the default candidates where it has none. */
static int take_scores(inspecting *x, truth_view *v, err *e) {
    const step_record *r = x->known;
    int rc = session_choose(x->s, &x->dec, e);
    if (!rc && !r->tis) rc = session_observe(&x->dec, e);
    if (rc) return rc;
    arena *mem = &x->out->mem;
    v->n = r->tis ? r->n_cand : r->n_observed;
    snprintf(v->tis_name, sizeof v->tis_name, "%s", r->tis ? r->tis_name : r->observed_name);
    v->pos = arena_copy(mem, r->tis ? r->cand : r->observed, (size_t)v->n, sizeof *v->pos);
    v->tis = arena_copy(mem, r->tis ? r->tis : r->observed_tis, (size_t)v->n, sizeof *v->tis);
    v->score = r->tis ? arena_copy(mem, r->score, (size_t)v->n, sizeof *v->score) : v->tis;
    return v->pos && v->tis && v->score ? 0 : no_memory(e);
}

static int mark_chosen(inspecting *x, truth_view *v, err *e) {
    bool *chosen = inspect_new(x, (size_t)v->n, sizeof *chosen, e);
    if (!chosen) return ERR_NO_MEMORY;
    for (int i = 0; i < v->n; i++) {
        for (int k = 0; k < x->known->n_writes; k++) chosen[i] |= x->known->writes[k].pos == v->pos[i];
    }
    v->chosen = chosen;
    return 0;
}

/* The path of each candidate gives the relaxed reduction (its ends) and how much it bends. */
static int follow_paths(inspecting *x, truth_view *v, const int *cand, const float *soft, err *e) {
    size_t n = (size_t)v->n;
    double *relaxed = inspect_new(x, n, sizeof *relaxed, e), *bend = inspect_new(x, n, sizeof *bend, e);
    double *f = mem_new(n * (PATH_POINTS + 1), sizeof *f);
    int rc = relaxed && bend && f ? 0 : no_memory(e);
    if (!rc) rc = score_path(&x->dec.state, cand, v->n, soft, PATH_POINTS, f, &x->cost, e);
    for (int i = 0; !rc && i < v->n; i++) {
        const double *own = f + (size_t)i * (PATH_POINTS + 1);
        relaxed[i] = own[0] - own[PATH_POINTS] + 0.0;
        bend[i] = score_curvature(own, PATH_POINTS);
        v->bound = fmax(v->bound, bend[i]);
    }
    free(f);
    v->relaxed = relaxed;
    v->curvature = bend;
    return rc;
}

static int write_for_real(inspecting *x, truth_view *v, const int *cand, const float *soft, err *e) {
    size_t n = (size_t)v->n;
    double *mean = inspect_new(x, n, sizeof *mean, e), *se = inspect_new(x, n, sizeof *se, e);
    if (!mean || !se) return ERR_NO_MEMORY;
    int samples = x->q->samples ? x->q->samples : DEFAULT_SAMPLES;
    v->enumerated = denoiser_get_info(x->dec.state.d)->n_vocab <= ENUMERATED_VOCAB;
    v->discrete = mean;
    v->discrete_se = se;
    return score_truth(&x->dec.state, cand, v->n, soft, NULL, mean, se, samples, x->dec.seed, &x->cost, e);
}

static void correlate(truth_view *v) {
    v->spearman_relaxed = correlation_spearman(v->tis, v->relaxed, v->n);
    v->kendall_relaxed = correlation_kendall(v->tis, v->relaxed, v->n);
    v->spearman_discrete = correlation_spearman(v->tis, v->discrete, v->n);
    v->kendall_discrete = correlation_kendall(v->tis, v->discrete, v->n);
}

static int check(inspecting *x, truth_view *v, err *e) {
    size_t n = (size_t)v->n;
    int *cand = mem_new(n, sizeof *cand);
    float *soft = mem_new(n * (size_t)denoiser_get_info(x->dec.state.d)->d_model, sizeof *soft);
    int rc = cand && soft ? 0 : no_memory(e);
    for (int i = 0; !rc && i < v->n; i++) cand[i] = record_masked_index(x->known, v->pos[i]);
    if (!rc) rc = score_soft(&x->dec.state, cand, v->n, soft, NULL, e);
    if (!rc) rc = follow_paths(x, v, cand, soft, e);
    if (!rc) rc = write_for_real(x, v, cand, soft, e);
    free(cand);
    free(soft);
    return rc;
}

int inspect_truth(inspecting *x, err *e) {
    truth_view *v = &x->out->truth;
    v->spearman_relaxed = v->kendall_relaxed = v->spearman_discrete = v->kendall_discrete = (double)NAN;
    int rc = inspect_know(x, e);
    if (rc || !x->dec.budget) return rc;
    rc = take_scores(x, v, e);
    if (!rc) rc = mark_chosen(x, v, e);
    if (!rc) rc = check(x, v, e);
    if (!rc) correlate(v);
    return rc;
}
