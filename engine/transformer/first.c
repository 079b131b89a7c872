/* first.c - queries, keys and values of the first layer, of rows that are as they were.
 *
 * Below the first attention a row depends on its own token and position alone, and from step to step of a
 * decode nearly all rows stay the same. So what was computed last for each position is kept together with its
 * token, and only rows that hold another one are projected; of several sequences, as of panes that step
 * together, one after the other. That is done where a product gives a row the same bits whatever rows come
 * with it, so that no result tells what came before. */
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/transformer/transformer.h"

enum { NO_TOKEN = -1 };

static bool usable(const transformer *t, const forward_req *q) {
    bool plain = !t->dit && !t->head_norms; /* a DiT's norms change with the noise; raw heads are kept, too */
    bool one = q->n_seqs == 1 || !q->n_inject; /* what is injected is looked for in the only sequence */
    return plain && one && t->base.k->host && kernels_exact_rows(t->base.k);
}

static int reserve(transformer *t, int n, err *e) {
    tf_first *f = &t->first;
    size_t width = (size_t)tf_qkv_width(t) * sizeof(float);
    if (n <= f->room) return 0;
    f->known = f->room = 0;
    if (!mem_grow((void **)&f->tokens, &f->cap, 3 * (size_t)n, sizeof *f->tokens))
        return err_set(e, ERR_NO_MEMORY, "out of memory for %d rows", n);
    int rc = buffer_reserve(&f->qkv, t->base.k, (size_t)n * width, "rows of the first layer", e);
    if (!rc) f->room = n;
    return rc;
}

/* Positions to compute, and behind them their rows in the batch, where the sequence begins at `first`; known
 * tokens become those of the request. */
static int find_changed(tf_first *f, const forward_req *q, const sequence *s, int first) {
    int *changed = f->tokens + f->room, *rows = changed + f->room, n = 0;
    for (int i = 0; i < q->n_inject; i++) {
        if (q->inject[i].pos < f->known) f->tokens[q->inject[i].pos] = NO_TOKEN;
    }
    for (int i = 0; i < s->n; i++) {
        if (i < f->known && f->tokens[i] == s->tokens[i]) continue;
        f->tokens[i] = s->tokens[i];
        rows[n] = first + i;
        changed[n++] = i;
    }
    if (f->known < s->n) f->known = s->n;
    for (int i = 0; i < q->n_inject; i++) f->tokens[q->inject[i].pos] = NO_TOKEN;
    return n;
}

/* Sequence s, whose rows begin at `first`. */
static void run_sequence(transformer *t, const forward_req *q, const sequence *s, int first, const tf_acts *a,
                         const tf_temp *tmp) {
    kernels *k = t->base.k;
    int count = find_changed(&t->first, q, s, first), width = tf_qkv_width(t);
    const int *changed = t->first.tokens + t->first.room; /* device memory is the host's here */
    float *rows = t->first.qkv.data;
    tf_acts own = *a;
    own.qkv = k_act_at(k, a->qkv, (size_t)first * (size_t)width);
    if (count > 0) {
        tf_project(t, 0, count, changed + t->first.room, changed, &own, tmp, a->x, NULL);
        k->rows(k, rows, changed, (const float *)(const void *)own.qkv, NULL, NULL, count, width);
    }
    k->rows(k, (float *)(void *)own.qkv, NULL, rows, NULL, NULL, s->n, width);
}

int tf_run_first(transformer *t, const forward_req *q, const tf_acts *a, const tf_temp *tmp, bool *done,
                 err *e) {
    int longest = 0, first = 0;
    *done = usable(t, q);
    if (!*done) return 0;
    for (int s = 0; s < q->n_seqs; s++) longest = q->seqs[s].n > longest ? q->seqs[s].n : longest;
    int rc = reserve(t, longest, e);
    for (int s = 0; s < q->n_seqs && !rc; s++) {
        run_sequence(t, q, &q->seqs[s], first, a, tmp);
        first += q->seqs[s].n;
    }
    return rc;
}

void tf_forget_first(transformer *t) {
    t->first.known = 0;
}

void tf_release_first(transformer *t) {
    free(t->first.tokens);
    buffer_release(&t->first.qkv);
    t->first = (tf_first){0};
}
