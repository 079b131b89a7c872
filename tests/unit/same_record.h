/* same_record.h - two steps that are equal to the bit. */
#ifndef TABES_SAME_RECORD_H
#define TABES_SAME_RECORD_H

#include <string.h>

#include "engine/record.h"

static inline bool same(const void *x, const void *y, int n, size_t size) {
    return !x == !y && (!x || !memcmp(x, y, (size_t)n * size));
}

static inline bool same_writes(const step_record *x, const step_record *y) {
    if (x->n_writes != y->n_writes) return false;
    for (int i = 0; i < x->n_writes; i++) {
        const step_write *a = &x->writes[i], *b = &y->writes[i];
        if (a->pos != b->pos || a->token != b->token || !same(&a->p, &b->p, 1, sizeof a->p) ||
            !same(&a->score, &b->score, 1, sizeof a->score))
            return false;
    }
    return true;
}

/* Everything but times. */
static inline bool same_record(const step_record *x, const step_record *y) {
    if (x->n_masked != y->n_masked || x->n_cand != y->n_cand || x->n_observed != y->n_observed) return false;
    return same_writes(x, y) && same(x->masked, y->masked, x->n_masked, sizeof *x->masked) &&
           same(x->entropy, y->entropy, x->n_masked, sizeof *x->entropy) &&
           same(x->confidence, y->confidence, x->n_masked, sizeof *x->confidence) &&
           same(x->margin, y->margin, x->n_masked, sizeof *x->margin) &&
           same(x->argmax, y->argmax, x->n_masked, sizeof *x->argmax) &&
           same(x->cand, y->cand, x->n_cand, sizeof *x->cand) &&
           same(x->score, y->score, x->n_cand, sizeof *x->score) &&
           same(x->tis, y->tis, x->n_cand, sizeof *x->tis) &&
           same(x->delta_e_norm, y->delta_e_norm, x->n_cand, sizeof *x->delta_e_norm) &&
           same(x->observed_tis, y->observed_tis, x->n_observed, sizeof *x->observed_tis) &&
           same(&x->nfe, &y->nfe, 1, sizeof x->nfe) && x->backward_rows == y->backward_rows;
}

#endif
