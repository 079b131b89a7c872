/* score_probe.c - batches of forwards that change one candidate each and look at the rest. */
#include <string.h>

#include "engine/score_impl.h"

/* Logits, and activations where they are kept, that a batch may hold, in floats. */
static const size_t BATCH_FLOATS = (size_t)1 << 26;

/* Per row and layer a kept pass holds about this many times the width. */
enum { KEPT_WIDTHS = 7, MOST_SEQUENCES = 512 };

static int batch_size(const scoring *c, int n_rest, bool keep) {
    size_t n = (size_t)c->s->n_tokens, d = (size_t)c->d;
    size_t widths = KEPT_WIDTHS * (keep ? (size_t)c->info->n_layers : 1);
    size_t floats = (size_t)n_rest * (size_t)c->info->n_vocab + n * d * widths;
    size_t most = floats ? BATCH_FLOATS / floats : 1;
    return most < 1 ? 1 : most > MOST_SEQUENCES ? MOST_SEQUENCES : (int)most;
}

int probe_open(probe_batch *b, scoring *c, int n_probes, bool keep, err *e) {
    *b = (probe_batch){.c = c, .keep = keep, .n_rest = c->s->n_masked - 1};
    b->most = batch_size(c, b->n_rest, keep);
    if (b->most > n_probes) b->most = n_probes;
    size_t most = (size_t)b->most;
    b->seqs = arena_new(&b->mem, most, sizeof *b->seqs);
    b->tokens = arena_new(&b->mem, most * (size_t)c->s->n_tokens, sizeof *b->tokens);
    b->inject = arena_new(&b->mem, most, sizeof *b->inject);
    b->rows = arena_new(&b->mem, most * (size_t)b->n_rest, sizeof *b->rows);
    b->p = pass_new();
    if (b->seqs && b->tokens && b->inject && b->rows && b->p) return 0;
    return err_set(e, ERR_NO_MEMORY, "out of memory for a batch of %d forwards", b->most);
}

void probe_close(probe_batch *b) {
    pass_free(b->p);
    b->p = NULL;
    arena_release(&b->mem);
}

/* Sequence j of the batch; returns how many embeddings it injects. */
static int lay_out(probe_batch *b, int j, const probe *pr, injection *inject) {
    const score_state *s = b->c->s;
    int32_t *tokens = b->tokens + (size_t)j * (size_t)s->n_tokens;
    memcpy(tokens, s->tokens, (size_t)s->n_tokens * sizeof *tokens);
    b->seqs[j] = (sequence){tokens, s->n_tokens};
    row_ref *row = b->rows + (size_t)j * (size_t)b->n_rest;
    for (int m = 0; m < s->n_masked; m++) {
        if (m != b->c->cand[pr->cand]) *row++ = (row_ref){j, s->masked[m]};
    }
    int pos = b->c->pos[pr->cand];
    if (!pr->vector) {
        tokens[pos] = pr->token;
        return 0;
    }
    *inject = (injection){j, pos, pr->vector};
    return 1;
}

int probe_run(probe_batch *b, const probe *probes, int n, err *e) {
    int n_inject = 0;
    for (int j = 0; j < n; j++) n_inject += lay_out(b, j, &probes[j], b->inject + n_inject);
    forward_req q = {.seqs = b->seqs, .n_seqs = n, .inject = b->inject, .n_inject = n_inject};
    q.rows = b->rows, q.n_rows = n * b->n_rest, q.keep = b->keep, q.cancel = b->c->s->cancel;
    int rc = denoiser_forward(b->c->s->d, &q, b->p, e);
    if (!rc && b->c->cost) b->c->cost->forwards += n;
    return rc;
}

double probe_rest(const probe_batch *b, int j) {
    double sum = 0;
    for (int r = 0; r < b->n_rest; r++) sum += pass_stats(b->p, j * b->n_rest + r)->entropy;
    return sum;
}

double scoring_rest(const scoring *c, int cand) {
    double sum = 0;
    for (int m = 0; m < c->s->n_masked; m++) {
        if (m != c->cand[cand]) sum += pass_stats(c->s->p, m)->entropy;
    }
    return sum;
}

int probe_rest_all(scoring *c, const probe *probes, int n, double *sums, err *e) {
    for (int j = 0; j < n; j++) sums[j] = 0;
    if (n == 0 || c->s->n_masked < 2) return 0;
    probe_batch b;
    int rc = probe_open(&b, c, n, false, e);
    for (int at = 0; !rc && at < n; at += b.most) {
        int k = n - at < b.most ? n - at : b.most;
        rc = probe_run(&b, probes + at, k, e);
        for (int j = 0; !rc && j < k; j++) sums[at + j] = probe_rest(&b, j);
    }
    probe_close(&b);
    return rc;
}
