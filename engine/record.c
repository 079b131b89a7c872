/* record.c - step records: a counted reference round an arena. */
#include "engine/record.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "engine/base/mem.h"

const char *step_kind_name(step_kind k) {
    static const char *const names[N_STEP_KINDS] = {"decode", "force", "remask", "setting"};
    assert(k >= 0 && k < N_STEP_KINDS);
    return names[k];
}

step_record *record_new(void) {
    step_record *r = mem_new(1, sizeof *r);
    if (r) atomic_init(&r->refs, 1);
    return r;
}

/* The count is the one part of a finished record that changes, hence the casts. */
const step_record *record_ref(const step_record *r) {
    atomic_fetch_add_explicit(&((step_record *)r)->refs, 1, memory_order_relaxed);
    return r;
}

void record_unref(const step_record *r) {
    step_record *mine = (step_record *)r;
    if (!mine || atomic_fetch_sub_explicit(&mine->refs, 1, memory_order_acq_rel) != 1) return;
    arena mem = mine->mem;
    free(mine);
    arena_release(&mem);
}

bool record_set_setting(step_record *r, const step_setting *s) {
    step_setting *copy = arena_copy(&r->mem, s, 1, sizeof *copy);
    if (!copy) return false;
    copy->bans = arena_copy(&r->mem, s->bans, (size_t)s->n_bans, sizeof *s->bans);
    copy->pins = arena_copy(&r->mem, s->pins, (size_t)s->n_pins, sizeof *s->pins);
    copy->extra_json = s->extra_json ? arena_strdup(&r->mem, s->extra_json) : NULL;
    r->setting = copy;
    return copy->bans && copy->pins && (copy->extra_json || !s->extra_json);
}

/* Index of `pos` in ascending a[0..n), or -1. */
static int find(const int *a, int n, int pos) {
    int low = 0, high = n;
    while (low < high) {
        int mid = low + (high - low) / 2;
        if (a[mid] < pos)
            low = mid + 1;
        else
            high = mid;
    }
    return low < n && a[low] == pos ? low : -1;
}

int record_masked_index(const step_record *r, int pos) {
    return find(r->masked, r->n_masked, pos);
}

int record_cand_index(const step_record *r, int pos) {
    return find(r->cand, r->n_cand, pos);
}

bool record_tis_at(const step_record *r, int pos, double *tis) {
    int i = r->tis ? record_cand_index(r, pos) : -1;
    if (i >= 0) *tis = r->tis[i];
    if (i >= 0 || !r->observed_tis) return i >= 0;
    i = find(r->observed, r->n_observed, pos);
    if (i >= 0) *tis = r->observed_tis[i];
    return i >= 0;
}
