/* trajectory.c - a list of step records. A state is the start with the first n records' writes
 * laid over it, so looking one up never runs a model. */
#include "engine/trajectory.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"

static bool has_mask(const trajectory *t) {
    for (int i = 0; i < t->head.n_tokens; i++) {
        if (t->last[i] == t->head.mask_id) return true;
    }
    return false;
}

int trajectory_init(trajectory *t, const traj_header *h, token_texts texts, err *e) {
    *t = (trajectory){.head = *h, .texts = texts};
    t->head.start = NULL;
    t->owned_start = mem_copy(h->start, (size_t)h->n_tokens, sizeof *t->owned_start);
    t->last = mem_copy(h->start, (size_t)h->n_tokens, sizeof *t->last);
    if (!t->owned_start || !t->last) {
        trajectory_release(t);
        return err_set(e, ERR_NO_MEMORY, "out of memory for a trajectory of %d tokens", h->n_tokens);
    }
    t->head.start = t->owned_start;
    t->complete = !has_mask(t);
    return 0;
}

void trajectory_release(trajectory *t) {
    for (int i = 0; i < t->n_records; i++) record_unref(t->records[i]);
    record_unref(t->pending);
    free(t->records);
    free(t->last);
    free(t->owned_start);
    *t = (trajectory){0};
}

/* ---- appending ---- */

static int check_write(const trajectory *t, const step_record *r, int i, err *e) {
    const step_write *w = &r->writes[i];
    const traj_header *h = &t->head;
    if (w->pos < 0 || w->pos >= h->n_tokens) {
        return err_set(e, ERR_BAD_FORMAT, "step %d writes position %d, which is past the end (%d)", r->step,
                       w->pos, h->n_tokens);
    }
    if (w->token < 0 || w->token >= h->n_vocab) {
        return err_set(e, ERR_BAD_FORMAT,
                       "step %d writes token %d at position %d, outside the vocabulary of %d", r->step,
                       (int)w->token, w->pos, h->n_vocab);
    }
    bool back = w->token == h->mask_id;
    if (r->kind != STEP_DECODE && back != (r->kind == STEP_REMASK)) {
        return err_set(e, ERR_BAD_FORMAT, "step %d (%s) writes %s at position %d", r->step,
                       step_kind_name(r->kind), back ? "the mask" : "a token", w->pos);
    }
    if (r->kind == STEP_DECODE && back && t->last[w->pos] == h->mask_id)
        return err_set(e, ERR_BAD_FORMAT, "step %d puts back position %d, which is masked", r->step, w->pos);
    return 0;
}

static int check_record(const trajectory *t, const step_record *r, err *e) {
    if (r->step != t->n_records) {
        return err_set(e, ERR_BAD_FORMAT, "step %d where step %d was expected", r->step, t->n_records);
    }
    if ((int)r->kind < 0 || r->kind >= N_STEP_KINDS) {
        return err_set(e, ERR_BAD_FORMAT, "step %d is of unknown kind %d", r->step, (int)r->kind);
    }
    if ((r->kind == STEP_SETTING) != (r->setting != NULL) || (r->setting && r->n_writes)) {
        return err_set(e, ERR_BAD_FORMAT, "step %d (%s): only a setting has a setting, and it writes nothing",
                       r->step, step_kind_name(r->kind));
    }
    for (int i = 0; i < r->n_writes; i++) {
        int rc = check_write(t, r, i, e);
        if (rc) return rc;
    }
    return 0;
}

static void apply(const step_record *r, int32_t *tokens) {
    for (int i = 0; i < r->n_writes; i++) tokens[r->writes[i].pos] = r->writes[i].token;
}

int trajectory_append(trajectory *t, const step_record *r, err *e) {
    int rc = check_record(t, r, e);
    if (rc) return rc;
    if (!mem_grow((void **)&t->records, &t->cap, (size_t)t->n_records + 1, sizeof *t->records)) {
        return err_set(e, ERR_NO_MEMORY, "out of memory for step %d", r->step);
    }
    t->records[t->n_records++] = record_ref(r);
    trajectory_set_pending(t, NULL);
    apply(r, t->last);
    t->complete = !has_mask(t);
    return 0;
}

int trajectory_fork(trajectory *out, const trajectory *t, int n, err *e) {
    int rc = trajectory_init(out, &t->head, t->texts, e);
    for (int k = 0; k < n && k < t->n_records && !rc; k++) rc = trajectory_append(out, t->records[k], e);
    if (rc) {
        trajectory_release(out);
    } else if (n >= t->n_records) {
        trajectory_set_pending(out, t->pending);
        out->complete = t->complete;
    }
    return rc;
}

void trajectory_set_pending(trajectory *t, const step_record *r) {
    const step_record *old = t->pending;
    t->pending = r ? record_ref(r) : NULL;
    record_unref(old);
}

/* ---- looking up ---- */

void trajectory_state(const trajectory *t, int n, int32_t *out) {
    const int32_t *from = n < t->n_records ? t->owned_start : t->last;
    if (t->head.n_tokens) memcpy(out, from, (size_t)t->head.n_tokens * sizeof *out);
    for (int k = 0; k < n && n < t->n_records; k++) apply(t->records[k], out);
}

const step_record *trajectory_record_at(const trajectory *t, int n) {
    if (n >= 0 && n < t->n_records) return t->records[n];
    return n == t->n_records ? t->pending : NULL;
}

/* The last write of `pos` in one record, or NULL. */
static const step_write *write_of(const step_record *r, int pos) {
    for (int i = r->n_writes - 1; i >= 0; i--) {
        if (r->writes[i].pos == pos) return &r->writes[i];
    }
    return NULL;
}

/* The last write of `pos` before state n and its step, or NULL. */
static const step_write *last_write(const trajectory *t, int n, int pos, int *step) {
    for (int k = (n < t->n_records ? n : t->n_records) - 1; k >= 0; k--) {
        const step_write *w = write_of(t->records[k], pos);
        if (!w) continue;
        *step = k;
        return w;
    }
    return NULL;
}

int trajectory_written_at(const trajectory *t, int n, int pos, int *rank) {
    int step;
    const step_write *w = last_write(t, n, pos, &step);
    if (!w || w->token == t->head.mask_id) return -1;
    if (rank) *rank = (int)(w - t->records[step]->writes);
    return step;
}

const step_setting *trajectory_setting(const trajectory *t, int n) {
    for (int k = (n < t->n_records ? n : t->n_records) - 1; k >= 0; k--) {
        if (t->records[k]->setting) return t->records[k]->setting;
    }
    return NULL;
}

int trajectory_decoded(const trajectory *t, int n) {
    int count = 0;
    for (int k = 0; k < n && k < t->n_records; k++) count += t->records[k]->kind == STEP_DECODE;
    return count;
}

/* Both at least 0; a file of many steps may hold more than fits. */
static int64_t add_capped(int64_t a, int64_t b) {
    return a < INT64_MAX - b ? a + b : INT64_MAX;
}

traj_totals trajectory_totals(const trajectory *t, int n) {
    traj_totals sum = {0};
    for (int k = 0; k < n && k < t->n_records; k++) {
        const step_record *r = t->records[k];
        sum.nfe += r->nfe;
        sum.backward_rows = add_capped(sum.backward_rows, r->backward_rows);
        sum.ms += r->ms;
        sum.n_written += r->n_writes; /* what is put back counts, too: the file's total is of `writes` */
    }
    return sum;
}

/* ---- two trajectories ---- */

static int32_t token_at(const trajectory *t, int n, int pos) {
    int step;
    const step_write *w = last_write(t, n, pos, &step);
    return w ? w->token : t->owned_start[pos];
}

static int start_difference(const trajectory *a, const trajectory *b) {
    int na = a->head.n_tokens, nb = b->head.n_tokens, n = na < nb ? na : nb;
    for (int i = 0; i < n; i++) {
        if (a->owned_start[i] != b->owned_start[i]) return i;
    }
    return na == nb ? -1 : n;
}

/* Lowest position that record k of `a` writes and at which the states after it differ, or -1. */
static int step_difference(const trajectory *a, const trajectory *b, int k) {
    const step_record *r = a->records[k];
    int low = -1;
    for (int i = 0; i < r->n_writes; i++) {
        int pos = r->writes[i].pos;
        if (token_at(a, k + 1, pos) != token_at(b, k + 1, pos) && (low < 0 || pos < low)) low = pos;
    }
    return low;
}

int trajectory_divergence(const trajectory *a, const trajectory *b, int *pos) {
    int at = start_difference(a, b), n = a->n_records < b->n_records ? a->n_records : b->n_records;
    if (pos) *pos = at;
    if (at >= 0) return 0;
    /* States are equal so far, so only what either record writes can differ next. */
    for (int k = 0; k < n; k++) {
        int x = step_difference(a, b, k), y = step_difference(b, a, k);
        at = x < 0 || (y >= 0 && y < x) ? y : x;
        if (at < 0) continue;
        if (pos) *pos = at;
        return k + 1;
    }
    return -1;
}

static bool same_writes(const step_record *a, const step_record *b) {
    if (a->n_writes != b->n_writes) return false;
    for (int i = 0; i < a->n_writes; i++) {
        if (a->writes[i].pos != b->writes[i].pos || a->writes[i].token != b->writes[i].token) return false;
    }
    return true;
}

int trajectory_first_difference(const trajectory *a, const trajectory *b) {
    for (int k = 0; k < a->n_records && k < b->n_records; k++) {
        if (!same_writes(a->records[k], b->records[k])) return k;
    }
    return -1;
}
