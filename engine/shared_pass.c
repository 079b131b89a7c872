/* shared_pass.c - a pass and the request that it answers. */
#include "engine/shared_pass.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/mem.h"

struct shared_pass {
    pass *p;
    bool known; /* the rest says what p is of */
    const denoiser *d;
    int32_t *tokens; /* of all sequences, one after the other */
    int *lengths;
    row_ref *rows;
    int n_seqs, n_rows;
    bool keep, keep_asked;
    double guidance, ms;
    size_t cap_tokens, cap_lengths, cap_rows;
    int64_t hits;
};

shared_pass *shared_pass_new(void) {
    shared_pass *m = mem_new(1, sizeof *m);
    if (m && !(m->p = pass_new())) {
        free(m);
        return NULL;
    }
    return m;
}

void shared_pass_free(shared_pass *m) {
    if (!m) return;
    pass_free(m->p);
    free(m->tokens);
    free(m->lengths);
    free(m->rows);
    free(m);
}

pass *shared_pass_of(shared_pass *m) {
    return m->p;
}

int64_t shared_pass_hits(const shared_pass *m) {
    return m->hits;
}

static bool same_sequences(const shared_pass *m, const forward_req *q) {
    const int32_t *own = m->tokens;
    for (int s = 0; s < q->n_seqs; s++) {
        size_t n = (size_t)q->seqs[s].n;
        if (m->lengths[s] != q->seqs[s].n || memcmp(own, q->seqs[s].tokens, n * sizeof *own) != 0)
            return false;
        own += n;
    }
    return true;
}

static bool same_rows(const shared_pass *m, const forward_req *q) {
    for (int r = 0; r < q->n_rows; r++) {
        if (m->rows[r].seq != q->rows[r].seq || m->rows[r].pos != q->rows[r].pos) return false;
    }
    return true;
}

/* What is kept counts as well: rows that a pass saves go through more of its last layer, and a product's sums
 * may depend on how many rows it has. */
static bool answers(const shared_pass *m, const denoiser *d, const forward_req *q, double guidance) {
    bool same_guidance = !(m->guidance < guidance) && !(m->guidance > guidance);
    return m->known && m->d == d && same_guidance && !q->n_inject && m->n_seqs == q->n_seqs &&
           m->n_rows == q->n_rows && m->keep == q->keep && m->keep_asked == q->keep_asked &&
           same_sequences(m, q) && same_rows(m, q);
}

/* Without the memory for it the pass is of use to the one who asked only. */
static void remember(shared_pass *m, const denoiser *d, const forward_req *q, double guidance, double ms) {
    size_t n = 0;
    for (int s = 0; s < q->n_seqs; s++) n += (size_t)q->seqs[s].n;
    if (q->n_inject || !mem_grow((void **)&m->tokens, &m->cap_tokens, n, sizeof *m->tokens) ||
        !mem_grow((void **)&m->lengths, &m->cap_lengths, (size_t)q->n_seqs, sizeof *m->lengths) ||
        !mem_grow((void **)&m->rows, &m->cap_rows, (size_t)q->n_rows, sizeof *m->rows))
        return;
    int32_t *to = m->tokens;
    for (int s = 0; s < q->n_seqs; s++) {
        memcpy(to, q->seqs[s].tokens, (size_t)q->seqs[s].n * sizeof *to);
        to += m->lengths[s] = q->seqs[s].n;
    }
    if (q->n_rows) memcpy(m->rows, q->rows, (size_t)q->n_rows * sizeof *m->rows);
    m->d = d;
    m->n_seqs = q->n_seqs, m->n_rows = q->n_rows;
    m->keep = q->keep, m->keep_asked = q->keep_asked;
    m->guidance = guidance, m->ms = ms;
    m->known = true;
}

void shared_pass_forget(shared_pass *m) {
    m->known = false;
}

int shared_pass_run(shared_pass *m, denoiser *d, const forward_req *q, double guidance, double *ms, err *e) {
    *ms = 0;
    if (answers(m, d, q, guidance)) {
        if (q->cancel && atomic_load(q->cancel)) return err_set(e, ERR_CANCELLED, "cancelled");
        *ms = m->ms;
        m->hits++;
        return 0;
    }
    double begin = clock_now();
    m->known = false;
    int rc = denoiser_forward(d, q, m->p, e);
    if (!rc && guidance > 0) rc = pass_guide(m->p, guidance, e);
    if (!rc) remember(m, d, q, guidance, (clock_now() - begin) * 1e3);
    return rc;
}
