/* cached.c - an approximate forward pass: few rows, over the keys and values of a kept pass.
 *
 * The rows enter with the embeddings of their present tokens and go through every layer. In attention they
 * read each other as they are now, and every other row as it was when the pass was kept. */
#include <stdint.h>
#include <stdlib.h>

#include "engine/base/mem.h"
#include "engine/transformer/transformer.h"

typedef struct cached {
    transformer *t;
    const forward_req *q;
    const tf_saved *s;
    pass *p;
    int n, n_seq; /* rows computed, and rows of the sequence */
    tf_index index;
    size_t ids, pos, span, overlay, wanted; /* offsets in the index */
    tf_acts acts;
    tf_temp tmp;
    k_act *head_x; /* [n_unique][d] */
} cached;

/* ---- laying out ---- */

static void index_rows(cached *c) {
    const forward_req *q = c->q;
    tf_index *x = &c->index;
    c->ids = x->n;
    for (int i = 0; i < c->n; i++) tf_index_add(x, &q->seqs[0].tokens[q->recompute[i]], 1);
    c->pos = tf_index_add(x, q->recompute, (size_t)c->n);
    k_span span = {0, c->n, 0, c->n_seq, 0};
    c->span = tf_index_add(x, (const int32_t *)&span, sizeof span / sizeof(int32_t));
    c->overlay = tf_index_add(x, NULL, (size_t)c->n_seq);
    if (x->failed) return;
    int32_t *over = x->data + c->overlay;
    for (int j = 0; j < c->n_seq; j++) over[j] = -1;
    for (int i = 0; i < c->n; i++) over[q->recompute[i]] = i;
}

/* Positions that read the same network row share its logits; what the kept pass has is not wanted. */
static int index_wanted(cached *c, err *e) {
    pass *p = c->p;
    int *slot = mem_new((size_t)c->n, sizeof *slot); /* 1 + index in wanted */
    if (!slot) return err_set(e, ERR_NO_MEMORY, "out of memory for %d rows", c->n);
    c->wanted = c->index.n;
    p->n_unique = 0;
    for (int r = 0; r < c->q->n_rows && !c->index.failed; r++) {
        p->unique[r] = 0;
        if (p->carried[r] >= 0) continue;
        int row = c->index.data[c->overlay + (size_t)denoiser_emit(&c->t->base, c->q->rows[r].pos)];
        if (!slot[row]) {
            tf_index_add(&c->index, &row, 1);
            slot[row] = ++p->n_unique;
        }
        p->unique[r] = slot[row] - 1;
    }
    free(slot);
    return 0;
}

static void carve(cached *c, tf_carve *room) {
    c->acts = tf_take_acts(room, c->t, c->n, 0);
    c->tmp = tf_take_temp(room, c->t, c->n);
    c->head_x = tf_take_head_x(room, c->t, c->p);
}

static int prepare(cached *c, err *e) {
    index_rows(c);
    int rc = index_wanted(c, e);
    if (!rc) rc = tf_index_send(&c->index, c->t, e);
    if (!rc) rc = tf_reserve_rope(c->t, c->n_seq, e);
    if (!rc) rc = tf_reserve_head_x(c->t, c->p, e);
    if (rc) return rc;
    tf_carve room = {0};
    carve(c, &room);
    rc = tf_reserve_work(c->t, room.used, &room, e);
    if (!rc) carve(c, &room);
    return rc;
}

/* ---- running ---- */

static int run_layers(cached *c, err *e) {
    transformer *t = c->t;
    tf_rows rows = {.n = c->n,
                    .pos = tf_index_at(t, c->pos),
                    .spans = (const k_span *)tf_index_at(t, c->span),
                    .n_spans = 1,
                    .max_q = c->n,
                    .max_k = c->n_seq,
                    .overlay = tf_index_at(t, c->overlay),
                    .to = c->n};
    t->base.k->embed(t->base.k, c->acts.x, tf_index_at(t, c->ids), c->n, &t->embed, t->embed_scale);
    for (int l = 0; l < t->L; l++) {
        int rc = tf_check_cancel(c->q->cancel, e);
        if (rc) return rc;
        tf_run_layer(t, l, &rows, &c->acts, &c->tmp, l ? c->acts.x2 : c->acts.x, l ? c->tmp.y : NULL,
                     c->s->layers[l].qkv);
    }
    return tf_check_cancel(c->q->cancel, e);
}

/* What is not finite shows in the logits, which denoiser.c looks through. */
static void run_head(cached *c) {
    transformer *t = c->t;
    k_norm norm = tf_norm(t, c->p->n_unique, tf_head_affine(t));
    norm.x = c->acts.x2, norm.y = c->tmp.y, norm.gate = tf_mlp_affine(t, t->L - 1).gate;
    norm.rows = tf_index_at(t, c->wanted), norm.h = c->head_x;
    t->base.k->norm(t->base.k, &norm);
    tf_run_head(t, c->p, c->head_x);
}

int tf_cached(denoiser *d, const forward_req *q, pass *p, err *e) {
    cached c = {.t = (transformer *)d, .q = q, .s = q->over->saved, .p = p};
    c.n = q->n_recompute;
    c.n_seq = q->seqs[0].n;
    int rc = prepare(&c, e);
    if (!rc) rc = tf_set_noise(c.t, tf_noise(c.t, q), e);
    if (!rc) rc = run_layers(&c, e);
    if (!rc && p->n_unique) run_head(&c);
    tf_index_release(&c.index);
    return rc;
}
