/* inspect.c - the frame round every look, and influence, which is one call. */
#include "engine/inspect.h"

#include <assert.h>
#include <stdlib.h>

#include "engine/base/clock.h"
#include "engine/base/mem.h"
#include "engine/inspect_impl.h"

const char *inspect_name(inspect_kind k) {
    static const char *const names[N_INSPECT] = {"influence", "truth", "ranks", "attention", "lock-in"};
    assert(k >= 0 && k < N_INSPECT);
    return names[k];
}

const inspection *inspection_ref(const inspection *x) {
    atomic_fetch_add_explicit(&((inspection *)x)->refs, 1, memory_order_relaxed);
    return x;
}

void inspection_unref(const inspection *x) {
    inspection *mine = (inspection *)x;
    if (!mine || atomic_fetch_sub_explicit(&mine->refs, 1, memory_order_acq_rel) != 1) return;
    arena_release(&mine->mem);
    free(mine);
}

void *inspect_new(inspecting *x, size_t n, size_t size, err *e) {
    void *p = arena_new(&x->out->mem, n, size);
    if (!p) err_set(e, ERR_NO_MEMORY, "out of memory for looking at %s", inspect_name(x->q->kind));
    return p;
}

int inspect_know(inspecting *x, err *e) {
    x->known = record_new();
    if (!x->known) return err_set(e, ERR_NO_MEMORY, "out of memory for looking at a state");
    session_decide(x->s, x->known, &x->dec);
    if (param_real(x->dec.params, "cfg") > 0)
        return err_set(e, ERR_UNSUPPORTED, "cfg: a guided step mixes two passes; to look at %s, set cfg to 0",
                       inspect_name(x->q->kind));
    if (!x->dec.state.n_masked) return 0;
    x->cost.forwards += 1;
    return session_know(x->s, &x->dec, KEPT_ALL, e);
}

/* Influence ------------------------------------------------------------- */

static int influence_of(inspecting *x, int n, err *e) {
    const score_state *st = &x->dec.state;
    int *pos = arena_copy(&x->out->mem, st->masked, (size_t)n, sizeof *pos);
    int *all = inspect_new(x, (size_t)n, sizeof *all, e);
    double *D = inspect_new(x, (size_t)n * (size_t)n, sizeof *D, e);
    float *soft = mem_new((size_t)n * (size_t)denoiser_get_info(st->d)->d_model, sizeof *soft);
    int rc =
        pos && all && D && soft ? 0 : err_set(e, ERR_NO_MEMORY, "out of memory for %d x %d influences", n, n);
    for (int i = 0; !rc && i < n; i++) all[i] = i;
    if (!rc) rc = score_soft(st, all, n, soft, NULL, e);
    if (!rc) rc = score_influence(st, all, n, soft, D, &x->cost, e);
    free(soft);
    if (!rc) x->out->influence = (influence_view){n, pos, D};
    return rc;
}

int inspect_influence(inspecting *x, err *e) {
    int rc = inspect_know(x, e);
    return rc || !x->known->n_masked ? rc : influence_of(x, x->known->n_masked, e);
}

/* The frame -------------------------------------------------------------- */

int session_inspect(session *s, const inspect_req *q, const inspection **out, err *e) {
    static int (*const looks[N_INSPECT])(inspecting *, err *) = {
        [INSPECT_INFLUENCE] = inspect_influence, [INSPECT_TRUTH] = inspect_truth,
        [INSPECT_RANKS] = inspect_ranks,         [INSPECT_ATTENTION] = inspect_attention,
        [INSPECT_LOCK_IN] = inspect_lock_in,
    };
    *out = NULL;
    inspecting x = {.s = s, .q = q, .out = mem_new(1, sizeof *x.out)};
    if (!x.out) return err_set(e, ERR_NO_MEMORY, "out of memory for looking at %s", inspect_name(q->kind));
    x.out->kind = q->kind;
    x.out->key = q->key;
    atomic_init(&x.out->refs, 1);
    double begin = clock_now();
    int rc = looks[q->kind](&x, e);
    record_unref(x.known);
    if (rc) {
        inspection_unref(x.out);
        return rc;
    }
    x.out->forwards = x.cost.forwards;
    x.out->backward_rows = x.cost.backward_rows;
    x.out->ms = (clock_now() - begin) * 1e3;
    *out = x.out;
    return 0;
}
