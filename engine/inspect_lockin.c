/* inspect_lockin.c - each written position put back to the mask alone: would the model write the same again?
 * The forwards go in batches. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/inspect_impl.h"

/* Floats of logits and activations that a batch may hold; widths of a row that a pass takes. */
enum { BATCH_FLOATS = 1 << 24, ROW_WIDTHS = 7, MOST_SEQUENCES = 64 };

typedef struct batch {
    denoiser *d;
    const int32_t *tokens;
    int n, most;
    sequence *seqs;
    row_ref *rows;
    int32_t *copies; /* [most][n] */
    pass *p;
} batch;

static int batch_open(batch *b, int n_written, err *e) {
    const denoiser_info *i = denoiser_get_info(b->d);
    size_t floats = (size_t)b->n * (size_t)i->d_model * ROW_WIDTHS + (size_t)i->n_vocab;
    size_t most = BATCH_FLOATS / floats;
    b->most = most < 1 ? 1 : most > MOST_SEQUENCES ? MOST_SEQUENCES : (int)most;
    if (b->most > n_written) b->most = n_written;
    b->seqs = mem_new((size_t)b->most, sizeof *b->seqs);
    b->rows = mem_new((size_t)b->most, sizeof *b->rows);
    b->copies = mem_new((size_t)b->most * (size_t)b->n, sizeof *b->copies);
    b->p = pass_new();
    if (b->seqs && b->rows && b->copies && b->p) return 0;
    return err_set(e, ERR_NO_MEMORY, "out of memory for a batch of %d forwards", b->most);
}

static void batch_close(batch *b) {
    free(b->seqs);
    free(b->rows);
    free(b->copies);
    pass_free(b->p);
}

static int batch_run(batch *b, const int *pos, int n, const atomic_bool *cancel, err *e) {
    for (int j = 0; j < n; j++) {
        int32_t *own = b->copies + (size_t)j * (size_t)b->n;
        memcpy(own, b->tokens, (size_t)b->n * sizeof *own);
        own[pos[j]] = denoiser_get_info(b->d)->mask_id;
        b->seqs[j] = (sequence){own, b->n};
        b->rows[j] = (row_ref){j, pos[j]};
    }
    forward_req q = {.seqs = b->seqs, .n_seqs = n, .rows = b->rows, .n_rows = n, .whole_rows = true};
    q.cancel = cancel;
    int rc = denoiser_forward(b->d, &q, b->p, e);
    return rc ? rc : pass_read(b->p, NULL, 0, e);
}

/* What row j of the batch says about written position i. */
typedef struct verdicts {
    int *pos;
    int32_t *token, *argmax;
    double *p, *p_argmax, *entropy;
} verdicts;

static void read_row(const batch *b, int j, const verdicts *v, int i) {
    const k_row_stats *st = pass_stats(b->p, j);
    v->argmax[i] = st->argmax;
    v->p_argmax[i] = st->confidence;
    v->entropy[i] = st->entropy;
    v->p[i] = exp((double)pass_logits(b->p, j)[v->token[i]] - st->lse);
}

static int find_written(inspecting *x, const int32_t *tokens, int n, verdicts *v, int *found, err *e) {
    int32_t mask = denoiser_get_info(session_denoiser(x->s))->mask_id;
    size_t most = (size_t)n;
    v->pos = inspect_new(x, most, sizeof *v->pos, e);
    v->token = inspect_new(x, most, sizeof *v->token, e);
    v->argmax = inspect_new(x, most, sizeof *v->argmax, e);
    v->p = inspect_new(x, most, sizeof *v->p, e);
    v->p_argmax = inspect_new(x, most, sizeof *v->p_argmax, e);
    v->entropy = inspect_new(x, most, sizeof *v->entropy, e);
    if (!v->pos || !v->token || !v->argmax || !v->p || !v->p_argmax || !v->entropy) return ERR_NO_MEMORY;
    for (int i = 0; i < n; i++) {
        if (tokens[i] == mask || session_start_token(x->s, i) != mask) continue;
        v->pos[*found] = i;
        v->token[(*found)++] = tokens[i];
    }
    return 0;
}

int inspect_lock_in(inspecting *x, err *e) {
    verdicts v;
    batch b = {.d = session_denoiser(x->s)};
    int found = 0, disagree = 0;
    b.tokens = session_tokens(x->s, &b.n);
    int rc = find_written(x, b.tokens, b.n, &v, &found, e);
    if (rc || !found) return rc;
    rc = batch_open(&b, found, e);
    for (int at = 0; !rc && at < found; at += b.most) {
        int n = found - at < b.most ? found - at : b.most;
        rc = batch_run(&b, v.pos + at, n, session_cancel(x->s), e);
        for (int j = 0; !rc && j < n; j++) read_row(&b, j, &v, at + j);
        x->cost.forwards += n;
    }
    batch_close(&b);
    for (int i = 0; !rc && i < found; i++) disagree += v.argmax[i] != v.token[i];
    if (!rc)
        x->out->lock_in =
            (lock_in_view){found, v.pos, v.token, v.p, v.argmax, v.p_argmax, v.entropy, disagree};
    return rc;
}
