/* search.c - queries and their hits. */
#include "tui/search.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "tui/app.h"

/* Queries ------------------------------------------------------------- */

static int parse_number(const char *text, const char *whole, int *out, err *e) {
    char *end = NULL;
    long n = strtol(text, &end, 10);
    if (end == text || *end || n < 0 || n > 1 << 24)
        return err_set(e, ERR_BAD_ARGUMENT, "/%.60s: expected a number such as 12", whole);
    *out = (int)n;
    return 0;
}

static const char *after_field(const char *text, query_field *field) {
    static const char *const names[N_FIELDS] = {"H", "p", "tis", "margin"};
    for (int i = 0; i < N_FIELDS; i++) {
        size_t n = strlen(names[i]);
        if (strncmp(text, names[i], n) || (text[n] != '<' && text[n] != '>')) continue;
        *field = (query_field)i;
        return text + n;
    }
    return NULL;
}

static int parse_compare(query *q, const char *op, const char *whole, err *e) {
    bool equal = op[1] == '=';
    char *end = NULL;
    const char *value = op + 1 + equal;
    q->kind = QUERY_COMPARE;
    q->op = *op == '<' ? (equal ? OP_LESS_EQUAL : OP_LESS) : equal ? OP_MORE_EQUAL : OP_MORE;
    q->value = strtod(value, &end);
    if (end == value || *end || !isfinite(q->value))
        return err_set(e, ERR_BAD_ARGUMENT, "/%.60s: expected a number after the sign, such as H>3", whole);
    return 0;
}

static int parse_text(query *q, const char *text, err *e) {
    size_t n = strlen(text);
    bool quoted = n >= 2 && *text == '"' && text[n - 1] == '"';
    if (quoted) text++, n -= 2;
    if (!n || n >= sizeof q->text)
        return err_set(e, ERR_BAD_ARGUMENT, "/: expected 1 to %zu bytes of text", sizeof q->text - 1);
    q->kind = QUERY_TEXT;
    memcpy(q->text, text, n);
    q->text[n] = '\0';
    return 0;
}

int query_parse(query *q, const char *text, err *e) {
    query fresh = {0};
    const char *op = after_field(text, &fresh.field);
    int rc;
    if (op) {
        rc = parse_compare(&fresh, op, text, e);
    } else if (!strncmp(text, "written@", 8)) {
        fresh.kind = QUERY_WRITTEN;
        rc = parse_number(text + 8, text, &fresh.number, e);
    } else if (*text && text[*text == '#'] &&
               !text[strspn(text + (*text == '#'), "0123456789") + (*text == '#')]) {
        fresh.kind = QUERY_POSITION;
        rc = parse_number(text + (*text == '#'), text, &fresh.number, e);
    } else {
        rc = parse_text(&fresh, text, e);
    }
    if (!rc) *q = fresh;
    return rc;
}

/* Hits ---------------------------------------------------------------- */

static bool field_at(const pane *p, query_field f, int pos, double *v) {
    const step_record *r = pane_record(p);
    int k = r ? record_masked_index(r, pos) : -1;
    if (f == FIELD_PROB && p->rank[pos]) {
        *v = p->written_p[pos];
        return true;
    }
    const double *all = k < 0                ? NULL
                        : f == FIELD_ENTROPY ? r->entropy
                        : f == FIELD_PROB    ? r->confidence
                                             : r->margin;
    if (k >= 0 && f == FIELD_TIS) return record_tis_at(r, pos, v);
    if (all) *v = all[k];
    return all;
}

static bool compares(const query *q, double v) {
    switch (q->op) {
    case OP_LESS:
        return v < q->value;
    case OP_LESS_EQUAL:
        return v <= q->value;
    case OP_MORE:
        return v > q->value;
    default:
        return v >= q->value;
    }
}

static bool matches(const pane *p, const query *q, int pos) {
    double v;
    switch (q->kind) {
    case QUERY_POSITION:
        return pos == q->number;
    case QUERY_COMPARE:
        return field_at(p, q->field, pos, &v) && compares(q, v);
    case QUERY_WRITTEN:
        return p->written_by[pos] == q->number - 1 && q->number > 0;
    default:
        return false;
    }
}

/* The text of the state; a NUL stands for what is masked or unknown, so that no match runs over it. starts[i]
 * is where token i begins. */
static bool join_text(const pane *p, strbuf *out, size_t *starts) {
    const traj_header *h = &p->traj->head;
    const token_texts *t = &p->traj->texts;
    for (int i = 0; i < h->n_tokens; i++) {
        size_t len = 0;
        bool special = false;
        const char *s =
            p->tokens[i] != h->mask_id && t->text ? t->text(t->ctx, p->tokens[i], &len, &special) : NULL;
        starts[i] = out->len;
        if (s) strbuf_add(out, s, len);
        if (!s) strbuf_putc(out, '\0');
    }
    return !out->failed;
}

/* Marks the tokens of every occurrence; they do not overlap. */
static void mark_text(search *s, const strbuf *text, const size_t *starts) {
    size_t len = strlen(s->q.text), at = 0;
    int pos = 0;
    while (at + len <= text->len) {
        const char *found = memmem(text->data + at, text->len - at, s->q.text, len);
        if (!found) break;
        at = (size_t)(found - text->data);
        while (pos + 1 < s->n && starts[pos + 1] <= at) pos++;
        if (s->hits[pos] != HIT_START) s->count++;
        s->hits[pos] = HIT_START;
        for (int i = pos + 1; i < s->n && starts[i] < at + len; i++) {
            if (s->hits[i] == HIT_NONE) s->hits[i] = HIT_REST;
        }
        at += len;
    }
}

static int find_text(search *s, const pane *p, err *e) {
    strbuf text;
    size_t *starts = mem_new((size_t)s->n, sizeof *starts);
    strbuf_init(&text, 64u << 20);
    bool ok = starts && join_text(p, &text, starts);
    if (ok) mark_text(s, &text, starts);
    strbuf_release(&text);
    free(starts);
    return ok ? 0 : err_set(e, ERR_NO_MEMORY, "/: out of memory for the text");
}

int search_update(app *a, err *e) {
    search *s = &a->find;
    const pane *p = &a->panes[a->focus];
    s->n = s->count = 0;
    if (s->q.kind == QUERY_NONE || !p->traj) return 0;
    int n = p->traj->head.n_tokens;
    if (n > s->n_alloc) {
        unsigned char *more = realloc(s->hits, (size_t)n);
        if (!more) return err_set(e, ERR_NO_MEMORY, "/: out of memory for %d positions", n);
        s->hits = more;
        s->n_alloc = n;
    }
    s->n = n;
    memset(s->hits, HIT_NONE, (size_t)n);
    if (s->q.kind == QUERY_TEXT) return find_text(s, p, e);
    for (int i = 0; i < n; i++) {
        if (!matches(p, &s->q, i)) continue;
        s->hits[i] = HIT_START;
        s->count++;
    }
    return 0;
}

void search_release(search *s) {
    free(s->hits);
    *s = (search){0};
}

bool search_lit(const app *a, int i, int pos) {
    return i == a->focus && pos < a->find.n && a->find.hits[pos] != HIT_NONE;
}

/* Verbs --------------------------------------------------------------- */

/* In the state shown, of which no frame may have been drawn yet. */
static int find_now(app *a, err *e) {
    pane *p = &a->panes[a->focus];
    int rc = p->traj ? pane_derive(p, e) : 0;
    return rc ? rc : search_update(a, e);
}

static void show_hit(app *a, int pos) {
    int index = 0;
    for (int i = 0; i <= pos; i++) index += a->find.hits[i] == HIT_START;
    a->cursor = pos;
    app_say(a, "%d of %d", index, a->find.count);
}

/* The next start of a hit from `from` on, around the ends; -1 when there is none. */
static int next_hit(const search *s, int from, int by) {
    for (int k = 0, pos = from; k < s->n; k++, pos += by) {
        pos = (pos % s->n + s->n) % s->n;
        if (s->hits[pos] == HIT_START) return pos;
    }
    return -1;
}

static unsigned go_hit(app *a, int by, int count) {
    err e = {0};
    if (a->find.q.kind == QUERY_NONE) {
        app_say(a, "nothing is searched for; / asks what");
        return APP_REDRAW;
    }
    if (find_now(a, &e)) {
        app_complain(a, "%s", e.msg);
        return APP_REDRAW;
    }
    int left = a->find.count ? (count ? count : 1) % a->find.count : 0, pos = a->cursor;
    if (a->find.count && !left) left = a->find.count;
    for (; left > 0; left--) pos = next_hit(&a->find, pos + by, by);
    if (a->find.count) show_hit(a, pos);
    if (!a->find.count) app_say(a, "no hit in state %d", a->panes[a->focus].state);
    return APP_REDRAW;
}

unsigned app_search_next(app *a, int count) {
    return go_hit(a, 1, count);
}

unsigned app_search_prev(app *a, int count) {
    return go_hit(a, -1, count);
}

int app_search(app *a, const char *text, err *e) {
    int rc = query_parse(&a->find.q, text, e);
    if (!rc) rc = find_now(a, e);
    if (rc) return rc;
    int pos = next_hit(&a->find, a->cursor, 1);
    if (pos >= 0) {
        show_hit(a, pos);
    } else {
        app_say(a, "/%s: no hit in state %d", text, a->panes[a->focus].state);
    }
    return 0;
}

unsigned app_type_search(app *a, int count) {
    (void)count;
    line_open(a, LINE_SEARCH);
    return APP_REDRAW;
}

unsigned app_type_command(app *a, int count) {
    (void)count;
    line_open(a, LINE_COMMAND);
    return APP_REDRAW;
}
