/* places.c - states are laid out by running through the writes once. */
#include "replay/places.h"

static void start(const trajectory *t, place *out) {
    for (int i = 0; i < t->head.n_tokens; i++) out[i] = (place){.token = t->head.start[i], .step = -1};
}

static void apply(const trajectory *t, int k, bool last, place *out) {
    const step_record *r = t->records[k];
    for (int i = 0; i < r->n_writes; i++) {
        place *p = &out[r->writes[i].pos];
        bool mask = r->writes[i].token == t->head.mask_id;
        *p = (place){.token = r->writes[i].token,
                     .step = mask ? -1 : k,
                     .fresh = last,
                     .remasked = mask,
                     .by_hand = !mask && r->kind == STEP_FORCE};
    }
}

/* Numbers the tokens written in the order in which they were: by step, within it by rank. */
static void number(const trajectory *t, int state, place *out) {
    int n = 0;
    for (int k = 0; k < state && k < t->n_records; k++) {
        const step_record *r = t->records[k];
        for (int i = 0; i < r->n_writes; i++) {
            place *p = &out[r->writes[i].pos];
            if (p->step == k && !p->order) p->order = ++n;
        }
    }
}

/* The write of `pos`, if r has one. */
static const step_write *write_at(const step_record *r, int pos) {
    for (int i = 0; i < r->n_writes; i++) {
        if (r->writes[i].pos == pos) return &r->writes[i];
    }
    return NULL;
}

/* Probability of the token that was written, unless nothing is known about it. */
static bool written_p(const step_record *r, int pos, double *value) {
    const step_write *w = write_at(r, pos);
    if (w) *value = w->p;
    return w && (w->p > 0 || record_masked_index(r, pos) >= 0);
}

/* The value at a position in the record that the policy decided on. */
static bool value_in(const step_record *r, int pos, export_color color, bool written, double *value) {
    int i = record_masked_index(r, pos);
    switch (color) {
    case EXPORT_ENTROPY:
        if (i >= 0 && r->entropy) *value = r->entropy[i];
        return i >= 0 && r->entropy;
    case EXPORT_CONFIDENCE:
        if (written) return written_p(r, pos, value);
        if (i >= 0 && r->confidence) *value = r->confidence[i];
        return i >= 0 && r->confidence;
    case EXPORT_TIS:
        return record_tis_at(r, pos, value);
    default:
        return false;
    }
}

static void add_value(const trajectory *t, const step_record *now, export_color color, int pos, place *p) {
    const step_record *r = p->masked ? now : p->step >= 0 ? t->records[p->step] : NULL;
    if (color == EXPORT_ORDER) {
        p->value = p->order;
        p->has_value = p->order > 0;
    } else {
        p->has_value = r && value_in(r, pos, color, !p->masked, &p->value);
    }
}

void places_of(const trajectory *t, int state, export_color color, place *out) {
    const step_record *now = trajectory_record_at(t, state);
    start(t, out);
    for (int k = 0; k < state && k < t->n_records; k++) apply(t, k, k == state - 1, out);
    number(t, state, out);
    for (int i = 0; i < t->head.n_tokens; i++) {
        place *p = &out[i];
        p->masked = p->token == t->head.mask_id;
        p->prompt = !p->masked && p->step < 0;
        p->candidate = p->masked && now && record_cand_index(now, i) >= 0;
        add_value(t, now, color, i, p);
    }
    for (int i = 0; now && i < now->n_writes; i++) {
        place *p = &out[now->writes[i].pos];
        p->next = p->masked;
    }
}
