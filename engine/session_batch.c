/* session_batch.c - which passes sessions are about to ask for, and whether they run together. */
#include "engine/session_batch.h"

#include <string.h>

#include "engine/session_struct.h"
#include "engine/shared_pass.h"

/* The request that the next proposal makes first, if it can be one of several. Borrows from the session; good
 * until its next call. */
static bool next_request(session *s, sequence *seq, forward_req *q) {
    step_record r = {0}; /* nothing that is allocated goes into it */
    decision dec;
    bool guided = param_real(&s->params, "cfg") > 0;
    if (guided || policy_approximates(&s->params) || session_lost(s)) return false;
    session_decide(s, &r, &dec);
    if (!session_goes_on(s, &dec)) return false;
    kept_rows kept = session_keeps(s);
    *seq = (sequence){s->tokens, s->n};
    *q = (forward_req){.seqs = seq, .n_seqs = 1, .rows = s->rows, .n_rows = session_asks(s)};
    q->keep = kept != KEPT_NONE, q->keep_asked = kept == KEPT_ASKED;
    q->whole_rows = session_reads_logits(s);
    q->cancel = s->o.cancel;
    return true;
}

/* Panes of one workbench start from one prompt, and only such are compared. */
static bool same_prompt(const session *a, const session *b) {
    return a->d == b->d && a->o.shared == b->o.shared && a->n == b->n &&
           !memcmp(a->start, b->start, (size_t)a->n * sizeof *a->start);
}

/* A batch's pass is held beside the last one of a single session, which is all that a model of many layers
 * was said to need (denoiser_needs), and its products gain nothing from still more rows. */
static bool fits(const session *s, int n_sequences) {
    const size_t most = (size_t)1 << 30;
    return denoiser_needs(s->d, n_sequences * s->n).pass <= most;
}

void sessions_prepare(session *const *s, int n) {
    sequence seqs[SHARED_PASS_MOST];
    forward_req q[SHARED_PASS_MOST];
    const session *first = NULL;
    int n_asked = 0;
    for (int i = 0; i < n && n_asked < SHARED_PASS_MOST; i++) {
        if (!s[i]->o.shared || (first && !same_prompt(first, s[i]))) continue;
        if (!next_request(s[i], &seqs[n_asked], &q[n_asked])) continue;
        if (!first) first = s[i];
        n_asked++;
    }
    err ignored = {0};
    if (n_asked < 2 || !fits(first, n_asked)) return;
    if (shared_pass_batch(first->o.shared, first->d, q, n_asked, &ignored)) return; /* nothing is prepared */
}
