/* shared_pass.c - passes and the requests that they answer. */
#include "engine/shared_pass.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/mem.h"

/* A pass and what it is of. */
typedef struct answer {
    pass *p;
    bool known; /* the rest says what p is of */
    bool read;  /* by the session that it was run for */
    const denoiser *d;
    int32_t *tokens; /* of all sequences, one after the other */
    int *lengths;
    row_ref *rows;
    int n_seqs, n_rows;
    bool keep, keep_asked, whole_rows;
    double guidance, ms;
    size_t cap_tokens, cap_lengths, cap_rows;
} answer;

struct shared_pass {
    answer last;                    /* of a forward of one request */
    answer parts[SHARED_PASS_MOST]; /* of one of several: views of `batch` */
    pass *batch;
    int64_t hits, batches;
};

shared_pass *shared_pass_new(void) {
    shared_pass *m = mem_new(1, sizeof *m);
    bool all = m && (m->last.p = pass_new()) && (m->batch = pass_new());
    for (int i = 0; all && i < SHARED_PASS_MOST; i++) all = (m->parts[i].p = pass_new()) != NULL;
    if (all) return m;
    shared_pass_free(m);
    return NULL;
}

static void release(answer *a) {
    pass_free(a->p);
    free(a->tokens);
    free(a->lengths);
    free(a->rows);
}

void shared_pass_free(shared_pass *m) {
    if (!m) return;
    release(&m->last);
    for (int i = 0; i < SHARED_PASS_MOST; i++) release(&m->parts[i]);
    pass_free(m->batch);
    free(m);
}

pass *shared_pass_of(shared_pass *m) {
    return m->last.p;
}

int64_t shared_pass_hits(const shared_pass *m) {
    return m->hits;
}

int64_t shared_pass_batches(const shared_pass *m) {
    return m->batches;
}

/* ---- requests ---- */

static bool same_sequences(const answer *a, const forward_req *q) {
    const int32_t *own = a->tokens;
    for (int s = 0; s < q->n_seqs; s++) {
        size_t n = (size_t)q->seqs[s].n;
        if (a->lengths[s] != q->seqs[s].n || memcmp(own, q->seqs[s].tokens, n * sizeof *own) != 0)
            return false;
        own += n;
    }
    return true;
}

static bool same_rows(const answer *a, const forward_req *q) {
    for (int r = 0; r < q->n_rows; r++) {
        if (a->rows[r].seq != q->rows[r].seq || a->rows[r].pos != q->rows[r].pos) return false;
    }
    return true;
}

/* What is kept and stored counts as well: rows that a pass saves go through more of its last layer, and a
 * product's sums may depend on how many rows it has. */
static bool answers(const answer *a, const denoiser *d, const forward_req *q, double guidance) {
    bool same_guidance = !(a->guidance < guidance) && !(a->guidance > guidance);
    return a->known && a->d == d && same_guidance && !q->n_inject && a->n_seqs == q->n_seqs &&
           a->n_rows == q->n_rows && a->keep == q->keep && a->keep_asked == q->keep_asked &&
           a->whole_rows == q->whole_rows && same_sequences(a, q) && same_rows(a, q);
}

/* Without the memory for it nobody finds the answer. */
static void remember(answer *a, const denoiser *d, const forward_req *q, double guidance, double ms) {
    size_t n = 0;
    for (int s = 0; s < q->n_seqs; s++) n += (size_t)q->seqs[s].n;
    if (q->n_inject || !mem_grow((void **)&a->tokens, &a->cap_tokens, n, sizeof *a->tokens) ||
        !mem_grow((void **)&a->lengths, &a->cap_lengths, (size_t)q->n_seqs, sizeof *a->lengths) ||
        !mem_grow((void **)&a->rows, &a->cap_rows, (size_t)q->n_rows, sizeof *a->rows))
        return;
    int32_t *to = a->tokens;
    for (int s = 0; s < q->n_seqs; s++) {
        memcpy(to, q->seqs[s].tokens, (size_t)q->seqs[s].n * sizeof *to);
        to += a->lengths[s] = q->seqs[s].n;
    }
    if (q->n_rows) memcpy(a->rows, q->rows, (size_t)q->n_rows * sizeof *a->rows);
    a->d = d;
    a->n_seqs = q->n_seqs, a->n_rows = q->n_rows;
    a->keep = q->keep, a->keep_asked = q->keep_asked, a->whole_rows = q->whole_rows;
    a->guidance = guidance, a->ms = ms;
    a->known = true;
}

/* ---- one at a time ---- */

void shared_pass_forget(shared_pass *m) {
    m->last.known = false;
}

static answer *find(shared_pass *m, const denoiser *d, const forward_req *q, double guidance) {
    if (answers(&m->last, d, q, guidance)) return &m->last;
    for (int i = 0; i < SHARED_PASS_MOST; i++) {
        if (answers(&m->parts[i], d, q, guidance)) return &m->parts[i];
    }
    return NULL;
}

int shared_pass_run(shared_pass *m, denoiser *d, const forward_req *q, double guidance, pass **out,
                    double *ms, err *e) {
    *ms = 0;
    *out = m->last.p;
    answer *a = find(m, d, q, guidance);
    if (a) {
        if (q->cancel && atomic_load(q->cancel)) return err_set(e, ERR_CANCELLED, "cancelled");
        *ms = a->ms;
        *out = a->p;
        m->hits += a->read;
        a->read = true;
        return 0;
    }
    double begin = clock_now();
    a = &m->last;
    a->known = false;
    int rc = denoiser_forward(d, q, a->p, e);
    if (!rc && guidance > 0) rc = pass_guide(a->p, guidance, e);
    if (!rc) remember(a, d, q, guidance, (clock_now() - begin) * 1e3);
    a->read = true;
    return rc;
}

/* ---- several ---- */

static bool same_request(const forward_req *a, const forward_req *b) {
    size_t n = (size_t)a->seqs->n;
    if (a->seqs->n != b->seqs->n ||
        memcmp(a->seqs->tokens, b->seqs->tokens, n * sizeof *a->seqs->tokens) != 0)
        return false;
    if (a->n_rows != b->n_rows) return false;
    for (int r = 0; r < a->n_rows; r++) {
        if (a->rows[r].pos != b->rows[r].pos) return false;
    }
    return true;
}

static bool plain(const forward_req *q) {
    return q->n_seqs == 1 && !q->n_inject && !q->over && q->n_rows > 0;
}

/* Does q need a place in the batch of those chosen so far? */
static bool joins(shared_pass *m, const denoiser *d, const forward_req *q, const forward_req **chosen,
                  int n) {
    if (n == SHARED_PASS_MOST || !plain(q) || answers(&m->last, d, q, 0)) return false;
    if (n && (q->keep != chosen[0]->keep || q->keep_asked != chosen[0]->keep_asked ||
              q->whole_rows != chosen[0]->whole_rows || !denoiser_batches(d, chosen[0]->seqs, q->seqs)))
        return false;
    for (int i = 0; i < n; i++) {
        if (same_request(chosen[i], q)) return false;
    }
    return true;
}

static row_ref *gather_rows(const forward_req *const *q, int n, int *n_rows) {
    int at = 0;
    *n_rows = 0;
    for (int i = 0; i < n; i++) *n_rows += q[i]->n_rows;
    row_ref *rows = mem_new((size_t)*n_rows, sizeof *rows);
    for (int i = 0; i < n && rows; i++) {
        for (int r = 0; r < q[i]->n_rows; r++) rows[at++] = (row_ref){i, q[i]->rows[r].pos};
    }
    return rows;
}

static int run_batch(shared_pass *m, denoiser *d, const forward_req *const *q, int n, err *e) {
    sequence seqs[SHARED_PASS_MOST];
    forward_req all = {.seqs = seqs, .n_seqs = n, .cancel = q[0]->cancel};
    all.keep = q[0]->keep, all.keep_asked = q[0]->keep_asked, all.whole_rows = q[0]->whole_rows;
    for (int i = 0; i < n; i++) seqs[i] = *q[i]->seqs;
    row_ref *rows = gather_rows(q, n, &all.n_rows);
    if (!rows) return err_set(e, ERR_NO_MEMORY, "out of memory for %d rows", all.n_rows);
    all.rows = rows;
    double begin = clock_now();
    int rc = denoiser_forward(d, &all, m->batch, e);
    double ms = (clock_now() - begin) * 1e3 / n;
    free(rows);
    for (int i = 0; i < n && !rc; i++) {
        pass_view(m->parts[i].p, m->batch, i);
        remember(&m->parts[i], d, q[i], 0, ms);
        m->parts[i].read = false;
    }
    m->batches += !rc;
    return rc;
}

int shared_pass_batch(shared_pass *m, denoiser *d, const forward_req *q, int n, err *e) {
    const forward_req *chosen[SHARED_PASS_MOST];
    int n_chosen = 0, n_new = 0;
    for (int i = 0; i < n; i++) {
        if (!joins(m, d, &q[i], chosen, n_chosen)) continue;
        n_new += !find(m, d, &q[i], 0);
        chosen[n_chosen++] = &q[i]; /* parts that are there go, so they run again with the new ones */
    }
    if (n_new < 2) return 0;
    for (int i = 0; i < SHARED_PASS_MOST; i++) m->parts[i].known = false;
    return run_batch(m, d, chosen, n_chosen, e);
}
