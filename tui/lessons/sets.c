/* sets.c - reading sets and finding their positions. */
#include "tui/lessons/sets.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/intervene.h"

/* What decides about one position: a value, of which the extreme is taken, or just membership. */
typedef struct place {
    const app *a;
    const pane *p;
    const step_record *r; /* NULL at the end */
    int pos;
} place;

static bool masked(const place *at) {
    return at->p->tokens[at->pos] == at->p->traj->head.mask_id;
}

static bool written(const place *at) {
    return !masked(at) && at->p->written_by[at->pos] >= 0;
}

/* Values ---------------------------------------------------------------------- */

static bool known_at(const place *at, const double *values, double *v) {
    int k = at->r && values ? record_masked_index(at->r, at->pos) : -1;
    if (k >= 0) *v = values[k];
    return k >= 0;
}

static bool entropy(const place *at, double *v) {
    return known_at(at, at->r ? at->r->entropy : NULL, v);
}

static bool confidence(const place *at, double *v) {
    return known_at(at, at->r ? at->r->confidence : NULL, v);
}

static bool margin(const place *at, double *v) {
    return known_at(at, at->r ? at->r->margin : NULL, v);
}

static bool tis(const place *at, double *v) {
    return at->r && record_tis_at(at->r, at->pos, v);
}

static bool score(const place *at, double *v) {
    int c = at->r && at->r->score ? record_cand_index(at->r, at->pos) : -1;
    if (c >= 0) *v = at->r->score[c];
    return c >= 0;
}

static bool influence_of_cursor(const place *at, double *v) {
    const inspection *x = at->a->looks.shown[at->a->focus][INSPECT_INFLUENCE];
    return x && looks_influence_between(&x->influence, at->a->cursor, at->pos, v);
}

static bool influence_on_cursor(const place *at, double *v) {
    const inspection *x = at->a->looks.shown[at->a->focus][INSPECT_INFLUENCE];
    return x && looks_influence_between(&x->influence, at->pos, at->a->cursor, v);
}

static bool attention(const place *at, double *v) {
    return looks_attention(at->a, at->a->focus, at->pos, v);
}

static bool reduction(const place *at, double *v) {
    const inspection *x = at->a->looks.shown[at->a->focus][INSPECT_TRUTH];
    for (int i = 0; x && i < x->truth.n; i++) {
        if (x->truth.pos[i] != at->pos) continue;
        *v = x->truth.relaxed[i];
        return true;
    }
    return false;
}

static bool sureness(const place *at, double *v) {
    if (!written(at)) return false;
    *v = at->p->written_p[at->pos];
    return true;
}

static bool kept(const place *at, double *v) {
    bool doubted;
    return looks_lock_in(at->a, at->a->focus, at->pos, v, &doubted);
}

/* Membership ------------------------------------------------------------------ */

static bool prompt(const place *at) {
    return !masked(at) && at->p->written_by[at->pos] < 0;
}

static bool writes(const step_record *r, int pos) {
    for (int i = 0; r && i < r->n_writes; i++) {
        if (r->writes[i].pos == pos) return true;
    }
    return false;
}

static bool fresh(const place *at) {
    return at->p->state > 0 && writes(at->p->traj->records[at->p->state - 1], at->pos);
}

static bool next(const place *at) {
    return writes(at->r, at->pos);
}

static bool candidate(const place *at) {
    return at->r && record_cand_index(at->r, at->pos) >= 0;
}

static bool differs(const place *at) {
    return at->p->n_differs && at->p->differs[at->pos];
}

static bool cursor(const place *at) {
    return at->pos == at->a->cursor;
}

static bool doubted(const place *at) {
    double p;
    bool yes = false;
    return looks_lock_in(at->a, at->a->focus, at->pos, &p, &yes) && yes;
}

/* The table ------------------------------------------------------------------- */

/* Half a unit of the last digit that the screen shows. */
#define DIGITS_3 5e-4
#define DIGITS_4 5e-5

typedef struct term {
    bool (*is)(const place *at);
    bool (*value)(const place *at, double *v);
    int sign; /* 1: highest, -1: lowest */
    double tie;
    int look; /* that has to be known, or -1 */
} term;

#define SET_LIST(X)                                                                                          \
    X("masked", "positions that are masked", {masked, NULL, 0, 0, -1})                                       \
    X("written", "positions that were unmasked", {written, NULL, 0, 0, -1})                                  \
    X("prompt", "positions that were given", {prompt, NULL, 0, 0, -1})                                       \
    X("fresh", "what the last step wrote", {fresh, NULL, 0, 0, -1})                                          \
    X("next", "what the policy writes next", {next, NULL, 0, 0, -1})                                         \
    X("candidates", "what the policy ranks", {candidate, NULL, 0, 0, -1})                                    \
    X("differs", "where the panes differ", {differs, NULL, 0, 0, -1})                                        \
    X("cursor", "where the cursor is", {cursor, NULL, 0, 0, -1})                                             \
    X("lowest-entropy", "the masked position of the lowest entropy", {NULL, entropy, -1, DIGITS_3, -1})      \
    X("highest-entropy", "of the highest", {NULL, entropy, 1, DIGITS_3, -1})                                 \
    X("highest-confidence", "whose likeliest token is the most probable",                                    \
      {NULL, confidence, 1, DIGITS_3, -1})                                                                   \
    X("lowest-confidence", "the least probable", {NULL, confidence, -1, DIGITS_3, -1})                       \
    X("lowest-margin", "of the lowest margin", {NULL, margin, -1, DIGITS_3, -1})                             \
    X("least-sure", "the token that was the least probable when it was written",                             \
      {NULL, sureness, -1, DIGITS_3, -1})                                                                    \
    X("highest-tis", "of the highest TIS", {NULL, tis, 1, DIGITS_4, -1})                                     \
    X("lowest-tis", "of the lowest TIS", {NULL, tis, -1, DIGITS_4, -1})                                      \
    X("highest-score", "that the policy ranks first", {NULL, score, 1, DIGITS_4, -1})                        \
    X("highest-reduction", "of the highest true relaxed reduction (needs `do: detail truth`)",               \
      {NULL, reduction, 1, DIGITS_4, INSPECT_TRUTH})                                                         \
    X("most-settled", "whom the cursor settles most (needs `do: color influence`)",                          \
      {NULL, influence_of_cursor, 1, DIGITS_4, INSPECT_INFLUENCE})                                           \
    X("most-settling", "who settles the cursor most (the same)",                                             \
      {NULL, influence_on_cursor, 1, DIGITS_4, INSPECT_INFLUENCE})                                           \
    X("most-attended", "what the cursor attends to most (needs `do: color attention`)",                      \
      {NULL, attention, 1, DIGITS_4, INSPECT_ATTENTION})                                                     \
    X("doubted", "written tokens that the model would now write differently (needs `do: color lock-in`)",    \
      {doubted, NULL, 0, 0, INSPECT_LOCK_IN})                                                                \
    X("least-kept", "the written token that is now the least likely (the same)",                             \
      {NULL, kept, -1, DIGITS_3, INSPECT_LOCK_IN})

#define NAME(name, help, ...) {name, help},
#define TERM(name, help, ...) __VA_ARGS__,
const set_name set_names[] = {SET_LIST(NAME){NULL, NULL}};
static const term terms[] = {SET_LIST(TERM)};

/* Reading --------------------------------------------------------------------- */

/* One term of a text: a name (index), or a range. */
typedef struct piece {
    int name; /* -1: from..to */
    int from, to;
    const char *at;
    size_t n;
} piece;

static bool read_number(const char **s, const char *end, int *out) {
    const char *begin = *s;
    int v = 0;
    while (*s < end && **s >= '0' && **s <= '9' && v < 1000000) v = v * 10 + (*(*s)++ - '0');
    *out = v;
    return *s > begin;
}

static bool read_range(piece *p) {
    const char *s = p->at, *end = p->at + p->n;
    p->name = -1;
    if (!read_number(&s, end, &p->from)) return false;
    p->to = p->from;
    if (s < end && *s == '-') {
        s++;
        if (!read_number(&s, end, &p->to)) return false;
    }
    return s == end && p->from <= p->to;
}

/* The next term; false at the end. */
static bool next_piece(const char **text, piece *p) {
    const char *s = *text + strspn(*text, " \t,");
    if (!*s) return false;
    p->at = s;
    p->n = strcspn(s, ",");
    *text = s + p->n;
    while (p->n && (s[p->n - 1] == ' ' || s[p->n - 1] == '\t')) p->n--;
    return true;
}

static bool read_piece(piece *p) {
    if (read_range(p)) return true;
    for (int i = 0; set_names[i].name; i++) {
        if (strlen(set_names[i].name) != p->n || memcmp(set_names[i].name, p->at, p->n)) continue;
        p->name = i;
        return true;
    }
    return false;
}

int set_check(const char *text, const char **at, err *e) {
    piece p;
    *at = text;
    if (!next_piece(&text, &p)) return err_set(e, ERR_BAD_FORMAT, "positions are missing");
    do {
        *at = p.at;
        if (!read_piece(&p))
            return err_set(e, ERR_BAD_FORMAT,
                           "'%.*s' is no position, range or set such as next (docs/lessons.md lists them)",
                           (int)(p.n < 40 ? p.n : 40), p.at);
    } while (next_piece(&text, &p));
    return 0;
}

/* Finding --------------------------------------------------------------------- */

static place place_of(const app *a, int pos) {
    const pane *p = app_pane(a, a->focus);
    return (place){a, p, pane_record(p), pos};
}

static void add_extreme(const app *a, const term *t, bool *in, int n) {
    double best = -HUGE_VAL, v;
    for (int pos = 0; pos < n; pos++) {
        place at = place_of(a, pos);
        if (t->value(&at, &v) && t->sign * v > best) best = t->sign * v;
    }
    for (int pos = 0; pos < n; pos++) {
        place at = place_of(a, pos);
        if (t->value(&at, &v) && t->sign * v >= best - t->tie) in[pos] = true;
    }
}

static int add_piece(const app *a, const piece *p, bool *in, int n, err *e) {
    if (p->name < 0) {
        if (p->to >= n) return err_set(e, ERR_BAD_ARGUMENT, "position %d is past the end (%d)", p->to, n - 1);
        for (int pos = p->from; pos <= p->to; pos++) in[pos] = true;
        return 0;
    }
    const term *t = &terms[p->name];
    if (t->look >= 0 && !a->looks.shown[a->focus][t->look])
        return err_set(e, ERR_NOT_FOUND, "'%s' is not known: nothing has looked at %s here",
                       set_names[p->name].name, inspect_name((inspect_kind)t->look));
    for (int pos = 0; t->is && pos < n; pos++) {
        place at = place_of(a, pos);
        if (t->is(&at)) in[pos] = true;
    }
    if (t->value) add_extreme(a, t, in, n);
    return 0;
}

int set_positions(const app *a, const char *text, int *out, int max, err *e) {
    int n = app_pane(a, a->focus)->traj->head.n_tokens, count = 0, rc = 0;
    bool *in = mem_new((size_t)n, sizeof *in);
    piece p;
    if (!in) return err_set(e, ERR_NO_MEMORY, "out of memory"), -1;
    while (!rc && next_piece(&text, &p)) rc = read_piece(&p) ? add_piece(a, &p, in, n, e) : ERR_BAD_FORMAT;
    for (int pos = 0; !rc && pos < n && count < max; pos++) {
        if (in[pos]) out[count++] = pos;
    }
    free(in);
    return rc ? -1 : count;
}

/* Placeholders ------------------------------------------------------------------ */

enum { SHOWN_POSITIONS = 12 };
typedef enum kind { KIND_POS, KIND_TOKEN, KIND_H, KIND_P, KIND_TIS, KIND_COUNT, N_KINDS } kind;
static const char *const kinds[N_KINDS] = {"pos", "token", "H", "p", "tis", "count"};

/* The next '{' that begins a placeholder; one before a blank is text, such as the key's name. */
static const char *find_holder(const char *s) {
    while ((s = strchr(s, '{')) != NULL && (s[1] == ' ' || !s[1])) s++;
    return s;
}

/* "{KIND SET}" at s: kind and the set's text; NULL when it is none. */
static const char *read_holder(const char *s, kind *k, char *set, size_t size) {
    const char *end = strchr(s, '}'), *blank = strchr(s, ' ');
    if (!end || !blank || blank > end || (size_t)(end - blank) >= size) return NULL;
    for (int i = 0; i < N_KINDS; i++) {
        if (strlen(kinds[i]) != (size_t)(blank - s - 1) || memcmp(kinds[i], s + 1, (size_t)(blank - s - 1)))
            continue;
        *k = (kind)i;
        snprintf(set, size, "%.*s", (int)(end - blank - 1), blank + 1);
        return end + 1;
    }
    return NULL;
}

int set_check_text(const char *text, const char **at, err *e) {
    char set[256];
    for (const char *s = text; (s = find_holder(s)) != NULL;) {
        kind k;
        const char *after = read_holder(s, &k, set, sizeof set), *in = set;
        *at = s;
        if (!after)
            return err_set(e, ERR_BAD_FORMAT,
                           "expected {KIND SET}, KIND one of pos, token, H, p, tis, count");
        if (set_check(set, &in, e)) {
            *at = strchr(s, ' ') + 1 + (in - set);
            return e->code;
        }
        s = after;
    }
    *at = text;
    return 0;
}

static void put_positions(const int *pos, int n, strbuf *out) {
    for (int i = 0; i < n && i < SHOWN_POSITIONS; i++) strbuf_printf(out, "%s%d", i ? ", " : "", pos[i]);
    if (n > SHOWN_POSITIONS) strbuf_printf(out, " and %d more", n - SHOWN_POSITIONS);
}

/* The token there, or the one that would be written there. */
static void put_token(const place *at, strbuf *out) {
    char text[64];
    const trajectory *t = at->p->traj;
    step_setting s = intervene_current(t, at->p->state);
    token_prob next = at->r ? setting_proposes(&s, at->r, at->pos) : (token_prob){-1, 0};
    int32_t id = next.id >= 0 ? next.id : at->p->tokens[at->pos];
    strbuf_puts(out, flow_token_text(t->texts, id, t->head.mask_id, text, sizeof text));
}

static bool put_value(const place *at, kind k, strbuf *out) {
    double v = 0;
    bool known = k == KIND_H ? entropy(at, &v) : k == KIND_TIS ? tis(at, &v) : confidence(at, &v);
    if (!known && k == KIND_P && written(at)) {
        v = at->p->written_p[at->pos];
        known = true;
    }
    if (known) strbuf_printf(out, k == KIND_TIS ? "%+.4f" : "%.3f", v);
    return known;
}

static int put_holder(const app *a, kind k, const char *set, int *pos, int max, strbuf *out, err *e) {
    int n = set_positions(a, set, pos, max, e);
    if (n < 0) return e->code;
    if (k == KIND_COUNT) {
        strbuf_printf(out, "%d", n);
        return 0;
    }
    if (!n) return err_set(e, ERR_NOT_FOUND, "there is no position '%s' here", set);
    place at = place_of(a, pos[0]);
    if (k == KIND_POS) put_positions(pos, n, out);
    if (k == KIND_TOKEN) put_token(&at, out);
    if (k < KIND_H || k > KIND_TIS || put_value(&at, k, out)) return 0;
    return err_set(e, ERR_NOT_FOUND, "%s of position %d is not known here", kinds[k], pos[0]);
}

int set_expand(const app *a, const char *text, strbuf *out, err *e) {
    int n = app_pane(a, a->focus)->traj->head.n_tokens, rc = 0;
    int *pos = mem_new((size_t)n, sizeof *pos);
    if (!pos) return err_set(e, ERR_NO_MEMORY, "out of memory");
    while (*text) {
        char set[256];
        kind k;
        const char *after = *text == '{' ? read_holder(text, &k, set, sizeof set) : NULL;
        if (!after) {
            strbuf_putc(out, *text++);
            continue;
        }
        size_t before = out->len;
        int bad = put_holder(a, k, set, pos, n, out, rc ? &(err){0} : e);
        if (bad && out->len == before) strbuf_putc(out, '?');
        if (bad) rc = bad;
        text = after;
    }
    free(pos);
    return rc;
}
