/* notes.c - notes by record, and trajectories as they are written with them. */
#include "tui/notes.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "tui/text.h"

static const note *find(const notes *n, const step_record *rec) {
    for (size_t i = 0; rec && i < n->n; i++) {
        if (n->at[i].rec == rec) return &n->at[i];
    }
    return NULL;
}

const char *notes_get(const notes *n, const step_record *rec) {
    const note *own = find(n, rec);
    const char *text = own ? own->text : rec ? rec->note : NULL;
    return text && *text ? text : NULL;
}

/* A copy without control characters; NULL with a message when the text may not be a note. */
static char *clean(const char *text, err *e) {
    size_t len = strlen(text);
    if (len > NOTE_MAX_BYTES) {
        err_set(e, ERR_BAD_ARGUMENT, "note: %zu bytes, at most %d are kept", len, NOTE_MAX_BYTES);
        return NULL;
    }
    char *copy = mem_copy(text, len + 1, 1);
    if (!copy) err_set(e, ERR_NO_MEMORY, "note: out of memory");
    for (size_t i = 0; copy && i < len;) {
        uint32_t cp;
        int used = utf8_decode(text + i, len - i, &cp);
        if (used <= 0) {
            err_set(e, ERR_BAD_ARGUMENT, "note: byte %zu is not UTF-8", i);
            free(copy);
            return NULL;
        }
        if (utf8_control(cp)) memset(copy + i, ' ', (size_t)used);
        i += (size_t)used;
    }
    return copy;
}

int notes_set(notes *n, const step_record *rec, const char *text, err *e) {
    char *copy = clean(text, e);
    if (!copy) return e->code;
    const note *old = find(n, rec);
    if (old) {
        free(old->text);
        n->at[old - n->at].text = copy;
        return 0;
    }
    void *at = n->at;
    if (n->n >= NOTES_MAX || !mem_grow(&at, &n->cap, n->n + 1, sizeof *n->at)) {
        free(copy);
        return err_set(e, ERR_NO_MEMORY, "note: no room for another one");
    }
    n->at = at;
    n->at[n->n++] = (note){record_ref(rec), copy};
    return 0;
}

void notes_release(notes *n) {
    for (size_t i = 0; i < n->n; i++) {
        record_unref(n->at[i].rec);
        free(n->at[i].text);
    }
    free(n->at);
    *n = (notes){0};
}

int notes_join(const notes *n, const trajectory *t, noted *out, err *e) {
    size_t count = (size_t)t->n_records, k = 0;
    *out = (noted){.traj = *t};
    out->records = mem_copy(t->records, count, sizeof *out->records);
    out->copies = mem_new(n->n, sizeof *out->copies);
    if (!out->records || !out->copies) {
        noted_release(out);
        return err_set(e, ERR_NO_MEMORY, "out of memory for %zu notes", n->n);
    }
    for (size_t i = 0; i < count && k < n->n; i++) {
        const note *own = find(n, out->records[i]);
        if (!own) continue;
        step_record *copy = &out->copies[k++];
        *copy = *out->records[i];
        copy->note = *own->text ? own->text : NULL;
        out->records[i] = copy;
    }
    out->traj.records = out->records;
    return 0;
}

void noted_release(noted *v) {
    free(v->records);
    free(v->copies);
    *v = (noted){0};
}
