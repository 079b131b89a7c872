/* transformer_forward.c - the forward pass of a packed batch, and what a kept pass saves. */
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/transformer.h"

/* One forward in progress. */
typedef struct forward {
    transformer *t;
    const forward_req *q;
    pass *p;
    int n;        /* rows of the batch */
    int *first;   /* [n_seqs + 1] */
    int *pos;     /* [n] */
    int32_t *ids; /* [n] */
    int *wanted;  /* unique network rows whose logits are asked for, and for each ... */
    int *row_of;  /* ... requested row, its index there */
    int n_wanted;
    tf_acts acts; /* without keep: one layer's activations, reused */
    tf_temp tmp;
    float *x_final; /* [n][d] */
    float *head_x;  /* [n_wanted][d] */
    float *logits;  /* [n_wanted][V]; NULL when they can be written in place */
} forward;

void tf_free_saved(void *saved) {
    tf_saved *s = saved;
    if (!s) return;
    free(s->first);
    free(s->layers);
    free(s->floats);
    free(s);
}

static void release(forward *f) {
    free(f->first);
    free(f->pos);
    free(f->ids);
    free(f->wanted);
    free(f->row_of);
}

/* Lay the sequences one after the other. */
static int pack(forward *f, err *e) {
    const forward_req *q = f->q;
    int64_t total = 0;
    for (int s = 0; s < q->n_seqs; s++) total += q->seqs[s].n;
    if (total > INT32_MAX / 2) return err_set(e, ERR_BAD_ARGUMENT, "a batch of %lld rows", (long long)total);
    f->n = (int)total;
    f->first = mem_new((size_t)q->n_seqs + 1, sizeof *f->first);
    f->pos = mem_new((size_t)f->n, sizeof *f->pos);
    f->ids = mem_new((size_t)f->n, sizeof *f->ids);
    if (!f->first || !f->pos || !f->ids) return err_set(e, ERR_NO_MEMORY, "out of memory for %d rows", f->n);
    int row = 0;
    for (int s = 0; s < q->n_seqs; s++) {
        f->first[s] = row;
        for (int i = 0; i < q->seqs[s].n; i++, row++) {
            f->pos[row] = i;
            f->ids[row] = q->seqs[s].tokens[i];
        }
    }
    f->first[q->n_seqs] = row;
    return 0;
}

/* Positions that read the same network row (0 and 1 of a shifted model) share its logits. */
static int find_wanted(forward *f, err *e) {
    int n_rows = f->q->n_rows;
    int *slot = mem_new((size_t)f->n, sizeof *slot); /* 1 + index in wanted */
    f->wanted = mem_new((size_t)n_rows, sizeof *f->wanted);
    f->row_of = mem_new((size_t)n_rows, sizeof *f->row_of);
    if (!slot || !f->wanted || !f->row_of) {
        free(slot);
        return err_set(e, ERR_NO_MEMORY, "out of memory for %d rows", n_rows);
    }
    for (int r = 0; r < n_rows; r++) {
        row_ref ref = f->q->rows[r];
        int row = f->first[ref.seq] + denoiser_emit(&f->t->base, ref.pos);
        if (!slot[row]) {
            f->wanted[f->n_wanted++] = row;
            slot[row] = f->n_wanted;
        }
        f->row_of[r] = slot[row] - 1;
    }
    free(slot);
    return 0;
}

static void carve_saved(tf_saved *s, const transformer *t, tf_carve *c) {
    for (int l = 0; l < t->L; l++) s->layers[l] = tf_take_acts(c, t, s->n_rows);
    s->x_final = tf_take(c, (size_t)s->n_rows, t->d);
}

static int reserve_saved(forward *f, err *e) {
    const transformer *t = f->t;
    if (!f->p->saved) {
        f->p->saved = mem_new(1, sizeof(tf_saved));
        f->p->free_saved = tf_free_saved;
    }
    tf_saved *s = f->p->saved;
    size_t n_first = (size_t)f->q->n_seqs + 1;
    if (!s || !mem_grow((void **)&s->first, &s->cap_first, n_first, sizeof *s->first) ||
        !mem_grow((void **)&s->layers, &s->cap_layers, (size_t)t->L, sizeof *s->layers)) {
        return err_set(e, ERR_NO_MEMORY, "out of memory for a kept pass");
    }
    s->n_seqs = f->q->n_seqs;
    s->n_rows = f->n;
    memcpy(s->first, f->first, n_first * sizeof *s->first);
    tf_carve count = {0};
    carve_saved(s, t, &count);
    if (count.used > s->cap_floats) {
        free(s->floats);
        s->floats = NULL;
        s->cap_floats = 0;
    }
    if (!mem_grow((void **)&s->floats, &s->cap_floats, count.used, sizeof *s->floats)) {
        return err_set(e, ERR_NO_MEMORY, "out of memory for a kept pass of %d rows", f->n);
    }
    carve_saved(s, t, &(tf_carve){.base = s->floats});
    return 0;
}

static void carve_work(forward *f, tf_carve *c) {
    const transformer *t = f->t;
    f->tmp = tf_take_temp(c, t, f->n);
    if (!f->q->keep) f->acts = tf_take_acts(c, t, f->n);
    f->x_final = f->q->keep ? ((tf_saved *)f->p->saved)->x_final : f->acts.x;
    f->head_x = tf_take(c, (size_t)f->n_wanted, t->d);
    f->logits = f->n_wanted == f->q->n_rows ? NULL : tf_take(c, (size_t)f->n_wanted, t->V);
}

static int prepare(forward *f, err *e) {
    int rc = pack(f, e);
    if (!rc) rc = find_wanted(f, e);
    if (!rc && f->q->keep) rc = reserve_saved(f, e);
    if (rc) return rc;
    tf_carve count = {0};
    carve_work(f, &count);
    rc = tf_reserve_work(f->t, count.used, e);
    if (rc) return rc;
    carve_work(f, &(tf_carve){.base = f->t->work});
    return 0;
}

static tf_acts *layer_acts(forward *f, int l) {
    return f->q->keep ? &((tf_saved *)f->p->saved)->layers[l] : &f->acts;
}

static void embed(forward *f) {
    transformer *t = f->t;
    float *x = layer_acts(f, 0)->x;
    t->base.k->embed(x, f->ids, f->n, &t->embed);
    for (int i = 0; i < f->q->n_inject; i++) {
        const injection *in = &f->q->inject[i];
        memcpy(x + (size_t)(f->first[in->seq] + in->pos) * (size_t)t->d, in->vector,
               (size_t)t->d * sizeof *x);
    }
    tf_scale(x, (size_t)f->n * (size_t)t->d, t->embed_scale);
}

static void attend(const forward *f, const tf_acts *a) {
    const transformer *t = f->t;
    size_t qw = (size_t)(t->H * t->hd), kw = (size_t)(t->KV * t->hd);
    for (int s = 0; s < f->q->n_seqs; s++) {
        size_t row = (size_t)f->first[s];
        int n = f->q->seqs[s].n;
        t->base.k->attention(&(k_attn){.n_q = n,
                                       .n_k = n,
                                       .H = t->H,
                                       .KV = t->KV,
                                       .hd = t->hd,
                                       .q = a->q + row * qw,
                                       .k = a->k + row * kw,
                                       .v = a->v + row * kw,
                                       .o = a->o + row * qw,
                                       .lse = a->lse + row * (size_t)t->H});
    }
}

/* Where the numbers first went wrong: `what` names the stage. */
static int check_finite(const forward *f, const float *x, const char *what, err *e) {
    size_t d = (size_t)f->t->d;
    if (tf_finite(x, (size_t)f->n * d)) return 0;
    for (int s = 0; s < f->q->n_seqs; s++) {
        for (int r = f->first[s]; r < f->first[s + 1]; r++) {
            if (tf_finite(x + (size_t)r * d, d)) continue;
            return err_set(e, ERR_BAD_FORMAT, "NaN in the output of %s, row %d (sequence %d)", what,
                           f->pos[r], s);
        }
    }
    return 0;
}

static int run_layers(forward *f, err *e) {
    transformer *t = f->t;
    int rc = check_finite(f, layer_acts(f, 0)->x, "the embedding", e);
    for (int l = 0; l < t->L && !rc; l++) {
        if ((rc = tf_check_cancel(f->q->cancel, e))) break;
        const tf_acts *a = layer_acts(f, l);
        float *out = l + 1 < t->L ? layer_acts(f, l + 1)->x : f->x_final;
        tf_qkv(t, &t->layers[l], a, &f->tmp, f->pos, f->n);
        attend(f, a);
        tf_finish_layer(t, &t->layers[l], a, &f->tmp, out, f->n);
        char what[24];
        snprintf(what, sizeof what, "layer %d", l);
        rc = check_finite(f, out, what, e);
    }
    return rc ? rc : tf_check_cancel(f->q->cancel, e);
}

static void run_head(forward *f) {
    transformer *t = f->t;
    size_t V = (size_t)t->V;
    float *logits = f->logits ? f->logits : f->p->logits;
    tf_gather(f->head_x, f->x_final, 0, f->wanted, f->n_wanted, t->d);
    tf_logits(t, f->head_x, f->tmp.h, logits, f->n_wanted);
    for (int r = 0; f->logits && r < f->q->n_rows; r++) {
        memcpy(f->p->logits + (size_t)r * V, logits + (size_t)f->row_of[r] * V, V * sizeof *logits);
    }
}

int tf_forward(denoiser *d, const forward_req *q, pass *p, err *e) {
    forward f = {.t = (transformer *)d, .q = q, .p = p};
    int rc = prepare(&f, e);
    if (!rc) {
        embed(&f);
        rc = run_layers(&f, e);
    }
    if (!rc) run_head(&f);
    release(&f);
    return rc;
}
