/* inspect_attention.c - where the row of one position looks. */
#include "engine/inspect_impl.h"

/* A pass of its own: the session's holds the rows of masked positions only, and `pos` may be written. */
int inspect_attention(inspecting *x, err *e) {
    int n = 0, pos = x->q->pos, layer = x->q->layer;
    const int32_t *tokens = session_tokens(x->s, &n);
    denoiser *d = session_denoiser(x->s);
    const denoiser_info *info = denoiser_get_info(d);
    if (pos < 0 || pos >= n || layer < 0 || layer >= info->n_layers)
        return err_set(e, ERR_BAD_ARGUMENT, "attention of position %d of %d in layer %d of %d", pos, n, layer,
                       info->n_layers);
    float *p = inspect_new(x, (size_t)info->n_heads * (size_t)n, sizeof *p, e);
    pass *own = p ? pass_new() : NULL;
    if (!own) return err_set(e, ERR_NO_MEMORY, "out of memory for looking at attention");
    sequence seq = {tokens, n};
    row_ref row = {0, pos};
    forward_req q = {.seqs = &seq, .n_seqs = 1, .rows = &row, .n_rows = 1, .keep = true};
    q.cancel = session_cancel(x->s);
    int rc = denoiser_forward(d, &q, own, e);
    if (!rc) rc = denoiser_attention(d, own, 0, pos, layer, p, e);
    pass_free(own);
    x->cost.forwards += 1;
    if (!rc) x->out->attention = (attention_view){pos, layer, info->n_layers, info->n_heads, n, p};
    return rc;
}
